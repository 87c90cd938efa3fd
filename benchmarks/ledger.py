"""`python -m benchmarks.ledger`: how fast a ledger is verified, beside hashing its bytes alone."""

import hashlib
import tempfile
import time
from pathlib import Path

from leadhub.foundation import ledger

ENTRIES = 20_000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "partner.jsonl"
        for number in range(ENTRIES):
            ledger.append(
                path, ledger.Entry("committed", dataset="d", sequence=number, release_id="f" * 16)
            )
        seconds = _spent(lambda: ledger.verify(path))
        floor = _spent(lambda: [hashlib.sha256(line).digest() for line in path.read_bytes().splitlines()])
    print(
        f"verifying {ENTRIES:,} entries: {seconds:.2f} s, {seconds / floor:.0f} times hashing their lines"
    )
    print(f"a million: {seconds / ENTRIES * 1e6:.0f} s (aim: under 60)")


def _spent(function) -> float:
    began = time.process_time()
    function()
    return time.process_time() - began


if __name__ == "__main__":
    main()
