"""How far clusters are from the population comes in, fact by fact; a readable name for each comes out."""

from collections.abc import Mapping, Sequence
from typing import Final

Effects = Mapping[str, float]
NOTABLE: Final = 0.4  # standard deviations from the population
BESIDE: Final = 2 / 3  # of the effect of the cluster that has most of it; who has less is not called so
AVERAGE, BETWEEN = "Average customers", "Customers in between"

WORDS: Final = (
    # the fact's name starts with, word when high, word when low: in the order they are spoken
    ("recency", "lapsed", "recent"),
    ("orders", "frequent", "occasional"),
    ("visits", "frequent", "occasional"),
    ("sessions", "often-browsing", "rarely-browsing"),
    ("coupon", "coupon-using", "coupon-shy"),
    ("discount", "bargain-hunting", "full-price"),
    ("weekend", "weekend", "weekday"),
    ("categories", "all-round", "few-category"),
    ("tenure", "long-known", "new"),
    ("spend", "big spenders", "small spenders"),
    ("average_order", "with big baskets", "with small baskets"),
)
SPOKEN: Final = 4  # words; more nobody remembers


def name_clusters(effects: Sequence[Effects], labels: Mapping[str, str] | None = None) -> list[str]:
    """Names such as “Frequent big spenders”, by the facts in which each cluster is `outspoken`.

    Facts without words of their own are named by their label. A cluster that differs from everybody, but in all of it
    less than another one, is “Customers in between”. Clusters that would share a name are told apart by their position
    among them: “…, 2”.
    """
    names: list[str] = []
    for effect, spoken in zip(effects, outspoken(effects), strict=True):
        name = describe(spoken, labels or {}) or (BETWEEN if any(map(notable, effect.values())) else AVERAGE)
        same = sum(taken == name or taken.startswith(f"{name}, ") for taken in names)
        names.append(f"{name}, {same + 1}" if same else name)
    return names


def outspoken(effects: Sequence[Effects]) -> list[dict[str, float]]:
    """The same effects, with 0 for those that are not notable, or far weaker than another cluster's in this direction.

    So that of two clusters that order more often than most only the one that really does is called frequent.
    """
    names = {name for effect in effects for name in effect}
    most = {name: max(effect.get(name, 0.0) for effect in effects) for name in names}
    least = {name: min(effect.get(name, 0.0) for effect in effects) for name in names}

    def kept(name: str, value: float) -> bool:
        return notable(value) and abs(value) >= BESIDE * abs(most[name] if value > 0 else least[name])

    return [{name: value if kept(name, value) else 0.0 for name, value in effect.items()} for effect in effects]


def notable(value: float) -> bool:
    return abs(value) >= NOTABLE


def describe(effect: Effects, labels: Mapping[str, str]) -> str:
    """The name by these effects; empty when none is notable."""
    words = [(abs(strongest(effect, row[0])), word_for(row, effect)) for row in WORDS]
    said = sorted((pair for pair in words if pair[1]), key=lambda pair: -pair[0])[:SPOKEN]
    spoken = list(dict.fromkeys(word for pair in words if pair in said for word in [pair[1]]))
    own = [word for word in spoken if not word.startswith("with ")]
    having = [word for word in spoken if word.startswith("with ")]
    if plain := by_label(effect, labels):
        having.append(f"and {plain}" if having else f"with {plain}")
    if not own and not having:
        return ""
    noun = [] if own and own[-1].endswith("spenders") else ["customers"]
    name = " ".join([*own, *noun, *having])
    return name[:1].upper() + name[1:]


def by_label(effect: Effects, labels: Mapping[str, str]) -> str:
    """“high share of Dairy”, by the strongest fact that has no word; nothing when it is not notable."""
    wordless = [fact for fact in effect if not any(fact.startswith(row[0]) for row in WORDS)]
    name = max(wordless, key=lambda fact: abs(effect[fact]), default="")
    if not name or not notable(effect[name]):
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
    return 0 if not notable(value) else 1 if value > 0 else -1


def strongest(effect: Effects, start: str) -> float:
    return max((value for fact, value in effect.items() if fact.startswith(start)), key=abs, default=0.0)
