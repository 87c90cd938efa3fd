"""FHIR R4 Consent: the same line in another grammar; what says more or less than a line is refused."""

import copy
import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation.errors import TerminalError
from leadhub.permission import fhir
from schemas import codes

AGENCY = "harbor_case_management"
#: written by hand, in the form of the published R4 examples
WRITTEN = json.loads("""
{"resourceType": "Consent", "id": "c1", "text": {"status": "generated", "div": "<div/>"},
 "extension": [
  {"url": "urn:leadhub:consent:signer", "valueCode": "PATIENT"},
  {"url": "urn:leadhub:consent:revocable", "valueCode": "IN_WRITING"},
  {"url": "urn:leadhub:consent:notice_version", "valueString": "2026-02"}],
 "identifier": [{"system": "urn:leadhub:harbor_case_management:consent", "value": "CH0030001"}],
 "status": "active",
 "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope",
   "code": "patient-privacy", "display": "Privacy Consent"}]},
 "category": [
  {"coding": [{"system": "http://loinc.org", "code": "59284-0", "display": "Consent Document"}]},
  {"coding": [{"system": "urn:leadhub:consent-type", "code": "PART2_SPECIFIC"}]},
  {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "INFA"}]}],
 "patient": {"identifier": {"system": "urn:leadhub:harbor_case_management:client", "value": "HC020001"}},
 "dateTime": "2026-10-05",
 "sourceReference": {"identifier": {"system": "urn:oid:2.16.840.1.101.3.4.2.1", "value": "0123"}},
 "policy": [{"uri": "https://www.ecfr.gov/current/title-42/chapter-I/subchapter-A/part-2"}],
 "provision": {"type": "permit", "period": {"start": "2026-10-05", "end": "2027-10-05"},
  "actor": [
   {"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
     "code": "CST"}]},
    "reference": {"identifier": {"system": "urn:leadhub:discloser", "value": "THIS_PROGRAMME"}}},
   {"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
     "code": "IRCP"}]},
    "reference": {"identifier": {"system": "urn:leadhub:partner", "value": "district_attorney"}}}],
  "action": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction",
    "code": "disclose"}]}],
  "securityLabel": [
   {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ETH"},
   {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}],
  "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "CAREMGT"}],
  "class": [{"system": "urn:leadhub:info-category", "code": "ATTENDANCE"}]}}
""")


def test_a_consent_written_by_hand():
    [row] = fhir.rows(WRITTEN, AGENCY, name="one.json")
    assert row == {
        "consent_id": "CH0030001",
        "client_id": "HC020001",
        "consent_type": "PART2_SPECIFIC",
        "recipient": "district_attorney",
        "info_category": "ATTENDANCE",
        "purpose": "CARE_COORDINATION",
        "discloser": "THIS_PROGRAMME",
        "signed_on": date(2026, 10, 5),
        "expires_on": date(2027, 10, 5),
        "document_sha256": "0123",
        "known_false": False,
        "expiry_event": None,
        "docket_no": None,
        "signer": "PATIENT",
        "revocable": "IN_WRITING",
        "revoked_at": None,
        "revocation_channel": None,
        "tpo_statement": None,
        "notice_version": "2026-02",
    }


DAYS = st.dates(date(2000, 1, 1), date(2099, 1, 1))
TEXT = st.from_regex(r"c[a-z][0-9]{1,9}(-[0-9]{1,3})?", fullmatch=True)
LINES = st.fixed_dictionaries(
    {
        "consent_id": TEXT,
        "client_id": TEXT,
        "consent_type": st.sampled_from(codes.CONSENT_TYPE),
        "recipient": st.sampled_from(codes.RECIPIENT),
        "info_category": st.sampled_from(codes.INFO_CATEGORY),
        "purpose": st.sampled_from(codes.CONSENT_PURPOSE),
        "discloser": st.sampled_from((*codes.CONSENT_DISCLOSER, None)),
        "signed_on": DAYS,
        "expires_on": DAYS | st.none(),
        "document_sha256": st.text("0123456789abcdef", min_size=64, max_size=64),
        "known_false": st.booleans(),
        "expiry_event": st.sampled_from((*codes.EXPIRY_EVENT, None)),
        "docket_no": TEXT | st.none(),
        "signer": st.sampled_from((*codes.CONSENT_SIGNER, None)),
        "revocable": st.sampled_from((*codes.CONSENT_REVOCABLE, None)),
        "revoked_at": st.none()
        | st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)),
        "revocation_channel": st.sampled_from((*codes.REVOCATION_CHANNEL, None)),
        "tpo_statement": st.booleans() | st.none(),
        "notice_version": TEXT,
    }
)


@given(st.lists(LINES, max_size=3))
@settings(max_examples=100, deadline=None)
def test_law_what_goes_out_comes_back_the_same(lines):
    told = json.loads(json.dumps(fhir.bundle(lines, AGENCY)))
    assert fhir.rows(told, AGENCY, name="x.json") == lines


def places(value, at=()):
    """Every place in a resource, the leaves and what holds them."""
    pairs = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in pairs:
        yield (*at, key)
        yield from places(inner, (*at, key))


READ = [p for p in places(WRITTEN) if not {"id", "text", "display"} & set(p)]
#: elements that a line may lack; without them it is another line, not a broken one
MAY_LACK = {("provision", "period", "end")}


@pytest.mark.parametrize("path", [p for p in READ if p not in MAY_LACK and p[0] != "extension"], ids=str)
def test_law_nothing_that_is_read_can_be_left_out(path):
    broken = copy.deepcopy(WRITTEN)
    holder = broken
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
    if path in {("provision", "actor"), ("provision", "actor", 0)} and path[-1] == 0:
        [row] = fhir.rows(broken, AGENCY, name="x.json")
        assert row["discloser"] is None, "which the registry calls deficient"
        return
    with pytest.raises(TerminalError, match=r"^unreadable_file: \[x.json\]: "):
        fhir.rows(broken, AGENCY, name="x.json")


def changed(**elements):
    return copy.deepcopy(WRITTEN) | elements


SECRET = "Zyxwvut"
COLLECTION = {"resourceType": "Bundle", "type": "collection", "entry": []}
NESTED = WRITTEN["provision"] | {"provision": [{"type": "deny", "purpose": [{"code": SECRET}]}]}
DENIED = WRITTEN["provision"] | {"type": "deny"}
TWO = WRITTEN["provision"] | {
    "class": [*WRITTEN["provision"]["class"], {"system": "urn:x", "code": SECRET}]
}


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ([], r"file: \[resource\]"),
        ({"resourceType": "Patient"}, r"file: \[resourceType\]"),
        (COLLECTION | {"entry": {}}, r"file: \[entry\]"),
        (COLLECTION | {"entry": [{"resource": WRITTEN}, {}]}, r"resource 2: \[resourceType\]"),
        (COLLECTION | {"type": "searchset", "link": [{"relation": "next", "url": SECRET}]}, r"\[type\]"),
        (COLLECTION | {"type": "transaction"}, r"\[type\]"),
        (COLLECTION | {"link": [{"relation": "next", "url": SECRET}]}, r"file: \[resource\]"),
        (COLLECTION | {"implicitRules": SECRET}, r"file: \[resource\]"),
        (
            COLLECTION | {"entry": [{"resource": WRITTEN, "request": {"method": "DELETE", "url": SECRET}}]},
            r"resource 1: \[entry\]",
        ),
        (changed(implicitRules=SECRET), r"\[implicitRules\]"),
        (changed(status="inactive"), r"\[status\]"),
        (changed(status=SECRET), r"\[status\]"),
        (changed(provision=DENIED), r"\[provision.type\]"),
        (changed(provision=NESTED), r"\[provision.provision\]"),
        (changed(provision=TWO), r"\[provision.class\]"),
        (changed(modifierExtension=[{"url": SECRET}]), r"\[modifierExtension\]"),
        (changed(**{SECRET: 1}), r"\[resource\]"),
        (changed(dateTime="5 October"), r"that is none of its kind"),
        (changed(patient={"identifier": {"system": "urn:leadhub:other:client", "value": "1"}}), "patient"),
        (changed(extension=[{"url": "urn:leadhub:consent:other", "valueCode": SECRET}]), r"\[extension\]"),
        (
            changed(extension=[{"url": "urn:leadhub:consent:tpo_statement", "valueBoolean": 1}]),
            "of its kind",
        ),
    ],
)
def test_what_says_more_or_else_is_refused_without_its_values(content, where):
    with pytest.raises(TerminalError, match=where) as refused:
        fhir.rows(content, AGENCY, name="x.json")
    assert SECRET not in str(refused.value)
