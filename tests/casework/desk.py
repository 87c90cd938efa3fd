"""State tables as the agencies' feeds leave them, by hand: a row is a dict, what it omits is null.

Ids read as sealed ones look (`s1:…`), tokens as tokens (`t1:…`); both are made from the plain word, so that
what joins in a test joins as it does at night.
"""

from datetime import UTC, date, datetime
from itertools import combinations

import pyarrow as pa

from leadhub.casework import Inputs
from leadhub.casework.seals import COLUMNS, UNREAD

POLICE, DA, HARBOR, RIVERSIDE, DISPUTES = "police_records", "da_cases", "harbor", "riverside", "da_disputes"
NIGHT, ZONE = "2026-11-20", "America/New_York"
_KEYS = {
    "persons": "person_no",
    "arrests": "arrest_no",
    "referrals": "referral_no",
    "defendants": "defendant_id",
    "cases": "da_case_no",
    "decisions": "decision_id",
    "dispositions": "disposition_id",
    "seal_orders": "order_id",
    "clients": "client_id",
    "intakes": "intake_id",
    "episodes": "episode_id",
    "disputes": "dispute_id",
}
_SHARED = ("arrest_no", "cjtn", "docket_no", "referral_no")
_TEXT = pa.string()
_TYPES = {
    name: kind
    for kind, names in (
        (pa.date32(), "charges_held_until received_on filed_on decided_on disposed_on outcome_on"),
        (pa.date32(), "enrolled_on exited_on stated_on signed_on expires_on effective_on vacated_on"),
        (pa.timestamp("us", "UTC"), "arrested_at contact_at updated_at revoked_at"),
        (pa.bool_(), "diverted offered accepted part2_program tpo_statement known_false"),
    )
    for name in names.split()
}
#: contract kind → table → ids (sealed) | facts
LAYOUT = {
    "police": {
        "persons": "person_no|race_ethnicity",
        "arrests": "arrest_no person_no cjtn|arrested_at diverted charges_held_until",
        "charges": "arrest_no|charge_seq law_category",
        "referrals": (
            "referral_no person_no arrest_no|referral_door contact_at offered not_offered_reason accepted"
        ),
    },
    "da": {
        "defendants": "defendant_id|",
        "cases": "da_case_no defendant_id docket_no arrest_no cjtn|received_on",
        "charges": "da_case_no|charge_seq law_category filed_on",
        "decisions": "decision_id da_case_no|decision decided_on updated_at",
        "dispositions": "disposition_id da_case_no|disposition disposed_on sealed_under updated_at",
        "seal_orders": (
            "order_id da_case_no arrest_no cjtn|seal_type effective_on scope charge_seq vacated_on"
        ),
    },
    "provider": {
        "clients": "client_id|part2_program",
        "consents": (
            "consent_id client_id docket_no|consent_type recipient info_category purpose signed_on "
            "expires_on expiry_event revoked_at discloser signer revocable revocation_channel "
            "tpo_statement known_false"
        ),
        "intakes": "intake_id client_id referral_no|outcome outcome_on",
        "episodes": "episode_id client_id referral_no|enrolled_on exited_on",
    },
    "disputes": {"disputes": "dispute_id da_case_no|disputed_column problem"},
}


NO_SEALS = pa.table({name: pa.array([], _TEXT) for name in COLUMNS})


def day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def table(kind: str, name: str, rows: list[dict]) -> pa.Table:
    """A state table over feeds; each row names its `feed`."""
    ids, _, facts = LAYOUT[kind][name].partition("|")
    ids, facts = ids.split(), facts.split()
    columns: dict[str, pa.Array] = {
        "record_id": pa.array([record_id(name, r) for r in rows], _TEXT),
        "feed": pa.array([r["feed"] for r in rows], _TEXT),
        "landed_on": pa.array([r.get("landed_on", NIGHT) for r in rows], _TEXT),
    }
    for column in ids:
        plain = [r.get(column) for r in rows]
        agency = {DA: "da", DISPUTES: "da"}
        sealed = [
            None if v is None else f"s1:{agency.get(r['feed'], r['feed'])}/{v}" for v, r in zip(plain, rows)
        ]
        columns[column] = pa.array(sealed, _TEXT)
        if column in _SHARED:
            columns[f"{column}_token"] = pa.array(
                [None if v is None else f"t1:{column}/{v}" for v in plain], _TEXT
            )
    for column in facts:
        columns[column] = pa.array([r.get(column) for r in rows], _TYPES.get(column, _TEXT))
    return pa.table(columns)


def record_id(name: str, row: dict) -> str:
    if name in _KEYS:
        return f"r1:{row['feed']}/{name}/{row[_KEYS[name]]}"
    keys = [
        c
        for c in ("arrest_no", "da_case_no", "consent_id", "charge_seq", "recipient", "info_category")
        if c in row
    ]
    return f"r1:{row['feed']}/{name}/" + "/".join(str(row[k]) for k in keys)


class Desk:
    """Rows by table; `persons` maps (feed, plain id of person, defendant or client) → person."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], list[dict]] = {
            (kind, name): [] for kind, tables in LAYOUT.items() for name in tables
        }
        self.crosswalk: dict[str, tuple[str, str]] = {}
        #: person → person for whom the crosswalk takes them, whatever their own two records say
        self.taken_for: dict[str, str] = {}
        self.unread: list[dict] = []

    def add(self, kind: str, name: str, feed: str, *, person: str | None = None, **row) -> "Desk":
        held = {"feed": feed, **row}
        self.rows[kind, name].append(held)
        if person is not None:
            self.crosswalk[record_id(name, held)] = (feed, f"p1:{person}")
        return self

    # whole stories, so that a test says only what it is about ------------------------------------

    def referred(self, number: str, person: str = "ann", *, diverted: bool = True, **row) -> "Desk":
        """An arrest diversion: referral LR<number> of arrest A<number>."""
        at = moment(row.pop("contact_at", "2026-10-01T12:00:00"))
        self.add("police", "persons", POLICE, person=person, person_no=f"M{number}", race_ethnicity="WHITE")
        self.add(
            "police", "arrests", POLICE, arrest_no=f"A{number}", person_no=f"M{number}", cjtn=f"J{number}",
            arrested_at=at, diverted=diverted, charges_held_until=day("2026-10-31") if diverted else None,
        )  # fmt: skip
        self.add("police", "charges", POLICE, arrest_no=f"A{number}", charge_seq="1", law_category="M")
        told = {"referral_door": "ARREST_DIVERSION", "offered": True, "accepted": True} | row
        return self.add(
            "police", "referrals", POLICE, referral_no=f"LR{number}", person_no=f"M{number}",
            arrest_no=f"A{number}", contact_at=at, **told,
        )  # fmt: skip

    def case(self, number: str, person: str = "ann", **row) -> "Desk":
        """The DA's case C<number> on arrest A<number>."""
        self.add("da", "defendants", DA, person=person, defendant_id=f"D{number}")
        told = {"arrest_no": f"A{number}", "cjtn": f"J{number}", "docket_no": f"CR{number}"} | row
        self.add("da", "charges", DA, da_case_no=f"C{number}", charge_seq="1", law_category="M")
        return self.add(
            "da", "cases", DA, da_case_no=f"C{number}", defendant_id=f"D{number}",
            received_on=day("2026-10-02"), **told,
        )  # fmt: skip

    def decided(self, number: str, decision: str, on: str, updated: str = "2026-11-01T00:00:00") -> "Desk":
        return self.add(
            "da", "decisions", DA, decision_id=f"X{number}{decision}{on}", da_case_no=f"C{number}",
            decision=decision, decided_on=day(on), updated_at=moment(updated),
        )  # fmt: skip

    def disposed(self, number: str, disposition: str, on: str, sealed: str | None = None) -> "Desk":
        return self.add(
            "da", "dispositions", DA, disposition_id=f"Y{number}{on}", da_case_no=f"C{number}",
            disposition=disposition, disposed_on=day(on), sealed_under=sealed,
            updated_at=moment("2026-11-01T00:00:00"),
        )  # fmt: skip

    def ordered(self, number: str, scope: str = "CASE", on: str = "2026-11-01", **row) -> "Desk":
        """An order that seals case C<number>, charge 1 of it, or arrest A<number>."""
        what = {
            "CASE": {"da_case_no": f"C{number}"},
            "CHARGE": {"da_case_no": f"C{number}", "charge_seq": "1"},
            "ARREST": {"arrest_no": f"A{number}"},
        }[scope]
        told = {"seal_type": "CPL_160_50", "effective_on": day(on), "scope": scope} | what | row
        return self.add("da", "seal_orders", DA, order_id=told.pop("order_id", f"O{number}{scope}"), **told)

    def disputed(self, number: str, column: str) -> "Desk":
        """The DA's office says that a column of case C<number> is wrong."""
        row = {"disputed_column": column, "problem": "WRONG_STATUS"}
        return self.add(
            "disputes", "disputes", DISPUTES, dispute_id=f"Q{number}", da_case_no=f"C{number}", **row
        )

    def client(self, number: str, person: str = "ann", *, feed: str = HARBOR, part2: bool = True) -> "Desk":
        return self.add(
            "provider", "clients", feed, person=person, client_id=f"K{number}", part2_program=part2
        )

    def intake(self, number: str, outcome: str, on: str, *, feed: str = HARBOR, **row) -> "Desk":
        told = {"client_id": f"K{number}", "referral_no": f"LR{number}"} | row
        return self.add(
            "provider", "intakes", feed, intake_id=f"I{number}{outcome}{on}", outcome=outcome,
            outcome_on=day(on), **told,
        )  # fmt: skip

    def episode(self, number: str, enrolled: str, exited: str | None = None, *, feed: str = HARBOR, **row):
        told = {"client_id": f"K{number}", "referral_no": f"LR{number}"} | row
        return self.add(
            "provider", "episodes", feed, episode_id=f"E{number}{enrolled}", enrolled_on=day(enrolled),
            exited_on=day(exited), **told,
        )  # fmt: skip

    def consent(self, number: str, *, feed: str = HARBOR, **line) -> "Desk":
        told = {
            "consent_id": f"N{number}",
            "client_id": f"K{number}",
            "consent_type": "PART2_SPECIFIC",
            "recipient": "district_attorney",
            "info_category": "PROGRAMME_STATUS",
            "purpose": "DIVERSION_COORDINATION",
            "signed_on": day("2026-10-05"),
            "expires_on": day("2027-10-05"),
            "discloser": "THIS_PROGRAMME",
            "signer": "PATIENT",
            "revocable": "IN_WRITING",
            "known_false": False,
        } | line
        return self.add("provider", "consents", feed, **told)

    def table(self, kind: str, name: str) -> pa.Table:
        return table(kind, name, self.rows[kind, name])

    def refused(self, table: str, *numbers: str, feed: str = DA) -> "Desk":
        """A row of the DA that may be a seal stands in quarantine; `numbers`: of the case, arrest and CJTN
        that it names, by their first letter."""
        row: dict = dict.fromkeys(UNREAD) | {"feed": feed, "table": table, "opened_on": NIGHT}
        for number in numbers:
            name = {"C": "da_case_no", "A": "arrest_no", "J": "cjtn"}[number[0]]
            row[name] = f"s1:da/{number}"
            if name in _SHARED:
                row[f"{name}_token"] = f"t1:{name}/{number}"
        self.unread.append(row)
        return self

    def inputs(self, shuffle=None, seals: pa.Table | None = None) -> Inputs:
        """`shuffle(list)` reorders rows in place; `seals`: what the register remembers."""
        walk = [(r, f, f"p1:{self.taken_for.get(p[3:], p[3:])}") for r, (f, p) in self.crosswalk.items()]
        tables: dict[str, dict[str, pa.Table]] = {}
        for (kind, name), rows in self.rows.items():
            rows = list(rows)
            if shuffle is not None:
                shuffle(rows)
            tables.setdefault(kind, {})[name] = table(kind, name, rows)
        if shuffle is not None:
            shuffle(walk)
        names = ("record_id", "feed", "person_id")
        return Inputs(
            **tables,
            crosswalk=pa.table({n: pa.array([w[i] for w in walk], _TEXT) for i, n in enumerate(names)}),
            pairs=self.pairs(),
            seals=seals or NO_SEALS,
            unread=pa.Table.from_pylist(self.unread, pa.schema([(n, _TEXT) for n in UNREAD])),
        )

    def pairs(self) -> pa.Table:
        """Two records of one person are surely one person's; no others are near."""
        known = [(r, p) for r, (_, p) in sorted(self.crosswalk.items())]
        near = [(a, b) for (a, one), (b, other) in combinations(known, 2) if one == other]
        columns = {n: pa.array([pair[i] for pair in near], _TEXT) for i, n in enumerate(("left", "right"))}
        return pa.table({**columns, "weight_bits": pa.array([20.0] * len(near))})
