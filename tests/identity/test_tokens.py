"""Tokens are keyed hashes, equal exactly where their normalised parts are, and absent where one is."""

import hashlib
import hmac
from datetime import date

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.identity import keyed, parts, rarity, tokens
from leadhub.identity.coded import Coded
from leadhub.identity.linkage.schema import PERSON as PERSON_FILE
from leadhub.identity.linkage.schema import LinkageSchema, load, person
from tests.identity.test_cmac import word

PERSON = {
    "record_id": "r1",
    "last_name": "O'Neil",
    "first_name": "Bill",
    "middle_name": "Ray",
    "date_of_birth": date(1980, 3, 4),
    "sex": "M",
    "ssn4": "0420",
    "nysid": "01234567A",
    "phone": "716-555-0134",
    "address_line": "12 N Main St",
    "zip": "14201",
}


def table(*people):
    kinds = [k for k in PERSON if k != "date_of_birth"]
    fields = [(k, pa.string()) for k in kinds] + [("date_of_birth", pa.date32())]
    return pa.Table.from_pylist([dict(p) for p in people], pa.schema(fields))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=12)), min_size=1, max_size=12))
def test_hmac_equals_the_standard_library_row_by_row(values):
    key = Keys(bytes(32)).hmac_text_key("token:x")
    made = keyed.hmac_column(pl.Series(values, dtype=pl.String), key, "t1:").to_list()
    for value, token in zip(values, made):
        if value is None:
            assert token is None
        else:
            digest = hmac.new(key.encode(), value.encode(), hashlib.sha256).hexdigest()
            assert token == "t1:" + digest[:32]


def digest(name, value, keys):
    return word(keys.derive(f"token:part:{name}"), value.encode()).to_bytes(8, "little")


def part_texts(person_row):
    frame = pl.DataFrame(pl.from_arrow(table(person_row))).drop("record_id")
    values = parts.text(frame, person()).row(0, named=True)
    assert set(values) == set(person().parts)
    return values


def rarity_of(part, text):
    if len(part.of) == 1:
        return rarity.bits(part, pl.Series([text], dtype=pl.String))
    names = text.split(parts.SEPARATOR) if text else [None, None]
    return rarity.either_way(*(Coded.of(pl.Series([name], dtype=pl.String)) for name in names))


def rare_enough(person_row, key):
    texts, schema = part_texts(person_row), person()
    bits = {p: rarity_of(schema.parts[p], texts[p]) for p in key}
    return bool(rarity.enough(schema, key, bits)[0])


def test_common_names_alone_have_no_token_and_rare_ones_do(keys):
    smith = PERSON | {"record_id": "r1", "last_name": "Smith", "first_name": "John"}
    rare = PERSON | {"record_id": "r2", "last_name": "Quackenbush", "first_name": "Thaddeus"}
    half = PERSON | {"record_id": "r3", "last_name": "Jones", "first_name": "John"}
    made = tokens.tokenise(table(smith, rare, half), feed="f", keys=keys)
    known = [t is not None for t in made.column("k_last+first_initial").to_pylist()]
    assert known == [False, True, False]
    assert made.column("k_names+dob").null_count == made.column("k_last+first").null_count == 0


def test_how_rare_a_name_is_shows_in_whole_steps_of_which_none_is_more_than_it_has():
    parts_of_names = [p for p in person().parts.values() if p.by_value and len(p.of) == 1]
    listed = pl.Series(rarity.common().get_column("name"))
    for part in parts_of_names:
        made = rarity.bits(part, parts.derive(part, listed))
        assert set(made.tolist()) <= {0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0}
        assert made.max() <= part.most_bits
    # 1 % of people: 6.6 bits
    smith = rarity.bits(person().parts["last"], pl.Series(["SMITH"]))
    assert smith.tolist() == [6.0]


def part_digests(person_row, keys):
    return {
        name: None if value is None else digest(name, value, keys)
        for name, value in part_texts(person_row).items()
        if not person().parts[name].many
    }


def test_every_match_key_is_the_standard_cmac_of_its_parts_digests(keys):
    """RFC 4493 by another implementation, over its MACs of the parts."""
    made = tokens.tokenise(table(PERSON), feed="f", keys=keys)
    assert made.column_names == list(tokens.columns(person(), "tokens"))
    digests = part_digests(PERSON, keys)
    for key, name in zip(person().match_keys, person().key_names):
        token = made.column(f"k_{name}")[0].as_py()
        blocks = [digests[p] for p in key]
        if None in blocks or not rare_enough(PERSON, key):
            assert token is None
            continue
        message = b"".join(blocks) + bytes(8 * (len(blocks) % 2))
        message = hashlib.sha256(f"person:{name}".encode()).digest()[:16] + message
        assert token == word(keys.derive("token:link"), message)


def test_the_tier_fields_holds_the_parts_digests(keys):
    made = tokens.tokenise(table(PERSON), feed="f", keys=keys, tier="fields")
    assert made.column_names == list(tokens.columns(person(), "fields"))
    for name, told in part_digests(PERSON, keys).items():
        token = made.column(f"p_{name}")[0].as_py()
        assert token == (None if told is None else int.from_bytes(told, "little"))
    for name, texts in part_texts(PERSON).items():
        if person().parts[name].many and texts:
            words = [int.from_bytes(digest(name, t, keys), "little") for t in texts]
            assert made.column(f"p_{name}")[0].as_py() == words


def test_equal_after_normalising_means_equal_tokens(keys):
    other = PERSON | {"record_id": "r2", "last_name": "ONEIL", "address_line": "12 Main Street"}
    rows = tokens.tokenise(table(other, PERSON), feed="f", keys=keys).to_pylist()
    assert [r.pop("record_id") for r in rows] == ["r1", "r2"]
    assert rows[0] == rows[1]


def test_a_missing_part_leaves_the_token_out(keys):
    row = tokens.tokenise(table(PERSON | {"date_of_birth": None}), feed="f", keys=keys).to_pylist()[0]
    born = {n for n, p in person().parts.items() if p.of[0] in ("date_of_birth", "birth_year")}
    for key, name in zip(person().match_keys, person().key_names):
        if born & set(key):
            assert row[f"k_{name}"] is None
    assert row["k_last+first+address"] is not None


def test_kinds_that_an_agency_does_not_give_are_missing_and_others_are_refused(keys):
    few = table(PERSON).select(["record_id", "last_name", "first_name", "date_of_birth"])
    row = tokens.tokenise(few, feed="f", keys=keys).to_pylist()[0]
    assert row["nysid_token"] is None
    assert row["k_names+dob"] is not None
    with pytest.raises(TerminalError) as error:
        tokens.tokenise(few.append_column("diagnosis", pa.array(["x"])), feed="f", keys=keys)
    assert error.value.reason == "column_not_allowed"


def test_g9_another_key_gives_other_tokens(keys):
    one = tokens.tokenise(table(PERSON), feed="f", keys=keys).to_pylist()[0]
    two = tokens.tokenise(table(PERSON), feed="f", keys=Keys(bytes(32))).to_pylist()[0]
    assert not {v for k, v in one.items() if k.startswith("k_")} & set(two.values()) - {None}


def schema_with(**changed):
    return LinkageSchema.model_validate(person().model_dump(by_alias=True) | changed)


@pytest.mark.parametrize(
    "key",
    [
        ("dob", "year_day"),
        ("zip_area", "year"),
        ("zip", "city", "suffix"),
        ("surname", "dob"),
    ],
)
def test_a_match_key_below_the_least_entropy_cannot_be_declared(key):
    with pytest.raises(ValueError, match="key"):
        schema_with(match_keys=[key])


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("middle", {"known_by": ["first_near"]}),
        ("first", {"void_where": {"last": "near"}}),
        (
            "dob",
            {"rare": "dob_near", "levels": {"near": person().fields["dob"].levels["near"].model_dump()}},
        ),
    ],
)
def test_what_decides_whether_a_field_counts_has_one_value(field, changed):
    fields = {name: f.model_dump(by_alias=True) for name, f in person().fields.items()}
    with pytest.raises(ValueError, match="several values"):
        schema_with(fields=fields | {field: fields[field] | changed})


@pytest.mark.parametrize("key", [("dob", "year"), ("dob", "sex")])
def test_a_birth_date_is_refused_with_sex_or_without_whatever_its_bits(key):
    with pytest.raises(ValueError, match="birth date and sex"):
        schema_with(match_keys=[key], least_bits=1.0)


def test_a_schema_for_other_rules_of_normalising_is_refused():
    with pytest.raises(ValueError, match="normalising rules"):
        schema_with(rules=person().rules + 1)


def test_any_change_of_the_schema_changes_the_marker(keys):
    other = schema_with(match_keys=person().match_keys[:-1])
    assert other.fingerprint != person().fingerprint
    one, two = (tokens.tokenise(table(PERSON), feed="f", keys=keys, schema=s) for s in (person(), other))
    assert one["marker"][0] != two["marker"][0]


def test_an_error_in_a_schema_file_names_file_and_place(tmp_path):
    path = tmp_path / "ours.yaml"
    path.write_text(PERSON_FILE.read_text().replace("least_bits: 10.0", "least_bits: 99.0"))
    with pytest.raises(TerminalError, match=r"ours.yaml.*fewer than 99") as error:
        load(path)
    assert error.value.reason == "linkage_schema_invalid"


def fields_with(**changed):
    """The fields of the schema, some of them changed."""
    fields = person().model_dump()["fields"]
    return {name: {**facts, **changed.get(name, {})} for name, facts in fields.items()}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"first": {"void_where": {"nobody": "exact"}}}, r"first.*nobody.*no earlier field"),
        ({"last": {"unless_known": "dob"}}, r"last.*dob.*no earlier field"),
        ({"first": {"void_where": {"last": "never"}}}, r"last\.never.*no level"),
        ({"last": {"rare": "first"}}, r"last.*first.*need not be equal"),
    ],
)
def test_a_field_rests_on_what_is_compared_before_it(changed, says):
    with pytest.raises(ValueError, match=says):
        schema_with(fields=fields_with(**changed))


def test_more_candidate_keys_than_can_be_numbered_are_refused():
    key = person().candidate_keys[0]
    with pytest.raises(ValueError, match="254 candidate keys"):
        schema_with(candidate_keys=[key] * 254)


def test_shared_ids_are_equal_however_they_are_written_and_differ_by_kind(keys):
    values = pa.array(["a-12/3", "A123", None, "--"])
    made = tokens.shared_id_token(values, "arrest_no", keys).to_pylist()
    assert made[0] == made[1]
    assert made[2:] == [None, None]
    secret = keys.derive("number:arrest_no").hex().encode()
    assert made[0] == "t1:" + hmac.new(secret, b"A123", hashlib.sha256).hexdigest()[:32]
    assert tokens.shared_id_token(values, "docket_no", keys).to_pylist()[0] != made[0]
