"""Airflow reads its home when it is first imported: a folder of this run, never the user's."""

import os
import tempfile

_home = tempfile.mkdtemp(prefix="leadhub-airflow-")
for _name in [n for n in os.environ if n.startswith(("AIRFLOW", "LEADHUB"))]:
    del os.environ[_name]
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "false"

pytest_plugins = ["tests.guarantees"]

from hypothesis import settings  # noqa: E402

# how long an example takes is no law: a busy machine is not a fault
settings.register_profile("leadhub", deadline=None)
settings.load_profile("leadhub")


def pytest_collection_modifyitems(items: list) -> None:
    """Nights first: they wait for servers while other tests work, and a long file that begins last is
    waited for by all. (Files are given out in this order: `--no-loadscope-reorder`.)"""
    items.sort(key=lambda item: item.path.parent.name not in ("demo", "night"))
