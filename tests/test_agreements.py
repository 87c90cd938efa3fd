"""The agreements in force here, and what no agreement can say."""

import json
from datetime import date

import pytest
import yaml

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import REPOSITORY
from leadhub.foundation.vocabulary import Protection
from leadhub.intake import feeds
from leadhub.permission import agreements, licences
from leadhub.release import documents
from schemas import codes, releases
from schemas.contract import Contract, facts, tables_of
from schemas.identity import identifier
from tests.permission.agreement import agreement

FOLDER = REPOSITORY / "agreements"
ALL = agreements.load_all(FOLDER).found
EACH = pytest.mark.parametrize("held", ALL.values(), ids=ALL)
OF_PERSONS = {name: held for name, held in ALL.items() if held.identifiability == "identified_by_own_id"}


def test_these_and_no_others():
    assert set(ALL) == {
        "district_attorney__diversion_status",
        "harbor_case_management__client_justice_events",
        "policy_coordinating_group__referred_persons",
        "police__referral_outcomes",
    }


@EACH
def test_each_fits_its_release_contract(held):
    agreements.check_contract(held, facts(releases.RELEASES[held.dataset]))
    assert held.identifiability == "aggregate" or documents.notice(held.notice)


@pytest.mark.parametrize("held", OF_PERSONS.values(), ids=OF_PERSONS)
def test_each_speaks_the_words_of_the_registries(held):
    assert set(held.consent.categories) <= set(codes.INFO_CATEGORY)
    assert set(held.consent.purposes) <= set(codes.CONSENT_PURPOSE)
    assert set(held.consent.part2_types + held.consent.other_types) <= set(codes.CONSENT_TYPE)
    assert held.partner in codes.RECIPIENT
    assert held.own_ids_of == held.partner


@EACH
def test_no_agreement_names_a_feed_that_is_not_there_or_shows_a_provider_s_to_the_law(held):
    known = feeds.load_all(REPOSITORY / "feeds")
    assert set(held.inputs) <= set(known)
    providers = {f for f in held.inputs if known[f].contract == "provider"}
    # an as-of date of a provider would tell police or DA of treatment data (42 CFR 2.13(c))
    assert providers <= {f for f in held.inputs if known[f].agency == held.partner}


def test_who_gets_it_how():
    to = {a.partner: a.recipient for a in ALL.values()}
    assert {p: r.connection for p, r in to.items()} == {p: f"sftp_{p}" for p in to}
    assert {p: r.encrypt for p, r in to.items()} == {
        "district_attorney": True,
        "police": False,
        "harbor_case_management": True,
        "policy_coordinating_group": False,
    }
    assert {p: r.push_connection for p, r in to.items() if r.push_connection} == {
        "district_attorney": "da_api"
    }


def test_only_a_provider_s_dataset_joins_by_person():
    by_person = {
        a.partner: a.link_evidence.min_bits for a in OF_PERSONS.values() if a.link_evidence.min_bits
    }
    assert by_person == {"harbor_case_management": 6.0}


# in force -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        ("2025-12-31", "agreement_not_in_force"),
        ("2026-01-01", None),
        ("2026-12-31", None),
        ("2027-01-01", "agreement_not_in_force"),
    ],
)
def test_f15_only_in_its_time(day, reason):
    if reason is None:
        agreements.check_in_force(agreement(), date.fromisoformat(day))
    else:
        with pytest.raises(TerminalError, match=reason):
            agreements.check_in_force(agreement(), date.fromisoformat(day))


@pytest.mark.parametrize(
    "approvals",
    [
        [],
        [{"signatory": "The office", "signed_on": "2025-12-15"}],
        [
            {"signatory": "The office", "signed_on": "2025-12-15"},
            {"signatory": "The hub", "signed_on": "2026-06-02"},
        ],
    ],
)
def test_f15_only_when_every_signatory_has_signed(approvals):
    with pytest.raises(TerminalError, match="agreement_not_in_force") as caught:
        agreements.check_in_force(agreement(approvals=approvals), date(2026, 6, 1))
    assert "The hub" in str(caught.value)


@pytest.mark.parametrize(
    ("as_of", "stale"),
    [
        ({"police_records": "2026-11-20", "da_cases": "2026-11-17"}, None),
        ({"police_records": "2026-11-20", "da_cases": "2026-11-16"}, "da_cases"),
        ({"police_records": None, "da_cases": "2026-11-20"}, "police_records"),
        ({"da_cases": "2026-11-20"}, "police_records"),
    ],
)
def test_g16_no_release_on_stale_input(as_of, stale):
    if stale is None:
        agreements.check_fresh(agreement(), as_of, date(2026, 11, 20))
    else:
        with pytest.raises(TerminalError, match=rf"stale_input.*\[{stale}\]"):
            agreements.check_fresh(agreement(), as_of, date(2026, 11, 20))


def test_f45_every_edit_changes_the_digest():
    before = agreement()
    assert agreements.digest(before) == agreements.digest(agreement())
    edits = {
        "columns": before.columns[:-1],
        "valid_until": "2026-12-30",
        "use_limits": ["For anything."],
        "stale_after_nights": 4,
        "notice": None,
    }
    digests = {agreements.digest(agreement(**{k: v})) for k, v in edits.items()}
    assert len(digests | {agreements.digest(before)}) == len(edits) + 1


# what cannot be agreed ----------------------------------------------------------------------------


def _file(tmp_path, **changed):
    told = agreement().model_dump(mode="json") | changed
    path = tmp_path / "district_attorney__diversion_status.yaml"
    path.write_text(yaml.safe_dump(told, sort_keys=False))
    return tmp_path


def test_a_good_file_loads(tmp_path):
    held = agreements.load_all(_file(tmp_path))
    assert (held.found, held.faults) == ({agreement().id: agreement()}, {})


CONSENT = agreement().consent.model_dump()


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"colums": []}, "colums"),
        ({"purpose": "PROSECUTION"}, "purpose"),
        ({"purpose": "INVESTIGATION"}, "purpose"),
        ({"consent": CONSENT | {"part2_types": ["LEAD_ROI"]}}, "consent.part2_types"),
        ({"consent": CONSENT | {"part2_types": ["PART2_PROCEEDINGS"]}}, "consent.part2_types"),
        ({"consent": CONSENT | {"part2_types": []}}, "consent.part2_types"),
        ({"consent": CONSENT | {"purposes": ["PAYMENT"]}}, "consent.purposes"),
        ({"consent": None}, "consent"),
        ({"own_ids_of": None}, "own_ids_of"),
        ({"identifiability": "aggregate"}, "legal_basis"),
        (
            {
                "identifiability": "aggregate",
                "legal_basis": [{"covers": "counts", "citation": "the memorandum", "permits": "Counts."}],
            },
            "counts have no",
        ),
        ({"columns": []}, "columns"),
        ({"columns": ["da_case_no", "da_case_no"]}, "columns"),
        ({"legal_basis": []}, "legal_basis"),
        ({"legal_basis": [agreement().legal_basis[0].model_dump()]}, "legal_basis"),
        ({"signatories": ["The office"]}, "signatories"),
        ({"approvals": [{"signatory": "A passer-by", "signed_on": "2026-01-01"}]}, "approvals"),
        ({"valid_until": "2025-01-01"}, "valid_until"),
        ({"partner": "police"}, "id must be"),
        ({"link_evidence": {"kind": "hunch", "why": "x"}}, "link_evidence.kind"),
        ({"link_evidence": {"kind": "person", "why": "x"}}, "min_bits"),
        ({"link_evidence": {"kind": "deterministic", "min_bits": 3, "why": "x"}}, "min_bits"),
        ({"recipient": {"connection": "c", "encrypt": True, "fingerprint": "me"}}, "recipient.fingerprint"),
        ({"stale_after_nights": 0}, "stale_after_nights"),
    ],
)
def test_g6_refused_with_file_and_key(tmp_path, changed, key):
    with pytest.raises(TerminalError) as caught:
        agreements.load(_file(tmp_path, **changed), agreement().id)
    assert caught.value.reason == "agreement_invalid"
    assert "district_attorney__diversion_status.yaml" in caught.value.message
    assert key in caught.value.message


def test_a_file_named_otherwise_is_refused(tmp_path):
    _file(tmp_path)
    (tmp_path / "district_attorney__diversion_status.yaml").rename(tmp_path / "police__gossip.yaml")
    with pytest.raises(TerminalError, match="agreement_invalid"):
        agreements.load(tmp_path, "police__gossip")


def test_one_file_that_cannot_be_read_is_one_licence(tmp_path):
    _file(tmp_path)
    texts = {
        "police__gossip": b"id: police__gossip\nvalid_until: 2026-13-45\n",
        "police__hearsay": b"id: [police__hearsay\n",
        "police__rumour": b"\xff\xfe",
        "notes": b"to be done",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_bytes(text)
    held = agreements.load_all(tmp_path)
    assert set(held.found) == {agreement().id}
    assert set(held.faults) == set(texts)
    assert "a date that does not exist" in held.faults["police__gossip"].message
    assert "not YAML at line 2" in held.faults["police__hearsay"].message
    for name, fault in held.faults.items():
        assert fault.reason == "agreement_invalid"
        assert f"[{name}.yaml]" in fault.message
        assert "`leadhub check`" in fault.message


def test_no_licence_is_lost_by_an_edit_of_its_file(tmp_path):
    _file(tmp_path)
    (tmp_path / "police__hearsay.yaml").write_text("id: [")
    (tmp_path / "notes.yaml").write_text("")
    (tmp_path / "approved" / "provider__client_events").mkdir(parents=True)
    known = licences.known(tmp_path, tmp_path / "approved")
    assert [licence.id for licence in known] == [
        agreement().id,
        "police__hearsay",
        "provider__client_events",
    ]
    assert licences.known(tmp_path, tmp_path / "none") == known[:2]


@pytest.mark.parametrize(
    "name", ["police", "__x", "police__", "po__lice__x", "Police__stops", "police__../x"]
)
def test_what_is_no_licence_s_name(name):
    assert licences.named(name) is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"columns": ["da_case_no", "da_defendant_id", "diagnosis"]}, "columns"),
        ({"columns": ["da_defendant_id", "da_case_no"]}, "order"),
        ({"columns": ["da_case_no", "diversion_status"]}, "da_defendant_id"),
        ({"notice": None}, "2.32"),
    ],
)
def test_g7_columns_are_those_of_the_release_contract(changed, said):
    contract = facts(releases.RELEASES["diversion_status"])
    with pytest.raises(TerminalError, match="agreement_invalid") as caught:
        agreements.check_contract(agreement(**changed), contract)
    assert said in caught.value.message


def test_counts_hold_nobody_s_own_ids():
    counts = ALL["policy_coordinating_group__referred_persons"]
    contract = facts(releases.RELEASES["referral_outcomes"])
    columns = [c.name for c in contract.columns]
    same = {"dataset": contract.name, "columns": columns, "cohort": contract.cohort}
    edited = counts.model_copy(update=same)
    with pytest.raises(TerminalError, match="identifiability is aggregate"):
        agreements.check_contract(edited, contract)


def test_an_agreement_is_about_its_own_dataset():
    with pytest.raises(TerminalError, match="agreement_invalid"):
        agreements.check_contract(agreement(), facts(releases.RELEASES["referral_outcomes"]))


def test_g7_a_release_contract_with_an_identifier_is_impossible():
    class Leaky(Contract):
        """Names a person."""

        last_name: str = identifier("last_name", "Surname", protection=Protection.CJI_NONCHRI)

        class Config(Contract.Config):
            metadata = {"table": "leaky", "key": []}

    with pytest.raises(ValueError, match=r"leaky.last_name"):
        releases.checked({"leaky": Leaky})
    assert set(tables_of(releases)) == set(releases.RELEASES)


def test_the_json_schema_refuses_unknown_keys():
    schema = agreements.json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {"court_order"} | set(
        yaml.safe_load((FOLDER / "police__referral_outcomes.yaml").read_text())
    )


@pytest.mark.parametrize(
    ("profile", "purpose", "columns", "said"),
    [
        ("limited_dataset", "PROGRAMME_EVALUATION", ["quarter", "arrested_on"], None),
        ("limited_dataset", "CARE_COORDINATION", ["quarter", "arrested_on"], "PROGRAMME_EVALUATION"),
        ("safe_harbor", "PROGRAMME_EVALUATION", ["quarter"], None),
        ("safe_harbor", "PROGRAMME_EVALUATION", ["quarter", "arrested_on"], "no dates"),
        ("identified_by_own_id", "CARE_COORDINATION", ["quarter"], "its own ids are []"),
    ],
)
def test_what_a_profile_allows(profile, purpose, columns, said):
    class Arrests(Contract):
        """Arrests, nobody's number among them."""

        quarter: str = releases.told("Quarter", "police.arrests.arrested_at")
        arrested_on: date = releases.told("Day", "police.arrests.arrested_at", nullable=True)

        class Config(Contract.Config):
            metadata = {"table": "diversion_status", "key": ["quarter"], "cohort": agreement().cohort}

    edited = agreement().model_copy(
        update={"identifiability": profile, "purpose": purpose, "columns": columns}
    )
    if said is None:
        agreements.check_contract(edited, facts(Arrests))
    else:
        with pytest.raises(TerminalError, match="agreement_invalid") as caught:
            agreements.check_contract(edited, facts(Arrests))
        assert said in caught.value.message


def test_an_agreement_says_which_rows_its_dataset_has():
    contract = facts(releases.RELEASES["diversion_status"])
    with pytest.raises(TerminalError, match="is about EVERYBODY, its dataset about OWN_CASES"):
        agreements.check_contract(agreement(cohort="EVERYBODY"), contract)
