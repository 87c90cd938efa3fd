"""Airflow reads this at start: the scheduler imports once what every task would import for itself.

Tasks of the LocalExecutor are forks of the scheduler, so they inherit these modules; without them each
`validate` spends some seconds on importing Great Expectations. Nothing is used here, only imported: a
fork must not inherit half a thread pool.
"""

import sys

if sys.argv[1:2] == ["scheduler"]:
    import great_expectations  # noqa: F401
    import pandera.polars  # noqa: F401

    import leadhub.steps.publish  # noqa: F401
    import schemas.releases  # noqa: F401
