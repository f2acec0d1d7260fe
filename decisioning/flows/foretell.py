"""The event log in; how likely each customer leaves or buys again, and what each will spend, told as traits, out.

What is foretold goes through the log as an identify event, like every other trait: facts, segments, campaigns and a
rebuild find it there, and a customer of whom nothing can be foretold any more is told that too.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
from django.conf import settings
from django.db import connection, transaction

from ..customers import profile
from ..customers.facts.catalogue import learnt_facts
from ..customers.facts.events import DONE, PASSIVE
from ..customers.facts.frame import Prepared, facts_as_of, prepare
from ..customers.facts.measures import UNITS
from ..customers.intake.incoming import Checked
from ..customers.models import Pending
from ..learning.expecting import mixed
from ..learning.family import CHANCE
from ..learning.foretelling import NOBODY, Foretold, Rows, foretold
from ..learning.gate import Verdict, judge
from ..learning.scorer import Scorer
from ..learning.targets import CHURN, TARGETS, Happened, Target, came_true, cuts, foretellable
from ..learning.verifying import golden
from ..models import Artefact
from ..store import artefacts, frames, layers
from ..store.people import CUSTOMER
from . import tell

log = logging.getLogger(__name__)

MOMENTS: Final = 6  # to learn from
CUSTOMERS: Final = 20_000  # who teach; of more, an even sample
EVENTS: Final = 500_000  # of theirs, about
EVERY: Final = timedelta(days=7)  # a model learns anew so often
AT_ONCE: Final = 500
SOURCE: Final = "foretold"
LEAST_CHANCE: Final = 0.01
LEAST: Final = 0.02  # smaller changes of a chance are not told
SHARE: Final = 0.05  # nor of money, smaller than this share of it
HEAD: Final = 8  # golden rows
COUNTS: Final = """
SELECT count(*), count(DISTINCT i.customer_id) FROM customers_event e JOIN customers_identity i ON i.id = e.identity_id
WHERE NOT e.bot
"""
KNOWN: Final = "SELECT id FROM customers_customer WHERE merged_into_id IS NULL ORDER BY id"
ACTIVE: Final = """
SELECT DISTINCT i.customer_id FROM customers_event e JOIN customers_identity i ON i.id = e.identity_id
WHERE NOT e.bot AND e.timestamp >= %s AND e.timestamp <= %s AND e.type = ANY(%s) AND NOT e.name = ANY(%s)
"""
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Asked:
    """A target and its horizon in days."""

    target: Target
    days: int


def asked(words: Sequence[str]) -> list[Asked]:
    """Targets by "name" or "name:days". Raises ValueError naming those there are."""
    found = [_asked(word) for word in words]
    names = [one.target.name for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} is asked for twice; one horizon each.")
    return found


def _asked(word: str) -> Asked:
    name, _, days = word.partition(":")
    if name not in TARGETS:
        raise ValueError(f"{name!r} cannot be foretold; take one of {', '.join(TARGETS)}, each with days: churn:30.")
    if days and not (days.isdecimal() and 1 <= int(days) <= 730):
        raise ValueError(f"{word!r}: a horizon is a number of days from 1 to 730.")
    return Asked(TARGETS[name], int(days) if days else TARGETS[name].days)


def train(now: datetime, one: Asked) -> Artefact:
    """Learn one target, judge it on the latest horizon that has closed, keep it, and use it if the gate opens.

    Raises ValueError where the log is too short or too little came true.
    """
    known = learnt_facts(profile.vocabulary())
    kinds = {name: kind for name, kind in known.items() if name not in {each.fact for each in TARGETS.values()}}
    rows = rows_of(now, one, kinds)
    found = foretold(one.target, rows, {name: kind for name, kind in kinds.items() if name in rows.frame.columns})
    scorer = found.scorer
    artefact = artefacts.keep(
        one.target.name,
        scorer.to_artefact(),
        scorer.schema.hash,
        {"target": one.target.name, "days": one.days, "scorer": found.chosen, "rows": len(rows), **found.to_dict()},
        now,
        msgspec.to_builtins(golden(scorer, rows.frame.tail(HEAD).to_dicts(), [NOBODY])),
        (datetime.fromtimestamp(rows.at.min() / 1e6, UTC), now),
    )
    _let_through(artefact, found)
    return artefact


def rows_of(now: datetime, one: Asked, kinds: Mapping[str, str]) -> Rows:
    """Facts of a sample of customers as of several moments, and what came true after each."""
    ids = _sampled()
    events = profile.read_events(ids).filter(pl.col("timestamp") <= now)
    if events.is_empty():
        waiting = Pending.objects.count()
        cure = f"{waiting:,} wait for `manage.py consume`, or a worker" if waiting else "send or import some"
        raise ValueError(f"The log holds no events yet that were dealt with; {cure}, then foretell.")
    first, last = int(events["timestamp"].dt.epoch("us").to_numpy().min()), int(now.timestamp() * 1e6)
    moments = cuts(first, last, one.days, MOMENTS)
    known = prepare(events)
    done, bought = happened(known)
    found = []
    for at in moments:
        when = np.full(len(ids), at)
        some = np.array(ids)[foretellable(one.target.name, done, bought, np.array(ids), when, one.days)]
        if len(some):
            found.append((at, some, came_true(one.target.name, done, bought, some, when[: len(some)], one.days)))
    if not found:
        raise ValueError(f"Nobody could be foretold {one.target.name} at any of {len(moments)} moments.")
    asked_for = pl.concat(
        pl.DataFrame({CUSTOMER: some, "moment": pl.Series([at] * len(some)).cast(pl.Datetime("us", "UTC")), "came": y})
        for at, some, y in found
    )
    facts = facts_as_of(
        known, profile.read_customers(ids), asked_for.select(CUSTOMER, "moment"), time_zone=settings.FACTS_TIME_ZONE
    )
    whole = facts.join(asked_for, on=[CUSTOMER, "moment"]).sort("moment", CUSTOMER)
    keys = [name for name in kinds if name in whole.columns]
    return Rows(
        whole.select(keys),
        whole["came"].to_numpy(),
        whole[CUSTOMER].to_numpy(),
        whole["moment"].dt.epoch("us").to_numpy(),
    )


def happened(known: Prepared) -> tuple[Happened, Happened]:
    """What customers did, and what they bought for how much."""

    def of(table: pl.DataFrame, amounts: Any = None) -> Happened:
        return Happened(table[CUSTOMER].to_numpy(), table["at"].dt.epoch("us").to_numpy(), amounts)

    totals = known.orders["total"].fill_null(0).to_numpy() / UNITS
    return of(known.events.filter("active")), of(known.orders, totals)


def _sampled() -> list[int]:
    """So many customers as can be learned from at once, always the same ones, by their hashed ids."""
    with connection.cursor() as cursor:
        cursor.execute(COUNTS)
        events, people = cursor.fetchone()
        cursor.execute(KNOWN)
        ids = [pk for (pk,) in cursor]
    most = max(1, min(CUSTOMERS, int(EVENTS * max(people, 1) / max(events, 1))))
    if len(ids) <= most:
        return ids
    return sorted(np.array(ids)[np.argsort(mixed(np.array(ids, np.int64)))[:most]].tolist())


def _let_through(artefact: Artefact, found: Foretold) -> None:
    try:
        verdict = judge(found.evidence(artefacts.trial(artefact)))
    except ValueError as error:
        verdict = Verdict(False, str(error), ())
    said = {"gate": verdict.to_dict()} | ({} if verdict.promoted else {"refused": verdict.words})
    artefacts.note(artefact, said)
    if verdict.promoted:
        artefacts.activate(artefact, tried=True)
    else:
        log.warning("%s is not used: %s", artefact, verdict.words)


def foretell(now: datetime, every: Sequence[Asked], progress: Callable[[int, int, str], None]) -> list[str]:
    """Learn what is due, and tell every customer; a line about each target. Too little data stops nothing else."""
    told = []
    for place, one in enumerate(every):
        progress(place, len(every) + 1, f"learning {one.target.name}")
        told.append(_learned(now, one))
    progress(len(every), len(every) + 1, "telling every customer")
    number = tell_everybody(now)
    said = f"{number:,} customers were told something new"
    progress(len(every) + 1, len(every) + 1, said)
    return [*told, said]


def _learned(now: datetime, one: Asked) -> str:
    used = artefacts.active(one.target.name)
    if used is not None and used.trained_at > now - EVERY and used.metrics.get("days") == one.days:
        return f"{one.target.name}: {used} of {used.trained_at:%Y-%m-%d} stays"
    try:
        found = train(now, one)
    except ValueError as error:
        log.info("%s is not foretold: %s", one.target.name, error)
        return f"{one.target.name}: {error}"
    return f"{one.target.name}: {found} ({found.metrics['scorer']}), {found.metrics['gate']['words']}"


def tell_everybody(now: datetime) -> int:
    """Tell each customer what is foretold by now, where that differs from what was told; how many were told."""
    using = {name: used for name in TARGETS if (used := artefacts.active(name))}
    if not using:
        return 0
    scorers = {name: Scorer.from_artefact(artefacts.read(used)) for name, used in using.items()}
    active = _active(now, int(using[CHURN].metrics["days"])) if CHURN in using else set[int]()
    frames.refresh(now)
    told = 0
    for bucket in range(layers.BUCKETS):
        for changed in _changed(scorers, active, bucket):
            told += _told(changed, now)
    return told


def unknown() -> bool:
    """Whether something was told that is no fact yet."""
    known = {name for name, _ in profile.vocabulary().traits}
    return any(artefacts.active(name) and target.fact not in known for name, target in TARGETS.items())


def _active(now: datetime, days: int) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(ACTIVE, [now - timedelta(days=days), now, list(DONE), list(PASSIVE)])
        return {pk for (pk,) in cursor}


def _changed(scorers: Mapping[str, Scorer], active: set[int], bucket: int) -> Iterator[dict[int, dict[str, Any]]]:
    """What is to be told, some customers at a time: {customer: {trait: value}}, None where nothing is foretold."""
    there, mine = frames.columns(), [TARGETS[name].fact for name in scorers]
    read = {column.key for one in scorers.values() for column in one.schema.fact_columns} | {*mine, "orders"}
    frame = frames.current([CUSTOMER, *sorted(name for name in read if name in there)], bucket)
    for start in range(0, frame.height, AT_ONCE):
        some = frame.slice(start, AT_ONCE)
        found: dict[int, dict[str, Any]] = {}
        for name, scorer in scorers.items():
            target = TARGETS[name]
            values = scorer.score_everybody(some, [NOBODY])[:, 0].tolist()
            before = some[target.fact].to_list() if target.fact in some.columns else [None] * some.height
            bought = some["orders"].to_list() if "orders" in some.columns else [0] * some.height
            for pk, value, last, orders in zip(some[CUSTOMER].to_list(), values, before, bought, strict=True):
                can = pk in active if name == CHURN else (orders or 0) > 0
                now_known = told_as(target, value) if can else None
                if differs(target, last, now_known):
                    found.setdefault(pk, {})[target.fact] = now_known
        if found:
            yield found


def told_as(target: Target, value: float) -> float:
    """Two digits; nobody is certain to come or to go."""
    return round(min(max(value, LEAST_CHANCE), 1 - LEAST_CHANCE) if target.task == CHANCE else value, 2)


def differs(target: Target, last: float | None, now: float | None) -> bool:
    """Whether it is worth telling; an event for every hundredth would drown the log."""
    if last is None or now is None:
        return (last is None) != (now is None)
    least = LEAST if target.task == CHANCE else SHARE * max(abs(last), 1.0)
    return abs(now - last) >= least - 1e-9


def _told(changed: Mapping[int, Mapping[str, Any]], now: datetime) -> int:
    """Identify events, in one transaction; told again at the same moment they are the same."""
    people = tell.named(changed)
    events = []
    for pk, traits in sorted(changed.items()):
        identifier = people[pk].identifier if pk in people else None
        if identifier is not None:
            message_id = f"{SOURCE}:{pk}:{now:%Y-%m-%dT%H:%M}"
            event = Checked(message_id, "identify", "identify", (identifier,), _encode(traits).decode(), "{}", now)
            events.append(tell.Telling(SOURCE, event))
    with transaction.atomic():
        return tell.store(events, now)
