"""An agency's file is read strictly: what cannot be used is counted and named by row, column and rule."""

import polars as pl
import pytest

from leadhub.foundation import openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.identity import exchange
from leadhub.identity.linkage.schema import person
from leadhub.steps import edge

HEADER = "case,surname,first_name,dob,phone\n"
GOOD = "c1,Testperson,Felicia,1984-02-29,716 555 0134\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("hub") / "hub.pgp"
    openpgp.generate(path, "hub <hub@example.org>")
    return openpgp.certificate(path)


@pytest.fixture
def tokenise(tmp_path, certificate):
    def run(text: str | bytes, **changed) -> tuple[edge.Done, list[tuple]]:
        path = tmp_path / "people.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        usual = {
            "mapping": {},
            "id_column": "case",
            "key": exchange.new_key("county"),
            "hub_certificate": certificate,
            "feed": "da",
            "schema": person(),
            "tier": "tokens",
            "row_key_file": tmp_path / "rows.key",
            "out": tmp_path / "out.pgp",
            "report": tmp_path / "report.csv",
        }
        done = edge.tokenise(path, **usual | changed)
        return done, pl.read_csv(tmp_path / "report.csv").rows()

    return run


def test_a_good_file(tokenise):
    done, report = tokenise(HEADER + GOOD + "c2,Other,Jo,1990-03-04,\n")
    assert (done.read, done.header.rows, done.rules, report) == (2, 2, {}, [])
    assert done.missing == {"last_name": 0, "first_name": 0, "date_of_birth": 0, "phone": 1}
    assert done.columns["last_name"] == ["surname"]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("c2,Other,Jo,1990-03-04", (3, None, "wrong_field_count")),
        ("c2,Other,Jo,1990-03-04,,", (3, None, "wrong_field_count")),
        ("", (3, None, "blank_line")),
        (",Other,Jo,1990-03-04,", (3, "case", "missing_value")),
        ("c2,Oth\ter,Jo,1990-03-04,", (3, "surname", "control_character")),
        ("c2,,,,", (3, None, "no_token")),
        ("c2,UNKNOWN,,,", (3, None, "no_token")),
    ],
)
def test_a_row_that_cannot_be_used_is_left_out_and_named(tokenise, row, fault):
    done, report = tokenise(HEADER + GOOD + row + "\n")
    assert (done.read, done.header.rows) == (2, 1)
    assert fault in report
    assert done.rules[fault[2]] == 1


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("c2,Other,Jo,1990-02-30,7165550199", (3, "dob", "unparsable_date")),
        ("c2,Other,Jo,1990-01-01,7165550199", (3, "dob", "not_usable")),
        ("c2,Other,Jo,1990-03-04,55 5", (3, "phone", "not_usable")),
        ("c2,Other,FNU,1990-03-04,7165550199", (3, "first_name", "not_usable")),
    ],
)
def test_a_value_that_cannot_be_used_counts_as_missing(tokenise, row, fault):
    done, report = tokenise(HEADER + GOOD + row + "\n")
    assert done.header.rows == 2
    assert report == [fault]
    assert sum(done.missing.values()) == 1


def test_of_rows_with_one_id_identical_ones_count_once_and_differing_ones_not_at_all(tokenise):
    done, report = tokenise(HEADER + GOOD + GOOD + "c2,A,Jo,1990-03-04,\nc2,B,Jo,1990-03-04,\n")
    assert done.header.rows == 1
    assert report == [
        (3, "case", "duplicate_key"),
        (4, "case", "duplicate_key"),
        (5, "case", "duplicate_key"),
    ]


def test_a_column_that_is_not_read_may_hold_anything(tokenise):
    done, _ = tokenise("note," + HEADER + "a\tb," + GOOD)
    assert done.header.rows == 1


def test_rows_are_counted_as_a_spreadsheet_does(tokenise):
    text = "note," + HEADER + '"two\nlines",' + GOOD + "x,c2,Other,Jo,1990-02-30,7165550199\n"
    assert tokenise(text)[1] == [(3, "dob", "unparsable_date")]


@pytest.mark.parametrize(
    ("content", "reason", "word"),
    [
        ((HEADER + GOOD).replace("Testperson", "Peña").encode("latin-1"), "unreadable_file", "line 2"),
        ((HEADER + GOOD).replace(",", ";"), "unreadable_file", "delimiter"),
        ((HEADER + GOOD).rstrip("\n"), "unreadable_file", "cut off"),
        (HEADER + 'c1,"Testperson,Felicia,1984-02-29,\n', "unreadable_file", "quote"),
        ("", "unreadable_file", "empty"),
        (GOOD + GOOD.replace("c1", "c2"), "linkage_input_invalid", "case"),
        (HEADER, "linkage_input_invalid", "no row"),
        (HEADER.replace("case", "number") + GOOD, "linkage_input_invalid", "case"),
        (HEADER + ",Testperson,Felicia,,\n", "linkage_input_invalid", "report.csv"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tokenise, tmp_path, content, reason, word):
    with pytest.raises(TerminalError, match=word) as error:
        tokenise(content)
    assert error.value.reason == reason
    assert "Testperson" not in str(error.value)
    assert not (tmp_path / "out.pgp").exists()


def test_what_is_mapped_is_taken_and_nothing_else(tokenise):
    done, _ = tokenise(HEADER + GOOD, mapping={"last_name": ["surname"], "phone": ["phone"]})
    assert set(done.missing) == {"last_name", "phone"}


def test_parquet_is_read_too(tokenise, tmp_path, certificate):
    path = tmp_path / "people.parquet"
    pl.DataFrame(
        {"case": [1, 2], "surname": ["Testperson", "Other"], "dob": ["1984-02-29", "x"]}
    ).write_parquet(path)
    people = edge.read(path, {}, "case")
    assert people.rows["_id"].to_list() == ["1", "2"]
    assert people.unread.rows() == [(2, "dob", "unparsable_date")]


def test_files_are_ones_own(tokenise, tmp_path):
    tokenise(HEADER + GOOD)
    for name in ("out.pgp", "report.csv", "rows.key"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_record_ids_hide_how_long_a_row_id_is(tmp_path):
    import pyarrow as pa

    from leadhub.foundation.keys import Keys

    ids = pa.array(["1", "12345678", "ünï"])
    sealed = exchange.seal_ids(ids, "da", Keys(bytes(32)))
    assert len({len(s) for s in sealed.to_pylist()}) == 1
    assert exchange.open_ids(sealed, "da", Keys(bytes(32))).to_pylist() == ids.to_pylist()
