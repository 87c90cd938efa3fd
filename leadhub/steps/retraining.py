"""Retraining: a linkage model learnt anew, what it would change, and a steward's approval of it."""

from __future__ import annotations

from typing import Any

from leadhub.foundation import clock, files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.lease import lease
from leadhub.identity import crosswalk, linkage
from leadhub.steps import linking, models, review
from leadhub.steps.ingest import Receipt
from leadhub.steps.site import Site


def retrain(site: Site) -> dict[str, Any]:
    """Learn a model anew from the last committed night's tokens, and say what it would change.

    `difference`: persons and linked pairs under either; `merge`, `split`, `new`: what would become of
    person ids; `bits`: field → level → (bits now, bits then).

    Raises: TerminalError `night_incomplete` before the first night, or where there is too little to learn
    from.
    """
    nights = site.lake.nights()
    if not nights:
        raise TerminalError("night_incomplete", "no night is committed yet; there is nothing to learn from")
    with lease(site.leases, "models"):
        base = site.lake.night(nights[-1]) or {}
        tonight = linking.gather(site, base["feeds"], base["linkage"])
        found = linkage.link(
            tonight.table,
            one_per_person=tonight.one_per_person,
            decided=tonight.said,
            tier=site.settings.linkage_tier,
        )
        if found.model.how == "declared":
            raise TerminalError(
                "night_incomplete",
                "too few records to learn a model from; the declared one stays",
            )
        made = {
            "name": found.model.fingerprint,
            "night": nights[-1],
            "made_at": clock.stamp(clock.now()),
            **models.keep(site, found),
            "difference": _difference(site, base, found),
        }
        files.write_json(models.folder(site) / "proposal.json", made)
    return made


def _difference(site: Site, base: Receipt, found: linkage.Linked) -> dict[str, Any]:
    before = site.lake.read("crosswalk", base["tables"]["crosswalk"])
    pairs = review.pairs_of(site, base)
    after = crosswalk.assign(
        before, found.clusters, night=base["night"], counter=base["person_counter"], keys=site.keys
    )
    events = after.events.column("event").to_pylist()
    now, then = base["linkage"]["model"]["chance"], found.model.chance
    return {
        "persons": [len(t.column("person_id").unique()) for t in (before, after.crosswalk)],
        "linked_pairs": [t.column("status").to_pylist().count("linked") for t in (pairs, found.pairs)],
        **{event: events.count(event) for event in ("merge", "new")},
        "split": events.count("split") + events.count("reversal"),
        "bits": {field: [now.get(field), list(bits)] for field, bits in then.items()},
    }


def approve(site: Site, name: str, *, by: str, why: str) -> dict[str, Any]:
    """The proposal weighs pairs from the next night on; that night links everything.

    Raises: TerminalError `linkage_input_invalid` where no proposal has that name, or name or reason of
    the steward are missing.
    """
    if not by.strip() or not why.strip():
        raise TerminalError("linkage_input_invalid", "say --by and --why, which the record keeps")
    with lease(site.leases, "models"):
        made = models.proposal(site)
        if made is None or made["name"] != name:
            raise TerminalError(
                "linkage_input_invalid",
                f"no proposal is called [{name}]; `leadhub linkage models` shows it, "
                "`leadhub linkage retrain` makes one",
            )
        said = {"by": by.strip(), "why": why.strip(), "at": clock.stamp(clock.now())}
        number = len(models.approved(site)) + 1
        files.write_json(models.folder(site) / f"{number:04d}.json", {**made, "approved": said})
        (models.folder(site) / "proposal.json").unlink()
    return {**made, "approved": said}
