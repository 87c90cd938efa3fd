"""What was withdrawn is asked after until the partner says that it is gone."""

import json
import shutil
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from connectors.base import connection_from_environment
from leadhub.cli import app
from leadhub.foundation import clock, files, ledger
from leadhub.foundation.settings import Settings
from leadhub.steps import recalls
from leadhub.steps.site import open_site
from tests.night.clinic import send, sent
from tests.night.test_revocation import delivered, revoked

pytestmark = pytest.mark.timeout(300)
DA, DATASET = "district_attorney", "diversion_status"


@pytest.fixture(scope="module")
def withdrawn(nights, after, tmp_path_factory):
    """After the second night, on which consents were revoked."""
    nights.restore(after)
    send(nights, revoked(sent(nights)))
    assert nights.run(2) == 0
    where = tmp_path_factory.mktemp("withdrawn")
    nights.save(where)
    yield where
    nights.restore()


@pytest.fixture
def site(nights, withdrawn):
    nights.restore(withdrawn)
    return open_site(connection_from_environment, Settings(var=nights.var))


def answer(nights, number: int = 2, **changed) -> None:
    [folder] = (nights.var / "sftp" / DA / "outbox" / DATASET).glob(f"{number:06d}_*")
    said = {
        "format": "leadhub-acknowledgement/1",
        "dataset": DATASET,
        "sequence": number,
        "manifest_sha256": files.sha256_file(folder / "manifest.json"),
        "outcome": "REMOVED",
    } | changed
    outbox = nights.var / "sftp" / DA / "outbox"
    (outbox / f"acknowledged_{DATASET}_{number:06d}.json").write_text(json.dumps(said))


def of_the_da(site):
    [found] = [r for r in recalls.listed(site) if r["partner"] == DA]
    return found


def test_a_delivery_that_withdraws_is_a_recall_and_one_that_does_not_is_none(nights, site):
    changes = delivered(nights, 2, f"{DATASET}_changes")
    found = of_the_da(site)
    assert (found["sequence"], found["state"]) == (2, "open")
    assert found["rows"] == changes["op"].to_list().count("withdraw") > 2


def test_the_readme_says_how_to_answer(nights, site):
    [folder] = (nights.var / "sftp" / DA / "outbox" / DATASET).glob("000002_*")
    told = (folder / "README.md").read_text()
    assert f"acknowledged_{DATASET}_000002.json" in told
    assert "within 10 days" in told


@pytest.mark.parametrize("outcome", ["REMOVED", "REMOVED_BUT_PASSED_ON", "NOT_REMOVED"])
def test_an_acknowledgement_is_taken_once_and_stands_in_the_ledger(nights, site, outcome):
    answer(nights, outcome=outcome)
    said = recalls.collect(site)
    assert (said["taken"], said["refused"]) == (1, [])
    assert ("did not carry out" in said["text"]) == (outcome == "NOT_REMOVED")
    assert of_the_da(site)["state"] == outcome
    assert not list((nights.var / "sftp" / DA / "outbox").glob("acknowledged_*"))
    last = ledger.entries(nights.var / "ledger" / f"{DA}.jsonl")[-1]
    assert (last.kind, last.sequence, last.note) == ("acknowledged", 2, outcome)
    assert recalls.collect(site)["taken"] == 0


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"manifest_sha256": "0" * 64}, "SHA-256"),
        ({"outcome": "yes"}, "outcome"),
        ({"outcome": ["REMOVED"]}, "outcome"),
        ({"sequence": 2.0}, "number of its own name"),
        ({"sequence": 1}, "number of its own name"),
        ({"why": "SOMEBODY SAID SO"}, "exactly the keys"),
    ],
)
def test_what_is_no_acknowledgement_is_told_of_and_taken_for_none(nights, site, changed, rule):
    answer(nights, **changed)
    [refused] = recalls.collect(site)["refused"]
    assert rule in refused
    assert "SOMEBODY" not in refused
    assert of_the_da(site)["state"] == "open"
    assert list((nights.var / "sftp" / DA / "outbox").glob("acknowledged_*"))


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"\xff\xfe", "no JSON"),
        (b"[" * 16_000, "no JSON"),
        (b'{"outcome": "REMOVED", "outcome": "REMOVED"}', "no JSON"),
        (b" " * 20_000, "no small plain file"),
    ],
)
def test_no_json_is_told_of_too(nights, site, content, rule):
    (nights.var / "sftp" / DA / "outbox" / f"acknowledged_{DATASET}_000002.json").write_bytes(content)
    assert rule in recalls.collect(site)["refused"][0]


def test_what_was_not_removed_is_asked_after_until_it_is(nights, site):
    answer(nights, outcome="NOT_REMOVED")
    assert "did not carry out" in recalls.collect(site)["text"]
    answer(nights, outcome="REMOVED")
    assert recalls.collect(site)["text"] == ""
    assert of_the_da(site)["state"] == "REMOVED"


def test_after_ten_days_it_is_overdue_and_stewards_hear_of_it(nights, site, monkeypatch):
    assert recalls.collect(site)["text"] == ""
    later = clock.now() + timedelta(days=12)
    monkeypatch.setenv(clock.VARIABLE, later.isoformat())
    said = recalls.collect(site)
    assert f"{DA}/{DATASET}/000002" in said["overdue"]
    assert "not acknowledged in time" in said["text"]
    monkeypatch.setenv("LEADHUB_VAR", str(nights.var))
    shown = CliRunner().invoke(app, ["recalls", "list", "--waiting", "--json"])
    assert {r["state"] for r in json.loads(shown.output) if r["partner"] == DA} == {"overdue"}
    answer(nights)
    assert "1 acknowledged now" in CliRunner().invoke(app, ["recalls", "collect"]).output


def test_an_agreement_whose_file_is_gone_is_told_of_every_day(nights, site, tmp_path):
    assert recalls.abandoned(site) == []
    shutil.copytree(site.settings.agreements, tmp_path / "agreements")
    (tmp_path / "agreements" / f"{DA}__{DATASET}.yaml").unlink()
    edited = open_site(
        connection_from_environment, Settings(var=nights.var, agreements=tmp_path / "agreements")
    )
    for _ in range(2):
        said = recalls.collect(edited)
        assert said["abandoned"] == [f"{DA}/{DATASET}"]
        assert "put the file back" in said["text"]


def test_a_later_acknowledgement_speaks_for_the_earlier_ones(nights, site):
    send(nights, sent(nights), 3)
    assert nights.run(3) == 0
    send(nights, revoked(sent(nights)), 4)
    assert nights.run(4) == 0
    open_ones = [r["sequence"] for r in recalls.listed(site) if r["partner"] == DA]
    assert open_ones == [2, 4]
    answer(nights, 4, outcome="NOT_REMOVED")
    recalls.collect(site)
    states = {r["sequence"]: r["state"] for r in recalls.listed(site) if r["partner"] == DA}
    assert states == {2: "open", 4: "NOT_REMOVED"}
    answer(nights, 4)
    recalls.collect(site)
    assert {r["state"] for r in recalls.listed(site) if r["partner"] == DA} == {"REMOVED"}
