"""OPPRL tokens by answers pinned from the protocol's reference; bad input is missing, a bad key refused."""

import base64
import hashlib
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation.errors import TerminalError
from leadhub.identity import opprl
from tests.identity.opprl_protocol import FELICIA, KINDS, OURS, pem, people, public_pem, table

#: of `FELICIA` and of all `people()`, made by spindle-token 2.4.2 on pyspark 4.1.4 with the key `OURS`
PINNED = """
wLTQbmzi4TsLjivYmoWUxVoU37IebRIFENt2zKIus0hYaBJQHjrKxW3zZ4RYoCwswY2ENq5B0TsQg4fec7sfhDd/WD5Q1p/4AkucuTlidSQ=
UbrfJo1ZlrT4jKYZYkVO2jb/17fBa/6bqu1tfksGuKlkD6nl/DgBYqtGI1HxWF0wRaI0PsC4bOnLaeF1jETcG33l7MGAQoeTlVRDuOS6PsY=
vlZiIBy4VsjKxsd1YMqW49eHNh2kp9JEZVMSQBr89sgukVcCOQd5KkiDsXuaseX3q5vit8GGPAv0MNm9gmVw01IR2Q7Q49CgxtV9k/3c9Ao=
V69PyjTDy9H83bSryldx8gZTbC0VXw/wUyyDFiBXHOjkg3st6j8EgAVua0lmvBbzAj+ZLrLjCRYj/gwLjixJb4Xsv6iXpQzp2GfyKYMcmwI=
4mHL481dcCfRbn6N2FmDVLuZntG8h/B7u1bPLIxKkNNKA/NxMnEgRkA4V05ueqtvwuPj6gLAlhpz+sAv+A8a9Fz2kkcuBoUyxwONvoBCNo8=
RGknw1pyyYtOVreNQHefWyoUf9maWsgJEkPpfL0rzO6dmdO9+Z5PtsBI4Gk4tasMxceFQhjX6cmLgiu/BiwAPz9ldjvvp64lRAPGOphWyvI=
ccBWuolA22EhWiD869hkSRdLsKLeHVv+tHXz97mnalv0bOur1comGJIVP1nd0Mu8yxy272BKiFCYhlWGv1vA4icRa015Vsl9vOHtPcB3kGo=
jHPDKVXM82/vZENQLcw7XfSqS/VBdTkF/lSdkcb09ykfpnDpW06ugcCxXd6d7RukasXNY1/7gZJgmCXNKVGGH2M1pG9pxtXjUp7hSUAX9YA=
"""
FELICIAS_TOKENS = dict(zip(opprl.TOKENS, PINNED.split()))
PEOPLES_TOKENS = "a791408e8e325362d88c8c6daaf5580ff47e9570dea3a588188c24f72d4df88f"
#: of FELICIA's token 1, made ephemeral for `OURS` by the package from another key's tokens
EPHEMERAL = (
    "QZaWvHSJaFM/j+/ZkRW0sa3yd2jPg3cRvmEjGfTtkkGp+z33gdM2wIOjW2RhY74TLc8EPL4/o/Hn7oFSU6JONw"
    "Crysx26zTjpXesOZbx5Q/XaSA3XlUk3iJiuZ/W7vZiq6jwCAr7+CmTCoKvoNjx13tJ3EOnaDoJytuvv5cAzxOF"
    "wYbuxzaGyKpSJ100uRURu8emcoj0ygUCRKTsUFnQo1z0JlfYAuzSigV2ZAIckZg1bQzt6mTod/eFSB2Alavycr"
    "x7IC2wWAv6PfHECJ7wyvqEDXrrM0A/uSsymmTgClbaLVaCoGfC+/AM0CFcbjIaBYEGMt4Cf8bCZmNM3MkHYw=="
)
SHORT = rsa.generate_private_key(65537, 1024)  # noqa: S505


def digest(tokens: pa.Table) -> str:
    rows = ["|".join(v or "" for v in row.values()) for row in tokens.to_pylist()]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


# --- without the package ---


def test_pinned_tokens():
    assert opprl.tokenise(table(FELICIA), OURS).to_pylist() == [{"record_id": "r0", **FELICIAS_TOKENS}]


def test_pinned_tokens_of_all_the_people():
    assert digest(opprl.tokenise(people(), OURS)) == PEOPLES_TOKENS


def test_a_pinned_ephemeral_token_arrives():
    sent = pa.table({"opprl_token_1v2": [EPHEMERAL]})
    assert opprl.from_partner(sent, OURS).to_pylist() == [
        {"opprl_token_1v2": FELICIAS_TOKENS["opprl_token_1v2"]}
    ]


def test_the_key_counts_and_not_how_its_pem_is_written():
    kind, nothing = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    old_pem = OURS.private_bytes(serialization.Encoding.PEM, kind, nothing)
    made = opprl.tokenise(table(FELICIA), OURS)
    assert opprl.tokenise(table(FELICIA), old_pem).equals(made)
    assert opprl.tokenise(table(FELICIA), pem(OURS)).equals(made)


@pytest.mark.parametrize(
    ("missing", "tokens"),
    [
        ("last_name", (7, 8)),
        ("first_name", (8,)),
        ("date_of_birth", (7,)),
        ("sex", (4, 5, 6, 7, 8)),
        ("phone", (1, 2, 3, 4, 5, 6)),
    ],
)
def test_a_token_is_missing_where_a_part_is(missing, tokens):
    without = opprl.tokenise(table(FELICIA | {missing: None}), OURS)
    assert without.equals(opprl.tokenise(table(FELICIA).drop_columns(missing), OURS))
    made = {f"opprl_token_{n}v2": FELICIAS_TOKENS[f"opprl_token_{n}v2"] for n in tokens}
    nothing = dict.fromkeys(opprl.TOKENS)
    assert without.to_pylist() == [{"record_id": "r0", **nothing, **made}]


@pytest.mark.parametrize(
    "born",
    ["1983-02-29", "1984-02-30", "1984-13-01", "1984-2-29", "84-02-29", "1984-02-29 ", "unknown", ""],
)
def test_an_impossible_date_is_a_missing_one(born):
    made = opprl.tokenise(table(FELICIA | {"date_of_birth": born}), OURS)
    assert made.equals(opprl.tokenise(table(FELICIA | {"date_of_birth": None}), OURS))


def test_a_date_counts_as_its_text():
    dates = pc.strptime(pa.array(["1984-02-29"]), "%Y-%m-%d", "s").cast(pa.date32())
    typed = table(FELICIA).set_column(3, "date_of_birth", dates)
    assert opprl.tokenise(typed, OURS).equals(opprl.tokenise(table(FELICIA), OURS))


def test_no_rows_and_no_identifiers():
    assert opprl.tokenise(table(), OURS).column_names == ["record_id", *opprl.TOKENS]
    alone = opprl.tokenise(pa.table({"record_id": ["r1"]}), OURS)
    assert alone.to_pylist() == [{"record_id": "r1", **dict.fromkeys(opprl.TOKENS)}]


def test_rows_keep_their_order_and_other_columns_pass(theirs):
    made = opprl.tokenise(table(FELICIA | {"record_id": "z"}, FELICIA), OURS)
    assert made["record_id"].to_pylist() == ["z", "r0"]
    sent = opprl.to_partner(made.append_column("n", pa.array([2, 1])), OURS, theirs.public_key())
    assert sent["record_id"].to_pylist() == ["z", "r0"]
    assert sent["n"].to_pylist() == [2, 1]


def test_equal_tokens_leave_as_different_ones(theirs):
    sent = opprl.to_partner(opprl.tokenise(table(FELICIA, FELICIA), OURS), OURS, theirs.public_key())
    for token in opprl.TOKENS:
        assert len(set(sent[token].to_pylist())) == 2
        arrived = opprl.from_partner(sent, theirs)[token].to_pylist()
        assert len(set(arrived)) == 1
        assert arrived[0] != FELICIAS_TOKENS[token]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.fixed_dictionaries({k: st.one_of(st.none(), st.text(max_size=10)) for k in KINDS})))
def test_to_oneself_and_back_is_the_same(written):
    made = opprl.tokenise(table(*({"record_id": str(i), **p} for i, p in enumerate(written))), OURS)
    assert made.num_rows == len(written)
    assert opprl.from_partner(opprl.to_partner(made, OURS, OURS.public_key()), OURS).equals(made)


def test_tokens_that_the_hub_cannot_make_are_exchanged_too(theirs):
    named = {"opprl_token_11v2": pa.array([FELICIAS_TOKENS["opprl_token_1v2"], None])}
    sent = opprl.to_partner(pa.table(named), OURS, theirs.public_key())
    back = opprl.to_partner(opprl.from_partner(sent, theirs), theirs, OURS.public_key())
    assert opprl.from_partner(back, OURS).equals(pa.table(named))


# --- refusals ---


def refused(reason: str):
    return pytest.raises(TerminalError, match=f"^{reason}: ")


def test_another_partys_token_is_refused(theirs):
    made = opprl.tokenise(table(FELICIA), theirs)
    with refused("wrong_key"):
        opprl.to_partner(made, OURS, theirs.public_key())


def test_another_partys_ephemeral_token_is_refused(theirs):
    sent = opprl.to_partner(opprl.tokenise(table(FELICIA), OURS), OURS, theirs.public_key())
    with refused("decryption_failed"):
        opprl.from_partner(sent, OURS)


@pytest.mark.parametrize("message", [b"", b"\x00" * 63, b"\x00" * 65])
def test_what_is_no_hash_is_not_sealed(message):
    ephemeral = base64.b64encode(OURS.public_key().encrypt(message, opprl._OAEP)).decode()
    with refused("decryption_failed"):
        opprl.from_partner(pa.table({"opprl_token_1v2": [ephemeral]}), OURS)


def test_bad_private_keys_are_refused():
    kind = serialization.PrivateFormat.PKCS8
    locked = OURS.private_bytes(
        serialization.Encoding.PEM, kind, serialization.BestAvailableEncryption(b"synthetic")
    )
    curve = ec.generate_private_key(ec.SECP256R1())
    for key in (b"", b"no key", locked, pem(curve), curve, pem(SHORT), public_pem(OURS)):
        with refused("wrong_key"):
            opprl.tokenise(table(FELICIA), key)


def test_bad_public_keys_are_refused():
    made = opprl.tokenise(table(FELICIA), OURS)
    for key in (
        b"",
        b"no key",
        pem(OURS),
        SHORT.public_key(),
        ec.generate_private_key(ec.SECP256R1()).public_key(),
    ):
        with refused("recipient_key_mismatch"):
            opprl.to_partner(made, OURS, key)


def test_columns_that_are_no_identifiers_are_refused():
    with refused("column_not_allowed"):
        opprl.tokenise(table(FELICIA).append_column("ssn", pa.array(["900000000"])), OURS)


def test_a_birth_date_of_another_type_is_refused():
    for odd in (pa.array([19840229]), pa.array([datetime(1984, 2, 29)])):
        with refused("linkage_input_invalid"):
            opprl.tokenise(table(FELICIA).set_column(3, "date_of_birth", odd), OURS)


def test_tokens_of_another_version_do_not_leave():
    made = opprl.tokenise(table(FELICIA), OURS)
    with refused("column_not_allowed"):
        opprl.to_partner(made.append_column("opprl_token_1v1", made[1]), OURS, OURS.public_key())


@pytest.mark.parametrize("columns", [{"record_id": ["r1"]}, {"opprl_token_1v2": ["no base64!"]}])
def test_what_holds_no_tokens_is_refused(columns):
    with refused("linkage_input_invalid"):
        opprl.from_partner(pa.table(columns), OURS)


def test_an_error_names_no_value():
    with pytest.raises(TerminalError) as caught:
        opprl.to_partner(pa.table({"opprl_token_1v2": ["QUJDREVGR0g="]}), OURS, OURS.public_key())
    assert "QUJD" not in str(caught.value)
    assert caught.value.reason == "wrong_key"
