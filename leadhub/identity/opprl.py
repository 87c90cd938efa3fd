"""Tokens of the Open Privacy Preserving Record Linkage protocol (OPPRL), version 2.

For partners who link by OPPRL and not by the hub's own tokens. Equal, token for token, to those of
spindle-token 2.4.2, the protocol's reference on Spark; where its document and that package differ, as
they do on a blank sex, the package is followed. (It takes Metaphone from jellyfish, whose compiled part
and Python part differ on names like Lamb and Campaign: the compiled one is followed.)

1. **Parts**, by the protocol's rules, not by `normalise`'s: names keep ASCII letters and spaces (Peña is
   PEA), fill-ins count as values, a suffix in the surname stays.
2. A **token** joins the parts that `TOKENS` names with colons, hashes them (SHA-512) and seals the hash
   with AES-256-GCM-SIV under an all-zero nonce: equal people, equal tokens, under one key. Null where a
   part is missing.
3. That key comes by HKDF-SHA-256 from the party's RSA private key, in unencrypted PKCS#8 DER. Two files
   of one key whose private exponents or primes are written otherwise give different tokens.
4. **To a partner** the hash goes under its RSA public key (OAEP, SHA-256): an *ephemeral token*, random
   each time. The partner opens it and seals the hash with its own key. What passes between the two
   is equal to no token of anyone.

Whoever holds the private key can test guesses at identifiers, and a partner can do so with what it
receives: the hash inside has no key. Tokens of exact parts miss typing errors; the hub's own linkage
does not use them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha512

import polars as pl
import pyarrow as pa
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import IDENTIFIER_KINDS
from leadhub.identity import keyed, letters

#: token → its parts, in the order in which the protocol joins them (by name)
TOKENS = {
    "opprl_token_1v2": ("birth_date", "first_initial", "gender", "last"),
    "opprl_token_2v2": ("birth_date", "first_soundex", "gender", "last_soundex"),
    "opprl_token_3v2": ("birth_date", "first_metaphone", "gender", "last_metaphone"),
    "opprl_token_4v2": ("birth_date", "first_initial", "last"),
    "opprl_token_5v2": ("birth_date", "first_soundex", "last_soundex"),
    "opprl_token_6v2": ("birth_date", "first_metaphone", "last_metaphone"),
    "opprl_token_7v2": ("first", "phone"),
    "opprl_token_8v2": ("birth_date", "phone"),
}
#: of full social security numbers, e-mail addresses and health plans, which the hub does not take in:
#: exchanged with partners, never made
FOREIGN_TOKENS = tuple(f"opprl_token_{n}v2" for n in range(9, 14))

PrivateKey = rsa.RSAPrivateKey | bytes
PublicKey = rsa.RSAPublicKey | bytes

_INFO = b"opprl.v2.aes"
_NONCE = bytes(12)
_HASH_BYTES = 64
_MIN_KEY_BITS = 2048
_OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)


def tokenise(identifiers: pa.Table, private_key: PrivateKey) -> pa.Table:
    """OPPRL tokens of a person table, made with the hub's RSA key (an object, or unencrypted PEM).

    `identifiers` has `record_id` and columns named by identifier kind; kinds not given count as missing.
    `date_of_birth` is a date, or text YYYY-MM-DD, of which days that no calendar has are missing.
    Returns the rows in their order, with columns `record_id` and `TOKENS` (108 characters, or null).

    Raises: TerminalError `column_not_allowed` for a column that is no identifier kind,
    `linkage_input_invalid` for a birth date that is neither date nor text, `wrong_key` for a key that is
    not RSA of 2048 bits or more.
    """
    unknown = sorted(set(identifiers.column_names) - {"record_id", *IDENTIFIER_KINDS})
    if unknown:
        raise TerminalError("column_not_allowed", f"columns {unknown} are no identifier kinds")
    seal = _Seal(_private(private_key))
    frame = keyed.to_frame(identifiers)
    parts = _parts(frame)
    made = {"record_id": frame.get_column("record_id")}
    for token, names in TOKENS.items():
        plain = parts.select(pl.concat_str(list(names), separator=":")).to_series()
        made[token] = keyed.by_distinct(plain, seal.tokens)
    return keyed.to_arrow(pl.DataFrame({name: values.alias(name) for name, values in made.items()}))


def to_partner(tokens: pa.Table, private_key: PrivateKey, partner_public_key: PublicKey) -> pa.Table:
    """The hub's tokens made ephemeral for one partner; other columns as they are.

    Rows with equal tokens get different ephemeral tokens.

    Raises: TerminalError `wrong_key` for a token that this private key did not make,
    `recipient_key_mismatch` for a public key that is not RSA of 2048 bits or more, `column_not_allowed`
    for a token of another version, `linkage_input_invalid` for a table without tokens.
    """
    seal, public = _Seal(_private(private_key)), _public(partner_public_key)

    def transcribe(values: list[bytes | None]) -> list[bytes | None]:
        return [None if v is None else public.encrypt(seal.open(v), _OAEP) for v in values]

    return _transcribed(tokens, transcribe)


def from_partner(tokens: pa.Table, private_key: PrivateKey) -> pa.Table:
    """A partner's ephemeral tokens made the hub's own, equal to `tokenise`'s; other columns as they are.

    Raises: TerminalError `decryption_failed` for a token that was not made for this key or was altered,
    `wrong_key`, `column_not_allowed` and `linkage_input_invalid` as `to_partner`.
    """
    private = _private(private_key)
    seal = _Seal(private)

    def transcribe(values: list[bytes | None]) -> list[bytes | None]:
        return [None if v is None else seal.close(_received(private, v)) for v in values]

    return _transcribed(tokens, transcribe)


class _Seal:
    """A party's deterministic encryption: SHA-512 hash ↔ token."""

    def __init__(self, private_key: rsa.RSAPrivateKey):
        der = private_key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self._cipher = AESGCMSIV(HKDF(hashes.SHA256(), length=32, salt=None, info=_INFO).derive(der))

    def close(self, digest: bytes) -> bytes:
        return self._cipher.encrypt(_NONCE, digest, None)

    def open(self, token: bytes) -> bytes:
        try:
            return self._cipher.decrypt(_NONCE, token, None)
        except (InvalidTag, ValueError):
            raise TerminalError(
                "wrong_key",
                "an OPPRL token does not open with this private key; use the key that made the tokens",
            ) from None

    def tokens(self, plain: pl.Series) -> pl.Series:
        sealed = [None if v is None else self.close(sha512(v.encode()).digest()) for v in plain.to_list()]
        return _as_text(sealed)


def _received(private_key: rsa.RSAPrivateKey, ephemeral: bytes) -> bytes:
    try:
        digest = private_key.decrypt(ephemeral, _OAEP)
    except ValueError:
        digest = b""
    # anyone can encrypt to a public key: only hashes are sealed, not texts of a sender's choice
    if len(digest) != _HASH_BYTES:
        raise TerminalError(
            "decryption_failed",
            "an ephemeral OPPRL token was not made for this key, or was altered; ask its sender to "
            "transcribe again, to the hub's current public key",
        )
    return digest


def _transcribed(
    tokens: pa.Table, transcribe: Callable[[list[bytes | None]], list[bytes | None]]
) -> pa.Table:
    columns = [name for name in tokens.column_names if name.startswith("opprl_token_")]
    unknown = sorted(set(columns) - {*TOKENS, *FOREIGN_TOKENS})
    if unknown:
        raise TerminalError("column_not_allowed", f"columns {unknown} are no tokens of OPPRL version 2")
    if not columns:
        raise TerminalError("linkage_input_invalid", "the table has no column of OPPRL tokens")
    for name in columns:
        made = _as_text(transcribe(_as_bytes(tokens[name], name)))
        at = tokens.column_names.index(name)
        tokens = tokens.set_column(at, name, keyed.to_array(made))
    return tokens


def _as_text(values: list[bytes | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.Binary).bin.encode("base64")


def _as_bytes(column: pa.ChunkedArray, name: str) -> list[bytes | None]:
    try:
        return keyed.to_series(column).cast(pl.String).str.decode("base64").to_list()
    except pl.exceptions.PolarsError:
        raise TerminalError("linkage_input_invalid", f"column [{name}] is not all base64 text") from None


def _private(key: PrivateKey) -> rsa.RSAPrivateKey:
    try:
        read = serialization.load_pem_private_key(key, None) if isinstance(key, bytes) else key
    except _UNREADABLE:
        read = None
    if not isinstance(read, rsa.RSAPrivateKey) or read.key_size < _MIN_KEY_BITS:
        raise TerminalError("wrong_key", f"the OPPRL key is no RSA private key of {_MIN_KEY_BITS} bits")
    return read


def _public(key: PublicKey) -> rsa.RSAPublicKey:
    try:
        read = serialization.load_pem_public_key(key) if isinstance(key, bytes) else key
    except _UNREADABLE:
        read = None
    if not isinstance(read, rsa.RSAPublicKey) or read.key_size < _MIN_KEY_BITS:
        raise TerminalError(
            "recipient_key_mismatch",
            f"a partner's OPPRL key is no RSA public key of {_MIN_KEY_BITS} bits; install it again",
        )
    return read


def _parts(identifiers: pl.DataFrame) -> pl.DataFrame:
    """The protocol's attributes and what it derives of them."""
    empty = pl.Series([None] * identifiers.height, dtype=pl.String)
    given = {name: identifiers.get_column(name) for name in identifiers.columns}

    def part(kind: str, rule: Callable[[pl.Series], pl.Series]) -> pl.Series:
        return keyed.by_distinct(given.get(kind, empty).cast(pl.String), rule)

    first, last = part("first_name", _name), part("last_name", _name)
    parts = {
        "birth_date": keyed.by_distinct(given.get("date_of_birth", empty), _birth_date),
        "gender": part("sex", _gender),
        "phone": part("phone", _phone),
        "first": first,
        "first_initial": first.str.slice(0, 1),
        "first_soundex": keyed.by_distinct(first, _soundex),
        "first_metaphone": keyed.by_distinct(first, _metaphones),
        "last": last,
        "last_soundex": keyed.by_distinct(last, _soundex),
        "last_metaphone": keyed.by_distinct(last, _metaphones),
    }
    return pl.DataFrame({name: values.alias(name) for name, values in parts.items()})


def _name(values: pl.Series) -> pl.Series:
    letters = values.str.replace_all("[^a-zA-Z ]", "").str.to_uppercase()
    return letters.str.replace_all(" +", " ").str.strip_chars(" ").replace("", None)


def _gender(values: pl.Series) -> pl.Series:
    """F, M or O; O for blanks too."""
    initial = values.str.to_uppercase().str.replace(r"^[ \t\n\x0B\f\r]+", "").str.slice(0, 1)
    known = {"F": "F", "W": "F", "G": "F", "M": "M", "B": "M", None: None}
    return initial.replace_strict(known, default="O", return_dtype=pl.String)


def _birth_date(values: pl.Series) -> pl.Series:
    if values.dtype == pl.String:
        iso = values.set(~values.str.contains("^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), None)
        values = iso.str.to_date("%Y-%m-%d", strict=False)
    elif values.dtype not in (pl.Date, pl.Null):
        raise TerminalError("linkage_input_invalid", "[date_of_birth] is neither a date nor text")
    return values.cast(pl.Date).dt.to_string("%Y-%m-%d")


def _phone(values: pl.Series) -> pl.Series:
    """E.164 of a North American number: ten digits, the first of them 2 to 9.

    The package takes what libphonenumber can read as any number of the world, seven digits without an
    area code among them; such numbers are missing here.
    """
    digits = (
        values.str.strip_chars(" \t.,/-")
        .str.replace(r"(?i)[ ,]*(?:ext(?:ension)?\.?|x|#)[:.]? *[0-9]{1,6}$", "")
        .str.replace(r"(?i)^[a-z :.]{0,20}", "")
        .str.replace_all(r"[ .()\-/]", "")
    )
    return "+1" + digits.str.extract("^(?:[+]?1)?([2-9][0-9]{9})$", 1)


def _soundex(names: pl.Series) -> pl.Series:
    """A space parts equal codes, as a vowel does."""
    return letters.soundex(names.str.replace_all(" ", "A"))


#: Metaphone (Philips 1990) with the turns of jellyfish: what is written, first match → its code (None: as
#: written). Doubled letters count once, where the second stands.
_SOUNDS = (
    ("|".join(f"{letter}(?={letter})" for letter in "ABDEFGHIJKLMNOPQRSTUVWXYZ"), ""),
    (r"GH(?![AEIOU])|GN$|(?<=M)B$|T(?=CH)", ""),
    (r"(?<![^ ])[AEIOU]|[BFJLMNR ]|(?<![AEIOU])H|[HWY](?=[AEIOU])", None),
    (r"CI(?=A)|CH|SH|SI[OA]|T(?=I[OA])|^X(?=H|I[OA])", "X"),
    (r"C[IEY]|[SZ]|^X", "S"),
    (r"DG[IEY]|G(?=[IEY])", "J"),
    (r"TH", "0"),
    (r"[CGQ]|(?<!C)K", "K"),
    (r"[DT]", "T"),
    (r"PH|V", "F"),
    (r"P", "P"),
    (r"^WH", "W"),
    (r"X", "KS"),
    (r".", ""),
)
_SOUND = re.compile("|".join(f"({pattern})" for pattern, _ in _SOUNDS))
_SILENT_START = re.compile("^(?:[KGP](?=N)|W(?=R)|A(?=E))")


def _metaphone(name: str) -> str:
    def code(heard: re.Match[str]) -> str:
        found = _SOUNDS[heard.lastindex - 1][1] if heard.lastindex else ""
        return heard[0] if found is None else found

    spoken = _SOUND.sub(code, _SILENT_START.sub("", name))
    return re.sub(" +", " ", spoken).lstrip(" ")


def _metaphones(names: pl.Series) -> pl.Series:
    codes = [None if name is None else _metaphone(name) for name in names.to_list()]
    return pl.Series(codes, dtype=pl.String)
