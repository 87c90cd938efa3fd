"""Search every sink of an installation for whole identifiers.

Files are searched as they are, and Parquet decoded; Airflow's metadata database is written out as text.
GNU grep does the matching: thousands of fixed strings over hundreds of megabytes in seconds.
"""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

#: what is not a sink: the agencies' own systems and inboxes
OUTSIDE = ("agencies",)


def decode(var: Path, target: Path) -> int:
    """Text of every Parquet file under `var`, into `target`; how many there were."""
    count = 0
    for path in sorted(var.rglob("*.parquet")):
        relative = path.relative_to(var)
        if relative.parts[0] in OUTSIDE:
            continue
        text = "\n".join(str(list(row.values())) for row in pq.read_table(path).to_pylist())
        named = target / "parquet" / f"{'__'.join(relative.parts)}.txt"
        named.parent.mkdir(parents=True, exist_ok=True)
        named.write_text(text)
        count += 1
    return count


def search(folders: Iterable[Path], identifiers: Iterable[str], workspace: Path) -> dict[str, set[str]]:
    """File → identifiers found in it."""
    workspace.mkdir(parents=True, exist_ok=True)
    patterns = workspace / "patterns"
    patterns.write_text("\n".join(sorted({i for i in identifiers if len(i) >= 5})) + "\n")
    found: dict[str, set[str]] = {}
    for folder in folders:
        command = ["grep", "-r", "-a", "-o", "-F", "-f", str(patterns), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode in (0, 1), done.stderr[:300]
        for line in done.stdout.splitlines():
            name, _, what = line.partition(":")
            found.setdefault(name, set()).add(what)
    return found
