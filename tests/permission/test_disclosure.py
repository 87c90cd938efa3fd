"""Yes or no to a row, and by what right."""

import polars as pl
import pyarrow as pa
import pytest

from leadhub import casework
from leadhub.casework import provisions
from leadhub.foundation.errors import TerminalError
from leadhub.permission import disclosure, gate
from tests.casework.desk import DA, HARBOR, NIGHT, POLICE, RIVERSIDE, ZONE, Desk
from tests.permission.agreement import active, agreement

BY_PERSON = {"kind": "person", "min_bits": 6, "why": "Linkage."}


def permitted(desk: Desk) -> disclosure.Permitted:
    found = casework.reconcile(desk.inputs(), night=NIGHT, time_zone=ZONE)
    said = pl.DataFrame(pl.from_arrow(found.statements))
    return disclosure.permit(said, active(desk, found, agreement()))


def test_a_statement_needs_the_client_s_consent():
    desk = Desk().referred("1").client("1").intake("1", "COMPLETED", "2026-10-10")
    assert permitted(desk).statements.height == 0
    assert permitted(desk).withheld == {"no_consent": 1, "person_differs": 0}
    shown = permitted(desk.consent("1")).statements
    assert shown["consent_id"].to_list() == ["s1:harbor/N1"]


def test_a_statement_about_another_person_waits():
    desk = Desk().referred("1", "ann").client("1", "bob").intake("1", "COMPLETED", "2026-10-10")
    found = permitted(desk.consent("1"))
    assert found.statements.height == 0
    assert found.withheld == {"no_consent": 0, "person_differs": 1}


def test_a_plain_consent_covers_what_a_bound_one_covers():
    desk = Desk().referred("1").case("1").client("1").intake("1", "COMPLETED", "2026-10-10").consent("1")
    desk.consent("1", consent_id="N2", consent_type="PART2_CJ_2_35", docket_no="CR1")
    assert permitted(desk).statements["docket_no_token"].to_list() == [None]


# clients ------------------------------------------------------------------------------------------


def _known(
    bits: float,
    left: str = f"r1:{HARBOR}/clients/K1",
    right: str = f"r1:{POLICE}/persons/M1",
    status: str = "linked",
) -> list[str]:
    desk = Desk().referred("1").client("1").client("1", feed=RIVERSIDE).consent("1")
    found = casework.reconcile(desk.inputs(), night=NIGHT, time_zone=ZONE)
    evidence = agreement(link_evidence=BY_PERSON)
    pairs = {
        "left": [left],
        "right": [right],
        "weight_bits": [bits],
        "status": [status],
    }
    clients = disclosure.own_clients(
        desk.table("provider", "clients"),
        desk.inputs().crosswalk,
        pa.table(pairs),
        active(desk, found, evidence),
        evidence,
        own_feeds=[HARBOR],
    )
    return clients["client_id"].to_list()


def test_a_client_is_known_by_links_as_strong_as_agreed():
    assert _known(6.0) == ["s1:harbor/K1"]
    assert _known(5.9) == []
    assert _known(64.0, status="conflict") == []


def test_what_another_provider_s_row_joins_does_not_count():
    theirs = f"r1:{RIVERSIDE}/clients/K1"
    assert _known(64.0, left=theirs) == [], "their client is in the police's books"
    assert _known(64.0, right=theirs) == [], "and is ours, too"


def test_an_event_that_only_another_provider_s_client_joins_is_not_told():
    """Theirs stands between ours, whom the police know, and a defendant whom nobody else ties to ours."""
    desk = Desk().referred("1").case("1").client("1").client("1", feed=RIVERSIDE).consent("1")
    found = casework.reconcile(desk.inputs(), night=NIGHT, time_zone=ZONE)
    ours, theirs = f"r1:{HARBOR}/clients/K1", f"r1:{RIVERSIDE}/clients/K1"
    police, da = f"r1:{POLICE}/persons/M1", f"r1:{DA}/defendants/D1"

    def known(*linked: tuple[str, str]) -> set[str]:
        pairs = pa.table(
            {
                "left": [left for left, _ in linked],
                "right": [right for _, right in linked],
                "weight_bits": [20.0] * len(linked),
                "status": ["linked"] * len(linked),
            }
        )
        asked = agreement(link_evidence=BY_PERSON)
        clients = disclosure.own_clients(
            desk.table("provider", "clients"), desk.inputs().crosswalk, pairs,
            active(desk, found, asked), asked, own_feeds=[HARBOR],
        )  # fmt: skip
        return set(clients["justice_record"])

    assert known((ours, police), (da, theirs), (ours, theirs)) == {police}
    assert known((ours, police), (police, da)) == {police, da}, "these two by their own evidence"


def test_an_agreement_by_numbers_joins_nobody_by_person():
    desk = Desk().referred("1").client("1").consent("1")
    found = casework.reconcile(desk.inputs(), night=NIGHT, time_zone=ZONE)
    pairs = {"left": ["a"], "right": ["b"], "weight_bits": [64.0], "status": ["linked"]}
    by_numbers = agreement()
    clients = disclosure.own_clients(
        desk.table("provider", "clients"), desk.inputs().crosswalk, pa.table(pairs),
        active(desk, found, by_numbers), by_numbers, own_feeds=[HARBOR],
    )  # fmt: skip
    assert clients.height == 0


# rows ---------------------------------------------------------------------------------------------

#: a gate of one column, which a consent must cover
SHUT = gate.Gate({}, {})
GATE = gate.Gate({"status": "PROGRAMME_STATUS"}, {"status": None})
ROWS = pl.DataFrame(
    {
        "da_case_no": ["s1:a", "s1:b", "s1:c", "s1:d"],
        "status": ["x", "x", "x", "x"],
        "secret": ["1", "2", "3", "4"],
        "person_id": ["p1:a", "p1:b", None, "p1:d"],
        "row_key": ["d", "c", "b", "a"],
        "consent_id": [None, "s1:n", None, None],
        "consent_feed": [None, "harbor", None, None],
        "categories": [None, ["PROGRAMME_STATUS"], None, None],
        "sealed_under": [None, None, None, "CPL_160_50"],
    }
)


def test_only_columns_of_the_agreement_and_rows_that_stand():
    found = disclosure.disclose(ROWS, agreement(columns=["da_case_no", "status"]), GATE)
    assert found.rows.column_names == ["da_case_no", "status"]
    assert found.rows["da_case_no"].to_pylist() == ["s1:b", "s1:a"]
    assert found.withheld == {"sealed": 1, "person_unknown": 1, "category_not_covered": 0}
    assert found.rows["status"].to_pylist() == ["x", None], "what no consent covers is silent"


def test_g11_each_row_is_accounted_for_with_its_own_basis():
    found = disclosure.disclose(ROWS, agreement(columns=["da_case_no"]), GATE)
    assert found.grounds.to_pylist() == [
        {
            "person_id": "p1:b",
            "row_key": "c",
            "legal_basis": "42 CFR 2.31",
            "consent_id": "s1:n",
            "feed": "harbor",
        },
        {
            "person_id": "p1:a",
            "row_key": "d",
            "legal_basis": "MOU 4",
            "consent_id": None,
            "feed": None,
        },
    ]


def test_a_column_that_the_dataset_does_not_have_stops():
    with pytest.raises(TerminalError, match="column_not_allowed"):
        disclosure.disclose(ROWS, agreement(columns=["da_case_no", "tricks"]), GATE)


def test_a_sealed_row_goes_where_its_provision_is_open_and_nowhere_else():
    asked, opened = agreement(), provisions.load().provisions[-1].id
    held = [{"sealed_under": None}, {"sealed_under": opened}, {"sealed_under": "CPL_160_50"}]
    rows = pl.DataFrame(
        [
            dict.fromkeys(asked.columns, None)
            | {
                "person_id": "p",
                "row_key": str(i),
                "consent_id": None,
                "consent_feed": None,
                "categories": None,
            }
            | row
            for i, row in enumerate(held)
        ],
        infer_schema_length=None,
    )
    for visible, told in (((opened,), ["0", "1"]), ((), ["0"])):
        found = disclosure.disclose(rows, asked, gate.Gate({}, {}, visible))
        assert found.grounds["row_key"].to_pylist() == told
