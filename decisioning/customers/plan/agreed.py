"""What people agreed on an event in, one by one or as a text; the tracking plan changed, or written as a text, out.

Counts of what was seen are the machine's and stay; types, what is required, locks, policies and retention are people's.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from django.db import transaction
from msgspec import Meta, Struct

from ..models import PlannedEvent
from .checking import DEFAULT, Property
from .kinds import ANY, TYPES, chosen
from .observed import locked as hold
from .planning import forget

LARGEST_TEXT: Final = 5_000_000
LONGEST_KEEP: Final = 120


class Agreed(Struct, forbid_unknown_fields=True, frozen=True):
    """One property in the plan's text."""

    type: str = ANY
    required: bool = False


class Planned(Struct, forbid_unknown_fields=True, frozen=True):
    """One event in the plan's text; `keep` is months, 0 for ever."""

    description: Annotated[str, Meta(max_length=10_000)] = ""
    locked: bool = False
    policy: Literal["count", "refuse"] = "count"
    keep: Annotated[int, Meta(ge=0, le=LONGEST_KEEP)] = 0
    properties: dict[Annotated[str, Meta(min_length=1, max_length=200)], Agreed] = {}


class Document(Struct, forbid_unknown_fields=True, frozen=True):
    """The plan's text: events by name, each still as text, so that an error names its event."""

    events: dict[Annotated[str, Meta(min_length=1, max_length=200)], msgspec.Raw]


Events = Mapping[str, Planned]


class Unreadable(ValueError):
    """The text is no plan; the message says where and what to write instead."""


_document = msgspec.json.Decoder(Document)
_planned = msgspec.json.Decoder(Planned)


def amend(row: PlannedEvent, changes: Mapping[str, Property | None]) -> None:
    """Save an entry as a person changed it; `changes` are its properties that were changed, None for one to go.

    What was counted, and what was learned since the person looked, stays.
    """
    with transaction.atomic():
        hold()
        stored = PlannedEvent.objects.filter(pk=row.pk).values_list("properties", flat=True).first() or {}
        row.properties = _changed(stored, changes, row.locked)
        if row._state.adding:
            row.save()
        else:
            row.save(update_fields=["name", "description", "properties", "locked", "policy", "keep"])
        transaction.on_commit(forget)


def lock(names: Iterable[str], locked: bool) -> list[str]:
    """Lock or unlock entries; the names of those that were not so before."""
    with transaction.atomic():
        hold()
        rows = PlannedEvent.objects.filter(name__in=list(names)).exclude(locked=locked)
        found = sorted(rows.values_list("name", flat=True))
        PlannedEvent.objects.filter(name__in=found).update(locked=locked)
        transaction.on_commit(forget)
    return found


def write() -> str:
    """The whole plan as JSON text, sorted, without what was counted."""
    events = {
        row.name: {
            "description": row.description,
            "locked": row.locked,
            "policy": row.policy,
            "keep": row.keep,
            "properties": {
                name: {"type": held.get("type", ANY), "required": bool(held.get("required"))}
                for name, held in sorted(row.properties.items())
            },
        }
        for row in PlannedEvent.objects.order_by("name")
    }
    return msgspec.json.format(msgspec.json.encode({"events": events}), indent=2).decode() + "\n"


def read(text: str) -> Events:
    """The events of a plan's text, checked whole. Raises Unreadable."""
    if len(text) > LARGEST_TEXT:
        raise Unreadable(f"The text is longer than {LARGEST_TEXT:,} characters; import it in parts.")
    if "\0" in text or "\\u0000" in text:
        raise Unreadable("There is a NUL character (\\u0000) in the text, which PostgreSQL cannot keep; take it out.")
    try:
        document = _document.decode(text.removeprefix("\ufeff"))
    except RecursionError:
        raise Unreadable("The text is nested too deep; it is no plan.") from None
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise Unreadable(f"The text is no plan: {error}. An export shows what one looks like.") from None
    return {name: _read(name, raw) for name, raw in document.events.items()}


def _read(name: str, raw: msgspec.Raw) -> Planned:
    try:
        event = _planned.decode(raw)
    except msgspec.MsgspecError as error:
        raise Unreadable(
            f'What is said of "{name}" is no plan: {error}. An export shows what one looks like.'
        ) from None
    if name == DEFAULT and event.keep:
        raise Unreadable(f'"{DEFAULT}" stands for names the plan does not have; give "keep" to events by their names.')
    for key, agreed in event.properties.items():
        if agreed.type not in TYPES:
            raise Unreadable(f'"{key}" of "{name}" has the type "{agreed.type}"; take one of {", ".join(TYPES)}.')
    return event


def apply(events: Events) -> tuple[list[str], list[str]]:
    """Make each named event what the text says, all of them or none; the names added and changed.

    Events that the text does not name stay as they are. Properties it does not name go from the events it does name.
    """
    with transaction.atomic():
        hold()
        rows = {row.name: row for row in PlannedEvent.objects.filter(name__in=list(events))}
        added, changed = [], []
        for name, told in sorted(events.items()):
            row = rows.get(name) or PlannedEvent(name=name)
            before = _people(row)
            row.description, row.locked, row.policy, row.keep = told.description, told.locked, told.policy, told.keep
            gone: dict[str, Property | None] = dict.fromkeys(row.properties)
            wanted = {key: Property(agreed.type, agreed.required) for key, agreed in told.properties.items()}
            row.properties = {} if name == DEFAULT else _changed(row.properties, gone | wanted, row.locked)
            if name not in rows:
                added.append(name)
            elif _people(row) != before:
                changed.append(name)
            else:
                continue
            row.save()
        transaction.on_commit(forget)
    return added, changed


def _changed(stored: Mapping[str, Any], changes: Mapping[str, Property | None], locked: bool) -> dict[str, Any]:
    """The stored properties with a person's changes; unlocked, each has the type it was seen with most."""
    properties = {name: dict(held) for name, held in stored.items() if changes.get(name, held) is not None}
    for name, wanted in changes.items():
        if wanted is not None:
            held = properties.setdefault(name, {"seen": 0, "types": {}})
            types = held.get("types") or {}
            held |= {"type": wanted.type if locked or not types else chosen(types), "required": wanted.required}
    return dict(sorted(properties.items()))


def _people(row: PlannedEvent) -> tuple[Any, ...]:
    """What of an entry is people's."""
    properties = {name: (held.get("type"), held.get("required")) for name, held in row.properties.items()}
    return row.description, row.locked, row.policy, row.keep, properties
