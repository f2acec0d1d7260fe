"""A rule's condition, or a scorer's factor, and the facts seen in; words for the customer, and for operators, out.

What a customer may be told comes from two tables: facts, and events, that are about their own behaviour. Everything
else (segments, traits, scores, chances, other contents) has no words here, so it cannot be told. Words of kinds that
need special care are left out whatever they stand in. Source: Regulation (EU) 2016/679, Article 9 (1).
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from rules.language import RuleError, matches, parse
from rules.language.facts import Fact
from rules.language.nodes import All, Condition, History, Named, Test, condition_of
from rules.language.nodes import Any as Either

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
    "recent_searches": "you searched for “{}”",
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
    "visits": "you visit us often",
    "sessions": "you visit us often",
}
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
    "products searched": ("you searched for “{}”", "you searched our shop"),
}
GENERAL: Final = frozenset({*COUNTS.values(), *(words for _, words in EVENTS.values())})
PROPERTIES: Final = frozenset(
    {"category", "categories", "department", "departments", "product_category", "brand", "product", "name", "query"}
)
MUCH: Final = frozenset({">", ">=", "=", "BETWEEN"})
COUNTED: Final = frozenset({"COUNT", "SUM", "DISTINCT"})
CAREFUL: Final = re.compile(
    r"\b(health|medic|pharma|drug|pregnan|fertil|contracept|condom|diabet|cancer|hiv\b|depress|therap|disab|illness|"
    r"incontinen|religio|church|islam|muslim|christian|jewish|hindu|buddhis|halal|kosher|politic|trade union|sex|"
    r"erotic|lgbt|gay\b|lesbian|ethnic|racial|genetic|biometric|alcohol|liquor|tobacco|cigar|gambl|weight|diet|debt|loan)",
    re.IGNORECASE,
)


def because(text: str, facts: Mapping[str, Any], now: datetime, known: Mapping[str, Fact]) -> str:
    """What a rule's text asks for that the customer did and may be told, as "because you …"; else "".

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
    if name.startswith(SHARE) and name in known and test.operator in MUCH:
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
    things = [_value(part) for part in _asked_for(history.where)]
    return words[0].format(things[0]) if things and all(things) else ""


def _asked_for(where: Condition) -> Iterator[Test]:
    """The tests of a WHERE for what kind of thing it was; one that also asks for something else says nothing false."""
    parts = where.parts if isinstance(where, All) else (where,)
    for part in parts:
        if not isinstance(part, Test) or not isinstance(part.operand, Named) or part.negated:
            continue
        if part.operand.name.rsplit(".", 1)[-1].casefold() in PROPERTIES:
            yield part


def _much(test: Test) -> bool:
    """Whether it asks for some of it, and not for little or none."""
    if test.operator not in MUCH:
        return False
    return test.operator in (">", "BETWEEN") or test.value not in (0, None)


def _counts(name: str, start: str) -> bool:
    return re.fullmatch(rf"{start}(_\d+d)?", name) is not None


def _value(test: Test, held: Any = None) -> str:
    """The text that the test asks for; of several, the first that the customer has."""
    if test.operator not in ("=", "IN", "CONTAINS"):
        return ""
    wanted = test.value if isinstance(test.value, tuple) else (test.value,)
    has = {str(each).casefold() for each in (held if isinstance(held, list) else [held])}
    texts = [text for text in wanted if isinstance(text, str)]
    return _safe(next((text for text in texts if held is None or text.casefold() in has), ""))


def _safe(text: str) -> str:
    """The text as a customer may read it; nothing where it is of a kind that needs care."""
    if not text or CAREFUL.search(text.replace("_", " ")):
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
