"""Comes in: nothing. Goes out: the frozen nodes a rule's text becomes, and walks over them.

A node is equal to another when it means the same; where it stood in the text (`at`) does not count.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from rules.language.errors import NOWHERE, Place
from rules.language.values import Moment, Relative, Span, Version


@dataclass(frozen=True, slots=True)
class Named:
    """A fact by its name; on the right of an operator, the fact to compare with."""

    name: str
    at: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class History:
    """An aggregate over a customer's events: `COUNT(purchase WHERE price > 5) IN LAST 30 DAYS`."""

    aggregate: str
    event: str
    attribute: str | None = None
    where: "Condition | None" = None
    window: Span | None = None
    at: Place = field(default=NOWHERE, compare=False, repr=False)


Operand = Named | History
Scalar = str | bool | int | float | Moment | Relative | Version | Named
Value = Scalar | Span | tuple[Scalar, ...] | None


@dataclass(frozen=True, slots=True)
class Test:
    """One test of one fact: `operator` is a key of the operator table, `negated` its NOT form (`!=`, `NOT
    IN`).
    """

    operand: Operand
    operator: str
    value: Value = None
    negated: bool = False
    ignoring_case: bool = False
    at: Place = field(default=NOWHERE, compare=False, repr=False)
    value_at: Place = field(default=NOWHERE, compare=False, repr=False)
    kinds: tuple[type, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Python says TRUE == 1 == 1.0; the types keep tests of different meaning apart in sets and caches.
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        object.__setattr__(self, "kinds", tuple(map(type, values)))


@dataclass(frozen=True, slots=True)
class Chance:
    """`CHANCE 10% FOR "name"`: true for that share of customers, always the same ones for the same name."""

    percent: float
    name: str = ""
    at: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Not:
    part: "Condition"
    at: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class All:
    """AND."""

    parts: tuple["Condition", ...]
    at: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Any:
    """OR."""

    parts: tuple["Condition", ...]
    at: Place = field(default=NOWHERE, compare=False, repr=False)


Condition = Test | Chance | Not | All | Any


@dataclass(frozen=True, slots=True)
class ContentKey:
    key: str
    at: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Tagged:
    tag: str
    at: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Where:
    """Contents whose attributes meet a condition."""

    condition: Condition
    at: Place = field(default=NOWHERE, compare=False, repr=False)


Target = ContentKey | Tagged | Where


@dataclass(frozen=True, slots=True)
class Show:
    target: Target
    at: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Only:
    target: Target
    at: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Hide:
    target: Target
    at: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Boost:
    """Multiplies the score by `factor` (> 0)."""

    target: Target
    factor: float
    at: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Bury:
    """Divides the score by `factor` (> 1)."""

    target: Target
    factor: float
    at: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Pin:
    """Puts the target at `position`, counted from 1."""

    target: Target
    position: int
    at: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class StartCampaign:
    key: str
    at: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Stop:
    """No later rule is looked at."""

    at: Place = field(default=NOWHERE, compare=False, repr=False)


Action = Show | Only | Hide | Boost | Bury | Pin | StartCampaign | Stop


@dataclass(frozen=True, slots=True)
class Rule:
    condition: Condition
    then: tuple[Action, ...]
    otherwise: tuple[Action, ...] = ()
    at: Place = field(default=NOWHERE, compare=False, repr=False)


Node = Condition | Rule


def condition_of(node: Node) -> Condition:
    """The condition of a rule, or the condition itself."""
    return node.condition if isinstance(node, Rule) else node


def parts_of(condition: Condition) -> tuple[Condition, ...]:
    """The conditions directly inside this one."""
    if isinstance(condition, All | Any):
        return condition.parts
    return (condition.part,) if isinstance(condition, Not) else ()


def leaves(node: Node) -> Iterator[Test | Chance]:
    """Every test of a condition, from left to right; tests inside a history's WHERE are not among them."""
    waiting = [condition_of(node)]
    while waiting:
        condition = waiting.pop()
        if isinstance(condition, Test | Chance):
            yield condition
        else:
            waiting.extend(reversed(parts_of(condition)))


def histories(node: Node) -> Iterator[History]:
    """Every history aggregate a condition asks for."""
    for leaf in leaves(node):
        if isinstance(leaf, Test) and isinstance(leaf.operand, History):
            yield leaf.operand
