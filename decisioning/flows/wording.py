"""A rule's condition, or a scorer's factor, and the facts seen in; words for the customer, and for operators, out.

What a customer may be told comes from two tables: facts, and events, that are about their own behaviour. Everything
else (segments, traits, scores, chances, other contents) has no words here, so it cannot be told. Of values only those
of categories, departments and brands are told, unless they are of a kind that needs care. What somebody typed, and
names of products, are never quoted: nobody can tell what they give away.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from django.conf import settings

from rules.language import RuleError, matches, parse
from rules.language.facts import Fact
from rules.language.nodes import All, Condition, History, Named, Test, condition_of
from rules.language.nodes import Any as Either

from .careful import needs_care

FOR_YOU: Final = "chosen for you"
FOR_ALL: Final = "shown to everybody"
FOR_OTHERS: Final = "shown to everybody else"  # where a rule's ELSE decided: what the rule asks for stays untold
LONGEST: Final = 60

# Facts about what customers did, as they may be told; {} is the value that the rule asks for and the customer has.
FACTS: Final[Mapping[str, str]] = {
    "recent_purchase_in_category": "you bought {}",
    "favourite_categories": "you often buy {}",
    "favourite_department": "you often buy {}",
    "favourite_brand": "you often buy {}",
    "recent_viewed_categories": "you looked at {}",
    "favourite_viewed_category": "you often look at {}",
}
# Facts that count what customers did, by how their name begins; told where the rule asks for much of it.
COUNTS: Final[Mapping[str, str]] = {
    "basket_products": "you have something in your basket",
    "basket_value": "you have something in your basket",
    "basket_abandoned_hours": "you left something in your basket",
    "orders": "you bought from us before",
    "products_viewed": "you looked at our products",
    "searches": "you searched our shop",
    "coupon_redemptions": "you used a coupon",
    "visits": "you visited us before",
    "sessions": "you visited us before",
}
SEARCHES: Final = "recent_searches"
SEARCHED: Final = "of what you searched for"
SHARE: Final = "share_"
# Events of the Segment Spec and the names shops give them: with what the rule asks for, and without.
EVENTS: Final[Mapping[str, tuple[str, str]]] = {
    "order completed": ("you bought {}", "you bought from us before"),
    "purchase": ("you bought {}", "you bought from us before"),
    "product purchased": ("you bought {}", "you bought from us before"),
    "product viewed": ("you looked at {}", "you looked at our products"),
    "product list viewed": ("you looked at {}", "you looked at our products"),
    "product added": ("you put {} in your basket", "you put something in your basket"),
    "product added to wishlist": ("you put {} on your list", "you put something on your list"),
    "products searched": (SEARCHED, "you searched our shop"),
}
GENERAL: Final = frozenset({*COUNTS.values(), *(words for _, words in EVENTS.values())})
PROPERTIES: Final = frozenset({"category", "categories", "department", "departments", "product_category", "brand"})
QUERY: Final = "query"
COUNTED: Final = frozenset({"COUNT", "SUM", "DISTINCT"})


def because(text: str, facts: Mapping[str, Any], now: datetime, known: Mapping[str, Fact]) -> str:
    """What a rule's text asks for that the customer did and may be told, as "because …"; else "".

    Of several the first that names a thing, else the first.
    """
    try:
        node = parse(text)
    except RuleError:
        return ""
    told = [_told(test, facts, known) for test in _holding(condition_of(node), facts, now)]
    found = [words for words in told if words]
    best = next((words for words in found if words not in GENERAL), found[0] if found else "")
    return f"because {best}" if best else ""


def _holding(condition: Condition, facts: Mapping[str, Any], now: datetime) -> Iterator[Test]:
    """The tests that make a condition hold; what stands under NOT says what somebody did not do, so it is left out."""
    if isinstance(condition, Test):
        if not condition.negated and matches(condition, facts, now):
            yield condition
    elif isinstance(condition, All | Either):
        for part in condition.parts:
            if isinstance(condition, All) or matches(part, facts, now):
                yield from _holding(part, facts, now)


def _told(test: Test, facts: Mapping[str, Any], known: Mapping[str, Fact]) -> str:
    if isinstance(test.operand, History):
        return _done(test.operand, test)
    name = test.operand.name
    if name in FACTS:
        value = _value(test, facts.get(name))
        return FACTS[name].format(value) if value else ""
    if name == SEARCHES:
        return SEARCHED if test.operator in ("=", "IN", "CONTAINS") else ""
    if name.startswith(SHARE) and name in known and _much(test):
        department = _safe(known[name].label.removeprefix("Share of "))
        return f"you often buy {department}" if department else ""
    return next((words for start, words in COUNTS.items() if _counts(name, start)), "") if _much(test) else ""


def _done(history: History, test: Test) -> str:
    """What happened, and with what, where a rule asks for events."""
    words = EVENTS.get(history.event.casefold().replace("_", " "))
    if words is None or history.aggregate not in COUNTED or not _much(test):
        return ""
    if history.where is None:
        return words[1]
    asked = list(_asked_for(history.where, {QUERY} if words[0] == SEARCHED else PROPERTIES))
    if not asked or words[0] == SEARCHED:
        return words[0] if asked else ""
    wanted = [_only_value(part) for part in asked]
    if not all(wanted):
        return words[1]  # which of several it was is not kept
    things = [_safe(text) for text in wanted]
    return words[0].format(things[0]) if all(things) else ""


def _asked_for(where: Condition, names: Collection[str]) -> Iterator[Test]:
    """The tests of a WHERE for what kind of thing it was; one that also asks for something else says nothing false."""
    parts = where.parts if isinstance(where, All) else (where,)
    for part in parts:
        if not isinstance(part, Test) or not isinstance(part.operand, Named) or part.negated:
            continue
        if part.operand.name.rsplit(".", 1)[-1].casefold() in names:
            yield part


def _much(test: Test) -> bool:
    """Whether it holds only for somebody who has some: asking for little or none tells nothing of what was done."""
    least = test.value[0] if test.operator == "BETWEEN" and isinstance(test.value, tuple) else test.value
    if isinstance(least, bool) or not isinstance(least, int | float):
        return False
    return least >= 0 if test.operator == ">" else test.operator in (">=", "=", "BETWEEN") and least > 0


def _counts(name: str, start: str) -> bool:
    return re.fullmatch(rf"{start}(_\d+d)?", name) is not None


def _value(test: Test, held: Any) -> str:
    """The text that the test asks for and the customer has; of several, the first."""
    has = {str(each).casefold() for each in (held if isinstance(held, list) else [held]) if each is not None}
    return _safe(next((text for text in _texts(test) if text.casefold() in has), ""))


def _only_value(test: Test) -> str:
    """The one text that a test can hold for; "" where there are several, or a part of a text is enough."""
    texts = _texts(test)
    return texts[0] if len(texts) == 1 and test.operator != "CONTAINS" else ""


def _texts(test: Test) -> list[str]:
    if test.operator not in ("=", "IN", "CONTAINS"):
        return []
    wanted = test.value if isinstance(test.value, tuple) else (test.value,)
    return [text for text in wanted if isinstance(text, str)]


def _safe(text: str) -> str:
    """The text as a customer may read it; nothing where it is of a kind that needs care, or no values are told."""
    if not text or not settings.TELL_VALUES or needs_care(text, settings.CAREFUL_WORDS):
        return ""
    short = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return short.lower() if short.isupper() else short


def plainly(label: str, value: Any, share: float, noun: str = "chance") -> str:
    """A scorer's factor in a sentence: what it saw, and which way that goes."""
    seen = "is not known" if value is None else f"is {figure(value)}"
    return f"{label} {seen}: {'raises' if share > 0 else 'lowers'} the {noun}"


def figure(value: Any) -> str:
    """A value with as many digits as people read."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.4g}" if isinstance(value, float) and abs(value) < 10_000 else str(value)
