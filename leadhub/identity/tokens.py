"""Identifiers → tokens: keyed hashes of several normalised parts together.

From here on no identifier exists. Tokens live in the linkage zone alone, never in a release.

A linkage token is 64 bits; the table's `marker` says which key version, linkage schema and tier made it,
and tokens are comparable only under one marker. A shared id's token: ``t<key version>:<32 hex digits>``.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.foundation import cores
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.foundation.vocabulary import IDENTIFIER_KINDS
from leadhub.identity import keyed, normalise, parts, rarity
from leadhub.identity.cmac import Mac
from leadhub.identity.coded import Coded
from leadhub.identity.digests import Digests, digest
from leadhub.identity.linkage.schema import LinkageSchema, Part, Tier, person

NYSID_COLUMN = "nysid_token"
#: rows whose parts' digests fit the processor's cache
_CHUNK = 1 << 15


def columns(schema: LinkageSchema, tier: Tier) -> tuple[str, ...]:
    """Of a token table: ids and marker are text, the tokens uint64."""
    return ("record_id", "feed", "marker", *schema.columns(tier), NYSID_COLUMN)


def marker(schema: LinkageSchema, tier: Tier, keys: Keys) -> str:
    return f"t{keys.version_of('token:link')}.{schema.name}{schema.version}-{schema.fingerprint}.{tier}"


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
    frame = keyed.to_frame(identifiers).sort("record_id")
    named = {
        "record_id": frame.get_column("record_id"),
        "feed": pl.Series([feed], dtype=pl.String).new_from_index(0, frame.height),
        "marker": pl.Series([marker(schema, tier, keys)]).new_from_index(0, frame.height),
    }
    known = normalise.coded(frame.drop("record_id"))
    digests, several = _digests(known, schema, keys, tier)
    made: dict[str, np.ndarray | None]
    if tier == "fields":
        made = {f"p_{name}": d.tokens() for name, d in digests.items()}
    else:
        made = _match_keys(digests, schema, Mac(keys.derive("token:link")), frame.height)
    nysid = known["nysid"]
    made[NYSID_COLUMN] = digest(nysid.codes, nysid.once, Mac(keys.derive("token:nysid"))).tokens()
    nothing = pa.nulls(frame.height, pa.uint64())
    arrays = {f"p_{name}": lists for name, lists in several.items()}
    arrays |= dict(zip(named, keyed.to_arrow(pl.DataFrame(named)).columns))
    arrays |= {name: nothing if words is None else _column(words) for name, words in made.items()}
    return pa.table({name: arrays[name] for name in columns(schema, tier)})


def _match_keys(
    digests: dict[str, Digests], schema: LinkageSchema, mac: Mac, count: int
) -> dict[str, np.ndarray | None]:
    """Token column → uint64 a row, 0 where a part is missing or the value too common; None for a key with
    a part that no row has, which costs nothing."""
    absent = {name for name, d in digests.items() if not d.words.any()}
    keys = {
        column: (key, hashlib.sha256(f"{schema.name}:{name}".encode()).digest()[:16])
        for column, name, key in zip(schema.columns("tokens"), schema.key_names, schema.match_keys)
        if not absent & set(key)
    }
    made = {column: np.zeros(count, dtype=np.uint64) for column in keys}
    used = {part for key, _ in keys.values() for part in key}

    def fill(at: int) -> None:
        rows = slice(at, min(at + _CHUNK, count))
        words = {name: digests[name].tokens(rows) for name in used}
        known = {name: word != 0 for name, word in words.items()}
        bits = {
            name: digests[name].row_bits(rows) if schema.parts[name].by_value else schema.parts[name].bits
            for name in used
        }
        macs = mac.over(rows.stop - rows.start)
        for column, (key, label) in keys.items():
            told = np.logical_and.reduce([known[part] for part in key])
            told &= rarity.enough(schema, key, bits)
            np.multiply(macs.rows(label, [words[part] for part in key]), told, out=made[column][rows])

    cores.each(fill, range(0, count, _CHUNK))
    return {column: made.get(column) for column in schema.columns("tokens")}


def _digests(
    known: dict[str, Coded], schema: LinkageSchema, keys: Keys, tier: Tier
) -> tuple[dict[str, Digests], dict[str, pa.Array]]:
    """Each part's keyed digests, and in tier `fields` the tokens of parts with several values; what
    repeats in an identifier is derived and hashed once."""
    one_of = {part.of: part for part in schema.parts.values()}
    sources = {of: parts.source(known, part) for of, part in one_of.items()}

    def made(name: str) -> Any:
        part = schema.parts[name]
        source = sources[part.of]
        texts, mac = parts.derive(part, source.once), Mac(keys.derive(f"token:part:{name}"))
        if part.many:
            return _lists(source.codes, texts, mac)
        return digest(source.codes, texts, mac, _bits(part, known, texts) if tier == "tokens" else None)

    used = [n for n, p in schema.parts.items() if tier == "fields" or not p.many]
    found = dict(zip(used, cores.each(made, used)))
    several = {n: d for n, d in found.items() if schema.parts[n].many}
    return {n: d for n, d in found.items() if n not in several}, several


def _bits(part: Part, known: dict[str, Coded], texts: pl.Series) -> np.ndarray:
    """How rare each value is: float32 along `texts`, the part's values."""
    if len(part.of) > 1:
        return rarity.either_way(*(known[kind] for kind in part.of))
    return rarity.bits(part, texts)


def _lists(codes: np.ndarray, once: pl.Series, mac: Mac) -> pa.Array:
    """Lists of tokens as a dictionary array, each distinct list once; `once` holds each code's texts."""
    lists = once.to_arrow(compat_level=pl.CompatLevel.newest())
    hashed = mac.texts(keyed.to_series(lists.values))
    tokens = pa.ListArray.from_arrays(lists.offsets.cast(pa.int32()), pa.array(hashed, pa.uint64()))
    # a code without texts is missing
    empty = np.diff(lists.offsets.to_numpy())[codes] == 0 if len(once) else codes == -1
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=(codes == -1) | empty), tokens)


def stored(table: pa.Table) -> pa.Table:
    """The table with plain lists, as files hold it."""
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            chunks = [c.dictionary.take(c.indices) for c in table.column(i).chunks]
            table = table.set_column(i, field.name, pa.chunked_array(chunks, field.type.value_type))
    return table


def without(table: pa.Table, record_ids: pl.Series) -> pa.Table:
    """The table with these records' tokens gone."""
    frame = keyed.to_frame(table)
    barred = pl.col("record_id").is_in(record_ids.implode())
    kept = ("record_id", "feed", "marker")
    blank = (pl.when(~barred).then(pl.col(c)).alias(c) for c in frame.columns if c not in kept)
    return keyed.to_arrow(frame.with_columns(*blank))


def tokenless(table: pa.Table) -> pl.Series:
    """Ids of the records of a token table that have no token."""
    frame = keyed.to_frame(table)
    words = [pl.col(c).is_null() for c in frame.columns if c not in ("record_id", "feed", "marker")]
    return frame.filter(pl.all_horizontal(words)).get_column("record_id")


def differing(table: pa.Table, before: pa.Table | None) -> pl.Series:
    """Ids of the records of a token table that are new, or had other tokens `before`."""
    now = _rows(table)
    if before is not None:
        now = now.join(_rows(before), on=["record_id", "row"], how="anti")
    return now.get_column("record_id")


def _rows(table: pa.Table) -> pl.DataFrame:
    frame = keyed.to_frame(table)
    return frame.select("record_id", row=keyed.row_words(frame))


def _column(tokens: np.ndarray) -> pa.Array:
    """The same memory as a column in which 0 is null."""
    there = np.packbits(tokens != 0, bitorder="little")
    return pa.Array.from_buffers(pa.uint64(), len(tokens), [pa.py_buffer(there), pa.py_buffer(tokens)])


def shared_id_token(values: pa.Array | pa.ChunkedArray, kind: str, keys: Keys) -> pa.Array:
    """Tokens of an id that agencies quote to one another, equal in all feeds; null for null or blank.

    `kind` (a docket number, an arrest number) separates ids that happen to have the same text.
    """
    plain = keyed.by_distinct(keyed.to_series(values).cast(pl.String), normalise.shared_id)
    purpose = f"number:{kind}"
    marker = f"t{keys.version_of(purpose)}:"
    return keyed.to_array(keyed.hmac_column(plain, keys.hmac_text_key(purpose), marker))
