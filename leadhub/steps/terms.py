"""What two people approve of a licence: all that decides what leaves under it, as facts by document.

The licence, what stands above it (sharing agreements, memoranda), and beside it: what its columns mean, its
notice, how counts are made, who may have a sealed record, who may not sign a consent, and the partner's
key. What is in none of them (a title, a citation of a policy) decides nothing and asks nobody.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from leadhub.casework import provisions
from leadhub.foundation import files, openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.permission import consent, statistics
from leadhub.permission import frame as frames
from leadhub.permission.agreements import Agreement
from leadhub.permission.frame import Frame, Memorandum, SharingAgreement
from leadhub.release import documents
from leadhub.release.approval import Facts, Terms
from leadhub.steps.site import Site, dataset_facts

_LICENCE, _SEALED, _KEY = "licence", "sealed records", "partner's key"
_SHARING, _MEMORANDUM = "sharing agreement ", "memorandum "


def of(site: Site, agreement: Agreement, frame: Frame) -> Terms:
    """The terms of a licence under a frame, of this moment.

    Raises: TerminalError `agreement_invalid`, `key_missing`, `recipient_key_mismatch`.
    """
    facts = dataset_facts(agreement)
    told: dict[str, Any] = {
        _LICENCE: agreement.model_dump(mode="json"),
        "columns": {c.name: asdict(c) for c in facts.columns if c.name in agreement.columns},
        _SEALED: {
            "open": visible(agreement),
            "strictest first": [p.id for p in provisions.load().provisions],
        },
    }
    for signed in frames.tiers(agreement, frame)[1:]:
        tier = _MEMORANDUM if isinstance(signed, Memorandum) else _SHARING
        told[tier + signed.id] = signed.model_dump(mode="json", exclude={"title"})
    if agreement.notice:
        told["notice"] = {"text": documents.notice(agreement.notice).sha256}
    if agreement.identifiability == "aggregate":
        policy = statistics.load(site.settings.agreements, agreement.dataset)
        told["counts policy"] = policy.model_dump(mode="json", exclude={"title", "citation", "standing"})
    if agreement.consent is not None:
        told["consent rules"] = {"insufficient_signers": sorted(consent.law().insufficient_signers)}
    if (key := certificate(site, agreement)) is not None:
        told[_KEY] = {"fingerprint": openpgp.fingerprint(key)}
    # as they are read back, to be compared
    return Terms(agreement.dataset, agreement.id, agreement.version, json.loads(files.canonical_json(told)))


def visible(agreement: Agreement) -> list[str]:
    """Provisions under which this partner may have a sealed record."""
    return provisions.load().visible(agreement.recipient.kind, agreement.purpose)


def certificate(site: Site, agreement: Agreement) -> bytes | None:
    """The partner's OpenPGP certificate, None where nothing is encrypted.

    Raises: TerminalError `key_missing`; `recipient_key_mismatch` where the licence names another.
    """
    path = site.settings.var / "keys" / "partners" / f"{agreement.partner}.asc"
    if not agreement.recipient.encrypt:
        return None
    if not path.exists():
        raise TerminalError(
            "key_missing",
            f"no certificate of [{agreement.partner}] at keys/partners/{path.name}; ask for it",
        )
    found, agreed = path.read_bytes(), agreement.recipient.fingerprint
    if agreed is not None and openpgp.fingerprint(found) != agreed.replace(" ", "").upper():
        raise TerminalError(
            "recipient_key_mismatch",
            f"the certificate of [{agreement.partner}] is not the one of agreement [{agreement.id}]; ask "
            "the partner which one is theirs",
        )
    return found


def fingerprint(asked: Terms) -> str | None:
    """Of the partner's certificate; None where nothing is encrypted."""
    return asked.documents[_KEY]["fingerprint"] if _KEY in asked.documents else None


@dataclass(frozen=True)
class Approved:
    """What two people approved last: by whom, to whom and how withdrawals leave whatever was edited since.
    `visible`: as `visible`; `key`: the partner's certificate, None where nothing is encrypted."""

    terms: Terms
    agreement: Agreement
    frame: Frame
    visible: list[str]
    key: bytes | None


def kept(terms: Terms, key: bytes | None) -> dict[str, Any]:
    """What is kept of approved terms. A certificate is public; its fingerprint is approved.

    Raises: TerminalError `approval_refused` where it is another by now.
    """
    if fingerprint(terms) != (openpgp.fingerprint(key) if key else None):
        raise TerminalError("approval_refused", "the partner's key changed meanwhile; look again")
    return {"documents": terms.documents, "key": base64.b64encode(key).decode() if key else None}


def approved(told: Mapping[str, Any], subject: str) -> Approved:
    """`kept` read back. Raises: ValueError where it is not what the ledger says was approved."""
    facts: Mapping[str, Facts] = told["documents"]
    agreement = Agreement.model_validate(facts[_LICENCE])
    asked = Terms(agreement.dataset, agreement.id, agreement.version, facts)
    if asked.subject != subject:
        raise ValueError("not what was approved")
    sharing = {
        name.removeprefix(_SHARING): SharingAgreement.model_validate({"title": "", **said})
        for name, said in facts.items()
        if name.startswith(_SHARING)
    }
    memoranda = {
        name.removeprefix(_MEMORANDUM): Memorandum.model_validate({"title": "", **said})
        for name, said in facts.items()
        if name.startswith(_MEMORANDUM)
    }
    key = base64.b64decode(told["key"], validate=True) if told["key"] else None
    if fingerprint(asked) != (openpgp.fingerprint(key) if key else None):
        raise ValueError("another key than was approved")
    return Approved(asked, agreement, Frame(memoranda, sharing), list(facts[_SEALED]["open"]), key)
