"""Whose records of a feed linkage may use: by its tables, and by what the hub remembers and doubts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from leadhub.foundation import clock
from leadhub.identity.pseudonymise import Linkable
from leadhub.intake.feeds import Feed
from leadhub.permission import linking
from leadhub.steps import doubts, past_consents, seals
from leadhub.steps.site import Site


def linkable(
    site: Site, feed: Feed, states: dict[str, pa.Table], refused: Mapping[str, int]
) -> Linkable | None:
    """`linking.linkable` of a feed's state tables, now. `refused`: as `doubts.versions` gives it."""
    told: dict[str, Any] = {"at": clock.now(), "time_zone": site.settings.time_zone}
    if feed.linkage_consent is None:
        return linking.linkable(feed, states, seals.register(site), **told)
    doubted, past = doubts.consents(site, refused), past_consents.register(site)
    return linking.linkable(feed, states, seals.register(site), doubted=doubted, past=past, **told)
