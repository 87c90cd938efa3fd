"""T3: what no consent covers changes nothing of what police and prosecutor get, identifiers included.

Pure functions are put to it with any input in tests/release/test_datasets.py; here the whole night runs,
linkage and packaging too.
"""

import pytest

from tests.night.clinic import covered, received, send, sent

pytestmark = pytest.mark.timeout(300)
IDENTIFIERS = (
    "last_name",
    "first_name",
    "middle_name",
    "dob",
    "sex",
    "ssn4",
    "phone",
    "address",
    "city",
    "zip",
)


def unchanged(tables):
    return tables


def gone(tables):
    """The others never came."""
    kept = covered(tables)
    return {t: [r for r in rows if r["client_id"] in kept] for t, rows in tables.items()}


def otherwise(tables):
    """The others did otherwise: other outcomes, other days, no consent to anybody."""
    kept = covered(tables)
    for row in tables["intakes"]:
        if row["client_id"] not in kept:
            row |= {"outcome": "REFUSED" if row["outcome"] != "REFUSED" else "COMPLETED"}
    mine = [r for r in tables["episodes"] if r["client_id"] in kept]
    consents = [r for r in tables["consents"] if r["client_id"] in kept]
    return {**tables, "episodes": mine, "consents": consents}


def somebody_else(tables):
    """The others bear the identifiers of those who consent, to win, contest or bridge their links."""
    kept = covered(tables)
    theirs = [r for r in tables["clients"] if r["client_id"] in kept]
    others = [r for r in tables["clients"] if r["client_id"] not in kept]
    for n, row in enumerate(others):
        row |= {name: theirs[n % len(theirs)][name] for name in IDENTIFIERS}
    return tables


def night(nights, after, change) -> dict[str, object]:
    nights.restore(after)
    send(nights, change(sent(nights)))
    assert nights.run(2) == 0
    return received(nights)


@pytest.fixture(scope="module")
def plain(nights, after):
    return night(nights, after, unchanged)


@pytest.mark.parametrize("change", [gone, otherwise, somebody_else])
def test_t3_what_no_consent_covers_changes_no_byte(nights, after, plain, change):
    tables = sent(nights)
    assert len(covered(tables)) > 3
    assert len({r["client_id"] for r in tables["clients"]} - covered(tables)) > 3
    assert night(nights, after, change) == plain


def test_t3_would_notice(nights, after, plain):
    """Those who consent take it back: that is seen."""

    def taken_back(tables):
        for row in tables["consents"]:
            row |= {"revoked_at": "2026-11-01T09:00:00Z"}
        return tables

    assert night(nights, after, taken_back) != plain
