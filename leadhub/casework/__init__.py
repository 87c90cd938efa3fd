"""What agencies say about one diversion becomes one record and a list of disagreements. Pure.

Nothing here is derived from absence: a referral nobody speaks of has no statement, and that is all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import pyarrow as pa

Tables = Mapping[str, pa.Table]


@dataclass(frozen=True)
class Inputs:
    """State tables by contract kind and table name, each with a `feed` column; the crosswalk (record_id,
    feed, person_id); linkage's pairs (left, right, weight_bits); the register of seals (`seals.COLUMNS`);
    and refused rows that may be seals (`seals.UNREAD`). A kind without a feed is empty."""

    police: Tables
    da: Tables
    provider: Tables
    disputes: Tables
    crosswalk: pa.Table
    pairs: pa.Table
    seals: pa.Table
    unread: pa.Table


@dataclass(frozen=True)
class Casework:
    """The reconciled tables, each sorted; see the functions that make them."""

    diversions: pa.Table
    diversion_cases: pa.Table
    statements: pa.Table
    justice_events: pa.Table
    discrepancies: pa.Table
    seals: pa.Table

    def tables(self) -> dict[str, pa.Table]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


def reconcile(inputs: Inputs, *, night: str, time_zone: str) -> Casework:
    """One diversion record a referral, the cases and statements that belong to it, and who disagrees.

    `night`: what is dated later has not happened yet. `time_zone`: whose calendar days count.
    """
    from leadhub.casework import discrepancies, diversions, events, statements
    from leadhub.casework import seals as sealing
    from leadhub.casework.frames import Frames
    from leadhub.identity.keyed import to_arrow

    frames = Frames.of(inputs, night=night, time_zone=time_zone)
    said = statements.statements(frames)
    cases = diversions.diversion_cases(frames)
    referred = diversions.diversions(frames, cases)
    return Casework(
        diversions=to_arrow(referred),
        diversion_cases=to_arrow(cases),
        statements=to_arrow(said),
        justice_events=to_arrow(events.justice_events(frames)),
        discrepancies=to_arrow(discrepancies.discrepancies(frames, referred, cases, said)),
        seals=to_arrow(sealing.seals(frames)),
    )
