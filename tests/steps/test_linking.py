"""A night's linking on the tokens of the nights before: the changes alone under the frozen model, else all.

The feeds' steps are left out: token files and what `close` says of them are written by hand.
"""

from functools import cache

import polars as pl
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from leadhub import cli
from leadhub.foundation import keys as key_ring
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import Settings
from leadhub.identity import linkage, tokens
from leadhub.steps import linking, models, numbers, retraining, review, upkeep
from leadhub.steps.site import Site
from tests.identity import people

OF = {"police_records": "p", "da_cases": "d", "harbor_case_management": "h"}
NIGHTS = [f"2026-11-{n:02d}" for n in range(1, 30)]


@cache
def county(tier: str, noise: float) -> dict[str, pa.Table]:
    """Token tables by feed. With other noise: the same persons, written anew."""
    tables, _ = people.county(1500, {f: people.FEEDS[s] for f, s in OF.items()}, noise, seed=3)
    keys = key_ring.Keys(bytes(range(32)))
    named = {
        f: t.set_column(0, "record_id", pa.array([f"{f}{i}" for i in range(t.num_rows)]))
        for f, t in tables.items()
    }
    return {f: tokens.stored(tokens.tokenise(t, feed=f, keys=keys, tier=tier)) for f, t in named.items()}


class Hub:
    """A site whose feeds bring the token tables that a test gives them."""

    def __init__(self, var, tier="tokens"):
        self.settings = Settings(var=var, linkage_tier=tier)
        self.site = Site(self.settings, key_ring.load(self.settings.root_key, create=True), lambda _: None)
        self.nights = 0

    def night(self, tables: dict[str, pa.Table]) -> dict:
        """Link and commit; gives the receipt of linking."""
        lake, night = self.site.lake, NIGHTS[self.nights]
        for feed in self.site.feeds:
            name = lake.write_tokens(feed, tables[feed]) if feed in tables else None
            quoted = lake.write_tokens(feed, numbers.of_feed(self.site, feed, {}, night))
            said = {"token_file": name, "numbers_file": quoted}
            lake.put_receipt(night, feed, "close", CLOSED | said)
        linking.link(self.site, night)
        said = lake.receipt(night, "night", "link")
        feeds = {f: lake.receipt(night, f, "close") for f in self.site.feeds}
        kept = {k: said[k] for k in ("tables", "person_counter", "linkage")}
        lake.commit_night(night, {"night": night, "feeds": feeds, **kept})
        self.nights += 1
        return said

    def read(self, name: str) -> pa.Table:
        manifest = self.site.lake.night(self.site.lake.nights()[-1])
        return self.site.lake.read(name, manifest["tables"][name])

    def pairs(self) -> pa.Table:
        return review.pairs_of(self.site, self.site.lake.night(self.site.lake.nights()[-1]))

    def persons(self) -> set[frozenset[str]]:
        rows = pl.DataFrame(pl.from_arrow(self.read("crosswalk")))
        return {frozenset(group) for group in rows.group_by("person_id").agg("record_id")["record_id"]}

    def whole(self, tables: dict[str, pa.Table]) -> linkage.Linked:
        """What linking everything gives under the model of the last night."""
        base = self.site.lake.night(self.site.lake.nights()[-1])
        frozen = models.in_force(self.site, base, 0)
        once = frozenset(f for f in self.site.feeds if self.site.feeds[f].one_record_per_person)
        return linkage.link(
            pa.concat_tables(tables.values()),
            one_per_person=once,
            model=frozen.model,
            limits=frozen.limits,
            decided=review.made(self.site),
        )


@pytest.fixture(params=["tokens", "fields"])
def hub(request, tmp_path):
    return Hub(tmp_path / "var", request.param)


def mixed(one: pa.Table, other: pa.Table, every: int) -> pa.Table:
    """Each so many'th record as `other` has it, where it has it."""
    rows = pl.DataFrame(pl.from_arrow(one))
    ids = rows.get_column("record_id").gather_every(every).to_list()
    new = pl.DataFrame(pl.from_arrow(other)).filter(pl.col("record_id").is_in(ids))
    old = rows.join(new, on="record_id", how="anti")
    return pl.concat([old, new.select(old.columns)]).sort("record_id").to_arrow(compat_level=COMPAT)


#: what `close` says of a feed, as far as these tests need it
CLOSED = {
    "status": "complete",
    "reason": None,
    "tables": {},
    "as_of": NIGHTS[0],
    "counts": dict.fromkeys(("read", "accepted", "quarantined"), 0),
}
COMPAT = pl.CompatLevel.oldest()


def test_a_night_compares_what_changed_and_finds_what_comparing_all_would_find(hub):
    tier = hub.settings.linkage_tier
    first, other = county(tier, 0.1), county(tier, 0.4)
    said = hub.night(first)
    assert said["compared_anew"] == said["records"]
    said = hub.night(first)
    assert said["compared_anew"] == 0 == said["events"]
    second = {f: mixed(t, other[f], 25) for f, t in first.items()}
    second["da_cases"] = second["da_cases"].slice(9)  # gone at the source
    said = hub.night(second)
    assert 0 < said["compared_anew"] < 0.1 * said["records"]
    whole = hub.whole(second)
    assert hub.pairs().to_pylist() == whole.pairs.to_pylist()
    clusters = pl.DataFrame(pl.from_arrow(whole.clusters)).group_by("cluster").agg("record_id")
    assert hub.persons() == {frozenset(group) for group in clusters["record_id"]}
    # and a night on which nearly everything is new
    third = {f: mixed(t, other[f], 2) for f, t in second.items()}
    said = hub.night(third)
    assert said["compared_anew"] == said["records"]
    assert hub.pairs().to_pylist() == hub.whole(third).pairs.to_pylist()


def test_a_decision_is_a_change(tmp_path):
    hub, tables = Hub(tmp_path / "var"), county("tokens", 0.1)
    hub.night(tables)
    pair = review.pairs(hub.site, ("linked",)).row(0, named=True)
    review.decide(hub.site, pair["pair"], "two", by="steward", why="two files")
    said = hub.night(tables)
    assert said["compared_anew"] == 2
    assert not any({pair["left"], pair["right"]} <= person for person in hub.persons())
    assert hub.pairs().to_pylist() == hub.whole(tables).pairs.to_pylist()


def test_retraining_changes_nothing_before_a_steward_approves_it(tmp_path, monkeypatch):
    var = tmp_path / "var"
    hub, tables = Hub(var), county("tokens", 0.1)
    monkeypatch.setenv("LEADHUB_VAR", str(var))
    some = {f: t.slice(0, t.num_rows // 2) for f, t in tables.items()}
    first = hub.night(some)
    old = first["linkage"]["model"]
    assert hub.night(tables)["linkage"]["model"] == old
    said = CliRunner().invoke(cli.app, ["linkage", "retrain"])
    assert said.exit_code == 0, said.output
    made = models.proposal(hub.site)
    assert made["name"] in said.output
    assert made["difference"]["persons"][0] == len(hub.persons())
    assert hub.night(tables)["linkage"]["model"] == old
    with pytest.raises(TerminalError, match="no proposal is called"):
        retraining.approve(hub.site, "another", by="a steward", why="better")
    with pytest.raises(TerminalError, match="--by and --why"):
        retraining.approve(hub.site, made["name"], by=" ", why="better")
    order = ["linkage", "approve", made["name"], "--by", "a steward", "--why", "twice the records"]
    said = CliRunner().invoke(cli.app, order)
    assert said.exit_code == 0, said.output
    assert models.proposal(hub.site) is None
    shown = CliRunner().invoke(cli.app, ["linkage", "models"]).output
    assert "from the next night" in shown
    receipt = hub.night(tables)
    assert receipt["linkage"]["model"] == made["model"] != old
    assert receipt["compared_anew"] == receipt["records"]
    assert len(hub.persons()) == made["difference"]["persons"][1]
    assert hub.night(tables)["compared_anew"] == 0
    rows = models.history(hub.site)
    assert [(r["state"], r["first"]) for r in rows] == [("used", NIGHTS[0]), ("in use", NIGHTS[3])]
    assert rows[1]["approved"]["by"] == "a steward"


def test_limits_outlive_retention_as_long_as_a_model_needs_them(tmp_path):
    hub, tables = Hub(tmp_path / "var"), county("tokens", 0.1)
    some = {f: t.slice(0, t.num_rows // 2) for f, t in tables.items()}
    old = hub.night(some)["linkage"]["limits"]["file"]
    hub.night(tables)
    made = retraining.retrain(hub.site)
    _, kept = upkeep._kept(hub.site)
    assert {old, made["limits"]["file"]} <= kept
    hub.site.lake.drop_tokens(["limits", "pairs"], kept)
    retraining.approve(hub.site, made["name"], by="a steward", why="twice the records")
    hub.night(tables)
    _, kept = upkeep._kept(hub.site)
    assert old not in kept
    hub.site.lake.drop_tokens(["limits", "pairs"], kept)
    assert hub.night(tables)["compared_anew"] == 0


def test_a_block_that_outgrew_its_limits_makes_every_night_whole_and_says_so(tmp_path, monkeypatch):
    from leadhub.identity.linkage import candidates

    monkeypatch.setattr(candidates, "MOST_RECORDS", 1)
    var = tmp_path / "var"
    hub, tables = Hub(var), county("tokens", 0.1)
    some = {f: t.slice(0, 2 * t.num_rows // 3) for f, t in tables.items()}
    assert not hub.night(some)["linkage"]["grown"]
    for _ in range(2):
        said = hub.night(tables)
        assert said["linkage"]["grown"]
        assert said["compared_anew"] == said["records"]
    monkeypatch.setenv("LEADHUB_VAR", str(var))
    for order in (["linkage", "models"], ["status"]):
        assert "leadhub linkage retrain" in " ".join(CliRunner().invoke(cli.app, order).output.split())


def test_a_tier_that_the_tokens_do_not_have_stops_the_night(tmp_path):
    hub = Hub(tmp_path / "var", "fields")
    with pytest.raises(TerminalError, match=r"state_invalid: .*tiers"):
        hub.night(county("tokens", 0.1))


def test_a_provisional_model_is_learnt_anew_when_the_records_have_doubled(tmp_path):
    hub, tables = Hub(tmp_path / "var"), county("tokens", 0.1)

    def some(share: float) -> dict[str, pa.Table]:
        return {f: t.slice(0, int(share * t.num_rows)) for f, t in tables.items()}

    first = hub.night(some(0.02))["linkage"]
    assert first["model"]["how"] == "expectation maximisation"
    assert hub.night(some(0.03))["linkage"]["model"] == first["model"]
    assert hub.night(some(0.05))["linkage"]["model"] != first["model"]


def test_of_scored_pairs_casework_sees_the_threshold_they_reach(tmp_path):
    hub = Hub(tmp_path / "var")
    hub.night(county("tokens", 0.1))
    scored, seen = (pl.DataFrame(pl.from_arrow(t)) for t in (hub.pairs(), hub.read("linkage_pairs")))
    assert seen.columns == ["left", "right", "status", "weight_bits"]
    asked = {a.link_evidence.min_bits for a in hub.site.agreements.values() if a.link_evidence}
    levels = {0.0, *(asked - {None})}
    assert set(seen.get_column("weight_bits")) <= levels
    for level in levels:
        either = (t.filter(pl.col("weight_bits") >= level).select("left", "right") for t in (scored, seen))
        assert len({frozenset(t.rows()) for t in either}) == 1
    assert 0 < seen.height < scored.height


def test_a_threshold_that_was_approved_stands_though_the_licence_cannot_be_read(tmp_path):
    """Else a typo would withdraw all that linkage ever joined for that partner."""
    pairs = pl.DataFrame({"left": "a", "right": "b", "status": "linked", "weight_bits": [7.5]}).to_arrow()
    hub = Hub(tmp_path / "var")
    unread = Settings(var=tmp_path / "var", agreements=tmp_path / "none")
    site = Site(unread, hub.site.keys, lambda _: None)
    for approved, seen in (((), 0.0), ((6.0,), 6.0)):
        assert review.without_evidence(site, pairs, approved)["weight_bits"].to_pylist() == [seen]
