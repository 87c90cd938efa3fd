"""Clear-text columns as a careful Splink user prepares them: cleaned, and derived for levels and blocks."""

from __future__ import annotations

import jellyfish
import polars as pl

STREET_WORDS = (
    "street st avenue ave road rd drive dr lane ln court ct boulevard blvd place pl way circle cir "
    "crescent close terrace"
    " circuit parade n s e w north south east west"
)
UNIT = r"\b(?:apt|unit|flat|ste|suite|no)\b.*$|#.*$"
ROW = "unique_id"


def cleaned(table: pl.DataFrame) -> pl.DataFrame:
    """Lower case, letters and digits (names and addresses keep single blanks), row numbers as ids."""
    texts = [c for c in table.columns if c not in ("record", "truth")]
    return table.select(pl.int_range(pl.len(), dtype=pl.Int32).alias(ROW), *(_text(c) for c in texts))


def derived(table: pl.DataFrame) -> pl.DataFrame:
    """The cleaned table with what the tuned model compares and blocks on besides."""
    has = set(table.columns)
    new: list[pl.Expr] = []
    for name in ("last_name", "first_name"):
        table = table.with_columns(_sound(table[name]).alias(name.replace("_name", "_sound")))
    new.append(_parts("last_name").alias("last_parts"))
    if "date_of_birth" in has:
        new += [
            pl.col("date_of_birth").str.slice(0, 4).alias("birth_year"),
            pl.col("date_of_birth").str.slice(5, 5).alias("birth_day"),  # mm-dd
            pl.format(
                "{}-{}", pl.col("date_of_birth").str.slice(8, 2), pl.col("date_of_birth").str.slice(5, 2)
            ).alias("birth_day_swapped"),
        ]
    if "address_line" in has:
        new += [_number().alias("house_number"), _street().alias("street")]
    if "zip" in has:
        two_parts = pl.col("zip").str.contains(" ")
        area = (
            pl.when(two_parts)
            .then(pl.col("zip").str.extract(r"^(\S+)"))
            .otherwise(pl.col("zip").str.slice(0, 3))
        )
        new.append(area.alias("zip_area"))
    return table.with_columns(new)


def _text(name: str) -> pl.Expr:
    text = pl.col(name).str.to_lowercase()
    if name in ("date_of_birth", "birth_year"):
        return text
    keep = r"[^a-z0-9# ]" if name.startswith("address") else r"[^a-z0-9 ]"
    text = (
        text.str.replace_all("'", "")
        .str.replace_all(keep, " ")
        .str.replace_all(r"\s+", " ")
        .str.strip_chars()
    )
    return pl.when(text != "").then(text).alias(name)


def _sound(column: pl.Series) -> pl.Series:
    """Metaphone of each distinct value."""
    values = column.drop_nulls().unique()
    codes = pl.Series([jellyfish.metaphone(value) or value for value in values.to_list()], dtype=pl.String)
    return column.replace_strict(values, codes, default=None, return_dtype=pl.String)


def _parts(name: str) -> pl.Expr:
    """The words of a double name, else null: most names have one word, and lists are slow."""
    return pl.when(pl.col(name).str.contains(" ")).then(pl.col(name).str.split(" "))


def _number() -> pl.Expr:
    return pl.col("address_line").str.extract(r"^(\d+)\b")


def _street() -> pl.Expr:
    words = "|".join(STREET_WORDS.split())
    bare = (
        pl.col("address_line")
        .str.replace(r"^\d+\s*", "")
        .str.replace(UNIT, "")
        .str.replace_all(rf"\b(?:{words})\b", " ")
        .str.replace_all(r"\s+", " ")
        .str.strip_chars()
    )
    return pl.when(bare != "").then(bare)
