"""What a partner gets: its columns alone, same rows same bytes, checkable with stock tools."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation import files, openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import Sensitivity
from leadhub.release import documents, encoding, package
from leadhub.release.changes import diff
from schemas import releases
from schemas.contract import facts
from tests.release.dataset import COLUMNS, PACKAGE, changes, column, rows, table, with_column

GPG = shutil.which("gpg")
SOME = (("update", "DA-1", "ENROLLED", date(2026, 11, 2), None), ("withdraw", "DA-9", None, None, None))


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "signing.pgp"
    openpgp.generate(path, "hub <hub@leadhub.example>")
    return path


def build(folder: Path, key: Path, facts=PACKAGE, content=None, change_rows=None, **given):
    content = rows() if content is None else content
    return package.build(facts, content, change_rows, folder, signing_key=key, **given)


def refused(reason: str, folder: Path, key: Path, facts=PACKAGE, content=None, change_rows=None, **given):
    with pytest.raises(TerminalError) as caught:
        build(folder, key, facts, content, change_rows, **given)
    assert caught.value.reason == reason
    assert not list(folder.glob("*"))
    return caught.value.message


def read_csv(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))


def test_a_delivery_holds_these_files_and_no_other(tmp_path, key):
    build(tmp_path, key, change_rows=changes(*SOME))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "NOTICE_42CFR2.txt",
        "README.md",
        "SHA256SUMS",
        "data_dictionary.csv",
        "diversion_status.csv",
        "diversion_status.parquet",
        "diversion_status_changes.csv",
        "diversion_status_changes.parquet",
        "manifest.json",
        "manifest.json.asc",
    ]


def test_rows_come_sorted_and_whole_in_both_formats(tmp_path, key):
    build(tmp_path, key, change_rows=changes(*SOME))
    table = encoding.read_parquet((tmp_path / "diversion_status.parquet").read_bytes())
    assert table.column_names == [c.name for c in COLUMNS]
    assert table["case_no"].to_pylist() == ["DA-1", "DA-2", "DA-3"]
    assert read_csv((tmp_path / "diversion_status.csv").read_bytes()) == [
        ["case_no", "diversion_status", "status_date", "note"],
        ["DA-1", "NO_INFORMATION", "", ""],
        ["DA-2", "INTAKE_COMPLETE", "2026-10-09", 'a "quoted", text'],
        ["DA-3", "ENROLLED", "2026-11-01", "'=1+1"],
    ]


def test_a_withdrawal_comes_before_the_row_that_replaces_it(tmp_path, key):
    again = ("insert", "DA-9", "NO_INFORMATION", None, None)
    build(tmp_path, key, change_rows=changes(again, *SOME))
    assert read_csv((tmp_path / "diversion_status_changes.csv").read_bytes()) == [
        ["op", "case_no", "diversion_status", "status_date", "note"],
        ["withdraw", "DA-9", "", "", ""],
        ["update", "DA-1", "ENROLLED", "2026-11-02", ""],
        ["insert", "DA-9", "NO_INFORMATION", "", ""],
    ]


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(3)), cut=st.integers(0, 3), large=st.booleans())
def test_t5_g2_same_rows_same_bytes(tmp_path_factory, key, order, cut, large):
    one, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    table = rows().take(list(order))
    table = pa.concat_tables([table.slice(0, cut), table.slice(cut)])
    if large:
        table = table.cast(
            pa.schema([table.schema.field(0).with_type(pa.large_string()), *list(table.schema)[1:]])
        )
    table = table.replace_schema_metadata({"pandas": "{}"})
    build(one, key)
    build(other, key, content=table)
    for path in one.iterdir():
        if path.name != package.SIGNATURE:
            assert path.read_bytes() == (other / path.name).read_bytes(), path.name


def test_the_manifest_states_the_delivery_and_nothing_else(tmp_path, key):
    build(tmp_path, key, change_rows=changes(*SOME))
    manifest = files.read_json(tmp_path / package.MANIFEST)
    stated = """format partner dataset title night sequence previous_sequence agreement purpose legal_basis
    retention_days acknowledge_within_days schema withdrawals_only rows changes inputs notice consent_scope
    csv files encrypted_to signed_by"""
    assert set(manifest) == set(stated.split())
    assert (manifest["rows"], manifest["changes"], manifest["sequence"]) == (3, 2, 1)
    assert {f["name"] for f in manifest["files"]} == {
        p.name for p in tmp_path.iterdir() if p.name not in package.PROOF
    }
    for fact in manifest["files"]:
        data = (tmp_path / fact["name"]).read_bytes()
        assert (fact["sha256"], fact["bytes"]) == (files.sha256_bytes(data), len(data))
    assert manifest["csv"]["formula_prefix"] == "'"
    assert manifest["csv"]["formula_prefix_columns"] == ["case_no", "diversion_status", "note"]
    # no moment in time but the night
    assert not re.search(r"\d{2}:\d{2}", json.dumps(manifest))


# what may stand in a file ---------------------------------------------------------------------------


def test_g7_an_identifier_is_refused(tmp_path, key):
    name = column("last_name", sensitivity=Sensitivity.IDENTIFIER)
    table = rows().append_column("last_name", pa.array(["Zzyzx"] * 3))
    message = refused("identifier_in_release", tmp_path, key, with_column(name), table)
    assert "last_name" in message
    assert "Zzyzx" not in message


def test_g7_a_withheld_column_is_refused(tmp_path, key):
    facts = with_column(column("score", "integer", sensitivity=Sensitivity.WITHHELD))
    refused("column_not_allowed", tmp_path, key, facts, rows().append_column("score", pa.array([1, 2, 3])))


def test_g7_a_column_that_the_agreement_does_not_name_is_refused(tmp_path, key):
    extra = rows().append_column("address", pa.array(["1 Zzyzx Rd"] * 3))
    message = refused("column_not_allowed", tmp_path, key, content=extra)
    assert "address" in message
    refused("column_not_allowed", tmp_path, key, content=rows().drop_columns(["note"]))
    renamed = changes(*SOME).rename_columns(
        ["op", "case_no", "diversion_status", "status_date", "person_id"]
    )
    refused("column_not_allowed", tmp_path, key, change_rows=renamed)


@pytest.mark.parametrize("inside", ["s1:ABCDEF", "t1:00ff", "t1.9f3a:00ff", "p2:QWERTY", "r1:aa"])
def test_g7_the_hubs_own_ids_are_refused(tmp_path, key, inside):
    message = refused(
        "column_not_allowed", tmp_path, key, content=table(("DA-1", "ENROLLED", None, inside))
    )
    assert inside not in message


@pytest.mark.parametrize(
    "entry",
    [(None, "ENROLLED", None, None), ("DA-1", "RELAPSED", None, None), ("DA-1", None, None, None)],
)
def test_g5_values_that_the_columns_do_not_allow_are_refused(tmp_path, key, entry):
    message = refused("schema_drift", tmp_path, key, content=table(entry))
    assert "RELAPSED" not in message


def test_g5_another_type_is_refused_not_converted(tmp_path, key):
    table = rows().set_column(0, "case_no", pa.array([1, 2, 3]))
    refused("schema_drift", tmp_path, key, content=table)


def test_an_operation_that_the_readme_does_not_explain_is_refused(tmp_path, key):
    refused("schema_drift", tmp_path, key, change_rows=changes(("sealed", "DA-1", None, None, None)))


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
STARTS = st.sampled_from(["", *encoding.FORMULA_STARTS])


@settings(max_examples=150, deadline=None)
@given(values=st.lists(st.tuples(STARTS, TEXT).map("".join) | st.none(), min_size=1, max_size=6))
def test_csv_gives_every_text_back_and_no_formula(values):
    table = pa.table({"n": pa.array(range(len(values))), "text": pa.array(values, pa.string())})
    data = encoding.csv(table)
    read = read_csv(data)
    assert read[0] == ["n", "text"]
    fields = [line[1] for line in read[1:]]
    assert not any(f.startswith(encoding.FORMULA_STARTS[:-1]) for f in fields)
    assert [f.removeprefix("'") for f in fields] == [v or "" for v in values]
    # a missing value is an empty field, an empty text is quoted
    empty = [line for line in data.split(b"\n") if line.endswith(b',""') and len(line) < 6]
    assert len(empty) == sum(v == "" for v in values)


def test_numbers_are_not_taken_for_formulas():
    assert encoding.csv(pa.table({"n": pa.array([-5])})) == b"n\n-5\n"


def test_timestamps_are_exact_and_in_utc():
    moment = pa.array([1], pa.timestamp("us", "UTC"))
    assert encoding.csv(pa.table({"at": moment})) == b"at\n1970-01-01T00:00:00.000001Z\n"


# notice and documents -------------------------------------------------------------------------------


def test_g11_the_notice_is_the_text_of_the_regulation_byte_for_byte(tmp_path, key):
    manifest = build(tmp_path, key)
    text = (tmp_path / "NOTICE_42CFR2.txt").read_bytes()
    assert files.sha256_bytes(text) == manifest["notice"]["sha256"]
    assert manifest["notice"]["name"] == "42cfr2_statement_1_2024"
    assert text.startswith(b"This record which has been disclosed to you is protected by Federal")
    # paragraphs that paraphrases drop
    assert b"(ii) You are a covered entity or business associate" in text
    assert text.endswith(b"to further use or redisclose the record (see 42 CFR 2.31).\n")


def test_every_notice_is_as_it_was_adopted(tmp_path, monkeypatch):
    for name in documents.NOTICES:
        assert documents.notice(name).text.endswith(b"\n")
    (tmp_path / "42cfr2_statement_1_2024.txt").write_text("You may share this.\n")
    monkeypatch.setattr(documents, "_NOTICES", tmp_path)
    with pytest.raises(TerminalError, match="not the one adopted"):
        documents.notice("42cfr2_statement_1_2024")


def test_part2_columns_without_a_notice_are_refused(tmp_path, key):
    refused("agreement_invalid", tmp_path, key, replace(PACKAGE, notice=None))
    refused("agreement_invalid", tmp_path, key, replace(PACKAGE, notice="retired_2018"))


def test_silence_the_notice_comes_whoever_is_in_the_dataset(tmp_path, key):
    build(tmp_path, key, content=table(("DA-1", "NO_INFORMATION", None, None)))
    assert (tmp_path / "NOTICE_42CFR2.txt").exists()


def test_the_readme_tells_the_recipient_what_it_needs(tmp_path, key):
    build(tmp_path, key, change_rows=changes(*SOME))
    text = (tmp_path / "README.md").read_text()
    for needed in (
        *("NO_INFORMATION", "INTAKE_COMPLETE", "ENROLLED", "`withdraw`", "Do not infer"),
        *(PACKAGE.contact, PACKAGE.purpose, PACKAGE.legal_basis, *PACKAGE.use_limits),
        *("gpg --verify manifest.json.asc manifest.json", "sha256sum --check SHA256SUMS"),
        *("disputes_<YYYYMMDD>_<NN>.csv", "dispute_id", "| police records | none yet |"),
        openpgp.fingerprint(openpgp.certificate(key)),
    ):
        assert needed in text
    assert "{{" not in text
    assert "None" not in text


def test_the_readme_stands_without_changes_dispute_notice_and_limits(tmp_path, key):
    bare = replace(
        PACKAGE,
        columns=(COLUMNS[0],),
        notice=None,
        dispute=None,
        use_limits=(),
    )
    build(tmp_path, key, bare, rows().select(["case_no"]))
    text = (tmp_path / "README.md").read_text()
    assert "NOTICE" not in text
    assert "No change file" in text
    assert "To dispute rows" not in text


def test_each_status_and_decision_that_partners_are_told_has_a_meaning():
    told = [c for m in releases.RELEASES.values() for c in facts(m).columns if c.codes]
    named = [c for c in told if c.name.endswith(("_status", "_decision"))]
    assert {"diversion_status", "referral_status", "da_decision"} <= {c.name for c in named}
    assert {code for c in named for code in c.codes} <= set(documents.MEANINGS)


def test_the_operations_are_those_of_the_change_file():
    before, after = rows(), table(("DA-1", "ENROLLED", None, None), ("DA-4", "ENROLLED", None, None))
    found = diff(before, after, key=["case_no"], stated=["diversion_status"])
    assert set(found["op"].to_pylist()) == set(documents.OPERATIONS)


def test_the_dictionary_describes_each_column(tmp_path, key):
    build(tmp_path, key)
    lines = read_csv((tmp_path / "data_dictionary.csv").read_bytes())
    assert lines[2] == [
        *("diversion_status", "string", "no", "NO_INFORMATION|INTAKE_COMPLETE|ENROLLED", "PART2"),
        "The diversion_status",
    ]
    assert [line[0] for line in lines[1:]] == [c.name for c in COLUMNS]


# signatures, sums, encryption -----------------------------------------------------------------------


@pytest.fixture
def encrypted(tmp_path, key):
    own = tmp_path / "partner.pgp"
    openpgp.generate(own, "partner <partner@leadhub.example>")
    certificate = openpgp.certificate(own)
    facts = replace(PACKAGE, encrypt=True, recipient=openpgp.fingerprint(certificate))
    folder = tmp_path / "package"
    build(folder, key, facts, change_rows=changes(*SOME), recipient_certificate=certificate)
    return folder, own


def test_an_encrypted_delivery_holds_no_row_in_plain(encrypted):
    folder, own = encrypted
    manifest = files.read_json(folder / package.MANIFEST)
    data = [f for f in manifest["files"] if "rows" in f]
    assert len(data) == 4
    for fact in data:
        assert not (folder / fact["name"]).exists()
        plain = openpgp.decrypt((folder / fact["encrypted"]["name"]).read_bytes(), own)
        assert files.sha256_bytes(plain) == fact["sha256"]
    assert not any(b"DA-3" in p.read_bytes() for p in folder.iterdir())
    assert "diversion_status.csv.pgp" in (folder / "README.md").read_text()


def test_manifests_of_two_encryptions_have_the_same_content(tmp_path, key):
    own = tmp_path / "partner.pgp"
    openpgp.generate(own, "partner <partner@leadhub.example>")
    certificate = openpgp.certificate(own)
    facts = replace(PACKAGE, encrypt=True, recipient=openpgp.fingerprint(certificate))
    one, other = (
        build(tmp_path / name, key, facts, recipient_certificate=certificate) for name in ("one", "other")
    )
    assert one != other
    assert package.same_content(one, other)
    third = build(tmp_path / "third", key, facts, rows().slice(1), recipient_certificate=certificate)
    assert not package.same_content(one, third)


def test_f15_a_wrong_recipient_key_stops(tmp_path, key):
    certificate = openpgp.certificate(key)
    asked = replace(PACKAGE, encrypt=True, recipient="0" * 40)
    folder = tmp_path / "package"
    refused("recipient_key_mismatch", folder, key, asked, recipient_certificate=certificate)
    refused("recipient_key_mismatch", folder, key, asked)
    refused("recipient_key_mismatch", folder, key, replace(asked, recipient=None))


@pytest.mark.parametrize("name", ["diversion_status.csv", "README.md", "SHA256SUMS", "manifest.json"])
def test_any_changed_file_is_found_on_reading_back(tmp_path, key, name):
    build(tmp_path, key)
    certificate = openpgp.certificate(key)
    assert package.verify(tmp_path, certificate)["rows"] == 3
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:-1] + b" ")
    with pytest.raises(TerminalError, match="signature_invalid"):
        package.verify(tmp_path, certificate)


def test_a_missing_or_added_file_is_found_on_reading_back(tmp_path, key):
    build(tmp_path, key)
    certificate = openpgp.certificate(key)
    (tmp_path / "extra.csv").write_text("x")
    with pytest.raises(TerminalError, match="signature_invalid"):
        package.verify(tmp_path, certificate)
    (tmp_path / "extra.csv").unlink()
    (tmp_path / package.SIGNATURE).unlink()
    with pytest.raises(TerminalError, match="signature_invalid"):
        package.verify(tmp_path, certificate)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_stock_sha256sum_accepts_what_is_delivered(encrypted):
    folder, _ = encrypted
    ran = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count(b": OK") == len(list(folder.iterdir())) - 2


@pytest.fixture
def gpg():
    """Stock gpg in an empty home; called with arguments and a folder, it gives the finished process."""
    if GPG is None:
        pytest.skip("stock gpg is not installed")
    # the agent's socket path must be short
    home = tempfile.mkdtemp(prefix="gpg", dir="/tmp")

    def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
        fixed = [GPG, "--homedir", home, "--batch", "--trust-model", "always"]
        return subprocess.run([*fixed, *arguments], cwd=cwd, capture_output=True)

    yield run
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
    shutil.rmtree(home, ignore_errors=True)


def test_stock_gpg_verifies_the_manifest(tmp_path, key, gpg):
    build(tmp_path, key)
    (tmp_path / "hub.asc").write_bytes(openpgp.certificate(key))
    assert gpg("--import", "hub.asc", cwd=tmp_path).returncode == 0
    verify = ("--verify", package.SIGNATURE, package.MANIFEST)
    assert gpg(*verify, cwd=tmp_path).returncode == 0
    manifest = tmp_path / package.MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b'"rows": 3', b'"rows": 4'))
    assert gpg(*verify, cwd=tmp_path).returncode != 0


def test_stock_gpg_decrypts_a_delivery_to_a_key_that_gpg_made(tmp_path, key, gpg):
    made = ("--passphrase", "", "--quick-generate-key", "partner@leadhub.example", "future-default")
    assert gpg(*made, cwd=tmp_path).returncode == 0
    certificate = gpg("--armor", "--export", cwd=tmp_path).stdout
    facts = replace(PACKAGE, encrypt=True, recipient=openpgp.fingerprint(certificate).lower())
    build(tmp_path, key, facts, recipient_certificate=certificate)
    opened = gpg("--decrypt", "diversion_status.csv.pgp", cwd=tmp_path)
    assert opened.returncode == 0, opened.stderr
    assert b"DA-3,ENROLLED,2026-11-01,'=1+1" in opened.stdout
