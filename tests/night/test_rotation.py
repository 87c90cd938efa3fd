"""T9: new versions of keys lose no link, ask no agency for anything; a partner sees a new public key."""

import base64
import json

import polars as pl
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from typer.testing import CliRunner

from connectors.base import connection_from_environment
from leadhub.casework.seals import COLUMNS
from leadhub.cli import app
from leadhub.foundation import envelope, files
from leadhub.foundation import keys as key_ring
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import Settings
from leadhub.identity import sealing
from leadhub.identity import tokens as linkage_tokens
from leadhub.intake.landing import Landing
from leadhub.release import checkpoints
from leadhub.steps import accountability, endings, linkage_rotation, replay, review, rotation, seals
from leadhub.steps.site import open_site

pytestmark = pytest.mark.timeout(300)
DA = "district_attorney"


def site_of(nights):
    return open_site(connection_from_environment, Settings(var=nights.var))


def delivered(nights) -> dict[str, object]:
    return {name: data for name, data in nights.outcome().items() if not name.startswith("table ")}


def crosswalk(nights) -> str:
    return nights.tables()["table crosswalk"]


@pytest.fixture(scope="module")
def unrotated(nights, after):
    """What the second night gives where no key was rotated."""
    nights.restore(after)
    assert nights.run(2) == 0
    return delivered(nights), crosswalk(nights), sorted(s["seal"] for s in seals.known(site_of(nights)))


@pytest.fixture
def rotated(nights, after):
    nights.restore(after)
    first = site_of(nights)
    for name in key_ring.ROTATED:
        rotation.rotate(site_of(nights), name)
    yield first
    nights.restore()


def test_t9_after_every_key_was_rotated_persons_and_deliveries_are_the_same(nights, rotated, unrotated):
    assert nights.run(2) == 0
    deliveries, persons, sealed = unrotated
    assert crosswalk(nights) == persons
    ours = delivered(nights)
    assert ours.keys() == deliveries.keys()
    for name, data in deliveries.items():
        if "checkpoints" not in name:
            assert ours[name] == data, name
    assert sorted(s["seal"] for s in seals.known(site_of(nights))) == sealed, "each seal once"


def test_t9_nothing_is_left_under_the_older_versions(nights, rotated):
    assert nights.run(2) == 0
    site = site_of(nights)
    assert {row["key"]: row["version"] for row in rotation.status(site)} == dict.fromkeys(
        key_ring.ROTATED, 2
    )
    feeds = site.lake.night(nights.night(2))["feeds"]
    complete = {f for f, said in feeds.items() if said["status"] == "complete"}
    assert {"police_records", "da_cases"} <= complete
    left = {row["key"]: row["under_older"] for row in rotation.status(site)}
    assert left == {
        "landing": 0,
        "ids": len(feeds) - len(complete),
        "storage": 0,
        "linkage": 0,
        "signing": 0,
    }
    older = rotated.keys.derive("storage:linkage")
    kept = list((nights.var / "lake" / "tokens").rglob("*.enc"))
    assert len(kept) > 5
    for path in kept:
        with pytest.raises(TerminalError, match="invalid_envelope"):
            envelope.decrypt(path.read_bytes(), older)
    for path in (nights.var / "landing_keys").glob("*.json"):
        with pytest.raises(TerminalError, match="wrong_key"):
            envelope.unwrap(rotated.keys.derive("landing"), files.read_json(path)["wrapped"])
    tables = nights.tables()
    for name in [n for n in tables if not any(f in n.partition("__")[0] for f in feeds.keys() - complete)]:
        assert '"s1:' not in tables[name], name
        assert '"t1:' not in tables[name], name
    assert '"s2:' in tables["table diversions"]


def test_a_feed_that_misses_the_night_is_read_as_new_and_still_joins(nights, rotated):
    """Harbor sends nothing on the night after: its consents and statements count all the same."""
    before = spoken(nights, 1)
    for path in (nights.var / "sftp" / "harbor_case_management" / "inbox").iterdir():
        path.unlink()
    assert nights.run(2) == 0
    status = {row["key"]: row["under_older"] for row in rotation.status(site_of(nights))}
    assert status["ids"] >= 1
    assert spoken(nights, 2) >= before > 0


def spoken(nights, number: int) -> int:
    from tests.night.test_revocation import delivered as rows
    from tests.night.test_revocation import spoken as said

    return said(rows(nights, number)).height


def test_a_partner_who_holds_the_first_public_key_can_go_on_from_there(nights, rotated):
    first = checkpoints.public_key(rotated.keys)
    assert nights.run(2) == 0
    outbox = nights.var / "sftp" / DA / "outbox" / "checkpoints"
    given = json.loads((outbox / "key_0002.json").read_bytes())
    signature = base64.b64decode(given["ed25519"])
    load_pem_public_key(first).verify(signature, given["statement"].encode())
    second = json.loads(given["statement"])["public_key"].encode()
    assert second != first
    for number, key in ((1, first), (2, second)):
        made = json.loads((outbox / f"diversion_status_{number:06d}.json").read_bytes())
        load_pem_public_key(key).verify(base64.b64decode(made["ed25519"]), made["statement"].encode())
        assert checkpoints.read(json.dumps(made).encode(), DA, site_of(nights).keys).seq > 0


def test_what_was_told_before_is_still_accounted_for(nights, rotated):
    assert nights.run(2) == 0
    site = site_of(nights)
    feed = site.feeds["harbor_case_management"]
    manifest = site.lake.night(nights.night(2))
    clients = site.lake.read(
        "core_harbor_case_management__clients", manifest["feeds"][feed.id]["tables"]["clients"]["version"]
    )
    opened = sealing.open_sealed(clients["client_id"], feed.agency, site.keys).to_pylist()
    told = [accountability.accounting_of(site, feed.agency, number) for number in opened]
    nights_told = {line["night"] for answer in told for line in answer["disclosures"]}
    assert nights_told == {nights.night(1), nights.night(2)}


def test_a_rotation_that_was_interrupted_is_finished_and_nothing_is_lost(nights, after, monkeypatch):
    nights.restore(after)
    store, done = Landing.store_key, []

    def dies(self, drop_id, data_key):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(drop_id)
        store(self, drop_id, data_key)

    monkeypatch.setattr(Landing, "store_key", dies)
    with pytest.raises(KeyboardInterrupt):
        rotation.rotate(site_of(nights), "landing")
    monkeypatch.undo()
    site = site_of(nights)
    drops = [d for feed in site.feeds for d in site.landing.drops(feed)]
    for drop in drops:
        for member in drop.members:
            site.landing.read(drop, member)
    said = rotation.rotate(site, "landing")
    assert said["finished_an_earlier_one"]
    assert (said["version"], said["made_anew"]) == (2, len(drops) - 2)
    again = rotation.rotate(site_of(nights), "landing")
    assert (again["version"], again["made_anew"]) == (3, len(drops))


def test_no_rotation_while_a_night_is_under_way(nights, after):
    nights.restore(after)
    assert nights.run(2, failpoint="link.before_commit:kill") == -9
    with pytest.raises(TerminalError, match="rotate keys between nights"):
        rotation.rotate(site_of(nights), "ids")
    with pytest.raises(TerminalError, match="settings_invalid"):
        rotation.rotate(site_of(nights), "person")


def test_a_backup_from_before_the_rotation_comes_back_with_its_own_versions(nights, after, rotated):
    nights.restore(after)
    assert site_of(nights).keys.versions == {}
    table = pl.DataFrame({"x": ["a"]})["x"].to_arrow()
    assert sealing.seal(pa.array(table), "police", site_of(nights).keys)[0].as_py().startswith("s1:")


# the linkage key ---------------------------------------------------------------------------------------


def token_tables(nights) -> dict[str, pa.Table]:
    site = site_of(nights)
    feeds = site.lake.night(site.lake.nights()[-1])["feeds"]
    return {f: site.lake.read_tokens(r["token_file"]) for f, r in feeds.items() if r["token_file"]}


def words(tables) -> set[int]:
    return {w for t in tables.values() for c in t.columns[3:] for w in c.to_pylist() if w is not None}


def test_t9_every_token_is_another_and_joins_the_same(nights, after):
    nights.restore(after)
    before = token_tables(nights)
    said = rotation.rotate(site_of(nights), "linkage")
    now = token_tables(nights)
    assert (said["made_anew"], said["kept_older"]) == (sum(t.num_rows for t in before.values()), 0)
    assert {m for t in now.values() for m in t["marker"].to_pylist()} == {
        m.replace("t1.", "t2.", 1) for t in before.values() for m in t["marker"].to_pylist()
    }
    assert len(words(before)) == len(words(now)) > 1000
    assert not words(before) & words(now)
    checked = replay.check(site_of(nights))
    assert checked["replayed"], "everything linked anew gives the same persons"


@pytest.mark.parametrize("gone", ["riverside_treatment", "police_records"])
def test_t9_what_cannot_be_made_anew_links_for_an_overlap_window_as_before(nights, after, unrotated, gone):
    """Retention has destroyed what a feed sent: its records keep their older tokens, and a night brings
    more whose tokens are of the newer key."""
    nights.restore(after)
    older = token_tables(nights)
    said = without_drops(nights, gone, lambda site: rotation.rotate(site, "linkage"))
    assert said["kept_older"] == token_tables(nights)[gone].num_rows > 0
    assert marked(nights, gone) == {"t1"}
    assert all(marked(nights, feed) == {"t2"} for feed in token_tables(nights).keys() - {gone})
    assert replay.check(site_of(nights))["replayed"]
    held = words({gone: token_tables(nights)[gone]})
    assert nights.run(2) == 0
    assert crosswalk(nights) == unrotated[1]
    assert delivered(nights) == unrotated[0]
    assert replay.check(site_of(nights))["replayed"], "a night's changes give what linking everything gives"
    with pytest.raises(TerminalError, match="leadhub keys retire"):
        rotation.rotate(site_of(nights), "linkage")
    site, older = site_of(nights), words(older) - held
    assert not older & every_word_kept(nights), "the older key tests no guess on whom needs no overlap"
    rotation.retire(site)
    assert not every_older_kept(nights), "nor on anybody, once it has ended"
    assert {r["overlap_file"] for r in site.lake.night(nights.night(2))["feeds"].values()} == {None}


@pytest.mark.parametrize("gone", ["riverside_treatment", "police_records"])
def test_t9_links_outlive_the_older_tokens(nights, after, unrotated, gone):
    """The window ends: what could not be made anew has no tokens, and stays whose it was."""
    nights.restore(after)
    before = crosswalk(nights)
    older = token_tables(nights)
    without_drops(nights, gone, lambda site: rotation.rotate(site, "linkage"))
    said = rotation.retire(site_of(nights))
    now = token_tables(nights)
    assert said["made_anew"] + said["without_tokens"] == now[gone].num_rows
    assert said["without_tokens"] > 0
    assert marked(nights, gone) == {"t2"}
    assert not words(older) & every_word_kept(nights), "nothing is left of the older key"
    assert files.read_json(site_of(nights).settings.key_state.check)["rotations"][-1]["destroyed"]
    assert replay.check(site_of(nights))["replayed"]
    with pytest.raises(TerminalError, match="no older version"):
        rotation.retire(site_of(nights))
    assert nights.run(2) == 0
    then = {(r["record_id"], r["person_id"]) for r in json.loads(before)}
    now = {(r["record_id"], r["person_id"]) for r in json.loads(crosswalk(nights))}
    twin = {(r["record_id"], r["person_id"]) for r in json.loads(unrotated[1])}
    assert {r for r in then if r[0] in {x for x, _ in now}} <= now | (then - twin), "nobody was parted"


def test_stewards_are_reminded_of_an_older_key_that_is_kept_too_long(nights, after, monkeypatch):
    nights.restore(after)
    assert endings.due(site_of(nights))["text"] == ""
    without_drops(nights, "riverside_treatment", lambda site: rotation.rotate(site, "linkage"))
    assert endings.due(site_of(nights))["text"] == ""
    monkeypatch.setattr(endings.clock, "tonight", lambda _: "2031-01-01")
    said = endings.due(site_of(nights))
    assert "leadhub keys retire" in said["text"]
    endings.told(site_of(nights), said["due"])
    assert "leadhub keys retire" in endings.due(site_of(nights))["text"], "every day until it is done"
    monkeypatch.setenv("LEADHUB_VAR", str(nights.var))
    assert "leadhub keys retire" in CliRunner().invoke(app, ["status"]).output


@pytest.fixture
def carried(nights, after):
    """No token of the DA's first drop outlived a rotation; and two of its defendants with whom the police
    have a record together."""
    nights.restore(after)
    had = set(linkage_tokens.tokenless(token_tables(nights)["da_cases"]))
    without_drops(nights, "da_cases", lambda site: rotation.rotate(site, "linkage"))
    rotation.retire(site_of(nights))
    lost = set(linkage_tokens.tokenless(token_tables(nights)["da_cases"])) - had
    manifest = site_of(nights).lake.night(nights.night(1))
    links = [c for c in manifest["linkage"]["carried"] if len(companions(nights, c["left"])) == 2]
    yield [next(iter({c["left"], c["right"]} & lost)) for c in links if {c["left"], c["right"]} & lost]
    nights.restore()


def test_who_is_sealed_stays_joined_to_nobody_by_a_carried_link_or_a_word(nights, carried):
    """Without tokens, barred by a seal and lost in a rotation look the same."""
    feeds = site_of(nights).lake.night(nights.night(1))["feeds"]
    one, other = [r for r in carried if companions(nights, r) == {"da_cases", "police_records"}][:2]
    persons = pl.DataFrame(json.loads(crosswalk(nights)))
    mate = persons.filter(pl.col("person_id").is_in(_person(persons, other)))
    police = mate.filter(pl.col("feed") == "police_records")["record_id"][0]
    left, right = sorted((police, other))
    pair = review.pair_id(left, right)
    review.decide(site_of(nights), pair, "one", by="Ada", why="seen")
    for record in (one, other):
        seal_all_cases(nights, feeds, record)
    assert nights.run(2) == 0
    assert [companions(nights, r) for r in (one, other)] == [{"da_cases"}] * 2
    assert replay.check(site_of(nights))["replayed"]


def _person(persons: pl.DataFrame, record: str) -> list[str]:
    return persons.filter(pl.col("record_id") == record)["person_id"].to_list()


def companions(nights, record: str) -> set[str]:
    persons = pl.DataFrame(json.loads(crosswalk(nights)))
    return set(persons.filter(pl.col("person_id").is_in(_person(persons, record)))["feed"])


def seal_all_cases(nights, feeds, record: str) -> None:
    lake, versions = site_of(nights).lake, feeds["da_cases"]["tables"]
    persons, cases = (
        pl.DataFrame(pl.from_arrow(lake.read(f"core_da_cases__{t}", versions[t]["version"])))
        for t in ("defendants", "cases")
    )
    who = persons.filter(pl.col("record_id") == record)["defendant_id"]
    path = nights.var / "seals" / f"{nights.night(1)}.json"
    known = files.read_json(path)["seals"] if path.exists() else []
    for case in cases.filter(pl.col("defendant_id").is_in(who.implode()))["da_case_no"]:
        said = dict.fromkeys(COLUMNS) | {"feed": "da_cases", "scope": "CASE", "da_case_no": case}
        said |= {"sealed_under": "CPL_160_50", "seal": f"x{len(known)}", "night": nights.night(1)}
        known.append(said)
    files.write_json(path, {"night": nights.night(1), "seals": known})


def without_drops(nights, feed: str, then):
    site = site_of(nights)
    for drop in site.landing.drops(feed):
        site.landing.destroy(drop)
    return then(site)


def marked(nights, feed: str) -> set[str]:
    return {m.partition(".")[0] for m in token_tables(nights)[feed]["marker"].to_pylist()}


def every_word_kept(nights) -> set[int]:
    """In whatever token file there is."""
    site = site_of(nights)
    root = nights.var / "lake" / "tokens"
    tables = [site.lake.read_tokens(str(p.relative_to(root))) for p in root.rglob("*.enc")]
    columns = [c for t in tables for c in t.columns if pa.types.is_uint64(c.type)]
    return {word for column in columns for word in column.to_pylist()}


def every_older_kept(nights) -> list[str]:
    """Token files that say what a token was under the older key."""
    site, root = site_of(nights), nights.var / "lake" / "tokens"
    names = [str(p.relative_to(root)) for p in root.rglob("*.enc")]
    return [n for n in names if "older" in site.lake.read_tokens(n).column_names]


def test_a_plan_that_was_not_carried_out_stops_everything_but_its_end(
    nights, after, monkeypatch, unrotated
):
    nights.restore(after)
    monkeypatch.setattr(linkage_rotation.key_ring, "rotated", _dies)
    with pytest.raises(KeyboardInterrupt):
        rotation.rotate(site_of(nights), "linkage")
    monkeypatch.undo()
    with pytest.raises(TerminalError, match="unfinished"):
        site_of(nights)
    assert nights.run(2) == 1
    unfinished = open_site(connection_from_environment, Settings(var=nights.var), rotating=True)
    assert rotation.rotate(unfinished, "linkage")["finished_an_earlier_one"]
    assert site_of(nights).keys.versions == {"linkage": 2}
    assert nights.run(2) == 0
    assert crosswalk(nights) == unrotated[1]


def _dies(*_):
    raise KeyboardInterrupt
