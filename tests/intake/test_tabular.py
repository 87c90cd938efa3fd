"""Strict parsing: nothing guessed, nothing lost, the fast reader and the strict one never differ."""

from __future__ import annotations

import csv
import io
import itertools
import json
import runpy
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation.errors import LeadhubError, TerminalError
from leadhub.intake import tabular

MADE = runpy.run_path(str(Path(__file__).parent / "corpus" / "generate.py"))
SOUND, CANARIES = MADE["SOUND"], MADE["CANARIES"]
PAGES = MADE["CASES"]["json_sound"]
ARROW = MADE["CASES"]["db_sound"]

#: text that a parse keeps as it is: no control character, no bidirectional override, no outer space
CELLS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf"))).map(str.strip),
    st.sampled_from(["", '"', '""', ",", 'a"b', "a\nb", "a\r\nb", "NULL", "NA", "007", "1e5", "ß"]),
)


def parse(data: bytes, **options) -> tabular.Parsed:
    return tabular.parse(data, "csv", name="clients.csv", **options)


def write(header: list[str], rows: list[list[str | None]], end: str = "\n", delimiter: str = ",") -> bytes:
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, lineterminator=end, delimiter=delimiter)
    writer.writerow(header)
    writer.writerows(rows)
    return sink.getvalue().encode()


def contents(parsed: tabular.Parsed) -> list[list[str | None]]:
    columns = [c.to_pylist() for c in parsed.table.columns[:-1]]
    return [list(row) for row in zip(*columns)]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 5).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), max_size=8)),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([",", ";", "\t", "|"]),
)
def test_what_is_written_is_what_is_parsed(rows, end, delimiter):
    header = [f"c{i}" for i in range(len(rows[0]) if rows else 3)]
    parsed = parse(write(header, rows, end, delimiter), delimiter=delimiter)
    assert contents(parsed) == [[cell or None for cell in row] for row in rows]
    assert parsed.table.column_names == [*header, "_row"]
    assert parsed.table["_row"].to_pylist() == list(range(2, len(rows) + 2))
    assert (parsed.read, parsed.faults.height) == (len(rows), 0)


def agree(data: bytes, header: list[str]) -> bool:
    """Whether the fast reader takes `data`; if so, both readers must see the same cells."""
    if not tabular._is_plain(data, ",", len(header)):
        return False
    fast = tabular._read_plain(data, ",", header)
    strict, rows, faults, read = tabular._read_row_by_row(data.decode(), ",", header, "x.csv")
    assert fast.to_pydict() == strict.to_pydict()
    assert (len(rows), faults, read) == (fast.num_rows, [], fast.num_rows)
    return True


def test_on_every_short_text_the_fast_reader_agrees_with_the_strict_one():
    texts = ("".join(t) for size in range(1, 7) for t in itertools.product('a",\n\r', repeat=size))
    taken = sum(agree(f"h1,h2\n{text}\n".encode(), ["h1", "h2"]) for text in texts)
    assert taken > 200  # else nothing was compared


CELL = st.sampled_from(["", "a", " b", '"a"', '""', '"a,b"', "é", "'", '"a""b"', '""""', '"""a"""', '","'])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(CELL, CELL, CELL, st.sampled_from(["\n", "\r\n"])), max_size=5))
def test_the_fast_reader_takes_well_formed_rows_and_agrees_with_the_strict_one(rows):
    data = "h1,h2,h3\n" + "".join(f"{a},{b},{c}{end}" for a, b, c, end in rows)
    assert agree(data.encode(), ["h1", "h2", "h3"])


@pytest.mark.parametrize(
    "body",
    ["a,b,c\n", '"a","b,b",c\n', 'a,,\n"",b,c\r\n', ",,\n" * 3],
    ids=["bare", "quoted", "mixed", "empty"],
)
def test_plain_files_do_take_the_fast_reader(body):
    assert tabular._is_plain(("h1,h2,h3\n" + body).encode(), ",", 3)


@pytest.mark.parametrize(
    "body",
    [
        'a"b,b,c\n',
        '"a\nb",b,c\n',
        'a,b,"x\n",b,c\n',
        'a"b",b,c\n',
        '"",a"b,c",d\n',
        "a,b\n",
        "a,b,c,d\n",
        "\n",
        "a\r,b,c\n",
        "a,b,c\r\r\n",
        '"a"b,c,d\n',
    ],
)
def test_what_is_not_plain_goes_row_by_row(body):
    assert not tabular._is_plain(("h1,h2,h3\n" + body).encode(), ",", 3)


SPOTS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4)


def damaged(data: bytes, spots: list[tuple[int, int]], cut: int) -> bytes:
    changed = bytearray(data)
    for where, byte in spots:
        changed[where % len(changed)] = byte
    return bytes(changed[: len(changed) - cut % 50])


@pytest.mark.parametrize(("data", "form"), [(SOUND, "csv"), (PAGES, "jsonl"), (ARROW, "arrow")])
@settings(max_examples=150, deadline=None)
@given(spots=SPOTS, cut=st.integers(0, 49))
def test_f40_damaged_bytes_are_refused_or_parsed_never_worse(data, form, spots, cut):
    refused = None
    try:
        parsed = tabular.parse(damaged(data, spots, cut), form, name="x")
    except LeadhubError as error:
        refused = str(error)
    if refused is not None:
        assert [c for c in CANARIES if c in refused] == []
        return
    assert (
        parsed.read
        == parsed.table.num_rows + parsed.faults.filter(pl.col("column").is_null())["row"].n_unique()
    )
    if form == "csv":
        names = parsed.table.column_names[:-1]
        again = parse(write(names, contents(parsed)))
        assert contents(again) == contents(parsed)


def test_g4_every_truncation_within_a_row_is_noticed():
    for size in range(1, len(SOUND)):
        if SOUND[size - 1] == 0x0A:
            continue
        with pytest.raises(TerminalError) as caught:
            parse(SOUND[:size])
        assert caught.value.reason == "unreadable_file"


def test_only_an_empty_cell_is_null():
    parsed = parse(b'a,b\n,x\n"",x\n  ,x\nNA,x\nNULL,x\nNone,x\nnan,x\n')
    assert parsed.table["a"].to_pylist() == [None, None, None, "NA", "NULL", "None", "nan"]


def test_row_numbers_are_those_of_a_spreadsheet():
    parsed = parse(b'a,b\n"x\ny",1\nshort\nz,2\n')
    assert parsed.table["_row"].to_pylist() == [2, 4]
    assert parsed.faults.rows() == [(3, None, "wrong_field_count")]
    assert parsed.read == 3


def test_the_message_names_the_line_and_not_the_bytes():
    with pytest.raises(TerminalError, match=r"clients.csv.*line 3 is not utf-8"):
        parse(b"a,b\n1,2\nZyxquorbel\xff,3\n")


def test_the_message_says_what_the_file_is():
    with pytest.raises(TerminalError, match="Excel workbook"):
        parse(MADE["CASES"]["xlsx_with_csv_name"])
    with pytest.raises(TerminalError, match="delimiter looks like ';'"):
        parse(b"a;b\n1;2\n")


def test_json_scalars_keep_their_spelling():
    body = b'{"data":[{"a":1.50,"b":true,"c":null,"d":-0,"e":12345678901234567890,"f":false}]}'
    parsed = tabular.parse(body, "jsonl", name="x")
    assert contents(parsed) == [["1.50", "true", None, "-0", "12345678901234567890", "false"]]
    assert parsed.table["_row"].to_pylist() == [1]


def test_json_rows_are_numbered_over_all_pages():
    pages = b"".join(json.dumps({"data": [{"a": str(i)}, {"a": ["x"]}]}).encode() + b"\n" for i in range(3))
    parsed = tabular.parse(pages, "jsonl", name="x")
    assert parsed.table["a"].to_pylist() == ["0", None, "1", None, "2", None]
    assert parsed.faults.rows() == [(2, "a", "bad_format"), (4, "a", "bad_format"), (6, "a", "bad_format")]


def test_no_value_in_repr():
    assert "Zyxquorbel" not in repr(parse(SOUND))


def test_a_column_called_row_is_refused():
    with pytest.raises(TerminalError, match="_row"):
        parse(b"_row,a\n1,2\n")


def test_a_control_character_in_a_name_is_refused_before_it_reaches_polars():
    # polars panics on NUL in a column's name, and a panic is no Exception
    arrow = MADE["stream"](pa.table({"a\x00b": pa.array(["x"], pa.string())}))
    for data, form in ((b'{"data":[{"a\\u0000b":"x"}]}', "jsonl"), (arrow, "arrow")):
        with pytest.raises(TerminalError) as caught:
            tabular.parse(data, form, name="x")
        assert caught.value.reason == "schema_drift"


def test_an_unknown_format_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="unknown format"):
        tabular.parse(b"x", "csv.pgp", name="x")


def test_arrow_null_and_empty_are_both_null():
    table = pa.table({"a": pa.array(["", None, "x"], pa.string())})
    parsed = tabular.parse(MADE["stream"](table), "arrow", name="x")
    assert parsed.table["a"].to_pylist() == [None, None, "x"]


def test_pages_of_which_there_are_none_hold_no_rows_but_an_empty_file_is_refused():
    """The DA's system answers 304 where a table did not change since the last night."""
    found = tabular.parse(b"", "jsonl", name="cases.jsonl")
    assert (found.read, found.table.num_rows, found.faults.height) == (0, 0, 0)
    with pytest.raises(TerminalError, match="unreadable_file"):
        tabular.parse(b"", "csv", name="cases.csv")
