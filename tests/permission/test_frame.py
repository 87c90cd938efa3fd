"""Three tiers: what a licence says is covered by sharing agreements, and those by a memorandum."""

from datetime import date, timedelta
from types import SimpleNamespace

import pytest
import yaml

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import REPOSITORY
from leadhub.intake import feeds
from leadhub.permission import agreements, frame
from schemas import releases
from schemas.contract import facts
from tests.permission.agreement import agreement

FOLDER = REPOSITORY / "agreements"
FRAME = frame.load(FOLDER)
AGENCIES = {f: feed.agency for f, feed in feeds.load_all(REPOSITORY / "feeds").items()}
LICENCES = agreements.load_all(FOLDER).found
STATUS = facts(releases.RELEASES["diversion_status"])
DAY = date(2026, 11, 20)


def changed_frame(name: str, **changed) -> frame.Frame:
    sharing = FRAME.sharing[name].model_copy(update=changed)
    return frame.Frame(FRAME.memoranda, {**FRAME.sharing, name: sharing})


@pytest.mark.parametrize("licence", LICENCES.values(), ids=LICENCES)
def test_each_licence_is_covered_and_in_force(licence):
    frame.check(licence, FRAME, AGENCIES, facts(releases.RELEASES[licence.dataset]))
    frame.check_in_force(licence, FRAME, DAY)


def test_every_feed_that_brings_persons_is_under_an_agreement():
    assert {f for s in FRAME.sharing.values() for f in s.feeds} == set(AGENCIES)


@pytest.mark.parametrize(
    ("sharing", "changed", "said"),
    [
        ("police_data", {"purposes": ["CARE_COORDINATION"]}, "purpose DIVERSION_COORDINATION"),
        ("police_data", {"datasets": ["referral_outcomes"]}, "dataset diversion_status"),
        ("police_data", {"feeds": ["police_records", "da_cases"]}, "of another agency"),
        ("harbor_case_management_data", {"protections": []}, "protection class of ['diversion_status'"),
    ],
)
def test_g6_what_a_sharing_agreement_does_not_cover_does_not_leave(sharing, changed, said):
    with pytest.raises(TerminalError, match="agreement_invalid") as caught:
        frame.check(agreement(), changed_frame(sharing, **changed), AGENCIES, STATUS)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("under", "said"),
    [(["police_data"], "inputs ['da_cases']"), (["police_data", "hearsay"], "not there: ['hearsay']")],
)
def test_a_licence_names_what_covers_it(under, said):
    with pytest.raises(TerminalError, match="agreement_invalid") as caught:
        frame.check(agreement(under=under), FRAME, AGENCIES, STATUS)
    assert said in caught.value.message


def test_a_feed_that_nothing_covers_is_not_used():
    assert FRAME.feeds(agreement(under=["police_data"])) == {"police_records"}


@pytest.mark.parametrize(
    "tier", ["district_attorney__diversion_status", "harbor_case_management_data", "lead"]
)
def test_t10_each_tier_must_be_in_force(tier):
    licence, held = LICENCES["district_attorney__diversion_status"], FRAME
    ended = {"valid_until": date(2026, 11, 19)}
    if tier in held.sharing:
        held = changed_frame(tier, **ended)
    elif tier in held.memoranda:
        held = frame.Frame({tier: held.memoranda[tier].model_copy(update=ended)}, held.sharing)
    else:
        licence = licence.model_copy(update=ended)
    frame.check_in_force(licence, held, date(2026, 11, 19))
    with pytest.raises(TerminalError, match="agreement_not_in_force") as caught:
        frame.check_in_force(licence, held, DAY)
    assert f"[{tier}]" in caught.value.message


@pytest.mark.parametrize(
    ("days", "told"), [(61, None), (60, 60), (31, 60), (30, 30), (8, 30), (7, 7), (-1, 7)]
)
def test_stewards_are_told_sixty_thirty_and_seven_days_before(days, told):
    held = changed_frame("police_data", valid_until=DAY + timedelta(days=days))
    found = frame.ending(LICENCES.values(), held, DAY)
    assert found == ({"police_data": (DAY + timedelta(days=days), told)} if told else {})


def written(tmp_path, **changed):
    (tmp_path / "sharing").mkdir()
    (tmp_path / "memoranda").mkdir()
    lead = FRAME.memoranda["lead"].model_dump(mode="json")
    (tmp_path / "memoranda" / "lead.yaml").write_text(yaml.safe_dump(lead))
    told = FRAME.sharing["police_data"].model_dump(mode="json") | changed
    (tmp_path / "sharing" / "police_data.yaml").write_text(yaml.safe_dump(told))
    return tmp_path


def test_what_is_written_is_what_is_read(tmp_path):
    assert frame.load(written(tmp_path)).sharing == {"police_data": FRAME.sharing["police_data"]}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"memorandum": "none"}, "no memorandum"),
        ({"purposes": ["PROSECUTION"]}, "purposes"),
        ({"protections": ["SECRET"]}, "protections"),
        ({"id": "another"}, "named after its id"),
        ({"redisclosure": "freely"}, "redisclosure"),
    ],
)
def test_g6_refused_with_file_and_key(tmp_path, changed, said):
    held = frame.load(written(tmp_path, **changed))
    with pytest.raises(TerminalError, match="agreement_invalid") as caught:
        held.over(agreement(under=["police_data"]))
    assert held.sharing == {}
    assert "police_data.yaml" in caught.value.message or "another.yaml" in caught.value.message
    assert said in caught.value.message


def test_no_purpose_beyond_the_memorandum(tmp_path):
    folder = written(tmp_path)
    path = folder / "memoranda" / "lead.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"purposes": ["REFERRAL_FEEDBACK"]}))
    with pytest.raises(TerminalError, match="CARE_COORDINATION"):
        frame.load(folder).over(agreement(under=["police_data"]))


def test_a_document_that_cannot_be_read_stops_what_rests_on_it_and_nothing_else(tmp_path):
    folder = written(tmp_path)
    (folder / "sharing" / "da_data.yaml").write_text("id: da_data\n  title: indented\n")
    held = frame.load(folder)
    assert held.feeds(agreement(under=["police_data"])) == {"police_records"}
    with pytest.raises(TerminalError, match=r"\[da_data.yaml\] is not YAML at line 2.*leadhub check"):
        held.over(agreement(under=["police_data", "da_data"]))
    # what is under a memorandum falls with it, and says why
    (folder / "memoranda" / "lead.yaml").write_bytes(b"title: Caf\xe9")
    with pytest.raises(TerminalError, match=r"\[lead.yaml\] is not in UTF-8"):
        frame.load(folder).over(agreement(under=["police_data"]))
    assert set(frame.load(folder).faults) == {"memoranda/lead", "sharing/police_data", "sharing/da_data"}


@pytest.mark.parametrize(("days", "told"), [(61, False), (60, True), (7, True), (-1, True)])
def test_the_end_of_a_court_s_order_is_told_of_alike(days, told):
    last = DAY + timedelta(days=days)
    licence = agreement().model_copy(update={"court_order": SimpleNamespace(ends_on=last)})
    name = f"court order of {licence.id}"
    found = frame.ending([licence.model_copy(update={"valid_until": DAY.replace(year=2031)})], FRAME, DAY)
    assert (name in found) == told
    assert not told or found[name][0] == last
