"""Comes in: many rules, then one customer after another. Goes out: the rules whose conditions hold, none
walked alone.

Every rule becomes one or more terms (ANDs of tests), every term one bit of a Python integer. Each fact has a
table from its value to the mask of terms that agree with it; the AND of all facts' masks is the answer. The
idea is that of bit-vector packet classification (Lakshman and Stiliadis, SIGCOMM 1998).
"""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

import numpy as np

from rules.language import nodes
from rules.language.evaluate import holds, value_of
from rules.language.lookup import Facts, limit_of, share_of
from rules.language.printer import operand_text
from rules.language.regions import Question, regions
from rules.language.slow import Asked
from rules.language.tables import FactTable
from rules.language.terms import Literal, compares_facts, terms
from rules.language.values import to_micros

BLOCK = 16_384  # rules that share a set of tables; tables grow with the square of it

Key = TypeVar("Key", bound=Hashable)


Row = tuple[str, Callable[[str, int], int] | None, int, list[int | float], list[int], FactTable]


class RuleIndex(Generic[Key]):
    """Rules in the order of their priority, as `(key, condition or rule)`; immutable once built."""

    def __init__(self, rules: Iterable[tuple[Key, nodes.Node]]) -> None:
        pairs = list(rules)
        self.keys = [key for key, _ in pairs]
        self._keys = np.empty(len(pairs), dtype=object)  # numpy picks the keys of the matches
        for place, key in enumerate(self.keys):
            self._keys[place] = key
        conditions = [nodes.condition_of(node) for _, node in pairs]
        starts = range(0, len(conditions), BLOCK)
        self._blocks = [(start, _Block(conditions[start : start + BLOCK])) for start in starts]

    def mask(self, facts: Facts, now: datetime, among: int = -1) -> int:
        """Bit i is on when the condition of rule i holds; only the rules whose bit is on in `among` count."""
        clock, found = to_micros(now), 0
        for start, block in self._blocks:
            packed = np.packbits(block.answers(facts, clock), bitorder="little")
            found |= int.from_bytes(packed.tobytes(), "little") << start
        return found & among

    def matching(self, facts: Facts, now: datetime, among: int = -1) -> list[Key]:
        """The keys of the rules whose conditions hold, in order of priority. Never raises."""
        if among != -1:
            return [self.keys[place] for place in places(self.mask(facts, now, among))]
        clock = to_micros(now)
        found = [self._keys[start:][block.answers(facts, clock).nonzero()[0]].tolist() for start, block in self._blocks]
        return found[0] if len(found) == 1 else [key for keys in found for key in keys]

    def first(self, facts: Facts, now: datetime, among: int = -1) -> Key | None:
        """The key of the first rule whose condition holds."""
        found = self.mask(facts, now, among)
        return self.keys[(found & -found).bit_length() - 1] if found else None

    def misfits(self, facts: Facts, now: datetime) -> set[str]:
        """The facts that are there, but of a type none of the rules' tests can be asked about."""
        clock = to_micros(now)
        tables = [row[-1] for _, block in self._blocks for row in block.rows]
        found = [(table, value_of(table.operand, facts, clock)) for table in tables]
        return {table.name for table, value in found if value is not None and not table.reads(value)}

    def among(self, keys: Iterable[Key]) -> int:
        """The mask of some rules (say, of one placement), to be passed to the methods above."""
        wanted = set(keys)
        return sum(1 << place for place, key in enumerate(self.keys) if key in wanted)


def places(mask: int) -> list[int]:
    """The numbers of the bits that are on, lowest first."""
    found = np.flatnonzero(bits_of(mask, mask.bit_length())).tolist()
    return found


def bits_of(mask: int, size: int) -> np.ndarray:
    """The bits of a mask as an array of `size` booleans, lowest first."""
    packed = np.frombuffer(mask.to_bytes((size + 7) // 8, "little"), dtype=np.uint8)
    return np.unpackbits(packed, count=size, bitorder="little").view(np.bool_)


class _Block:
    """Up to `BLOCK` conditions. Bit i is the first term of condition i; behind those come further terms."""

    def __init__(self, conditions: Sequence[nodes.Condition]) -> None:
        self.size = len(conditions)
        found = [terms(condition) for condition in conditions]
        self.owners = np.array([place for place, each in enumerate(found) for _ in each[1:]], dtype=np.intp)
        ordered = [each[0] for each in found] + [term for each in found for term in each[1:]]
        self.everybody = (1 << len(ordered)) - 1
        literals = _Literals()
        for bit, term in enumerate(ordered):
            for literal in term:
                literals.put(bit, literal)
        self.loose = literals.loose
        self.chances = {name: _ChanceTable(asked, self.everybody) for name, asked in literals.chances.items()}
        tables = [FactTable(one, name, asked, self.everybody) for name, (one, asked) in literals.facts.items()]
        self.rows = [_row(table) for table in tables]

    def answers(self, facts: Facts, now: int) -> np.ndarray:
        """One boolean per condition."""
        left = self._tabled(facts, now)
        for name, table in self.chances.items():
            if left & table.asking:
                left &= table.mask(share_of(name, facts))
        for literal, asking in self.loose.items():
            if left & asking and holds(literal.condition, facts, now) != literal.positive:
                left &= ~asking
        bits = bits_of(left, len(self.owners) + self.size)
        answers = bits[: self.size]
        further = bits[self.size :].nonzero()[0]
        if further.size:
            answers[self.owners[further]] = True
        return answers

    def _tabled(self, facts: Facts, now: int) -> int:
        """The terms every fact agrees with. The hot loop: what is common is not left to a call."""
        left, get, search = self.everybody, facts.get, bisect_right
        for name, texts, other, starts, masks, table in self.rows:
            value: Any = get(name)
            kind = type(value)
            if kind is str and texts is not None:
                left &= texts(value, other)
            elif kind is int or (kind is float and value == value):
                left &= masks[search(starts, value)]
            elif kind is list:
                left &= table.lists.mask(value, now)
            else:
                left &= table.mask(value, facts, now)
        return left


def _row(table: FactTable) -> Row:
    """What the loop over the facts needs of a table, unpacked once."""
    texts = None if table.more_texts else table.texts.get
    return table.name, texts, table.text_other, table.numbers.starts, table.numbers.masks, table


class _ChanceTable:
    """The literals that draw the chance of one name."""

    def __init__(self, asked: Sequence[tuple[int, Literal]], everybody: int) -> None:
        self.asking = sum({1 << bit for bit, _ in asked})
        refused = sum({1 << bit for bit, literal in asked if literal.positive})
        self.undrawn = everybody & ~refused
        self.shares = regions([(bit, _drawn(literal)) for bit, literal in asked], everybody)

    def mask(self, share: int | None) -> int:
        """The terms that agree with a customer's draw, or with there being none."""
        return self.undrawn if share is None else self.shares.mask(share)


def _drawn(literal: Literal) -> Question:
    percent = literal.condition.percent if isinstance(literal.condition, nodes.Chance) else 0.0
    return Question("<", (limit_of(percent),), literal.positive)


@dataclass(slots=True)
class _Literals:
    """Every literal with its term's bit, by what can answer it."""

    facts: dict[str, tuple[nodes.Operand, list[Asked]]] = field(default_factory=dict)
    chances: dict[str, list[tuple[int, Literal]]] = field(default_factory=dict)
    loose: dict[Literal, int] = field(default_factory=dict)

    def put(self, bit: int, literal: Literal) -> None:
        """Tests of one fact go to its table, chances to the chances, all else is asked one by one."""
        condition = literal.condition
        if isinstance(condition, nodes.Chance):
            self.chances.setdefault(condition.name, []).append((bit, literal))
        elif isinstance(condition, nodes.Test) and not compares_facts(condition):
            operand = condition.operand
            name = operand.name if isinstance(operand, nodes.Named) else operand_text(operand)
            _, asked = self.facts.setdefault(name, (operand, []))
            asked.append(Asked(bit, condition, literal.positive))
        else:
            self.loose[literal] = self.loose.get(literal, 0) | 1 << bit
