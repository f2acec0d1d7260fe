"""A policy that was not used in, such as a rule's draft; what it would have earned by the ledger, out.

Every decision is asked once more with what was known then, and the policy's own chance of what was shown is weighed
against the chance it had (see `learning.offpolicy`). Contents count place by place, given what stood above.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from django.db.models import QuerySet

from ..learning.dataset import CLICK, VALUE
from ..learning.expecting import Table, expectation, folds
from ..learning.logged import Slots, best_first, logged
from ..learning.offpolicy import Log, Target, Worth, worth
from ..models import Decision, Outcome
from .reconsider import Chances, Policy

MOST: Final = 20_000
USUAL: Final = timedelta(days=30)
AT_ONCE: Final = 2_000
LOGGED, CONSTANT, CURRENT = "what was shown", "the best constant choice", "the current rules"


@dataclass(frozen=True, slots=True)
class Span:
    """Which decisions are judged, and by what; of more than `most`, so many chosen evenly by their ids."""

    objective: str
    placement: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    most: int = MOST


@dataclass(frozen=True, slots=True)
class Supposed:
    """What the policy would have earned, and its gain over each of those it is compared with."""

    worths: Mapping[str, Worth]
    decisions: int
    sampled: bool
    since: datetime
    until: datetime


def supposed(now: datetime, span: Span, policy: Policy, current: Policy | None = None) -> Supposed:
    """Judge a policy; by default on the last 30 days that the ledger knows of.

    Raises ValueError where there is nothing to judge by.
    """
    rows, since, until = _rows(now, span)
    every = -(-rows.count() // span.most)
    # Text of an id is as good as dice, and the same tomorrow.
    kept = list(rows.extra(where=["abs(hashtext(id::text)::bigint) %% %s = 0"], params=[every]) if every > 1 else rows)
    slots, items, candidates = _slots(kept, span.objective)
    log, tables = logged(slots)
    ours = _target(policy, slots, items, candidates, tables)
    rivals: dict[str, Target | None] = {LOGGED: None, CONSTANT: _constant(slots, tables, len(candidates))}
    if current is not None:
        rivals[CURRENT] = _target(current, slots, items, candidates, tables)
    worths = {over: _worth(log, ours, rival) for over, rival in rivals.items()}
    return Supposed(worths, len(kept), every > 1, since, until)


def _worth(log: Log, ours: Target, rival: Target | None) -> Worth:
    """With the same dice every time, so that one question has one answer."""
    return worth(log, ours, np.random.default_rng(0), against=rival)


def _rows(now: datetime, span: Span) -> tuple[QuerySet[Decision], datetime, datetime]:
    every = Decision.objects.filter(at__lt=span.until or now, items__0__isnull=False)
    if span.placement:
        every = every.filter(placement=span.placement)
    newest = every.order_by("-at").values_list("at", flat=True).first()
    if newest is None:
        where = f"in the placement {span.placement!r}" if span.placement else "yet"
        raise ValueError(f"Nothing was decided {where} before {span.until or now:%Y-%m-%d %H:%M}; look at --placement.")
    since = span.since or newest - USUAL
    rows = every.filter(at__gte=since).order_by("at", "pk")
    if not rows.exists():
        raise ValueError(
            f"Nothing was decided from {since:%Y-%m-%d %H:%M} on; the newest is of {newest:%Y-%m-%d %H:%M}."
        )
    return rows, since, newest


Item = tuple[Decision, int, str]


def _slots(rows: Sequence[Decision], objective: str) -> tuple[Slots, list[Item], list[str]]:
    """Everything shown with a known chance, as arrays and as (decision, place, content); and all contents there are."""
    items: list[Item] = []
    numbers: list[tuple[int, float, float, str]] = []
    rewards = _rewards(rows, objective)
    for number, row in enumerate(rows):
        known = sorted((item for item in row.items if item.get("propensity")), key=lambda item: item["rank"])
        for place, item in enumerate(known, start=1):
            items.append((row, place, item["key"]))
            person = f"c{row.customer_id}" if row.customer_id else row.customer_key or str(row.pk)
            reward = rewards.get((row.pk, item["key"]), 0.0)
            numbers.append((number, min(1.0, float(item["propensity"])), reward, person))
    if not items:
        raise ValueError("No decision of this span kept its propensities; import them with the log.")
    candidates = sorted({key for _, _, key in items})
    where = {key: place for place, key in enumerate(candidates)}
    decisions, chances, earned, people = zip(*numbers, strict=True)
    slots = Slots(
        np.unique(decisions, return_inverse=True)[1].astype(np.int64),
        np.array([where[key] for _, _, key in items], np.int64),
        np.array([place for _, place, _ in items], np.int64),
        np.array(chances),
        np.array(earned),
        np.unique(people, return_inverse=True)[1].astype(np.int64),
    )
    return slots, items, candidates


def _rewards(rows: Sequence[Decision], objective: str) -> dict[tuple[UUID, str], float]:
    """{(decision, content): what it earned within its windows}: 1 for a click or conversion, or its money."""
    found: dict[tuple[UUID, str], float] = {}
    by_id = {row.pk: row for row in rows}
    kind = Outcome.Kind.CLICK if objective == CLICK else Outcome.Kind.CONVERSION
    ids = list(by_id)
    for start in range(0, len(ids), AT_ONCE):
        outcomes = Outcome.objects.filter(decision_id__in=ids[start : start + AT_ONCE], kind=kind)
        for pk, content, at, value in outcomes.values_list("decision_id", "content", "at", "value"):
            if by_id[pk].in_time(VALUE if objective == VALUE else kind, at):
                earned = found.get((pk, content), 0.0) + value if objective == VALUE else 1.0
                found[pk, content] = earned
    return found


def _target(
    policy: Policy, slots: Slots, items: Sequence[Item], candidates: Sequence[str], tables: tuple[Table, Table]
) -> Target:
    """The policy's chance of what was shown, and what the model expects of all that it might have shown."""
    where = {key: place for place, key in enumerate(candidates)}
    fold = folds(slots.customers).tolist()
    chances, expected = np.zeros(len(items)), np.zeros(len(items))
    asked: tuple[Decision, Sequence[Chances]] | None = None
    for number, (row, place, key) in enumerate(items):
        if asked is None or asked[0] is not row:
            asked = (row, policy(row))
        mine = asked[1][place - 1] if place <= len(asked[1]) else {}
        chances[number] = mine.get(key, 0.0)
        table = tables[fold[number]]
        expected[number] = sum(p * expectation(table, where.get(one, -1), place) for one, p in mine.items())
    return Target(chances, expected)


def _constant(slots: Slots, tables: tuple[Table, Table], contents: int) -> Target:
    """The contents that earned most, for everybody; for each half of the customers, the other half's best."""
    scores = np.zeros((int(slots.decisions.max()) + 1, contents))
    fold = folds(slots.customers)
    for half, table in enumerate(tables):
        mine = np.unique(slots.decisions[fold == half])
        scores[mine] = [expectation(table, key, 1) for key in range(contents)]
    return best_first(slots, scores, tables)
