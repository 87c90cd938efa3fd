"""Each row that was shipped is accounted for, under a person and a basis."""

from __future__ import annotations

import pyarrow as pa
import pytest

from leadhub.foundation.errors import TerminalError
from leadhub.release import accounting, encoding
from tests.release.dataset import COLUMNS
from tests.release.publishing import NEXT, NIGHT, ONE, TWO, content


def test_g11_each_disclosure_of_a_person_is_found(partner):
    partner.publish(NIGHT, ONE)
    partner.publish(NEXT, TWO)
    found = accounting.disclosures(partner.var, "p1:DA-2")
    assert [(d["sequence"], d["night"], d["consent_id"], d["legal_basis"]) for d in found] == [
        (1, NIGHT, "c:DA-2", "42 CFR 2.31"),
        (2, NEXT, None, "MOU 4"),
    ]
    assert found[0]["columns"] == [c.name for c in COLUMNS]
    assert {d["status"] for d in found} == {"committed"}
    assert accounting.disclosures(partner.var, "p1:nobody") == []


def test_g11_who_was_in_that_file(partner):
    receipt = partner.publish(NIGHT, ONE)
    folder = partner.releases / f"000001_{receipt['release_id']}"
    assert accounting.persons_in(folder) == ["p1:DA-1", "p1:DA-2", "p1:DA-3"]


def test_g12_an_accounting_that_was_changed_is_found(partner):
    partner.publish(NIGHT, ONE)
    path = next(partner.releases.glob("*/inside/accounting.parquet"))
    path.write_bytes(encoding.parquet(accounting.read(path).slice(1)))
    with pytest.raises(TerminalError, match="ledger_broken"):
        accounting.disclosures(partner.var, "p1:DA-1")


@pytest.mark.parametrize("column", ["person_id", "row_key", "legal_basis"])
def test_g11_a_row_without_person_key_or_basis_is_not_shipped(column):
    grounds = content(ONE).grounds
    values = [None, *grounds[column].to_pylist()[1:]]
    index = grounds.schema.get_field_index(column)
    lacking = grounds.set_column(index, column, pa.array(values, pa.string()))
    with pytest.raises(TerminalError, match="counts_differ"):
        accounting.account(lacking, shipped=3, columns=["a"], purpose="p", night=NIGHT)


def test_g3_a_row_accounted_for_twice_is_not_shipped():
    grounds = content((*ONE[:2], ONE[1])).grounds
    with pytest.raises(TerminalError, match="counts_differ"):
        accounting.account(grounds, shipped=3, columns=["a"], purpose="p", night=NIGHT)
