"""The root key in shares: enough of them restore it, fewer or misread ones do not, and nothing is told."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub import cli
from leadhub.foundation import keys as key_ring
from leadhub.foundation import shares
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.foundation.settings import Settings

KEYS = Keys(bytes(range(32)))


@settings(max_examples=10, deadline=None)
@given(root=st.binary(min_size=32, max_size=32))
def test_any_three_of_five_restore_the_key(root):
    made = shares.split(Keys(root), 3, 5)
    for some in itertools.combinations(made, 3):
        assert shares.combine(list(some)).root == root


@pytest.mark.parametrize(
    "spoil",
    [
        lambda made: made[:2],
        lambda made: [made[0], made[0], made[1]],
        lambda made: [made[0].replace(made[0].split()[7], "academic"), *made[1:3]],
        lambda made: [*made[:2], shares.split(Keys(bytes(32)), 3, 5)[2]],
        lambda made: ["these are no words of a share", *made[1:3]],
        lambda made: [],
    ],
)
def test_fewer_or_misread_shares_give_no_key_and_are_not_quoted(spoil):
    some = spoil(shares.split(KEYS, 3, 5))
    with pytest.raises(TerminalError, match="wrong_key") as caught:
        shares.combine(some)
    told = set(caught.value.message.split())
    assert not told & {word for share in some for word in share.split()[4:]}


@pytest.mark.parametrize(("needed", "count"), [(1, 3), (4, 3), (3, 17)])
def test_one_officer_alone_is_no_split(needed, count):
    with pytest.raises(TerminalError, match="settings_invalid"):
        shares.split(KEYS, needed, count)


@pytest.fixture
def leadhub(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LEADHUB_VAR", str(tmp_path / "var"))
    key_ring.load(tmp_path / "var" / "keys" / "root.key", create=True)

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["leadhub", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return f"{ended.value.code or 0} {' '.join((said.out + said.err).split())}"

    return run


def test_restoring_is_rehearsed(leadhub, tmp_path):
    root = tmp_path / "var" / "keys" / "root.key"
    before = key_ring.load(root)
    key_ring.verify(before, Settings(var=tmp_path / "var").key_state)
    folder = tmp_path / "officers"
    assert leadhub("keys", "split", str(folder), "--needed", "2", "--shares", "3").startswith("0 3 shares")
    papers = sorted(folder.iterdir())
    assert [p.stat().st_mode & 0o777 for p in papers] == [0o600] * 3
    assert leadhub("keys", "combine", *map(str, papers[:2])).startswith("70"), "the key is there still"
    root.unlink()
    assert "wrong_key" in leadhub("keys", "combine", str(papers[0]))
    assert not root.exists()
    assert "the one this state was made with" in leadhub("keys", "combine", *map(str, papers[1:]))
    assert key_ring.load(root) == before


def test_a_key_of_another_state_is_refused(leadhub, tmp_path):
    root = tmp_path / "var" / "keys" / "root.key"
    key_ring.verify(KEYS, Settings(var=tmp_path / "var").key_state)
    leadhub("keys", "split", str(tmp_path / "officers"))
    root.unlink()
    said = leadhub("keys", "combine", *map(str, sorted((tmp_path / "officers").iterdir())[:3]))
    assert "wrong_key" in said
    assert not root.exists()


def test_doctor_says_what_runs_where_and_fips_is_asked_for_in_earnest(leadhub, monkeypatch):
    said = leadhub("doctor")
    for word in ("AES-256-GCM", "SP 800-38D", "outside OpenSSL", "FIPS provider is not active"):
        assert word in said
    assert "validated" not in said
    monkeypatch.setenv("LEADHUB_REQUIRE_FIPS", "true")
    assert "LEADHUB_REQUIRE_FIPS is set" in leadhub("doctor")
    assert "LEADHUB_REQUIRE_FIPS is set" in leadhub("status")
