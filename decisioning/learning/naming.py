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
    ("discount", "bargain-hunting", "full-price"),
    ("categories", "all-round", "few-category"),
    ("tenure", "long-known", "new"),
    ("spend", "big spenders", "small spenders"),
    ("average_order", "big baskets", "small baskets"),
)
SPOKEN: Final = 4  # words; more nobody remembers


def name_clusters(effects: Sequence[Effects], labels: Mapping[str, str] | None = None) -> list[str]:
    """Names such as “Frequent big spenders”, by the facts at least `NOTABLE` deviations from everybody.

    Facts without words of their own are named by their label. Clusters that would share a name are told apart by
    their position among them: “…, 2”.
    """
    names: list[str] = []
    for effect in effects:
        name = describe(effect, labels or {})
        same = sum(taken == name or taken.startswith(f"{name}, ") for taken in names)
        names.append(f"{name}, {same + 1}" if same else name)
    return names


def describe(effect: Effects, labels: Mapping[str, str]) -> str:
    words = [(abs(strongest(effect, row[0])), word_for(row, effect)) for row in WORDS]
    said = sorted((pair for pair in words if pair[1]), key=lambda pair: -pair[0])[:SPOKEN]
    spoken = list(dict.fromkeys(word for pair in words if pair in said for word in [pair[1]]))
    plain = by_label(effect, labels)
    if not spoken:
        return f"Customers with {plain}" if plain else "Average customers"
    noun = "" if spoken[-1].endswith(("spenders", "baskets")) else " customers"
    return f"{' '.join(spoken)}{noun}".capitalize() + (f" with {plain}" if plain else "")


def by_label(effect: Effects, labels: Mapping[str, str]) -> str:
    """“high share of Dairy”, by the strongest fact that has no word; nothing when it is not notable."""
    wordless = [fact for fact in effect if not any(fact.startswith(row[0]) for row in WORDS)]
    name = max(wordless, key=lambda fact: abs(effect[fact]), default="")
    if not name or abs(effect[name]) < NOTABLE:
        return ""
    label = labels.get(name) or name.replace("_", " ")
    return f"{'high' if effect[name] > 0 else 'low'} {label[:1].lower()}{label[1:]}"


def word_for(row: tuple[str, str, str], effect: Effects) -> str:
    """The word of the strongest fact of this family, or nothing."""
    start, high, low = row
    return {1: high, -1: low, 0: ""}[direction(effect, start)]


def direction(effect: Effects, start: str) -> int:
    """1 or −1 when the strongest fact whose name starts so is notably high or low, else 0."""
    value = strongest(effect, start)
    return 0 if abs(value) < NOTABLE else 1 if value > 0 else -1


def strongest(effect: Effects, start: str) -> float:
    return max((value for fact, value in effect.items() if fact.startswith(start)), key=abs, default=0.0)
