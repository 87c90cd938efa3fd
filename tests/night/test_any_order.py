"""Consents, revocations, seals, licences and nights in any order: the District Attorney never holds a row
that the state at that moment forbids, and always the ones it allows. Real steps, real lake, real SFTP;
against the oracle of `county_of_four`.
"""

import os
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from leadhub.foundation import clock
from leadhub.foundation.errors import TerminalError
from leadhub.steps import approvals, publish
from tests.night.conftest import Nights
from tests.night.county_of_four import DA, PEOPLE, PROCEEDING, County, Line
from tests.night.hub_of_four import LICENCE, Hub

pytestmark = pytest.mark.timeout(600)
people = st.sampled_from(PEOPLE)


class AnyOrder(RuleBasedStateMachine):
    nights: Nights
    agreements: Path
    #: nights on which something was told, withdrawn, held back: a run that saw none of them proves nothing
    seen: Counter

    @initialize()
    def begin(self):
        self.hub = Hub(self.nights, self.agreements)
        self.county = County(date.fromisoformat(self.nights.night(1)))
        self.approved = ""
        self.set_clock()
        for client in PEOPLE[:3]:
            day = self.county.today
            self.county.lines.append(Line(client, "PART2_SPECIFIC", DA, day, day + timedelta(days=9)))
        self.two_people_approve()
        self.night(0)

    def set_clock(self):
        os.environ[clock.VARIABLE] = f"{self.county.today}T17:00:00+00:00"

    @rule(
        client=people,
        kind=st.sampled_from(["PART2_SPECIFIC", "LEAD_ROI", PROCEEDING]),
        recipient=st.sampled_from([DA, DA, DA, "police"]),
        signed=st.integers(-3, 2),
        lasts=st.integers(0, 8),
    )
    def consents(self, client, kind, recipient, signed, lasts):
        on = self.county.today + timedelta(days=signed)
        self.county.lines.append(Line(client, kind, recipient, on, on + timedelta(days=lasts)))

    @rule(which=st.integers(0, 20), earlier=st.integers(0, 2))
    def revokes(self, which, earlier):
        lines = self.county.lines
        lines[which % len(lines)].revoked_on = self.county.today - timedelta(days=earlier)

    @rule(which=st.integers(0, 20))
    def the_provider_takes_a_line_out_or_sends_it_again(self, which):
        line = self.county.lines[which % len(self.county.lines)]
        line.sent = not line.sent

    @rule(
        table=st.sampled_from(["consents", "consents", "dispositions"]),
        who=st.one_of(people, people, st.none()),
    )
    def a_row_is_refused(self, table, who):
        self.county.refused.add((table, who))

    @rule(who=people)
    def good_or_bad_news(self, who):
        self.county.completed ^= {who}

    @rule(who=people, sealed=st.booleans())
    def disposition(self, who, sealed):
        if who in self.county.cases:
            self.county.disposed[who] = self.county.today
            if sealed:
                self.county.sealed |= {who}
                self.night(0)

    @precondition(lambda self: self.county.sealed)
    @rule()
    def the_office_forgets_its_seals(self):
        self.county.sealed.clear()

    @rule(who=people)
    def the_office_forgets_a_disposition(self, who):
        self.county.disposed.pop(who, None)
        self.county.sealed.discard(who)

    @rule(who=people)
    def the_office_takes_out_or_sends_again(self, who):
        self.county.cases ^= {who}

    @rule(text=st.sampled_from(["original", "original", "version", "lapsed", "unreadable"]))
    def the_licence_changes(self, text):
        old = self.hub.original
        new = {
            "original": old,
            "version": old.replace('version: "1.0"', 'version: "1.1"'),
            "lapsed": old.replace("valid_until: 2031-12-31", "valid_until: 2026-01-02"),
            "unreadable": old.replace("purpose: ", "purpose: : "),
        }
        self.hub.licence.write_text(new[text])

    def readable(self):
        return "purpose: : " not in self.hub.licence.read_text()

    @precondition(readable)
    @rule()
    def two_people_approve(self):
        site = self.hub.site
        if not approvals.standing(site, LICENCE).approved:
            approvals.answer(site, LICENCE, "proposed", by="A")
            approvals.answer(site, LICENCE, "approved", by="B")
        self.approved = self.hub.licence.read_text()

    @precondition(readable)
    @rule()
    def one_person_is_not_enough(self):
        site = self.hub.site
        if not approvals.standing(site, LICENCE).approved:
            approvals.answer(site, LICENCE, "proposed", by="A")
            with pytest.raises(TerminalError, match="approval_refused"):
                approvals.answer(site, LICENCE, "approved", by="A")

    @rule(old_input=st.sampled_from([0, 0, 0, 9]))
    def a_night(self, old_input):
        self.night(old_input)

    @rule()
    def another_night(self):
        self.night(0)

    @rule()
    def yet_another_night(self):
        self.night(0)

    def night(self, old_input):
        county, hub = self.county, self.hub
        county.pass_days(1)
        self.set_clock()
        night = hub.bring_in(county, county.today - timedelta(days=old_input))
        # the hub saw the seal tonight: from now on it is remembered
        county.ever_sealed |= county.sealed & county.cases
        county.is_seen()
        text = hub.licence.read_text()
        lapsed, approved = "2026-01-02" in text or not self.readable(), text == self.approved
        may = not lapsed and not old_input and approved
        self.publish(night, "stopped" if lapsed or old_input else "may" if approved else "waits")
        before = dict(hub.held)
        hub.load()
        there = {f"C{n}" for n in county.may_be_there()}
        told = {f"C{n}" for n in county.may_be_told()}
        spoken = {case for case, status in hub.held.items() if status != "NO_INFORMATION"}
        assert hub.held.keys() <= there, "a row that may not be there"
        assert spoken <= told, "a statement that nobody consents to now"
        self.seen["told"] += may and bool(spoken)
        self.seen["withdrawn"] += not may and hub.held != before
        if may:
            assert hub.held.keys() == there
            assert spoken == told
        else:
            assert hub.held.items() <= before.items(), "something new left"
        # put right by the next drop
        county.refused.clear()

    def publish(self, night, expected):
        site = self.hub.site
        if expected == "stopped":
            with pytest.raises(
                TerminalError, match=r"agreement_not_in_force|agreement_invalid|stale_input"
            ):
                publish.stage(site, LICENCE, night)
        elif expected == "waits":
            assert publish.stage(site, LICENCE, night)["status"] == approvals.AWAITING
            with pytest.raises(TerminalError, match="approval_pending"):
                publish.deliver(site, LICENCE, night)
        else:
            publish.stage(site, LICENCE, night)
            publish.deliver(site, LICENCE, night)

    @invariant()
    def nothing_arrives_between_nights(self):
        if hasattr(self, "hub"):
            before = dict(self.hub.held)
            self.hub.load()
            assert self.hub.held == before


def test_any_order(nights, tmp_path, monkeypatch):
    monkeypatch.setenv(clock.VARIABLE, clock.now().isoformat())
    facts = {"nights": nights, "agreements": tmp_path / "agreements", "seen": Counter()}
    chosen = settings(
        max_examples=12,
        stateful_step_count=18,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    seen = facts["seen"]
    try:
        # a dozen histories do not always have one that matters: then another dozen
        for _ in range(4):
            run_state_machine_as_test(type("AnyOrder", (AnyOrder,), facts), settings=chosen)
            if seen["told"] > 12 and seen["withdrawn"]:
                break
    finally:
        nights.restore()
    assert seen["told"] > 12
    assert seen["withdrawn"] > 0
