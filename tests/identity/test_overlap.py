"""Two versions of a linkage key: what has only the older one's tokens meets the same records as before."""

from datetime import date

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation.keys import Keys
from leadhub.identity import overlap, tokens
from leadhub.identity.linkage.schema import person

OLD, NEW = Keys(bytes(32)), Keys(bytes(32)).at("linkage", 2)
KINDS = ("last_name", "first_name", "sex", "ssn4", "nysid", "phone", "address_line", "zip")
PEOPLE = st.lists(
    st.tuples(
        st.sampled_from(["Okafor", "Okafur", "Lindqvist-Marsh", None]),
        st.sampled_from(["Bill", "William", "Wilhelmina", "Amparo"]),
        st.sampled_from(["M", "F", None]),
        st.sampled_from(["0420", "1177", None]),
        st.sampled_from(["01234567A", "07654321B", None]),
        st.sampled_from(["716-555-0134", None]),
        st.sampled_from(["12 N Main St", "9 Elm Ave Apt 3", None]),
        st.sampled_from(["14201", "14075"]),
        st.sampled_from([date(1980, 3, 4), date(1980, 4, 3), date(1991, 12, 1)]),
    ),
    min_size=2,
    max_size=8,
)


def tokenised(people, keys, tier):
    made = {kind: pa.array([p[i] for p in people], pa.string()) for i, kind in enumerate(KINDS)}
    made["date_of_birth"] = pa.array([p[-1] for p in people], pa.date32())
    table = pa.table({"record_id": [f"r{i}" for i in range(len(people))], **made})
    return tokens.stored(tokens.tokenise(table, feed="f", keys=keys, tier=tier))


def markers(tier):
    return tuple(tokens.marker(person(), tier, keys) for keys in (OLD, NEW))


def equalities(table):
    """Of each column, which places hold the same token."""
    frame = pl.DataFrame(pl.from_arrow(table)).sort("record_id").drop("record_id", "feed", "marker")
    found = {}
    for values in frame.get_columns():
        if isinstance(values.dtype, pl.List):
            found[values.name + " length"] = values.list.len().to_list()
            values = values.explode()
        seen = {}
        found[values.name] = [None if v is None else seen.setdefault(v, len(seen)) for v in values]
    return found


@pytest.mark.parametrize("tier", ["tokens", "fields"])
@settings(max_examples=12)
@given(PEOPLE, st.data())
def test_older_tokens_meet_whom_they_would_meet_were_they_made_anew(tier, people, data):
    """While both are kept; and when it ends a record has all its newer tokens, or none."""
    lost = data.draw(st.sets(st.sampled_from(range(len(people))), min_size=1), "whose drop is destroyed")
    late, held = (pa.array(sorted(ids), pa.int64()) for ids in (lost, set(range(len(people))) - lost))
    older, newer = (tokenised(people, keys, tier) for keys in (OLD, NEW))
    kept = older.take(late)
    known = overlap.wanted([overlap.versions(older.take(held), newer.take(held))], kept)
    mixed = pa.concat_tables([newer.take(held), kept])
    found = overlap.brought_up(mixed, known, *markers(tier))
    assert found["record_id"].equals(mixed["record_id"])
    assert set(found["marker"].to_pylist()) == {markers(tier)[1]}
    assert equalities(found) == equalities(newer)
    ended, gone = overlap.ended(mixed, known, *markers(tier))
    assert set(gone) <= set(kept["record_id"].to_pylist())
    assert ended.sort_by("record_id").to_pylist() == tokens.without(newer, gone).to_pylist()


def test_only_what_a_kept_record_has_is_remembered():
    people = [("Okafor", "Bill", "M", None, None, None, None, "14201", date(1980, 3, 4))]
    other = [("Lindqvist", "Amparo", "F", None, None, None, None, "14075", date(1991, 12, 1))]
    both = [tokenised(other, keys, "tokens") for keys in (OLD, NEW)]
    assert overlap.versions(*both).num_rows > 5
    assert overlap.wanted([overlap.versions(*both)], tokenised(people, OLD, "tokens")).num_rows == 0


def test_a_record_that_changed_between_the_two_says_nothing_false():
    """Two records agree under the older key; one of them has changed when it is made anew."""
    one = ("Okafor", "Bill", "M", "0420", None, None, "12 N Main St", "14201", date(1980, 3, 4))
    moved = (*one[:6], "9 Elm Ave", "14075", one[-1])
    older, newer = tokenised([one, one], OLD, "tokens"), tokenised([one, moved], NEW, "tokens")
    said = overlap.versions(older, newer)
    sure = overlap.versions(*(tokenised([one], keys, "tokens") for keys in (OLD, NEW)))
    rows = {tuple(r.values()) for r in said.to_pylist()}
    assert rows < {tuple(r.values()) for r in sure.to_pylist()}


def test_rows_of_another_linkage_schema_are_left_alone():
    table = tokenised(
        [("Okafor", "Bill", "M", None, None, None, None, "14201", date(1980, 3, 4))], OLD, "tokens"
    )
    other = table.set_column(2, "marker", pa.array(["t1.person9-abc.tokens"]))
    known = overlap.versions(
        table,
        tokenised(
            [("Okafor", "Bill", "M", None, None, None, None, "14201", date(1980, 3, 4))], NEW, "tokens"
        ),
    )
    assert overlap.brought_up(other, known, *markers("tokens")).equals(other)
