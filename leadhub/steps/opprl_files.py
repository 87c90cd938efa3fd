"""Files in and out of the OPPRL protocol: what `leadhub opprl` does.

Values are taken as they stand in the file, since the protocol has its own rules for blanks and telephone
numbers. Birth dates alone are read first, where their column is in another form than YYYY-MM-DD.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from leadhub.foundation import files
from leadhub.foundation.errors import TerminalError
from leadhub.identity import keyed, opprl
from leadhub.steps import labelled
from leadhub.steps.edge import columns_of, is_parquet, verbatim

#: what the protocol makes tokens of
KINDS = ("last_name", "first_name", "date_of_birth", "sex", "phone")
_ISO = r"^\d{4}-\d{2}-\d{2}$"
_KEY_BITS = 2048


@dataclass(frozen=True)
class Made:
    """`tokens`: token column → how many rows have one."""

    rows: int
    tokens: dict[str, int]


def make_key(path: Path) -> Path:
    """A party's RSA private key (unencrypted PEM, mode 600); its public half beside it, which is returned.

    Raises: TerminalError `state_invalid` where the file exists.
    """
    if path.exists():
        raise TerminalError("state_invalid", f"[{path.name}] is there already; tokens were made with it")
    key = rsa.generate_private_key(65537, _KEY_BITS)
    pem, public = serialization.Encoding.PEM, path.with_suffix(".public.pem")
    kind = serialization.PrivateFormat.PKCS8
    files.write_bytes(path, key.private_bytes(pem, kind, serialization.NoEncryption()))
    subject = serialization.PublicFormat.SubjectPublicKeyInfo
    files.write_bytes(public, key.public_key().public_bytes(pem, subject), mode=0o644)
    return public


def tokenise(
    path: Path, *, mapping: dict[str, list[str]], id_column: str | None, key: Path, out: Path
) -> Made:
    """Tokens of a file of people. They are the hub's own and stay: `send` makes what may leave.

    `id_column` becomes `record_id`; without it rows are numbered from 1.

    Raises: TerminalError `linkage_input_invalid`, `key_missing`, `wrong_key`.
    """
    frame = verbatim(path)
    columns = columns_of(frame.columns, mapping, id_column)
    columns = {kind: several for kind, several in columns.items() if kind in KINDS}
    read = labelled.read(path, columns, keep=[id_column] if id_column else [], prefix="")
    people = {kind: _joined(frame, several) for kind, several in columns.items()}
    if "date_of_birth" in people:
        people["date_of_birth"] = _births(people["date_of_birth"], read.identifiers["date_of_birth"])
    ids = (
        frame.get_column(id_column) if id_column else pl.Series(range(1, frame.height + 1)).cast(pl.String)
    )
    named = {"record_id": ids, **people}
    table = keyed.to_arrow(pl.DataFrame({name: values.alias(name) for name, values in named.items()}))
    return _write(opprl.tokenise(table, _key(key)), out)


def send(path: Path, *, key: Path, partner: Path, out: Path) -> Made:
    """The hub's tokens, made ephemeral for one partner.

    Raises: TerminalError `linkage_input_invalid`, `key_missing`, and as `opprl.to_partner`.
    """
    return _exchanged(path, lambda tokens: opprl.to_partner(tokens, _key(key), _key(partner)), out)


def receive(path: Path, *, key: Path, out: Path) -> Made:
    """A partner's ephemeral tokens, made the hub's own.

    Raises: TerminalError `linkage_input_invalid`, `key_missing`, and as `opprl.from_partner`.
    """
    return _exchanged(path, lambda tokens: opprl.from_partner(tokens, _key(key)), out)


def _exchanged(path: Path, transcribe: Callable[[pa.Table], pa.Table], out: Path) -> Made:
    # an empty cell of a token table is no token
    frame = verbatim(path).with_columns(pl.col("^opprl_token_.*$").replace("", None))
    return _write(transcribe(keyed.to_arrow(frame)), out)


def _joined(frame: pl.DataFrame, columns: list[str]) -> pl.Series:
    if len(columns) == 1:
        return frame.get_column(columns[0])
    return frame.select(pl.concat_str(columns, separator=" ", ignore_nulls=True)).to_series()


def _births(written: pl.Series, read: pl.Series) -> pl.Series:
    """As written where the column is in the protocol's form, else as read."""
    mostly_iso = written.str.contains(_ISO).sum() * 2 >= written.count()
    return written if mostly_iso else read.cast(pl.String)


def _key(path: Path) -> bytes:
    if not path.exists():
        raise TerminalError("key_missing", f"no key at [{path.name}]; see `leadhub opprl key`")
    content = path.read_bytes()
    if b"PRIVATE KEY" in content and path.stat().st_mode & 0o077:
        raise TerminalError("wrong_key", f"[{path.name}] is readable by others; chmod 600 it")
    return content


def _write(tokens: pa.Table, out: Path) -> Made:
    frame = keyed.to_frame(tokens)
    with files.writing(out) as handle:
        if is_parquet(out):
            frame.write_parquet(handle)
        else:
            frame.write_csv(handle)
    columns = [c for c in frame.columns if c.startswith("opprl_token_")]
    return Made(frame.height, {c: frame.get_column(c).count() for c in columns})
