"""Comes in: a number of rules and a seed. Goes out: rules of 3-6 tests and customers of 60 facts, for any engine.

A rule is a list of parts that must all hold; a part is a list of tests of which one must hold (nearly always one).
"""

import random
from dataclasses import dataclass
from typing import Any

NUMBERS = [f"number_{i}" for i in range(30)]
TEXTS = [f"text_{i}" for i in range(20)]
FLAGS = [f"flag_{i}" for i in range(5)]
LISTS = [f"list_{i}" for i in range(5)]


@dataclass(frozen=True, slots=True)
class Asked:
    """One test; `word` is one of < <= > >= = != between in contains."""

    fact: str
    word: str
    value: Any


Part = list[Asked]
Rule = list[Part]
Customer = dict[str, Any]


def one_test(dice: random.Random) -> Asked:
    """Half numbers, a third texts, the rest flags and lists."""
    draw = dice.random()
    if draw < 0.1:
        return Asked(dice.choice(NUMBERS), "between", (dice.randrange(500), dice.randrange(500, 1000)))
    if draw < 0.45:
        return Asked(dice.choice(NUMBERS), dice.choice(["<", "<=", ">", ">="]), dice.randrange(1000))
    if draw < 0.7:
        return Asked(dice.choice(TEXTS), dice.choice(["=", "!="]), f"value {dice.randrange(30)}")
    if draw < 0.8:
        return Asked(dice.choice(TEXTS), "in", tuple(f"value {n}" for n in dice.sample(range(30), 3)))
    if draw < 0.9:
        return Asked(dice.choice(FLAGS), "=", dice.random() < 0.5)
    return Asked(dice.choice(LISTS), "contains", f"item {dice.randrange(50)}")


def rules(count: int, seed: int = 1) -> list[Rule]:
    """Rules of 3 to 6 tests; in every fifth, two tests stand in an OR."""
    dice = random.Random(seed)
    made = []
    for _ in range(count):
        parts = [[one_test(dice)] for _ in range(dice.randint(3, 6))]
        if dice.random() < 0.2:
            parts = [parts[0] + parts[1], *parts[2:]]
        made.append(parts)
    return made


def customers(count: int, seed: int = 2) -> list[Customer]:
    """Customers with all 60 facts."""
    dice = random.Random(seed)
    return [
        {name: dice.choice([dice.randrange(1000), dice.random() * 1000]) for name in NUMBERS}
        | {name: f"value {dice.randrange(30)}" for name in TEXTS}
        | {name: dice.random() < 0.5 for name in FLAGS}
        | {name: [f"item {n}" for n in dice.sample(range(50), 4)] for name in LISTS}
        for _ in range(count)
    ]


def text(rule: Rule) -> str:
    """The rule's condition in our language."""
    return " AND ".join(_part(part) for part in rule)


def _part(part: Part) -> str:
    told = " OR ".join(_test(asked) for asked in part)
    return f"({told})" if len(part) > 1 else told


def _test(asked: Asked) -> str:
    if asked.word == "between":
        return f"{asked.fact} BETWEEN {asked.value[0]} AND {asked.value[1]}"
    if asked.word == "in":
        return f"{asked.fact} IN ({', '.join(map(literal, asked.value))})"
    return f"{asked.fact} {asked.word.upper()} {literal(asked.value)}"


def literal(value: Any) -> str:
    """A value as our language writes it."""
    return f'"{value}"' if isinstance(value, str) else str(value).upper()
