"""Pairs that wait for a steward, and what was decided about them.

A decision is a file of its own, never changed: who, when, why, which two records, one person or two. The
next night honours it, and every night after that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.casework.statements import AGREES_BITS
from leadhub.foundation import clock, files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.lease import lease
from leadhub.identity import keyed
from leadhub.identity.linkage import decisions, levels, schema
from leadhub.identity.linkage.levels import code_names
from leadhub.identity.linkage.model import NYSID_BITS, from_facts
from leadhub.steps.ingest import Receipt
from leadhub.steps.site import Site

DECIDED_BITS = decisions.DECIDED_BITS
WAITING = ("weak", "rival", "conflict")


def _folder(site: Site) -> Path:
    return site.settings.var / "lake" / "decisions"


def made(site: Site) -> list[dict[str, Any]]:
    """All decisions, the oldest first, with their numbers."""
    found = files.found(_folder(site), "*.json")
    return [files.read_json(path) | {"number": int(path.stem)} for path in found]


def pair_id(left: str, right: str) -> str:
    return hashlib.sha256(f"{left}|{right}".encode()).hexdigest()[:12]


def pairs_of(site: Site, manifest: Receipt) -> pa.Table:
    """Pairs of a committed night. They lie where tokens do, under the same key: how far each field of two
    records agrees names people to who knows the records (`docs/privacy.md`)."""
    return site.lake.read_tokens(manifest["linkage"]["pairs"])


def without_evidence(site: Site, found: pa.Table, approved: Iterable[float] = ()) -> pa.Table:
    """What casework and consent weigh of pairs: left, right, status, weight_bits. Which fields agree stays
    with the tokens, and so does the weight, which tells how rare a name is: here it is cut down to the
    highest of the thresholds that anything asks for, now or as it was `approved`: by that, withdrawals are
    judged, whatever was edited since. Pairs below all of them are left out."""
    asked = (a.link_evidence.min_bits for a in site.agreements.values() if a.link_evidence)
    levels = {AGREES_BITS, *approved, *(float(bits) for bits in asked if bits is not None)}
    reached = (pl.when(pl.col("weight_bits") >= level).then(pl.lit(level)) for level in sorted(levels))
    frame = keyed.to_frame(found).select("left", "right", "status", "weight_bits")
    return keyed.to_arrow(frame.with_columns(weight_bits=pl.max_horizontal(*reached)).drop_nulls())


def pairs(site: Site, statuses: tuple[str, ...] = WAITING, *, decided: bool = False) -> pl.DataFrame:
    """pair, left, right, weight_bits, evidence, status of the last night, the nearest to a link first.

    Pairs that somebody decided about are left out without `decided`.

    Raises: TerminalError `night_incomplete` before the first night.
    """
    nights = site.lake.nights()
    if not nights:
        raise TerminalError("night_incomplete", "no night is committed yet; nothing waits for review")
    found = keyed.to_frame(pairs_of(site, site.lake.night(nights[-1]) or {}))
    named = found.with_columns(
        pair=pl.struct("left", "right").map_elements(
            lambda p: pair_id(p["left"], p["right"]), return_dtype=pl.String
        )
    )
    done = [] if decided else [d["pair"] for d in made(site)]
    open_ = named.filter(pl.col("status").is_in(statuses) & ~pl.col("pair").is_in(done))
    return open_.sort("weight_bits", "pair", descending=[True, False])


def one_pair(site: Site, pair: str) -> dict[str, Any]:
    """A pair of the last night, by the beginning of its id.

    Raises: TerminalError `linkage_input_invalid` where no pair, or more than one, begins so.
    """
    found = pairs(site, (*WAITING, "linked"), decided=True).filter(pl.col("pair").str.starts_with(pair))
    if found.height != 1:
        raise TerminalError(
            "linkage_input_invalid",
            f"{found.height} pairs begin with [{pair}]; `leadhub review list` shows them",
        )
    return found.row(0, named=True)


def waterfall(site: Site, row: dict[str, Any]) -> list[tuple[str, str, float]]:
    """field, level, bits: what each field adds to a pair's weight; "before any field" first."""
    night = site.lake.night(site.lake.nights()[-1]) or {}
    model = from_facts(night["linkage"]["model"])
    fields = schema.person().seen_in(model.tier).fields
    steps = [("before any field", "", model.prior_bits)]
    codes = np.zeros((len(fields), 1), dtype=np.uint8)
    for said in (row["evidence"] or "").split(", "):
        field, _, level = said.partition(" ")
        if field == "nysid":
            steps.append((field, "equal", NYSID_BITS))
        elif field:
            code = code_names(fields[field], model.tier).index(level)
            codes[list(fields).index(field)] = code
            steps.append((field, level, model.chance[field][code]))
    joint = levels.together(schema.person().seen_in(model.tier), model.tier, codes)
    for pair, table in model.together.items():
        steps.append((pair.replace("+", " and "), "together", table[int(joint[pair][0])]))
    rest = row["weight_bits"] - sum(bits for _, _, bits in steps)
    if row["evidence"] and not row["evidence"].startswith("nysid"):
        steps.append(("how common the values are, and family", "", round(rest, 3)))
    return steps


def estimate(site: Site) -> dict[str, Any]:
    """How good the last night's links are, without labels.

    `precision`, `recall`: what the model expects: the mean posterior of the linked pairs, and the sum of
    their posteriors as a share of all pairs of one person that it believes in. `clerical`: of linked
    pairs that stewards decided about, how many they confirmed, with the 95 % interval (Wilson 1927); None
    where none. `to_sample`: pairs to look at.
    """
    linked = pairs(site, ("linked",), decided=True).filter(pl.col("weight_bits").abs() < DECIDED_BITS)
    night = site.lake.night(site.lake.nights()[-1]) or {}
    model = from_facts(night["linkage"]["model"])
    expected = 1.0 / (1.0 + 2.0 ** -linked.get_column("weight_bits"))
    sure = float(expected.sum())
    judged = {d["pair"]: d["verdict"] for d in made(site) if d["status"] == "linked"}
    right = sum(verdict == decisions.ONE for verdict in judged.values())
    return {
        "night": night["night"],
        "linked_pairs": linked.height,
        "precision": round(sure / linked.height, 4) if linked.height else None,
        "recall": round(min(1.0, sure / max(sure, model.people)), 4),
        "clerical": _wilson(right, len(judged)) if judged else None,
        "to_sample": _sample(linked),
    }


def _wilson(right: int, count: int) -> dict[str, float]:
    z = 1.96
    share, spread = right / count, 1 + z**2 / count
    middle = (share + z**2 / (2 * count)) / spread
    half = z / spread * (share * (1 - share) / count + z**2 / (4 * count**2)) ** 0.5
    return {
        "decided": count,
        "confirmed": right,
        "low": round(middle - half, 4),
        "high": round(middle + half, 4),
    }


def _sample(linked: pl.DataFrame, size: int = 50) -> list[str]:
    """Linked pairs to be looked at, in the order of their ids, which are hashes: a random sample."""
    return linked.get_column("pair").sort().head(size).to_list()


def decide(site: Site, pair: str, verdict: str, *, by: str, why: str) -> dict[str, Any]:
    """What was decided before stays on record; the last decision counts.

    Raises: TerminalError `linkage_input_invalid` for another verdict, an empty name or reason."""
    if verdict not in decisions.VERDICTS or not by.strip() or not why.strip():
        raise TerminalError(
            "linkage_input_invalid", "say one or two (persons), with --by and --why, which the record keeps"
        )
    row = one_pair(site, pair)
    decision = {
        "pair": row["pair"],
        "left": row["left"],
        "right": row["right"],
        "verdict": verdict,
        "by": by.strip(),
        "why": why.strip(),
        "at": clock.stamp(clock.now()),
        "weight_bits": row["weight_bits"],
        "evidence": row["evidence"],
        "status": row["status"],
    }
    with lease(site.leases, "review"):
        number = len(files.found(_folder(site), "*.json")) + 1
        files.write_json(_folder(site) / f"{number:06d}.json", decision)
    return decision
