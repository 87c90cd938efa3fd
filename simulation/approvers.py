"""Two people of the county who answer for what leaves: through Airflow's REST API, or at the hub itself."""

from __future__ import annotations

import time
from typing import Any

from leadhub.steps import approvals
from leadhub.steps.site import Site
from simulation.embedded_airflow import EmbeddedAirflow

PROPOSES, APPROVES = "steward", "counsel"
#: Airflow loses an answer that comes before the task's process has ended
_SETTLED_SECONDS = 1.5


class Approvers:
    """Answers every question of a running Airflow, each as the right one of two users.

    `try_alone`: whoever proposed the first licence tries to approve it too, before the second person does.
    `answers`: task and user of each answer given.
    """

    def __init__(self, airflow: EmbeddedAirflow, *, try_alone: bool = False) -> None:
        self.airflow, self.try_alone = airflow, try_alone
        self.answers: list[tuple[str, str]] = []
        self._seen: dict[str, float] = {}

    def answer(self) -> int:
        """Answer what waits for an answer now; how many."""
        answered = 0
        for question in self._open():
            instance = question["task_instance"]
            first_seen = self._seen.setdefault(instance["id"], time.monotonic())
            if time.monotonic() - first_seen < _SETTLED_SECONDS:
                continue
            proposing = instance["task_id"].startswith("propose_")
            path = (
                f"/dags/{instance['dag_id']}/dagRuns/{instance['dag_run_id']}"
                f"/taskInstances/{instance['task_id']}/-1/hitlDetails"
            )
            said = {"chosen_options": ["Propose" if proposing else "Approve"], "params_input": {}}
            user = PROPOSES if proposing or self.try_alone else APPROVES
            self.try_alone = self.try_alone and proposing
            self.airflow.call("PATCH", path, user=user, json=said)
            self.answers.append((instance["task_id"], user))
            del self._seen[instance["id"]]
            answered += 1
        return answered

    def _open(self) -> list[dict[str, Any]]:
        path = "/dags/~/dagRuns/~/hitlDetails"
        found = self.airflow.call("GET", path, params={"response_received": False, "limit": 100})
        return [q for q in found["hitl_details"] if q["task_instance"]["state"] == "awaiting_input"]


def approve_all(site: Site) -> None:
    """Both answers for every licence that lacks them, unseen: for tests and benchmarks of other things."""
    for waiting in approvals.pending(site):
        for role, by in (("proposed", PROPOSES), ("approved", APPROVES)):
            approvals.answer(site, waiting["agreement"], role, by=by)
