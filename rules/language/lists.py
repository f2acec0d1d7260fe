"""Comes in: the literals about one fact, and a value that is a list. Goes out: the mask of terms it meets."""

from collections.abc import Sequence
from typing import Any

from rules.language.questions import AlwaysFalse, about_items
from rules.language.slow import Asked, Slow
from rules.language.values import plain_items

ITEMS = frozenset({str, int, float})


class ListTable:
    """What a list must have, and must not have.

    A term may want several items of one list (`tags = "a" AND tags = "b"`); each goes to a layer of its own,
    because within a layer any one item is enough.
    """

    __slots__ = ("agreed", "avoid", "layers", "slow", "texts_only")

    def __init__(self, name: str, asked: Sequence[Asked], everybody: int) -> None:
        self.agreed = everybody
        self.layers: list[tuple[int, dict[Any, int]]] = []  # terms that want nothing here, and who wants which item
        self.avoid: dict[Any, int] = {}
        self.texts_only = True
        slow: list[Asked] = []
        depth: dict[int, int] = {}
        for one in asked:
            items = about_items(one.test)
            if items is None:
                slow.append(one)
            elif isinstance(items, AlwaysFalse):
                self.agreed &= ~(one.positive << one.bit)
            elif one.positive == one.test.negated:
                self._put(self.avoid, items, one.bit)
            else:
                self._want(depth.get(one.bit, 0), items, one.bit, everybody)
                depth[one.bit] = depth.get(one.bit, 0) + 1
        self.slow = Slow(name, slow) if slow else None

    def _want(self, layer: int, items: frozenset[Any], bit: int, everybody: int) -> None:
        if layer == len(self.layers):
            self.layers.append((everybody, {}))
        free, known = self.layers[layer]
        self.layers[layer] = (free & ~(1 << bit), known)
        self._put(known, items, bit)

    def _put(self, known: dict[Any, int], items: frozenset[Any], bit: int) -> None:
        for item in items:
            known[item] = known.get(item, 0) | 1 << bit
            self.texts_only = self.texts_only and type(item) is str

    def mask(self, value: list[Any], now: int) -> int:
        """The terms that agree with the list."""
        value = plain_items(value)
        try:
            # Where only texts are looked for, no other item can be taken for one, and all but lists can be hashed.
            return self._mask(value if self.texts_only else self._usable(value), value, now)
        except TypeError:
            return self._mask(self._usable(value), value, now)

    def _usable(self, value: list[Any]) -> list[Any]:
        return [item for item in value if type(item) in ITEMS]

    def _mask(self, items: list[Any], value: list[Any], now: int) -> int:
        mask = self.agreed
        for found, known in self.layers:
            for item in items:
                if item in known:
                    found |= known[item]
            mask &= found
        if self.avoid:
            for item in items:
                mask &= ~self.avoid.get(item, 0)
        return mask if self.slow is None else mask & ~self.slow.refused(value, now)
