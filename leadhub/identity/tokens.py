"""Identifiers → tokens: keyed hashes of several normalised parts together.

From here on no identifier exists. Tokens live in the linkage zone alone, never in a release.

A linkage token is 64 bits; the table's `marker` says which key version, linkage schema and tier made it,
and tokens are comparable only under one marker. A shared id's token: ``t<key version>:<32 hex digits>``.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.foundation.vocabulary import IDENTIFIER_KINDS
from leadhub.identity import keyed, normalise, parts, rarity
from leadhub.identity.composite import Digests, Mac, digest
from leadhub.identity.linkage.schema import LinkageSchema, Tier, person

NYSID_COLUMN = "nysid_token"
#: polars and Arrow let go of the interpreter while they work
_THREADS = 2


def columns(schema: LinkageSchema, tier: Tier) -> tuple[str, ...]:
    """Of a token table: ids and marker are text, the tokens uint64."""
    return ("record_id", "feed", "marker", *schema.columns(tier), NYSID_COLUMN)


def marker(schema: LinkageSchema, tier: Tier, keys: Keys) -> str:
    return f"t{keys.version}.{schema.name}{schema.version}-{schema.fingerprint}.{tier}"


def tokenise(
    identifiers: pa.Table,
    *,
    feed: str,
    keys: Keys,
    schema: LinkageSchema | None = None,
    tier: Tier = "tokens",
) -> pa.Table:
    """Tokens of a person table.

    `identifiers` has `record_id` and columns named by identifier kind (text; `date_of_birth` a date);
    kinds that an agency does not give may be absent. Returns one row a record, columns `columns`, sorted
    by `record_id`; a token is null where one of its parts is missing.

    Raises: TerminalError `column_not_allowed` for a column that is no identifier kind.
    """
    schema = schema or person()
    unknown = sorted(set(identifiers.column_names) - {"record_id", *IDENTIFIER_KINDS})
    if unknown:
        raise TerminalError("column_not_allowed", f"columns {unknown} are no identifier kinds")
    frame = pl.DataFrame(pl.from_arrow(identifiers))
    named = {"record_id": frame.get_column("record_id")}
    named["feed"] = pl.Series([feed], dtype=pl.String).new_from_index(0, frame.height)
    named["marker"] = pl.Series([marker(schema, tier, keys)]).new_from_index(0, frame.height)
    digests, several = _digests(frame.drop("record_id"), schema, keys, tier)
    if tier == "fields":
        named |= {
            f"p_{name}": several[name] if name in several else _column(digests[name].tokens())
            for name in schema.parts
        }
    else:
        mac = Mac(keys.derive("token:link"))
        for key, name in zip(schema.match_keys, schema.key_names):
            label = hashlib.sha256(f"{schema.name}:{name}".encode()).digest()[:16]
            used = {p: digests[p] for p in key}
            rare = rarity.enough(schema, key, {p: d.row_bits() for p, d in used.items()})
            named[f"k_{name}"] = _column(mac.rows(label, list(used.values()), rare))
    named[NYSID_COLUMN] = _nysid(frame, keys)
    table = pl.DataFrame({name: values.alias(name) for name, values in named.items()})
    return keyed.to_arrow(table.sort("record_id"))


def _digests(
    identifiers: pl.DataFrame, schema: LinkageSchema, keys: Keys, tier: Tier
) -> tuple[dict[str, Digests], dict[str, pl.Series]]:
    """Each part's keyed digests, and in tier `fields` the tokens of parts with several values; what
    repeats in an identifier is derived and hashed once."""
    known = normalise.normalise(identifiers)
    one_of = {part.of: part for part in schema.parts.values()}
    with ThreadPoolExecutor(_THREADS) as pool:
        coded = pool.map(lambda part: _coded(parts.source(known, part)), one_of.values())
        sources = dict(zip(one_of, coded))

        def made(name: str) -> Any:
            part = schema.parts[name]
            codes, once = sources[part.of]
            texts, key = parts.derive(part, once), keys.hmac_text_key(f"token:part:{name}")
            return (
                _lists(codes, texts, key)
                if part.many
                else digest(codes, texts, key, rarity.bits(part, texts))
            )

        used = [n for n, p in schema.parts.items() if tier == "fields" or not p.many]
        found = dict(zip(used, pool.map(made, used)))
    several = {n: d for n, d in found.items() if schema.parts[n].many}
    return {n: d for n, d in found.items() if n not in several}, several


def _lists(codes: np.ndarray, once: pl.Series, key: str) -> pl.Series:
    """Lists of tokens, one a row; `once` holds the list of texts of each code."""
    texts = once.explode()
    inner, distinct = _coded(texts)
    words = digest(inner, distinct, key).tokens()
    place = pl.Series(
        np.repeat(np.arange(len(once)), np.maximum(1, once.list.len().fill_null(0).to_numpy()))
    )
    frame = pl.DataFrame({"at": place, "token": _column(words)})
    lists = frame.group_by("at", maintain_order=True).agg("token").get_column("token")
    return lists.gather(pl.Series(codes).replace(-1, None).cast(pl.UInt32)).list.drop_nulls()


def _coded(values: pl.Series) -> tuple[np.ndarray, pl.Series]:
    codes, once = keyed.distinct(values)
    return codes.cast(pl.Int64).fill_null(-1).to_numpy(), once


def _column(tokens: np.ndarray) -> pl.Series:
    values = pl.Series(tokens)
    return values.set(values == 0, None)


def _nysid(frame: pl.DataFrame, keys: Keys) -> pl.Series:
    if "nysid" not in frame.columns:
        return pl.Series([None] * frame.height, dtype=pl.UInt64)
    values = normalise.nysid(frame.get_column("nysid"))
    codes, once = _coded(values)
    return _column(digest(codes, once, keys.hmac_text_key("token:nysid")).tokens())


def shared_id_token(values: pa.Array | pa.ChunkedArray, kind: str, keys: Keys) -> pa.Array:
    """Tokens of an id that agencies quote to one another, equal in all feeds; null for null or blank.

    `kind` (a docket number, an arrest number) separates ids that happen to have the same text.
    """
    plain = keyed.by_distinct(keyed.to_series(values).cast(pl.String), normalise.shared_id)
    key = keys.hmac_text_key(f"token:{kind}")
    return keyed.to_array(keyed.hmac_column(plain, key, f"t{keys.version}:"))
