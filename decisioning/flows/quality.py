"""Everybody's facts and the event log in; what is wrong with them, as rows for the admin, out. One check at a time.

How far a check is stands in Redis for an hour, so that a page can follow one that a worker runs.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

import msgspec
import redis
from django.db import connection

from ..customers import profile
from ..customers.facts import defining
from ..customers.facts.catalogue import built_in_facts, catalogue_facts
from ..customers.quality import reports
from ..customers.quality.asked import policies
from ..customers.quality.events import check_events
from ..customers.quality.facts import Known, check_facts
from ..store import frames
from ..store.connection import patient

log = logging.getLogger(__name__)

PROGRESS: Final = "quality:progress"
SECONDS: Final = 3600
LOCK: Final = 7_011_973
EVENTS, FACTS = 0.7, 0.3  # shares of the time, roughly

Tell = Callable[[float, str], None]


class Underway(msgspec.Struct, frozen=True):
    """How far a check is: `share` from 0 to 1, and what it looks at."""

    share: float
    what: str


def tell(share: float, what: str) -> None:
    """Let pages know how far the check is; losing that harms nothing."""
    try:
        patient().set(PROGRESS, msgspec.json.encode(Underway(share, what)), ex=SECONDS)
    except redis.RedisError:
        log.debug("progress was not told", exc_info=True)


def underway() -> Underway | None:
    """The check that runs, or None; None too while Redis is away."""
    try:
        held = patient().get(PROGRESS)
    except redis.RedisError:
        return None
    return msgspec.json.decode(held, type=Underway) if isinstance(held, bytes) else None


def done() -> None:
    """Nothing runs any more."""
    try:
        patient().delete(PROGRESS)
    except redis.RedisError:
        log.debug("the end was not told", exc_info=True)


def check(now: datetime, progress: Tell = lambda share, what: None) -> int | None:
    """Look through the log and everybody's facts, keep a report for each; how many, None while another check runs.

    Nothing that came in is changed. `progress(share, what)` is called before each step.
    """
    with _alone() as alone:
        if not alone:
            return None
        found = check_events(now, lambda place, of, what: progress(EVENTS * place / of, what))
        progress(EVENTS, "reading everybody's facts")
        words = profile.vocabulary()
        frame = frames.facts(now)
        built_in = {fact.name: fact for fact in built_in_facts(words)}
        facts = {**catalogue_facts(words), **defining.published().catalogue()}
        known = Known(now, facts, built_in, policies())
        if frame.height:
            found += check_facts(frame, known, lambda place, of, what: progress(EVENTS + FACTS * place / of, what))
        reports.keep(found, now)
        return len(found)


def check_telling(now: datetime) -> int | None:
    """The same, with pages being told how far it is."""
    try:
        found = check(now, tell)
    except BaseException:
        done()
        raise
    if found is not None:
        done()
    return found


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether nobody else checks; held until the end, or until this process dies."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        alone = bool(cursor.fetchone()[0])
        try:
            yield alone
        finally:
            if alone:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
