"""A fact's name and where it comes from in; the values it can have at all, out.

Built-in facts are bounded by what they are: counts and days are no less than 0, shares lie between 0 and 1. A declared
trait or a custom fact is bounded only where its name leaves no doubt.
"""

import re
from typing import Final, NamedTuple

from ..facts.formulas import BuiltIn, Source

OLDEST: Final = 120.0  # years


class Bounds(NamedTuple):
    """From `low` to `high`, both possible; `what` says why."""

    low: float
    high: float
    what: str


COUNT: Final = Bounds(0.0, float("inf"), "it counts or measures, so it is 0 or more")
SHARE: Final = Bounds(0.0, 1.0, "it is a share, so it is from 0 to 1")
WAVE: Final = Bounds(-1.0, 1.0, "it is a sine or cosine, so it is from −1 to 1")
SCORE: Final = Bounds(1.0, 5.0, "it is a score from 1 to 5")
SUM: Final = Bounds(3.0, 15.0, "it is the sum of three scores from 1 to 5")
AGE: Final = Bounds(0.0, OLDEST, f"people are 0 to {OLDEST:.0f} years old")

# The first that fits a built-in fact's name.
BUILT_IN: Final = (
    (re.compile(r"^rfm_score$"), SUM),
    (re.compile(r"^(recency|frequency|monetary)_score$"), SCORE),
    (re.compile(r"_(sin|cos)$"), WAVE),
    (re.compile(r"(^share_|_share$|_rate$)"), SHARE),
)
# Names that are free to mean a number below 0.
FREE: Final = re.compile(r"(trend|change|balance|delta|diff|latitude|longitude|seasonality|score)", re.IGNORECASE)
TRAITS: Final = ((re.compile(r"(^|_)age$"), AGE),)
HISTORY: Final = re.compile(r"^(COUNT|DISTINCT|DAYS SINCE)\b")
# A date may lie ahead where the name says that it is about what comes.
AHEAD: Final = re.compile(r"(expir|until|due|renew|next|end|valid|deadline|appointment|trip|departure|return)", re.I)


def bounds_of(name: str, fact: BuiltIn | None) -> Bounds | None:
    """What a number of this name can be, or None where anything can."""
    if fact is None or fact.source is Source.TRAITS:
        if HISTORY.search(name):
            return COUNT
        return next((bounds for pattern, bounds in TRAITS if pattern.search(name.removeprefix("trait_"))), None)
    known = next((bounds for pattern, bounds in BUILT_IN if pattern.search(name)), None)
    return known or (None if FREE.search(name) else COUNT)


def may_lie_ahead(name: str) -> bool:
    """Whether a date of this name may be in the future."""
    return bool(AHEAD.search(name))
