"""What two people approve: which edit asks whom, and what is left of it for withdrawals."""

import base64
import json
import shutil

import pytest

from leadhub.casework import provisions
from leadhub.foundation import clock, files, openpgp
from leadhub.foundation import keys as key_ring
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import REPOSITORY, Settings
from leadhub.permission import consent
from leadhub.release import approval
from leadhub.steps import approvals, recalls, terms
from leadhub.steps.site import Site
from tests.documents import edit

DA = "district_attorney__diversion_status"
CASE_MANAGEMENT = "harbor_case_management__client_justice_events"
POLICE, COUNTS = "police__referral_outcomes", "policy_coordinating_group__referred_persons"
ALL = {DA, CASE_MANAGEMENT, POLICE, COUNTS}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Of three keys."""
    folder = tmp_path_factory.mktemp("keys")
    for name in "abc":
        openpgp.generate(folder / name, "A partner")
    return [openpgp.certificate(folder / name) for name in "abc"]


@pytest.fixture
def site(tmp_path, certificates):
    shutil.copytree(REPOSITORY / "agreements", tmp_path / "agreements")
    settings = Settings(agreements=tmp_path / "agreements", var=tmp_path / "var")
    found = Site(settings, key_ring.load(settings.root_key, create=True), lambda _: None)
    for name, certificate in zip(
        ("district_attorney", "harbor_case_management"), certificates, strict=False
    ):
        files.write_bytes(settings.var / "keys" / "partners" / f"{name}.asc", certificate)
    return found


def of_each(site) -> dict[str, approval.Terms]:
    return {name: terms.of(site, site.agreement(name), site.frame()) for name in sorted(ALL)}


def asked(site, before) -> dict[str, list[str]]:
    """Licence → what changed, of those that two people have to answer."""
    now = of_each(site)
    return {
        name: approval.differences(before[name].documents, now[name].documents)
        for name in now
        if now[name].subject != before[name].subject
    }


@pytest.mark.parametrize(
    ("name", "old", "new", "whom", "changed"),
    [
        (f"{POLICE}.yaml", "retention_days: 90", "retention_days: 60", {POLICE}, "licence: retention_days"),
        (
            "sharing/riverside_treatment_data.yaml",
            "valid_until: 2031",
            "valid_until: 2032",
            {DA, POLICE},
            "sharing agreement riverside_treatment_data: valid_until",
        ),
        ("memoranda/lead.yaml", "2032-12-31", "2033-12-31", ALL, "memorandum lead: valid_until"),
        (
            "statistics/referred_persons.yaml",
            "shown_from: 11",
            "shown_from: 12",
            {COUNTS},
            "counts policy: shown_from",
        ),
        ("statistics/referred_persons.yaml", "citation: CMS", "citation: The CMS", set(), ""),
        ("sharing/police_data.yaml", "title: What", "title: All that", set(), ""),
    ],
)
def test_a_changed_document_asks_of_every_licence_that_rests_on_it(site, name, old, new, whom, changed):
    before = of_each(site)
    edit(site.settings.agreements, name, old, new)
    assert asked(site, before) == {one: [changed] for one in whom}


def test_another_night_asks_nothing(site, monkeypatch):
    before = of_each(site)
    monkeypatch.setenv(clock.VARIABLE, "2027-01-05T12:00:00+00:00")
    (site.settings.var / "lake").mkdir(parents=True, exist_ok=True)
    assert asked(site, before) == {}


def test_another_key_of_the_partner_asks_and_its_absence_stops(site, certificates):
    before, path = of_each(site), site.settings.var / "keys" / "partners" / "district_attorney.asc"
    files.write_bytes(path, certificates[2])
    assert asked(site, before) == {DA: ["partner's key: fingerprint"]}
    path.unlink()
    with pytest.raises(TerminalError, match="key_missing"):
        of_each(site)
    agreed = openpgp.fingerprint(certificates[1])
    edit(
        site.settings.agreements,
        f"{DA}.yaml",
        "  encrypt: true",
        f"  encrypt: true\n  fingerprint: {agreed}",
    )
    files.write_bytes(path, certificates[2])
    with pytest.raises(TerminalError, match="recipient_key_mismatch"):
        of_each(site)


def test_who_may_have_a_sealed_record_is_asked_where_it_decides(site, monkeypatch):
    before, table = of_each(site), provisions.load()
    opening = provisions.Opening(recipient="law_enforcement", purpose="REFERRAL_FEEDBACK")
    opened = table.provisions[-1].model_copy(update={"visible_to": (opening,)})
    changed = table.model_copy(update={"provisions": (*table.provisions[:-1], opened)})
    monkeypatch.setattr(provisions, "load", lambda: changed)
    assert asked(site, before) == {POLICE: ["sealed records: open"]}


def test_who_may_not_sign_is_asked_where_consent_decides(site, monkeypatch):
    before = of_each(site)
    changed = consent.law().model_copy(update={"insufficient_signers": ()})
    monkeypatch.setattr(consent, "law", lambda: changed)
    told = ["consent rules: insufficient_signers"]
    assert asked(site, before) == dict.fromkeys((DA, CASE_MANAGEMENT, POLICE), told)


def approve(site, name: str) -> None:
    approvals.answer(site, name, "proposed", by="A")
    approvals.answer(site, name, "approved", by="B")


def test_what_was_approved_stands_whatever_becomes_of_the_files(site, certificates):
    assert approvals.approved(site, DA) is None
    approve(site, DA)
    frame, licence = site.frame(), site.agreement(DA)
    shutil.rmtree(site.settings.agreements)
    (site.settings.var / "keys" / "partners" / "district_attorney.asc").unlink()
    held = approvals.approved(site, DA)
    assert held.agreement == licence
    assert held.frame.feeds(licence) == frame.feeds(licence)
    assert held.key == certificates[0]
    assert site.licences == [DA]
    assert approvals.pending(site) == []
    assert [e.reason for e in approvals.stopped(site)] == ["agreement_invalid"]


def test_who_answers_answers_for_the_documents_that_they_saw(site):
    seen = of_each(site)[DA].subject
    edit(site.settings.agreements, "sharing/police_data.yaml", "2031-12-31", "2032-12-31")
    with pytest.raises(TerminalError, match="approval_refused: a document changed"):
        approvals.answer(site, DA, "proposed", by="A", subject_sha256=seen)
    now = of_each(site)[DA].subject
    assert approvals.answer(site, DA, "proposed", by="A", subject_sha256=now)["state"] == "proposed"


@pytest.mark.parametrize("fact", ["licence", "key", "no key"])
def test_what_is_not_as_it_was_approved_is_refused(site, certificates, fact):
    approve(site, DA)
    [path] = site.settings.approved.glob("*/*.json")
    told = json.loads(path.read_text())
    if fact == "licence":
        told["documents"]["licence"]["recipient"]["connection"] = "sftp_police"
    else:
        told["key"] = base64.b64encode(certificates[2]).decode() if fact == "key" else "-----BEGIN"
    path.write_text(json.dumps(told))
    with pytest.raises(TerminalError, match="not as they were"):
        approvals.approved(site, DA)


def test_thresholds_of_link_evidence_are_those_approved(site):
    assert approvals.asked_bits(site, [3.0]) == []
    approve(site, CASE_MANAGEMENT)
    edit(site.settings.agreements, f"{CASE_MANAGEMENT}.yaml", "min_bits: 6", "min_bits: 9")
    assert approvals.asked_bits(site, [3.0]) == [6.0]
    next(site.settings.approved.glob("*/*.json")).unlink()
    assert approvals.asked_bits(site, [3.0]) == [3.0]


def test_approved_facts_that_are_lost_stop_nobody_else_and_are_kept_anew_by_whoever_approved(site):
    for name in (POLICE, COUNTS):
        approvals.answer(site, name, "proposed", by="A")
        approvals.answer(site, name, "approved", by="B")
    [kept] = (site.settings.var / "ledger" / "approved" / POLICE).iterdir()
    before = kept.read_bytes()
    kept.unlink()
    with pytest.raises(TerminalError, match="agreement_invalid"):
        approvals.approved(site, POLICE)
    told = recalls.collect(site)["text"]
    assert POLICE in told
    assert COUNTS not in told
    approvals.answer(site, POLICE, "approved", by="B")
    assert kept.read_bytes() == before
    assert recalls.collect(site)["text"] == ""
