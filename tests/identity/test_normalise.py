"""Clerks write one name in many ways; equal people must come out equal, fill-ins must come out missing."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.identity import addresses, keyed, letters, normalise
from leadhub.identity.nicknames import CLASS_OF


def one(rule, value):
    return rule(pl.Series([value], dtype=pl.String)).to_list()[0]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("O'Neil", "ONEIL"),
        ("O’Neil", "ONEIL"),
        ("De la Cruz", "DELACRUZ"),
        ("Smith-Jones", "SMITHJONES"),
        ("SMITH JONES", "SMITHJONES"),
        ("Peña", "PENA"),
        ("Pen\u0303a", "PENA"),
        ("Işık", "ISIK"),
        ("Søren", "SOREN"),
        ("Weiß", "WEISS"),
        ("St. John", "SAINTJOHN"),
        ("Smith Jr.", "SMITH"),
        ("Smith, III", "SMITH"),
        ("\u0421mith", "CMITH"),  # Cyrillic Es
        ("Null", "NULL"),
        ("None", "NONE"),
        ("X", "X"),
        ("Doe", "DOE"),
        ("UNKNOWN", None),
        ("lnu", None),
        ("XXX", None),
        ("  ", None),
        ("123", None),
        (None, None),
    ],
)
def test_surnames(written, meant):
    assert one(normalise.last_name, written) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Mary Ann", "MARY"),
        ("Anne-Marie", "ANNEMARIE"),
        ("J. R.", "JR"),
        ("J", "J"),
        ("D'Angelo", "DANGELO"),
        ("Baby Boy", None),
        ("BABY GIRL B", None),
        ("unknown", None),
    ],
)
def test_given_names(written, meant):
    assert one(normalise.first_name, written) == meant


@pytest.mark.parametrize(
    ("rule", "written", "meant"),
    [
        (normalise.phone, "(716) 555-0134", "7165550134"),
        (normalise.phone, "+1 716.555.0134 ext 12", "7165550134"),
        (normalise.phone, "5555555555", None),
        (normalise.phone, "555-0134", None),
        (normalise.phone, "0165550134", None),
        (normalise.ssn4, "0000", None),
        (normalise.ssn4, "0420", "0420"),
        (normalise.postal_code, "14201-3345", "14201"),
        (normalise.postal_code, "00000", None),
        (normalise.street_side, "14201-3345", "142013345"),
        (normalise.street_side, "14201-0000", None),
        (normalise.street_side, "14201", None),
        (normalise.street_side, "tq13 8df", "TQ138DF"),
        (normalise.street_side, "Buffalo", None),
        (normalise.spelled, " Stoke-upon-Trent ", "STOKE UPON TRENT"),
        (normalise.spelled, "Český Dub", "CESKY DUB"),
        (normalise.spelled, "Not known", None),
        (normalise.spelled, "12", None),
        (normalise.nysid, "1234567a", "01234567A"),
        (normalise.nysid, "01234567-A", "01234567A"),
        (normalise.nysid, "00000000Z", None),
        (normalise.suffix, "Junior", "JR"),
        (normalise.suffix_in_surname, "Smith, Sr.", "SR"),
        (normalise.suffix_in_surname, "Junior", None),
        (addresses.address, "12 N. Main St. Apt 3", "12 MAIN"),
        (addresses.address, "12 MAIN STREET", "12 MAIN"),
        (addresses.address, "45 5th Ave", "45 5"),
        (addresses.address, "7 Broadway #2", "7 BROADWAY"),
        (addresses.address, "Homeless", None),
        (addresses.house_number, "0012 MAIN", "12"),
        (normalise.shared_id, " ab-12/3 ", "AB123"),
        (normalise.shared_id, "--", None),
    ],
)
def test_other_kinds(rule, written, meant):
    assert one(rule, written) == meant


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ROBERT", "R163"),
        ("RUPERT", "R163"),
        ("ASHCRAFT", "A261"),
        ("TYMCZAK", "T522"),
        ("PFISTER", "P236"),
        ("HONEYMAN", "H555"),
        ("GUTIERREZ", "G362"),
        ("VANDEUSEN", "V532"),
        ("LEE", "L000"),
        ("李", None),
    ],
)
def test_soundex_as_the_national_archives_state_it(name, code):
    assert one(letters.soundex, name) == code


def test_fill_in_dates_are_missing_and_1_january_keeps_its_year():
    days = [date(1900, 1, 1), date(1980, 1, 1), date(1980, 2, 1), date(9999, 12, 31), None]
    series = pl.Series(days, dtype=pl.Date)
    assert normalise.birth_date(series).to_list() == [None, None, date(1980, 2, 1), None, None]
    assert normalise.birth_year(series).to_list() == [None, "1980", "1980", None, None]


def test_john_doe_is_nobody_and_a_stated_suffix_wins():
    frame = normalise.normalise(
        pl.DataFrame(
            {
                "last_name": ["Doe", "Doe", "Roe Jr"],
                "first_name": ["John", "Maria", "Al"],
                "suffix": [None, None, "Sr"],
            }
        )
    )
    assert frame["last_name"].to_list() == [None, "DOE", "ROE"]
    assert frame["suffix"].to_list() == [None, None, "SR"]
    assert frame["date_of_birth"].null_count() == 3


def test_a_nickname_stands_in_one_class_and_a_class_is_its_own_class():
    assert all(CLASS_OF[name] == name for name in CLASS_OF.values())
    assert one(normalise.nickname_class, "BILL") == one(normalise.nickname_class, "WILLIAM")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=8))
def test_names_survive_normalising_twice_and_hold_letters_alone(values):
    series = pl.Series(values, dtype=pl.String)
    once = normalise.last_name(series)
    assert normalise.last_name(once).to_list() == once.to_list()
    assert all(v is None or v.isalpha() or not v.isascii() for v in once.to_list())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", None]), max_size=40))
def test_by_distinct_changes_no_result(values):
    series = pl.Series("v", values, dtype=pl.String)
    assert keyed.by_distinct(series, lambda s: s + "!").to_list() == (series + "!").to_list()


_LINES = st.lists(
    st.sampled_from(
        [
            "12",
            "5",
            "5b",
            "12BC",
            "0",
            "N",
            "St",
            "MAIN",
            "5TH",
            "apt 3",
            "#4",
            "-",
            ", ",
            "\t",
            "é",
            "٣",
            "NONE",
        ]
    ),
    max_size=5,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(_LINES, st.sampled_from([" ", ""])), max_size=12))
def test_a_street_normalised_once_gives_each_address_as_normalised_by_itself(written):
    lines = pl.Series([separator.join(words) for words, separator in written], dtype=pl.String)
    assert addresses.coded(lines).values().to_list() == addresses.address(lines).to_list()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text("ABÉ王😀", min_size=1, max_size=7)), max_size=6))
def test_a_name_stands_before_itself_without_each_of_its_letters_from_the_last_to_the_first(names):
    counts, texts = letters.without_each(pl.Series(names, dtype=pl.String))
    meant = [
        [] if n is None else [n] + [n[:i] + n[i + 1 :] for i in reversed(range(len(n))) if len(n) >= 4]
        for n in names
    ]
    assert texts.to_list() == [text for several in meant for text in several]
    assert counts.tolist() == [len(several) for several in meant]


def test_a_city_stands_alone_where_no_postal_code_is_told():
    told = pl.DataFrame({"city": ["Buffalo", "Buffalo", None], "zip": ["14201", None, None]})
    found = normalise.normalise(told).select("city", "city_alone").rows()
    assert found == [("BUFFALO", None), ("BUFFALO", "BUFFALO"), (None, None)]
