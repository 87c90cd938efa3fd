"""What changes between staging and delivery, and what the partner's API gets (F34, F45, G2)."""

import base64
import json
import re
import shutil
from datetime import timedelta

import pyarrow.csv
import pytest

from connectors.base import connection_from_environment
from leadhub.foundation import clock, files, ledger, openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import Settings
from leadhub.steps import publish
from leadhub.steps.approvals import AWAITING
from leadhub.steps.site import open_site
from simulation.approvers import approve_all

pytestmark = pytest.mark.timeout(300)
AGREEMENT = "district_attorney__diversion_status"


@pytest.fixture(scope="module")
def committed(nights, tmp_path_factory):
    """A committed night of which the District Attorney has got nothing yet."""
    nights.restore()
    assert nights.run(failpoint="release.before_intent:kill") == -9
    where = tmp_path_factory.mktemp("committed")
    nights.save(where)
    return where


@pytest.fixture
def site(nights, committed, tmp_path):
    nights.restore(committed)
    shutil.copytree(Settings().agreements, tmp_path / "agreements")
    nights.stage.da.forget_pushes()
    yield open_site(
        connection_from_environment, Settings(var=nights.var, agreements=tmp_path / "agreements")
    )
    nights.restore()


def _delivered(nights, receipt):
    folder = nights.var / "sftp" / "district_attorney" / "outbox" / receipt["remote"]
    secret = nights.stage.agencies / "district_attorney" / "openpgp.pgp"
    data = openpgp.decrypt((folder / "diversion_status.csv.pgp").read_bytes(), secret)
    return pyarrow.csv.read_csv(pyarrow.BufferReader(data))


def _entries(site):
    """What was disclosed, or may have been."""
    chain = ledger.entries(site.settings.var / "ledger" / "district_attorney.jsonl")
    return [e for e in chain if e.kind not in ("proposed", "approved")]


def test_f34_a_consent_that_ends_after_staging_is_not_delivered(nights, site, monkeypatch):
    night = nights.night(1)
    staged = publish.stage(site, AGREEMENT, night)
    # every consent of the county ends within a year; the agreement lasts longer
    later = clock.now() + timedelta(days=370)
    monkeypatch.setenv(clock.VARIABLE, later.isoformat())
    receipt = publish.deliver(site, AGREEMENT, night)
    assert receipt["release_id"] != staged["release_id"]
    assert receipt["sequence"] == 1, "what nobody saw takes no number"
    assert set(_delivered(nights, receipt)["diversion_status"].to_pylist()) == {"NO_INFORMATION"}
    assert staged["release_id"] not in {e.release_id for e in _entries(site)}
    kept = {p.name for p in (site.settings.var / "releases").rglob("*") if staged["release_id"] in p.name}
    assert kept == set()


def test_what_is_delivered_while_consents_stand(nights, site):
    publish.stage(site, AGREEMENT, nights.night(1))
    receipt = publish.deliver(site, AGREEMENT, nights.night(1))
    assert len(set(_delivered(nights, receipt)["diversion_status"].to_pylist())) > 1


def test_f45_an_agreement_edited_after_staging_stops_the_delivery(nights, site):
    publish.stage(site, AGREEMENT, nights.night(1))
    path = site.settings.agreements / f"{AGREEMENT}.yaml"
    path.write_text(path.read_text().replace('version: "1.0"', 'version: "1.1"'))
    with pytest.raises(TerminalError, match="agreement_changed"):
        publish.deliver(site, AGREEMENT, nights.night(1))
    assert _entries(site) == []
    assert not (nights.var / "sftp" / "district_attorney" / "outbox" / "diversion_status").exists()
    assert publish.stage(site, AGREEMENT, nights.night(1))["status"] == AWAITING
    with pytest.raises(TerminalError, match="approval_pending"):
        publish.deliver(site, AGREEMENT, nights.night(1))
    approve_all(site)
    publish.stage(site, AGREEMENT, nights.night(1))
    assert publish.deliver(site, AGREEMENT, nights.night(1))["status"] == "committed"


def test_the_partners_api_gets_the_delivered_file_once(nights, site):
    publish.stage(site, AGREEMENT, nights.night(1))
    receipt = publish.deliver(site, AGREEMENT, nights.night(1))
    again = publish.deliver(site, AGREEMENT, nights.night(1))
    [push] = nights.stage.da.received
    body = json.loads(push.body)
    assert again["pushed"]["replayed"] is True
    assert (
        push.idempotency_key == receipt["pushed"]["idempotency_key"] == again["pushed"]["idempotency_key"]
    )
    folder = nights.var / "sftp" / "district_attorney" / "outbox" / receipt["remote"]
    assert base64.b64decode(body["content_base64"]) == (folder / body["file"]).read_bytes()
    assert body["file"].endswith(".pgp"), "encrypted on this way too"
    assert body["notice_text"].encode() == (folder / "NOTICE_42CFR2.txt").read_bytes()
    assert body["consent_scope"] == {"PROGRAMME_STATUS": ["diversion_status", "status_on"]}
    assert body["manifest_sha256"] == files.sha256_file(folder / "manifest.json")


def test_an_outbox_that_was_emptied_needs_no_push(nights, site):
    publish.stage(site, AGREEMENT, nights.night(1))
    receipt = publish.deliver(site, AGREEMENT, nights.night(1))
    shutil.rmtree(nights.var / "sftp" / "district_attorney" / "outbox" / receipt["remote"])
    assert publish.deliver(site, AGREEMENT, nights.night(1))["pushed"] == {"status": "fetched_before"}
    assert len(nights.stage.da.received) == 1


@pytest.mark.parametrize(
    "tier", [f"{AGREEMENT}.yaml", "sharing/riverside_treatment_data.yaml", "memoranda/lead.yaml"]
)
def test_t10_a_tier_that_has_ended_stops_the_release_staged_or_not(nights, site, tier):
    publish.stage(site, AGREEMENT, nights.night(1))
    path = site.settings.agreements / tier
    path.write_text(re.sub(r"valid_until: .*", "valid_until: 2026-01-02", path.read_text()))
    for act in (publish.stage, publish.deliver):
        with pytest.raises(TerminalError, match=r"agreement_not_in_force|agreement_changed"):
            act(site, AGREEMENT, nights.night(1))
    assert _entries(site) == []


def test_a_provider_without_a_sharing_agreement_is_as_if_it_were_not_there(nights, site):
    """Its clients' statements are not told; the District Attorney's rows are the same ones."""
    publish.stage(site, AGREEMENT, nights.night(1))
    with_both = _delivered(nights, publish.deliver(site, AGREEMENT, nights.night(1)))
    path = site.settings.agreements / f"{AGREEMENT}.yaml"
    path.write_text(path.read_text().replace(", harbor_case_management_data, riverside_treatment_data", ""))
    path.write_text(
        path.read_text().replace("district_attorney_data]", "district_attorney_data, PROVIDER]")
    )
    told = {}
    for provider in ("harbor_case_management_data", "riverside_treatment_data"):
        text = path.read_text()
        path.write_text(text.replace("PROVIDER", provider))
        approve_all(site)
        publish.stage(site, AGREEMENT, nights.night(1))
        told[provider] = _delivered(nights, publish.deliver(site, AGREEMENT, nights.night(1)))
        path.write_text(text)
    for one in told.values():
        assert one["da_case_no"].equals(with_both["da_case_no"])
    informed = [
        sum(s != "NO_INFORMATION" for s in t["diversion_status"].to_pylist())
        for t in (with_both, *told.values())
    ]
    assert 0 < max(informed[1:]) < informed[0] <= sum(informed[1:])
