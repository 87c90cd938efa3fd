"""Four people, what everybody says about them, and an oracle of what the District Attorney may have.

The oracle reads the facts below and nothing of the hub: a few lines of the law in plain Python.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from tests.casework.desk import Desk

DA, CATEGORY = "district_attorney", "PROGRAMME_STATUS"
PEOPLE = (1, 2, 3, 4)
#: clients of a Part 2 programme; the others are not
PATIENTS = (1, 2)
PROCEEDING = "PART2_CJ_2_35"
FEED = "harbor_case_management"


@dataclass
class Line:
    """A line of a consent."""

    client: int
    consent_type: str
    recipient: str
    signed_on: date
    expires_on: date | None
    revoked_on: date | None = None
    #: does its provider still send it?
    sent: bool = True
    #: what the hub has seen of it: that it was revoked, and that its proceeding had ended
    seen_revoked_on: date | None = None
    seen_ended: bool = False


@dataclass
class County:
    today: date
    lines: list[Line] = field(default_factory=list)
    completed: set[int] = field(default_factory=lambda: set(PEOPLE))
    #: person → day on which their case was disposed of
    disposed: dict[int, date] = field(default_factory=dict)
    #: whose disposition says tonight that it is sealed, and whose ever did
    sealed: set[int] = field(default_factory=set)
    ever_sealed: set[int] = field(default_factory=set)
    #: whose case the office's system still has
    cases: set[int] = field(default_factory=lambda: set(PEOPLE))
    #: table and person (None: nobody) of rows that were refused, and that nobody has put right
    refused: set[tuple[str, int | None]] = field(default_factory=set)

    # the oracle -----------------------------------------------------------------------------------

    def may_be_there(self) -> set[int]:
        """Whose row the District Attorney may have at all: a case that was never sealed, nor may be now."""
        return self.cases - self.ever_sealed - {n for t, n in self.refused if t == "dispositions" and n}

    def may_be_told(self) -> set[int]:
        """Of whom the programme's statement may be told."""
        doubted = {n for t, n in self.refused if t == "consents"}
        known = set() if None in doubted else self.may_be_there() & self.completed - doubted
        return {n for n in known if any(map(self._counts, self._of(n)))}

    def _of(self, number: int) -> list[Line]:
        return [li for li in self.lines if li.client == number and li.recipient == DA]

    def _counts(self, line: Line) -> bool:
        kinds = {"PART2_SPECIFIC", PROCEEDING}
        if line.client not in PATIENTS:
            kinds |= {"LEAD_ROI"}
        said = [li.revoked_on if li.sent else li.seen_revoked_on for li in self._of(line.client)]
        taken_back = [day for day in said if day]
        if line.consent_type not in kinds or line.signed_on > self.today or not line.sent:
            return False
        if any(line.signed_on <= day for day in taken_back) or line.revoked_on:
            return False
        if line.consent_type == PROCEEDING:
            return not line.seen_ended and self.disposed.get(line.client, date.max) > self.today
        return line.expires_on is not None and self.today <= line.expires_on

    def is_seen(self) -> None:
        """A night has read it all: what was over is over, whoever forgets it (42 CFR 2.31(a), 2.35(c))."""
        for line in self.lines:
            if line.sent:
                told = [day for day in (line.revoked_on, line.seen_revoked_on) if day]
                line.seen_revoked_on = max(told, default=None)
                ended = self.disposed.get(line.client, date.max) <= self.today
                bound = line.consent_type == PROCEEDING and line.client in self.cases
                line.seen_ended |= bound and ended

    # what the agencies send -----------------------------------------------------------------------

    def desk(self) -> Desk:
        desk = Desk()
        for n in PEOPLE:
            desk.referred(str(n), f"person{n}").client(str(n), f"person{n}", feed=FEED, part2=n in PATIENTS)
            if n in self.cases:
                desk.case(str(n), f"person{n}")
                # a docket is known by what has happened in it
                desk.rows["da", "charges"][-1]["filed_on"] = date(2026, 10, 5)
                if n in self.disposed:
                    day = self.disposed[n].isoformat()
                    under = "CPL_160_50" if n in self.sealed else None
                    desk.disposed(str(n), "DISMISSED", day, under)
            outcome = "COMPLETED" if n in self.completed else "NO_SHOW"
            desk.intake(str(n), outcome, "2026-10-20", feed=FEED)
        for number, line in enumerate(self.lines):
            if not line.sent:
                continue
            bound = line.consent_type == PROCEEDING
            desk.consent(
                str(line.client),
                feed=FEED,
                consent_id=f"N{number}",
                consent_type=line.consent_type,
                recipient=line.recipient,
                docket_no=f"CR{line.client}" if bound else None,
                signed_on=line.signed_on,
                expires_on=None if bound else line.expires_on,
                expiry_event="FINAL_DISPOSITION" if bound else None,
                revoked_at=None if line.revoked_on is None else _noon(line.revoked_on),
            )
        return desk

    def pass_days(self, days: int) -> None:
        self.today += timedelta(days=days)


def _noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 14, tzinfo=UTC)
