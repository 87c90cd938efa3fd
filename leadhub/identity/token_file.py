"""What leaves an agency of an exchange: its token table, and what that was made with.

A token file is Parquet; the `Header` stands in its metadata. It travels encrypted to the hub
(`leadhub.steps.exchange`), which believes nothing of it that it can check.
"""

from __future__ import annotations

import hashlib
import io
import json
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from leadhub.foundation import files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.facts_file import Facts
from leadhub.foundation.keys import ROOT_BYTES, Keys
from leadhub.identity import tokens
from leadhub.identity.exchange import FINGERPRINT, NAME, ExchangeKey, plain_lists, schema_name
from leadhub.identity.linkage.schema import LinkageSchema, Tier

_METADATA = b"leadhub.exchange"
_SEALED_ID = r"^s[0-9]+:[A-Za-z0-9+/]+={0,2}$"

#: invented people whose tokens, under a public key, tell whether two installations make the same tokens
_SPECIMENS = (
    (
        "Okonkwo-Peña",
        "Bill",
        "Ray",
        "1984-02-29",
        "12 N Main St Apt 4",
        "14203",
        "(716) 555-0134",
        "4321",
        "Stoke-upon-Trent",
        "nurse",
    ),
    (
        "Smith Jr.",
        "JOHN",
        None,
        "1970-05-06",
        "9 Elm Avenue",
        "12207-0001",
        "518.555.0199",
        "0007",
        "Albany, N.Y.",
        None,
    ),
    ("De la Cruz", "Mary Ann", "Q", "2001-11-12", "R.R. 2", "K1A 0B1", None, None, None, "Line cook"),
    ("UNKNOWN", "Łukasz", "Jo", "1955-01-01", "homeless", "00000", "5555555555", "0000", "Łódź", "unknown"),
    (
        "St. Testperson III",
        "Peggy",
        "Lee",
        None,
        "1500 East 7th Street",
        "10001",
        "2125550100",
        "9876",
        None,
        None,
    ),
)
_SPECIMEN_KINDS = (
    *("last_name", "first_name", "middle_name", "date_of_birth"),
    *("address_line", "zip", "phone", "ssn4", "birth_place", "occupation"),
)


class Header(Facts):
    """What a token file was made with, by whom, and how many rows it holds."""

    format: int = Field(default=1, ge=1, le=1)
    exchange: str = Field(pattern=NAME)
    key_version: int = Field(ge=1)
    key_fingerprint: str = Field(pattern=FINGERPRINT)
    linkage_schema: str = Field(pattern=r"^\S{1,100}$")
    tier: Tier
    code: str = Field(pattern=r"^[0-9a-f]{16}$")
    feed: str = Field(pattern=NAME)
    rows: int = Field(ge=0)
    made_at: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    @property
    def marker(self) -> str:
        version = f"t{self.key_version}.{self.linkage_schema}.{self.tier}"
        return f"{self.exchange}-{self.key_fingerprint}.{version}"


def code_check(schema: LinkageSchema, tier: Tier) -> str:
    """Equal at two installations whose leadhub makes the same tokens of `_SPECIMENS`."""
    rows = [dict(zip(_SPECIMEN_KINDS, person)) for person in _SPECIMENS]
    made = pa.Table.from_pylist(rows, pa.schema([(kind, pa.string()) for kind in _SPECIMEN_KINDS]))
    born = pa.array([r["date_of_birth"] and date.fromisoformat(r["date_of_birth"]) for r in rows])
    made = made.set_column(made.column_names.index("date_of_birth"), "date_of_birth", born)
    made = made.append_column("record_id", pa.array([str(i) for i in range(len(rows))]))
    found = tokens.tokenise(made, feed="", keys=Keys(bytes(ROOT_BYTES)), schema=schema, tier=tier)
    text = json.dumps(plain_lists(found).to_pylist(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def header_of(
    table: pa.Table, *, key: ExchangeKey, feed: str, schema: LinkageSchema, tier: Tier, made_at: str
) -> Header:
    return Header(
        exchange=key.exchange,
        key_version=key.version,
        key_fingerprint=key.fingerprint,
        linkage_schema=schema_name(schema),
        tier=tier,
        code=code_check(schema, tier),
        feed=feed,
        rows=table.num_rows,
        made_at=made_at,
    )


def pack(table: pa.Table, header: Header) -> bytes:
    """A token file, not yet encrypted."""
    sink = io.BytesIO()
    metadata = {_METADATA: files.canonical_json(header.model_dump())}
    pq.write_table(table.replace_schema_metadata(metadata), sink, compression="zstd")
    return sink.getvalue()


def unpack(data: bytes, name: str, schema: LinkageSchema) -> tuple[Header, pa.Table]:
    """Header and token table of a decrypted token file, which is what it says and holds nothing else.

    Raises: TerminalError `unreadable_file` for what is no token file, `exchange_mismatch` where it was
    made with another linkage schema or by another leadhub, `column_not_allowed`, `counts_differ`,
    `state_invalid` where ids or markers are not those of its header.
    """
    header, table = _read(data, name)
    if header.linkage_schema != schema_name(schema):
        raise TerminalError(
            "exchange_mismatch",
            f"[{name}] was made with linkage schema {header.linkage_schema}, agreed is "
            f"{schema_name(schema)}; send [{header.feed}] the agreed file and let it tokenise again",
        )
    if header.code != code_check(schema, header.tier):
        raise TerminalError(
            "exchange_mismatch",
            f"[{name}] was made by a leadhub that makes other tokens of the same names; let "
            f"[{header.feed}] install the hub's version and tokenise again",
        )
    _check_table(table, header, schema, name)
    return header, table.replace_schema_metadata(None)


def header_in(data: bytes, name: str) -> Header:
    """What a decrypted token file says of itself. Raises: TerminalError `unreadable_file`."""
    return _read(data, name)[0]


def _read(data: bytes, name: str) -> tuple[Header, pa.Table]:
    try:
        table = pq.read_table(io.BytesIO(data))
        return Header.model_validate_json((table.schema.metadata or {})[_METADATA]), table
    except (pa.ArrowException, OSError, KeyError, ValidationError):
        raise TerminalError(
            "unreadable_file",
            f"[{name}] is no token file that this leadhub can read; ask its sender for the output of "
            "`leadhub tokenise`, made with the hub's version of leadhub",
        ) from None


def _check_table(table: pa.Table, header: Header, schema: LinkageSchema, name: str) -> None:
    if table.num_rows != header.rows:
        raise TerminalError(
            "counts_differ", f"[{name}] holds {table.num_rows} rows and says {header.rows}; send it again"
        )
    ids_and_feed = dict.fromkeys(("record_id", "feed", "marker"), (pa.string(),))
    word = (pa.uint64(), pa.list_(pa.uint64()))
    expected = {c: ids_and_feed.get(c, word) for c in tokens.columns(schema, header.tier)}
    plain = [f.with_type(pa.string()) if pa.types.is_large_string(f.type) else f for f in table.schema]
    wrong = [f.name for f in plain if f.type not in expected.get(f.name, ())]
    if wrong or table.column_names != list(expected):
        raise TerminalError(
            "column_not_allowed",
            f"[{name}] has not the columns of a token table; let [{header.feed}] tokenise again",
        )
    ids = table.column("record_id")
    as_said = (
        set(table.column("feed").unique().to_pylist()) <= {header.feed}
        and set(table.column("marker").unique().to_pylist()) <= {header.marker}
        and pc.match_substring_regex(ids, _SEALED_ID).unique().to_pylist() in ([], [True])
    )
    if not as_said or len(ids.unique()) != len(ids):
        raise TerminalError(
            "state_invalid",
            f"[{name}]: its rows are not all of one feed and marker, under sealed ids that stand once; "
            f"let [{header.feed}] tokenise again",
        )


def check_together(headers: list[Header]) -> None:
    """Return if the tables may be linked with one another.

    Raises: TerminalError `exchange_mismatch` that says which two differ, in what, and what to do.
    """
    told = {
        "exchange": "link each exchange by itself",
        "key_version": "let the one with the older key tokenise again",
        "key_fingerprint": "the two hold different keys of one name: let all read out `leadhub exchange "
        "show KEYFILE`, and tokenise again with the right one",
        "linkage_schema": "let both tokenise with the agreed schema",
        "tier": "agree on one tier and let the other tokenise again",
        "code": "let both install one version of leadhub",
    }
    for one in headers[1:]:
        for what, advice in told.items():
            ours, theirs = getattr(headers[0], what), getattr(one, what)
            if ours != theirs:
                raise TerminalError(
                    "exchange_mismatch",
                    f"[{headers[0].feed}] and [{one.feed}] differ in {what} ({ours}; {theirs}); {advice}",
                )
