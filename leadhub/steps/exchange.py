"""Exchanges at the hub: the receiving key, token files opened and kept, tables that may be linked.

The hub keeps, for each exchange and key version, what was agreed (`agreed.json`) and the last token file of
each feed, encrypted under the storage key as all tokens are::

    var/exchanges/<exchange>/v<key version>/agreed.json
                                            <feed>.tokens

What was agreed is fixed by the first file, for which a steward says the fingerprint that the agencies read
out: the hub does not hold the key, and has no other way to know the right one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from leadhub.foundation import envelope, files, openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.foundation.settings import Settings
from leadhub.identity import exchange, token_file
from leadhub.identity.exchange import ExchangeKey
from leadhub.identity.linkage.schema import LinkageSchema
from leadhub.identity.token_file import Header

_ROW_KEY = ".rows.key"


@dataclass(frozen=True)
class Opened:
    """One token file: what it said, its table, whether the hub held these very bytes already, and what the
    feed's last file said."""

    header: Header
    table: pa.Table
    known: bool
    before: Header | None


def make_key(name: str, version: int, path: Path) -> ExchangeKey:
    """A new tokenising key in a file of mode 600.

    Raises: TerminalError `unsafe_name`; `state_invalid` where the file exists: a key is never replaced.
    """
    key = exchange.new_key(name, version)
    _keep(path, "a key that agencies use is never replaced; make the next version with --version")
    files.write_bytes(path, key.text())
    return key


def load_key(path: Path) -> ExchangeKey:
    """Raises: TerminalError `key_missing`, `wrong_key`."""
    if not path.exists():
        raise TerminalError("key_missing", f"no exchange key at [{path.name}]; ask who keeps it")
    if path.stat().st_mode & 0o077:
        raise TerminalError("wrong_key", f"[{path.name}] is readable by others; chmod 600 it")
    return exchange.read_key(path.read_bytes(), path.name)


def row_key_file(key_file: Path, feed: str) -> Path:
    """Where an agency's row key stands unless it says otherwise: beside the exchange key."""
    return key_file.with_name(feed + _ROW_KEY)


def receiving_key(settings: Settings) -> Path:
    """The hub's secret key for token files; its certificate stands beside it, as `.asc`."""
    return settings.decryption_key.with_name("exchange.pgp")


def make_receiving_key(settings: Settings) -> Path:
    """The certificate that agencies encrypt to; keys are made where there are none."""
    path = receiving_key(settings)
    if not path.exists():
        openpgp.generate(path, f"leadhub exchanges <{settings.steward_contact}>")
    certificate = path.with_suffix(".asc")
    files.write_bytes(certificate, openpgp.certificate(path), mode=0o644)
    return certificate


def certificate(path: Path) -> bytes:
    """At an agency: the hub's public key. Raises: TerminalError `key_missing`, `recipient_key_mismatch`."""
    if not path.exists():
        raise TerminalError("key_missing", f"no certificate at [{path.name}]; ask the hub for exchange.asc")
    content = path.read_bytes()
    openpgp.fingerprint(content)
    return content


def spaced(fingerprint: str) -> str:
    """An OpenPGP fingerprint as it is read out."""
    return " ".join(fingerprint[i : i + 4] for i in range(0, len(fingerprint), 4))


def write_tables(opened: list[Opened], path: Path) -> None:
    """The tables of several agencies as one Parquet file of mode 600."""
    with files.writing(path) as handle:
        pq.write_table(pa.concat_tables([one.table for one in opened]), handle, compression="zstd")


def open_files(
    paths: list[Path],
    *,
    settings: Settings,
    keys: Keys,
    schema: LinkageSchema,
    fingerprint: str | None = None,
    secret_key: Path | None = None,
) -> list[Opened]:
    """Decrypt, check and keep token files of one exchange; nothing is kept unless all are in order.

    `fingerprint`: of the exchange's key, as agencies read it out; needed for the first file of a key.

    Raises: TerminalError `key_missing`, `decryption_failed`, `exchange_mismatch`, `out_of_order` (a feed's
    file is older than the one held), and as `token_file.unpack`.
    """
    found = []
    for path in paths:
        data = _decrypted(path, secret_key or receiving_key(settings))
        found.append((data, *token_file.unpack(data, path.name, schema)))
    headers = [header for _, header, _ in found]
    token_file.check_together(headers)
    _check_feeds(headers)
    folder = _folder(settings, headers[0])
    _check_agreed(folder, headers[0], fingerprint)
    opened = [Opened(header, table, *_held(folder, header, data, keys)) for data, header, table in found]
    if not (folder / "agreed.json").exists():
        files.write_json(folder / "agreed.json", _agreed(headers[0]))
    for (data, header, _), one in zip(found, opened):
        if not one.known:
            _store(_token_file(folder, header.feed), data, keys)
    return opened


def tables(
    name: str, *, settings: Settings, keys: Keys, schema: LinkageSchema, version: int | None = None
) -> pa.Table:
    """The token tables that the hub holds of an exchange, concatenated, as `linkage.link` takes them;
    of the newest key version unless another is named.

    Raises: TerminalError `state_invalid` where there is none; `exchange_mismatch` where `schema` is not
    the agreed one.
    """
    root = settings.var / "exchanges" / name
    versions = sorted(int(p.parent.name[1:]) for p in root.glob("v*/agreed.json"))
    if not versions or version not in (None, *versions):
        raise TerminalError(
            "state_invalid", f"the hub holds no tokens of exchange [{name}]; see `leadhub exchange open`"
        )
    held = sorted((root / f"v{version or versions[-1]}").glob("*.tokens"))
    read = [token_file.unpack(_stored(path, keys), path.name, schema) for path in held]
    token_file.check_together([header for header, _ in read])
    return pa.concat_tables([table for _, table in read])


def _decrypted(path: Path, secret_key: Path) -> bytes:
    if not path.exists():
        raise TerminalError("unreadable_file", f"[{path.name}] is missing")
    if not secret_key.exists():
        raise TerminalError(
            "key_missing", f"no receiving key at [{secret_key.name}]; run `leadhub exchange hub-key`"
        )
    try:
        return openpgp.decrypt(path.read_bytes(), secret_key)
    except TerminalError as error:
        if error.reason != "decryption_failed":
            raise
        raise TerminalError(
            "decryption_failed",
            f"[{path.name}] is not encrypted to this hub's receiving key, or was altered on its way; ask "
            "its sender to compare the fingerprint of the hub's certificate, and send it again",
        ) from None


def _check_feeds(headers: list[Header]) -> None:
    feeds = [header.feed for header in headers]
    twice = sorted({feed for feed in feeds if feeds.count(feed) > 1})
    if twice:
        raise TerminalError("exchange_mismatch", f"several files are of feed {twice}; open one of each")


def _folder(settings: Settings, header: Header) -> Path:
    return settings.var / "exchanges" / header.exchange / f"v{header.key_version}"


def _token_file(folder: Path, feed: str) -> Path:
    return folder / f"{feed}.tokens"


def _agreed(header: Header) -> dict[str, str]:
    return {
        "key_fingerprint": header.key_fingerprint,
        "linkage_schema": header.linkage_schema,
        "tier": header.tier,
    }


def _check_agreed(folder: Path, header: Header, fingerprint: str | None) -> None:
    path, said = folder / "agreed.json", _agreed(header)
    which = f"exchange [{header.exchange}], key version {header.key_version}"
    if fingerprint is not None and exchange.grouped(fingerprint) != header.key_fingerprint:
        raise TerminalError(
            "exchange_mismatch",
            f"the file of [{header.feed}] was made with key {header.key_fingerprint} and not with the one "
            f"read out; let [{header.feed}] compare its key with the other agencies' and tokenise again",
        )
    if not path.exists():
        if fingerprint is None:
            raise TerminalError(
                "exchange_mismatch",
                f"{which} is new here; let the agencies read out their key's fingerprint "
                "(`leadhub exchange show KEYFILE`) and open the file with --fingerprint",
            )
        return
    agreed = files.read_json(path)
    for what in said:
        if agreed[what] != said[what]:
            raise TerminalError(
                "exchange_mismatch",
                f"{which}: the file of [{header.feed}] has {what} {said[what]}, agreed is {agreed[what]}; "
                f"let [{header.feed}] tokenise again with what was agreed; to agree on something else, "
                "make the key's next version",
            )


def _held(folder: Path, header: Header, data: bytes, keys: Keys) -> tuple[bool, Header | None]:
    """Whether the hub holds these very bytes, and what the file said that it holds of the feed."""
    path = _token_file(folder, header.feed)
    if not path.exists():
        return False, None
    held = _stored(path, keys)
    last = token_file.header_in(held, path.name)
    if header.made_at < last.made_at:
        raise TerminalError(
            "out_of_order",
            f"the file of [{header.feed}] was made at {header.made_at}, before the one held, of "
            f"{last.made_at}; ask for a new one",
        )
    return held == data, last


def _store(path: Path, data: bytes, keys: Keys) -> None:
    with files.writing(path) as handle:
        writer = envelope.EnvelopeWriter(handle, keys.derive("storage:linkage"))
        writer.write(data)
        writer.close()


def _stored(path: Path, keys: Keys) -> bytes:
    return envelope.decrypt_with_any(path.read_bytes(), keys.every("storage:linkage"))


def _keep(path: Path, why: str) -> None:
    if path.exists():
        raise TerminalError("state_invalid", f"[{path.name}] is there already; {why}")
