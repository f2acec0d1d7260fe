"""Events as Metarank takes them in; contents, customers' traits, showings and what followed them, out. Pure.

One file may hold all of them in any order: contents come out first, then customers, rankings, and interactions.
Source of the format: https://docs.metarank.ai/reference/event-schema
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import msgspec

from ..store.showing import Followed, Seen, Showing, id_of
from .gathering import Gathering
from .items import Item
from .keys import Keys
from .mapping import FileWords, Unusable
from .preparing import Job, Meaning
from .reading import Row
from .typed import JsonFile
from .values import How, Misfit, as_moment, shown

METARANK: Final = "metarank"
PLACEMENT: Final = "metarank"
ITEMS, USERS, RANKINGS, INTERACTIONS = range(4)
PHASES: Final = {"item": ITEMS, "user": USERS, "ranking": RANKINGS, "interaction": INTERACTIONS}
# What a type of interaction means for the ranking it belongs to; others are events alone.
MEANINGS: Final = {
    "click": "click",
    "like": "click",
    "purchase": "conversion",
    "order": "conversion",
    "conversion": "conversion",
}
# The names under which the same is known of decisions made here.
NAMES: Final = {"impression": "Content Viewed", "click": "Content Clicked", "conversion": "Content Converted"}
WORTH: Final = ("value", "revenue", "total", "price")
LONGEST_NAME: Final = 200
HOW: Final = How(typed=True)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Metarank(Gathering):
    """The events of one file."""

    def __init__(self, job: Job) -> None:
        if job.mapping or job.format not in ("", "jsonl"):
            raise Unusable("Metarank's events are JSON Lines and need no mapping; leave --mapping and --format out.")
        super().__init__(JsonFile(job.path, FileWords()))
        self.placement = Keys().of(job.placement or PLACEMENT)
        self.meanings = MEANINGS | dict(job.meanings)
        self.keys = Keys()
        self._longest = 1
        self._wholes: dict[int, Callable[[list[dict[str, Any]]], Meaning]] = {
            ITEMS: self._item,
            USERS: self._user,
            RANKINGS: self._ranking,
            INTERACTIONS: self._interaction,
        }

    def park(self, row: Row) -> None:
        """Put the event where its kind stands; later ones about the same beside the first."""
        event = row.cells
        phase = PHASES.get(str(event.get("event")))
        if phase is None:
            raise Misfit(f"event is {shown(event.get('event'))}; there is: {', '.join(PHASES)}.")
        named = _text(event, "item" if phase == ITEMS else "id")
        said = {**event, "timestamp": _moment(event), "fields": _fields(event)}
        if phase == RANKINGS and isinstance(event.get("items"), list):
            self._longest = max(self._longest, len(event["items"]))
        self.parking.put(phase, named, row, said)
        if phase == USERS and (who := _person(event)):
            self.parking.note(" ".join(who), said["timestamp"], row.number, said["fields"])

    def whole(self, phase: int, parts: list[bytes]) -> Meaning:
        """What the events about one thing mean together."""
        return self._wholes[phase](sorted((_decode(part) for part in parts), key=lambda event: event["timestamp"]))

    def _item(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """A content as the last word on each of its fields has it."""
        fields = _last(events)
        name = str(fields.pop("title", "") or "")[:LONGEST_NAME]
        named = events[0]["item"]
        made: dict[str, Any] = {"key": self.keys.of(str(named)), "called": str(named), "attributes": fields}
        made |= {"for": self.placement, "count": self._longest}
        return {**made, "name": name} if name else made

    def _user(self, events: list[dict[str, Any]]) -> Item:
        event = events[0]
        said = {"type": "identify", "messageId": _message_id(event), "traits": event["fields"]}
        return _event(event, _person(event), said)

    def _ranking(self, events: list[dict[str, Any]]) -> Showing:
        """A ranking that stands twice is one; everything in it was shown, in this order."""
        event = events[0]
        items = event.get("items")
        if not isinstance(items, list) or not items:
            raise Misfit("The ranking has no items; leave it out.")
        at = datetime.fromisoformat(event["timestamp"])
        seen: dict[str, Seen] = {}
        for one in items:
            if not isinstance(one, dict):
                raise Misfit(f"An item of the ranking is {shown(one)}; an object with `id` is needed.")
            name = _text(one, "id")
            key = self.keys.of(name)
            more = {"relevancy": one["relevancy"]} if isinstance(one.get("relevancy"), int | float) else {}
            fields = more | _fields(one)
            seen.setdefault(key, Seen(content=key, name=name, rank=len(seen) + 1, impression=at, fields=fields))
        who = _person(event) or ("anonymous_id", f"ranking {event['id']}"[:LONGEST_NAME])
        said = [_decode(kept) for kept in self.parking.noted(" ".join(who), at)]
        return Showing(
            identity=_identity(event["id"]),
            who=who,
            at=at,
            placement=self.placement,
            items=list(seen.values()),
            request_id=str(event["id"]),
            context=event["fields"],
            traits={name: value for fields in said for name, value in fields.items()},
        )

    def _interaction(self, events: list[dict[str, Any]]) -> Followed | Item:
        """An outcome of its ranking, where its type means one; an event of the log in any case that names somebody."""
        event = events[0]
        type_, key, who = _text(event, "type"), self.keys.of(_text(event, "item")), _person(event)
        kind = self.meanings.get(type_, "")
        ranking = event.get("ranking")
        said: dict[str, Any] = {
            "type": "track",
            "event": NAMES.get(kind, type_),
            "messageId": _message_id(event),
            "properties": {**event["fields"], "content": key, "placement": self.placement},
        }
        if not (kind and ranking):
            return _event(event, who, said)
        return Followed(
            identity=_identity(ranking),
            content=key,
            kind=kind,
            at=datetime.fromisoformat(event["timestamp"]),
            message_id=_message_id(event),
            value=_worth(event["fields"]) if kind == "conversion" else 0.0,
            event=_event(event, who, _of_decision(said, ranking)).raw.decode() if who else "",
        )


def _of_decision(said: dict[str, Any], ranking: Any) -> dict[str, Any]:
    return {**said, "properties": {**said["properties"], "decision_id": str(id_of(_identity(ranking)))}}


def _event(event: Mapping[str, Any], who: tuple[str, str] | None, said: dict[str, Any]) -> Item:
    """An event of the log, as history: it triggers nothing."""
    if who is None:
        raise Misfit("The event names neither a user nor a session.")
    field = "userId" if who[0] == "user_id" else "anonymousId"
    context = {"historical": True}
    return Item(_encode({**said, field: who[1], "timestamp": event["timestamp"], "context": context}))


def _person(event: Mapping[str, Any]) -> tuple[str, str] | None:
    """The user, else the session."""
    for name, kind in (("user", "user_id"), ("session", "anonymous_id")):
        value = event.get(name)
        if value not in (None, ""):
            return kind, _text(event, name)
    return None


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise Misfit(f"{name} is {shown(value)}; a text is needed.")
    if len(str(value)) > LONGEST_NAME:
        raise Misfit(f"{name} is longer than {LONGEST_NAME} characters.")
    return str(value)


def _moment(event: Mapping[str, Any]) -> datetime:
    if event.get("timestamp") is None:
        raise Misfit("The event has no timestamp; milliseconds since 1970 or ISO 8601 are understood.")
    try:
        return as_moment(event["timestamp"], HOW)
    except Misfit as misfit:
        raise Misfit(f"timestamp {misfit}") from None


def _fields(said: Mapping[str, Any]) -> dict[str, Any]:
    """[{"name": …, "value": …}] as an object; a field without a value is missing."""
    fields = said.get("fields")
    if fields is None:
        return {}
    if not isinstance(fields, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in fields
    ):
        raise Misfit('fields is not understood; a list such as [{"name": "genre", "value": "drama"}] is needed.')
    return {one["name"]: one["value"] for one in fields if one.get("value") is not None}


def _last(events: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: value for event in events for name, value in event["fields"].items()}


def _identity(ranking: Any) -> str:
    return f"metarank {ranking}"


def _message_id(event: Mapping[str, Any]) -> str:
    """Within what the ledger and the log take; an id too long for them is known by its digest."""
    told = f"metarank-{event['id']}"
    return told if len(told) <= 100 else f"metarank-{blake2b(told.encode(), digest_size=16).hexdigest()}"


def _worth(fields: Mapping[str, Any]) -> float:
    """The money of a conversion, by the first of the usual names."""
    found = next((fields[name] for name in WORTH if isinstance(fields.get(name), int | float)), 0.0)
    if not 0 <= found <= 1e9:
        raise Misfit(f"The value of the conversion is {shown(found)}; it is money, from 0 to 1000000000.")
    return float(found)
