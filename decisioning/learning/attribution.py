"""What somebody saw before they converted in; each channel's part of the conversion, under six models, out.

A channel is whatever the report is about: a content, a placement, a campaign or a rule. Every model gives out exactly
what the conversion was worth. The Shapley value is that of the game in which a coalition of channels is worth all that
converted with no other channel than its own (Zhao, Mahboobi and Bagheri, 2018, arXiv:1804.05327). It has a closed form:
each conversion is shared equally among the different channels before it, so it is exact for any number of channels.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import factorial
from typing import Final

Credits = dict[str, float]

# The first and the last touch's part, where there are at least three.
ENDS: Final = 0.4
HALF_LIFE_HOURS: Final = 168.0
MOST_PLAYERS: Final = 12
MOST_TOUCHES: Final = 1000
"""The newest so many of one customer may claim a conversion: a robot must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Touch:
    """One content seen (or clicked); `at` in seconds since 1970, `until` when its window closes."""

    channel: str
    at: float
    until: float = float("inf")


@dataclass(frozen=True, slots=True)
class Conversion:
    """Something that followed, at a moment in seconds since 1970; `value` in the ledger's currency, 0 where none."""

    at: float
    value: float = 0.0


Weigh = Callable[[Sequence[Touch], float], list[float]]


def _last(touches: Sequence[Touch], half_life: float) -> list[float]:
    return [0.0] * (len(touches) - 1) + [1.0]


def _first(touches: Sequence[Touch], half_life: float) -> list[float]:
    return [1.0] + [0.0] * (len(touches) - 1)


def _linear(touches: Sequence[Touch], half_life: float) -> list[float]:
    return [1.0] * len(touches)


def _position(touches: Sequence[Touch], half_life: float) -> list[float]:
    between = len(touches) - 2
    if between < 1:
        return [1.0] * len(touches)
    return [ENDS, *[(1 - 2 * ENDS) / between] * between, ENDS]


def _decay(touches: Sequence[Touch], half_life: float) -> list[float]:
    # Counted from the last touch: long after all of them the powers would vanish, and their proportions with them.
    newest = touches[-1].at
    return [float(0.5 ** ((newest - touch.at) / (3600 * half_life))) for touch in touches]


def _shapley(touches: Sequence[Touch], half_life: float) -> list[float]:
    times = Counter(touch.channel for touch in touches)
    return [1.0 / times[touch.channel] for touch in touches]


MODELS: Final[Mapping[str, Weigh]] = {
    "last": _last,
    "first": _first,
    "linear": _linear,
    "position": _position,
    "decay": _decay,
    "shapley": _shapley,
}
TITLES: Final = {
    "last": "Last touch",
    "first": "First touch",
    "linear": "Linear",
    "position": "Position-based",
    "decay": "Time decay",
    "shapley": "Shapley",
}


def shares(model: str, touches: Sequence[Touch], half_life: float = HALF_LIFE_HOURS) -> Credits:
    """Each channel's part of one conversion; they sum to 1. {} without touches.

    `touches` come in the order they happened; `half_life` (> 0, in hours) is for `decay` alone.
    Raises KeyError for a model there is not.
    """
    weigh = MODELS[model]
    if not touches:
        return {}
    weights = weigh(touches, half_life)
    total = sum(weights)
    found: Credits = {}
    for touch, weight in zip(touches, weights, strict=True):
        found[touch.channel] = found.get(touch.channel, 0.0) + weight / total
    return found


@dataclass(slots=True)
class Report:
    """What each channel is credited with under each model. Of a customer it holds nothing once they are taken in.

    `touched`: how often each channel was seen; credits count conversions, and `values` sum what those told.
    """

    half_life: float = HALF_LIFE_HOURS
    conversions: dict[str, Credits] = field(default_factory=lambda: {model: {} for model in MODELS})
    values: dict[str, Credits] = field(default_factory=lambda: {model: {} for model in MODELS})
    touched: dict[str, int] = field(default_factory=dict)
    attributed: int = 0
    attributed_value: float = 0.0
    unattributed: int = 0
    unattributed_value: float = 0.0
    customers: int = 0
    converted: int = 0

    def take(self, events: Iterable[Touch | Conversion]) -> None:
        """One customer's touches and conversions in the order they happened; a touch may claim what follows it."""
        touches: deque[Touch] = deque(maxlen=MOST_TOUCHES)
        before = self.attributed + self.unattributed
        for event in events:
            if isinstance(event, Touch):
                touches.append(event)
                self.touched[event.channel] = self.touched.get(event.channel, 0) + 1
            else:
                self._credit([touch for touch in touches if touch.at <= event.at <= touch.until], event)
        self.customers += 1
        self.converted += self.attributed + self.unattributed > before

    def _credit(self, touches: Sequence[Touch], conversion: Conversion) -> None:
        if not touches:
            self.unattributed += 1
            self.unattributed_value += conversion.value
            return
        self.attributed += 1
        self.attributed_value += conversion.value
        for model in MODELS:
            for channel, share in shares(model, touches, self.half_life).items():
                counted, worth = self.conversions[model], self.values[model]
                counted[channel] = counted.get(channel, 0.0) + share
                worth[channel] = worth.get(channel, 0.0) + share * conversion.value

    def channels(self, model: str = "last") -> list[str]:
        """Every channel that was touched, the most credited under a model first."""
        credited = self.conversions[model]
        return sorted(self.touched, key=lambda name: (-credited.get(name, 0.0), name))


def shapley_values(players: Sequence[str], worth: Callable[[frozenset[str]], float]) -> Credits:
    """The Shapley value of any game, from its definition; at most 12 players, for 2^n coalitions are asked.

    Source: Shapley, A value for n-person games (1953). Raises ValueError for more players, or one named twice.
    """
    if len(players) > MOST_PLAYERS or len(set(players)) < len(players):
        raise ValueError(f"Name at most {MOST_PLAYERS} players, each once; for more use the report's closed form.")
    number = len(players)
    known = {
        frozenset(some): worth(frozenset(some)) for size in range(number + 1) for some in combinations(players, size)
    }
    weight = [factorial(size) * factorial(number - size - 1) / factorial(number) for size in range(number)]
    return {
        player: sum(
            weight[len(some)] * (known[some | {player}] - value) for some, value in known.items() if player not in some
        )
        for player in players
    }
