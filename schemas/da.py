"""Contract of a District Attorney's case system, and of the disputes that the office drops."""

from datetime import date

import polars as pl

from leadhub.foundation.vocabulary import Protection
from schemas import codes
from schemas.contract import Contract, Timestamp, column, rule
from schemas.identity import identifier, local_id, shared_id

CJI = Protection.CJI_NONCHRI


class Defendants(Contract):
    """A defendant as the DA's office knows them."""

    defendant_id: str = local_id("Defendant id of the case system")
    last_name: str = identifier("last_name", "Surname", nullable=False, protection=CJI)
    first_name: str = identifier("first_name", "Given name", nullable=False, protection=CJI)
    middle_name: str = identifier("middle_name", "Middle name or initial", protection=CJI)
    date_of_birth: date = identifier("date_of_birth", "Date of birth", protection=CJI)
    sex: str = column("Sex as recorded", codes=codes.SEX, kind="sex")
    nysid: str = identifier(
        "nysid", "NY State Identification number", protection=CJI, str_matches=r"^\d{8}[A-Z]$"
    )
    address_line: str = identifier("address_line", "House number and street", protection=CJI)
    city: str = identifier("city", "City", protection=CJI)
    zip: str = identifier("zip", "ZIP code", protection=CJI, str_matches=r"^\d{5}(-\d{4})?$")
    updated_at: Timestamp = column("When the row was last changed at the source")

    class Config(Contract.Config):
        metadata = {"table": "defendants", "key": ["defendant_id"]}

    @rule("not_in_the_future", "date_of_birth")
    def born_before_updated(cls, data):
        return data.lazyframe.select(
            pl.col("date_of_birth").is_null() | (pl.col("date_of_birth") <= pl.col("updated_at").dt.date())
        )


class Cases(Contract):
    """A case: the charges of one arrest against one defendant."""

    da_case_no: str = local_id("Case number of the DA")
    defendant_id: str = local_id("Whom: defendants.defendant_id")
    docket_no: str = shared_id("docket_no", "Docket number of the court", nullable=True)
    arrest_no: str = shared_id("arrest_no", "Arrest number of the police", nullable=True)
    cjtn: str = shared_id("cjtn", "Criminal Justice Tracking Number", nullable=True)
    received_on: date = column("Day the office received it")
    case_type: str = column("Highest charge", codes=codes.CASE_TYPE)
    updated_at: Timestamp = column("When the row was last changed at the source")

    class Config(Contract.Config):
        metadata = {
            "table": "cases",
            "key": ["da_case_no"],
            "references": [("defendant_id", "defendants", "defendant_id")],
        }


class Charges(Contract):
    """A charge as the DA's office holds it."""

    da_case_no: str = local_id("cases.da_case_no")
    charge_seq: int = column("Number within the case", ge=1, le=99)
    law_code: str = column(
        "Section of law, such as PL 220.03", str_matches=r"^[A-Z]{2,4} [0-9A-Z.\-]{3,12}$"
    )
    law_category: str = column("Felony, misdemeanour, violation, infraction", codes=codes.LAW_CATEGORY)
    filed_on: date = column("Day of filing, where filed", nullable=True)
    updated_at: Timestamp = column("When the row was last changed at the source")

    class Config(Contract.Config):
        metadata = {
            "table": "charges",
            "key": ["da_case_no", "charge_seq"],
            "references": [("da_case_no", "cases", "da_case_no")],
        }


class Decisions(Contract):
    """A charging or diversion decision."""

    decision_id: str = local_id("Decision id of the case system")
    da_case_no: str = local_id("cases.da_case_no")
    decision: str = column("What was decided", codes=codes.DA_DECISION)
    decided_on: date = column("Day of the decision")
    decline_reason: str = column("Why declined", codes=codes.DECLINE_REASON, nullable=True)
    abeyance_until: date = column("Day until which charges are held", nullable=True)
    updated_at: Timestamp = column("When the row was last changed at the source")

    class Config(Contract.Config):
        metadata = {
            "table": "decisions",
            "key": ["decision_id"],
            "references": [("da_case_no", "cases", "da_case_no")],
        }

    @rule("given_exactly_where_declined", "decline_reason")
    def reason_iff_declined(cls, data):
        return data.lazyframe.select(
            (pl.col("decision") == "DECLINED") == pl.col("decline_reason").is_not_null()
        )


class Dispositions(Contract):
    """How a case ended."""

    disposition_id: str = local_id("Disposition id of the case system")
    da_case_no: str = local_id("cases.da_case_no")
    disposition: str = column("How it ended", codes=codes.DISPOSITION)
    disposed_on: date = column("When it ended")
    sealed_under: str = column("Provision it is sealed under", codes=codes.SEAL_TYPE, nullable=True)
    updated_at: Timestamp = column("When the row was last changed at the source")

    class Config(Contract.Config):
        metadata = {
            "table": "dispositions",
            "key": ["disposition_id"],
            "references": [("da_case_no", "cases", "da_case_no")],
        }


class SealOrders(Contract):
    """An order, or the office's own notice, that seals a case, one charge of it, or an arrest."""

    order_id: str = local_id("Number of the order in the case system")
    seal_type: str = column("Provision it seals under", codes=codes.SEAL_TYPE)
    effective_on: date = column("Day from which it counts")
    scope: str = column("What it seals", codes=codes.SEAL_SCOPE)
    #: no reference: what is sealed may be gone from the office's own tables
    da_case_no: str = local_id("Case number of the DA", nullable=True)
    charge_seq: int = column("Number of the charge within the case", ge=1, le=99, nullable=True)
    arrest_no: str = shared_id("arrest_no", "Arrest number of the police", nullable=True)
    cjtn: str = shared_id("cjtn", "Criminal Justice Tracking Number", nullable=True)
    vacated_on: date = column("Day from which it no longer counts", nullable=True)
    updated_at: Timestamp = column("When the row was last changed at the source")

    class Config(Contract.Config):
        metadata = {"table": "seal_orders", "key": ["order_id"]}

    @rule("names_what_it_seals", "scope")
    def names_what_it_seals(cls, data):
        case = pl.col("da_case_no").is_not_null()
        charge = case & pl.col("charge_seq").is_not_null()
        arrest = pl.col("arrest_no").is_not_null() | pl.col("cjtn").is_not_null()
        scope = pl.col("scope")
        return data.lazyframe.select(
            ((scope != "CASE") | case) & ((scope != "CHARGE") | charge) & ((scope != "ARREST") | arrest)
        )

    @rule("not_before_it_counts", "vacated_on")
    def vacated_after_effective(cls, data):
        return data.lazyframe.select(
            pl.col("vacated_on").is_null() | (pl.col("vacated_on") >= pl.col("effective_on"))
        )
