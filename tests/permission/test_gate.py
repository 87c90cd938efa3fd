"""Column → category → consent line → recipient; and purposes against the person."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadhub import casework
from leadhub.foundation.errors import TerminalError
from leadhub.permission import agreements, disclosure, gate
from leadhub.permission.court_orders import OPENS
from leadhub.release import datasets
from schemas import codes, releases
from schemas.contract import Contract, facts
from tests.casework.desk import NIGHT, ZONE, Desk
from tests.permission.agreement import active, agreement

STATUS = facts(releases.DiversionStatus)
ORDER = {
    "type": "criminal_patient_2_65",
    "court": "County Court",
    "number": "17",
    "document_sha256": "0" * 64,
    "ordered_on": "2026-06-01",
    "ends_on": "2026-12-01",
    "categories": ["PROGRAMME_STATUS"],
    "proceedings": ["s1:sealed"],
}
AGAINST = {
    "purpose": "PROSECUTION",
    "consent": None,
    "legal_basis": [
        {"covers": "justice_record", "citation": "MOU 4", "permits": "Referrals."},
        {"covers": "court_ordered_statement", "citation": "42 CFR 2.65", "permits": "Statements."},
    ],
}


# columns and categories ---------------------------------------------------------------------------


def test_each_protected_column_needs_the_category_that_its_contract_names():
    found = gate.compiled(agreement(), STATUS)
    assert dict(found.categories) == {
        "diversion_status": "PROGRAMME_STATUS",
        "status_on": "PROGRAMME_STATUS",
    }
    assert dict(found.silent) == {"diversion_status": "NO_INFORMATION", "status_on": None}
    assert found.scope == {"PROGRAMME_STATUS": ["diversion_status", "status_on"]}


@pytest.mark.parametrize("asked", [["ATTENDANCE"], ["PROGRAMME_STATUS", "ATTENDANCE"]])
def test_a_licence_asks_for_the_categories_of_its_columns_no_more_and_no_fewer(asked):
    licence = agreement(consent=agreement().consent.model_dump() | {"categories": asked})
    with pytest.raises(TerminalError, match="agreement_invalid") as caught:
        gate.compiled(licence, STATUS)
    assert "diversion_status" in str(caught.value)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(codes.INFO_CATEGORY[:4]), min_size=1),
    st.lists(st.none() | st.lists(st.sampled_from(codes.INFO_CATEGORY[:4]), max_size=3), max_size=6),
    st.sets(st.sampled_from("abcdef")),
)
def test_no_column_says_anything_that_its_row_s_consent_does_not_cover(columns, consents, outspoken):
    """Whoever built the rows: each holds a value in every column."""
    made = gate.Gate(columns, {c: None for c in columns if c not in outspoken})
    frame = {c: ["told"] * len(consents) for c in columns} | {"row": range(len(consents))}
    rows = pl.DataFrame(frame).with_columns(pl.Series("categories", consents, dtype=pl.List(pl.String)))
    found = {r["row"]: r for r in made.passed(rows).to_dicts()}
    for number, covered in enumerate(consents):
        must = {columns[c] for c in columns if c in outspoken}
        assert (number in found) == (must <= set(covered or []))
        for column, category in columns.items() if number in found else ():
            assert (found[number][column] is not None) == (category in (covered or []))


def test_of_two_documents_the_one_that_covers_a_statement_lets_it_go():
    """The other is of another category, and comes first."""
    desk = Desk().referred("1").client("1").intake("1", "COMPLETED", "2026-10-10")
    desk.consent("1", info_category="ATTENDANCE").consent("1", consent_id="N2")
    both = {"categories": ["ATTENDANCE", "PROGRAMME_STATUS"]}
    asked = agreement(consent=agreement().consent.model_dump() | both)
    found = casework.reconcile(desk.inputs(), night=NIGHT, time_zone=ZONE)
    lines = active(desk, found, asked)
    assert lines["categories"].to_list() == [["ATTENDANCE"], ["PROGRAMME_STATUS"]]
    said = pl.DataFrame(pl.from_arrow(found.statements))
    shown = disclosure.permit(said, lines).statements
    assert shown.select("consent_id", "categories").rows() == [("s1:harbor/N2", ["PROGRAMME_STATUS"])]


@pytest.mark.parametrize("category", ["GOSSIP", None])
def test_a_protected_column_whose_category_nobody_knows_cannot_be_imported(category):
    class Gossip(Contract):
        said: str = releases.told("Said", "provider.clients", category=category)

        class Config(Contract.Config):
            metadata = {"table": "gossip", "key": ["said"]}

    with pytest.raises(ValueError, match="category"):
        releases.checked({"gossip": Gossip})


# purposes against the person ------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", agreements.AGAINST_THE_PERSON)
def test_without_a_court_order_no_protected_column_serves_a_purpose_against_the_person(purpose):
    basis = AGAINST["legal_basis"][:1]
    licence = agreement(**AGAINST | {"purpose": purpose, "legal_basis": basis})
    with pytest.raises(TerminalError, match=r"2\.12\(d\)") as caught:
        gate.compiled(licence, STATUS)
    assert caught.value.reason == "agreement_invalid"
    assert "diversion_status" in caught.value.message
    records = [c for c in licence.columns if c not in ("diversion_status", "status_on")]
    of_police = licence.model_copy(update={"columns": records})
    assert not gate.compiled(of_police, STATUS).categories, "what the police wrote themselves is theirs"


@pytest.mark.parametrize("purpose", agreements.AGAINST_THE_PERSON)
@pytest.mark.parametrize(
    "kind", ["noncriminal_2_64", "criminal_patient_2_65", "program_investigation_2_66", "undercover_2_67"]
)
def test_an_order_opens_what_its_section_says(purpose, kind):
    licence = agreement(**AGAINST | {"purpose": purpose, "court_order": ORDER | {"type": kind}})
    if kind in OPENS[purpose]:
        assert gate.compiled(licence, STATUS).scope
    else:
        with pytest.raises(TerminalError, match=kind):
            gate.compiled(licence, STATUS)


def test_no_order_opens_prosecution_but_one_of_2_65():
    assert OPENS["PROSECUTION"] == ("criminal_patient_2_65",)
    assert not {o for orders in OPENS.values() for o in orders} & {"noncriminal_2_64", "undercover_2_67"}


@pytest.mark.parametrize("day", ["2026-05-31", "2026-12-02"])
def test_an_order_ends(day):
    licence = agreement(**AGAINST | {"court_order": ORDER})
    agreements.check_in_force(licence, date(2026, 12, 1))
    with pytest.raises(TerminalError, match="agreement_not_in_force"):
        agreements.check_in_force(licence, date.fromisoformat(day))


def test_no_consent_serves_a_purpose_against_the_person_and_no_order_another():
    for changed in ({"purpose": "PROSECUTION"}, {"court_order": ORDER}):
        with pytest.raises(ValueError, match="against the person"):
            agreement(**changed)


def test_an_order_speaks_of_the_proceedings_that_it_names_and_of_no_other():
    desk = Desk()
    for n in ("1", "2"):
        desk.referred(n, f"p{n}").case(n, f"p{n}").client(n, f"p{n}").intake(n, "COMPLETED", "2026-10-10")
    licence = agreement(**AGAINST | {"court_order": ORDER})
    found = casework.reconcile(desk.inputs(), night=NIGHT, time_zone=ZONE)
    said = pl.DataFrame(pl.from_arrow(found.statements))
    docket = found.diversion_cases.to_pylist()[0]
    permitted = disclosure.permit_by_order(said, [docket["docket_no_token"]], ORDER["categories"])
    sources = datasets.Sources(found, permitted, pl.DataFrame())
    built = datasets.build(licence, sources, gate.compiled(licence, STATUS))
    told = {r["da_case_no"]: r["diversion_status"] for r in built.rows.to_pylist()}
    assert told.pop(docket["da_case_no"]) == "INTAKE_COMPLETE"
    assert set(told.values()) == {"NO_INFORMATION"}
    assert sorted(built.grounds["legal_basis"].to_pylist()) == ["42 CFR 2.65", "MOU 4"]
    assert built.grounds["consent_id"].null_count == 2
    other = disclosure.permit_by_order(said, [docket["docket_no_token"]], ["ATTENDANCE"])
    assert other.statements.height == 0, "the order finds something else essential"
