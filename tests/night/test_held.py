"""A drop that cannot be judged is held whole and its agency told; the others go on (F11, F12)."""

import hashlib
import json

import pytest

from connectors.base import connection_from_environment
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import Settings
from leadhub.steps import ingest, state
from leadhub.steps.site import open_site
from leadhub.steps.upkeep import release_drop

FEED = "harbor_case_management"


@pytest.fixture
def site(nights):
    nights.restore()
    yield open_site(connection_from_environment, Settings(var=nights.var))
    nights.restore()


def _inbox(nights):
    return nights.var / "sftp" / FEED / "inbox"


def _restate(nights, change):
    """The agency's manifest, changed."""
    [path] = _inbox(nights).glob("*.manifest.json")
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def _reseal(nights, manifest):
    for file in manifest["files"]:
        data = (_inbox(nights) / file["name"]).read_bytes()
        file["sha256"], file["bytes"] = hashlib.sha256(data).hexdigest(), len(data)


def _run_until_told(site, nights, reason):
    night = nights.night(1)
    ingest.land(site, FEED, night)
    told = ingest.validate(site, FEED, night)
    assert [d["held"] for d in told["drops"]] == [reason]
    with pytest.raises(TerminalError, match=reason):
        ingest.acknowledge(site, FEED, night)
    state.pseudonymise(site, FEED, night)
    closed = state.close(site, FEED, night)
    assert (closed["status"], closed["reason"], closed["as_of"]) == ("stopped", reason, None)
    [path] = (nights.var / "sftp" / FEED / "outbox" / "acknowledgements").glob("*.ack.json")
    ack = json.loads(path.read_text())
    assert (ack["status"], ack["reason"]) == ("held", reason)
    assert ack["what_to_do"]
    return told["drops"][0]["drop_id"]


def test_f11_fewer_rows_than_the_manifest_states(site, nights):
    _restate(nights, lambda m: m["files"][0].update(rows=m["files"][0]["rows"] + 1))
    drop_id = _run_until_told(site, nights, "counts_differ")
    assert site.landing.find(FEED, drop_id) is not None, "nothing is lost"
    assert not list(_inbox(nights).glob("*.csv")), "it is kept in landing, not in the inbox"


def test_a_drop_whose_consents_cannot_be_read_changes_nothing(site, nights):
    """Clients and episodes may not run ahead of the revocations that came with them."""
    [path] = _inbox(nights).glob("consents_*.csv")
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    _restate(nights, lambda m: _reseal(nights, m))
    _run_until_told(site, nights, "unreadable_file")
    assert site.lake.receipt(nights.night(1), FEED, "close")["tables"] == {}, (
        "the last state, of no table yet"
    )


def test_f12_a_renamed_column_is_held_and_can_be_released(site, nights):
    [path] = _inbox(nights).glob("clients_*.csv")
    path.write_bytes(path.read_bytes().replace(b"last_name", b"surname_x", 1))
    _restate(nights, lambda m: _reseal(nights, m))
    drop_id = _run_until_told(site, nights, "schema_drift")
    with pytest.raises(TerminalError, match="state_invalid"):
        release_drop(site, FEED, "0" * 20)
    release_drop(site, FEED, drop_id)
    assert not ingest.is_held(site, site.landing.find(FEED, drop_id))
    site.lake.forget_receipts(nights.night(1), FEED)
    assert ingest.land(site, FEED, nights.night(1))["drops"] == [drop_id], "it is judged again"


def test_refused_rows_are_told_when_what_was_judged_beside_them_is_applied(site, nights):
    """A corrected row clears its fault in `validate`; until it is applied the fault stands."""
    night = nights.night(1)
    ingest.land(site, FEED, night)
    assert ingest.validate(site, FEED, night)["quarantine"]
    assert state.close(site, FEED, night)["status"] == "stopped"
    assert state.close(site, FEED, night)["quarantine"] is None
    state.pseudonymise(site, FEED, night)
    closed = state.close(site, FEED, night)
    assert (closed["status"], bool(closed["quarantine"])) == ("complete", True)
