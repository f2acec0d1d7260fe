"""A content, its placement's objective and the moment in; the factors of its score, and its formula for people, out.

    score = chance × value × margin (where value is the objective) × content boost × rule boosts × freshness

bounded at every step by `LARGEST`.

Where a scorer foretells money there is no value to multiply by: it is in the score.
Freshness is 1 + 2^(−age / half-life): twice for a content that starts now, and once for an old one.
"""

from datetime import datetime

from .types import ContentItem, PlacementItem

VALUE = "value"
CLICK = "click"
CONVERSION = "conversion"
SECONDS_A_DAY = 86_400.0
# No factor, product of factors or score is larger, whatever is multiplied: infinite scores have no chances to draw by,
# and JSON has no word for them. Sums and squares of so large numbers are still finite.
LARGEST = 1e60

Factor = tuple[float, str]


def worth(content: ContentItem, item: PlacementItem) -> tuple[Factor, ...]:
    """What a content's chance is multiplied by whoever asks, each with its name; factors of 1 are left out."""
    found: list[Factor] = []
    if item.objective == VALUE:
        found.append((content.value, VALUE))
        if content.margin is not None:
            found.append((content.margin, "margin"))
    if content.boost != 1.0:
        found.append((content.boost, "content boost"))
    return tuple(factor for factor in found if factor[0] != 1.0)


def success_of(objective: str) -> str:
    """What counts as a success where this is the objective: money comes with conversions."""
    return CLICK if objective == CLICK else CONVERSION


def factors(
    content: ContentItem,
    item: PlacementItem,
    own: tuple[Factor, ...],
    rule_boost: float,
    now: datetime,
    money: bool = False,
) -> tuple[Factor, ...]:
    """Its `worth` and what rules and the moment multiply it by; without the value where the score is `money`."""
    if money:
        own = tuple(factor for factor in own if factor[1] != VALUE)
    if rule_boost != 1.0:
        own = (*own, (rule_boost, "rule boost"))
    if item.freshness_half_life_days > 0:
        fresh = freshness(content, item.freshness_half_life_days, now)
        own = (*own, (fresh, "freshness")) if fresh != 1.0 else own
    return own


def product(found: tuple[Factor, ...]) -> float:
    """All factors as one, at most `LARGEST`."""
    whole = 1.0
    for amount, _ in found:
        # Bounded at every step: an infinite factor times 0 would be no number at all.
        whole = at_most(whole * at_most(amount))
    return whole


def at_most(amount: float) -> float:
    """The amount, or `LARGEST` where it is larger."""
    return min(amount, LARGEST)


def freshness(content: ContentItem, half_life_days: float, now: datetime) -> float:
    """Between 2 (it starts now) and 1 (it is old, or nobody knows when it began)."""
    since = content.starts_at or content.created_at
    if since is None:
        return 1.0
    days = max(0.0, (now - since).total_seconds() / SECONDS_A_DAY)
    return 1.0 + 0.5 ** min(days / half_life_days, 1000.0)


def formula(base: float, found: tuple[Factor, ...], total: float) -> str:
    """The score as people would write it: `0.031 × 20.00 value × 0.4 margin × 2 rule boost = 0.496`."""
    if not found:
        return number(base)
    parts = [f"{amount:,.2f} {name}" if name == VALUE else f"{number(amount)} {name}" for amount, name in found]
    return " × ".join([number(base), *parts]) + f" = {number(total)}"


def number(amount: float) -> str:
    """Three digits that matter; thousands without a fraction."""
    return f"{amount:.3g}" if abs(amount) < 1000 else f"{amount:,.0f}"
