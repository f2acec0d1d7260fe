"""Comes in: segments and their conditions. Goes out: the circles in which they need one another."""

from collections.abc import Mapping, Sequence

from rules.language import nodes
from rules.language.lookup import ALIASES
from rules.language.terms import wanted_values

SEGMENT_FACTS = frozenset({"segments", *ALIASES})


def segment_needs(condition: nodes.Condition) -> frozenset[str]:
    """The segments a condition asks for."""
    found: set[str] = set()
    for leaf in nodes.leaves(condition):
        operand = getattr(leaf, "operand", None)
        if isinstance(leaf, nodes.Test) and isinstance(operand, nodes.Named) and operand.name in SEGMENT_FACTS:
            found |= {value for value in wanted_values(leaf) if isinstance(value, str)}
    return frozenset(found)


def segment_circles(segments: Mapping[str, nodes.Condition]) -> list[tuple[str, ...]]:
    """The circles among segments that ask for one another, each told once, from its first key in the
    alphabet.
    """
    needed = {key: sorted(segment_needs(condition) & segments.keys()) for key, condition in segments.items()}
    found: set[tuple[str, ...]] = set()
    done: set[str] = set()
    for start in sorted(needed):
        path: list[str] = [start]
        waiting = [iter(needed[start])] if start not in done else []
        while waiting:
            step = next(waiting[-1], None)
            if step is None:
                waiting.pop()
                done.add(path.pop())
            elif step in path:
                found.add(_from_first(path[path.index(step) :]))
            elif step not in done:
                path.append(step)
                waiting.append(iter(needed[step]))
    return sorted(found)


def _from_first(circle: Sequence[str]) -> tuple[str, ...]:
    first = circle.index(min(circle))
    return (*circle[first:], *circle[:first])
