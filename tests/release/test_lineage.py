"""Lineage is declared (`made_from`) and inherited; what is declared is all: nothing else moves a column."""

from datetime import date, datetime, timedelta

import pytest

from leadhub.foundation.vocabulary import STRICTEST_FIRST, Protection, Sensitivity
from schemas import codes, releases
from schemas.contract import Contract, column, facts
from tests.casework.desk import LAYOUT, NIGHT, Desk, day
from tests.release.test_datasets import DA, POLICE_BACK, build

#: what else a code of a feed could have been
OTHERWISE = {
    "referral_door": "SOCIAL_CONTACT",
    "race_ethnicity": "BLACK",
    "not_offered_reason": "OTHER",
    "law_category": "F",
    "decision": "DECLINED",
    "disposition": "ACD",
    "sealed_under": "CPL_160_50",
    "consent_type": "HMIS_ROI",
    "recipient": "housing",
    "info_category": "ATTENDANCE",
    "purpose": "PAYMENT",
    "expiry_event": "END_OF_TREATMENT",
    "outcome": "WINDOW_LAPSED",
    "disputed_column": "status_on",
    "problem": "WRONG_DATE",
    "charge_seq": "9",
    "discloser": "LEAD_PROVIDERS",
    "signer": "PARENT",
    "revocable": "NOT_BEFORE_EVENT",
    "revocation_channel": "ORALLY",
}
INPUTS = [
    (kind, table, name)
    for kind, tables in LAYOUT.items()
    for table, columns in tables.items()
    for name in columns.partition("|")[2].split()
]


def county(recipient: str) -> Desk:
    """Each of four diversions has all that any agency says of one; the DA and the police may be told."""
    desk = Desk()
    for n in "0123":
        desk.referred(n, n).case(n, n).decided(n, "FILED", "2026-10-03")
        desk.disposed(n, "DISMISSED", "2026-11-10")
        desk.client(n, n).consent(n, recipient=recipient).intake(n, "COMPLETED", "2026-10-10")
    desk.episode("1", "2026-10-12").episode("2", "2026-10-12", "2026-11-01")
    return desk


def another(name: str, value: object) -> object:
    if name in OTHERWISE:
        return OTHERWISE[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, (date, datetime)):
        return value - timedelta(days=9)
    return day(NIGHT) - timedelta(days=1)  # what was not there is


def declared(model: type[Contract], source: str) -> set[str]:
    """Columns that say they are made from an input."""
    table = source.rpartition(".")[0]
    return {c.name for c in facts(model).columns if {source, table} & set(c.made_from)}


def moved(agreement, key: list[str], kind: str, table: str, name: str) -> set[str]:
    """Columns of rows that stand before and after that differ when an input does, record by record."""
    partner = agreement.partner
    plain = {tuple(r[k] for k in key): r for r in build(county(partner), agreement).rows.to_pylist()}
    found = set()
    for place in range(len(county(partner).rows[kind, table])):
        desk = county(partner)
        row = desk.rows[kind, table][place]
        if name.endswith("_at") and row.get(name) is None:
            continue  # a moment that is not there is tried in the tests of consent
        if name == "tpo_statement":
            continue  # Y or N says nothing of a consent that is none for treatment
        row[name] = another(name, row.get(name))
        for changed in build(desk, agreement).rows.to_pylist():
            before = plain.get(tuple(changed[k] for k in key), changed)
            found |= {c for c in changed if changed[c] != before[c]}
    return found


@pytest.mark.parametrize("agreement", [DA, POLICE_BACK], ids=lambda a: a.partner)
def test_no_input_moves_a_column_that_does_not_name_it(agreement):
    model = releases.RELEASES[agreement.dataset]
    key, unnamed, ever = model.Config.metadata["key"], {}, set()
    for kind, table, name in INPUTS:
        found = moved(agreement, key, kind, table, name)
        ever |= found
        extra = found - declared(model, f"{kind}.{table}.{name}")
        if extra:
            unnamed[f"{kind}.{table}.{name}"] = extra
    assert unnamed == {}
    assert ever == set(agreement.columns) - set(key), "every column was moved by something"


def test_what_is_made_from_part_2_records_is_one():
    for model in releases.RELEASES.values():
        for c in facts(model).columns:
            of_provider = any(s.startswith("provider.") for s in c.made_from)
            if c.sensitivity == Sensitivity.FACT:
                assert (c.protection == Protection.PART2) == of_provider


def test_a_column_of_unknown_lineage_or_weaker_protection_cannot_be_released():
    def release(field):
        class Loose(Contract):
            said: str = field

            class Config(Contract.Config):
                metadata = {"table": "loose", "key": ["said"]}

        return {"loose": Loose}

    with pytest.raises(ValueError, match=r"loose.said\]: say what"):
        releases.checked(release(column("No lineage")))
    with pytest.raises(ValueError, match="no feed has"):
        releases.checked(release(column("Of nothing", made_from=("da.cases.nothing",))))
    weaker = column("Of a client", made_from=("provider.intakes",), protection=Protection.CJI_NONCHRI)
    with pytest.raises(ValueError, match="is made from"):
        releases.checked(release(weaker))
    assert releases.checked(release(column("A code", made_from=("da.cases",))))


def test_every_class_of_protection_has_its_rank():
    assert set(STRICTEST_FIRST) == set(Protection)


def test_codes_tried_are_codes():
    assert OTHERWISE["outcome"] in codes.INTAKE_OUTCOME
    assert OTHERWISE["decision"] in codes.DA_DECISION
