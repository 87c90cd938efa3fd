"""Identifiers made comparable: kind → normalised column.

Rules, in the order in which they act (`RULES` numbers them: a change makes new tokens):

- **Text**: Unicode NFKD, marks dropped (Peña → PENA, dotless ı → I), upper case, letters that have no
  decomposition spelled out (Ø → O, ß → SS), Cyrillic and Greek letters that look Latin folded to the
  Latin letter (they come from keyboards, not from names). Other scripts stay as they are.
- **Names**: apostrophes, hyphens, points and inner spaces dropped, so that O'Neil = ONEIL and
  De la Cruz = Delacruz: particles are joined, never dropped. A generational suffix is split from the
  surname (`suffix` wins where given). The given name is its first word of two letters or more.
- **Fill-ins are missing, not equal**: UNKNOWN, FNU, LNU, BABY BOY, John and Jane Doe, 1900-01-01 and
  every 1 January (its year is kept), ssn4 0000, telephone numbers of one digit, ZIP 00000. A person
  really born on 1 January loses birth-date keys; the thousands with an invented one do not meet.
  "Null", "None" and single letters are names.
- **Telephone**: last ten digits. **ZIP**: first five; a postal code of another country its letters and
  digits. **City**: letters. **Address**: house number and street without unit, direction or kind of
  street, since clerks differ in these. **Birth place, occupation**: words of letters, one blank between.

Every function takes and gives columns of equal length; null stays null.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from leadhub.foundation import cores
from leadhub.identity import addresses, nicknames
from leadhub.identity.coded import Coded
from leadhub.identity.texts import drop_matching, only_where, or_missing, text

#: raised with every change of a rule in this module, `texts` or `addresses`, or of the nickname classes
RULES = 3

# fmt: off
_NAME_FILL_INS = [
    "UNKNOWN", "UNK", "UNKN", "UNKNOWNNAME", "NOTKNOWN", "NOTGIVEN", "NOTPROVIDED", "NONAME",
    "NOFIRSTNAME", "NOLASTNAME", "FNU", "LNU", "REFUSED", "DECLINED", "ANONYMOUS", "BABY", "NEWBORN",
    "INFANT", "JOHNDOE", "JANEDOE",
]
# fmt: on
_NOBODY = {"DOE": ("JOHN", "JANE", "J"), "TEST": ("TEST", "TESTER", "PATIENT", "CLIENT")}
_SUFFIXES = {
    **dict.fromkeys(("JR", "JNR", "JUNIOR", "II", "2ND"), "JR"),
    **dict.fromkeys(("SR", "SNR", "SENIOR"), "SR"),
    **dict.fromkeys(("III", "3RD"), "III"),
    **dict.fromkeys(("IV", "4TH"), "IV"),
}
_SUFFIX_AT_END = r"[\s,]+(JR|JNR|JUNIOR|SR|SNR|SENIOR|II|III|IV|2ND|3RD|4TH)\.?\s*$"
_NOT_SPELLED = "UNKNOWN|UNK|NONE|N A|NA|NOT (?:KNOWN|GIVEN|PROVIDED|STATED)|REFUSED|DECLINED|OTHER"


def _letters(values: pl.Series) -> pl.Series:
    return or_missing(values.str.replace_all(r"[^\p{L}]", ""))


def _real_name(letters: pl.Series) -> pl.Series:
    """Null for fill-ins: listed words, and one letter three times or more."""
    frame = letters.alias("n").to_frame()
    name = pl.col("n")
    repeated = (name.str.len_chars() >= 3) & (name.str.strip_chars(name.str.slice(0, 1)) == "")
    fill_in = name.is_in(_NAME_FILL_INS) | name.str.contains("^BABY(BOY|GIRL)") | repeated
    return frame.select(pl.when(fill_in).then(None).otherwise(name)).to_series()


def last_name(values: pl.Series) -> pl.Series:
    plain = text(values).str.replace(_SUFFIX_AT_END, "").str.replace(r"^ST\.?\s+", "SAINT")
    return _real_name(_letters(plain))


def last_words(values: pl.Series) -> pl.Series:
    """The surname's words, where it has several of two letters or more, else the surname."""
    name, plain = last_name(values), text(values)
    several = ~plain.str.contains(r"^\p{L}{2,}$")
    words = only_where(several, plain, _words_of)
    return words.set(name.is_null(), None)


def _words_of(texts: pl.Series) -> pl.Series:
    plain = texts.str.replace(_SUFFIX_AT_END, "").str.replace_all(r"['’`.]", "")
    words = plain.str.replace_all(r"[^\p{L}]+", " ").str.replace_all(r"\b\p{L}\b", "")
    return or_missing(words.str.replace_all(r"\s+", " ").str.strip_chars())


def sex(values: pl.Series) -> pl.Series:
    """F or M; everything else is missing."""
    return text(values).str.extract(r"^([FM])(?:EMALE|ALE)?$", 1)


def first_name(values: pl.Series) -> pl.Series:
    plain = text(values)
    whole = _real_name(_letters(plain))
    word = _letters(plain.str.replace_all(r"['’`.\-]", "").str.extract(r"(\p{L}{2,})", 1))
    return pl.select(
        pl.when(whole.is_null()).then(None).otherwise(pl.coalesce(_real_name(word), whole))
    ).to_series()


def suffix(values: pl.Series) -> pl.Series:
    """JR, SR, III or IV; II counts as JR, since clerks use them alike."""
    plain = text(values).str.replace_all(r"[^A-Z0-9]", "")
    return plain.replace_strict(_SUFFIXES, default=None, return_dtype=pl.String)


def suffix_in_surname(values: pl.Series) -> pl.Series:
    return suffix(text(values).str.extract(_SUFFIX_AT_END, 1))


def nickname_class(first_names: pl.Series) -> pl.Series:
    """The class of a normalised given name; a name without nicknames is its own class."""
    return first_names.replace(nicknames.CLASS_OF)


def ssn4(values: pl.Series) -> pl.Series:
    digits = _digits(values).str.extract(r"(\d{4})$", 1)
    return digits.replace({"0000": None, "1111": None, "9999": None, "1234": None})


def phone(values: pl.Series) -> pl.Series:
    """Ten digits; null where an area code or exchange could not be one (NANP: neither begins 0 or 1)."""
    ten = only_where(~values.str.contains("^[0-9]*$"), values, _dialled).str.tail(10)
    fill_in = r"^(?:2{10}|3{10}|4{10}|5{10}|6{10}|7{10}|8{10}|9{10})$|0000000$"
    return drop_matching(ten.set(~ten.str.contains(r"^[2-9]\d{2}[2-9]\d{6}$"), None), fill_in)


def _dialled(values: pl.Series) -> pl.Series:
    return _digits(values.str.replace(r"(?i)\s*(?:x|ext).*$", ""))


def postal_code(values: pl.Series) -> pl.Series:
    """A ZIP code's first five digits; of other postal codes the letters and digits, three to ten."""
    plain = text(values).str.replace_all(r"[^A-Z0-9]", "")
    us = plain.str.extract(r"^(\d{5})(?:\d{4})?$", 1)
    other = plain.str.extract(r"^([A-Z0-9]{3,10})$", 1)
    code = pl.select(pl.coalesce(us, other)).to_series()
    return drop_matching(code, r"^(?:0+|9+|UNKNOWN|NONE|UNK)$")


def street_side(values: pl.Series) -> pl.Series:
    """A postal code that names one side of a street: ZIP+4, or a British, Canadian or Dutch code."""
    plain = text(values).str.replace_all(r"[^A-Z0-9]", "").str.extract(r"^(\d{9}|[A-Z0-9]{5,7})$", 1)
    return drop_matching(plain, r"^(?:\d{5,7}|[A-Z]+|\d{5}0000)$")


def city(values: pl.Series) -> pl.Series:
    letters = _letters(text(values).str.replace(r"^ST\.?\s+", "SAINT"))
    return drop_matching(letters, r"^(?:UNKNOWN|UNK|NONE|REFUSED|HOMELESS|TRANSIENT)$")


def spelled(values: pl.Series) -> pl.Series:
    """A place or an occupation: its words of letters."""
    words = text(values).str.replace_all(r"[^\p{L}]+", " ").str.strip_chars().replace("", None)
    return drop_matching(words, rf"^(?:{_NOT_SPELLED})$")


def nysid(values: pl.Series) -> pl.Series:
    """Eight digits and a letter, leading zeros restored; null for other shapes and for number zero."""
    plain = text(values).str.replace_all(r"[^A-Z0-9]", "")
    shaped = plain.str.extract(r"^(\d{7,8}[A-Z])$", 1).str.zfill(9)
    return drop_matching(shaped, r"^(?:0{8}|9{8})")


def birth_date(values: pl.Series) -> pl.Series:
    """Date; null for 1 January and from 2100."""
    default = (values.dt.month() == 1) & (values.dt.day() == 1)
    return values.set(default | (values.dt.year() >= 2100), None)


def birth_year(dates: pl.Series) -> pl.Series:
    """Year of a date; null for 1 January 1900 and 1901, which systems fill in."""
    fill_in = (dates.dt.ordinal_day() == 1) & dates.dt.year().is_in([1900, 1901])
    return _stated_year(dates.dt.year().set(fill_in, None).cast(pl.String))


def _stated_year(values: pl.Series) -> pl.Series:
    return values.str.extract(r"^\s*(1[0-9]{3}|20[0-9]{2})(?:\.0)?\s*$", 1)


def shared_id(values: pl.Series) -> pl.Series:
    """An id that agencies quote to one another: upper case, letters and digits alone."""
    return text(values).str.replace_all(r"[^A-Z0-9]", "").replace("", None)


def _digits(values: pl.Series) -> pl.Series:
    return values.str.replace_all(r"[^0-9]", "")


#: kind as given → what is made of its values
_MADE_OF: dict[str, dict[str, Callable[[pl.Series], pl.Series]]] = {
    "last_name": {
        "last_name": last_name,
        "last_words": last_words,
        "suffix_in_surname": suffix_in_surname,
    },
    "first_name": {"first_name": first_name},
    "middle_name": {"middle_name": first_name},
    "suffix": {"suffix": suffix},
    "date_of_birth": {"date_of_birth": birth_date, "year_of_birth": birth_year},
    "birth_year": {"birth_year": _stated_year},
    "sex": {"sex": sex},
    "ssn4": {"ssn4": ssn4},
    "phone": {"phone": phone},
    "zip": {"zip": postal_code, "street_side": street_side},
    "city": {"city": city},
    "nysid": {"nysid": nysid},
    "birth_place": {"birth_place": spelled},
    "occupation": {"occupation": spelled},
}


def coded(identifiers: pl.DataFrame) -> dict[str, Coded]:
    """Columns named by identifier kind → the same kinds normalised, each distinct value once; kinds not
    given have nothing.

    `date_of_birth` is a date and stays one, all others are text; `birth_year` is the date's, or as given.
    `last_words` and `street_side` are made from the surname and the postal code; `city_alone` is the city
    where there is no postal code. No error is possible: what cannot be read is missing.
    """

    def given(kind: str) -> Coded:
        dtype = pl.Date if kind == "date_of_birth" else pl.String
        if kind not in identifiers.columns:
            return Coded.nothing(identifiers.height, dtype)
        return Coded.of(identifiers.get_column(kind).cast(dtype))

    def made(kind: str) -> dict[str, Coded]:
        column = given(kind)
        return {name: column.map(rule) for name, rule in _MADE_OF[kind].items()}

    out = {name: c for columns in cores.each(made, _MADE_OF) for name, c in columns.items()}
    if "address_line" in identifiers.columns:
        out["address_line"] = addresses.coded(identifiers.get_column("address_line").cast(pl.String))
    else:
        out["address_line"] = Coded.nothing(identifiers.height)
    out["suffix"] = out["suffix"].otherwise(out.pop("suffix_in_surname"))
    out["city_alone"] = out["city"].without(out["zip"].codes != -1)
    out["birth_year"] = out.pop("year_of_birth").otherwise(out["birth_year"])
    nobody = _nobodies(out["last_name"], out["first_name"])
    return out | {name: out[name].without(nobody) for name in ("last_name", "first_name")}


def normalise(identifiers: pl.DataFrame) -> pl.DataFrame:
    """`coded` as a frame of plain columns."""
    return pl.DataFrame({kind: c.values().alias(kind) for kind, c in coded(identifiers).items()})


def _nobodies(last: Coded, first: Coded) -> np.ndarray:
    """Of each row, whether it is John Doe or Test Patient, who are nobody: both names missing."""
    return np.logical_or.reduce([last.among([s]) & first.among(given) for s, given in _NOBODY.items()])
