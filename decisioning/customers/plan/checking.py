"""An event in; what of it does not fit the tracking plan, and whether it is refused for that, out. Pure.

The plan has one entry an event name. An unlocked entry learns from what arrives; a locked one is an agreement, and
only it is checked.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ..intake.tracking import Checked
from .kinds import ANY, TYPES, type_of

# The entry that stands for every name the plan does not have.
DEFAULT: Final = "*"
COUNT, REFUSE = "count", "refuse"
LONGEST_NAME: Final = 200
MOST_PROBLEMS: Final = 20
MOST_TOLD: Final = 3
LONGEST_VALUE: Final = 40

_decode = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class Property:
    """What one property is agreed to be: a name of `TYPES`, and whether every event must have it."""

    type: str = ANY
    required: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """What is agreed on one event: its properties by name, `COUNT` or `REFUSE`, and months to keep it (0: for ever)."""

    name: str
    properties: Mapping[str, Property] = field(default_factory=dict)
    locked: bool = False
    policy: str = COUNT
    keep: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not fit: a stable code, where, and a sentence that says the cure.

    Codes: unknown_event (`event` is "*", `property` the name), unknown_property, wrong_type, missing_property.
    """

    code: str
    event: str
    property: str
    message: str


Verdict = tuple[Problem | None, tuple[Problem, ...]]
FINE: Final[Verdict] = (None, ())


def name_of(type_: str, name: str) -> str:
    """The entry an event belongs to: a track event's own name, otherwise its type.

    Pages are named by their titles, of which there is no end; so all of them are one entry, `page`.
    """
    return name if type_ == "track" else type_


def problems(event: str, properties: Mapping[str, Any], plan: "Plan") -> list[Problem]:
    """What does not fit the plan, at most `MOST_PROBLEMS`; nothing where the event's entry is not locked."""
    entry = plan.locked.get(event)
    if entry is not None:
        found = _differences(entry, properties)
        return [problem for problem, _ in zip(found, range(MOST_PROBLEMS), strict=False)]
    if plan.default is None or event in plan.names:
        return []
    told = f'The plan has no event "{event}"; add it to the plan, or send one of the planned names.'
    return [Problem("unknown_event", DEFAULT, event[:LONGEST_NAME], told)]


def _differences(entry: Entry, properties: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in properties.items():
        agreed = entry.properties.get(name)
        if agreed is None:
            yield _unknown(entry, name)
        elif value is not None and not TYPES[agreed.type][1](value):
            yield _mistyped(entry, name, agreed.type, value)
        elif agreed.type != ANY:
            yield from _inside(entry, name, _objects(value))
    for name, agreed in entry.properties.items():
        if agreed.required and properties.get(name) is None and _is_lacking(name, properties):
            told = f'"{entry.name}" has no "{name}", which the plan requires; send it with every event.'
            yield Problem("missing_property", entry.name, name, told)


def _inside(entry: Entry, outer: str, items: list[dict[str, Any]]) -> Iterator[Problem]:
    """What does not fit in an object, or in the objects of a list."""
    for item in items:
        for inner, value in item.items():
            name = f"{outer}.{inner}"
            agreed = entry.properties.get(name)
            if agreed is None:
                yield _unknown(entry, name)
            elif value is not None and not TYPES[agreed.type][1](value):
                yield _mistyped(entry, name, agreed.type, value)


def _objects(value: Any) -> list[dict[str, Any]]:
    items = value if type(value) is list else [value]
    return [item for item in items if type(item) is dict]


def _is_lacking(name: str, properties: Mapping[str, Any]) -> bool:
    """`products.price` lacks in an event when one of its products has none; without products nothing does."""
    outer, _, inner = name.rpartition(".")
    return not outer or any(item.get(inner) is None for item in _objects(properties.get(outer)))


def _unknown(entry: Entry, name: str) -> Problem:
    name = name[:LONGEST_NAME]
    told = f'The plan of "{entry.name}" has no property "{name}"; add it there, or stop sending it.'
    return Problem("unknown_property", entry.name, name, told)


def _mistyped(entry: Entry, name: str, agreed: str, value: Any) -> Problem:
    is_, wanted = TYPES[type_of(value)][0], TYPES[agreed][0]
    told = f'"{name}" of "{entry.name}" is {_short(value)} ({is_}), and the plan says {wanted}; send it so, or'
    return Problem("wrong_type", entry.name, name, f"{told} change the plan.")


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan as the door needs it.

    `locked` are the entries to check, by name; `default` is the entry for unknown names where it is locked, and then
    `names` are all names the plan has. `keeps` are the months that events of a name are kept, where not for ever.
    """

    locked: Mapping[str, Entry] = field(default_factory=dict)
    default: Entry | None = None
    names: frozenset[str] = frozenset()
    keeps: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether nothing is checked at all."""
        return not self.locked and self.default is None

    def check(self, event: Checked) -> Verdict:
        """Why the event is refused, or None; and everything in it that is to be counted."""
        name = name_of(event.type, event.name)
        entry = self.locked.get(name)
        if entry is None:
            # Only tracked names are agreed on one by one; the other types are the specification's own.
            if self.default is None or event.type != "track" or name in self.names:
                return FINE
            entry = self.default
        found = problems(name, _decode(event.properties) if entry is not self.default else {}, self)
        if not found:
            return FINE
        return (_joined(found) if entry.policy == REFUSE else None), tuple(found)


def _joined(found: list[Problem]) -> Problem:
    """One problem that tells all of them, by the code of the first."""
    first = found[0]
    return Problem(first.code, first.event, first.property, " ".join(problem.message for problem in found[:MOST_TOLD]))


def plan_of(entries: Iterable[Entry]) -> Plan:
    """The plan of some entries; they may leave out names that need nothing, unless the default entry is locked."""
    known = {entry.name: entry for entry in entries}
    default = known.pop(DEFAULT, None)
    return Plan(
        {name: entry for name, entry in known.items() if entry.locked},
        default if default is not None and default.locked else None,
        frozenset(known),
        {name: entry.keep for name, entry in known.items() if entry.keep},
    )
