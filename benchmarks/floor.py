"""The floor under a night: the same rows from the same sources, written as Parquet, nothing else."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import httpx
import paramiko
import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from connectors.base import connection_from_environment
from leadhub.foundation import openpgp
from leadhub.intake.feeds import Feed


def run(feeds: dict[str, Feed], target: Path, decryption_key: Path) -> tuple[float, int]:
    """Seconds and rows of the floor; files go to `target`."""
    target.mkdir(parents=True, exist_ok=True)
    began, rows = time.monotonic(), 0
    for feed in feeds.values():
        read = {"sql": _sql, "rest": _rest, "sftp": _sftp}[feed.connector]
        for name, table in read(feed, decryption_key):
            pq.write_table(table, target / f"{feed.id}.{name}.parquet")
            rows += table.num_rows
    return time.monotonic() - began, rows


def _sql(feed: Feed, _: Path):
    given = connection_from_environment(feed.connection)
    with psycopg.connect(
        host=given.host, port=given.port, user=given.login, password=given.password, dbname=given.schema
    ) as connection:
        for name, table in feed.tables.items():
            sink = io.BytesIO()
            columns = ", ".join(f'"{c}"' for c in table.columns.values())
            source = ".".join(f'"{part}"' for part in table.source.split("."))
            with connection.cursor().copy(
                f"COPY (SELECT {columns} FROM {source}) TO STDOUT (FORMAT csv, HEADER)"
            ) as copy:
                for block in copy:
                    sink.write(block)
            yield name, pyarrow.csv.read_csv(pa.BufferReader(sink.getvalue()))


def _rest(feed: Feed, _: Path):
    given = connection_from_environment(feed.connection)
    with httpx.Client(base_url=f"http://{given.host}:{given.port}", timeout=60) as client:
        form = {"grant_type": "client_credentials"}
        answer = client.post("/oauth/token", data=form, auth=(given.login, given.password))
        token = answer.json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        for name, table in feed.tables.items():
            found, cursor = [], None
            while True:
                query = {"limit": feed.page_rows, **({"cursor": cursor} if cursor else {})}
                page = json.loads(client.get(f"/v1/{table.source}", params=query).content)
                found += page["data"]
                cursor = page["next"]
                if cursor is None:
                    break
            yield name, pa.Table.from_pylist(found)


def _sftp(feed: Feed, decryption_key: Path):
    given = connection_from_environment(feed.connection)
    key = paramiko.Ed25519Key.from_private_key(io.StringIO(given.extra["private_key"]))
    transport = paramiko.Transport((given.host, given.port))
    transport.connect(username=given.login, pkey=key)
    try:
        session = paramiko.SFTPClient.from_transport(transport)
        stems = {t.source: name for name, t in feed.tables.items()}
        for entry in sorted(session.listdir("inbox")):
            stem = next((s for s in stems if entry.startswith(f"{s}_")), None)
            if stem is None or not entry.endswith((".csv", ".csv.pgp")):
                continue
            with session.open(f"inbox/{entry}") as handle:
                handle.prefetch()
                data = handle.read()
            if entry.endswith(".pgp"):
                data = openpgp.decrypt(data, decryption_key)
            # the county has a few deliberate ragged rows; a floor judges nothing
            options = pyarrow.csv.ParseOptions(
                delimiter=feed.drop.delimiter, invalid_row_handler=lambda _: "skip"
            )
            yield stems[stem], pyarrow.csv.read_csv(pa.BufferReader(data), parse_options=options)
    finally:
        transport.close()
