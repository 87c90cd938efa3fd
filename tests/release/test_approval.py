"""Two persons, one subject; whatever the order of answers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadhub.foundation.errors import TerminalError
from leadhub.release import approval
from leadhub.release.approval import Terms
from tests.release.dataset import PACKAGE
from tests.release.publishing import content

DATASET = PACKAGE.dataset
DOCUMENTS = {
    "licence": {"cohort": "OWN_CASES", "identifiability": "identified_by_own_id", "columns": ["case_no"]},
    "sharing agreement x": {"valid_until": "2031-12-31"},
}
TERMS = Terms(DATASET, "a__b", "1.0", DOCUMENTS)
LICENCES = [
    TERMS,
    replace(TERMS, documents=DOCUMENTS | {"licence": {**DOCUMENTS["licence"], "columns": []}}),
    replace(TERMS, documents=DOCUMENTS | {"sharing agreement x": {"valid_until": "2032-12-31"}}),
]
documents = st.dictionaries(
    st.sampled_from(["licence", "memorandum m", "partner's key"]),
    st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 2), max_size=3),
)
answers = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from(["proposed", "approved", "refused"]), st.sampled_from("ABC")
    ),
    max_size=12,
)


@given(answers)
def test_approved_means_the_last_subject_that_two_different_people_agreed_on(given_answers):
    chain, current = [], None
    proposer: dict[int, str | None] = {}
    for number, role, by in given_answers:
        terms = LICENCES[number]
        now = approval.standing(chain, DATASET, terms.subject)
        try:
            approval.check_answer(now, role, by)
        except TerminalError:
            continue
        chain.append(approval.entry(terms, role, by, None))
        if role == "proposed":
            proposer[number] = by
        elif role == "refused":
            proposer[number] = None
        else:
            assert proposer[number] not in (None, by)
            current = number
    for number, terms in enumerate(LICENCES):
        assert approval.standing(chain, DATASET, terms.subject).approved == (number == current)


def test_another_dataset_of_the_partner_has_answers_of_its_own():
    chain = [approval.entry(TERMS, "proposed", "A", None), approval.entry(TERMS, "approved", "B", None)]
    assert approval.standing(chain, DATASET, TERMS.subject).approved
    assert approval.standing(chain, "other", TERMS.subject).state == "new"


@pytest.mark.parametrize("other", [" a. steward", "A. STEWARD"])
def test_one_person_is_one_person_however_they_write_themselves(other):
    now = approval.standing([approval.entry(TERMS, "proposed", "A. Steward", None)], DATASET, TERMS.subject)
    with pytest.raises(TerminalError, match="second person"):
        approval.check_answer(now, "approved", other)


@given(documents, documents)
def test_what_differs_is_named_and_nothing_else_asks(before, now):
    one, other = (replace(TERMS, documents=d) for d in (before, now))
    told = approval.differences(before, now)
    assert bool(told) == (one.subject != other.subject)
    assert {line.partition(": ")[0] for line in told} == {
        name for name in before.keys() | now.keys() if before.get(name) != now.get(name)
    }
    assert approval.differences(None, now) == []


def test_a_preview_counts_and_names_no_value():
    state = (("DA-1", "ENROLLED"), ("DA-2", "NO_INFORMATION"))
    shown = approval.preview(
        PACKAGE, content(state), None, None, terms=DOCUMENTS, stated=["diversion_status"]
    )
    assert (shown["rows"], shown["persons"], shown["resting_on_consent"]) == (2, 2, 1)
    told = approval.preview(
        PACKAGE,
        content((("DA-1", "NO_INFORMATION"), ("DA-3", "ENROLLED"))),
        content(state).rows,
        LICENCES[2].documents,
        terms=DOCUMENTS,
        stated=["diversion_status"],
    )
    assert told["facts_changed"] == ["sharing agreement x: valid_until"]
    for text in (str(shown), str(told), approval.markdown(told, approval.Standing("proposed", "A"))):
        assert "DA-" not in text
        assert "ENROLLED" not in text
    assert "proposed by **A**" in approval.markdown(told, approval.Standing("proposed", "A"))
    assert approval.digest(shown) != approval.digest(told)


@pytest.mark.parametrize(
    ("proposes", "approves", "one"),
    [
        ("alice", "Alice ", True),
        ("alice", approval.at_login("alice", "u1"), True),
        (approval.at_login("alice", "u1"), approval.at_login("alice", "u2"), True),
        (approval.at_login("alice", "u1"), approval.at_login("bob", "u1"), True),
        (approval.at_login("alice", "u1"), approval.at_login("bob", "u2"), False),
        ("alice", approval.at_login("bob", "u1"), False),
    ],
)
def test_one_person_under_two_names_or_logins_is_one(proposes, approves, one):
    now = approval.Standing("proposed", proposes)
    if one:
        with pytest.raises(TerminalError, match="second person"):
            approval.check_answer(now, "approved", approves)
    else:
        approval.check_answer(now, "approved", approves)
