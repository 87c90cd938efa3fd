"""Contract of a police records system: persons, arrests, charges, LEAD referrals."""

from datetime import date

import polars as pl

from leadhub.foundation.vocabulary import Protection, Sensitivity
from schemas import codes
from schemas.contract import Contract, Timestamp, column, rule
from schemas.identity import identifier, local_id, shared_id

CJI = Protection.CJI_NONCHRI
ORI = r"^NY\d{7}$"


class Persons(Contract):
    """A person as the police know them: one row a master-name record."""

    person_no: str = local_id("Master-name number of the records system")
    last_name: str = identifier("last_name", "Surname", nullable=False, protection=CJI)
    first_name: str = identifier("first_name", "Given name", nullable=False, protection=CJI)
    middle_name: str = identifier("middle_name", "Middle name or initial", protection=CJI)
    suffix: str = identifier("suffix", "Jr, Sr, II, III", protection=CJI)
    date_of_birth: date = identifier("date_of_birth", "Date of birth", protection=CJI)
    sex: str = column("Sex as recorded", codes=codes.SEX, kind="sex")
    race_ethnicity: str = column("Race or ethnicity (SPD-15)", codes=codes.RACE_ETHNICITY)
    race_source: str = column("Who said so", codes=codes.RACE_SOURCE)
    ssn4: str = identifier("ssn4", "Last four digits of the SSN", protection=CJI, str_matches=r"^\d{4}$")
    nysid: str = identifier(
        "nysid", "NY State Identification number", protection=CJI, str_matches=r"^\d{8}[A-Z]$"
    )
    phone: str = identifier("phone", "Telephone", protection=CJI)
    address_line: str = identifier("address_line", "House number and street", protection=CJI)
    city: str = identifier("city", "City", protection=CJI)
    zip: str = identifier("zip", "ZIP code", protection=CJI, str_matches=r"^\d{5}(-\d{4})?$")
    updated_at: Timestamp = column("When the row was last changed at the source")

    class Config(Contract.Config):
        metadata = {"table": "persons", "key": ["person_no"]}

    @rule("not_in_the_future", "date_of_birth")
    def born_before_updated(cls, data):
        return data.lazyframe.select(
            pl.col("date_of_birth").is_null() | (pl.col("date_of_birth") <= pl.col("updated_at").dt.date())
        )

    @rule("age_at_most_120", "date_of_birth")
    def plausible_age(cls, data):
        oldest = pl.col("updated_at").dt.date().dt.offset_by("-120y")
        return data.lazyframe.select(
            pl.col("date_of_birth").is_null() | (pl.col("date_of_birth") >= oldest)
        )


class Arrests(Contract):
    """An arrest, custodial or by summons; `diverted` where LEAD replaced booking."""

    arrest_no: str = shared_id("arrest_no", "Arrest number of the police")
    person_no: str = local_id("Whom: persons.person_no")
    cjtn: str = shared_id("cjtn", "Criminal Justice Tracking Number", nullable=True)
    arrested_at: Timestamp = column("When")
    arrest_type: str = column("How (NIEM ArrestCategory)", codes=codes.ARREST_TYPE)
    arrest_ori: str = column("ORI of the arresting agency", str_matches=ORI)
    diverted: bool = column("Y where the person was diverted to LEAD instead of booked")
    charges_held_until: date = column("Day until which the charges are held", nullable=True)
    updated_at: Timestamp = column("When the row was last changed at the source")

    class Config(Contract.Config):
        metadata = {
            "table": "arrests",
            "key": ["arrest_no"],
            "references": [("person_no", "persons", "person_no")],
        }

    @rule("only_where_diverted", "charges_held_until")
    def held_only_if_diverted(cls, data):
        return data.lazyframe.select(
            pl.col("charges_held_until").is_null() | pl.col("diverted").fill_null(False)
        )


class Charges(Contract):
    """One charge of an arrest."""

    arrest_no: str = shared_id("arrest_no", "arrests.arrest_no")
    charge_seq: int = column("Number within the arrest", ge=1, le=99)
    law_code: str = column(
        "Section of law, such as PL 220.03", str_matches=r"^[A-Z]{2,4} [0-9A-Z.\-]{3,12}$"
    )
    law_category: str = column("Felony, misdemeanour, violation, infraction", codes=codes.LAW_CATEGORY)
    charge_class: str = column("Class of the offence", codes=codes.CHARGE_CLASS, nullable=True)
    nibrs: str = column("NIBRS offence code", codes=codes.NIBRS)
    counts: int = column("Number of counts", ge=1, le=999)
    updated_at: Timestamp = column("When the row was last changed at the source")

    class Config(Contract.Config):
        metadata = {
            "table": "charges",
            "key": ["arrest_no", "charge_seq"],
            "references": [("arrest_no", "arrests", "arrest_no")],
        }


class Referrals(Contract):
    """A LEAD referral through one of three doors: offered or not, accepted or not."""

    referral_no: str = shared_id("referral_no", "Referral number of the police")
    person_no: str = local_id("Whom: persons.person_no")
    referral_door: str = column("Which door", codes=codes.REFERRAL_DOOR)
    contact_at: Timestamp = column("When officer and person met")
    offered: bool = column("Y where LEAD was offered")
    not_offered_reason: str = column("Why not", codes=codes.NOT_OFFERED_REASON, nullable=True)
    accepted: bool = column("Y where the person accepted, N where they declined", nullable=True)
    arrest_no: str = shared_id("arrest_no", "The arrest that was diverted", nullable=True)
    officer_no: str = column("Referring officer", sensitivity=Sensitivity.WITHHELD)
    updated_at: Timestamp = column("When the row was last changed at the source")

    class Config(Contract.Config):
        metadata = {
            "table": "referrals",
            "key": ["referral_no"],
            "references": [
                ("person_no", "persons", "person_no"),
                ("arrest_no", "arrests", "arrest_no"),
            ],
        }

    @rule("given_exactly_where_not_offered", "not_offered_reason")
    def reason_iff_not_offered(cls, data):
        return data.lazyframe.select(pl.col("offered") == pl.col("not_offered_reason").is_null())

    @rule("only_where_offered", "accepted")
    def accepted_only_if_offered(cls, data):
        return data.lazyframe.select(pl.col("accepted").is_null() | pl.col("offered"))

    @rule("given_for_arrest_diversion", "arrest_no")
    def arrest_diversion_has_arrest(cls, data):
        return data.lazyframe.select(
            (pl.col("referral_door") != "ARREST_DIVERSION") | pl.col("arrest_no").is_not_null()
        )
