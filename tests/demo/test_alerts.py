"""An alert reaches people: by real SMTP and by a real webhook, with a reason and never a value."""

import asyncio
import email
import json
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller

from leadhub.foundation import clock, keys
from simulation.stage import free_port

REASON = (
    "schema_drift: drop [0a1b] of [harbor_case_management] has column [dob] no more; agree on the change"
)


class _Mailbox:
    def __init__(self):
        self.messages = []

    async def handle_DATA(self, server, session, envelope):
        self.messages.append(email.message_from_bytes(envelope.content))
        return "250 OK"


@pytest.fixture
def mailbox():
    box = _Mailbox()
    box.port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    yield box
    controller.stop()


@pytest.fixture
def webhook():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            self.server.received.append(json.loads(self.rfile.read(length)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.received = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def adapter(mailbox, webhook, monkeypatch):
    from leadhub import airflow_adapter

    smtp = {
        "conn_type": "smtp",
        "host": "127.0.0.1",
        "port": mailbox.port,
        "extra": {"disable_ssl": True, "disable_tls": True, "from_email": "hub@leadhub.example"},
    }
    hook = {"conn_type": "http", "host": f"http://127.0.0.1:{webhook.server_port}"}
    monkeypatch.setitem(os.environ, "AIRFLOW_CONN_ALERT_SMTP", json.dumps(smtp))
    monkeypatch.setitem(os.environ, "AIRFLOW_CONN_STEWARDS_HOOK", json.dumps(hook))
    settings = airflow_adapter.SETTINGS.model_copy(
        update={"alert_email": "stewards@county.example", "alert_webhook": "stewards_hook"}
    )
    monkeypatch.setattr(airflow_adapter, "SETTINGS", settings)
    return airflow_adapter


class _Task:
    dag_id, task_id = "ingest_harbor_case_management", "acknowledge"


class _Run:
    partition_key = "2026-11-20"


def test_a_stopped_night_is_told_by_mail_and_webhook(adapter, mailbox, webhook):
    context = {"task_instance": _Task, "dag_run": _Run, "exception": REASON}
    adapter.TASK_DEFAULTS["on_failure_callback"](context)
    [message] = mailbox.messages
    assert message["To"] == "stewards@county.example"
    body = message.get_payload()[0].get_payload(decode=True).decode()
    [posted] = webhook.received
    for text in (body, posted["text"]):
        assert "ingest_harbor_case_management.acknowledge stopped on night 2026-11-20" in text
        assert "schema_drift" in text
        assert "runbook" in text


def test_a_late_feed_is_told_while_the_night_still_waits(adapter, mailbox, webhook):
    asyncio.run(adapter.tell_stewards_late("feed riverside_treatment"))
    assert "riverside_treatment is late" in webhook.received[0]["text"]
    assert len(mailbox.messages) == 1


def test_an_agreement_that_ends_soon_is_told_of_once(adapter, webhook, tmp_path, monkeypatch):
    shutil.copytree(adapter.SETTINGS.agreements, tmp_path / "agreements")
    path = tmp_path / "agreements" / "sharing" / "police_data.yaml"
    path.write_text(path.read_text().replace("2031-12-31", "2026-12-10"))
    changed = {"var": tmp_path / "var", "agreements": tmp_path / "agreements"}
    monkeypatch.setattr(adapter, "SETTINGS", adapter.SETTINGS.model_copy(update=changed))
    keys.load(adapter.SETTINGS.root_key, create=True)
    monkeypatch.setenv(clock.VARIABLE, "2026-11-20T12:00:00+00:00")
    assert adapter.tell_of_endings()["status"] == "due"
    [told] = webhook.received
    assert "police_data ends on 2026-12-10" in told["text"]
    assert adapter.tell_of_endings()["status"] == "nothing"
    monkeypatch.setenv(clock.VARIABLE, "2026-12-04T12:00:00+00:00")
    assert adapter.tell_of_endings()["status"] == "due"
    assert len(webhook.received) == 2
    path.write_text("id: [")
    for day in (1, 2):
        adapter.tell_of_endings()
        assert len(webhook.received) == 2 + day, "what cannot be read, every day"
        assert "[police_data.yaml] is not YAML" in webhook.received[-1]["text"]
        assert "police__referral_outcomes" in webhook.received[-1]["text"]


def test_every_feed_and_every_partner_has_a_deadline_and_every_task_an_alert():
    from airflow.dag_processing.dagbag import DagBag

    from leadhub.foundation.settings import REPOSITORY

    bag = DagBag(str(REPOSITORY / "dags"))
    for dag_id, dag in bag.dags.items():
        if dag_id.startswith(("ingest_", "publish_")):
            assert dag.deadline, dag_id
        assert all(task.on_failure_callback for task in dag.tasks), dag_id
