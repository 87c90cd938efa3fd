"""Forbidden evidence: what is sealed, or not consented to, is never made into tokens, and joins nobody."""

from datetime import UTC, date, datetime

import polars as pl
import pyarrow as pa
import pytest

from leadhub.foundation.keys import Keys
from leadhub.foundation.settings import REPOSITORY
from leadhub.identity import crosswalk, linkage, tokens
from leadhub.identity.linkage.schema import person
from leadhub.identity.pseudonymise import Linkable, pseudonymise
from leadhub.identity.sealing import seal
from leadhub.intake import feeds
from leadhub.permission import consent, linking
from leadhub.permission.consent_ends import PAST
from schemas import da
from schemas.contract import facts
from tests.casework.desk import NO_SEALS

KEYS = Keys(bytes(range(32)))
DEFENDANTS = facts(da.Defendants)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ZONE = "America/New_York"
DA = feeds.load(REPOSITORY / "feeds", "da_cases")
RULE = feeds.LinkageConsent(
    recipient="harbor_case_management",
    category="PROGRAMME_STATUS",
    purposes=["CARE_COORDINATION"],
    part2_types=["PART2_SPECIFIC"],
)
PROVIDER = feeds.load(REPOSITORY / "feeds", "riverside_treatment").model_copy(
    update={"linkage_consent": RULE}
)


def defendants(*numbers: str) -> pa.Table:
    """One and the same person, whatever the number."""
    given = {"last_name": "Quackenbush", "first_name": "Thaddeus", "nysid": "01234567A", "sex": "M"}
    rows = [
        {c.name: None for c in DEFENDANTS.columns}
        | given
        | {"defendant_id": n, "date_of_birth": date(1980, 3, 4), "updated_at": NOW}
        for n in numbers
    ]
    kinds = {"date": pa.date32(), "timestamp": pa.timestamp("us", "UTC"), "string": pa.string()}
    return pa.Table.from_pylist(rows, pa.schema([(c.name, kinds[c.type]) for c in DEFENDANTS.columns]))


def made(feed: str, *numbers: str, linkable: Linkable | None = None):
    return pseudonymise(
        defendants(*numbers),
        DEFENDANTS,
        feed=feed,
        agency="da",
        night="2026-11-23",
        keys=KEYS,
        linkable=linkable,
    )


def sealed(*numbers: str) -> pl.Series:
    return pl.Series(seal(pa.array(numbers), "da", KEYS).to_pylist())


def token_columns(table: pa.Table) -> list[str]:
    return [c for c in table.column_names if c not in ("record_id", "feed", "marker")]


def cases(**of: tuple[str, str | None]) -> dict[str, pa.Table]:
    """Case → defendant and the provision it is sealed under."""
    return {
        "cases": pa.table(
            {
                "da_case_no": list(of),
                "defendant_id": [d for d, _ in of.values()],
                "arrest_no_token": [f"a-{case}" for case in of],
                "cjtn_token": [f"j-{case}" for case in of],
            }
        ),
        "dispositions": pa.table(
            {
                "da_case_no": [*of, *of],
                "sealed_under": pa.array([None] * len(of) + [s for _, s in of.values()], pa.string()),
            }
        ),
    }


def test_a_defendant_of_sealed_cases_alone_may_not_be_linked():
    tables = cases(c1=("d1", "CPL_160_50"), c2=("d2", "CPL_160_50"), c3=("d2", None), c4=("d3", None))
    may = linking.linkable(DA, tables, NO_SEALS, at=NOW, time_zone=ZONE)
    assert may.among(pl.Series(["d1", "d2", "d3", "d4"])).to_list() == [False, True, True, True]


@pytest.mark.parametrize(
    ("order", "counts"),
    [
        ({"scope": "CASE", "da_case_no": "c1"}, True),
        ({"scope": "ARREST", "arrest_no_token": "a-c1"}, True),
        ({"scope": "ARREST", "cjtn_token": "j-c1"}, True),
        ({"scope": "CHARGE", "da_case_no": "c1"}, False),
        ({"scope": "CASE", "da_case_no": "c1", "effective_on": date(2026, 11, 24)}, False),
        ({"scope": "CASE", "da_case_no": "c1", "vacated_on": date(2026, 11, 1)}, False),
    ],
)
def test_nor_one_whose_only_case_or_its_arrest_is_ordered_sealed(order, counts):
    told = {"effective_on": date(2026, 10, 1), "vacated_on": None, "da_case_no": None} | order
    told = {"arrest_no_token": None, "cjtn_token": None} | told
    types = {n: pa.date32() if n.endswith("_on") else pa.string() for n in told}
    orders = pa.table({n: pa.array([v], types[n]) for n, v in told.items()})
    tables = {**cases(c1=("d1", None), c2=("d2", None)), "seal_orders": orders}
    may = linking.linkable(DA, tables, NO_SEALS, at=NOW, time_zone=ZONE)
    assert may.among(pl.Series(["d1", "d2"])).to_list() == [not counts, True]


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({}, True),
        ({"consent_type": "LEAD_ROI"}, False),
        ({"recipient": "police"}, False),
        ({"purpose": "PAYMENT"}, False),
        ({"expires_on": date(2026, 11, 22)}, False),
        ({"revoked_at": datetime(2026, 11, 23, 11, tzinfo=UTC)}, False),
        ({"client_id": "c2"}, False),
        ({"known_false": True}, False),
    ],
)
def test_a_client_is_linked_by_a_consent_that_counts_now_where_the_feed_asks_for_one(changed, counts):
    line = {
        "record_id": "r1",
        "landed_on": "2026-11-20",
        "consent_id": "k1",
        "client_id": "c1",
        "consent_type": "PART2_SPECIFIC",
        "recipient": "harbor_case_management",
        "info_category": "PROGRAMME_STATUS",
        "purpose": "CARE_COORDINATION",
        "signed_on": date(2026, 1, 1),
        "expires_on": date(2027, 1, 1),
        "expiry_event": None,
        "docket_no_token": None,
        "revoked_at": None,
        "discloser": "THIS_PROGRAMME",
        "signer": "PATIENT",
        "revocable": "IN_WRITING",
        "tpo_statement": None,
        "known_false": False,
    } | changed
    text = ("expiry_event", "docket_no_token")
    types = dict.fromkeys(text, pl.String) | {
        "tpo_statement": pl.Boolean,
        "revoked_at": pl.Datetime("us", "UTC"),
    }
    tables = {"consents": pl.DataFrame([line], schema_overrides=types).to_arrow()}
    told = {"at": NOW, "time_zone": ZONE}
    may = linking.linkable(PROVIDER, tables, NO_SEALS, **told)
    assert may.among(pl.Series(["c1"])).to_list() == [counts]
    doubted = pl.DataFrame([(PROVIDER.id, None, None, None)], consent.DOUBTED, orient="row")
    taken_back = {**line, "feed": PROVIDER.id, "record_id": "r0", "revoked_at": NOW}
    past = pl.DataFrame([{n: taken_back.get(n) for n in PAST}], PAST)
    for known in ({"doubted": doubted}, {"past": past}):
        assert not linking.linkable(PROVIDER, tables, NO_SEALS, **told, **known).among(pl.Series(["c1"]))[0]


def test_a_feed_that_asks_for_no_consent_links_all():
    provider = PROVIDER.model_copy(update={"linkage_consent": None})
    assert linking.linkable(provider, {}, NO_SEALS, at=NOW, time_zone=ZONE) is None


def test_what_is_barred_never_reaches_the_tokeniser_and_keeps_its_row(monkeypatch):
    seen = []
    tokenise = tokens.tokenise
    monkeypatch.setattr(tokens, "tokenise", lambda t, **of: (seen.append(t), tokenise(t, **of))[1])
    found = made("da", "d1", "d2", linkable=Linkable("defendant_id", sealed("d1"), listed=False))
    of = dict(zip(found.rows["defendant_id"].to_pylist(), found.rows["record_id"].to_pylist()))
    barred = of[sealed("d1")[0]]
    given = {r.pop("record_id"): r for r in seen[0].to_pylist()}
    assert set(given[barred].values()) == {None}
    by_id = {r["record_id"]: r for r in found.tokens.to_pylist()}
    columns = token_columns(found.tokens)
    assert len(by_id) == 2
    assert {by_id[barred][c] for c in columns} == {None}
    assert all(any(r[c] for c in columns) for i, r in by_id.items() if i != barred)


def test_tokens_of_earlier_nights_go_when_a_seal_comes():
    known = made("da", "d1", "d2").tokens
    gone = known["record_id"].to_pylist()[:1]
    left = tokens.without(known, pl.Series(gone)).to_pylist()
    assert all(left[0][c] is None for c in token_columns(known))
    assert left[1] == known.to_pylist()[1]
    assert tokens.without(known, pl.Series(gone)).schema.equals(known.schema)


def test_a_barred_record_joins_nobody_and_what_it_bridged_comes_apart():
    """a and c meet through b alone: they share nothing with each other."""
    whole = pa.concat_tables([made(f, f).tokens for f in "abc"])
    bridge = dict(zip(whole["feed"].to_pylist(), whole["record_id"].to_pylist()))
    names, birth = _halves()
    parts = [
        _only(made("a", "a").tokens, names),
        made("b", "b").tokens,
        _only(made("c", "c").tokens, birth),
    ]
    before = _night(pa.concat_tables(parts), None, 0)
    assert len(set(before.crosswalk["person_id"].to_pylist())) == 1
    barred = made("b", "b", linkable=Linkable("defendant_id", sealed("b"), listed=False)).tokens
    table = pa.concat_tables([parts[0], barred, parts[2]])
    assert linkage.link(table, one_per_person=frozenset()).pairs.num_rows == 0
    after = _night(table, before.crosswalk, before.counter)
    assert len(set(after.crosswalk["person_id"].to_pylist())) == 3
    assert set(after.events["event"].to_pylist()) == {"split"}
    assert bridge["b"] in after.crosswalk["record_id"].to_pylist()


def _halves() -> tuple[set[str], set[str]]:
    """Keys of the surname without the birth date, and of the birth date: no key is in both."""
    keys = person().key_names
    dated = {f"k_{k}" for k in keys if any(p in k for p in ("dob", "month", "day"))}
    return {f"k_{k}" for k in keys} - dated, dated


def _only(table: pa.Table, kept: set[str]) -> pa.Table:
    frame = pl.DataFrame(pl.from_arrow(table))
    blank = (pl.lit(None, frame.schema[c]).alias(c) for c in token_columns(table) if c not in kept)
    return frame.with_columns(*blank).to_arrow().cast(table.schema)


def _night(table: pa.Table, previous: pa.Table | None, counter: int) -> crosswalk.Assigned:
    linked = linkage.link(table, one_per_person=frozenset())
    return crosswalk.assign(previous, linked.clusters, night="2026-11-23", counter=counter, keys=KEYS)
