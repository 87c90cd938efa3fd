"""The register of seals: what the office took back is taken back for good."""

import polars as pl
import pyarrow as pa

from leadhub.casework.seals import CHARGE, COLUMNS
from leadhub.identity import sealing
from leadhub.steps import seals

OFFICE = "da_cases"


def orders(site, *numbers: str) -> list[str]:
    return sealing.seal(pa.array(numbers, pa.string()), site.feeds[OFFICE].agency, site.keys).to_pylist()


def ordered(site, *numbers: str) -> pa.Table:
    nothing = dict.fromkeys(COLUMNS)
    facts = {"feed": OFFICE, "scope": CHARGE, "charge_seq": "1", "sealed_under": "CPL_160_50"}
    rows = [nothing | facts | {"order_id": o, "da_case_no": o} for o in orders(site, *numbers)]
    return pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in COLUMNS]))


def taken_back(site, *numbers: str) -> pl.DataFrame:
    return pl.DataFrame({"feed": [OFFICE] * len(numbers), "order_id": orders(site, *numbers)})


def test_what_the_office_vacated_stands_no_longer_whatever_it_drops(site):
    seals.remember(site, "2026-11-01", ordered(site, "O1", "O2", "O3"))
    seals.vacate(site, "2026-11-02", taken_back(site, "O1"))
    # the night is run again, and more was vacated by then
    seals.vacate(site, "2026-11-02", taken_back(site, "O1", "O2"))
    seals.vacate(site, "2026-11-03", taken_back(site))
    assert [s["order_id"] for s in seals.known(site)] == orders(site, "O3")


def test_sealed_anew_it_is_another_seal(site):
    seals.remember(site, "2026-11-01", ordered(site, "O1"))
    seals.vacate(site, "2026-11-02", taken_back(site, "O1"))
    assert seals.remember(site, "2026-11-03", ordered(site, "O1"))
    assert [s["night"] for s in seals.known(site)] == ["2026-11-03"]
