"""Files of people, as somebody has them → identifier tables: for `leadhub linkage evaluate` and `tokenise`.

Every value is read as text. Dates are read in the form that fits most of a column; a date that cannot be
(30 February) is missing, and its year, where one stands there, is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import IDENTIFIER_KINDS

#: what columns are often called; the kind's own name comes first
USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "last_name": ("surname", "lastname", "last", "sn", "family_name"),
    "first_name": ("given_name", "firstname", "first", "fn", "forename"),
    "middle_name": ("middlename", "middle", "mn", "middle_initial"),
    "suffix": ("name_suffix", "generation"),
    "date_of_birth": ("dob", "birth_date", "birthdate", "date_birth"),
    "birth_year": ("year_of_birth", "yob", "byear"),
    "sex": ("gender", "sex_code"),
    "ssn4": ("ssn", "ssn_last4"),
    "phone": ("phone_number", "telephone", "tel"),
    "address_line": ("address", "street", "street_address", "address_1", "res_street_address"),
    "city": ("town", "suburb", "city_name", "municipality"),
    "zip": ("postcode", "zip_code", "zipcode", "postal_code"),
    "birth_place": ("birthplace", "place_of_birth", "pob"),
    "occupation": ("job", "profession"),
    "nysid": (),
}
_DATE_FORMS = ("%Y-%m-%d", "%Y%m%d", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d.%m.%Y", "%m-%d-%Y", "%d%b%Y")


@dataclass(frozen=True)
class Source:
    """One file's records: `identifiers` has record_id and columns named by identifier kind; `others` are
    the file's own columns that were mapped or to be kept, in the same order."""

    name: str
    identifiers: pl.DataFrame
    others: pl.DataFrame


def parse_map(entries: list[str]) -> dict[str, list[str]]:
    """Kind → columns, from `kind=column`, comma-separated or repeated; `kind=one+other` joins columns by a
    blank. An entry that names an existing YAML or JSON file is read from there.

    Raises: TerminalError `linkage_input_invalid`.
    """
    found: dict[str, list[str]] = {}
    for entry in (part for e in entries for part in e.split(",") if part.strip()):
        path = Path(entry)
        if "=" not in entry and path.suffix in (".json", ".yaml", ".yml"):
            pairs = [(str(k), str(v)) for k, v in _mapping_file(path).items()]
        else:
            kind, _, column = entry.partition("=")
            pairs = [(kind.strip(), column.strip())]
        for kind, column in pairs:
            if kind not in IDENTIFIER_KINDS and column in IDENTIFIER_KINDS:
                kind, column = column, kind
            if kind not in IDENTIFIER_KINDS or not column:
                raise TerminalError(
                    "linkage_input_invalid",
                    f"--map [{entry}]: write kind=column; the kinds are {', '.join(IDENTIFIER_KINDS)}",
                )
            found[kind] = column.split("+")
    return found


def _mapping_file(path: Path) -> dict[str, str]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        found = None
    if not isinstance(found, dict):
        raise TerminalError("linkage_input_invalid", f"[{path.name}] is no mapping of kinds to columns")
    return found


def read(
    path: Path, mapping: dict[str, list[str]], *, keep: list[str], prefix: str, also: tuple[str, ...] = ()
) -> Source:
    """A CSV or Parquet file. Without `mapping`, columns are recognised by their usual names. `keep` are
    columns that must be there besides; `also` are kept where they are there.

    Raises: TerminalError `linkage_input_invalid` that names file and column.
    """
    frame = _read_text(path)
    mapping = mapping or _guessed(frame.columns, set(keep))
    wanted = [*keep, *(c for columns in mapping.values() for c in columns)]
    absent = sorted(set(wanted) - set(frame.columns))
    if absent:
        raise TerminalError(
            "linkage_input_invalid",
            # its own are not told: where the header is missing, they are somebody's data
            f"[{path.name}]: its header names no columns {absent}; see --map",
        )
    if not mapping:
        raise TerminalError(
            "linkage_input_invalid",
            f"[{path.name}]: no column has a usual name; say --map kind=column, for instance "
            "--map last_name=surname",
        )
    columns = [_named(frame, kind, names) for kind, names in mapping.items() if kind != "date_of_birth"]
    if "date_of_birth" in mapping:
        columns += _born(
            frame.get_column(mapping["date_of_birth"][0]), with_year="birth_year" not in mapping
        )
    ids = pl.format("{}{}", pl.lit(prefix), pl.int_range(frame.height).cast(pl.String).str.zfill(9))
    identifiers = frame.select(ids.alias("record_id")).hstack(columns)
    kept = [c for c in frame.columns if c in {*wanted, *also}]
    return Source(path.name, identifiers, frame.select(kept))


def _read_text(path: Path) -> pl.DataFrame:
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pl.read_parquet(path)
        else:
            frame = pl.read_csv(path, infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=True)
    except FileNotFoundError:
        raise TerminalError("linkage_input_invalid", f"[{path.name}] is missing") from None
    except (pl.exceptions.PolarsError, OSError):
        raise TerminalError(
            "linkage_input_invalid", f"[{path.name}] cannot be read as CSV with a header line, or Parquet"
        ) from None
    text = frame.select(pl.all().cast(pl.String))
    # a number column with gaps comes as 4500.0
    return text.select(pl.all().str.strip_chars().str.replace(r"^(\d+)\.0$", "$1").replace("", None))


def _guessed(columns: list[str], taken: set[str]) -> dict[str, list[str]]:
    by_name = {c.strip().lower(): c for c in reversed(columns) if c not in taken}
    found = {}
    for kind, usual in USUAL_NAMES.items():
        name = next((by_name[n] for n in (kind, *usual) if n in by_name), None)
        if name:
            found[kind] = [name]
    return found


def _named(frame: pl.DataFrame, kind: str, names: list[str]) -> pl.Series:
    joined = pl.concat_str(names, separator=" ", ignore_nulls=True).str.strip_chars().replace("", None)
    return frame.select(joined.alias(kind)).to_series()


def _born(values: pl.Series, *, with_year: bool) -> list[pl.Series]:
    digits = values.str.replace(r"[T ]\d{2}:\d{2}.*$", "")
    read = (digits.str.to_date(form, strict=False) for form in _DATE_FORMS)
    dates = min(read, key=lambda d: d.null_count())
    made = [dates.alias("date_of_birth")]
    if with_year:
        year = pl.coalesce(pl.col("d").str.extract(r"^(\d{4})", 1), pl.col("d").str.extract(r"(\d{4})$", 1))
        made.append(digits.alias("d").to_frame().select(year.alias("birth_year")).to_series())
    return made
