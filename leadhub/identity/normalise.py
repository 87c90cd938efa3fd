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

from concurrent.futures import ThreadPoolExecutor

import polars as pl

from leadhub.identity import keyed, nicknames

#: raised with every change of a rule in this module or of the nickname classes
RULES = 3
_THREADS = 2

_LETTERS = {
    **dict(zip("ØŁĐÐĦŊÞÆŒẞ", ("O", "L", "D", "D", "H", "N", "TH", "AE", "OE", "SS"))),
    **dict(zip("АВЕЅІЈКМНОРСТУХ", "ABESIJKMHOPCTYX")),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX")),
}
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
_STREET_KINDS = (
    "STREET|STR|ST|AVENUE|AVE|AV|ROAD|RD|DRIVE|DR|LANE|LN|COURT|CT|PLACE|PL|BOULEVARD|BLVD|TERRACE|TER|"
    "CIRCLE|CIR|PARKWAY|PKWY|HIGHWAY|HWY|SQUARE|SQ|WAY|TRAIL|TRL|TURNPIKE|TPKE|ALLEY|ALY"
)
_DIRECTIONS = "NORTH|SOUTH|EAST|WEST|NORTHEAST|NORTHWEST|SOUTHEAST|SOUTHWEST|N|S|E|W|NE|NW|SE|SW"
_UNIT = r"(?:\s*#|[\s,]+(?:APARTMENT|APT|UNIT|SUITE|STE|FLOOR|FLR|FL|ROOM|RM|LOT|TRLR|BLDG)\b).*$"
_NOT_SPELLED = "UNKNOWN|UNK|NONE|N A|NA|NOT (?:KNOWN|GIVEN|PROVIDED|STATED)|REFUSED|DECLINED|OTHER"
_NO_ADDRESS = "UNKNOWN|UNK|HOMELESS|UNDOMICILED|TRANSIENT|NO FIXED|NO ADDRESS|GENERAL DELIVERY|NONE|REFUSED"


def text(values: pl.Series) -> pl.Series:
    """Upper case, no marks, look-alikes folded; blanks around dropped, empty is null."""
    folded = (
        values.str.normalize("NFKD")
        .str.replace_all(r"\p{M}", "")
        .str.to_uppercase()
        .str.replace_many(list(_LETTERS), list(_LETTERS.values()))
        .str.strip_chars()
    )
    return folded.replace("", None)


def _letters(values: pl.Series) -> pl.Series:
    return values.str.replace_all(r"[^\p{L}]", "").replace("", None)


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
    plain = text(values).str.replace(_SUFFIX_AT_END, "").str.replace_all(r"['’`.]", "")
    words = plain.str.replace_all(r"[^\p{L}]+", " ").str.replace_all(r"\b\p{L}\b", "")
    words = words.str.replace_all(r"\s+", " ").str.strip_chars()
    return pl.select(pl.when(last_name(values).is_not_null()).then(words.replace("", None))).to_series()


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
    ten = _digits(values.str.replace(r"(?i)\s*(?:x|ext).*$", "")).str.extract(r"([2-9]\d{2}[2-9]\d{6})$", 1)
    fill_in = r"^(?:2{10}|3{10}|4{10}|5{10}|6{10}|7{10}|8{10}|9{10})$|0000000$"
    return _drop_matching(ten, fill_in)


def postal_code(values: pl.Series) -> pl.Series:
    """A ZIP code's first five digits; of other postal codes the letters and digits, three to ten."""
    plain = text(values).str.replace_all(r"[^A-Z0-9]", "")
    us = plain.str.extract(r"^(\d{5})(?:\d{4})?$", 1)
    other = plain.str.extract(r"^([A-Z0-9]{3,10})$", 1)
    code = pl.select(pl.coalesce(us, other)).to_series()
    return _drop_matching(code, r"^(?:0+|9+|UNKNOWN|NONE|UNK)$")


def street_side(values: pl.Series) -> pl.Series:
    """A postal code that names one side of a street: ZIP+4, or a British, Canadian or Dutch code."""
    plain = text(values).str.replace_all(r"[^A-Z0-9]", "").str.extract(r"^(\d{9}|[A-Z0-9]{5,7})$", 1)
    return _drop_matching(plain, r"^(?:\d{5,7}|[A-Z]+|\d{5}0000)$")


def city(values: pl.Series) -> pl.Series:
    letters = _letters(text(values).str.replace(r"^ST\.?\s+", "SAINT"))
    return _drop_matching(letters, r"^(?:UNKNOWN|UNK|NONE|REFUSED|HOMELESS|TRANSIENT)$")


def spelled(values: pl.Series) -> pl.Series:
    """A place or an occupation: its words of letters."""
    words = text(values).str.replace_all(r"[^\p{L}]+", " ").str.strip_chars().replace("", None)
    return _drop_matching(words, rf"^(?:{_NOT_SPELLED})$")


def nysid(values: pl.Series) -> pl.Series:
    """Eight digits and a letter, leading zeros restored; null for other shapes and for number zero."""
    plain = text(values).str.replace_all(r"[^A-Z0-9]", "")
    shaped = plain.str.extract(r"^(\d{7,8}[A-Z])$", 1).str.zfill(9)
    return _drop_matching(shaped, r"^(?:0{8}|9{8})")


def address(values: pl.Series) -> pl.Series:
    """`<house number> <street>`, or the street alone; null for "homeless", "unknown" and their like."""
    before = rf"^(\d+[A-Z]?)?\s*((?:{_DIRECTIONS})\s+)?"
    after = rf"(\s+(?:{_STREET_KINDS}))?(\s+(?:{_DIRECTIONS}))?$"
    plain = (
        text(values)
        .str.replace(_UNIT, "")
        .str.replace_all(r"[^\p{L}\p{N}]+", " ")
        .str.strip_chars()
        .str.replace(f"{before}(.*?){after}", "$1 $3")
        .str.replace(r" (\d+)(?:ST|ND|RD|TH)$", " $1")
        .str.strip_chars()
    )
    return _drop_matching(plain, rf"^(?:{_NO_ADDRESS})|^[0-9A-Z]?$").replace("", None)


def house_number(addresses: pl.Series) -> pl.Series:
    """House number of a normalised address."""
    return addresses.str.extract(r"^(\d+[A-Z]?) ", 1).str.replace(r"^0+", "").replace("", None)


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


def soundex(letters: pl.Series) -> pl.Series:
    """American Soundex as the US National Archives state it: H and W do not part equal codes.

    Null for names without Latin letters.
    """
    codes = {}
    for code, members in zip("1234567", ("BFPV", "CGJKQSXZ", "DT", "L", "MN", "R", "AEIOUY")):
        codes.update(dict.fromkeys(members, code))
    latin = letters.str.replace_all(r"[^A-Z]", "").replace("", None)
    first = latin.str.slice(0, 1)
    # a leading H or W has no code, yet its place must stay
    coded = latin.str.replace(r"^[HW]", "7").str.replace_all(r"[HW]", "")
    coded = coded.str.replace_many(list(codes), list(codes.values()))
    for code in "123456":
        coded = coded.str.replace_all(f"{code}+", code)
    return first + (coded.str.slice(1).str.replace_all("7", "") + "000").str.slice(0, 3)


def _digits(values: pl.Series) -> pl.Series:
    return values.str.replace_all(r"[^0-9]", "")


def _drop_matching(values: pl.Series, pattern: str) -> pl.Series:
    return values.set(values.str.contains(pattern), None)


_BY_KIND = {
    "first_name": first_name,
    "middle_name": first_name,
    "ssn4": ssn4,
    "phone": phone,
    "zip": postal_code,
    "city": city,
    "nysid": nysid,
    "address_line": address,
    "sex": sex,
    "birth_place": spelled,
    "occupation": spelled,
}


def normalise(identifiers: pl.DataFrame) -> pl.DataFrame:
    """Columns named by identifier kind → the same kinds normalised; kinds not given are null.

    `date_of_birth` is a date and stays one, all others are text; `birth_year` is the date's, or as given.
    `sex` is not used: half of all strangers agree on it, and agencies record it differently for the people
    whom that would hurt. No error is possible: what cannot be read is missing.
    """
    given = {name: identifiers.get_column(name) for name in identifiers.columns}
    empty = pl.Series("empty", [None] * identifiers.height, dtype=pl.String)
    with ThreadPoolExecutor(_THREADS) as pool:
        made = pool.map(lambda kind: keyed.by_distinct(given.get(kind, empty), _BY_KIND[kind]), _BY_KIND)
        out = dict(zip(_BY_KIND, made))
    surname = given.get("last_name", empty)
    out["street_side"] = keyed.by_distinct(given.get("zip", empty), street_side)
    out["last_name"] = keyed.by_distinct(surname, last_name)
    out["last_words"] = keyed.by_distinct(surname, last_words)
    stated = keyed.by_distinct(given.get("suffix", empty), suffix)
    split = keyed.by_distinct(surname, suffix_in_surname)
    born = given.get("date_of_birth", empty.cast(pl.Date)).cast(pl.Date)
    out["date_of_birth"] = keyed.by_distinct(born, birth_date)
    year = keyed.by_distinct(given.get("birth_year", empty).cast(pl.String), _stated_year)
    out["birth_year"] = pl.select(pl.coalesce(keyed.by_distinct(born, birth_year), year)).to_series()
    frame = pl.DataFrame({k: v.alias(k) for k, v in out.items()})
    frame = frame.with_columns(suffix=pl.coalesce(stated, split))
    return _without_nobodies(frame)


def _without_nobodies(frame: pl.DataFrame) -> pl.DataFrame:
    """John Doe and Test Patient are nobody: both names missing."""
    nobody = pl.lit(value=False)
    for surname, given in _NOBODY.items():
        nobody = nobody | ((pl.col("last_name") == surname) & pl.col("first_name").is_in(given))
    names = ("last_name", "first_name")
    return frame.with_columns(pl.when(nobody).then(None).otherwise(pl.col(n)).alias(n) for n in names)
