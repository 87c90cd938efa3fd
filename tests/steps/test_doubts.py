"""Whose a refused restriction is, from what landing read to what publishing withholds."""

import polars as pl
import pyarrow as pa

from leadhub.casework.seals import UNREAD
from leadhub.foundation import keys as key_ring
from leadhub.identity import sealing
from leadhub.intake import quarantine
from leadhub.intake.mapping import DTYPES, Mapped, to_arrow
from leadhub.intake.validation import Judged
from leadhub.permission import consent
from leadhub.steps import doubts
from leadhub.steps.site import Site
from leadhub.steps.tables import core_table
from schemas import contract

HARBOR, DA = "harbor_case_management", "da_cases"
FAULTS = pa.schema([("row", pa.int32()), ("column", pa.string()), ("reason", pa.string())])


def test_every_restriction_is_a_table_of_a_contract_with_these_ids():
    import schemas.da
    import schemas.provider

    models = contract.tables_of(schemas.da) | contract.tables_of(schemas.provider)
    for table, columns in quarantine.RESTRICTIONS.items():
        facts = contract.facts(models[table])
        assert {facts.column(c).sensitivity for c in columns} <= {"local_id", "shared_id"}
        tokens = {f"{c}_token" for c in columns if facts.column(c).sensitivity == "shared_id"}
        assert {*columns, *tokens} <= set(quarantine.NAMED)


def mapped(site, feed: str, table: str, rows: dict[int, dict]) -> Mapped:
    facts = site.facts(site.feeds[feed])[table]
    schema = {"_row": pl.Int32, **{c.name: DTYPES[c.type] for c in facts.columns}}
    frame = pl.DataFrame([{"_row": n} | row for n, row in rows.items()], schema)
    return Mapped(frame, pl.DataFrame(), len(rows))


def judged(site, feed: str, table: str, found: Mapped, *faults) -> Judged:
    refused = pa.Table.from_pylist([dict(zip(FAULTS.names, f)) for f in faults], FAULTS)
    good = found.frame.filter(~pl.col("_row").is_in([f[0] for f in faults]))
    return Judged(to_arrow(good, site.facts(site.feeds[feed])[table]), refused, found.read)


def named(site, feed, table, rows, faults, others=None, before=None) -> dict[int, dict]:
    frames = {t: mapped(site, feed, t, held) for t, held in (others or {}).items()}
    frames[table] = mapped(site, feed, table, rows)
    found = {table: judged(site, feed, table, frames[table], *faults)}
    told = doubts.named(site, site.feeds[feed], found, frames, {}, before or {})
    return {row.pop("row"): row for row in told[table].to_pylist()}


def test_a_row_names_whom_its_source_holds_or_held_and_else_nobody(site):
    numbers = pa.array(["held", "refused", "earlier", "mistyped"])
    held, refused, earlier, mistyped = sealing.seal(numbers, HARBOR, site.keys).to_pylist()
    version = site.lake.write(core_table(HARBOR, "consents"), pa.table({"client_id": [earlier]}))
    line = {"consent_id": "N1", "recipient": "police", "info_category": "HOUSING"}
    rows = {
        2: line | {"client_id": "held"},
        3: line | {"client_id": "refused", "consent_id": "N2"},
        4: line | {"client_id": "earlier", "consent_id": "N3"},
        5: line | {"client_id": "mistyped", "consent_id": "N4"},
        6: line | {"client_id": None, "consent_id": "N5"},
        8: line | {"client_id": "held", "consent_id": "N6"},
        9: line | {"client_id": "held", "consent_id": "N6"},
    }
    faults = [(n, "revoked_at", "unparsable_timestamp") for n in range(2, 7)]
    faults += [(7, None, "wrong_field_count"), (9, "consent_id", "duplicate_key"), (10, None, "blank_line")]
    rows |= {11: {}, 12: {}}
    faults += [(11, c, r) for c, r in (("client_id", "missing_value"), ("expires_on", "rule:x"))]
    faults += [(12, "client_id", "missing_value"), (12, "signed_on", "unparsable_date")]
    clients = {2: {"client_id": "held"}, 3: {"client_id": "refused"}}
    before = {"consents": {"version": version}}
    found = named(site, HARBOR, "consents", rows, faults, {"clients": clients}, before)
    assert {row: (said["client_id"], said["names_nobody"]) for row, said in found.items()} == {
        2: (held, False),
        3: (refused, False),
        4: (earlier, False),
        5: (mistyped, True),
        6: (None, True),
        7: (None, True),
        12: (None, True),
    }, "and an empty row, or the twin of an accepted one, takes nothing back"


def test_a_refused_episode_may_be_an_exit_unless_it_plainly_is_none(site):
    exited = pl.Series([20400], dtype=pl.Date)[0]
    rows = {
        2: {"exited_on": exited},
        3: {"exit_reason": "COMPLETED"},
        4: {},
        5: {},
        6: {"exited_on": exited, "client_id": "mistyped"},
        7: {"client_id": "mistyped"},
    }
    rows = {n: {"episode_id": f"E{n}", "client_id": "held"} | row for n, row in rows.items()}
    faults = [(n, "exit_reason", "rule:given_exactly_where_exited") for n in (2, 3)]
    faults += [(4, "exited_on", "unparsable_date"), (5, "service_type", "unknown_code")]
    faults += [(n, "client_id", "reference_missing") for n in (6, 7)] + [(8, None, "wrong_field_count")]
    found = named(site, HARBOR, "episodes", rows, faults, {"clients": {2: {"client_id": "held"}}})
    assert {row: said["names_nobody"] for row, said in found.items()} == {
        2: False,
        3: False,
        4: False,
        6: True,
        8: True,
    }, "of 5 and 7 the treatment goes on, whoever they are"


def test_an_order_names_an_arrest_by_a_number_that_others_issue(site):
    rows = {
        2: {"order_id": "O1", "arrest_no": "A1"},
        3: {"order_id": "O2", "da_case_no": "C1"},
        4: {"order_id": "O3", "da_case_no": "C9"},
        5: {"order_id": "O4"},
    }
    faults = [(n, "effective_on", "unparsable_date") for n in rows]
    found = named(site, DA, "seal_orders", rows, faults, {"cases": {2: {"da_case_no": "C1"}}})
    assert {row: said["names_nobody"] for row, said in found.items()} == {
        2: False,
        3: False,
        4: True,
        5: True,
    }
    assert found[2]["arrest_no_token"].startswith("t1:")
    assert found[4]["da_case_no"], "should that case come, it is withheld"


def opened(site, *rows: dict, feed: str = HARBOR) -> dict[str, int]:
    """A feed's quarantine as a night's tables name it."""
    fault = {"feed": feed, "table": "consents", "drop_id": "d", "column": "revoked_at", "reason": "x"}
    named = [fault | {"names_nobody": False, "row": n} | row for n, row in enumerate(rows, 2)]
    table = pa.Table.from_pylist(named, quarantine.SCHEMA)
    return {f"quarantine_{feed}": site.lake.write(f"quarantine_{feed}", table)}


def test_doubts_outlive_a_rotation_of_the_key_of_ids(site):
    one, other = sealing.seal(pa.array(["1", "2"]), HARBOR, site.keys).to_pylist()
    versions = opened(
        site,
        {"client_id": one, "record_id": "r1:a"},
        {"client_id": other, "names_nobody": True},
        {"table": "intakes"},
        {"record_id": "r1:twin"},
        {"table": "episodes", "client_id": one, "record_id": "r1:e"},
        {"table": "episodes", "record_id": "r1:plain"},
    )
    keys = key_ring.rotated(site.keys, site.settings.key_state, "ids")
    found = doubts.consents(Site(site.settings, keys, lambda _: None), versions)
    assert found.schema == pl.Schema(consent.DOUBTED)
    [anew] = sealing.seal(pa.array(["1"]), HARBOR, keys).to_pylist()
    assert anew != one
    treatment = (HARBOR, anew, None, "END_OF_TREATMENT")
    assert found.rows() == [(HARBOR, None, None, None), treatment, (HARBOR, anew, "r1:a", None)]
    kept = site.lake.read(f"quarantine_{HARBOR}", versions[f"quarantine_{HARBOR}"])
    later = doubts.brought_up(Site(site.settings, keys, lambda _: None), site.feeds[HARBOR], kept)
    assert later.num_rows == kept.num_rows
    assert not any(n.startswith("s1:") for n in later["client_id"].to_pylist() if n), "as a night keeps it"


def test_stewards_are_told_of_row_and_rule_and_of_no_value(site):
    versions = opened(site, {"names_nobody": True, "client_id": "s1:secret"}, {"client_id": "s1:x"})
    table = site.lake.read(f"quarantine_{HARBOR}", versions[f"quarantine_{HARBOR}"])
    [row] = doubts.nameless(table)
    said = doubts.told([row])
    assert "row 2 of [consents] in drop d (revoked_at: x)" in said
    assert "no consent of this feed counts" in said
    assert "secret" not in said
    assert "may still be delivered" in doubts.told([row | {"table": "seal_orders"}])
    treated = row | {"table": "episodes"}
    assert "that ends with the treatment counts" in doubts.told([treated])
    assert "no consent of this feed counts" in doubts.told([treated, row])


def test_a_refused_row_of_the_office_is_told_once_with_all_that_it_names(site):
    case, arrest = sealing.seal(pa.array(["C1", "A1"]), "district_attorney", site.keys).to_pylist()
    versions = opened(
        site,
        {"table": "dispositions", "da_case_no": case, "opened_on": "2026-11-02"},
        {"table": "dispositions", "da_case_no": case, "opened_on": "2026-11-01", "row": 2},
        {"table": "seal_orders", "arrest_no": arrest, "arrest_no_token": "t1:A1"},
        {"table": "seal_orders", "names_nobody": True},
        {"table": "dispositions", "record_id": "r1:twin"},
        {"table": "cases", "da_case_no": case},
        feed=DA,
    )
    found = doubts.cases(site, versions)
    assert found.column_names == list(UNREAD)
    names = ("table", "da_case_no", "arrest_no_token", "opened_on")
    assert [tuple(r[n] for n in names) for r in found.to_pylist()] == [
        ("dispositions", case, None, "2026-11-01"),
        ("seal_orders", None, "t1:A1", None),
        ("seal_orders", None, None, None),
    ]


def test_a_quarantine_of_tonight_counts_and_else_the_one_before():
    feeds = {"a": {"quarantine": {"version": 7}}, "b": {"quarantine": None}, "c": {"quarantine": None}}
    before = {"quarantine_a": 1, "quarantine_b": 2, "other": 3}
    assert doubts.versions(feeds, before) == {"quarantine_a": 7, "quarantine_b": 2}
