"""Identifiers → tokens: keyed hashes of several normalised parts together.

From here on no identifier exists. Tokens live in the linkage zone alone, never in a release.

Text of a linkage token: ``t<key version>.<schema>:<32 hex digits>``; two tokens are comparable only
where everything before the colon is equal. A shared id's token: ``t<key version>:<32 hex digits>``.
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.foundation.vocabulary import IDENTIFIER_KINDS
from leadhub.identity import keyed, normalise
from leadhub.identity.linkage.schema import MATCH_KEYS, fingerprint

NYSID_COLUMN = "nysid_token"

#: columns of a token table, all text
COLUMNS = ("record_id", "feed", *(k.column for k in MATCH_KEYS), NYSID_COLUMN)


def parts(identifiers: pl.DataFrame) -> pl.DataFrame:
    """One text column for each of `PARTS`, from columns named by identifier kind."""
    known = normalise.normalise(identifiers)
    last, first, born = pl.col("last_name"), pl.col("first_name"), pl.col("date_of_birth")
    day_or_month = pl.min_horizontal(born.dt.day(), born.dt.month())
    month_or_day = pl.max_horizontal(born.dt.day(), born.dt.month())
    # only a day up to 12 can have been taken for a month
    swappable = pl.when(born.dt.day() <= 12)
    unordered = swappable.then(pl.format("{}:{}/{}", born.dt.year(), day_or_month, month_or_day)).otherwise(
        born.dt.to_string("%Y-%m-%d")
    )
    by_value = {
        "last_sound": ("last_name", normalise.soundex),
        "first_sound": ("first_name", normalise.soundex),
        "nickname": ("first_name", normalise.nickname_class),
        "house": ("address_line", normalise.house_number),
    }
    derived = [
        keyed.by_distinct(known.get_column(kind), rule).alias(name)
        for name, (kind, rule) in by_value.items()
    ]
    return known.with_columns(derived).select(
        last=last,
        names_either_way=_either_way(last, first),
        last_head=last.str.slice(0, 3),
        last_tail=last.str.slice(-4),
        last_sound="last_sound",
        first=first,
        nickname="nickname",
        first_head=first.str.slice(0, 3),
        first_sound="first_sound",
        first_initial=first.str.slice(0, 1),
        dob=born.dt.to_string("%Y-%m-%d"),
        dob_unordered=unordered,
        year_month=born.dt.to_string("%Y-%m"),
        year_day=born.dt.to_string("%Y//%d"),
        month_day=born.dt.to_string("%m-%d"),
        year="birth_year",
        middle_initial=pl.col("middle_name").str.slice(0, 1),
        address="address_line",
        house="house",
        zip="zip",
        phone="phone",
        ssn4="ssn4",
        suffix="suffix",
    )


def _either_way(last: pl.Expr, first: pl.Expr) -> pl.Expr:
    ordered = pl.when(last <= first).then(pl.concat_str(last, first, separator=" "))
    return ordered.otherwise(pl.concat_str(first, last, separator=" "))


def tokenise(identifiers: pa.Table, *, feed: str, keys: Keys) -> pa.Table:
    """Tokens of a person table.

    `identifiers` has `record_id` and columns named by identifier kind (text; `date_of_birth` a date);
    kinds that an agency does not give may be absent. Returns one row a record, columns `COLUMNS`, sorted
    by `record_id`; a token is null where one of its parts is missing.

    Raises: TerminalError `column_not_allowed` for a column that is no identifier kind.
    """
    unknown = sorted(set(identifiers.column_names) - {"record_id", *IDENTIFIER_KINDS})
    if unknown:
        raise TerminalError("column_not_allowed", f"columns {unknown} are no identifier kinds")
    frame = pl.DataFrame(pl.from_arrow(identifiers))
    values = parts(frame.drop("record_id"))
    marker = f"t{keys.version}.{fingerprint()}:"
    columns = {"record_id": frame.get_column("record_id")}
    columns["feed"] = pl.Series([feed] * frame.height, dtype=pl.String)
    for key in MATCH_KEYS:
        text = values.select(pl.concat_str(key.parts, separator=keyed.SEPARATOR)).to_series()
        purpose = f"token:link:{key.name}"
        columns[key.column] = keyed.hmac_column(text, keys.hmac_text_key(purpose), marker)
    columns[NYSID_COLUMN] = _nysid(frame, keys)
    table = pl.DataFrame({name: values.alias(name) for name, values in columns.items()})
    return keyed.to_arrow(table.sort("record_id"))


def _nysid(frame: pl.DataFrame, keys: Keys) -> pl.Series:
    if "nysid" not in frame.columns:
        return pl.Series([None] * frame.height, dtype=pl.String)
    values = normalise.nysid(frame.get_column("nysid"))
    return keyed.hmac_column(values, keys.hmac_text_key("token:nysid"), f"t{keys.version}:")


def shared_id_token(values: pa.Array | pa.ChunkedArray, kind: str, keys: Keys) -> pa.Array:
    """Tokens of an id that agencies quote to one another, equal in all feeds; null for null or blank.

    `kind` (a docket number, an arrest number) separates ids that happen to have the same text.
    """
    plain = keyed.by_distinct(keyed.to_series(values).cast(pl.String), normalise.shared_id)
    key = keys.hmac_text_key(f"token:{kind}")
    return keyed.to_array(keyed.hmac_column(plain, key, f"t{keys.version}:"))
