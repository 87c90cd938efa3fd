"""FHIR Consents become rows of a provider's drop that the feed's own mapping reads as the same lines."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation.errors import TerminalError
from leadhub.intake import feeds, mapping, tabular
from leadhub.permission import fhir
from leadhub.steps import consents
from schemas import provider
from schemas.contract import facts
from tests.permission.test_fhir import LINES, WRITTEN

FEEDS = feeds.load_all(Path("feeds"))
PROVIDERS = [f for f in FEEDS.values() if f.contract == "provider"]
FACTS = facts(provider.Consents)


def read(data: bytes, feed: feeds.Feed):
    parsed = tabular.parse(
        data, "csv", name="consents", delimiter=feed.drop.delimiter, encoding=feed.drop.encoding
    )
    return mapping.apply(parsed, FACTS, feed.tables["consents"], name="consents")


def without_seconds(line):
    """Riverside writes minutes alone."""
    at = line["revoked_at"]
    return line | {"revoked_at": None if at is None else at.replace(second=0, microsecond=0)}


@pytest.mark.parametrize("feed", PROVIDERS, ids=lambda f: f.id)
@given(st.lists(LINES.map(without_seconds), min_size=1, max_size=3))
@settings(max_examples=40, deadline=None)
def test_law_what_is_exported_enters_again_as_the_same_rows(feed, lines):
    told = json.loads(json.dumps(fhir.bundle(lines, feed.agency)))
    mapped = read(consents.as_drop(fhir.rows(told, feed.agency, name="x"), feed), feed)
    assert mapped.faults.height == 0
    assert mapped.frame.select(fhir.COLUMNS).to_dicts() == lines


def test_a_file_that_is_none_is_refused_without_its_content(tmp_path):
    path, harbor = tmp_path / "c.json", FEEDS["harbor_case_management"]
    with pytest.raises(TerminalError, match=r"\[c.json\] is missing"):
        consents.imported(path, harbor)
    path.write_text("{Zyxwvut")
    with pytest.raises(TerminalError, match=r"\[c.json\] is no JSON") as refused:
        consents.imported(path, harbor)
    assert "Zyxwvut" not in str(refused.value)
    path.write_text(json.dumps(WRITTEN))
    assert read(consents.imported(path, harbor), harbor).frame.height == 1
    with pytest.raises(TerminalError, match="takes no drops of consents"):
        consents.as_drop([], FEEDS["da_cases"])
