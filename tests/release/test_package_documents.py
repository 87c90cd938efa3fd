"""What a partner can read in a package: the notice, word for word, and what columns and states mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leadhub.foundation import files, openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.release import documents
from leadhub.release.changes import diff
from schemas import releases
from schemas.contract import facts
from tests.release.built_package import SOME, build, read_csv, refused
from tests.release.dataset import COLUMNS, PACKAGE, changes, rows, table


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
