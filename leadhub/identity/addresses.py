"""Addresses made comparable: house number and street, without unit, direction or kind of street."""

from __future__ import annotations

import numpy as np
import polars as pl

from leadhub.identity.coded import Coded
from leadhub.identity.texts import drop_matching, text

_STREET_KINDS = (
    "STREET|STR|ST|AVENUE|AVE|AV|ROAD|RD|DRIVE|DR|LANE|LN|COURT|CT|PLACE|PL|BOULEVARD|BLVD|TERRACE|TER|"
    "CIRCLE|CIR|PARKWAY|PKWY|HIGHWAY|HWY|SQUARE|SQ|WAY|TRAIL|TRL|TURNPIKE|TPKE|ALLEY|ALY"
)
_DIRECTIONS = "NORTH|SOUTH|EAST|WEST|NORTHEAST|NORTHWEST|SOUTHEAST|SOUTHWEST|N|S|E|W|NE|NW|SE|SW"
_STREET_END = rf"(?:\s+(?:{_STREET_KINDS}))?(?:\s+(?:{_DIRECTIONS}))?$"
#: what is neither letter, digit nor a blank alone
_NOT_ONE_BLANK = r"[^\p{L}\p{N} ][^\p{L}\p{N}]*| [^\p{L}\p{N}]+"
_UNIT = r"(?:\s*#|[\s,]+(?:APARTMENT|APT|UNIT|SUITE|STE|FLOOR|FLR|FL|ROOM|RM|LOT|TRLR|BLDG)\b).*$"
_NO_ADDRESS = "UNKNOWN|UNK|HOMELESS|UNDOMICILED|TRANSIENT|NO FIXED|NO ADDRESS|GENERAL DELIVERY|NONE|REFUSED"


def address(values: pl.Series) -> pl.Series:
    """`<house number> <street>`, or the street alone; null for "homeless", "unknown" and their like."""
    # no pattern captures: that takes ten times as long
    line = text(values).str.replace(_UNIT, "").str.replace_all(_NOT_ONE_BLANK, " ").str.strip_chars()
    rest = line.str.replace(r"^\d+[A-Z]?\s*", "")
    street = rest.str.replace(rf"^(?:{_DIRECTIONS})\s+", "").str.replace(_STREET_END, "")
    parts = pl.DataFrame({"line": line, "rest": rest, "street": street})
    number = pl.col("line").str.strip_suffix(pl.col("rest")).str.strip_chars()
    # 5TH, which is also written 5
    ordinal = pl.col("street").str.contains(r"(?:^| )\d+(?:ST|ND|RD|TH)$")
    name = pl.when(ordinal).then(pl.col("street").str.head(-2)).otherwise(pl.col("street"))
    plain = parts.select(pl.concat_str(number, name, separator=" ").str.strip_chars()).to_series()
    return drop_matching(plain, rf"^(?:{_NO_ADDRESS})|^[0-9A-Z]?$")


def coded(values: pl.Series) -> Coded:
    """`address` of a column. Many addresses are of one street, so a street is normalised once, whatever the
    house number; `once` may hold nulls."""
    line = pl.col("line")
    # begins with a blank where a number stood before it
    lines = values.alias("line").to_frame().select(line.str.strip_chars())
    rest = lines.with_columns(rest=line.str.replace("^[0-9]+[A-Za-z]? ", " "))
    number = rest.select(line.str.strip_suffix(pl.col("rest")).str.to_uppercase()).to_series()
    numbers, streets = Coded.of(number), Coded.of(rest.get_column("rest")).map(_street)
    pair = pl.Series(streets.codes * len(numbers.once) + numbers.codes)
    pairs = Coded.of(pair.set(pl.Series(streets.codes == -1), None))
    street, number_of = np.divmod(pairs.once.to_numpy(), max(1, len(numbers.once)))
    made = numbers.once.gather(number_of) + streets.once.gather(street)
    # a single figure is no address
    return Coded(pairs.codes, made.set(made.str.len_bytes() == 1, None))


def _street(rest: pl.Series) -> pl.Series:
    """What stands after a house number, from the blank on; empty where nothing does. Where no number stood
    before it, the address."""
    line = pl.col("line")
    numbered = line.str.starts_with(" ")
    # any number does
    lines = rest.alias("line").to_frame().select(pl.when(numbered).then(pl.lit("0") + line).otherwise(line))
    made = pl.DataFrame({"line": rest, "made": address(lines.to_series())})
    street = pl.col("made").str.strip_prefix("0").fill_null("")
    return made.select(pl.when(numbered).then(street).otherwise("made")).to_series()


def house_number(addresses: pl.Series) -> pl.Series:
    """House number of a normalised address."""
    return addresses.str.extract(r"^(\d+[A-Z]?) ", 1).str.replace(r"^0+", "").replace("", None)
