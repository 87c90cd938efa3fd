"""Lines of the consent registry as FHIR R4 Consent, and back.

One `Consent` a line: R4 has one recipient list and one list of classes for each provision, and a line is
one recipient × category. Value sets are those of R4 (http://hl7.org/fhir/R4/consent.html): `status`,
`scope`, `category`, actor roles and reasons of v3; what FHIR has no word for is an extension or a code of
the hub. Of the client nothing but the agency's own number.

What is read must say what the hub would have said of the same line, no more and no less: a nested `deny`, a
second recipient or a modifier that nobody here understands would change what the client agreed to. Free
text (`text`, `meta`, `id`, `display`) is not read, and not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from leadhub.foundation.errors import TerminalError

Row = dict[str, Any]
Json = dict[str, Any]

HUB = "urn:leadhub"
LOINC, ACT_CODE = "http://loinc.org", "http://terminology.hl7.org/CodeSystem/v3-ActCode"
SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
#: the object identifier of SHA-256: R4's Attachment.hash is SHA-1
SHA256 = "urn:oid:2.16.840.1.101.3.4.2.1"
PART2 = "https://www.ecfr.gov/current/title-42/chapter-I/subchapter-A/part-2"
#: consent type → the law it is given under (`policy.uri`; R4 rule ppc-1 wants one)
POLICY = {
    "PART2_SPECIFIC": PART2,
    "PART2_TPO": PART2,
    "PART2_COUNSELING_NOTES": PART2,
    "PART2_PROCEEDINGS": PART2,
    "PART2_CJ_2_35": PART2,
    "RESEARCH": "https://www.ecfr.gov/current/title-45/subtitle-A/subchapter-A/part-46",
    "HIPAA_AUTH": "https://www.ecfr.gov/current/title-45/section-164.508",
    "MHL_33_13": "https://www.nysenate.gov/legislation/laws/MHY/33.13",
    "LEAD_ROI": f"{HUB}:policy:lead-roi",
    "HMIS_ROI": f"{HUB}:policy:hmis-roi",
}
#: purpose → v3-ActReason; diversion is none of its reasons
PURPOSE = {
    "DIVERSION_COORDINATION": (f"{HUB}:purpose", "DIVERSION_COORDINATION"),
    "CARE_COORDINATION": (REASON, "CAREMGT"),
    "PROGRAMME_EVALUATION": (REASON, "HQUALIMP"),
    "PAYMENT": (REASON, "HPAYMT"),
}
#: columns without a place in R4: extension → how its value is called there
EXTENSIONS = {
    "expiry_event": "valueCode",
    "docket_no": "valueString",
    "signer": "valueCode",
    "revocable": "valueCode",
    "revoked_at": "valueInstant",
    "revocation_channel": "valueCode",
    "tpo_statement": "valueBoolean",
    "notice_version": "valueString",
}
COLUMNS = (
    "consent_id",
    "client_id",
    "consent_type",
    "recipient",
    "info_category",
    "purpose",
    "discloser",
    "signed_on",
    "expires_on",
    "document_sha256",
    "known_false",
    *EXTENSIONS,
)
#: R4's own names, which an error may say
_ELEMENTS = {
    *(
        "extension",
        "modifierExtension",
        "contained",
        "identifier",
        "status",
        "scope",
        "category",
        "patient",
    ),
    *(
        "dateTime",
        "performer",
        "organization",
        "sourceAttachment",
        "sourceReference",
        "implicitRules",
        "policy",
        "policyRule",
    ),
    *(
        "verification",
        "provision",
        "type",
        "period",
        "actor",
        "action",
        "securityLabel",
        "purpose",
        "class",
    ),
    *(
        "code",
        "dataPeriod",
        "data",
        "coding",
        "system",
        "value",
        "reference",
        "role",
        "start",
        "end",
        "uri",
    ),
}
#: what may be passed over: it changes the meaning of nothing (`implicitRules` would)
_UNREAD = ("id", "meta", "text", "language", "display")
_BUNDLE = {"resourceType", "type", "timestamp", "entry", *_UNREAD}


def bundle(rows: list[Row], agency: str) -> Json:
    """A Bundle (`collection`) of the lines, each of `COLUMNS`, of one agency."""
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": resource(row, agency)} for row in rows],
    }


def resource(row: Row, agency: str) -> Json:
    """One line (`COLUMNS`: dates, a UTC moment, booleans, contract codes) as an R4 Consent."""
    part2 = row["consent_type"].startswith("PART2_")
    actors = [_actor("IRCP", "partner", row["recipient"])]
    if row["discloser"] is not None:
        actors.append(_actor("CST", "discloser", row["discloser"]))
    period = {"start": row["signed_on"].isoformat()}
    if row["expires_on"] is not None:
        period["end"] = row["expires_on"].isoformat()
    # 42 CFR 2.13(c): the label of substance use is for what is given under Part 2, and for that alone
    labels = [_coding(CONFIDENTIALITY, "R")] + ([_coding(ACT_CODE, "ETH")] if part2 else [])
    return {
        "resourceType": "Consent",
        "extension": [
            {"url": f"{HUB}:consent:{name}", kind: _told(row[name])}
            for name, kind in EXTENSIONS.items()
            if row[name] is not None
        ],
        "identifier": [{"system": f"{HUB}:{agency}:consent", "value": row["consent_id"]}],
        "status": _status(row),
        "scope": {"coding": [_coding(SCOPE, "patient-privacy")]},
        "category": [
            {"coding": [_coding(LOINC, "59284-0")]},
            {"coding": [_coding(ACT_CODE, "INFA")]},
            {"coding": [_coding(f"{HUB}:consent-type", row["consent_type"])]},
        ],
        "patient": {"identifier": {"system": f"{HUB}:{agency}:client", "value": row["client_id"]}},
        "dateTime": row["signed_on"].isoformat(),
        "sourceReference": {"identifier": {"system": SHA256, "value": row["document_sha256"]}},
        "policy": [{"uri": POLICY[row["consent_type"]]}],
        "provision": {
            "type": "permit",
            "period": period,
            "actor": actors,
            "action": [
                {"coding": [_coding("http://terminology.hl7.org/CodeSystem/consentaction", "disclose")]}
            ],
            "securityLabel": labels,
            "purpose": [_coding(*PURPOSE[row["purpose"]])],
            "class": [_coding(f"{HUB}:info-category", row["info_category"])],
        },
    }


def rows(content: Any, agency: str, *, name: str) -> list[Row]:
    """The lines (`COLUMNS`) of a Consent or a Bundle of Consents; `name` is the file's.

    Raises: TerminalError `unreadable_file` naming file, resource (from 1), path and rule, never a value.
    """
    if not isinstance(content, dict):
        raise _refused(name, 0, "", "is no FHIR resource")
    kind = content.get("resourceType")
    if kind == "Consent":
        return [_row(content, agency, name, 1)]
    if kind != "Bundle":
        raise _refused(name, 0, "resourceType", "is neither Consent nor Bundle")
    if content.get("type") != "collection":
        raise _refused(name, 0, "type", "is not collection: only such a Bundle holds what holds now, whole")
    if not content.keys() <= _BUNDLE:
        raise _refused(name, 0, "", "has an element besides those of a collection")
    entries = content.get("entry", [])
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise _refused(name, 0, "entry", "is no list of entries")
    for number, entry in enumerate(entries, 1):
        if not entry.keys() <= {"id", "fullUrl", "resource"}:
            raise _refused(name, number, "entry", "has an element besides its resource")
    return [_row(e.get("resource"), agency, name, n) for n, e in enumerate(entries, 1)]


def _row(found: Any, agency: str, name: str, number: int) -> Row:
    if not isinstance(found, dict) or found.get("resourceType") != "Consent":
        raise _refused(name, number, "resourceType", "is not Consent")
    try:
        row = _read(found)
        again = resource(row, agency)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, StopIteration):
        rule = "lacks an element, or has a value that is none of its kind"
        raise _refused(name, number, "", rule) from None
    for path in _differences(_plain(found), _plain(again)):
        raise _refused(name, number, path, "is missing, contradicts the rest, or is not understood")
    return row


def _read(found: Json) -> Row:
    """What the places of R4 hold; whether they hold anything else is judged by saying it again."""
    provision = found["provision"]
    actors = {
        a["role"]["coding"][0]["code"]: a["reference"]["identifier"]["value"] for a in provision["actor"]
    }
    purposes = {coded: purpose for purpose, coded in PURPOSE.items()}
    purpose = provision["purpose"][0]
    end = provision["period"].get("end")
    extensions = {e["url"].removeprefix(f"{HUB}:consent:"): e for e in found.get("extension", [])}
    row = {
        "consent_id": found["identifier"][0]["value"],
        "client_id": found["patient"]["identifier"]["value"],
        "consent_type": next(
            c["coding"][0]["code"]
            for c in found["category"]
            if c["coding"][0]["system"] == f"{HUB}:consent-type"
        ),
        "recipient": actors["IRCP"],
        "info_category": provision["class"][0]["code"],
        "purpose": purposes[purpose["system"], purpose["code"]],
        "discloser": actors.get("CST"),
        "signed_on": date.fromisoformat(found["dateTime"]),
        "expires_on": None if end is None else date.fromisoformat(end),
        "document_sha256": found["sourceReference"]["identifier"]["value"],
        "known_false": found["status"] == "entered-in-error",
    } | {n: extensions[n][kind] if n in extensions else None for n, kind in EXTENSIONS.items()}
    if row["revoked_at"] is not None:
        row["revoked_at"] = datetime.fromisoformat(row["revoked_at"]).astimezone(UTC)
    if not isinstance(row["tpo_statement"], bool | None):
        raise TypeError
    if not all(isinstance(row[c], str | None) for c in set(COLUMNS) - _TYPED):
        raise TypeError
    return row


_TYPED = {"signed_on", "expires_on", "known_false", "revoked_at", "tpo_statement"}


def _status(row: Row) -> str:
    if row["known_false"]:
        return "entered-in-error"
    return "active" if row["revoked_at"] is None else "inactive"


def _coding(system: str, code: str) -> Json:
    return {"system": system, "code": code}


def _actor(role: str, what: str, value: str) -> Json:
    reference = {"identifier": {"system": f"{HUB}:{what}", "value": value}}
    return {"role": {"coding": [_coding(ROLE, role)]}, "reference": reference}


def _told(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _plain(value: Any) -> Any:
    """Without what is not read; lists in one order, since R4's carry none."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k not in _UNREAD and v != []}
    if isinstance(value, list):
        return sorted((_plain(v) for v in value), key=repr)
    return value


def _differences(found: Any, expected: Any, path: str = "") -> Iterator[str]:
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted(expected.keys() | found.keys()):
            # a key of the file may be anything
            at = f"{path}.{key}".lstrip(".") if key in _ELEMENTS else path
            if (key in found) != (key in expected):
                yield at
            else:
                yield from _differences(found[key], expected[key], at)
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for mine, its in zip(found, expected, strict=True):
            yield from _differences(mine, its, path)
    elif type(found) is not type(expected) or found != expected:
        yield path


def _refused(name: str, number: int, path: str, rule: str) -> TerminalError:
    where = f"resource {number}" if number else "file"
    return TerminalError("unreadable_file", f"[{name}]: {where}: [{path or 'resource'}] {rule}")
