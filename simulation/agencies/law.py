"""Sections of New York law that occur in the county, and how often."""

from __future__ import annotations

import polars as pl

#: section, category, class, NIBRS, weight, may be diverted (DOMAIN 4: law codes likely in LEAD, and others)
LAW = pl.DataFrame(
    [
        ("PL 220.03", "M", "A", "35A", 16, True),
        ("PL 155.25", "M", "A", "23C", 18, True),
        ("PL 140.05", "V", "U", "90J", 7, True),
        ("PL 140.10", "M", "B", "90J", 5, True),
        ("PL 140.15", "M", "A", "90J", 3, True),
        ("PL 240.20", "V", "U", "90C", 8, True),
        ("PL 145.00", "M", "A", "290", 5, True),
        ("PL 165.15", "M", "A", "26A", 6, True),
        ("PL 165.40", "M", "A", "280", 4, True),
        ("PL 230.00", "M", "B", "40A", 2, True),
        ("PL 195.05", "M", "A", "90Z", 4, True),
        ("PL 205.30", "M", "A", "90Z", 4, False),
        ("PL 120.00", "M", "A", "13B", 7, False),
        ("PL 120.05", "F", "D", "13A", 3, False),
        ("PL 140.20", "F", "D", "220", 2, False),
        ("PL 155.30", "F", "E", "23H", 4, False),
        ("PL 160.10", "F", "C", "120", 1, False),
        ("PL 170.25", "F", "D", "250", 1, False),
        ("PL 220.16", "F", "B", "35A", 3, False),
        ("PL 265.03", "F", "C", "520", 1, False),
        ("VTL 1192.3", "M", "U", "90D", 5, False),
        ("VTL 511.1", "M", "U", "90Z", 6, False),
    ],
    schema=["law_code", "law_category", "charge_class", "nibrs", "weight", "divertible"],
    orient="row",
)
