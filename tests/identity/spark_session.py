"""Spark on this machine alone, for tests."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_OPTIONS = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.session.timeZone": "UTC",
}


@contextmanager
def spark_session(cores: int, name: str, options: dict[str, str] | None = None) -> Iterator[Any]:
    """Stopped in the end; its workers are this Python."""
    from pyspark.sql import SparkSession  # an optional extra

    builder = SparkSession.builder.master(f"local[{cores}]").appName(name)
    for option, value in (_OPTIONS | (options or {})).items():
        builder = builder.config(option, value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        session = builder.getOrCreate()
        yield session
        session.stop()
