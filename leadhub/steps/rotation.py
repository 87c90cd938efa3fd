"""New versions of the hub's keys, without asking any agency for anything again.

============ ============================================= =======================================
name         what it keeps                                 what rotation does
============ ============================================= =======================================
`landing`    wraps each drop's key                         every drop's key is wrapped anew, at once
`storage`    linkage tokens and pairs, exchanges' tables   every file is encrypted anew, at once
`ids`        sealed ids, tokens of quoted numbers          read as new at once; rewritten on the feed's
                                                           next complete night
`linkage`    linkage tokens                                tokens anew from what landing holds, at once;
                                                           others are kept until `retire` ends that
`signing`    signs checkpoints                             the next delivery brings the new public key,
                                                           signed by the old one
============ ============================================= =======================================

Record ids and person ids are not rotated: they would no longer be the ids of the same records and persons.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from leadhub.foundation import envelope, files
from leadhub.foundation import keys as key_ring
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.lease import lease
from leadhub.foundation.vocabulary import Sensitivity
from leadhub.identity import sealing
from leadhub.intake.landing import Landing
from leadhub.steps import linkage_rotation, tables
from leadhub.steps.site import Site

Receipt = dict[str, Any]
_SEALED = (Sensitivity.LOCAL_ID, Sensitivity.SHARED_ID)


def rotate(site: Site, name: str) -> Receipt:
    """A new version of a key in `keys.ROTATED`; what can be made anew at once is. A rotation that was
    interrupted is finished, and no further version begun.

    Raises: TerminalError `settings_invalid` for an unknown name, `state_invalid` while a night is under
    way.
    """
    if name not in key_ring.ROTATED:
        raise TerminalError(
            "settings_invalid", f"there is no key [{name}]; name one of {sorted(key_ring.ROTATED)}"
        )
    with _between_nights(site) as site:
        if name == "linkage":
            return _linkage(
                site, lambda: linkage_rotation.rotate(site, key_ring.next_version(site.keys, name))
            )
        unfinished = _make_anew(site.settings.var, site.keys, name)
        keys = site.keys
        if not unfinished:
            keys = key_ring.rotated(site.keys, site.settings.key_state, name)
        anew = unfinished or _make_anew(site.settings.var, keys, name)
        return {
            "key": name,
            "version": keys.versions[name],
            "made_anew": anew,
            "finished_an_earlier_one": bool(unfinished),
        }


def retire(site: Site) -> Receipt:
    """End the overlap window of the linkage key; an interrupted change of it is finished instead.

    Raises: TerminalError `state_invalid` where no older version is kept, or a night is under way.
    """
    with _between_nights(site) as site:
        return _linkage(site, lambda: linkage_rotation.retire(site))


@contextlib.contextmanager
def _between_nights(site: Site) -> Iterator[Site]:
    """The site with the versions that its keys have once nothing else can change them."""
    with contextlib.ExitStack() as stack:
        # no ingest may write under a version that goes, no steward propose or approve a model whose limits
        # do, and no other rotation write its own list of versions
        for name in ("night", "models", "review", *(f"ingest-{feed}" for feed in site.feeds)):
            stack.enter_context(lease(site.leases, name))
        chosen = site.settings
        site = replace(site, keys=key_ring.of_state(chosen.root_key, chosen.key_state, chosen.wrapping))
        _check_between_nights(site)
        yield site


def _linkage(site: Site, change: Callable[[], Receipt]) -> Receipt:
    unfinished = linkage_rotation.finish(site)
    plan = unfinished or change()
    return {
        "key": "linkage",
        "version": plan["version"],
        "made_anew": plan["tokens_anew"],
        "kept_older": plan["kept_older"],
        "until": (plan["overlap"] or {}).get("until"),
        "without_tokens": plan["without_tokens"],
        "finished_an_earlier_one": bool(unfinished),
    }


def _check_between_nights(site: Site) -> None:
    committed = site.lake.nights()
    under_way = [n for n in site.lake.nights_begun() if not committed or n > committed[-1]]
    if under_way:
        raise TerminalError(
            "state_invalid",
            f"night {under_way[0]} has begun and is not committed; rotate keys between nights",
        )


def _make_anew(var: Path, keys: key_ring.Keys, name: str) -> int:
    """What stands under an older version of `landing` or `storage`, under the newest; how much it was."""
    if name == "landing":
        return Landing(var, keys).rewrap()
    if name != "storage":
        return 0
    newest, *older = keys.every("storage:linkage")
    files_left = _under_older_storage(var, keys)
    for path in files_left:
        plain = envelope.decrypt_with_any(path.read_bytes(), older)
        files.write_bytes(path, envelope.encrypt(plain, newest), files.SHARED)
    return len(files_left)


def _under_older_storage(var: Path, keys: key_ring.Keys) -> list[Path]:
    newest, *older = keys.every("storage:linkage")
    kept = sorted([*(var / "lake" / "tokens").rglob("*.enc"), *(var / "exchanges").rglob("*.tokens")])
    return [path for path in kept if not _opens(path.read_bytes(), newest)] if older else []


def _opens(sealed: bytes, key: bytes) -> bool:
    try:
        envelope.decrypt(sealed, key)
    except TerminalError:
        return False
    return True


def _feeds_under_older_ids(site: Site) -> list[str]:
    """Feeds of the last night with a table whose ids are sealed under an older version."""
    nights = site.lake.nights()
    held = (site.lake.night(nights[-1]) or {"feeds": {}})["feeds"] if nights else {}
    found = []
    for feed_id in sorted(held.keys() & site.feeds.keys()):
        facts = site.facts(site.feeds[feed_id])
        for name, counts in held[feed_id]["tables"].items():
            own = [c.name for c in facts[name].columns if c.sensitivity in _SEALED]
            table = site.lake.read(tables.core_table(feed_id, name), counts["version"], own)
            if not all(sealing.is_current(table.column(c), site.keys) for c in own):
                found.append(feed_id)
                break
    return found


def status(site: Site) -> list[Receipt]:
    """Each key: its version, and how much still stands under an older one."""
    left = dict.fromkeys(key_ring.ROTATED, 0)
    left["landing"] = len(site.landing.under_older_keys())
    left["ids"] = len(_feeds_under_older_ids(site))
    nights = site.lake.nights()
    linkage = (site.lake.night(nights[-1]) or {})["linkage"] if nights else {}
    left["linkage"] = (linkage.get("overlap") or {"records": 0})["records"]
    left["storage"] = len(_under_older_storage(site.settings.var, site.keys))
    return [
        {"key": name, "version": site.keys.versions.get(name, site.keys.version), "under_older": left[name]}
        for name in key_ring.ROTATED
    ]
