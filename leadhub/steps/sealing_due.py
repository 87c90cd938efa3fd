"""The work list of a steward: cases that call for a seal and have none."""

from __future__ import annotations

from typing import Any

import polars as pl

from leadhub.casework import sealable
from leadhub.casework.frames import Frames
from leadhub.foundation.errors import TerminalError
from leadhub.identity import sealing
from leadhub.identity.keyed import to_array
from leadhub.steps import night
from leadhub.steps.site import Site


def due(site: Site) -> list[dict[str, Any]]:
    """Cases of the last night that call for a seal and have none, the longest due first: feed, case (the
    agency's own number), rule, provision, due_on, citation.

    Raises: TerminalError `night_incomplete` before the first night.
    """
    nights = site.lake.nights()
    if not nights:
        raise TerminalError("night_incomplete", "no night is committed yet; nothing is known of any case")
    manifest, rules = site.lake.night(nights[-1]) or {}, sealable.load()
    told = night.inputs(site, manifest["feeds"], manifest, manifest["tables"])
    frames = Frames.of(told, night=nights[-1], time_zone=site.settings.time_zone)
    cited = {r.id: r.citation for r in rules}
    found = []
    for (feed,), rows in sealable.due(frames, rules).group_by("feed", maintain_order=True):
        numbers = sealing.open_sealed(to_array(rows["da_case_no"]), site.feeds[str(feed)].agency, site.keys)
        named = rows.with_columns(case=pl.Series(numbers.to_pylist()))
        found += [row | {"citation": cited[row["rule"]]} for row in named.drop("da_case_no").to_dicts()]
    return sorted(found, key=lambda row: (row["due_on"], row["feed"], row["case"]))
