"""After pseudonymising no identifier is left, whatever came in; state follows the source night by night."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.foundation.vocabulary import ColumnFacts, Protection, Sensitivity, TableFacts
from leadhub.identity import tokens
from leadhub.identity.linkage.schema import person
from leadhub.identity.pseudonymise import apply, pseudonymise, record_ids
from leadhub.identity.sealing import open_sealed
from schemas import da, disputes, police, provider
from schemas.contract import facts, tables_of

KEYS = Keys(bytes(range(32)))
ARROW = {
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
}
CONTRACTS = [facts(m) for module in (police, da, provider, disputes) for m in tables_of(module).values()]
PERSONS = next(f for f in CONTRACTS if f.name == "persons")
CHARGES = next(f for f in CONTRACTS if f.name == "charges" and f.key[0] == "arrest_no")
SOURCE = {"feed": "police_records", "agency": "police", "keys": KEYS}


def column(name, sensitivity, type_="string", kind=None):
    return ColumnFacts(name, type_, True, sensitivity, Protection.CJI_NONCHRI, "", kind)


def canary_rows(table: TableFacts, count: int = 3) -> pa.Table:
    """Rows whose every text value can be told again wherever it turns up."""
    values = {
        "string": lambda c, i: f"Zq{c.name}x{i}",
        "date": lambda c, i: date(1987, 5, 6 + i),
        "timestamp": lambda c, i: datetime(2026, 11, 20, 3, i, tzinfo=UTC),
        "integer": lambda c, i: i,
        "boolean": lambda c, i: bool(i % 2),
    }
    arrays = {
        c.name: pa.array([values[c.type](c, i) for i in range(count)], ARROW[c.type]) for c in table.columns
    }
    return pa.table(arrays | {"_row": pa.array(range(count), pa.int32())})


def everything(*made: pa.Table | None) -> str:
    return "".join(str(t.to_pydict()) + str(t.schema) for t in made if t is not None)


@pytest.mark.parametrize("table", CONTRACTS, ids=lambda t: t.name)
def test_g7_only_facts_leave_as_they_came_in_every_contract(table):
    rows = canary_rows(table)
    made = pseudonymise(rows, table, night="2026-11-20", **SOURCE)
    names = set(made.rows.column_names)
    for c in table.columns:
        if c.sensitivity in (Sensitivity.IDENTIFIER, Sensitivity.WITHHELD):
            assert c.name not in names
        if c.sensitivity != Sensitivity.FACT and c.type == "string":
            assert f"Zq{c.name}x" not in everything(made.rows, made.tokens)
            assert f"zq{c.name}x" not in everything(made.rows, made.tokens).lower()
        if c.sensitivity == Sensitivity.FACT:
            assert made.rows.schema.field(c.name).type == ARROW[c.type]
        if c.sensitivity in (Sensitivity.LOCAL_ID, Sensitivity.SHARED_ID):
            opened = open_sealed(made.rows.column(c.name), "police", KEYS)
            assert sorted(opened.to_pylist()) == sorted(rows.column(c.name).to_pylist())
    assert "_row" not in names
    assert (made.tokens is not None) == table.holds_persons
    ids = made.rows.column("record_id").to_pylist()
    assert ids == sorted(set(ids))
    if made.tokens is not None:
        assert made.tokens.column("record_id").to_pylist() == ids
        assert made.tokens.column_names == list(tokens.columns(person(), "tokens"))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(list(Sensitivity)), st.sampled_from(sorted(ARROW))),
        min_size=1,
        max_size=6,
    ),
    st.lists(st.sampled_from(["ssn", "_row", "notes"]), unique=True),
)
def test_g7_no_identifier_column_comes_out_whatever_table_comes_in(shape, unknown):
    columns = [column("no", Sensitivity.LOCAL_ID)]
    for i, (sensitivity, type_) in enumerate(shape):
        textual = sensitivity in (Sensitivity.LOCAL_ID, Sensitivity.SHARED_ID)
        columns.append(column(f"c{i}", sensitivity, "string" if textual else type_))
    table = TableFacts("things", "", ("no",), tuple(columns))
    rows = canary_rows(table)
    for name in set(unknown) - {"_row"}:
        rows = rows.append_column(name, pa.array([f"Zq{name}x"] * rows.num_rows))
    made = pseudonymise(rows, table, night="2026-11-20", **SOURCE)
    expected = ["record_id"]
    for c in columns:
        if c.sensitivity in (Sensitivity.LOCAL_ID, Sensitivity.SHARED_ID, Sensitivity.FACT):
            expected.append(c.name)
        if c.sensitivity == Sensitivity.SHARED_ID:
            expected.append(f"{c.name}_token")
    assert made.rows.column_names == [*expected, "landed_on"]


def test_a_new_kind_of_sensitivity_is_denied():
    table = TableFacts("things", "", ("no",), (column("no", Sensitivity.LOCAL_ID), column("c", "secret")))
    made = pseudonymise(canary_rows(table), table, night="2026-11-20", **SOURCE)
    assert made.rows.column_names == ["record_id", "no", "landed_on"]


def test_order_of_rows_does_not_matter_and_a_second_run_is_equal():
    rows = canary_rows(PERSONS, 7)
    one = pseudonymise(rows, PERSONS, night="2026-11-20", **SOURCE)
    two = pseudonymise(rows.take([6, 2, 0, 5, 1, 4, 3]), PERSONS, night="2026-11-20", **SOURCE)
    assert one.rows == two.rows
    assert one.tokens == two.tokens


def test_record_ids_of_text_and_of_typed_keys_are_equal():
    kinds = {"a": "string", "b": "integer", "c": "date", "d": "timestamp", "e": "boolean"}
    columns = tuple(column(n, Sensitivity.FACT, t) for n, t in kinds.items())
    table = TableFacts("t", "", tuple(kinds), columns)
    typed = pa.table(
        {
            "a": ["x"],
            "b": [7],
            "c": [date(2026, 2, 3)],
            "d": pa.array([datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)], ARROW["timestamp"]),
            "e": [True],
        }
    )
    text = pa.table(
        {
            "e": ["Y", "true"],
            "d": ["2026-02-03T04:05:06Z", "2026-02-03T05:05:06+01:00"],
            "c": ["2026-02-03", "2026-02-03"],
            "b": ["007", " 7"],
            "a": [" x ", "x"],
        }
    )
    expected = record_ids(typed, table, feed="f", keys=KEYS).to_pylist()
    assert record_ids(text, table, feed="f", keys=KEYS).to_pylist() == expected * 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.text(st.sampled_from("a1: \x1f"), max_size=4)] * 2),
        min_size=2,
        max_size=6,
        unique=True,
    )
)
def test_different_keys_never_have_one_record_id(pairs):
    table = TableFacts(
        "t", "", ("a", "b"), (column("a", Sensitivity.FACT), column("b", Sensitivity.LOCAL_ID))
    )
    rows = pa.table({"a": pa.array([a for a, _ in pairs]), "b": pa.array([b for _, b in pairs])})
    ids = record_ids(rows, table, feed="f", keys=KEYS).to_pylist()
    plain = {(a.strip(" "), b.strip(" ")) for a, b in pairs}
    known = {(a, b) for a, b in plain if a and b}
    assert len({i for i in ids if i}) == len(known)


def test_record_ids_differ_by_feed_and_table_and_are_null_where_a_part_is_missing():
    rows = pa.table({"arrest_no": ["A1", None, ""], "charge_seq": ["1", "1", "1"]})
    ids = record_ids(rows, CHARGES, feed="f", keys=KEYS)
    assert ids.to_pylist()[1:] == [None, None]
    assert record_ids(rows, CHARGES, feed="g", keys=KEYS)[0] != ids[0]
    assert record_ids(rows, replace(CHARGES, name="other"), feed="f", keys=KEYS)[0] != ids[0]


@pytest.mark.parametrize(
    "broken",
    [
        lambda t: t.drop_columns(["updated_at"]),
        lambda t: pa.concat_tables([t, t.slice(0, 1)]),
        lambda t: t.set_column(0, "person_no", pa.array([None, "Zqb", "Zqc"])),
    ],
    ids=["column absent", "key twice", "key null"],
)
def test_rows_that_break_the_contract_stop_without_a_value_in_the_message(broken):
    with pytest.raises(TerminalError) as error:
        pseudonymise(broken(canary_rows(PERSONS)), PERSONS, night="2026-11-20", **SOURCE)
    assert error.value.reason == "state_invalid"
    assert "Zq" not in str(error.value)


def state(**values: str) -> pa.Table:
    """record_id → content, landed on the night given after a slash."""
    rows = [(k, *v.split("/")) for k, v in sorted(values.items())]
    columns = list(zip(*rows)) if rows else [[], [], []]
    names = ("record_id", "content", "landed_on")
    return pa.table({n: pa.array(c, pa.string()) for n, c in zip(names, columns)})


def ids(*names: str) -> pa.Array:
    return pa.array(names, pa.string())


def test_the_first_night_is_its_accepted_rows():
    made = apply(None, state(b="1/n1", a="1/n1"), source_ids=ids("a", "b", "refused"), mode="full")
    assert made.state == state(a="1/n1", b="1/n1")
    assert (made.upserted, made.unchanged, len(made.removed_ids)) == (2, 0, 0)


def test_gone_at_the_source_is_gone_here_and_a_refused_row_keeps_its_last_good_version():
    before = state(changed="1/n1", same="1/n1", refused="1/n1", gone="1/n1")
    tonight = state(changed="2/n2", same="1/n2", new="1/n2")
    made = apply(before, tonight, source_ids=ids("changed", "same", "refused", "new"), mode="full")
    assert made.state == state(changed="2/n2", same="1/n1", refused="1/n1", new="1/n2")
    assert (made.upserted, made.unchanged, made.removed_ids.to_pylist()) == (2, 1, ["gone"])


def test_a_delta_without_keys_removes_nothing_and_a_full_load_without_keys_is_refused():
    made = apply(state(a="1/n1"), state(b="1/n2"), source_ids=None, mode="delta")
    assert made.state == state(a="1/n1", b="1/n2")
    with pytest.raises(TerminalError):
        apply(state(a="1/n1"), state(b="1/n2"), source_ids=None, mode="full")


def test_a_column_that_is_no_longer_passed_on_leaves_carried_rows_too():
    before = state(a="1/n1").append_column("officer", pa.array(["Zq"]))
    made = apply(before, state(b="1/n2"), source_ids=None, mode="delta")
    assert made.state == state(a="1/n1", b="1/n2")


CONTENT = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("12"), max_size=6)


@settings(max_examples=60, deadline=None)
@given(CONTENT, CONTENT, st.sets(st.sampled_from("abcdef")))
def test_g3_rows_add_up_and_g2_a_second_run_changes_nothing(before, tonight, refused):
    previous = state(**{k: f"{v}/n1" for k, v in before.items()})
    accepted = state(**{k: f"{v}/n2" for k, v in tonight.items()})
    source = ids(*sorted(set(tonight) | refused))
    made = apply(previous, accepted, source_ids=source, mode="full")
    inserted = len(set(tonight) - set(before))
    assert previous.num_rows + inserted == made.state.num_rows + len(made.removed_ids)
    assert made.upserted + made.unchanged == accepted.num_rows
    assert set(made.state["record_id"].to_pylist()) == set(tonight) | (refused & set(before))
    again = apply(made.state, accepted, source_ids=source, mode="full")
    assert again.state == made.state
    assert (again.upserted, len(again.removed_ids)) == (0, 0)
