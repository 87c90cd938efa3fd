"""A night is staged, delivered and recorded once; the same state again sends nothing, another does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation import ledger
from leadhub.foundation.errors import TerminalError, TransientError
from leadhub.foundation.lease import lease
from leadhub.release import accounting, changes, encoding, package
from tests.release.dataset import COLUMNS, PACKAGE
from tests.release.publishing import (
    NEXT,
    NIGHT,
    ONE,
    TWO,
    all_bytes,
    content,
    delivered,
    identity,
    manifest,
    new_office,
    opened,
    sealed,
    told,
)

# a night, and the nights after ------------------------------------------------------------------------


def test_a_night_is_staged_delivered_and_recorded(partner):
    staged = partner.stage(NIGHT, ONE)
    assert staged["status"] == "staged"
    assert partner.kinds() == []
    assert not delivered(partner)
    receipt = partner.deliver(staged)
    assert receipt["status"] == "committed"
    assert receipt["remote"] == f"diversion_status/000001_{NIGHT}"
    assert (receipt["sequence"], receipt["rows"]) == (1, 3)
    assert receipt["ledger"]["hash"] == ledger.head(partner.chain).hash
    assert partner.kinds() == [("intent", 1), ("committed", 1)]
    assert told(partner, f"000001_{NIGHT}")["case_no"].to_pylist() == ["DA-1", "DA-2", "DA-3"]
    assert manifest(partner, f"000001_{NIGHT}")["changes"] is None


def test_the_next_night_brings_its_changes(partner):
    partner.publish(NIGHT, ONE)
    partner.publish(NEXT, TWO)
    assert partner.kinds() == [("intent", 1), ("committed", 1), ("intent", 2), ("committed", 2)]
    found = told(partner, f"000002_{NEXT}", "diversion_status_changes")
    assert list(zip(found["op"].to_pylist(), found["case_no"].to_pylist())) == [
        ("withdraw", "DA-2"),
        ("withdraw", "DA-3"),
        ("update", "DA-1"),
        ("insert", "DA-2"),
        ("insert", "DA-4"),
    ]
    assert manifest(partner, f"000002_{NEXT}")["previous_sequence"] == 1


STATE = st.dictionaries(
    st.sampled_from([f"DA-{n}" for n in range(5)]),
    st.sampled_from(["NO_INFORMATION", "INTAKE_COMPLETE", "ENROLLED"]),
    min_size=1,
).map(lambda d: tuple(sorted(d.items())))


@settings(max_examples=8, deadline=None)
@given(states=st.lists(STATE, min_size=2, max_size=3))
def test_applying_each_change_file_gives_each_snapshot(tmp_path_factory, keys, states):
    partner = new_office(tmp_path_factory.mktemp("office"), keys)
    held = None
    for number, state in enumerate(states, start=1):
        night = f"2026-11-{number:02d}"
        partner.publish(night, state)
        snapshot = told(partner, f"{number:06d}_{night}")
        if held is not None:
            steps = told(partner, f"{number:06d}_{night}", "diversion_status_changes")
            assert changes.apply(held, steps, key=["case_no"]).equals(snapshot)
        held = snapshot


def test_opened_ids_do_not_stay_in_the_hub(partner):
    receipt = partner.publish(NIGHT, ONE)
    folder = partner.releases / f"000001_{receipt['release_id']}"
    assert {p.name for p in (folder / "package").iterdir()} == set(package.PROOF)
    kept = all_bytes(partner.var / "releases")
    assert b"DA-3" in all_bytes(partner.outbox)
    # the fake person ids of this test hold the case number; nothing else does
    assert b"DA-3" not in kept.replace(b"p1:DA-3", b"").replace(b"c:DA-3", b"")
    assert partner.publication().latest().rows["case_no"].to_pylist() == sorted(sealed(c) for c, _ in ONE)


def test_only_the_latest_rows_are_kept(partner):
    for night, state in ((NIGHT, ONE), (NEXT, TWO)):
        partner.publish(night, state)
    assert [p.parent.parent.name[:6] for p in partner.releases.glob("*/inside/rows_sealed.parquet")] == [
        "000002"
    ]
    assert len(list(partner.releases.glob("*/inside/accounting.parquet"))) == 2


def test_after_a_change_of_columns_the_partner_loads_the_whole(partner):
    partner.publish(NIGHT, ONE)
    found = content(TWO)
    fewer = replace(PACKAGE, columns=COLUMNS[:3], night=NEXT)
    receipt = partner.publication().stage(
        fewer,
        identity(fewer),
        lambda: replace(found, rows=found.rows.drop_columns(["note"])),
        open_ids=opened,
        stated=["diversion_status"],
    )
    partner.deliver(receipt)
    assert manifest(partner, f"000002_{NEXT}")["changes"] is None


def test_a_dataset_without_rows_is_a_delivery_like_any_other(partner):
    receipt = partner.publish(NIGHT, ())
    assert receipt["rows"] == 0
    assert told(partner, f"000001_{NIGHT}").num_rows == 0
    partner.publish(NEXT, ONE)
    partner.publish("2026-11-22", ())
    found = told(partner, "000003_2026-11-22", "diversion_status_changes")
    assert found["op"].to_pylist() == ["withdraw"] * 3


# same again, changed state -----------------------------------------------------------------------------


def test_f33_the_same_state_again_returns_the_same_receipt(partner):
    first = partner.publish(NIGHT, ONE)
    before = (all_bytes(partner.var), all_bytes(partner.outbox))
    assert partner.stage(NIGHT, ONE) == first
    assert partner.publish(NIGHT, ONE) == first
    assert (all_bytes(partner.var), all_bytes(partner.outbox)) == before
    assert len(partner.deliveries()) == 1


def test_g2_the_same_state_elsewhere_is_the_same_release(tmp_path, keys):
    one, other = (new_office(tmp_path / name, keys) for name in ("one", "other"))
    assert one.publish(NIGHT, ONE)["release_id"] == other.publish(NIGHT, ONE[::-1])["release_id"]
    for path in (one.outbox / PACKAGE.dataset / f"000001_{NIGHT}").iterdir():
        if path.name != package.SIGNATURE:
            twin = other.outbox / path.relative_to(one.outbox)
            assert path.read_bytes() == twin.read_bytes()


def test_the_release_id_names_night_agreement_terms_inputs_and_restrictions():
    def name(facts=PACKAGE, inputs="i", restrictions="r"):
        return identity(facts, inputs, restrictions).release_id

    other = [
        name(replace(PACKAGE, night=NEXT)),
        name(replace(PACKAGE, agreement_sha256="b" * 64)),
        name(inputs="j"),
        name(restrictions="s"),
        replace(identity(PACKAGE, "i", "r"), terms_sha256="t").release_id,
    ]
    assert name() == name()
    assert len({name(), *other}) == 6


def test_a_changed_state_of_the_night_supersedes(partner):
    partner.publish(NIGHT, ONE)
    receipt = partner.publish(NIGHT, TWO, restrictions="revoked")
    assert receipt["sequence"] == 2
    assert partner.kinds()[2:] == [("intent", 2), ("superseded", 1), ("committed", 2)]
    assert delivered(partner) == [f"000001_{NIGHT}", f"000002_{NIGHT}"]


def test_silence_a_restriction_that_this_partner_cannot_see_makes_no_delivery(partner):
    first = partner.publish(NIGHT, ONE)
    before = (partner.chain.read_bytes(), all_bytes(partner.outbox))
    receipt = partner.stage(NIGHT, ONE[::-1], restrictions="somebody revoked", inputs="i1")
    assert receipt == first | {"status": "unchanged"}
    assert partner.deliver(receipt) == first
    assert (partner.chain.read_bytes(), all_bytes(partner.outbox)) == before


def test_t3_silence_no_byte_depends_on_hidden_inputs(tmp_path, keys):
    one, other = (new_office(tmp_path / name, keys) for name in ("one", "other"))
    one.publish(NIGHT, ONE, restrictions="a", inputs="with a treatment record")
    other.publish(NIGHT, ONE, restrictions="b", inputs="without")
    for path in (one.outbox / PACKAGE.dataset / f"000001_{NIGHT}").iterdir():
        if path.name != package.SIGNATURE:
            assert path.read_bytes() == (other.outbox / path.relative_to(one.outbox)).read_bytes()


def test_a_state_that_returns_is_a_new_release(partner):
    partner.publish(NIGHT, ONE, restrictions="consented")
    partner.publish(NIGHT, TWO, restrictions="revoked")
    third = partner.publish(NIGHT, ONE, restrictions="consented")
    assert third["sequence"] == 3
    assert partner.publish(NIGHT, ONE, restrictions="consented") == third
    assert told(partner, f"000003_{NIGHT}")["case_no"].to_pylist() == ["DA-1", "DA-2", "DA-3"]
    assert [k for k in partner.kinds() if k[0] == "superseded"] == [("superseded", 1), ("superseded", 2)]
    assert len(accounting.disclosures(partner.var, "p1:DA-3")) == 2


def test_f10_an_earlier_night_comes_too_late(partner):
    partner.publish(NEXT, ONE)
    with pytest.raises(TerminalError, match="out_of_order"):
        partner.stage(NIGHT, TWO)


def test_f34_a_state_that_passed_before_delivery_is_never_delivered(partner):
    stale = partner.stage(NIGHT, ONE, restrictions="consented")
    fresh = partner.stage(NIGHT, TWO, restrictions="revoked")
    assert fresh["sequence"] == stale["sequence"] == 1
    with pytest.raises(TransientError, match="not_ready"):
        partner.deliver(stale)
    partner.deliver(fresh)
    assert "DA-3" not in told(partner, f"000001_{NIGHT}")["case_no"].to_pylist()
    assert len(list(partner.releases.glob("0*"))) == 1


def test_f45_an_agreement_edited_after_staging_stops_the_release(partner):
    staged = partner.stage(NIGHT, ONE)
    with pytest.raises(TerminalError, match="agreement_changed"):
        partner.publication().deliver(staged["release_id"], agreement_sha256="b" * 64)
    assert partner.kinds() == []
    assert not delivered(partner)


def test_what_was_never_staged_is_not_delivered(partner):
    with pytest.raises(TransientError, match="not_ready"):
        partner.publication().deliver("0" * 16, agreement_sha256="a" * 64)


def test_g3_a_row_that_is_not_accounted_for_stops_the_release(partner):
    found = content(ONE)
    short = replace(found, grounds=found.grounds.slice(1))
    with pytest.raises(TerminalError, match="counts_differ"):
        partner.publication().stage(
            PACKAGE,
            identity(PACKAGE),
            lambda: short,
            open_ids=lambda table: table,
            stated=[],
        )
    assert [p.name for p in partner.releases.iterdir()] == ["release.lock"]


def test_a_staged_package_that_was_touched_is_not_delivered_but_made_again(partner):
    staged = partner.stage(NIGHT, ONE)
    target = next(partner.releases.glob("0*/package/diversion_status.csv"))
    target.write_bytes(target.read_bytes().replace(b"DA-1", b"DA-7"))
    with pytest.raises(TerminalError, match="signature_invalid"):
        partner.deliver(staged)
    assert partner.kinds() == []
    assert partner.publish(NIGHT, ONE)["sequence"] == 1
    assert told(partner, f"000001_{NIGHT}")["case_no"].to_pylist() == ["DA-1", "DA-2", "DA-3"]


def test_f31_two_runs_at_once_do_not_both_publish(partner):
    with lease(partner.releases, "release"), pytest.raises(TransientError, match="lease_held"):
        partner.stage(NIGHT, ONE)


def test_changed_kept_rows_are_found(partner):
    partner.publish(NIGHT, ONE)
    path = next(partner.releases.glob("*/inside/rows_sealed.parquet"))
    path.write_bytes(encoding.parquet(encoding.read_parquet(path.read_bytes()).slice(1)))
    with pytest.raises(TerminalError, match="state_invalid"):
        partner.publish(NEXT, TWO)
