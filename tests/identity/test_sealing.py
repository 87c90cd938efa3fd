"""Sealed ids open with their agency's key and with no other."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.identity.sealing import open_sealed, seal

KEYS = Keys(bytes(range(32)))
CANARY = "Zyxqvw-canary-77"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=30)), max_size=10))
def test_round_trip_and_equal_ids_stay_equal(values):
    array = pa.array(values, pa.string())
    sealed = seal(array, "police", KEYS)
    assert open_sealed(sealed, "police", KEYS) == array
    assert sealed == seal(array, "police", KEYS)
    known = [(v, s) for v, s in zip(values, sealed.to_pylist()) if v is not None]
    assert len({v for v, _ in known}) == len({s for _, s in known})
    assert all(s.startswith("s1:") for _, s in known)


@pytest.mark.parametrize(
    ("agency", "keys"),
    [("district_attorney", KEYS), ("police", Keys(bytes(32)))],
)
def test_f14_another_agency_key_or_version_does_not_open(agency, keys):
    sealed = seal(pa.array([CANARY]), "police", KEYS)
    with pytest.raises(TerminalError) as error:
        open_sealed(sealed, agency, keys)
    assert error.value.reason == "wrong_key"
    assert CANARY not in str(error.value)
    assert error.value.__suppress_context__


def test_a_changed_character_is_found():
    sealed = seal(pa.array([CANARY]), "police", KEYS)[0].as_py()
    for i in range(3, len(sealed)):
        changed = sealed[:i] + ("A" if sealed[i] != "A" else "B") + sealed[i + 1 :]
        with pytest.raises(TerminalError):
            open_sealed(pa.array([changed]), "police", KEYS)
