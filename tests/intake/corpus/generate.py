"""The bad-input corpus: every case is the sound file below with one defect, and is named by it.

Bytes are made here rather than stored, so that no checkout can change a line end. What must become of
each case stands in corpus.toml; where the ideas come from, in PROVENANCE.md.
"""

from __future__ import annotations

import gzip
import io
import json
import warnings
import zipfile

import pyarrow as pa

#: improbable values: none of them may ever be seen in a message or a report
CANARIES = ("Zyxquorbel", "Qwimbletoft", "Vrandulax", "1979-07-13", "7319", "518-555-7319", "90210843K")

CLIENTS = (
    "client_id,last_name,first_name,middle_name,date_of_birth,sex,ssn4,phone,address_line,city,zip,"
    "part2_program"
)
ONE = "C001,Zyxquorbel,Anna,,1979-07-13,F,7319,518-555-7319,1 Vrandulax St,Albany,12207,Y"
TWO = "C002,O'Brien,Seán,Q,1980-02-29,M,,+1 518 555 0100,,Albany,12207-1234,N"
THREE = "C003,Qwimbletoft,Li,,1990-12-31,X,0007,,12 Elm St,Cohoes,12047,Y"

PERSON = {
    "person_no": "P1",
    "last_name": "Zyxquorbel",
    "first_name": "Anna",
    "middle_name": None,
    "suffix": None,
    "date_of_birth": "1979-07-13",
    "sex": "F",
    "race_ethnicity": "UNKNOWN",
    "race_source": "RECORD",
    "ssn4": "7319",
    "nysid": "90210843K",
    "phone": "518-555-7319",
    "address_line": "1 Vrandulax St",
    "city": "Albany",
    "zip": "12207",
    "updated_at": "2026-11-20 01:02:03.456+00",
}
DEFENDANT = {
    "defendant_id": "D1",
    "last_name": "Zyxquorbel",
    "first_name": "Anna",
    "middle_name": None,
    "date_of_birth": "1979-07-13",
    "sex": "F",
    "nysid": "90210843K",
    "address_line": "1 Vrandulax St",
    "city": "Albany",
    "zip": "12207",
    "updated_at": "2026-11-20T01:02:03Z",
}


def lines(*rows: str, end: str = "\n") -> bytes:
    return "".join(r + end for r in rows).encode()


def change(row: str, position: int, cell: str) -> str:
    cells = row.split(",")
    cells[position] = cell
    return ",".join(cells)


def clients(*rows: str) -> bytes:
    return lines(CLIENTS, *rows)


def with_surname(cell: str) -> bytes:
    return clients(ONE, change(TWO, 1, cell), THREE)


def zipped(*names: str, bomb: int = 0) -> bytes:
    sink = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # zipfile warns of the name that comes twice
        for name in names:
            archive.writestr(name, bytes(bomb) or SOUND)
    return sink.getvalue()


def persons(*changes: dict) -> bytes:
    """Person 1 as it is, then one row for each change, as the connector lands them."""
    rows = [PERSON, *({**PERSON, "person_no": f"P{i}", **c} for i, c in enumerate(changes, 2))]
    return stream(pa.table({k: pa.array([r[k] for r in rows], pa.string()) for k in PERSON}))


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def page(*changes: dict) -> bytes:
    rows = [{**DEFENDANT, "defendant_id": f"D{i}", **c} for i, c in enumerate(changes, 1)]
    return json.dumps({"data": rows, "next": None}, separators=(",", ":")).encode() + b"\n"


def raw_page(field: str, literal: str) -> bytes:
    """Two defendants; the second has `literal`, as JSON text, in `field`."""
    return page({}, {field: "@@"}).replace(b'"@@"', literal.encode())


def latin_1_in_sql_ascii() -> bytes:
    table = pa.table({k: pa.array([v], pa.string()) for k, v in PERSON.items()})
    damaged = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\4\0\0\0"), pa.py_buffer(b"Jos\xe9")]
    )
    return stream(table.set_column(1, "last_name", damaged))


SOUND = clients(ONE, TWO, THREE)
_TEXT = SOUND.decode()

CASES: dict[str, bytes] = {
    # CSV that must pass
    "sound": SOUND,
    "utf8_byte_order_mark": b"\xef\xbb\xbf" + SOUND,
    "mixed_line_ends": SOUND.replace(b"\n", b"\r\n", 2),
    "header_only": lines(CLIENTS),
    "columns_reordered": lines(*(",".join(r.split(",")[::-1]) for r in (CLIENTS, ONE, TWO, THREE))),
    "line_break_in_quotes": clients(ONE, change(TWO, 8, '"12 Elm St\nApt 3"'), THREE),
    "crlf_in_quotes": clients(ONE, change(TWO, 8, '"12 Elm St\r\nApt 3"'), THREE),
    "comma_and_doubled_quotes": clients(ONE, change(TWO, 8, '"12 ""Elm"" St, Apt 3"'), THREE),
    "every_cell_quoted": lines(*(",".join(f'"{c}"' for c in r.split(",")) for r in (CLIENTS, ONE, TWO))),
    "spaces_around_cells": clients(ONE, TWO.replace(",", " , "), THREE),
    "surname_null": with_surname("Null"),
    "surname_na": with_surname("NA"),
    "surname_of_one_letter": with_surname("O"),
    "surname_turkish_and_cyrillic": clients(change(ONE, 1, "Işık"), change(TWO, 1, "Шевченко")),
    "windows_1252_as_agreed": _TEXT.encode("windows-1252"),
    "pipe_as_agreed": SOUND.replace(b",", b"|"),
    # CSV refused as a file
    "empty_file": b"",
    "only_a_newline": b"\n",
    "utf16": _TEXT.encode("utf-16"),
    "utf16_without_mark": _TEXT.encode("utf-16-le"),
    "windows_1252_bytes": _TEXT.encode("windows-1252"),
    "invalid_utf8": with_surname("Zyxquorbel@@").replace(b"@@", b"\xf0\x28\x8c\x28"),
    "overlong_utf8": with_surname("Zyxquorbel@@").replace(b"@@", b"\xc0\xaf"),
    "nul_in_cell": with_surname("Zyx\x00quorbel"),
    "bare_cr_line_ends": SOUND.replace(b"\n", b"\r"),
    "one_bare_cr_line_end": SOUND.replace(b"\n", b"\r", 2).replace(b"\r", b"\n", 1),
    "no_final_newline": SOUND[:-9],
    "cut_inside_quotes": clients(ONE, change(TWO, 8, '"12 Elm')),
    "unclosed_quote": clients(ONE, change(TWO, 1, "\"O'Brien"), change(THREE, 8, '"12 Elm St, 3"')),
    "junk_after_quote": with_surname('"O\'Brien"x'),
    "backslash_escapes": with_surname(r'"O\"Brien"'),
    "semicolon_delimiter": SOUND.replace(b",", b";"),
    "tab_delimiter": SOUND.replace(b",", b"\t"),
    "header_twice": SOUND + SOUND,
    "cell_of_200_kib": with_surname("Zyxquorbel" * 20_000),
    "xlsx_with_csv_name": zipped("[Content_Types].xml", "xl/workbook.xml"),
    "zip_with_same_name_twice": zipped("clients.csv", "clients.csv"),
    "zip_bomb": zipped("clients.csv", bomb=10_000_000),
    "pdf_with_csv_name": b"%PDF-1.7\n" + SOUND,
    "html_with_csv_name": b"\r\n <!DOCTYPE html>\n<html><body>Sign in</body></html>\n",
    "gzip_with_csv_name": gzip.compress(SOUND, mtime=0),
    "armoured_pgp_with_csv_name": b"-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n",
    "binary_pgp_with_csv_name": b"\x85\x01\x0c\x03" + bytes(range(200)),
    # columns that are not the agreed ones
    "every_row_one_cell_too_many": clients(*(f"{r},extra" for r in (ONE, TWO, THREE))),
    "duplicate_header": lines(CLIENTS.replace("middle_name", "last_name"), ONE),
    "header_without_name": lines(CLIENTS.replace("middle_name", ""), ONE),
    "header_in_capitals": lines(CLIENTS.upper(), ONE),
    "header_with_space": lines(CLIENTS.replace("last_name", "last name"), ONE),
    "header_with_nbsp": lines(CLIENTS.replace("last_name", "last_name\u00a0"), ONE),
    "header_missing": lines(ONE, TWO, THREE),
    "column_new": lines(*(f"{r},{x}" for r, x in ((CLIENTS, "race"), (ONE, "A"), (TWO, "B")))),
    "column_lost": lines(*(r.rsplit(",", 1)[0] for r in (CLIENTS, ONE, TWO))),
    "column_renamed": lines(CLIENTS.replace("date_of_birth", "birth_date"), ONE),
    # CSV rows
    "one_row_short": clients(ONE, TWO.rsplit(",", 1)[0], THREE),
    "trailer_with_total": clients(ONE, TWO, "Total: 2 rows"),
    "blank_line": clients(ONE, "", THREE),
    "comment_line": clients("# exported by hand", ONE, TWO),
    "pipe_in_data": clients(ONE, TWO, THREE).replace(b",", b"|").replace(b"Qwimble", b"Qwim|ble"),
    "cell_of_100_kib": clients(ONE, change(TWO, 8, "Vrandulax " * 10_000), THREE),
    "ansi_escape_in_name": with_surname("Zyx\x1b[31mquorbel"),
    "bidi_override_in_name": with_surname("Zyx\u202equorbel"),
    "bare_cr_in_quotes": with_surname('"Zyx\rquorbel"'),
    "formula_hyperlink": clients(ONE, change(TWO, 8, '"=HYPERLINK(""http://x"")"'), THREE),
    "formula_plus": with_surname("+1"),
    "formula_minus": with_surname("-2+3"),
    "formula_at": with_surname("@SUM(1)"),
    "formula_after_tab": with_surname("\t=1+1"),
    "formula_after_apostrophe": with_surname("'=1+1"),
    "script_in_name": with_surname("<script>alert(1)</script>"),
    "surname_dash": with_surname("-"),
    "surname_missing": with_surname(""),
    "id_in_scientific_notation": clients(ONE, change(TWO, 0, "1.23E+11"), THREE),
    "id_as_day_and_month": clients(ONE, change(TWO, 0, "4-Mar"), THREE),
    "spreadsheet_error": clients(ONE, change(TWO, 0, "#REF!"), THREE),
    "leading_zeros_lost": clients(ONE, change(TWO, 10, "2207"), THREE),
    "ssn4_of_nine_digits": clients(ONE, change(TWO, 6, "000-00-0000"), THREE),
    "unknown_code": clients(ONE, change(TWO, 5, "Q"), THREE),
    "boolean_in_words": clients(ONE, change(TWO, 11, "yes"), THREE),
    "day_and_month_swapped": clients(ONE, change(TWO, 4, "1980-29-02"), THREE),
    "two_faults_in_one_row": clients(ONE, change(change(TWO, 4, "soon"), 5, "Q"), THREE),
    "same_key_other_content": clients(ONE, TWO, change(TWO, 9, "Troy"), THREE),
    "same_row_twice": clients(ONE, TWO, TWO, THREE),
    # JSON pages
    "json_sound": page({}, {"last_name": "Null"}) + page({"defendant_id": "D3"}),
    "json_no_rows": page(),
    "json_number_as_text": raw_page("zip", "12207"),
    "json_prototype_like_values": raw_page("last_name", '"__class__"'),
    "json_repeated_key": raw_page("city", '"Albany","city":"Troy"'),
    "json_nan": raw_page("zip", "NaN"),
    "json_1e999": raw_page("zip", "1e999"),
    "json_id_above_2_53": raw_page("defendant_id", "9007199254740993"),
    "json_truncated": page({}, {})[:-20],
    "json_trailing_garbage": page({}).replace(b"\n", b"}\n"),
    "json_byte_order_mark": b"\xef\xbb\xbf" + page({}),
    "json_null_for_list": b'{"data":null,"next":null}\n',
    "json_list_for_object": b'[{"data":[]}]\n',
    "json_list_of_lists": b'{"data":[["Zyxquorbel"]]}\n',
    "json_error_with_status_200": b'{"error":"session expired for Zyxquorbel"}\n',
    "json_login_page": b"<html><body>Sign in, Zyxquorbel</body></html>\n",
    "json_nested_too_deep": b'{"data":' + b"[" * 100_000 + b"\n",
    "json_page_repeats": page({}, {}) * 2,
    "json_nested_object": raw_page("city", '{"name":"Vrandulax"}'),
    "json_nul_escape": raw_page("last_name", '"Zyx\\u0000quorbel"'),
    "json_lone_surrogate": raw_page("last_name", '"Zyx\\ud800quorbel"'),
    "json_field_lost_in_one_row": page({}, {}).replace(b'"city":"Albany",', b"", 1),
    "json_field_lost": page({}, {}).replace(b'"city":"Albany",', b""),
    "json_prototype_like_key": page({}, {}).replace(b'"city"', b'"__class__"'),
    "json_unknown_enum": raw_page("sex", '"female"'),
    "json_date_of_zeros": raw_page("date_of_birth", '"0000-00-00"'),
    "json_date_that_is_none": raw_page("date_of_birth", '"2026-02-30"'),
    "json_epoch_milliseconds": raw_page("updated_at", "1763600523000"),
    "json_local_time_in_the_repeated_hour": raw_page("updated_at", '"2026-11-01T01:30:00"'),
    # database rows
    "db_sound": persons({"suffix": ""}, {"date_of_birth": None}),
    "db_null_where_required": persons({"last_name": None}),
    "db_far_future_sentinel": persons({"date_of_birth": "9999-12-31"}),
    "db_far_past_sentinel": persons({"date_of_birth": "1900-01-01"}),
    "db_timestamp_without_zone": persons({"updated_at": "2026-11-20 01:02:03"}),
    "db_timestamp_null": persons({"updated_at": None}),
    "db_latin_1_in_sql_ascii": latin_1_in_sql_ascii(),
    "db_primary_key_twice": persons({"person_no": "P1", "city": "Troy"}),
    "db_column_type_changed": stream(
        pa.table(
            {
                k: pa.array([1]) if k == "person_no" else pa.array([v], pa.string())
                for k, v in PERSON.items()
            }
        )
    ),
    "db_stream_cut": persons({}, {})[:-200],
    "person_born_in_the_future": persons({"date_of_birth": "2031-01-01"}),
    "person_of_130": persons({"date_of_birth": "1901-05-05"}),
    "person_born_on_january_1": persons({"date_of_birth": "1980-01-01"}),
    "person_placeholder_name": persons({"last_name": "Doe", "first_name": "Baby Boy"}),
}
