"""The ledger shows every change of the record, and no failure of a disk breaks it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation import ledger
from leadhub.foundation.errors import TerminalError, TransientError
from leadhub.foundation.ledger import GENESIS, Checkpoint, Entry


def intent(number: int, kind: ledger.Kind = "intent") -> Entry:
    return Entry(
        kind,
        release_id=f"{number:016x}",
        dataset="diversion_status",
        night="2026-11-20",
        sequence=number,
        manifest_sha256="a" * 64,
        accounting_sha256="b" * 64,
        rows=312,
        agreement="partner__diversion_status",
        agreement_version="1",
    )


def chain(path: Path, length: int) -> Checkpoint:
    """A ledger of `length` entries, written at once."""
    entries, position = [], Checkpoint(0, GENESIS)
    for number in range(1, length + 1):
        entries.append(ledger._chained(intent(number), position))
        position = Checkpoint(number, entries[-1].hash)
    path.write_bytes(b"".join(ledger._canonical(asdict(e)) for e in entries))
    return position


def broken(path: Path, checkpoint: Checkpoint | None = None) -> str:
    with pytest.raises(TerminalError) as caught:
        ledger.verify(path, checkpoint)
    assert caught.value.reason == "ledger_broken"
    return caught.value.message


def rechained(lines: list[bytes]) -> list[bytes]:
    """A forger's chain: every hash made anew."""
    forged, position = [], Checkpoint(0, GENESIS)
    for line in lines:
        entry = replace(Entry(**json.loads(line)), seq=position.seq + 1, prev=position.hash, hash="")
        value = asdict(entry)
        value["hash"] = ledger._digest(value)
        forged.append(ledger._canonical(value))
        position = Checkpoint(value["seq"], value["hash"])
    return forged


def test_entries_come_back_as_they_were_recorded(tmp_path):
    path = tmp_path / "ledger" / "partner.jsonl"
    recorded = [ledger.append(path, intent(n)) for n in (1, 2, 3)]
    assert ledger.entries(path) == recorded
    assert [e.seq for e in recorded] == [1, 2, 3]
    assert ledger.verify(path) == ledger.head(path) == Checkpoint(3, recorded[-1].hash)
    assert path.stat().st_mode & 0o077 == 0


def test_an_empty_ledger_has_a_head(tmp_path):
    path = tmp_path / "partner.jsonl"
    assert ledger.head(path) == ledger.verify(path) == Checkpoint(0, GENESIS)
    assert ledger.entries(path) == []


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_g12_any_changed_byte_is_found_at_its_entry(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("ledger") / "partner.jsonl"
    checkpoint = chain(path, 6)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != whole[at]))
    path.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
    number = whole[:at].count(b"\n") + 1
    message = broken(path, checkpoint)
    assert f"entry {number} " in message or f"after entry {number - 1};" in message


@settings(max_examples=40, deadline=None)
@given(order=st.lists(st.integers(0, 5), max_size=8).filter(lambda o: o != list(range(len(o)))))
def test_g12_removed_doubled_and_moved_entries_are_found(tmp_path_factory, order):
    path = tmp_path_factory.mktemp("ledger") / "partner.jsonl"
    chain(path, 6)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[n] for n in order))
    first_wrong = next(i for i, n in enumerate(order) if n != i) + 1
    assert f"entry {first_wrong} " in broken(path)


def test_f46_an_edited_entry_with_a_new_hash_breaks_the_link_to_the_next(tmp_path):
    path = tmp_path / "partner.jsonl"
    chain(path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    value = json.loads(lines[1]) | {"rows": 1}
    value["hash"] = ledger._digest(value)
    path.write_bytes(b"".join([lines[0], ledger._canonical(value), *lines[2:]]))
    assert "entry 3 does not follow" in broken(path)


def test_f46_a_truncated_ledger_is_found_with_a_checkpoint_only(tmp_path):
    path = tmp_path / "partner.jsonl"
    checkpoint = chain(path, 4)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    assert ledger.verify(path).seq == 3
    assert "ends at entry 3, but the checkpoint saw entry 4" in broken(path, checkpoint)


def test_f46_a_ledger_written_anew_is_found_with_a_checkpoint_only(tmp_path):
    path = tmp_path / "partner.jsonl"
    checkpoint = chain(path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(rechained([lines[0], lines[2], lines[3], lines[3]])))
    assert ledger.verify(path).seq == 4
    assert "entry 4 is not the one that the checkpoint saw" in broken(path, checkpoint)


def test_f46_a_removed_ledger_is_found_with_a_checkpoint(tmp_path):
    path = tmp_path / "partner.jsonl"
    checkpoint = chain(path, 2)
    path.unlink()
    assert "ends at entry 0" in broken(path, checkpoint)


def test_an_earlier_checkpoint_still_holds_as_the_ledger_grows(tmp_path):
    path = tmp_path / "partner.jsonl"
    checkpoint = chain(path, 3)
    ledger.append(path, intent(9))
    assert ledger.verify(path, checkpoint).seq == 4


def test_nothing_is_appended_to_a_changed_tail(tmp_path):
    path = tmp_path / "partner.jsonl"
    chain(path, 3)
    path.write_bytes(path.read_bytes().replace(b'"sequence":3', b'"sequence":7'))
    with pytest.raises(TerminalError, match="last entry that was changed"):
        ledger.append(path, intent(4))


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(1, 600))
def test_f1_a_torn_last_line_is_removed_and_recorded(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("ledger") / "partner.jsonl"
    checkpoint = chain(path, 3)
    whole = path.read_bytes()
    last = ledger._canonical(asdict(ledger._chained(intent(4), checkpoint)))
    path.write_bytes(whole + last[: min(cut, len(last) - 1)])
    assert "incomplete line after entry 3" in broken(path)
    assert len(ledger.entries(path)) == 3
    ledger.append(path, intent(4))
    found = ledger.entries(path)
    assert ledger.verify(path, checkpoint).seq == 5
    assert [e.kind for e in found[3:]] == ["note", "intent"]
    assert f"{min(cut, len(last) - 1)} bytes" in (found[3].note or "")


def test_a_whole_but_foreign_last_line_is_never_repaired(tmp_path):
    path = tmp_path / "partner.jsonl"
    chain(path, 2)
    with path.open("ab") as handle:
        handle.write(b'{"kind":"note"}\n')
    before = path.read_bytes()
    with pytest.raises(TerminalError):
        ledger.append(path, intent(3))
    assert path.read_bytes() == before


def test_the_same_facts_again_are_not_recorded_twice(tmp_path):
    path = tmp_path / "partner.jsonl"
    first = ledger.append(path, intent(1))
    assert ledger.append(path, intent(1)) == first
    assert ledger.append(path, intent(1, "committed")).seq == 2


class FailingCalls:
    """The n-th call of os.write, os.fsync or os.ftruncate fails; every second write is a short one."""

    def __init__(self, monkeypatch, fail_at: int, *, stay_broken: bool):
        self.calls, self.fail_at, self.stay_broken = 0, fail_at, stay_broken
        for name in ("write", "fsync", "ftruncate"):
            real = getattr(os, name)
            monkeypatch.setattr(os, name, lambda *a, real=real, name=name: self._call(real, name, *a))

    def _call(self, real, name, *arguments):
        self.calls += 1
        if self.calls == self.fail_at or (self.stay_broken and self.calls > self.fail_at):
            if name == "write":
                real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            raise OSError(28, "No space left on device")
        if name == "write" and self.calls % 2:
            return real(arguments[0], bytes(arguments[1])[:100])
        return real(*arguments)


@pytest.mark.parametrize("torn", [b"", b'{"kind":"intent","release_id":"00'])
@pytest.mark.parametrize("stay_broken", [False, True])
def test_f2_whichever_call_fails_the_chain_is_whole(tmp_path, torn, stay_broken):
    fail_at, done = 0, False
    while not done:
        fail_at += 1
        path = tmp_path / f"{fail_at}" / "partner.jsonl"
        path.parent.mkdir()
        checkpoint = chain(path, 2)
        path.write_bytes(path.read_bytes() + torn)
        with pytest.MonkeyPatch.context() as patch:
            FailingCalls(patch, fail_at, stay_broken=stay_broken)
            try:
                ledger.append(path, intent(3))
                reason = None
            except TransientError as error:
                reason = error.reason
        done = reason is None
        assert reason in (None, "disk_full")
        ledger.append(path, intent(3))
        assert ledger.verify(path, checkpoint).seq >= 3
        kinds = [(e.kind, e.sequence) for e in ledger.entries(path) if e.kind != "note"]
        assert kinds == [("intent", 1), ("intent", 2), ("intent", 3)]
    assert fail_at > 4


FULL_DISK = """
import resource, sys
from pathlib import Path
from leadhub.foundation import ledger
from leadhub.foundation.errors import TransientError
path, limit = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    ledger.append(path, ledger.Entry("intent", release_id="f" * 16, dataset="d", sequence=3))
except TransientError as error:
    print(error.reason)
"""


@pytest.mark.parametrize("room", [0, 1, 300])
def test_f3_a_full_disk_is_transient_and_the_next_append_succeeds(tmp_path, room):
    path = tmp_path / "partner.jsonl"
    checkpoint = chain(path, 2)
    limit = path.stat().st_size + room
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(limit)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "disk_full"
    assert ledger.verify(path, checkpoint) == checkpoint
    ledger.append(path, intent(3))
    assert ledger.verify(path, checkpoint).seq == 3


def test_f31_appends_at_once_make_one_chain(tmp_path):
    path = tmp_path / "partner.jsonl"
    threads = [threading.Thread(target=ledger.append, args=(path, intent(n))) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.verify(path).seq == 12
    assert {e.sequence for e in ledger.entries(path)} == set(range(12))


def test_an_intent_is_open_until_committed_or_noted(tmp_path):
    path = tmp_path / "partner.jsonl"
    assert ledger.settle(path, "diversion_status") is None
    first = ledger.append(path, intent(1))
    assert ledger.settle(path, "diversion_status") == first
    assert ledger.settle(path, "another") is None
    ledger.append(path, intent(1, "committed"))
    assert ledger.settle(path, "diversion_status") is None
    ledger.append(path, intent(2))
    ledger.append(path, replace(intent(2), kind="note", note="never arrived"))
    assert ledger.settle(path, "diversion_status") is None
