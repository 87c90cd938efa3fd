"""The site: what a step needs, opened once. Connectors and contracts are given to the core here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from connectors.base import Connect, Connector
from leadhub.foundation import algorithms, roles
from leadhub.foundation import keys as key_ring
from leadhub.foundation import settings as site_settings
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.foundation.lake import Lake
from leadhub.foundation.settings import Settings
from leadhub.foundation.vocabulary import TableFacts
from leadhub.intake import feeds as feed_facts
from leadhub.intake.feeds import Feed
from leadhub.intake.landing import Landing
from leadhub.permission import agreements as agreement_facts
from leadhub.permission import frame as frames
from leadhub.permission import licences
from leadhub.permission.agreements import Agreement
from leadhub.permission.frame import Frame

_CONNECTORS = {
    "sql": ("connectors.sql", "SqlConnector"),
    "rest": ("connectors.rest", "RestConnector"),
    "sftp": ("connectors.sftp", "SftpConnector"),
}


def contracts(feed: Feed) -> dict[str, Any]:
    """Table → pandera model, in the order of the feed's tables. Raises: TerminalError `feed_invalid`."""
    from schemas.contract import tables_of

    models = tables_of(importlib.import_module(f"schemas.{feed.contract}"))
    unknown = sorted(set(feed.tables) - set(models))
    if unknown:
        raise TerminalError(
            "feed_invalid", f"[{feed.id}.yaml] maps tables that its contract lacks: {unknown}"
        )
    return {name: models[name] for name in feed.tables}


def dataset_facts(agreement: Agreement) -> TableFacts:
    """Facts of the contract of a licence's dataset. Raises: TerminalError `agreement_invalid`."""
    from schemas.contract import facts
    from schemas.releases import RELEASES

    model = RELEASES.get(agreement.dataset)
    if model is None:
        raise TerminalError("agreement_invalid", f"[{agreement.id}] names a dataset without a contract")
    return facts(model)


#: a rotation of the linkage key that is to be carried out (`linkage_rotation`)
PLAN = Path("lake") / "linkage_rotation.json"


@dataclass(frozen=True)
class Site:
    """One installation. `connect` resolves connection ids (Airflow's in the DAGs, else the environment)."""

    settings: Settings
    keys: Keys
    connect: Connect

    @cached_property
    def lake(self) -> Lake:
        return Lake(self.settings.var, self.keys)

    @cached_property
    def landing(self) -> Landing:
        return Landing(self.settings.var, self.keys)

    @cached_property
    def feeds(self) -> dict[str, Feed]:
        return feed_facts.load_all(self.settings.feeds)

    @property
    def leases(self) -> Path:
        return self.settings.var / "lake" / "leases"

    def feed(self, feed_id: str) -> Feed:
        try:
            return self.feeds[feed_id]
        except KeyError:
            raise TerminalError(
                "feed_invalid", f"there is no feed [{feed_id}]; feeds/*.yaml name them"
            ) from None

    @property
    def licences(self) -> list[str]:
        """Ids of all licences, also of those whose file cannot be read, or is gone since its approval."""
        return [licence.id for licence in licences.known(self.settings.agreements, self.settings.approved)]

    @cached_property
    def agreements(self) -> Mapping[str, Agreement]:
        """Those whose file can be read."""
        return agreement_facts.load_all(self.settings.agreements).found

    def agreement(self, agreement_id: str) -> Agreement:
        """Read anew from its file: an edit since the last step must be seen."""
        return agreement_facts.load(self.settings.agreements, agreement_id)

    def frame(self) -> Frame:
        """Memoranda and sharing agreements, read anew."""
        return frames.load(self.settings.agreements)

    def contracts(self, feed: Feed) -> dict[str, Any]:
        return contracts(feed)

    def facts(self, feed: Feed) -> dict[str, TableFacts]:
        """Table → facts of its contract."""
        from schemas.contract import facts

        return {name: facts(model) for name, model in self.contracts(feed).items()}

    def connector(self, feed: Feed) -> Connector:
        module, name = _CONNECTORS[feed.connector]
        kind = getattr(importlib.import_module(module), name)
        return kind(feed, self.facts(feed), self.connect(feed.connection))


def open_site(connect: Connect, settings: Settings | None = None, *, rotating: bool = False) -> Site:
    """The site of this environment; the root key is checked against the state before anything else.

    `rotating`: also while a rotation of the linkage key is unfinished.
    A role starts only where every folder is open to it as `roles` says, and no other is.
    Raises: TerminalError `settings_invalid`, `key_missing`, `wrong_key`, `state_invalid`.
    """
    chosen = settings or site_settings.load()
    algorithms.check_fips(chosen.require_fips)
    if not rotating and (chosen.var / PLAN).exists():
        raise TerminalError(
            "state_invalid",
            "a rotation of the linkage key is unfinished; run `leadhub keys rotate linkage`",
        )
    keys = key_ring.load(chosen.root_key, chosen.wrapping)
    if keys.role:
        roles.check(chosen.var, keys.role)
    return Site(chosen, key_ring.verify(keys, chosen.key_state), connect)
