"""OPPRL tokens are those of the protocol's reference, both ways: beside spindle-token 2.4.2 itself."""

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leadhub.identity import opprl
from tests.identity.opprl_protocol import OURS, pem, people, public_pem


def test_tokens_equal_the_packages(reference):
    made = opprl.tokenise(people(), OURS)
    assert made.equals(reference.tokenise(people(), OURS))
    # few are missing, else the comparison would say little
    assert all(made[token].null_count < 90 for token in opprl.TOKENS)


def test_what_the_package_sends_arrives(reference, theirs):
    sent = reference.out(reference.tokenise(people(60), theirs), theirs, OURS)
    assert opprl.from_partner(sent, OURS).equals(opprl.tokenise(people(60), OURS))


def test_what_is_sent_arrives_in_the_package(reference, theirs):
    sent = opprl.to_partner(opprl.tokenise(people(60), OURS), pem(OURS), public_pem(theirs))
    assert reference.back(sent, theirs).equals(reference.tokenise(people(60), theirs))


@settings(max_examples=300, deadline=None)
@given(st.text("AEIOUYCGHKNPSTXWMBD ZR", min_size=1, max_size=9).map(lambda s: " ".join(s.split())))
def test_metaphone_equals_the_packages_library(name):
    import jellyfish

    assert opprl._metaphone(name) == jellyfish.metaphone(name)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("0123456789 +-().x#/", max_size=9), max_size=10))
@example(["#..0"])
def test_a_telephone_number_is_the_packages_or_missing(pieces):
    import phonenumbers

    numbers = ("7165550134", "716-555-0134", "555 0134")
    texts = [text for piece in pieces for n in numbers for text in (piece, piece + n, n + piece)]
    for text, made in zip(texts, opprl._phone(pl.Series(texts, dtype=pl.String))):
        if made is not None:
            parsed = phonenumbers.parse(text, "US")
            assert phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == made
