"""Keys for tests: made here, used nowhere else."""

import pytest

from leadhub.foundation.keys import Keys


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys(bytes(range(32)))
