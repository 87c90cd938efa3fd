"""Nothing leaves under a licence that two people have not approved; withdrawals leave all the same."""

import json
import shutil
from functools import partial

import polars as pl
import pytest
from typer.testing import CliRunner

from connectors.base import connection_from_environment
from leadhub.cli import app
from leadhub.foundation import ledger, openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import REPOSITORY, Settings
from leadhub.release import accounting
from leadhub.steps import approvals, publish
from leadhub.steps.site import open_site
from tests import documents
from tests.night.clinic import send, sent
from tests.night.test_revocation import KEY, delivered, revoked, spoken

pytestmark = pytest.mark.timeout(300)
DA, LICENCE = "district_attorney", "district_attorney__diversion_status"


def outbox(nights, partner=DA):
    return [p.name for p in sorted((nights.var / "sftp" / partner / "outbox").glob("*/0*"))]


def site_of(nights, folder):
    """The site under agreements of its own, so that they can be edited."""
    if not folder.exists():
        shutil.copytree(Settings().agreements, folder)
    return open_site(connection_from_environment, Settings(var=nights.var, agreements=folder))


def key_of_da(nights):
    return nights.var / "keys" / "partners" / f"{DA}.asc"


def edit(site, old: str, new: str) -> None:
    documents.edit(site.settings.agreements, f"{LICENCE}.yaml", old, new)


@pytest.fixture(scope="module")
def unapproved(nights, tmp_path_factory):
    """A first night that nobody has approved anything of."""
    nights.restore()
    assert nights.run(approved=False) == 0
    where = tmp_path_factory.mktemp("unapproved")
    nights.save(where)
    yield where
    nights.restore()


def test_a_first_publication_waits_and_says_what_it_waits_for(nights, unapproved, tmp_path):
    nights.restore(unapproved)
    site = site_of(nights, tmp_path / "agreements")
    assert {
        p for p in ("district_attorney", "police", "harbor_case_management") if outbox(nights, p)
    } == set()
    assert [w["state"] for w in approvals.pending(site)] == ["new"] * len(site.agreements)
    with pytest.raises(TerminalError, match="approval_pending"):
        publish.deliver(site, LICENCE, nights.night(1))
    shown = approvals.preview(site, LICENCE, nights.night(1))
    assert shown["preview"]["rows"] > 5
    assert shown["preview"]["rows_before"] is None
    assert {c["name"] for c in shown["preview"]["columns"]} == set(site.agreement(LICENCE).columns)


def test_two_people_and_not_one_let_it_leave(nights, unapproved, tmp_path, monkeypatch):
    nights.restore(unapproved)
    site = site_of(nights, tmp_path / "agreements")
    monkeypatch.setenv("LEADHUB_VAR", str(nights.var))

    def cli(*words, login="steward"):
        monkeypatch.setattr("leadhub.cli_release.login", lambda: login)
        return CliRunner().invoke(app, ["release", *words])

    early = cli("approve", LICENCE, "--by", "B. Counsel")
    assert "propose it first" in str(early.exception)
    assert cli("propose", LICENCE, "--by", "A. Steward").exit_code == 0
    alone = cli("approve", LICENCE, "--by", " a. steward ")
    assert "ask a second person" in str(alone.exception)
    with pytest.raises(TerminalError, match="approval_pending"):
        publish.deliver(site, LICENCE, nights.night(1))
    renamed = cli("approve", LICENCE, "--by", "B. Counsel")
    assert "ask a second person" in str(renamed.exception), "another name at the same login"
    said = cli("approve", LICENCE, "--by", "B. Counsel", login="counsel")
    assert said.exit_code == 0, said.output
    assert "approved by B. Counsel" in said.output
    assert LICENCE not in cli("pending").output
    publish.stage(site, LICENCE, nights.night(1))
    assert publish.deliver(site, LICENCE, nights.night(1))["status"] == "committed"
    kinds = [e.kind for e in ledger.entries(nights.var / "ledger" / f"{DA}.jsonl")]
    assert kinds == ["proposed", "approved", "intent", "committed"]
    assert [w["agreement"] for w in approvals.pending(site)] == [
        a for a in sorted(site.agreements) if a != LICENCE
    ]


def test_a_refusal_ends_it_until_it_is_proposed_again(nights, unapproved, tmp_path):
    nights.restore(unapproved)
    site = site_of(nights, tmp_path / "agreements")
    approvals.answer(site, LICENCE, "proposed", by="A")
    approvals.answer(site, LICENCE, "refused", by="B")
    with pytest.raises(TerminalError, match="propose it first"):
        approvals.answer(site, LICENCE, "approved", by="B")
    assert publish.stage(site, LICENCE, nights.night(1))["status"] == approvals.AWAITING
    approvals.answer(site, LICENCE, "proposed", by="A")
    approvals.answer(site, LICENCE, "approved", by="B")
    assert publish.stage(site, LICENCE, nights.night(1))["status"] == "staged"


def test_a_changed_licence_waits_and_its_preview_tells_the_difference(nights, after, tmp_path):
    nights.restore(after)
    site = site_of(nights, tmp_path / "agreements")
    edit(site, r"  - charges_held_until\n", "")
    edit(site, "retention_days: 90", "retention_days: 60")
    site = site_of(nights, tmp_path / "agreements")
    assert publish.stage(site, LICENCE, nights.night(1))["status"] == approvals.AWAITING
    shown = approvals.preview(site, LICENCE, nights.night(1))["preview"]
    assert shown["columns_gone"] == ["charges_held_until"]
    assert shown["facts_changed"] == [
        "columns: charges_held_until",
        "licence: columns",
        "licence: retention_days",
    ]
    assert shown["rows_before"] == shown["rows"]
    assert shown["changes"] is None, "the partner loads the whole dataset anew"
    assert len(outbox(nights)) == 1, "the last delivery stands"
    # who goes back to what was approved before the change has what was approved
    edit(site, "retention_days: 60", "retention_days: 90")
    edit(site, r"  - diversion_status\n", "  - charges_held_until\n  - diversion_status\n")
    assert approvals.standing(site_of(nights, tmp_path / "agreements"), LICENCE).approved


@pytest.mark.parametrize("hindered", ["lapsed", "changed", "unreadable", "above unreadable"])
def test_t10_what_must_be_withdrawn_leaves_though_nothing_else_may(
    nights, after, tmp_path, hindered, request
):
    """A revocation under a licence that has ended, waits for approval, or cannot be read, whatever key of
    the partner somebody has installed since."""
    nights.restore(after)
    first = spoken(delivered(nights, 1))
    send(nights, revoked(sent(nights)))
    folder = tmp_path / "agreements"
    site = site_of(nights, folder)
    if hindered == "lapsed":
        edit(site, "valid_until: .*", "valid_until: 2026-01-02")
    if hindered == "changed":
        edit(site, 'version: "1.0"', 'version: "1.1"')
    if hindered == "unreadable":
        edit(site, "purpose: ", "purpose: : ")
    if hindered == "above unreadable":
        above = folder / "sharing" / "riverside_treatment_data.yaml"
        above.write_text(above.read_text().replace("2031-12-31", "2031-12-32"))
    if "unreadable" in hindered:
        request.addfinalizer(partial(key_of_da(nights).write_bytes, key_of_da(nights).read_bytes()))
        openpgp.generate(tmp_path / "another", "Somebody")
        key_of_da(nights).write_bytes(openpgp.certificate(tmp_path / "another"))
    code = nights.run(2, approved=False, agreements=folder)
    assert code == (0 if hindered == "changed" else 1)
    assert bool([n for n in outbox(nights, "police") if n.endswith(nights.night(2))]) == (
        hindered != "above unreadable"
    ), "other licences go on"
    assert [n for n in outbox(nights, "harbor_case_management") if n.endswith(nights.night(2))]
    [name] = [n for n in outbox(nights) if n.startswith("000002")]
    sent_now = nights.var / "sftp" / DA / "outbox" / "diversion_status" / name
    assert not list(sent_now.glob("diversion_status.*")), "no row leaves"
    manifest = json.loads((sent_now / "manifest.json").read_text())
    assert (manifest["withdrawals_only"], manifest["rows"]) == (True, 0)
    changes = delivered(nights, 2, "diversion_status_changes")
    assert set(changes["op"]) == {"withdraw"}
    ours = first.filter(pl.col(KEY[0]).is_in(changes[KEY[0]].implode()))
    assert 2 < ours.height <= changes.height
    assert changes.drop("op", *KEY).null_count().row(0) == (changes.height,) * (changes.width - 3)
    [committed] = [
        e
        for e in ledger.entries(nights.var / "ledger" / f"{DA}.jsonl")
        if e.kind == "committed" and e.sequence == 2
    ]
    assert committed.rows == 0
    inside = nights.var / "releases" / DA / "diversion_status" / f"000002_{committed.release_id}" / "inside"
    assert accounting.read(inside / "accounting.parquet", committed.accounting_sha256).num_rows == 0
    assert "brings no rows" in (sent_now / "README.md").read_text()
    if "unreadable" in hindered:
        return
    # and no second time
    before = len(outbox(nights))
    nights.run(2, approved=False, agreements=folder)
    assert len(outbox(nights)) == before


def test_t10_a_provider_that_has_gone_is_still_told_what_to_remove(nights, after, tmp_path):
    """Its feed is no longer taken in, and no other speaks under its licence."""
    nights.restore(after)
    had = outbox(nights, "harbor_case_management")
    feeds = tmp_path / "feeds"
    shutil.copytree(REPOSITORY / "feeds", feeds)
    (feeds / "harbor_case_management.yaml").unlink()
    assert nights.run(2, feeds=feeds) == 1
    [name] = sorted(set(outbox(nights, "harbor_case_management")) - set(had))
    folder = nights.var / "sftp" / "harbor_case_management" / "outbox" / "client_justice_events" / name
    told = json.loads((folder / "manifest.json").read_text())
    assert (told["withdrawals_only"], told["rows"]) == (True, 0)
    secret = nights.stage.agencies / "harbor_case_management" / "openpgp.pgp"
    text = openpgp.decrypt((folder / "client_justice_events_changes.csv.pgp").read_bytes(), secret)
    changes = pl.read_csv(text, infer_schema=False)
    assert changes.height > 2
    assert set(changes["op"]) == {"withdraw"}


def test_one_person_s_edit_sends_no_list_of_who_was_spoken_of(nights, after, tmp_path):
    """Another recipient, in clear, under a consent rule that nothing meets: all that was said would be
    withdrawn, to there."""
    nights.restore(after)
    folder = tmp_path / "agreements"
    site = site_of(nights, folder)
    edit(site, "connection: sftp_district_attorney", "connection: sftp_police")
    edit(site, "encrypt: true", "encrypt: false")
    edit(site, r"purposes: \[DIVERSION_COORDINATION\]", "purposes: [PROGRAMME_EVALUATION]")
    before = outbox(nights, DA), outbox(nights, "police")
    assert nights.run(2, approved=False, agreements=folder) == 0
    assert outbox(nights, DA) == before[0], "by what was approved nothing is to be withdrawn"
    mine = nights.var / "sftp" / "police" / "outbox" / "diversion_status"
    assert not mine.exists()


def test_after_the_approval_the_partner_has_all_again(nights, after, tmp_path):
    nights.restore(after)
    send(nights, revoked(sent(nights)))
    assert nights.run(2) == 0
    plain = delivered(nights, 2)
    nights.restore(after)
    send(nights, revoked(sent(nights)))
    folder = tmp_path / "agreements"
    site = site_of(nights, folder)
    edit(site, 'version: "1.0"', 'version: "1.1"')
    assert nights.run(2, approved=False, agreements=folder) == 0
    assert nights.run(2, approved=True, agreements=folder) == 0
    [name] = [n for n in outbox(nights) if n.startswith("000003")]
    path = nights.var / "sftp" / DA / "outbox" / "diversion_status" / name
    secret = nights.stage.agencies / DA / "openpgp.pgp"
    told = pl.read_csv(
        openpgp.decrypt((path / "diversion_status.csv.pgp").read_bytes(), secret), infer_schema=False
    )
    assert told.equals(plain)
    changes = pl.read_csv(
        openpgp.decrypt((path / "diversion_status_changes.csv.pgp").read_bytes(), secret),
        infer_schema=False,
    )
    assert "withdraw" not in set(changes["op"])
