"""How the police records system names and codes what it holds (see feeds/police_records.yaml)."""

from __future__ import annotations

import polars as pl

#: table → its columns at the source, contract name first
COLUMNS = {
    "persons": {
        "person_no": "mni_no",
        "last_name": "last_nm",
        "first_name": "first_nm",
        "middle_name": "middle_nm",
        "suffix": "name_sfx",
        "date_of_birth": "dob",
        "sex": "sex_cd",
        "race_ethnicity": "race_eth_cd",
        "race_source": "race_src_cd",
        "ssn4": "ssn_last4",
        "nysid": "nysid_no",
        "phone": "phone_no",
        "address_line": "addr_line1",
        "city": "addr_city",
        "zip": "addr_zip",
        "updated_at": "last_chg_ts",
    },
    "arrests": {
        "arrest_no": "arr_no",
        "person_no": "mni_no",
        "cjtn": "cjtn_no",
        "arrested_at": "arr_ts",
        "arrest_type": "arr_type_cd",
        "arrest_ori": "ori",
        "diverted": "lead_div_yn",
        "charges_held_until": "chg_hold_until_dt",
        "updated_at": "last_chg_ts",
    },
    "charges": {
        "arrest_no": "arr_no",
        "charge_seq": "chg_seq",
        "law_code": "statute",
        "law_category": "law_cat_cd",
        "charge_class": "class_cd",
        "nibrs": "nibrs_cd",
        "counts": "cnt_qty",
        "updated_at": "last_chg_ts",
    },
    "referrals": {
        "referral_no": "lead_ref_no",
        "person_no": "mni_no",
        "referral_door": "door_cd",
        "contact_at": "contact_ts",
        "offered": "offered_yn",
        "not_offered_reason": "no_offer_rsn",
        "accepted": "accepted_yn",
        "arrest_no": "arr_no",
        "officer_no": "badge_no",
        "updated_at": "last_chg_ts",
    },
}
KEYS = {
    "persons": ["mni_no"],
    "arrests": ["arr_no"],
    "charges": ["arr_no", "chg_seq"],
    "referrals": ["lead_ref_no"],
}
_CODES = {
    "race_ethnicity": {
        "WHITE": "W",
        "BLACK": "B",
        "HISPANIC": "H",
        "ASIAN": "A",
        "AIAN": "I",
        "NHPI": "P",
        "MENA": "E",
        "MULTIPLE": "2",
        "UNKNOWN": "U",
    },
    "race_source": {"OFFICER_PERCEIVED": "OFC", "SELF": "SLF", "RECORD": "REC"},
    "arrest_type": {"ON_VIEW_ARREST": "O", "SUMMONED_CITED": "S", "TAKEN_INTO_CUSTODY": "T"},
    "referral_door": {"ARREST_DIVERSION": "AD", "SOCIAL_CONTACT": "SC", "COMMUNITY": "CR"},
    "diverted": {True: "Y", False: "N"},
    "offered": {True: "Y", False: "N"},
    "accepted": {True: "Y", False: "N"},
}


def source(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The tables in the system's own words: names, codes, Y and N."""
    return {
        table: tables[table].select(
            _coded(tables[table], column).alias(name) for column, name in columns.items()
        )
        for table, columns in COLUMNS.items()
    }


def _coded(frame: pl.DataFrame, column: str) -> pl.Expr:
    if column not in _CODES:
        return pl.col(column)
    return pl.col(column).replace_strict(_CODES[column], default=None, return_dtype=pl.String)
