"""Stage, intent, deliver, committed: killed or failing anywhere, one release, delivered and told once."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from leadhub.foundation import failpoints, ledger, openpgp
from leadhub.foundation.errors import TerminalError, TransientError
from leadhub.release import accounting, package
from leadhub.release.channel import Channel
from tests.release.dataset import PACKAGE
from tests.release.publishing import NEXT, NIGHT, ONE, TWO, Office, all_bytes, delivered, new_office

REPOSITORY = Path(__file__).resolve().parents[2]


# crashes and failures ----------------------------------------------------------------------------------

MINE = [n for n in failpoints.NAMES if n.startswith("release.")]


def killed(partner: Office, night: str, state: str, failpoint: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.release.publishing", str(partner.root), night, state],
        cwd=REPOSITORY,
        env=os.environ | {failpoints.VARIABLE: f"{failpoint}:kill"},
        capture_output=True,
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr.decode()


def test_the_failpoints_of_this_room_are_these():
    assert MINE == [
        "release.staged",
        "release.before_intent",
        "release.after_intent",
        "release.before_committed",
        "release.after_committed",
    ]


@pytest.mark.parametrize("failpoint", MINE)
def test_f1_f4_killed_anywhere_the_next_run_ends_in_one_disclosure(partner, failpoint):
    partner.publish(NIGHT, ONE, restrictions="one")
    before = all_bytes(partner.outbox)
    killed(partner, NIGHT, "two", failpoint)
    # G1: what the partner sees is whole: the release before, or both
    certificate = openpgp.certificate(partner.root / "keys" / "signing.pgp")
    for folder in (partner.outbox / PACKAGE.dataset).iterdir():
        package.verify(folder, certificate)
    if failpoint in MINE[:3]:
        assert all_bytes(partner.outbox) == before
    receipt = partner.publish(NIGHT, TWO, restrictions="two")
    assert receipt["sequence"] == 2
    assert partner.kinds() == [
        *(("intent", 1), ("committed", 1)),
        *(("intent", 2), ("superseded", 1), ("committed", 2)),
    ]
    assert partner.deliveries() == [f"diversion_status/000001_{NIGHT}", f"diversion_status/000002_{NIGHT}"]
    assert {p.name[:6] for p in partner.releases.iterdir()} == {"000001", "000002", "releas"}
    assert len(accounting.disclosures(partner.var, "p1:DA-4")) == 1
    assert not list(partner.releases.glob("*/package/*.csv"))
    assert partner.publish(NIGHT, TWO, restrictions="two") == receipt


def test_an_intent_is_recorded_once_whatever_came_after_it(partner):
    killed(partner, NIGHT, "one", "release.after_intent")
    ledger.append(partner.chain, ledger.Entry("intent", dataset="another", sequence=1))
    partner.publish(NIGHT, ONE, restrictions="one")
    assert partner.kinds() == [("intent", 1), ("intent", 1), ("committed", 1)]


@pytest.mark.parametrize("failpoint", ["release.staged", "release.before_intent"])
def test_a_crashed_staging_burns_no_number(partner, failpoint):
    killed(partner, NIGHT, "one", failpoint)
    assert partner.publish(NIGHT, TWO, restrictions="two")["sequence"] == 1
    assert partner.kinds() == [("intent", 1), ("committed", 1)]
    assert accounting.disclosures(partner.var, "p1:DA-3") == []


def test_an_intent_that_never_arrived_gives_its_number_back(partner):
    killed(partner, NIGHT, "one", "release.after_intent")
    assert [d["status"] for d in accounting.disclosures(partner.var, "p1:DA-3")] == ["possible"]
    assert partner.publish(NIGHT, TWO, restrictions="two")["sequence"] == 1
    assert partner.kinds() == [("intent", 1), ("note", 1), ("intent", 1), ("committed", 1)]
    assert delivered(partner) == [f"000001_{NIGHT}"]
    assert accounting.disclosures(partner.var, "p1:DA-3") == []


def test_an_intent_that_did_arrive_is_recorded_before_the_next_state(partner):
    killed(partner, NIGHT, "one", "release.before_committed")
    assert partner.publish(NIGHT, TWO, restrictions="two")["sequence"] == 2
    assert partner.kinds() == [
        *(("intent", 1), ("committed", 1)),
        *(("intent", 2), ("superseded", 1), ("committed", 2)),
    ]
    assert [d["status"] for d in accounting.disclosures(partner.var, "p1:DA-3")] == ["committed"]


def test_what_was_being_sent_counts_as_made_though_the_partner_has_emptied_its_outbox(partner):
    """It was fetched before we could record it: the next state takes back what it told."""
    killed(partner, NIGHT, "one", "release.before_committed")
    shutil.rmtree(partner.outbox / "diversion_status")
    assert partner.publish(NIGHT, TWO, restrictions="two")["sequence"] == 2
    assert [d["status"] for d in accounting.disclosures(partner.var, "p1:DA-3")] == ["possible"]
    last = [e for e in ledger.entries(partner.chain) if e.kind == "committed"][-1]
    assert last.withdrawn > 0, "what one told and two does not is withdrawn"


class FailingCalls:
    """The n-th of the calls that change a disk fails."""

    NAMES = ("write", "fsync", "ftruncate", "replace", "rename", "mkdir", "unlink")

    def __init__(self, patch, fail_at: int):
        self.calls, self.fail_at = 0, fail_at
        for name in self.NAMES:
            real = getattr(os, name)
            patch.setattr(os, name, lambda *a, real=real, **k: self._call(real, *a, **k))

    def _call(self, real, *arguments, **named):
        self.calls += 1
        if self.calls == self.fail_at:
            raise OSError(errno.EIO, "Input/output error")
        return real(*arguments, **named)


def test_f2_whichever_call_fails_running_again_ends_in_one_disclosure(tmp_path, keys):
    started = new_office(tmp_path / "started", keys)
    started.publish(NIGHT, ONE)
    fail_at, done = 0, False
    while not done:
        fail_at += 1
        partner = Office(shutil.copytree(started.root, tmp_path / str(fail_at)))
        with pytest.MonkeyPatch.context() as patch:
            failing = FailingCalls(patch, fail_at)
            try:
                partner.publish(NEXT, TWO)
                done = failing.calls < fail_at
            except TransientError:
                pass
        partner.publish(NEXT, TWO)
        assert partner.kinds() == [("intent", 1), ("committed", 1), ("intent", 2), ("committed", 2)]
        assert set(partner.deliveries()) == {
            f"diversion_status/00000{n}_{d}" for n, d in ((1, NIGHT), (2, NEXT))
        }
        assert not list(partner.releases.glob(".*"))
        shutil.rmtree(partner.root)
    assert fail_at > 40


FULL_DISK = """
import resource, sys
from pathlib import Path
from leadhub.foundation.errors import TransientError
from tests.release.publishing import STATES, office
partner = office(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    partner.publish("2026-11-20", STATES["one"])
except TransientError as error:
    print(error.reason)
"""


@pytest.mark.parametrize("room", [100, 2000])
def test_f3_a_full_disk_shows_nothing_and_the_next_run_succeeds(partner, room):
    command = [sys.executable, "-c", FULL_DISK, str(partner.root), str(room)]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert ran.stdout.strip() == "disk_full", ran.stderr
    assert partner.kinds() == []
    assert not delivered(partner)
    assert not list(partner.releases.glob(".*"))
    assert partner.publish(NIGHT, ONE)["sequence"] == 1


# the outbox --------------------------------------------------------------------------------------------


def test_delivery_failed_where_the_outbox_does_not_show_it(partner):
    staged = partner.stage(NIGHT, ONE)
    blind = Channel(lambda folder, remote: None, lambda remote: None)
    publication = replace(partner.publication(), channel=blind)
    with pytest.raises(TransientError, match="delivery_failed"):
        publication.deliver(staged["release_id"], agreement_sha256=PACKAGE.agreement_sha256)
    assert partner.kinds() == [("intent", 1)]
    assert partner.deliver(staged)["sequence"] == 1


def test_another_delivery_of_that_name_stops_the_release(partner):
    staged = partner.stage(NIGHT, ONE)
    foreign = partner.outbox / PACKAGE.dataset / f"000001_{NIGHT}"
    foreign.mkdir(parents=True)
    (foreign / package.MANIFEST).write_text("{}")
    with pytest.raises(TerminalError, match="state_invalid"):
        partner.deliver(staged)
    assert partner.deliveries() == []


@pytest.mark.parametrize("encrypt", [False, True])
def test_a_delivery_made_before_a_restore_is_recognised(partner, keys, encrypt):
    certificate = openpgp.certificate(keys / "partner.pgp")
    facts = replace(PACKAGE, encrypt=encrypt)
    given = {"facts": facts, "certificate": certificate if encrypt else None}
    first = partner.publish(NIGHT, ONE, **given)
    shutil.rmtree(partner.var)
    again = partner.publish(NIGHT, ONE, **given)
    assert len(partner.deliveries()) == 1
    assert again["manifest_sha256"] == first["manifest_sha256"]
    assert partner.kinds() == [("intent", 1), ("committed", 1)]
