"""Customers who are about to say what they allow in; their word kept, and in force at the next decision, out."""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction

from rules.segments import Because

from ..customers.facts import dues
from ..customers.identity import family
from ..store import publishing
from .anew import settle_anew
from .react import PASSING
from .standing import standing

log = logging.getLogger(__name__)


@contextmanager
def said_by(customers: Collection[int], now: datetime, why: Because | None = None) -> Iterator[Mapping[int, int]]:
    """Write consents or refusals of these customers (ids) within: what was written holds when the block is left.

    Gives those that there still are, each with whom it is part of (or itself), held against deletion and every other
    writer. Their facts and profiles follow at once; so do segments and what follows from them where it is said `why`,
    else when a consumer looks next. Without Redis the word is kept as well, and all that follows when Redis is back.
    """
    with transaction.atomic():
        heads = family.hold(customers)
        yield {pk: heads[pk] for pk in customers if pk in heads}
        changed = family.keep_allowed(heads.values(), now)
        if changed:
            _follow(changed, now, why)


def _follow(changed: Mapping[int, bool], now: datetime, why: Because | None) -> None:
    try:
        with transaction.atomic():
            publishing.publish(sorted(changed))
        computed = sorted(pk for pk, has_facts in changed.items() if has_facts)
        if why is not None and computed:
            settle_anew(computed, now, standing(), why, announce=False)
    except PASSING as error:
        log.warning("what %s customers allow waits for a consumer: %s", len(changed), error)
        dues.write(dict.fromkeys(changed, now))
