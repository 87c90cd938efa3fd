"""An agency tries its files before it drops them: the same parser, mapping, contract and words.

Nothing is kept, and neither keys nor state are needed, so it runs at the agency.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import Settings
from leadhub.intake import acknowledgement, mapping, tabular, validation
from leadhub.intake import feeds as feed_facts
from leadhub.intake.acknowledgement import Rejection
from leadhub.intake.feeds import DropRules, Feed
from leadhub.intake.validation import Judged
from leadhub.steps.site import contracts


@dataclass(frozen=True)
class Checked:
    """`names`: table → the file that was read. `rejections`: every fault, as the agency would be told."""

    names: dict[str, str]
    judged: dict[str, Judged]
    rejections: tuple[Rejection, ...]


def check(settings: Settings, feed_id: str, paths: Iterable[Path], table: str | None = None) -> Checked:
    """Judge files of one drop together. `table` names the source table of a file with another name.

    References are checked among the files given.

    Raises: TerminalError `feed_invalid`, `unsafe_name` (no file of this feed has such a name),
    `unreadable_file`, `schema_drift`, `too_many_refused`.
    """
    from schemas import contract

    feed = feed_facts.load(settings.feeds, _known(settings, feed_id))
    if feed.drop is None:
        raise TerminalError(
            "feed_invalid",
            f"feed [{feed_id}] is read from its agency's system and is not dropped as files; "
            f"feeds that are: {', '.join(_dropped(settings))}",
        )
    models = contracts(feed)
    facts = {name: contract.facts(model) for name, model in models.items()}
    names: dict[str, str] = {}
    mapped = {}
    for path in paths:
        name = _table(feed, feed.drop, path, table)
        if name in names:
            raise TerminalError("unsafe_name", f"[{names[name]}] and [{path.name}] are both [{name}]")
        names[name] = path.name
        parsed = _parse(path, feed.drop)
        mapped[name] = mapping.apply(parsed, facts[name], feed.tables[name], name=path.name)
    known = {
        name: replace(f, references=tuple(r for r in f.references if r.table in names))
        for name, f in facts.items()
    }
    judged = validation.judge(mapped, models, known, {})
    return Checked(names, judged, tuple(acknowledgement.rejections(feed, judged)))


def _known(settings: Settings, feed_id: str) -> str:
    if not (settings.feeds / f"{feed_id}.yaml").is_file() or not re.fullmatch(r"\w+", feed_id):
        known = ", ".join(sorted(p.stem for p in settings.feeds.glob("*.yaml")))
        raise TerminalError("feed_invalid", f"there is no feed of that name; there are: {known}")
    return feed_id


def _dropped(settings: Settings) -> list[str]:
    return [f.id for f in feed_facts.load_all(settings.feeds).values() if f.drop]


def _table(feed: Feed, rules: DropRules, path: Path, given: str | None) -> str:
    by_source = {m.source: name for name, m in feed.tables.items()}
    found = re.fullmatch(rules.pattern, path.name.removesuffix(".pgp"))
    source = given or (found["table"] if found else "")
    if source not in by_source and source not in feed.tables:
        raise TerminalError(
            "unsafe_name",
            f"[{path.name}] is not a name of this feed, so its table is unknown; name it "
            f"{_plain(rules.pattern)}, or say --table with one of {', '.join(by_source)}",
        )
    return by_source.get(source, source)


def _plain(pattern: str) -> str:
    """A feed's pattern as a clerk would write it."""
    plain = pattern.replace(r"(?P<night>\d{8})", "YYYYMMDD").replace(r"(?P<sequence>\d{2})", "NN")
    return re.sub(r"\(\?P<table>([^)]*)\)", r"{\1}", plain).replace("\\.", ".")


def _parse(path: Path, rules: DropRules) -> tabular.Parsed:
    if path.suffix in (".pgp", ".gpg", ".asc"):
        raise TerminalError(
            "unreadable_file", f"[{path.name}] is encrypted to the hub; check it before you encrypt it"
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        why = error.strerror or "cannot be read"
        raise TerminalError("unreadable_file", f"[{path.name}]: {why}") from None
    return tabular.parse(data, "csv", name=path.name, delimiter=rules.delimiter, encoding=rules.encoding)
