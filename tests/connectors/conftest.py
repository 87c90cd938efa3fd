"""Where drops land."""

from __future__ import annotations

from pathlib import Path

import pytest

from leadhub.foundation.keys import Keys
from leadhub.intake.landing import Landing


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path, Keys(b"k" * 32))
