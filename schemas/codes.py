"""Closed code lists. A code that is not here is refused, never guessed.

Sources: ucr.xsd of NIEM 6.0 (arrest categories), FBI NIBRS offence codes, NY Penal Law categories,
TEDS (service type), OMB SPD-15 2024 (race and ethnicity), and this programme's own MOU.
"""

YES_NO = ("Y", "N")
SEX = ("F", "M", "X", "U")
RACE_ETHNICITY = (
    "AIAN",
    "ASIAN",
    "BLACK",
    "HISPANIC",
    "MENA",
    "NHPI",
    "WHITE",
    "MULTIPLE",
    "UNKNOWN",
)
RACE_SOURCE = ("SELF", "OFFICER_PERCEIVED", "RECORD")
ARREST_TYPE = ("ON_VIEW_ARREST", "SUMMONED_CITED", "TAKEN_INTO_CUSTODY")
LAW_CATEGORY = ("F", "M", "V", "I")
CHARGE_CLASS = ("A", "B", "C", "D", "E", "U")
# fmt: off
NIBRS = (
    "09A", "09B", "09C", "100", "11A", "11B", "11C", "11D", "120", "13A", "13B", "13C",
    "200", "210", "220", "23A", "23B", "23C", "23D", "23E", "23F", "23G", "23H", "240",
    "250", "26A", "26B", "26C", "26D", "26E", "26F", "26G", "26H", "270", "280", "290",
    "35A", "35B", "36A", "36B", "370", "39A", "39B", "39C", "39D", "40A", "40B", "40C",
    "510", "520", "64A", "64B", "720", "90A", "90B", "90C", "90D", "90E", "90F", "90G",
    "90H", "90J", "90K", "90L", "90M", "90Z",
)
# fmt: on
REFERRAL_DOOR = ("ARREST_DIVERSION", "SOCIAL_CONTACT", "COMMUNITY")
NOT_OFFERED_REASON = (
    "AGE_UNDER_18",
    "AMOUNT_OVER_LIMIT",
    "NOT_AMENABLE",
    "PROFIT_DEALING",
    "EXPLOITS_MINORS",
    "PROMOTES_PROSTITUTION",
    "DISQUALIFYING_HISTORY",
    "VIOLENT_OFFENCE",
    "COMPLAINANT_OBJECTS",
    "NO_CONTACT_ORDER",
    "TREATMENT_COURT_PENDING",
    "OUT_OF_AREA",
    "CHARGE_NOT_DIVERTIBLE",
    "NO_CASE_MANAGER_AVAILABLE",
    "OFFICER_DISCRETION_NOT_OFFERED",
    "OTHER",
)
CASE_TYPE = ("FELONY", "MISDEMEANOR", "VIOLATION")
DA_DECISION = (
    "PENDING_REVIEW",
    "FILED",
    "DECLINED",
    "HELD_IN_ABEYANCE",
    "DIVERTED_LEAD",
    "DIVERTED_OTHER",
    "DISMISSED",
    "ACD",
    "REFERRED_OTHER_JURISDICTION",
)
DECLINE_REASON = (
    "LEAD_DIVERTED",
    "INSUFFICIENT_EVIDENCE",
    "INTERESTS_OF_JUSTICE",
    "COMPLAINANT",
    "OTHER",
)
DISPOSITION = (
    "DISMISSED",
    "ACD",
    "PLEA",
    "CONVICTED_TRIAL",
    "ACQUITTED",
    "DECLINED",
    "TRANSFERRED",
    "ADJ_YO",
)
SEAL_TYPE = (
    "CPL_160_50",
    "CPL_160_55",
    "CPL_160_57",
    "CPL_160_58",
    "CPL_160_59",
    "YO_720",
    "MARIHUANA_EXPUNGE_160_50_5",
    "COURT_ORDER",
)
SEAL_SCOPE = ("CASE", "CHARGE", "ARREST")
DISPUTED_COLUMN = ("da_case_no", "da_defendant_id", "referral_status", "diversion_status", "status_date")
DISPUTE_PROBLEM = ("WRONG_PERSON", "WRONG_STATUS", "WRONG_DATE", "NOT_OUR_CASE")
CONSENT_TYPE = (
    "PART2_SPECIFIC",
    "PART2_TPO",
    "PART2_COUNSELING_NOTES",
    "PART2_PROCEEDINGS",
    "PART2_CJ_2_35",
    "RESEARCH",
    "HIPAA_AUTH",
    "MHL_33_13",
    "LEAD_ROI",
    "HMIS_ROI",
)
#: recipients by the id of their agreement's partner
RECIPIENT = (
    "district_attorney",
    "police",
    "harbor_case_management",
    "riverside_treatment",
    "public_defender",
    "housing",
)
INFO_CATEGORY = (
    "DEMOGRAPHICS",
    "PROGRAMME_STATUS",
    "ATTENDANCE",
    "ASSESSMENT",
    "DIAGNOSIS",
    "TREATMENT_PLAN",
    "DISCHARGE",
    "HOUSING",
    "JUSTICE_EVENTS",
    "COUNSELING_NOTES",
)
CONSENT_PURPOSE = (
    "DIVERSION_COORDINATION",
    "CARE_COORDINATION",
    "PROGRAMME_EVALUATION",
    "PAYMENT",
)
EXPIRY_EVENT = ("FINAL_DISPOSITION", "END_OF_TREATMENT", "NONE")
#: who signed, 42 CFR 2.31(a)(8); 2.14 for minors, 2.15 for those who cannot decide for themselves
CONSENT_SIGNER = ("PATIENT", "PATIENT_AND_PARENT", "PARENT", "GUARDIAN", "PERSONAL_REP")
#: whom the document allows to disclose, by name or by class, 42 CFR 2.31(a)(2)
CONSENT_DISCLOSER = ("THIS_PROGRAMME", "LEAD_PROVIDERS", "TREATING_PROVIDERS")
#: what the document says of taking it back, 42 CFR 2.31(a)(6); the last for 2.35(c)
CONSENT_REVOCABLE = ("IN_WRITING", "ORALLY_OR_IN_WRITING", "NOT_BEFORE_EVENT")
REVOCATION_CHANNEL = ("IN_WRITING", "ORALLY")
INTAKE_OUTCOME = (
    "SCHEDULED",
    "COMPLETED",
    "WINDOW_LAPSED",
    "NO_SHOW",
    "REFUSED",
    "UNABLE_TO_LOCATE",
)
#: TEDS SERVICES 1–8, and case management
SERVICE_TYPE = (
    "DETOX_HOSPITAL",
    "DETOX_RESIDENTIAL",
    "REHAB_HOSPITAL",
    "RESIDENTIAL_SHORT",
    "RESIDENTIAL_LONG",
    "OUTPATIENT_INTENSIVE",
    "OUTPATIENT",
    "DETOX_AMBULATORY",
    "CASE_MANAGEMENT",
)
EXIT_REASON = (
    "GOALS_MET",
    "WITHDREW",
    "MOVED",
    "LOST_CONTACT",
    "INCARCERATED_LONG",
    "DECEASED",
    "TRANSFERRED",
    "PROGRAMME_TERMINATED",
    "OTHER",
)
#: what the DA is told (DOMAIN: closed list), NO_INFORMATION where nobody may or can say
DIVERSION_STATUS = (
    "NO_INFORMATION",
    "INTAKE_PENDING",
    "INTAKE_COMPLETE",
    "INTAKE_WINDOW_LAPSED",
    "ENROLLED",
    "NO_LONGER_ENROLLED",
)
#: in a table of counts: summed over
ALL = "ALL"
REFERRAL_STATUS = ("REFERRED", "INELIGIBLE_RETURNED", "PARTICIPANT_DECLINED")
