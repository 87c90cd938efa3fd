"""Contract of the dispute file: a partner says that a row it was given is wrong."""

from datetime import date

from schemas import codes
from schemas.contract import Contract, column
from schemas.identity import local_id


class Disputes(Contract):
    """One disputed row of the diversion status feed."""

    dispute_id: str = local_id("Dispute id of the DA's office")
    da_case_no: str = local_id("The row's case number")
    da_defendant_id: str = local_id("The row's defendant id")
    disputed_column: str = column("Which column is wrong", codes=codes.DISPUTED_COLUMN)
    problem: str = column("What is wrong with it", codes=codes.DISPUTE_PROBLEM)
    stated_on: date = column("When the office said so")

    class Config(Contract.Config):
        metadata = {"table": "disputes", "key": ["dispute_id"]}
