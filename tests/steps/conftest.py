"""A site with keys, and nothing in it."""

import pytest

from leadhub.foundation import keys as key_ring
from leadhub.foundation.settings import Settings
from leadhub.steps.site import Site


@pytest.fixture
def site(tmp_path):
    settings = Settings(var=tmp_path)
    keys = key_ring.load(settings.root_key, create=True)
    return Site(settings, key_ring.verify(keys, settings.key_state), lambda _: None)
