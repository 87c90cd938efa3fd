"""Keys for tests: made here, used nowhere else."""

import pytest

from leadhub.foundation.keys import Keys
from tests.identity.opprl_protocol import reference, theirs  # noqa: F401  fixtures


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys(bytes(range(32)))
