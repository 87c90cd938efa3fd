"""One plain idempotent function per task: "already done? return the receipt".

`ingest` (a feed's night) → `night` (link, reconcile, commit) → `publish` (one agreement) and `upkeep`
(retention). Airflow calls them through `leadhub.airflow_adapter`, people through `leadhub.cli`.
Receipts are small and hold no value of any row.
"""
