"""`make guarantees`: what the hub promises, which tests prove it, and when they last passed.

A test whose name begins with `test_t<n>_` proves promise Tn. `--guarantees FILE` writes the page.
"""

import re
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

PROMISES = {
    1: "A sealed record never comes back: not by a backfill, a drop sent again or a restored backup.",
    2: "After a revocation the next release says nothing that rested on the consent, takes back what was "
    "said, and no copy of the rows stays.",
    3: "What no consent covers changes no byte of what police and prosecutor get.",
    4: "An upload that is cut short, or still being written, is never taken.",
    5: "The same inputs give the same packages, byte for byte.",
    6: "No suppressed cell of a published table can be worked out, also across quarters.",
    7: "A person id is never another's, and changes only with a cause.",
    8: "The accounting of disclosures is exactly the rows that were shipped.",
    9: "Keys are rotated without losing a link.",
    10: "An agreement that has ended stops what leaves, never what must be taken back.",
}
_NUMBER = re.compile(r"::test_t(\d+)_")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--guarantees", type=Path, help="write which promises were proved to this page")


class Proofs:
    """Outcomes of the tests that prove a promise."""

    def __init__(self, page: Path):
        self.page = page
        self.outcome: dict[int, dict[str, bool]] = defaultdict(dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = _NUMBER.search(report.nodeid)
        if found:
            test = report.nodeid.partition("[")[0]
            proved = self.outcome[int(found[1])]
            proved[test] = proved.get(test, True) and not report.failed and not report.skipped

    def pytest_sessionfinish(self) -> None:
        self.page.write_text(render(self.outcome, datetime.now(UTC).date().isoformat()))


def pytest_configure(config: pytest.Config) -> None:
    page = config.getoption("--guarantees")
    if page is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Proofs(page))


def render(outcome: dict[int, dict[str, bool]], day: str) -> str:
    """`outcome`: promise → test → whether it passed."""
    lines = [
        "# What is promised, and what proves it",
        "",
        "Written by `make guarantees`: each promise, the tests that bear its number, and how they ended.",
        "",
        "| | promise | proved by | standing |",
        "|---|---|---|---|",
    ]
    for number, promise in PROMISES.items():
        tests = outcome.get(number, {})
        proofs = "<br>".join(f"`{name}`" for name in sorted(tests)) or "–"
        if not tests:
            standing = "**not proved**: nothing that does this is built yet"
        elif all(tests.values()):
            standing = f"passed on {day}"
        else:
            standing = f"**failed on {day}**"
        lines.append(f"| T{number} | {promise} | {proofs} | {standing} |")
    return "\n".join(lines) + "\n"
