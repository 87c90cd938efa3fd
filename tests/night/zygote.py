"""A clean process that has imported what a night needs, and forks itself for each run.

A crash test kills dozens of runs; without this each would import Great Expectations anew. Nothing is used
before the fork, only imported, so that no thread pool is inherited half.
"""

import json
import os
import sys


def main() -> None:
    import great_expectations  # noqa: F401
    import pandera.polars  # noqa: F401

    import leadhub.steps
    from connectors.base import connection_from_environment
    from leadhub.steps import ingest, night, publish, state  # noqa: F401
    from leadhub.steps.site import open_site
    from simulation.approvers import approve_all

    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ.update(order["environment"])
            try:
                site = open_site(connection_from_environment)
                if order.get("approved", True):
                    approve_all(site)
                leadhub.steps.run_night(
                    site,
                    order["night"],
                    lambda what: print(what, file=sys.stderr),
                )
            except BaseException as error:  # noqa: BLE001
                print(f"{type(error).__name__} {error}", file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main()
