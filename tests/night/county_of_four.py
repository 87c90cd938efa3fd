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

    # the oracle -----------------------------------------------------------------------------------

    def may_be_there(self) -> set[int]:
        """Whose row the District Attorney may have at all: a case that was never sealed."""
        return self.cases - self.ever_sealed

    def may_be_told(self) -> set[int]:
        """Of whom the programme's statement may be told."""
        return {n for n in self.may_be_there() & self.completed if any(map(self._counts, self._of(n)))}

    def _of(self, number: int) -> list[Line]:
        return [li for li in self.lines if li.client == number and li.recipient == DA]

    def _counts(self, line: Line) -> bool:
        kinds = {"PART2_SPECIFIC", PROCEEDING}
        if line.client not in PATIENTS:
            kinds |= {"LEAD_ROI"}
        taken_back = [li.revoked_on for li in self._of(line.client) if li.revoked_on]
        if line.consent_type not in kinds or line.signed_on > self.today:
            return False
        if any(line.signed_on <= day for day in taken_back) or line.revoked_on:
            return False
        if line.consent_type == PROCEEDING:
            return self.disposed.get(line.client, date.max) > self.today
        return line.expires_on is not None and self.today <= line.expires_on

    # what the agencies send -----------------------------------------------------------------------

    def desk(self) -> Desk:
        desk = Desk()
        for n in PEOPLE:
            desk.referred(str(n), f"person{n}").client(str(n), f"person{n}", feed=FEED, part2=n in PATIENTS)
            if n in self.cases:
                desk.case(str(n), f"person{n}")
                if n in self.disposed:
                    day = self.disposed[n].isoformat()
                    under = "CPL_160_50" if n in self.sealed else None
                    desk.disposed(str(n), "DISMISSED", day, under)
            outcome = "COMPLETED" if n in self.completed else "NO_SHOW"
            desk.intake(str(n), outcome, "2026-10-20", feed=FEED)
        for number, line in enumerate(self.lines):
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
