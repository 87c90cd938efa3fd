"""Airflow on this machine alone: real scheduler, API server, triggerer and DAG processor on loopback.

State under `var/airflow`; metadata in the PostgreSQL given; secrets made at first start and kept there.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import psycopg

from leadhub.foundation import files
from leadhub.foundation.settings import CLOSING_POOL, REPOSITORY

USERS = "admin:admin,steward:op,counsel:op,auditor:viewer"


class EmbeddedAirflow:
    """One installation. `environment` carries the connections and LEADHUB_* settings of the site."""

    def __init__(self, var: Path, database_url: str, port: int, environment: Mapping[str, str]):
        self.home, self.port = var / "airflow", port
        self.url = f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._tokens: dict[str, str] = {}
        self.environment = {
            **os.environ,
            **environment,
            **self._secrets(),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "LEADHUB_VAR": str(var),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW_CONFIG": str(REPOSITORY / "airflow.cfg"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": USERS,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url,
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(port + 1),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(port + 2),
        }

    def _secrets(self) -> dict[str, str]:
        kept = self.home / "secrets.json"
        if not kept.exists():
            files.write_json(kept, {"jwt": secrets.token_hex(48), "api": secrets.token_hex(32)})
        held = files.read_json(kept)
        return {
            "AIRFLOW__API_AUTH__JWT_SECRET": held["jwt"],
            "AIRFLOW__API__SECRET_KEY": held["api"],
        }

    @property
    def passwords(self) -> dict[str, str]:
        return json.loads((self.home / "simple_auth_manager_passwords.json.generated").read_text())

    def start(self, progress: Callable[[str], None] = lambda _: None, timeout: float = 180) -> None:
        """Migrate the metadata, start all four services, wait until they are healthy."""
        progress("preparing Airflow's database")
        log = self.home / "airflow.log"
        with log.open("ab") as out:
            subprocess.run(
                ["airflow", "db", "migrate"], env=self.environment, stdout=out, stderr=out, check=True
            )
            progress("starting Airflow")
            self._process = subprocess.Popen(
                ["airflow", "standalone"],
                env=self.environment,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout
        while not self._healthy():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"Airflow did not come up; see {log}")
            time.sleep(0.3)
        self._make_closing_pool()
        # the first request builds the tasks' interface, which takes seconds: not in somebody's night
        httpx.get(f"{self.url}/execution/health", timeout=timeout)

    def _make_closing_pool(self) -> None:
        pool = {"name": CLOSING_POOL, "slots": 1, "description": "closing feeds, one after the other"}
        try:
            self.call("POST", "/pools", json=pool)
        except httpx.HTTPStatusError as error:
            # it lasts from an earlier start
            if error.response.status_code != httpx.codes.CONFLICT:
                raise

    def _healthy(self) -> bool:
        try:
            health = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
            parts = ("scheduler", "dag_processor", "triggerer")
            return all(health[part].get("status") == "healthy" for part in parts)
        except (httpx.HTTPError, ValueError, KeyError):
            return False

    @property
    def pid(self) -> int:
        """Process id of `standalone`, parent of every other. Raises: RuntimeError before `start`."""
        if self._process is None:
            raise RuntimeError("Airflow is not running")
        return self._process.pid

    def stop(self) -> None:
        """SIGINT lets `standalone` end its children; what stays of its session is killed after that."""
        if self._process is None:
            return
        os.kill(self._process.pid, signal.SIGINT)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def call(self, method: str, path: str, *, user: str = "admin", **arguments: Any) -> Any:
        """One call of Airflow's REST API as `user`."""
        if user not in self._tokens:
            login = {"username": user, "password": self.passwords[user]}
            reply = httpx.post(f"{self.url}/auth/token", json=login, timeout=30)
            self._tokens[user] = reply.json()["access_token"]
        headers = {"Authorization": f"Bearer {self._tokens[user]}"}
        reply = httpx.request(method, f"{self.url}/api/v2{path}", headers=headers, timeout=60, **arguments)
        reply.raise_for_status()
        return reply.json() if reply.content else None

    def wait_for_dags(self, wanted: set[str], timeout: float = 120) -> None:
        deadline = time.monotonic() + timeout
        while not wanted <= self.dag_ids():
            if time.monotonic() > deadline:
                missing = ", ".join(sorted(wanted - self.dag_ids()))
                raise RuntimeError(f"Airflow does not know the DAGs {missing}")
            time.sleep(0.3)

    def dump(self, target: Path) -> None:
        """Every row of Airflow's metadata as text, one file a table: the leak scan reads it."""
        target.mkdir(parents=True, exist_ok=True)
        url = self.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        with psycopg.connect(url.replace("postgresql+psycopg2", "postgresql")) as connection:
            tables = connection.execute(
                "select quote_ident(tablename) from pg_tables where schemaname = 'public'"
            ).fetchall()
            for (table,) in tables:
                with connection.cursor().copy(f"copy {table} to stdout") as copy:
                    (target / f"{table}.txt").write_bytes(b"".join(bytes(b) for b in copy))

    def dag_ids(self) -> set[str]:
        return {d["dag_id"] for d in self.call("GET", "/dags", params={"limit": 100})["dags"]}

    def trigger(self, dag_id: str, night: str) -> None:
        body = {"logical_date": None, "partition_key": night}
        self.call("POST", f"/dags/{dag_id}/dagRuns", json=body)

    def states(self, night: str) -> dict[str, str]:
        """DAG id → state of its latest run for the night."""
        query = {"limit": 100, "order_by": "run_after"}
        runs = self.call("GET", "/dags/~/dagRuns", params=query)["dag_runs"]
        return {r["dag_id"]: r["state"] for r in runs if r["partition_key"] == night}

    def task_times(self, night: str) -> dict[str, float]:
        """`<DAG id>.<task id>` → seconds, of every finished task of the night."""
        runs = self.call("GET", "/dags/~/dagRuns", params={"limit": 100})["dag_runs"]
        times = {}
        for run in (r for r in runs if r["partition_key"] == night):
            path = f"/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances"
            for task in self.call("GET", path)["task_instances"]:
                times[f"{task['dag_id']}.{task['task_id']}"] = round(task["duration"] or 0.0, 2)
        return dict(sorted(times.items()))
