"""Linkage models over the nights: which one is in force, and which ones were.

The first model learnt is frozen with its limits and weighs every later night. Another takes its place only
by a steward's approval, who has seen before what it would change; or, as long as there was too little for
self-training, where the records have doubled since.

::

    var/lake/models/proposal.json       what `retrain` made; the next one replaces it
    var/lake/models/<number>.json       approved proposals; the last one that fits is in force

A model is a few numbers a field. Limits are tokens with their frequencies, so they lie where tokens do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leadhub.foundation import files
from leadhub.identity import linkage
from leadhub.identity.linkage import limits
from leadhub.identity.linkage.limits import Limits
from leadhub.identity.linkage.model import Model, from_facts
from leadhub.steps.ingest import Receipt
from leadhub.steps.site import Site

#: any other learnt model is provisional: there was too little for self-training
SELF_TRAINED = "self-trained"


@dataclass(frozen=True)
class Frozen:
    """A model and its limits. `in_use`: the last committed night was linked by them."""

    model: Model
    limits: Limits
    in_use: bool


def in_force(site: Site, base: Receipt, records: int) -> Frozen | None:
    """What a night on `base`, with so many records, is linked by. None where the night is to learn a model:
    there is none yet, none for this linkage schema and tier, or a provisional one that was learnt from
    fewer than half as many records."""
    used = base.get("linkage") or {}
    for facts in [*approved(site)[-1:], used]:
        model = linkage.fitting(facts.get("model"), site.settings.linkage_tier)
        if model and (model.how == SELF_TRAINED or records < 2 * facts["limits"]["records"]):
            same = used.get("limits") == facts["limits"] and used["model"] == facts["model"]
            return Frozen(model, _limits(site, facts["limits"]), same)
    return None


def used(site: Site, night: Receipt) -> Frozen:
    """What a committed night was linked by."""
    facts = night["linkage"]
    return Frozen(from_facts(facts["model"]), _limits(site, facts["limits"]), in_use=True)


def keep(site: Site, linked: linkage.Linked) -> dict[str, Any]:
    """Facts of a model for a night's manifest; its limits are written where tokens are."""
    if linked.limits is None:
        raise ValueError("linked by an engine that names no limits")
    name = site.lake.write_tokens("limits", linked.limits.table())
    held = {**linked.limits.facts(), "file": name}
    return {"model": linked.model.facts(), "limits": held, "grown": linked.grown}


def _limits(site: Site, held: dict[str, Any]) -> Limits:
    facts = {name: value for name, value in held.items() if name != "file"}
    return limits.from_facts(facts, site.lake.read_tokens(held["file"]))


def files_named(site: Site) -> set[str]:
    """Token files of the proposal and of the model that was approved last."""
    return {name for facts in (*approved(site)[-1:], proposal(site)) for name in files_of(facts)}


def files_of(facts: dict[str, Any] | None) -> set[str]:
    return {facts["limits"]["file"]} if facts else set()


def folder(site: Site) -> Path:
    return site.settings.var / "lake" / "models"


def approved(site: Site) -> list[dict[str, Any]]:
    return [files.read_json(path) for path in files.found(folder(site), "[0-9]*.json")]


def proposal(site: Site) -> dict[str, Any] | None:
    path = folder(site) / "proposal.json"
    return files.read_json(path) if path.exists() else None


def history(site: Site) -> list[dict[str, Any]]:
    """Models that weighed nights, the oldest first, then the approved one that has not yet, then the
    proposal: name, state, first and last night, records it was learnt from, approved."""
    said = {a["name"]: a for a in approved(site)}
    rows: dict[str, dict[str, Any]] = {}
    for night in site.lake.nights():
        used = (site.lake.night(night) or {})["linkage"]
        model = from_facts(used["model"])
        row = rows.setdefault(
            model.fingerprint, {"name": model.fingerprint, "how": model.how, "first": night}
        )
        learnt = used["limits"]["records"]
        row |= {"last": night, "state": "used", "records": learnt, "grown": used["grown"]}
    if rows:
        list(rows.values())[-1]["state"] = "in use"
    for name, facts in said.items():
        rows.setdefault(name, _waiting(facts, "from the next night")).update(approved=facts["approved"])
    open_ = proposal(site)
    return [*rows.values(), *([_waiting(open_, "proposal")] if open_ else [])]


def notice(site: Site) -> str:
    """What a steward should know of the model in use; empty where all is well."""
    nights = site.lake.nights()
    used = (site.lake.night(nights[-1]) or {})["linkage"] if nights else {"grown": False}
    if used["grown"]:
        return (
            "a block of equal tokens has grown too large to compare since the model was learnt: every "
            "night links everything and leaves that block out; see `leadhub linkage retrain`"
        )
    made = proposal(site)
    return f"linkage model {made['name']} waits for approval; see `leadhub linkage models`" if made else ""


def _waiting(facts: dict[str, Any], state: str) -> dict[str, Any]:
    return {
        "name": facts["name"],
        "how": facts["model"]["how"],
        "first": None,
        "last": None,
        "state": state,
        "records": facts["limits"]["records"],
        "grown": facts["grown"],
    }
