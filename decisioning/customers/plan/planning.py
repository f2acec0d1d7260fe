"""Events at the door in; those that the tracking plan lets pass, and the others with their reasons, out.

The plan is read from PostgreSQL once a second at most and held in the process. Where nothing is locked, an event costs
nothing.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from django.db import connection

from ..intake.letters import item_of
from ..intake.tracking import Bad, Checked
from .checking import Entry, Plan, Problem, Property, plan_of
from .observed import Seen, notebook
from .tally import tally

SECONDS: Final = 1.0

# Of entries that need nothing only the names are read, and only where other names are not welcome.
READ: Final = """
SELECT name, locked, policy, keep, CASE WHEN locked THEN properties::text ELSE '{}' END FROM customers_plannedevent
WHERE locked OR keep <> 0 OR EXISTS (SELECT FROM customers_plannedevent WHERE name = '*' AND locked) ORDER BY name
"""

Row = tuple[str, bool, str, int, str]
_decode = msgspec.json.Decoder(dict[str, dict[str, Any]]).decode


class Held:
    """The plan as this process has it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Read it anew the next time."""
        self._plan: Plan | None = None
        self._rows: list[Row] | None = None
        self._until = 0.0

    def current(self) -> Plan:
        """The plan, at most a second old. Raises what the database raises when it cannot be read."""
        if self._plan is None or self._clock() >= self._until:
            # Other threads go on with what there is while this one reads.
            self._until = self._clock() + SECONDS
            try:
                self._plan = self._read()
            except Exception:
                self._until = 0.0
                raise
        return self._plan

    def _read(self) -> Plan:
        with connection.cursor() as cursor:
            cursor.execute(READ)
            rows = cursor.fetchall()
        if rows == self._rows and self._plan is not None:
            return self._plan
        self._rows = rows
        return plan_of(map(_entry, rows))


def _entry(row: Row) -> Entry:
    name, locked, policy, keep, text = row
    properties = {
        key: Property(held.get("type", "any"), bool(held.get("required"))) for key, held in _decode(text).items()
    }
    return Entry(name, properties, locked, policy, keep)


held = Held()


def current() -> Plan:
    """The plan, at most a second old."""
    return held.current()


def forget() -> None:
    """Read the plan anew the next time: what this process has just changed is seen at once."""
    held.forget()


def keeps() -> Mapping[str, int]:
    """For how many months events are kept, by `plan.name_of`; those not listed are kept for ever."""
    return held.current().keeps


def sift(good: list[Checked], bad: list[Bad], now: datetime) -> tuple[list[Checked], list[Bad]]:
    """Take out of a batch what the plan refuses, and count what does not fit it.

    `good` and `bad` are what `tracking` made of one body, in its order. What is refused joins `bad` under its place in
    the body, with a text that can be sent again. Call it before the transaction that stores the events.
    """
    plan = held.current()
    if plan.is_open:
        return good, bad
    passed: list[Checked] = []
    refused: list[Bad] = []
    for event, index in zip(good, _places(len(good), bad), strict=True):
        why, problems = plan.check(event)
        if problems:
            tally.count(problems, why is not None, now)
        if why is None:
            passed.append(event)
        else:
            refused.append(Bad(index, why.code, why.message, item_of(event)))
    tally.write_if_due()
    return passed, sorted([*bad, *refused], key=lambda each: each.index) if refused else bad


def _places(count: int, bad: Sequence[Bad]) -> Iterable[int]:
    """Where in the body the good ones were: wherever no bad one was."""
    taken = {each.index for each in bad}
    return (index for index in range(count + len(bad)) if index not in taken)


def count(problems: Iterable[Problem], refused: bool, now: datetime) -> None:
    """Count problems of one event under the day of `now`; written within a second."""
    tally.count(problems, refused, now)
    tally.write_if_due()


def learn(events: Iterable[Seen], now: datetime) -> None:
    """Remember handled events: (`plan.name_of(type, name)`, timestamp, properties as a mapping or JSON text).

    Call it after the commit of what they did, so that a batch that is repeated counts once.
    """
    notebook.learn(events, now)
    tally.write_if_due()


def flush(now: datetime) -> None:
    """Write what was seen and counted: before a process stops, and when there is nothing left to do."""
    notebook.write(now)
    tally.write()
