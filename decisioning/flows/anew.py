"""Customers held by the caller in; their facts, segments and triggers anew from what is stored, and who failed, out.

One whose data or configuration breaks the code must not hold up everybody else, for ever and without a word.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from rules.segments import Because

from ..customers.facts import streams
from .react import PASSING, Reacted, settle, summed
from .standing import Standing

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Anew:
    """What was done, and why it could not be for some: {customer id: error}."""

    done: Reacted
    failed: dict[int, str]


def settle_anew(ids: Sequence[int], now: datetime, known: Standing, reason: Because, *, announce: bool) -> Anew:
    """All of them together or, where that fails, one by one; with `announce` their identities are published anew.

    To be called in a transaction. What another try may cure (`PASSING`) is raised.
    """
    try:
        with transaction.atomic():
            return Anew(_settled(ids, now, known, reason, announce), {})
    except PASSING:
        raise
    except Exception as error:
        log.exception("%s customers cannot be settled together; taking them one by one", len(ids))
        if len(ids) == 1:
            return Anew(Reacted(), {ids[0]: f"{type(error).__name__}: {error}"})
    parts = [settle_anew([pk], now, known, reason, announce=announce) for pk in ids]
    return Anew(summed(part.done for part in parts), {pk: why for part in parts for pk, why in part.failed.items()})


def _settled(ids: Sequence[int], now: datetime, known: Standing, reason: Because, announce: bool) -> Reacted:
    found = streams.load(ids, known.histories)
    everybody = {pk: found.get(pk, []) for pk in ids}
    names = {stream.identity for mine in found.values() for stream in mine} if announce else set()
    return settle(everybody, (), now, known, names, reason)
