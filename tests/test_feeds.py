"""The agreed feeds: each is whole, and each fits its contract."""

import importlib
import re

import pytest
import yaml

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import REPOSITORY
from leadhub.intake import feeds
from schemas.contract import facts, tables_of

FOLDER = REPOSITORY / "feeds"
FEEDS = feeds.load_all(FOLDER)


def contracts(feed):
    return {n: facts(m) for n, m in tables_of(importlib.import_module(f"schemas.{feed.contract}")).items()}


def test_the_feeds_are_exactly_these():
    assert {f.id: (f.agency, f.connector, f.contract, f.cadence) for f in FEEDS.values()} == {
        "police_records": ("police", "sql", "police", "nightly"),
        "da_cases": ("district_attorney", "rest", "da", "nightly"),
        "harbor_case_management": ("harbor_case_management", "sftp", "provider", "nightly"),
        "riverside_treatment": ("riverside_treatment", "sftp", "provider", "nightly"),
        "da_disputes": ("district_attorney", "sftp", "disputes", "irregular"),
    }
    assert {f.id: (f.connection, f.outbox) for f in FEEDS.values()} == {
        "police_records": ("police_records", "sftp_police"),
        "da_cases": ("da_api", "sftp_district_attorney"),
        "harbor_case_management": ("sftp_harbor_case_management",) * 2,
        "riverside_treatment": ("sftp_riverside_treatment",) * 2,
        "da_disputes": ("sftp_district_attorney",) * 2,
    }


@pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS)
def test_a_feed_maps_every_column_of_its_contract(feed):
    known = contracts(feed)
    assert set(feed.tables) == set(known)
    for name, table in feed.tables.items():
        assert set(table.columns) == {c.name for c in known[name].columns}
        assert len(set(table.columns.values())) == len(table.columns), "a source column is taken twice"
        assert not set(table.ignore) & set(table.columns.values())


@pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS)
def test_parents_stand_before_the_tables_that_refer_to_them(feed):
    order = list(feed.tables)
    for name, table in contracts(feed).items():
        for reference in table.references:
            assert order.index(reference.table) < order.index(name)


@pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS)
def test_codes_and_formats_lead_into_the_contract(feed):
    known = contracts(feed)
    for name, table in feed.tables.items():
        for column, codes in table.codes.items():
            allowed = known[name].column(column).codes or ("Y", "N")
            assert set(codes.values()) <= set(allowed), column
            assert len(set(codes.values())) == len(codes), f"two codes of [{column}] mean the same"
        for column, form in table.formats.items():
            kind = known[name].column(column).type
            assert kind in ("date", "timestamp")
            assert kind == "date" or form.endswith("%z")


def test_numeric_code_lists_are_whole():
    """Where an agency numbers its codes, a code that it may send tomorrow has its number today."""
    feed = FEEDS["riverside_treatment"]
    for name, table in feed.tables.items():
        for column, codes in table.codes.items():
            allowed = contracts(feed)[name].column(column).codes or ("Y", "N")
            assert set(codes.values()) == set(allowed), column


@pytest.mark.parametrize("feed", [f for f in FEEDS.values() if f.drop], ids=lambda f: f.id)
def test_patterns_take_the_agreed_names_and_no_others(feed):
    ending = ".csv.pgp" if feed.drop.encryption == "openpgp" else ".csv"
    for table in feed.tables.values():
        found = re.fullmatch(feed.drop.pattern, f"{table.source}_20261120_02{ending}")
        assert found is not None
        assert found.groupdict() == {"table": table.source, "night": "20261120", "sequence": "02"}
    for name in (
        f"other_20261120_01{ending}",
        f"clients_2026112_01{ending}",
        f"../clients_20261120_01{ending}",
    ):
        assert re.fullmatch(feed.drop.pattern, name) is None


@pytest.mark.parametrize("feed", [f for f in FEEDS.values() if not f.drop], ids=lambda f: f.id)
def test_feeds_that_are_asked_have_a_clock_that_every_table_maps(feed):
    assert feed.watermark is not None
    assert all(feed.watermark in table.columns for table in feed.tables.values())
    assert feed.overlap_minutes >= 60


def test_part_2_programmes_send_encrypted():
    assert FEEDS["riverside_treatment"].drop.encryption == "openpgp"


def test_a_key_that_nobody_knows_is_refused(tmp_path):
    content = yaml.safe_load((FOLDER / "da_disputes.yaml").read_text())
    content["cutof"] = "04:00"
    (tmp_path / "da_disputes.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(TerminalError) as caught:
        feeds.load(tmp_path, "da_disputes")
    assert caught.value.reason == "feed_invalid"
    assert "cutof" in caught.value.message
