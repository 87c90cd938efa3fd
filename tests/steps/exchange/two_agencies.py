"""Two agencies that tokenise by the command, and a hub that opens what they sent."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from leadhub import cli
from leadhub.foundation.errors import TerminalError
from leadhub.identity.linkage import schema as schemas
from leadhub.steps import exchange
from tests.identity import people

FEEDS = {"police": people.FEEDS["p"], "da": people.FEEDS["d"]}
EVERY = frozenset(FEEDS)


def run(*order: object) -> str:
    said = CliRunner().invoke(cli.app, [str(o) for o in order])
    if said.exception is not None:
        raise said.exception
    return said.output


def refused(reason: str, *words: str):
    return pytest.raises(TerminalError, match=f"^{reason}: .*{'.*'.join(words)}")


def opened(site, config, *paths: Path, **options) -> list[exchange.Opened]:
    usual = {"schema": schemas.person(), "fingerprint": site.fingerprint, "keys": site.keys}
    return exchange.open_files(list(paths), settings=config, **usual | options)
