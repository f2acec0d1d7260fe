"""Identify events come in; of each trait the value last told comes out.

The later event wins, of two at the same time the one with the larger message id, trait by trait. Values stay the JSON
texts they were sent as, so that nothing a sender can write is too large to be kept.
"""

from bisect import insort
from collections.abc import Set
from typing import Any, Final

import msgspec

from decisioning.customers.facts.properties import read_object
from decisioning.customers.facts.state import FoldedEvent, State, Told

NOTHING: Final = "{}"
_raw = msgspec.json.Decoder(dict[str, msgspec.Raw])
_plain = msgspec.json.Decoder(dict[str, Any])


def told_by(event: FoldedEvent, at: int) -> Told:
    """What an identify event told; nothing where its traits are no JSON object."""
    return Told(at, event.message_id, event.properties if read_object(event.properties) else NOTHING)


def tell(told: list[Told], one: Told) -> None:
    """Put one in its place, and drop what it overwrites and what overwrites it. What is told is never changed itself,
    so states may share it."""
    if told:
        one = _overwrite(told, one)
    if one.traits != NOTHING:
        insort(told, one, key=_stamp)


def _stamp(told: Told) -> tuple[int, str]:
    return told.at, told.message_id


def _overwrite(told: list[Told], one: Told) -> Told:
    """The new one without traits told later; traits it tells are taken out of the older ones."""
    names, later = set(_raw.decode(one.traits)), set[str]()
    for place, other in enumerate(told):
        if _stamp(other) > _stamp(one):
            later.update(_raw.decode(other.traits))
        else:
            told[place] = _without(other, names)
    told[:] = [other for other in told if other.traits != NOTHING]
    return _without(one, later)


def _without(told: Told, names: Set[str]) -> Told:
    values = _raw.decode(told.traits)
    kept = {name: value for name, value in values.items() if name not in names}
    if len(kept) == len(values):
        return told
    return Told(told.at, told.message_id, msgspec.json.encode(kept).decode())


def traits_of(state: State) -> dict[str, Any]:
    """The traits told by identify events: of each the latest by time, then by message id."""
    if len(state.told) == 1:
        return _plain.decode(state.told[0].traits)
    return {name: value for told in state.told for name, value in _plain.decode(told.traits).items()}
