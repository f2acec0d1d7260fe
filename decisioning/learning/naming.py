"""How far clusters are from the population comes in, fact by fact; a readable name for each comes out."""

from collections.abc import Mapping, Sequence
from typing import Final

Effects = Mapping[str, float]
NOTABLE: Final = 0.4  # standard deviations from the population

WORDS: Final = (
    # the fact's name starts with, word when high, word when low: in the order they are spoken
    ("recency", "lapsed", "recent"),
    ("orders", "frequent", "occasional"),
    ("visits", "frequent", "occasional"),
    ("coupon", "coupon-using", "coupon-shy"),
    ("spend", "big spenders", "small spenders"),
    ("average_order", "big baskets", "small baskets"),
)


def name_clusters(effects: Sequence[Effects]) -> list[str]:
    """Names such as “Frequent big spenders”, by the facts at least `NOTABLE` deviations from everybody.

    Clusters that would share a name are told apart by their position among them: “…, 2”.
    """
    names: list[str] = []
    for effect in effects:
        name = describe(effect)
        same = sum(taken == name or taken.startswith(f"{name}, ") for taken in names)
        names.append(f"{name}, {same + 1}" if same else name)
    return names


def describe(effect: Effects) -> str:
    words = (word_for(row, effect) for row in WORDS)
    spoken = list(dict.fromkeys(word for word in words if word))
    if not spoken:
        return "Average customers"
    noun = "" if spoken[-1].endswith(("spenders", "baskets")) else " customers"
    return f"{' '.join(spoken)}{noun}".capitalize()


def word_for(row: tuple[str, str, str], effect: Effects) -> str:
    """The word of the strongest fact of this family, or nothing."""
    start, high, low = row
    strongest = max((value for fact, value in effect.items() if fact.startswith(start)), key=abs, default=0.0)
    if abs(strongest) < NOTABLE:
        return ""
    return high if strongest > 0 else low
