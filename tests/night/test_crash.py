"""Killed at any named point and run again, a night ends like an undisturbed one (F1, F4, F33; G1, G2)."""

import pytest

from leadhub.foundation import failpoints, ledger

pytestmark = pytest.mark.timeout(600)


COMMITTED = "night.after_commit"
PUBLISHING = failpoints.NAMES[failpoints.NAMES.index(COMMITTED) + 1 :]


@pytest.fixture(scope="module")
def undisturbed(nights, after):
    return nights.outcome()


@pytest.fixture(scope="module")
def committed(nights, undisturbed, tmp_path_factory):
    """The night committed, and nothing published: where the last half of the failpoints begins."""
    nights.restore()
    assert nights.run(failpoint=f"{COMMITTED}:kill") == -9
    where = tmp_path_factory.mktemp("committed")
    nights.save(where)
    return where


@pytest.mark.parametrize("name", failpoints.NAMES)
def test_t5_f01_killed_at(name, nights, undisturbed, committed):
    nights.restore(committed if name in PUBLISHING else None)
    assert nights.run(failpoint=f"{name}:kill") == -9, "the failpoint was not reached"
    assert nights.run() == 0
    found = nights.outcome()
    assert sorted(found) == sorted(undisturbed)
    assert [n for n in found if found[n] != undisturbed[n]] == []
    for path in (nights.var / "ledger").glob("*.jsonl"):
        kinds = [e.kind for e in ledger.entries(path)]
        assert kinds.count("committed") == 1
        ledger.verify(path)
    leftovers = [p for p in nights.var.rglob(".staging*") if "pg" not in p.parts]
    assert [p for p in leftovers if "releases" in p.parts or "outbox" in p.parts] == []


def test_g02_the_same_night_again_changes_nothing(nights, after, undisturbed):
    nights.restore(after)
    first = {p: p.read_bytes() for p in (nights.var / "sftp").rglob("*") if p.is_file()}
    assert nights.run() == 0
    again = {p: p.read_bytes() for p in (nights.var / "sftp").rglob("*") if p.is_file()}
    assert again == first
    assert nights.outcome() == undisturbed
