"""A served OpenAPI schema in; thousands of calls made of it, and every answer that is not as the schema says, out.

What an answer is held against: no status of 500 or above, a status, a content type, headers and a body that the schema
documents, and that what the schema forbids is refused. Source: https://schemathesis.readthedocs.io
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core import NotSet
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi import checks

from .names import SELDOM, Names

# Sends a case with these headers.
Send = Callable[[Case, dict[str, str]], Response]
ANSWERED = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
REFUSED = [*ANSWERED, checks.negative_data_rejection]
# They take what is good of a list, and name the rest in `errors`: a list with something bad in it is no bad list.
PARTLY = frozenset({"batch", "cloudevents"})
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
# Of ten calls so many are as the schema wants them, then so many are not.
SHARES = {POSITIVE: 7, NEGATIVE: 3}
LONGEST = 2_000  # characters of a call that are told
QUIET = settings(database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


@dataclass(slots=True)
class Report:
    """What was called and answered; findings by operation and failure, each with how often and its first example."""

    calls: int = 0
    operations: Counter[tuple[str, int]] = field(default_factory=Counter)
    findings: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """Answers of 500 and above."""
        return sum(number for (_, status), number in self.operations.items() if status >= 500)

    @property
    def violations(self) -> int:
        """Answers that are not as the schema says."""
        return sum(number for number, _ in self.findings.values())

    def told(self) -> str:
        """Every finding, the first of its kind in full."""
        return "\n\n".join(f"{one}: {what}, {n} times\n{text}" for (one, what), (n, text) in self.findings.items())


@dataclass(frozen=True, slots=True)
class Fuzzer:
    """Calls a site. `keys`: the first may do everything, the others less, or nothing."""

    schema: schemathesis.BaseSchema
    send: Send
    names: Names
    keys: list[str]
    between: Callable[[], object] = lambda: None

    def run(self, calls: int, number: int, longest: float) -> Report:
        """So many calls by the seed `number`, shared out among the operations; `longest` is in seconds."""
        # What an address does not know in a query it ignores, as HTTP has it: nothing to be refused.
        self.schema.config.generation.allow_extra_parameters = False
        report, started = Report(), time.monotonic()
        until = started + longest
        turn = 0
        while report.calls < calls and time.monotonic() < until:
            left = calls - report.calls
            for operation, mode, most in self._shares(left):
                self._call(operation, mode, min(most, calls - report.calls), number + turn, until, report)
            turn += 1
        report.seconds = time.monotonic() - started
        return report

    def _shares(self, calls: int) -> Iterator[tuple[Any, GenerationMode, int]]:
        """Every operation in both modes, with the number of its calls: at least one each."""
        operations = [found.ok() for found in self.schema.get_all_operations()]
        for mode, share in SHARES.items():
            for operation in operations:
                if mode is POSITIVE or operation.body or operation.query or operation.path_parameters:
                    yield operation, mode, max(1, calls * share // 10 // len(operations))

    def _call(self, operation: Any, mode: GenerationMode, most: int, number: int, until: float, report: Report) -> None:
        """So many calls of one operation; none after the moment `until`."""

        @seed(number)
        @settings(QUIET, max_examples=max(1, most))
        # `apart` lets calls of an operation without any parameter be as many as those of others.
        @given(case=operation.as_strategy(generation_mode=mode), apart=st.integers(0, 2**32))
        def one(case: Case, apart: int) -> None:
            if time.monotonic() < until:
                self._once(case, mode, random.Random(f"{number} {report.calls}"), report)

        # Some operations take anything: nothing that they would have to refuse can be made up.
        if most > 0:
            with suppress(Unsatisfiable):
                one()
        self.between()

    def _once(self, case: Case, mode: GenerationMode, dice: random.Random, report: Report) -> None:
        if mode is POSITIVE:
            case = self.names.lay(case, dice)
        answer = self.send(case, self._headers(case, dice))
        self.names.learn(answer.headers, answer.content)
        report.calls += 1
        report.operations[case.operation.label, answer.status_code] += 1
        for failure in _failures(case, answer, mode):
            kept = report.findings.setdefault((case.operation.label, failure.title), [0, f"{failure}\n{_asked(case)}"])
            kept[0] += 1

    def _headers(self, case: Case, dice: random.Random) -> dict[str, str]:
        """A key, mostly one that may; now and then a tag from before, or another form of the answer."""
        key = dice.choice(self.keys) if dice.random() < SELDOM else self.keys[0]
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if self.names.tags and dice.random() < SELDOM:
            headers["If-None-Match"] = dice.choice(self.names.tags)
        if case.operation.label.endswith("/members") and dice.random() < SELDOM:
            headers["Accept"] = "text/csv"
        return headers


def _asked(case: Case) -> str:
    """What was called, without its key."""
    body = "" if isinstance(case.body, NotSet) else repr(case.body)
    return f"{case.method} {case.formatted_path} {dict(case.query or {})} {body}"[:LONGEST]


def _failures(case: Case, answer: Response, mode: GenerationMode) -> list[Failure]:
    name = case.operation.definition.raw.get("operationId")
    try:
        case.validate_response(answer, checks=ANSWERED if mode is POSITIVE or name in PARTLY else REFUSED)
    except FailureGroup as group:
        return [one for one in group.exceptions if isinstance(one, Failure)]
    return []
