"""Names of facts come in; the events that they are made from come out, to say which event moved somebody."""

from collections.abc import Iterable, Mapping
from typing import Final

from rules.language.nodes import History

from .deriving import by_name
from .events import BASKET, CHECKOUT, ORDER, REDEEMED, SEARCHED, VIEWED
from .formulas import Source
from .vocabulary import Vocabulary, slug

BY_SOURCE: Final[Mapping[Source, frozenset[str]]] = {
    **dict.fromkeys((Source.ORDERS, Source.DEPARTMENTS, Source.CATEGORIES, Source.BRANDS), frozenset({ORDER})),
    Source.REDEMPTIONS: frozenset({REDEEMED}),
    Source.BASKETS: frozenset({*BASKET, ORDER}),
    Source.CHECKOUTS: frozenset({CHECKOUT, ORDER}),
    Source.SEARCHES: frozenset({SEARCHED}),
    Source.VIEWS: frozenset({VIEWED}),
    Source.TRAITS: frozenset({"identify"}),
}
OF_ORDERS: Final = ("rfm_", "recency_score", "frequency_score", "monetary_score", "spend_trend")


def events_of(facts: Iterable[str], vocabulary: Vocabulary, histories: Mapping[str, History]) -> frozenset[str]:
    """The events that may change one of these facts or histories; empty where any may."""
    known, since = by_name(vocabulary), {f"days_since_{slug(name)}": name for name in vocabulary.event_names}
    found: set[str] = set()
    for name in facts:
        if name in histories:
            found.add(histories[name].event)
        elif name in since:
            found.add(since[name])
        elif name.startswith(OF_ORDERS):
            found.add(ORDER)
        elif name in known and (mine := BY_SOURCE.get(known[name].source)):
            found |= mine
        else:
            return frozenset()
    return frozenset(found)
