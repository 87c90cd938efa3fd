"""PostgreSQL as a source: psycopg 3, and rows by COPY."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv
from psycopg import sql

from connectors.dialects import NOT_AS_AGREED, Dialect, TableRead, Tally
from leadhub.foundation.errors import LeadhubError, TerminalError, TransientError

BATCH_BYTES = 4 << 20
#: a row that is larger is no row of ours
ROW_BYTES = 16 << 20


class PostgreSQL(Dialect):
    """psycopg 3; rows by COPY as CSV, which libpq hands over one row at a time."""

    Error = psycopg.Error

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        given = self.connection
        self._driver = psycopg.connect(
            host=given.host,
            port=given.port,
            user=given.login,
            password=given.password,
            dbname=given.schema,
            application_name="leadhub",
            client_encoding="UTF8",
            connect_timeout=10,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            tcp_user_timeout=60_000,
            **self._transport(),
        )
        try:
            self._driver.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._driver.read_only = True
            for name, value in (
                ("statement_timeout", f"{self.seconds}s"),
                ("idle_in_transaction_session_timeout", f"{self.seconds}s"),
                ("timezone", "UTC"),
                ("datestyle", "ISO, YMD"),
                ("intervalstyle", "iso_8601"),
                ("extra_float_digits", "3"),
                ("bytea_output", "hex"),
            ):
                self._driver.execute("SELECT set_config(%s, %s, true)", [name, value])
            yield
        finally:
            self._driver.close()

    def _transport(self) -> dict[str, Any]:
        """TLS with a verified name, or this very machine. Raises: TerminalError `settings_invalid`."""
        mode = self.connection.extra.get("sslmode", "prefer" if self._is_here() else "verify-full")
        if mode not in ("verify-full", "verify-ca") and not self._is_here():
            raise TerminalError(
                "settings_invalid",
                f"[{self.connection.host}] is another machine: set extra [sslmode] to verify-full",
            )
        root = self.connection.extra.get("sslrootcert", "system" if mode == "verify-full" else None)
        return {"sslmode": mode, **({"sslrootcert": root} if root else {})}

    def _is_here(self) -> bool:
        host = self.connection.host
        if host == "localhost" or host.startswith("/"):
            return True
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(host).is_loopback
        return False

    def clock(self) -> datetime:
        return self._driver.execute("SELECT now()").fetchall()[0][0]

    def describe(self, source: str) -> tuple[list[str], bool]:
        found = self._driver.execute(
            "SELECT attname, has_table_privilege(attrelid, 'INSERT, UPDATE, DELETE, TRUNCATE')"
            " FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
            " AND has_column_privilege(attrelid, attnum, 'SELECT') ORDER BY attnum",
            [self.table(source)],
        ).fetchall()
        return [name for name, _ in found], any(may_write for _, may_write in found)

    def tally(self, read: TableRead) -> Tally:
        mark = "NULL"
        if read.watermark:
            clock = self.quote(read.watermark)
            newest = f"max({clock}) FILTER (WHERE {clock} BETWEEN '0001-01-01' AND now())"
            mark = f"""to_char(({newest})::timestamptz, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        return Tally(*self._driver.execute(self._tally(read, mark)).fetchall()[0])

    def batches(self, query: str, columns: Sequence[str], what: str) -> Iterator[pa.RecordBatch]:
        with self._driver.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv)") as rows:
            lines = bytearray()
            for row in rows:
                if len(row) > ROW_BYTES:
                    raise TerminalError(
                        "too_large", f"{what}: a row is larger than {ROW_BYTES} bytes; correct the source"
                    )
                lines += row
                if len(lines) >= BATCH_BYTES:
                    yield _from_csv(lines, columns)
                    lines = bytearray()
            if lines:
                yield _from_csv(lines, columns)

    def literal(self, value: str) -> str:
        return sql.Literal(value).as_string(self._driver)

    def moment(self, value: datetime) -> str:
        return f"{self.literal(value.isoformat())}::timestamptz"

    def first(self, rows: int) -> str:
        return f"FETCH FIRST {rows} ROWS WITH TIES"

    def classify(self, error: Exception, what: str) -> LeadhubError:
        state = getattr(error, "sqlstate", None) or ""
        if not state and isinstance(error, psycopg.OperationalError):
            return _not_connected(error, what)
        for states, family, reason, told in _STATES:
            if state.startswith(states):
                return family(reason, f"{what}: {told} (SQLSTATE {state})")
        return TransientError("bad_response", f"{what}: the database refused (SQLSTATE {state or 'none'})")


#: first match counts; PostgreSQL documentation, appendix A
_STATES: tuple[tuple[tuple[str, ...], type[LeadhubError], str, str], ...] = (
    (("57014", "55P03", "25P03"), TransientError, "source_timeout", "a statement or lock took too long"),
    (("40",), TransientError, "source_timeout", "the database cancelled it in favour of other work"),
    (("08", "53", "57P"), TransientError, "source_unreachable", "the database went away or is full"),
    (("28",), TerminalError, "credentials_refused", "the login was refused; correct the connection"),
    (("42501",), TerminalError, "credentials_refused", "the login may not read it; ask for SELECT"),
    (("3D",), TerminalError, "settings_invalid", "there is no such database; correct the connection"),
    (("42", "3F", "22007", "22008", "0A"), TerminalError, "schema_drift", NOT_AS_AGREED),
    (("22021", "22P05"), TerminalError, "unreadable_file", "a row is no UTF-8; correct it at the source"),
)
#: what libpq (always English) and servers say before a session stands, where no SQLSTATE is passed on
_CERTIFICATE = re.compile("certificate verify failed|server certificate|does not support SSL")
_REFUSED = re.compile(
    "password authentication failed|no pg_hba.conf entry|not permitted to log in|no password"
)
_BUSY = re.compile(
    "starting up|shutting down|recovery|too many|connection slots|closed the connection|timeout"
)


def _not_connected(error: psycopg.Error, what: str) -> LeadhubError:
    text = str(error)
    if _CERTIFICATE.search(text):
        return TerminalError(
            "host_key_changed", f"{what}: the server's certificate is not the agreed one; ask the agency"
        )
    # a server may speak another language: what failed after a password was used is the login's fault,
    # so that a wrong password is not tried until the account is locked
    asked = error.pgconn is not None and error.pgconn.used_password
    if _REFUSED.search(text) or (asked and not _BUSY.search(text)):
        return TerminalError(
            "credentials_refused", f"{what}: the database refused the login; correct the connection"
        )
    return TransientError(
        "source_unreachable", f"{what}: the database cannot be reached, or the connection broke"
    )


def _from_csv(lines: bytearray, columns: Sequence[str]) -> pa.RecordBatch:
    """COPY writes null as nothing and the empty text as a pair of quotes; the server proves the UTF-8."""
    table = pyarrow.csv.read_csv(
        pa.py_buffer(lines),
        read_options=pyarrow.csv.ReadOptions(column_names=list(columns), block_size=len(lines) + 1),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return table.combine_chunks().to_batches()[0]
