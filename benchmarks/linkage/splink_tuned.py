"""Splink, tuned: correlated fields in one ordered comparison each, wide blocking, EM by many rules.

Chosen on febrl4, historical_50k and the three 20k sets, never on a `_holdout` set.
"""

from __future__ import annotations

import splink.comparison_level_library as cll
from splink import block_on
from splink.comparison_library import CustomComparison, ExactMatch

LARGE = 250_000  # records a table
SAME_HOUSE = (
    "coalesce(house_number_l = house_number_r"
    " AND jaro_winkler_similarity(street_l, street_r) >= 0.9, FALSE)"
)
HALF_NAME = (
    "list_contains(last_parts_l, last_name_r) OR list_contains(last_parts_r, last_name_l)"
    " OR list_has_any(last_parts_l, last_parts_r)"
)


def model(fields: tuple[str, ...], records: int) -> dict:
    """Splink settings for a set with these fields, as keywords of splink_peer.Model."""
    return {
        "comparisons": comparisons(fields),
        "blocking": [block_on(*rule) for rule in blocking(fields, records)],
        "deterministic": [block_on(*rule) for rule in deterministic(fields)],
        "recall": 0.75,
        "em_rules": [block_on(*rule) for rule in em_rules(fields)],
        "u_pairs": 1e7 if records > LARGE else 2e6,
    }


def comparisons(fields: tuple[str, ...]) -> list:
    has = set(fields)
    homes = {"address_line", "city", "zip"} <= has
    return [
        CustomComparison(name_levels("first_name"), "first_name"),
        CustomComparison([*(home_levels() if homes else []), *name_levels("last_name")], "last_name"),
        *([middle()] if "middle_name" in has else []),
        birth_date() if "date_of_birth" in has else birth_year(),
        *(ExactMatch(c) for c in ("suffix", "sex", "race") if c in has),
        *([phone(homes)] if "phone" in has else []),
        *([area()] if homes else []),
        *([text("address_2")] if "address_2" in has else []),
        *([text("city")] if "city" in has and not homes else []),
        *([postcode()] if "zip" in has and not homes else []),
        *(text(c) for c in ("birth_place", "occupation") if c in has),
        *([ExactMatch("state")] if "state" in has else []),
    ]


def name_levels(column: str) -> list:
    sound = column.replace("_name", "_sound")
    levels = [
        cll.NullLevel(column),
        cll.ExactMatchLevel(column, term_frequency_adjustments=True),
        cll.CustomLevel(f"damerau_levenshtein({column}_l, {column}_r) <= 1 AND length({column}_l) > 3"),
        cll.JaroWinklerLevel(column, 0.92),
        cll.CustomLevel(f"{sound}_l = {sound}_r"),
        cll.JaroWinklerLevel(column, 0.85),
    ]
    if column == "last_name":  # a double name and one half of it
        levels.append(cll.CustomLevel(HALF_NAME))
    else:  # many nicknames begin as the name does
        levels.append(cll.CustomLevel("substr(first_name_l, 1, 2) = substr(first_name_r, 1, 2)"))
    return [*levels, cll.JaroWinklerLevel(column, 0.7), cll.ElseLevel()]


def home_levels() -> list:
    """Above the surname's own levels: the same house, with the same, a like, another or no surname.

    People of one house mostly share a surname: counted apart, house and surname would each speak for every
    household member. Random pairs teach the joint chance as they do any other.
    """
    alike = (
        "jaro_winkler_similarity(last_name_l, last_name_r) >= 0.85 OR last_sound_l = last_sound_r"
        f" OR coalesce({HALF_NAME}, FALSE)"
    )
    return [
        cll.CustomLevel(f"{SAME_HOUSE} AND last_name_l = last_name_r"),
        cll.CustomLevel(f"{SAME_HOUSE} AND ({alike})"),
        cll.CustomLevel(f"{SAME_HOUSE} AND last_name_l IS NOT NULL AND last_name_r IS NOT NULL"),
        cll.CustomLevel(SAME_HOUSE),
    ]


def middle() -> CustomComparison:
    """Often an initial: that it agrees says less than that the name does."""
    initial = "substr(middle_name_l, 1, 1) = substr(middle_name_r, 1, 1)"
    return CustomComparison(
        [
            cll.NullLevel("middle_name"),
            cll.CustomLevel("middle_name_l = middle_name_r AND length(middle_name_l) > 1"),
            cll.CustomLevel(f"{initial} AND (length(middle_name_l) = 1 OR length(middle_name_r) = 1)"),
            cll.JaroWinklerLevel("middle_name", 0.88),
            cll.ElseLevel(),
        ],
        "middle_name",
    )


def birth_date() -> CustomComparison:
    same_year = "birth_year_l = birth_year_r"
    return CustomComparison(
        [
            cll.NullLevel("date_of_birth"),
            cll.ExactMatchLevel("date_of_birth"),
            cll.CustomLevel(f"{same_year} AND birth_day_l = birth_day_swapped_r"),
            cll.DamerauLevenshteinLevel("date_of_birth", 1),
            cll.CustomLevel(
                "birth_day_l = birth_day_r AND abs(birth_year_l::INT - birth_year_r::INT) <= 2"
            ),
            cll.DamerauLevenshteinLevel("date_of_birth", 2),
            cll.CustomLevel(same_year),
            cll.CustomLevel("abs(birth_year_l::INT - birth_year_r::INT) <= 5"),
            cll.ElseLevel(),
        ],
        "date_of_birth",
    )


def birth_year() -> CustomComparison:
    return CustomComparison(
        [
            cll.NullLevel("birth_year"),
            cll.ExactMatchLevel("birth_year"),
            cll.CustomLevel("abs(birth_year_l::INT - birth_year_r::INT) <= 1"),
            cll.DamerauLevenshteinLevel("birth_year", 1),
            cll.CustomLevel("abs(birth_year_l::INT - birth_year_r::INT) <= 10"),
            cll.ElseLevel(),
        ],
        "birth_year",
    )


def phone(homes: bool) -> CustomComparison:
    """A number that goes with the house says nothing more."""
    shared = [cll.CustomLevel(f"{SAME_HOUSE} AND phone_l = phone_r").configure(is_null_level=True)]
    return CustomComparison(
        [
            cll.NullLevel("phone"),
            *(shared if homes else []),
            cll.ExactMatchLevel("phone"),
            cll.DamerauLevenshteinLevel("phone", 1),
            cll.ElseLevel(),
        ],
        "phone",
    )


def area() -> CustomComparison:
    """Street, zip code and city in one order, for people who do not share a house (home_levels)."""
    like_street = "jaro_winkler_similarity(street_l, street_r) >= 0.9"
    near = "(zip_l = zip_r OR city_l = city_r OR damerau_levenshtein(zip_l, zip_r) <= 1)"
    no_address = cll.NullLevel("address_line")
    return CustomComparison(
        [
            cll.CustomLevel(SAME_HOUSE).configure(is_null_level=True),
            cll.Or(cll.And(no_address, cll.NullLevel("zip")), cll.And(no_address, cll.NullLevel("city"))),
            cll.CustomLevel(f"{like_street} AND {near}"),
            cll.CustomLevel(f"house_number_l = house_number_r AND {near}"),
            cll.CustomLevel("zip_l = zip_r AND city_l = city_r"),
            cll.CustomLevel(near),
            cll.CustomLevel("jaro_winkler_similarity(city_l, city_r) >= 0.9"),
            cll.ElseLevel(),
        ],
        "area",
    )


def postcode() -> CustomComparison:
    return CustomComparison(
        [
            cll.NullLevel("zip"),
            cll.ExactMatchLevel("zip", term_frequency_adjustments=True),
            cll.DamerauLevenshteinLevel("zip", 1),
            cll.ExactMatchLevel("zip_area", term_frequency_adjustments=True),
            cll.DamerauLevenshteinLevel("zip", 2),
            cll.ElseLevel(),
        ],
        "zip",
    )


def text(column: str) -> CustomComparison:
    return CustomComparison(
        [
            cll.NullLevel(column),
            cll.ExactMatchLevel(column, term_frequency_adjustments=True),
            cll.JaroWinklerLevel(column, 0.9),
            cll.JaroWinklerLevel(column, 0.75),
            cll.ElseLevel(),
        ],
        column,
    )


def blocking(fields: tuple[str, ...], records: int) -> list[tuple[str, ...]]:
    """Rules whose union holds 97 % of the true pairs or more, where the set's errors allow it.

    Block sizes grow with the square of `records`; a large set (the larger table's rows) needs narrow ones.
    """
    has = set(fields)
    initial, surname_initial = "substr(first_name,1,1)", "substr(last_name,1,1)"
    rules: list[tuple[str, ...]] = [("last_sound", "first_sound")]
    if "date_of_birth" in has and records > LARGE:
        rules += [
            ("date_of_birth", initial),
            ("date_of_birth", surname_initial),
            ("birth_year", "last_sound", initial),
            ("birth_year", "first_name", surname_initial),
            ("birth_day", "last_sound", initial),
            ("birth_day", "first_sound", surname_initial),
            ("birth_day", "house_number"),
        ]
    elif "date_of_birth" in has:
        rules += [
            ("date_of_birth",),
            ("birth_year", "first_sound"),
            ("birth_year", "last_sound"),
            ("birth_day", "first_sound"),
            ("birth_day", "last_sound"),
            ("last_sound", "substr(first_name,1,2)"),
            ("last_sound", initial),
            ("first_sound", "substr(last_name,1,2)"),
            ("birth_year", "substr(last_name,1,3)"),
        ]
    else:
        rules += [
            ("birth_year", "first_name"),
            ("birth_year", "last_sound"),
            ("last_sound", initial),
            ("first_sound", "birth_year", "substr(middle_name,1,1)"),
        ]
    if "zip" in has:
        rules.append(("zip", "last_sound"))
        rules += [("zip", "first_name", surname_initial)] if records > LARGE else [("zip", "first_sound")]
        rules += [] if records > LARGE else [("zip", "birth_year"), ("zip", "substr(first_name,1,2)")]
    if "address_line" in has:
        rules += [("house_number", "street"), ("house_number", "first_sound")]
    if "phone" in has:
        rules.append(("phone",))
    if "birth_place" in has:
        rules += [
            ("zip",),
            ("last_sound",),
            ("first_sound", "occupation"),
            ("birth_place", "substr(last_name,1,3)"),
            ("zip_area", "birth_place"),
            ("birth_place", "first_sound"),
            ("birth_place", "last_sound"),
            ("birth_place", "birth_year"),
            ("zip_area", "first_sound"),
            ("zip_area", "birth_year"),
            ("birth_place", "occupation"),
        ]
    return [rule for rule in rules if _known(rule, has)]


def _known(rule: tuple[str, ...], has: set[str]) -> bool:
    """Whether the set has what the rule needs (house numbers only with addresses)."""
    return "house_number" not in rule or "address_line" in has


def deterministic(fields: tuple[str, ...]) -> list[tuple[str, ...]]:
    has = set(fields)
    born = "date_of_birth" if "date_of_birth" in has else "birth_year"
    rules: list[tuple[str, ...]] = [("first_name", "last_name", born)]
    if "zip" in has:
        rules += [("first_name", born, "zip"), ("last_name", "first_name", "zip")]
    if "address_line" in has:
        rules.append(("first_name", "house_number", "street"))
    return rules


def em_rules(fields: tuple[str, ...]) -> list[tuple[str, ...]]:
    has = set(fields)
    born = ("date_of_birth",) if "date_of_birth" in has else ("birth_year", "middle_name")
    rules: list[tuple[str, ...]] = [("first_name", "last_name"), born]
    if "zip" in has:
        rules.append(("zip", "first_name"))
    return rules
