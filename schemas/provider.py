"""Contract of a treatment or case-management provider: clients, consents, intakes, episodes."""

from datetime import date

import polars as pl

from leadhub.foundation.vocabulary import Protection
from schemas import codes
from schemas.contract import Contract, Timestamp, column, rule
from schemas.identity import identifier, local_id, shared_id

PART2 = Protection.PART2


class Clients(Contract):
    """A client of the provider's programme."""

    client_id: str = local_id("Client id of the provider", protection=PART2)
    last_name: str = identifier("last_name", "Surname", nullable=False, protection=PART2)
    first_name: str = identifier("first_name", "Given name", nullable=False, protection=PART2)
    middle_name: str = identifier("middle_name", "Middle name or initial", protection=PART2)
    date_of_birth: date = identifier("date_of_birth", "Date of birth", protection=PART2)
    sex: str = column("Sex as stated", codes=codes.SEX, kind="sex", protection=PART2)
    ssn4: str = identifier("ssn4", "Last four digits of the SSN", protection=PART2, str_matches=r"^\d{4}$")
    phone: str = identifier("phone", "Telephone", protection=PART2)
    address_line: str = identifier("address_line", "House number and street", protection=PART2)
    city: str = identifier("city", "City", protection=PART2)
    zip: str = identifier("zip", "ZIP code", protection=PART2, str_matches=r"^\d{5}(-\d{4})?$")
    part2_program: bool = column("Y where a Part 2 programme treats the client", protection=PART2)

    class Config(Contract.Config):
        metadata = {"table": "clients", "key": ["client_id"]}


class Consents(Contract):
    """One line of a consent: this recipient may have this category of information (42 CFR 2.31).

    The elements of 2.31(a) by number: 1 client_id, 2 discloser, 3 info_category, 4 recipient, 5 purpose,
    6 revocable, 7 expires_on and expiry_event, 8 signer, 9 signed_on; 10 tpo_statement.
    """

    consent_id: str = local_id("Consent id of the provider", protection=PART2)
    client_id: str = local_id("Who consents: clients.client_id", protection=PART2)
    consent_type: str = column("Kind of consent", codes=codes.CONSENT_TYPE, protection=PART2)
    recipient: str = column("Who may receive", codes=codes.RECIPIENT, protection=PART2)
    info_category: str = column("What they may receive", codes=codes.INFO_CATEGORY, protection=PART2)
    purpose: str = column("For what", codes=codes.CONSENT_PURPOSE, protection=PART2)
    discloser: str = column(
        "Who may disclose, by class", codes=codes.CONSENT_DISCLOSER, nullable=True, protection=PART2
    )
    signer: str = column("Who signed", codes=codes.CONSENT_SIGNER, nullable=True, protection=PART2)
    signed_on: date = column("Day of signature", protection=PART2)
    expires_on: date = column("Last day of validity", nullable=True, protection=PART2)
    expiry_event: str = column(
        "Event that ends it", codes=codes.EXPIRY_EVENT, nullable=True, protection=PART2
    )
    docket_no: str = shared_id(
        "docket_no", "Proceeding it serves, for a 2.35 consent", nullable=True, protection=PART2
    )
    revocable: str = column(
        "What it says of revocation", codes=codes.CONSENT_REVOCABLE, nullable=True, protection=PART2
    )
    revoked_at: Timestamp = column("When it was revoked", nullable=True, protection=PART2)
    revocation_channel: str = column(
        "How it was revoked", codes=codes.REVOCATION_CHANNEL, nullable=True, protection=PART2
    )
    tpo_statement: bool = column(
        "Y where it states redisclosure and the consequences of refusal", nullable=True, protection=PART2
    )
    known_false: bool = column("Y where it is known to be materially false", protection=PART2)
    document_sha256: str = column(
        "Hash of the signed document", str_matches=r"^[0-9a-f]{64}$", protection=PART2
    )
    notice_version: str = column(
        "Version of the notice given", str_matches=r"^[0-9a-z.\-]{1,20}$", protection=PART2
    )

    class Config(Contract.Config):
        metadata = {
            "table": "consents",
            "key": ["consent_id", "recipient", "info_category"],
            "references": [("client_id", "clients", "client_id")],
        }

    @rule("date_or_event_given", "expires_on")
    def ends_somehow(cls, data):
        return data.lazyframe.select(
            pl.col("expires_on").is_not_null() | pl.col("expiry_event").is_not_null()
        )

    @rule("not_before_signature", "expires_on")
    def ends_after_it_begins(cls, data):
        return data.lazyframe.select(
            pl.col("expires_on").is_null() | (pl.col("expires_on") >= pl.col("signed_on"))
        )

    @rule("only_where_revoked", "revocation_channel")
    def channel_of_a_revocation(cls, data):
        return data.lazyframe.select(
            pl.col("revocation_channel").is_null() | pl.col("revoked_at").is_not_null()
        )

    @rule("given_for_2_35", "docket_no")
    def proceeding_named(cls, data):
        return data.lazyframe.select(
            (pl.col("consent_type") != "PART2_CJ_2_35") | pl.col("docket_no").is_not_null()
        )


class Intakes(Contract):
    """An intake, as the provider states it."""

    intake_id: str = local_id("Intake id of the provider", protection=PART2)
    client_id: str = local_id("Whom: clients.client_id", protection=PART2)
    referral_no: str = shared_id(
        "referral_no", "Referral number of the police", nullable=True, protection=PART2
    )
    first_contact_on: date = column("First contact", nullable=True, protection=PART2)
    outcome: str = column("What became of it", codes=codes.INTAKE_OUTCOME, protection=PART2)
    outcome_on: date = column("Day of that outcome", protection=PART2)

    class Config(Contract.Config):
        metadata = {
            "table": "intakes",
            "key": ["intake_id"],
            "references": [("client_id", "clients", "client_id")],
        }


class Episodes(Contract):
    """Enrolment in the programme or a service episode."""

    episode_id: str = local_id("Episode id of the provider", protection=PART2)
    client_id: str = local_id("Whom: clients.client_id", protection=PART2)
    referral_no: str = shared_id(
        "referral_no", "Referral number of the police", nullable=True, protection=PART2
    )
    service_type: str = column("Kind of service (TEDS)", codes=codes.SERVICE_TYPE, protection=PART2)
    enrolled_on: date = column("First day", protection=PART2)
    exited_on: date = column("Last day", nullable=True, protection=PART2)
    exit_reason: str = column("Why it ended", codes=codes.EXIT_REASON, nullable=True, protection=PART2)

    class Config(Contract.Config):
        metadata = {
            "table": "episodes",
            "key": ["episode_id"],
            "references": [("client_id", "clients", "client_id")],
        }

    @rule("not_before_enrolment", "exited_on")
    def ends_after_it_begins(cls, data):
        return data.lazyframe.select(
            pl.col("exited_on").is_null() | (pl.col("exited_on") >= pl.col("enrolled_on"))
        )

    @rule("given_exactly_where_exited", "exit_reason")
    def reason_iff_exited(cls, data):
        return data.lazyframe.select(pl.col("exited_on").is_null() == pl.col("exit_reason").is_null())
