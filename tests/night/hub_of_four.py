"""The hub that takes in the county of four: real lake, steps and SFTP; its tables are written as a night's
feeds would leave them."""

import io
import shutil
from datetime import date

import polars as pl
import pyarrow as pa

from connectors.base import connection_from_environment
from leadhub.foundation import openpgp
from leadhub.foundation.settings import Settings
from leadhub.identity import pseudonymise as pseudonyms
from leadhub.identity import sealing
from leadhub.intake import quarantine
from leadhub.steps import night as whole
from leadhub.steps.site import open_site
from leadhub.steps.tables import core_table
from tests.casework.desk import LAYOUT
from tests.casework.desk import POLICE as POLICE_FEED
from tests.night.county_of_four import DA, FEED, PEOPLE, County

LICENCE = "district_attorney__diversion_status"
FEEDS = {"police": POLICE_FEED, "da": "da_cases", "provider": FEED}


class Hub:
    """The hub on the county's stage; its tables are written as a night's feeds would leave them."""

    def __init__(self, nights, agreements):
        nights.restore()
        shutil.rmtree(agreements, ignore_errors=True)
        shutil.copytree(Settings().agreements, agreements)
        self.nights, self.agreements = nights, agreements
        self.licence = agreements / f"{LICENCE}.yaml"
        self.original = self.licence.read_text()
        self.held: dict[str, str] = {}
        self.written: dict[str, tuple[pa.Table, int]] = {}
        self.loaded: set[str] = set()
        self.lines: pa.Table | None = None

    @property
    def site(self):
        return open_site(
            connection_from_environment, Settings(var=self.nights.var, agreements=self.agreements)
        )

    def bring_in(self, county: County, as_of: date) -> str:
        """What a night's ingest and linking leave; reconciled and committed. Returns the night."""
        site, desk, night = self.site, county.desk(), county.today.isoformat()
        for feed in site.feeds:
            tables = {}
            for kind, name in ((k, f) for k, f in FEEDS.items() if f == feed):
                for table in LAYOUT[kind]:
                    content = self._sealed(site, desk.table(kind, table), feed).drop_columns(["feed"])
                    if table == "consents":
                        content = self._landed(content, night)
                    tables[table] = {"version": self._write(site, core_table(name, table), content)}
            receipt = {"status": "complete", "as_of": as_of.isoformat(), "tables": tables}
            version = self._write(site, f"quarantine_{feed}", self._refused(site, county, feed))
            site.lake.put_receipt(night, feed, "close", receipt | {"quarantine": {"version": version}})
        crosswalk = desk.inputs().crosswalk
        pairs = desk.pairs()
        pairs = pairs.append_column("status", pa.array(["linked"] * pairs.num_rows, pa.string()))
        linked = {
            "tables": {
                "crosswalk": self._write(site, "crosswalk", crosswalk),
                "linkage_pairs": self._write(site, "linkage_pairs", pairs),
            },
            "person_counter": len(PEOPLE),
            "linkage": {},
        }
        site.lake.put_receipt(night, whole.SCOPE, "link", linked)
        whole.reconcile(site, night)
        whole.commit(site, night)
        return night

    def _landed(self, lines: pa.Table, night: str) -> pa.Table:
        """The lines, each with the night on which it came or changed."""
        place = lines.column_names.index("landed_on")
        tonight = lines.set_column(place, "landed_on", pa.array([night] * lines.num_rows, pa.string()))
        ids = lines["record_id"]
        self.lines = pseudonyms.apply(self.lines, tonight, source_ids=ids, mode="full").state
        return self.lines

    def _write(self, site, name: str, content: pa.Table) -> int:
        """Its version; what did not change is the version that it was."""
        known = self.written.get(name)
        if known is None or not known[0].equals(content):
            known = self.written[name] = content, site.lake.write(name, content)
        return known[1]

    @staticmethod
    def _refused(site, county: County, feed: str) -> pa.Table:
        """The rows that stand open in its quarantine."""
        named = {FEED: ("consents", "client_id", "K"), FEEDS["da"]: ("dispositions", "da_case_no", "C")}
        table, column, letter = named.get(feed, ("", "", ""))
        rows = []
        for who in sorted((n for t, n in county.refused if t == table), key=str):
            plain = pa.array([None if who is None else f"{letter}{who}"], pa.string())
            [number] = sealing.seal(plain, site.feeds[feed].agency, site.keys).to_pylist()
            fault = {"feed": feed, "table": table, "drop_id": "d", "row": len(rows) + 2, "reason": "x"}
            rows.append(fault | {column: number, "names_nobody": who is None})
        return pa.Table.from_pylist(rows, quarantine.SCHEMA)

    @staticmethod
    def _sealed(site, table: pa.Table, feed: str) -> pa.Table:
        """The desk's ids as the hub's own sealed ones."""
        for place, name in enumerate(table.column_names):
            values = table[name].to_pylist()
            if any(isinstance(v, str) and v.startswith("s1:") for v in values):
                plain = [None if v is None else v.rpartition("/")[2] for v in values]
                agency = site.feeds[feed].agency
                ids = sealing.seal(pa.array(plain, pa.string()), agency, site.keys)
                table = table.set_column(place, name, ids)
        return table

    def load(self) -> None:
        """What a recipient does with new deliveries: `held` is case → status."""
        outbox = self.nights.var / "sftp" / DA / "outbox" / "diversion_status"
        secret = self.nights.stage.agencies / DA / "openpgp.pgp"
        for folder in sorted(outbox.glob("*")):
            if folder.name in self.loaded:
                continue
            self.loaded.add(folder.name)
            files = {p.name.removesuffix(".csv.pgp"): p for p in folder.glob("*.csv.pgp")}
            read = {
                n: pl.read_csv(io.BytesIO(openpgp.decrypt(p.read_bytes(), secret)), infer_schema=False)
                for n, p in files.items()
            }
            if "diversion_status" in read:
                rows = read["diversion_status"]
                whole_set = dict(zip(rows["da_case_no"], rows["diversion_status"], strict=True))
            else:
                assert set(read["diversion_status_changes"]["op"]) == {"withdraw"}
                gone = set(read["diversion_status_changes"]["da_case_no"])
                assert gone <= self.held.keys()
                whole_set = {c: s for c, s in self.held.items() if c not in gone}
            self.held = whole_set
