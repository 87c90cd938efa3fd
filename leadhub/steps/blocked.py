"""Licences under which nothing leaves but withdrawals: a document cannot be read, or says what cannot be.

Needs settings alone, no key and no state, so that whoever edits a document can try it where they edit.
"""

from __future__ import annotations

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import Settings
from leadhub.intake import feeds as feed_facts
from leadhub.permission import agreements, gate, statistics
from leadhub.permission import frame as frames
from leadhub.steps.site import dataset_facts


def licences(settings: Settings) -> dict[str, TerminalError]:
    """File name of a licence, without `.yaml` → what keeps it from being used, the first thing found.

    Whether it is in force and its inputs fresh is another matter, of the day. Raises: TerminalError
    `feed_invalid`.
    """
    folder, found = settings.agreements, {}
    held, frame = agreements.load_all(folder), frames.load(folder)
    agencies = {name: feed.agency for name, feed in feed_facts.load_all(settings.feeds).items()}
    for name, licence in held.found.items():
        try:
            facts = dataset_facts(licence)
            agreements.check_contract(licence, facts)
            gate.compiled(licence, facts)
            frames.check(licence, frame, agencies, facts)
            if licence.identifiability == "aggregate":
                statistics.load(folder, licence.dataset)
        except TerminalError as error:
            found[name] = error
    return dict(sorted({**held.faults, **found}.items()))


def told(settings: Settings) -> list[str]:
    """A sentence for each thing that is wrong: what, and under which licences nothing leaves for it; also
    of a document that no licence needs."""
    stopped: dict[str, list[str]] = {}
    for name, error in licences(settings).items():
        stopped.setdefault(error.message, []).append(name)
    for error in frames.load(settings.agreements).faults.values():
        stopped.setdefault(error.message, [])
    return [
        f"{what}. "
        + (f"Nothing but withdrawals leaves under {', '.join(names)}" if names else "No licence needs it")
        for what, names in stopped.items()
    ]
