"""Provisions: default deny, the stricter one counts, and the table cannot say otherwise."""

import itertools
from typing import get_args

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from leadhub.casework import provisions
from leadhub.casework.provisions import Provisions, RecipientKind
from leadhub.foundation.errors import TerminalError
from leadhub.permission.agreements import Purpose
from schemas import codes
from tests.casework.desk import Desk
from tests.casework.test_seals import reconcile

ORDER = [p.id for p in provisions.load().provisions]
some = st.lists(st.sampled_from([*ORDER, None]), min_size=3, max_size=3)


def test_the_table_has_every_provision_of_the_contract_and_opens_nothing():
    assert sorted(ORDER) == sorted(codes.SEAL_TYPE)
    for kind, purpose in itertools.product(get_args(RecipientKind), get_args(Purpose)):
        assert provisions.load().visible(kind, purpose) == []


@given(st.lists(some, min_size=1, max_size=6))
def test_of_several_provisions_the_strictest_counts(rows):
    frame = pl.DataFrame(rows, schema=dict.fromkeys("abc", pl.String), orient="row")
    by_row = frame.select(found=provisions.strictest("a", "b", "c"))["found"].to_list()
    assert by_row == [min((v for v in row if v), key=ORDER.index, default=None) for row in rows]
    [over_all] = frame.select(found=provisions.strictest_of("a"))["found"].to_list()
    assert over_all == min((row[0] for row in rows if row[0]), key=ORDER.index, default=None)


def written(tmp_path, **opened):
    told = yaml.safe_load(provisions.TABLE.read_text())
    for provision in told["provisions"]:
        provision["visible_to"] = opened.get(provision["id"], [])
    path = tmp_path / "provisions.yaml"
    path.write_text(yaml.safe_dump(told))
    return path


POLICE = [{"recipient": "law_enforcement", "purpose": "DIVERSION_COORDINATION"}]


def test_what_is_opened_is_open_to_that_recipient_for_that_purpose_alone(tmp_path):
    table = provisions.load(written(tmp_path, CPL_160_57=POLICE))
    assert table.visible("law_enforcement", "DIVERSION_COORDINATION") == ["CPL_160_57"]
    assert table.visible("law_enforcement", "PROGRAMME_EVALUATION") == []
    assert table.visible("provider", "DIVERSION_COORDINATION") == []


def test_a_stricter_provision_cannot_be_open_where_a_less_strict_one_is_not(tmp_path):
    with pytest.raises(TerminalError, match="CPL_160_50 is open to somebody to whom CPL_160_55"):
        provisions.load(written(tmp_path, CPL_160_50=POLICE, CPL_160_57=POLICE))


def test_two_seals_of_one_case_are_the_stricter_one():
    desk = Desk().referred("1").case("1").disposed("1", "PLEA", "2026-11-01", sealed="CPL_160_57")
    desk.ordered("1", seal_type="YO_720")
    found = reconcile(desk)
    assert set(found.diversion_cases["sealed_under"].to_pylist()) == {"YO_720"}
    assert set(found.diversions["sealed_under"].to_pylist()) == {"YO_720"}
    assert set(found.justice_events["sealed_under"].to_pylist()) == {"YO_720"}


@given(known=st.none() | st.sampled_from([*ORDER]))
def test_unknown_stays_unknown(known):
    assert Provisions.model_validate(provisions.load().model_dump()).visible("public", str(known)) == []
