"""A key, invented people, and the protocol's reference: spindle-token 2.4.2 in a Spark session."""

import math
import random
from datetime import date

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from leadhub.identity import opprl
from tests.identity.spark_session import spark_session

# the primes of a key made for these tests (2048 bits), used nowhere else
# fmt: off
P = int(
    "d6b83a977b244fc030ddf680c6457ae0b6835bd385c20674aaa95ef8255c3c1df43b400b2fceec467481f89b1f9d74f1"
    "a2db079a14060e7e41e3baf135fd79d7f74de57f43573f9e428583f94bf4cda7952710ae629528dcb81cef20ea2de6b1"
    "43d16ebe04e863a2709e8868cf335ddf4179ce7384951427f480ba441f6d01d3", 16)
Q = int(
    "be7d2c8007d31cc8c0c48c0177e2129b4221873166df6464ae417160d5a4f6c662496229b5089385ce3c2535a46e99ab"
    "582a7534489637f73074f65540e92bf4385741aa05b80ec2262627cf54f302e3d996632a27a61c7c1e7d14e80cb9975"
    "422a99084d1c5a896f9e10ef57401b97cb263ea42a8e520cde2610336d40d735f", 16)
# fmt: on

KINDS = ("last_name", "first_name", "date_of_birth", "sex", "phone")
SCHEMA = pa.schema([(name, pa.string()) for name in ("record_id", *KINDS)])

FELICIA = {
    "record_id": "r0",
    "last_name": "Lamb-Ó Testperson Jr.",
    "first_name": "Felicia Ann",
    "date_of_birth": "1984-02-29",
    "sex": "female",
    "phone": "(716) 555-0134",
}


def key_of(p: int, q: int) -> rsa.RSAPrivateKey:
    d = pow(65537, -1, math.lcm(p - 1, q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()


def pem(key) -> bytes:
    kind, nothing = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, kind, nothing)


def public_pem(key) -> bytes:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, kind)


OURS = key_of(P, Q)


@pytest.fixture(scope="module")
def theirs() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def table(*people: dict) -> pa.Table:
    return pa.Table.from_pylist(list(people), SCHEMA)


def people(count: int = 200) -> pa.Table:
    """Names with all that clerks write, dates of which some are none, telephones in many forms."""
    rng = random.Random(2026)
    # fmt: off
    beginnings = ("Kn", "gn", "Pn", "Wr", "Ae", "Wh", "X", "Xi", "Sch", "Mac", "O'", "De La ", "von  der ",
                  "Gh", "Ph", "Th", "Cz", "Ñ", "É", "Å", "St. ", "", "J", "Br")
    middles = ("aar", "edge", "ough", "ccio", "tch", "cia", "sio", "tia", "ck", "mb", "ghn", "yy", "'", "-",
               "ll", "hh", "é", "ß", " ", "wr", "xx", "qu", "oha", "ev")
    ends = ("mb", "gn", "gh", "ck", "ez", "son", "y", "H", " Jr.", " III", ", Sr", "é", "ski",
            " W", "x", "\t")
    sexes = (None, "", " ", "F", "f", "M", "male", "Female", "woman", " girl", "Boy", "X", "unknown",
             "9", "ﬀ")
    dates = (None, "", "1981-02-29", "1980-02-30", "1999-13-01", "2001-6-7", "19800101", "1900-02-29",
             "2000-02-29", "1984-02-29", "1899-12-31", "unknown", "1975-01-01 ")
    phones = (None, "", "unknown", "716{}", "(716) {}", "1-716-{}", "+1 716 {}", "716.{} x12",
              "Tel: 716/{}")
    # fmt: on

    def name() -> str | None:
        if rng.random() < 0.06:
            return rng.choice((None, "", " ", "-", "?", "Y", "李"))
        written = (
            rng.choice(beginnings) + "".join(rng.choices(middles, k=rng.randint(1, 3))) + rng.choice(ends)
        )
        return rng.choice((written, written.upper(), written.lower()))

    def born() -> str | None:
        if rng.random() < 0.2:
            return rng.choice(dates)
        return date.fromordinal(rng.randint(693_000, 738_000)).isoformat()

    return table(
        *(
            {
                "record_id": f"r{i:03d}",
                "last_name": name(),
                "first_name": name(),
                "date_of_birth": born(),
                "sex": rng.choice(sexes),
                "phone": (rng.choice(phones) or "").format(f"555-01{rng.randint(0, 99):02d}") or None,
            }
            for i in range(count)
        )
    )


class Reference:
    """spindle-token on Spark, tables in and out."""

    def __init__(self, spark):
        import spindle_token
        from spindle_token.opprl import OpprlV2

        self.spark, self.package, self.v2 = spark, spindle_token, OpprlV2
        self.tokens = [getattr(OpprlV2, f"token{n}") for n in range(1, 9)]

    def _frame(self, table: pa.Table):
        schema = ", ".join(f"{name} string" for name in table.column_names)
        return self.spark.createDataFrame([tuple(row.values()) for row in table.to_pylist()], schema)

    def _table(self, frame, columns) -> pa.Table:
        rows = [row.asDict() for row in frame.select(*columns).collect()]
        return pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in columns]))

    def tokenise(self, people: pa.Table, key) -> pa.Table:
        v2 = self.v2
        attributes = {
            v2.last_name: "last_name",
            v2.first_name: "first_name",
            v2.birth_date: "date_of_birth",
            v2.gender: "sex",
            v2.phone: "phone",
        }
        made = self.package.tokenize(self._frame(people), attributes, self.tokens, pem(key))
        return self._table(made, ["record_id", *opprl.TOKENS])

    def out(self, tokens: pa.Table, key, partner) -> pa.Table:
        made = self.package.transcrypt_out(self._frame(tokens), self.tokens, public_pem(partner), pem(key))
        return self._table(made, tokens.column_names)

    def back(self, ephemeral: pa.Table, key) -> pa.Table:
        made = self.package.transcrypt_in(self._frame(ephemeral), self.tokens, pem(key))
        return self._table(made, ephemeral.column_names)


@pytest.fixture(scope="module")
def reference():
    with spark_session(1, "opprl") as session:
        yield Reference(session)
