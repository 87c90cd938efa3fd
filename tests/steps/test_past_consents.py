"""What was over is remembered: added to and never changed, and under every version of the keys."""

from datetime import UTC, date, datetime

import polars as pl
import pyarrow as pa

from leadhub.foundation import keys as key_ring
from leadhub.identity import sealing, tokens
from leadhub.permission.consent_ends import DISPOSITION, PAST
from leadhub.steps import past_consents, tables
from leadhub.steps.site import Site

HARBOR, AT = "harbor_case_management", datetime(2026, 11, 1, 9, tzinfo=UTC)


def lines(site, *said: dict) -> pl.DataFrame:
    """Client 1's consent to the police, in a proceeding, as each of `said`."""
    number = pa.array(["1"])
    known = {
        "feed": HARBOR,
        "record_id": "r1:a",
        "client_id": sealing.seal(number, HARBOR, site.keys)[0].as_py(),
        "recipient": "police",
        "info_category": "PROGRAMME_STATUS",
        "said_on": "2026-11-02",
        "docket_no": sealing.seal(number, HARBOR, site.keys)[0].as_py(),
        "docket_no_token": tokens.shared_id_token(number, "docket_no", site.keys)[0].as_py(),
    }
    return pl.DataFrame([known | line for line in said], PAST)


def test_what_is_remembered_is_added_to_and_never_changed(site):
    revoked = lines(site, {"revoked_at": AT})
    assert past_consents.remember(site, "2026-11-02", revoked) == 1
    assert past_consents.register(site).equals(revoked)
    [first] = (site.settings.var / "seals" / "consents").iterdir()
    before = first.read_bytes()
    ended = {"ended_on": date(2026, 11, 2), "ended_by": DISPOSITION}
    landed_again = lines(site, {"revoked_at": AT, "said_on": "2026-11-03"})
    corrected = lines(site, {"revoked_at": AT.replace(hour=10, microsecond=7)}, ended)
    assert past_consents.remember(site, "2026-11-03", pl.concat([revoked, corrected])) == 2
    assert past_consents.remember(site, "2026-11-03", corrected) == 0, "run again, the same"
    assert past_consents.remember(site, "2026-11-04", revoked.clear()) == 0, "absence changes nothing"
    assert past_consents.register(site).equals(pl.concat([revoked, corrected]))
    assert first.read_bytes() == before
    assert past_consents.remember(site, "2026-11-05", landed_again) == 1, "said anew after a correction"


def test_a_night_that_is_run_again_adds_to_what_it_had_said(site):
    one, other = lines(site, {"revoked_at": AT}), lines(site, {"revoked_at": AT, "record_id": "r1:b"})
    past_consents.remember(site, "2026-11-02", one)
    past_consents.remember(site, "2026-11-02", other)
    assert past_consents.register(site).equals(pl.concat([one, other]))


def test_the_register_outlives_a_rotation_of_the_key_of_ids(site):
    before = {"ended_on": date(2026, 11, 2), "ended_by": DISPOSITION}
    past_consents.remember(site, "2026-11-02", lines(site, before))
    keys = key_ring.rotated(site.keys, site.settings.key_state, "ids")
    later = Site(site.settings, keys, lambda _: None)
    anew = lines(later, before)
    assert anew["docket_no_token"].to_list() != lines(site, before)["docket_no_token"].to_list()
    assert past_consents.register(later).equals(anew)
    assert past_consents.remember(later, "2026-11-03", anew) == 0, "each line once"


def test_a_feed_that_has_the_table_no_longer_keeps_what_it_has(site):
    said = [{"feed": HARBOR, "order_id": "s1:x"}]
    assert tables.brought_up(site, "seal_orders", said, ("feed", "order_id")) == said
