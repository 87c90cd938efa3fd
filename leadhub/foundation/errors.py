"""Two families of error: one that time may cure, one that needs a person.

::

    LeadhubError
    ├── TransientError    Airflow retries it with backoff
    └── TerminalError     no retry: a person is needed

Each error carries a `reason` from `REASONS` and a message that says what to do next. Messages name
file, row, column and rule and never a value: a value may be personal, and messages end in logs.
"""

from __future__ import annotations

REASONS: dict[str, int] = {
    # reason code: exit code of the command line (10–39 transient, 40–99 terminal)
    "source_unreachable": 10,
    "bad_response": 11,
    "rate_limited": 12,
    "source_timeout": 13,
    "disk_full": 14,
    "io_failed": 15,
    "lease_held": 16,
    "delivery_failed": 17,
    "not_ready": 18,
    "wrong_key": 40,
    "key_missing": 41,
    "invalid_envelope": 42,
    "settings_invalid": 43,
    "feed_invalid": 44,
    "agreement_invalid": 45,
    "agreement_not_in_force": 46,
    "agreement_changed": 47,
    "recipient_key_mismatch": 48,
    "host_key_changed": 49,
    "credentials_refused": 50,
    "incomplete_drop": 51,
    "conflicting_resubmission": 52,
    "out_of_order": 53,
    "schema_drift": 54,
    "unreadable_file": 55,
    "too_many_refused": 56,
    "implausible_batch": 57,
    "suite_invalid": 58,
    "validator_disabled": 59,
    "counts_differ": 60,
    "column_not_allowed": 61,
    "ledger_broken": 62,
    "signature_invalid": 63,
    "unsafe_name": 64,
    "too_large": 65,
    "decryption_failed": 66,
    "stale_input": 67,
    "night_incomplete": 68,
    "identifier_in_release": 69,
    "state_invalid": 70,
    "linkage_schema_invalid": 71,
    "linkage_input_invalid": 72,
    "exchange_mismatch": 73,
    "approval_pending": 74,
    "approval_refused": 75,
    "small_cell_exposed": 76,
    "restriction_unread": 77,
}


class LeadhubError(Exception):
    """Base of both families. `reason` is a key of `REASONS`."""

    def __init__(self, reason: str, message: str):
        if reason not in REASONS:
            raise ValueError(f"unknown reason code [{reason}]")
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"

    @property
    def exit_code(self) -> int:
        return REASONS[self.reason]


class TransientError(LeadhubError):
    """Time may cure it: try again."""


class TerminalError(LeadhubError):
    """Trying again changes nothing: a person is needed."""
