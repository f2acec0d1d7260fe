"""Narrowed contents with scores in; slots filled with contents and the propensity of each, out.

Policies: greedy takes the best; ε-greedy replaces the best by a uniform choice in a share ε of slots, so that the
propensity of the best of k is (1 − ε) + ε/k and of any other ε/k. Source: Sutton & Barto, Reinforcement Learning, 2.2.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Dice = Callable[[str], float]
# Less than once in a billion slots is no exploration, and its propensity could not be told from 0.
LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class Pick:
    """The content chosen for a slot (rank from 1), its propensity, and whether chance chose it."""

    key: str
    rank: int
    propensity: float
    explored: bool = False


def order(keys: Sequence[str], scores: Mapping[str, float], shown: frozenset[str]) -> list[str]:
    """Shown contents first, then by score; equal scores by key, so that a replay agrees."""
    return sorted(keys, key=lambda key: (key not in shown, -scores.get(key, 0.0), key))


def pick(
    ranked: Sequence[str], shown: frozenset[str], pins: Mapping[int, str], count: int, exploration: float, dice: Dice
) -> list[Pick]:
    """Fill up to `count` slots. Exploration never leaves what a rule's SHOW chose while some of it remains.

    A pin behind the last slot holds nothing: its content competes with the others.
    """
    slots = range(1, min(count, len(ranked)) + 1)
    held = {rank: pins[rank] for rank in slots if rank in pins}
    rest = [key for key in ranked if key not in set(held.values())]
    picks: list[Pick] = []
    for rank in slots:
        if rank in held:
            picks.append(Pick(held[rank], rank, 1.0))
        else:
            choice = _choose(rest, shown, rank, exploration, dice)
            rest.remove(choice.key)
            picks.append(choice)
    return picks


def _choose(rest: Sequence[str], shown: frozenset[str], rank: int, exploration: float, dice: Dice) -> Pick:
    tier = [key for key in rest if key in shown] or list(rest)
    if exploration < LEAST:
        exploration = 0.0
    explored = exploration > 0 and len(tier) > 1 and dice(f"explore-{rank}") < exploration
    key = tier[int(dice(f"choice-{rank}") * len(tier))] if explored else tier[0]
    share = exploration / len(tier) if len(tier) > 1 else 0.0
    best = 1.0 - exploration if len(tier) > 1 else 1.0
    return Pick(key, rank, share + (best if key == tier[0] else 0.0), explored)
