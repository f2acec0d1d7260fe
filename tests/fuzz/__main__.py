"""Comes in: CALLS, SEED and SECONDS by the environment. Goes out: what calls of the served schema found, and its sums.

    CALLS=10000 python -m tests.fuzz

Servers of its own and a web process as `make demo` starts it; nothing is left of them. The exit code is 1 if anything
was answered that the schema does not say.
"""

import json
import os
import sys
from collections import Counter

import requests
import schemathesis
from schemathesis import Case, Response

from tests.bench.system import Running, system

from .calls import Fuzzer, Report
from .names import Names

PATIENCE = 30.0


def fuzzer(web: Running, known: dict[str, list[str]]) -> Fuzzer:
    """What calls this web process, over one connection."""
    session = requests.Session()
    session.trust_env = False
    schema = schemathesis.openapi.from_url(f"{web.url}/v1/schema")

    def send(case: Case, headers: dict[str, str]) -> Response:
        return case.call(base_url=web.url, session=session, headers=headers, timeout=PATIENCE)

    return Fuzzer(schema, send, Names(known), known["keys"])


def told(report: Report, number: int) -> str:
    """A table of statuses by operation, the findings, and a line for machines."""
    statuses = sorted({status for _, status in report.operations})
    labels = sorted({label for label, _ in report.operations})
    wide = max(map(len, labels))
    rows = ["".join(["operation".ljust(wide), *(f"{status:>7}" for status in statuses)])]
    rows += [
        "".join([label.ljust(wide), *(f"{report.operations[label, one] or '':>7}" for one in statuses)])
        for label in labels
    ]
    sums = Counter(dict.fromkeys(statuses, 0))
    for (_, status), times in report.operations.items():
        sums[status] += times
    rows.append("".join(["all".ljust(wide), *(f"{sums[one]:>7}" for one in statuses)]))
    line = {
        "fuzz": "served schema",
        "seed": number,
        "calls": report.calls,
        "operations": len(labels),
        "server_errors": report.failed,
        "violations": report.violations,
        "seconds": round(report.seconds, 1),
        "pass": not report.findings,
    }
    return "\n\n".join(filter(None, ["\n".join(rows), report.told(), json.dumps(line)]))


def main() -> int:
    """0 when every answer was as the schema says."""
    calls, number = int(os.environ.get("CALLS", "10000")), int(os.environ.get("SEED", "1"))
    longest = float(os.environ.get("SECONDS", "1800"))
    with system("fuzz") as servers:
        variables = servers.variables(servers.database("fuzz"))
        # Nobody may be told to come back later: that would be all that is learned.
        variables["INTAKE_EVENTS_PER_SECOND"] = "0"
        # A busy machine must not be taken for one whose Redis is away.
        variables["REDIS_DEADLINE_SECONDS"] = "2"
        known = servers.inside("tests.fuzz.inside", variables=variables)
        web = servers.web(variables)
        report = fuzzer(web, known).run(calls, number, longest)
    print(told(report, number))
    return 0 if not report.findings else 1


if __name__ == "__main__":
    sys.exit(main())
