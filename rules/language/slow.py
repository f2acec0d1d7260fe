"""Comes in: literals no table can hold (patterns, ignoring case …). Goes out: the terms a value is wrong for.

They are asked from the operators themselves, and the answers remembered per value where the clock plays no
part.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rules.language import nodes
from rules.language.evaluate import holds
from rules.language.terms import uses_clock

REMEMBERED = 4096  # values per fact


@dataclass(frozen=True, slots=True)
class Asked:
    """One test that must hold, or must not, for the term with this bit."""

    bit: int
    test: nodes.Test
    positive: bool


class Slow:
    """Literals about the fact `name`."""

    __slots__ = ("clocked", "known", "name", "parts")

    def __init__(self, name: str, asked: Sequence[Asked]) -> None:
        self.name = name
        self.parts = grouped(asked)
        self.clocked = any(uses_clock(one.test) for one in asked)
        self.known: dict[Any, int] = {}

    def refused(self, value: Any, now: int) -> int:
        """The bits of the terms the value is wrong for."""
        if self.clocked or type(value) is list:
            return self.ask(value, now)
        found = self.known.get(value)
        if found is None:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            found = self.known[value] = self.ask(value, now)
        return found

    def ask(self, value: Any, now: int) -> int:
        """As `refused`, without remembering."""
        facts, refused = {self.name: value}, 0
        for condition, positive, bits in self.parts:
            if holds(condition, facts, now) != positive:
                refused |= bits
        return refused


def grouped(asked: Iterable[Asked]) -> list[tuple[nodes.Condition, bool, int]]:
    """Equal literals asked once, with the bits of all their terms."""
    found: dict[tuple[nodes.Condition, bool], int] = {}
    for one in asked:
        key = (one.test, one.positive)
        found[key] = found.get(key, 0) | 1 << one.bit
    return [(condition, positive, bits) for (condition, positive), bits in found.items()]
