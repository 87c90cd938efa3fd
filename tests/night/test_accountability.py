"""T8: a person's accounting is what was shipped, line by line; and who stood in a delivery."""

import json
import sys

import pyarrow as pa
import pytest

from connectors.base import connection_from_environment
from leadhub import cli
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import Settings
from leadhub.identity import sealing
from leadhub.permission import fhir
from leadhub.release import letter
from leadhub.release.store import Store
from leadhub.steps import accountability, departed
from leadhub.steps.site import open_site
from tests.night.clinic import send, sent

pytestmark = pytest.mark.timeout(300)
DA, DATASET = "district_attorney", "diversion_status"
CLINIC = "harbor_case_management"
AGENCIES = (DA, CLINIC, "police", "riverside_treatment")


@pytest.fixture(scope="module")
def site(nights, first_night):
    nights.restore(first_night)
    found = open_site(connection_from_environment, Settings(var=nights.var))
    # one of whom something was told is a client no more
    leaving = min(shipped(found, CLINIC, "client_justice_events", "client_id"))
    staying = {t: [r for r in rows if r["client_id"] != leaving] for t, rows in sent(nights).items()}
    send(nights, staying)
    assert nights.run(2) == 0
    yield found
    nights.restore()


def shipped(site, partner: str, dataset: str, column: str) -> dict[str, int]:
    """The partner's own id → rows of the last delivery."""
    rows = Store(site.settings.var, partner, dataset).latest().rows
    ids = sealing.open_sealed(rows.column(column), partner, site.keys).to_pylist()
    return {i: ids.count(i) for i in ids}


def test_t8_each_persons_accounting_is_the_rows_that_were_shipped(site):
    last = Store(site.settings.var, DA, DATASET).committed()
    rows = shipped(site, DA, DATASET, "da_defendant_id")
    assert sum(rows.values()) == last.rows
    for defendant, count in rows.items():
        found = accountability.accounting_of(site, DA, defendant)["disclosures"]
        mine = [d for d in found if (d["partner"], d["delivery"]) == (DA, last.sequence)]
        assert len([d for d in mine if d["certain"]]) == count
        assert {d["agreement"] for d in mine} == {f"{DA}__{DATASET}"}


def test_a_consent_is_named_to_the_agency_that_holds_it_alone(site):
    dataset = "client_justice_events"
    client = next(iter(shipped(site, CLINIC, dataset, "client_id")))
    found = accountability.accounting_of(site, CLINIC, client)["disclosures"]
    named = {d["consent"] for d in found if d["partner"] == CLINIC}
    assert named
    assert not named & {None, "of another provider"}
    with pytest.raises(TerminalError, match="no person by that number"):
        accountability.accounting_of(site, DA, client)


def test_a_steward_sees_each_line_of_a_consent_and_why_it_does_not_count(site, nights, monkeypatch, capsys):
    monkeypatch.setenv("LEADHUB_VAR", str(nights.var))
    client = next(iter(shipped(site, CLINIC, "client_justice_events", "client_id")))

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["leadhub", "consent", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out + said.err

    ask = ("--agency", CLINIC, "--local-id", client)
    code, said = run("show", *ask, "--json")
    now = json.loads(said)
    assert code == 0
    shipped_by = f"{CLINIC}__client_justice_events"
    assert [line["counts"] for line in now if line["agreement"] == shipped_by].count(True) >= 1
    before = json.loads(run("show", *ask, "--json", "--at", "2001-01-01")[1])
    assert len(before) == len(now)
    assert all(line["reasons"] and all(r["citation"] for r in line["reasons"]) for line in before)
    assert "42 CFR" in run("show", *ask, "--at", "2001-01-01")[1]
    told = json.loads(run("export", *ask)[1])
    rows = fhir.rows(told, CLINIC, name="x")
    assert {r["client_id"] for r in rows} == {client}
    assert {r["consent_id"] for r in rows} == {line["consent_id"] for line in now}
    assert run("show", "--agency", CLINIC, "--local-id", "HC-nobody")[0] == 70
    assert run("show", "--agency", DA, "--local-id", client)[0] == 70
    assert run("show", *ask, "--at", "yesterday")[0] == 70


def test_who_was_in_a_delivery(site):
    last = Store(site.settings.var, DA, DATASET).committed()
    rows = shipped(site, DA, DATASET, "da_defendant_id")
    found = accountability.breach(site, DA, DATASET, last.sequence, DA)
    assert set(rows) <= set(found["own_ids"])
    assert found["rows"] == last.rows
    # a provider learns of those whose consent it holds, the police of nobody
    clinic = accountability.breach(site, DA, DATASET, last.sequence, CLINIC)["own_ids"]
    assert len(clinic) < len(found["persons"])
    assert accountability.breach(site, DA, DATASET, last.sequence, "police")["own_ids"] == []
    assert found["without_number"] == 0
    with pytest.raises(TerminalError, match="never got delivery"):
        accountability.breach(site, DA, DATASET, 99)


def test_whom_an_agency_no_longer_names_is_accounted_for_when_older_nights_are_gone(site, nights):
    """And a number that nobody had is told from it."""
    manifests = [site.lake.night(n) for n in site.lake.nights()]
    gone = [who for agency in AGENCIES for who in left(site, manifests, agency)]
    assert gone
    told = [accountability.accounting_of(site, *who)["disclosures"] for who in gone]
    assert any(told)
    last = manifests[-1]
    for zone in ("feeds", "linkage", "casework"):
        site.lake.vacuum(zone, {name: {version} for name, version in last["tables"].items()})
    assert [accountability.accounting_of(site, *who)["disclosures"] for who in gone] == told
    with pytest.raises(TerminalError, match="no person by that number"):
        accountability.accounting_of(site, CLINIC, "HC-nobody")
    ours = Store(site.settings.var, CLINIC, "client_justice_events").latest().sequence
    lost = accountability.breach(site, CLINIC, "client_justice_events", ours, CLINIC)
    assert lost["without_number"] == 0


def left(site, manifests, agency: str) -> list[tuple[str, str]]:
    then, now = (
        {n for _, t in departed.numbered(site, m["feeds"], agency) for n in t["number"]} for m in manifests
    )
    opened = sealing.open_sealed(pa.array(sorted(then - now), pa.string()), agency, site.keys)
    return [(agency, number) for number in opened.to_pylist()]


def event(night: int, kind: str, person: str, other: str | None = None) -> dict:
    return {"night": f"2026-11-{night:02}", "event": kind, "person_id": person, "other_person_id": other}


def test_who_left_is_followed_through_merges_and_uncertain_after_a_split():
    merged = [event(3, "merge", "a", "b")]
    assert accountability.bore({"b": "2026-11-02"}, merged) == {"b": accountability.Borne()}
    assert set(accountability.bore({"a": "2026-11-05"}, merged)) == {"a", "b"}
    parted = accountability.bore({"a": "2026-11-02"}, [event(4, "split", "c", "a")])
    assert parted["a"].certain_from > "2100", "nobody knows to which part the record belonged"


def test_whoever_stood_in_a_delivery_is_looked_for_under_every_later_id():
    events = [event(3, "merge", "a", "b"), event(4, "split", "c", "a"), event(5, "gone", "x")]
    assert accountability.became("b", events) == {"a", "b", "c"}
    assert accountability.became("x", events) == {"x"}


def test_the_letter_says_what_a_participant_can_read(site):
    defendant = next(iter(shipped(site, DA, DATASET, "da_defendant_id")))
    found = accountability.accounting_of(site, DA, defendant)
    text = letter.letter(found, contact="stewards@example.org")
    assert "<td>district attorney</td>" in text
    assert text.count("<tr>") == 1 + len(found["disclosures"])
    assert "Nothing about you" in letter.letter(found | {"disclosures": []}, contact="x")


def test_the_commands(site, nights, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("LEADHUB_VAR", str(nights.var))
    defendant = next(iter(shipped(site, DA, DATASET, "da_defendant_id")))

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["leadhub", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out + said.err

    ask = ("accounting", "--agency", DA, "--local-id", defendant)
    code, said = run(*ask, "--json", "--letter", str(tmp_path / "answer.html"))
    assert code == 0
    assert json.loads(said)["disclosures"]
    assert "Accounting of disclosures" in (tmp_path / "answer.html").read_text()
    code, said = run(*ask)
    assert code == 0
    assert DATASET in said
    code, said = run("breach", "--delivery", f"{DA}/{DATASET}/000001")
    assert code == 0
    assert "persons" in said
    code, said = run("breach", "--delivery", "nonsense")
    assert code == 70
