"""A decide call and the customer found in; the question of each placement out, as the resolver takes it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final, Generic, TypeVar

import msgspec

from rules.language import RuleError
from rules.language.nodes import Condition
from rules.language.placeholders import WrongValue, filled

from ..customers.identity.known import key_of
from ..customers.intake import identifiers
from ..engine.prepare import Prepared
from ..engine.types import Ask, ContentItem, Item, Profile
from ..engine.work import work
from . import filling
from .contract import Candidate, DecideRequest, ErrorItem, FilterAsk, PlacementAsk, Refused

Value = TypeVar("Value")
Shown = Mapping[str, Sequence[datetime]]
CUSTOMER: Final = "customer_id"
ANONYMOUS: Final = "anonymous_id"


def names_of(request: DecideRequest) -> list[tuple[str, str]]:
    """By what the customer may be found, the strongest first. Raises Refused unless it is said in one way."""
    ways = [request.customer_id, request.anonymous_id, request.identifiers]
    if sum(way is not None for way in ways) != 1:
        text = "Say for whom in one way: give customer_id, anonymous_id, or identifiers."
        raise Refused(400, "invalid_request", text)
    if request.customer_id is not None:
        return [(CUSTOMER, request.customer_id)]
    if request.anonymous_id is not None:
        return [(ANONYMOUS, request.anonymous_id)]
    given = request.identifiers or {}
    usable = {str(kind): identifiers.usable(kind, value) for kind, value in given.items()}
    found = [(kind, usable[kind]) for kind in identifiers.KINDS if usable.get(kind)]
    if not found:
        text = "No identifier names anybody; an e-mail address or a phone number may be malformed."
        raise Refused(400, "invalid_request", text)
    return found


def person_of(names: Sequence[tuple[str, str]]) -> str:
    """Who asks, in one text: what dice are seeded with for somebody nobody knows."""
    kind, value = names[0]
    if kind == CUSTOMER:
        return value
    return f"anonymous:{value}" if kind == ANONYMOUS else key_of(kind, value)


def condition_of(asked: FilterAsk | None, prepared: Prepared) -> Condition | None:
    """The condition on contents that the call asks for; raises Refused for one that does not exist or fit."""
    if asked is None:
        return None
    known = {one.key: one for one in prepared.data.filters}
    if asked.name not in known:
        near = get_close_matches(asked.name, known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Make it in the admin under Filters, or switch it on."
        raise Refused(404, "unknown_filter", f"There is no active filter {asked.name!r}. {hint}")
    try:
        return filled(known[asked.name].text, known[asked.name].types, asked.values)
    except (WrongValue, RuleError) as error:
        raise Refused(400, "invalid_filter", f"Filter {asked.name!r}: {error}") from None


class Asker:
    """A call whose customer can be looked up: what all of its placements are asked with."""

    def __init__(self, request: DecideRequest, prepared: Prepared, names: list[tuple[str, str]]) -> None:
        self.request, self.names = request, names
        self.person = person_of(names)
        self.candidates, self.missing = candidates_of(request.candidates, prepared)
        self.condition = condition_of(request.filter, prepared)
        self.exclude = frozenset(request.exclude)
        self.complaints: list[ErrorItem] = []
        self.asked: dict[str, Any] = {
            "mode": request.mode,
            "candidates": msgspec.to_builtins(request.candidates),
            "filter": msgspec.to_builtins(request.filter),
        }

    def ask(
        self, placement: str, count: int | None, customer: Profile | None, shown: Shown, taken: frozenset[str]
    ) -> Ask:
        """The question of one placement; `shown` is when the customer saw what is capped, `taken` what others show."""
        request = self.request
        return Ask(
            placement,
            count,
            customer,
            request.context,
            self.person,
            request.request_id,
            self.exclude,
            request.explain,
            candidates=self.candidates,
            filter=self.condition,
            shown=shown,
            taken=taken,
        )

    def for_another(self, customer: str) -> "Asker":
        """The same question for another customer."""
        other = copy(self)
        other.names, other.person = [(CUSTOMER, customer)], customer
        return other

    def body_of(self, content: ContentItem, ask: Ask, now: datetime) -> Mapping[str, Any]:
        """What the app gets of a content; its templates filled where it asked for that."""
        if not self.request.render:
            return content.body

        def failed(why: str) -> None:
            self.complaints.append(ErrorItem("render_failed", f"{content.key}: {why}", ask.placement))

        customer = {**ask.customer.facts, "key": ask.customer.key} if ask.customer else {}
        known = {"customer": customer, "context": dict(ask.context), "now": now, "today": now.date()}
        return filling.filled(content.body, known, failed)


def asker_of(request: DecideRequest, prepared: Prepared) -> Asker:
    """The call, ready to be asked; raises Refused where it does not say for whom."""
    return Asker(request, prepared, names_of(request))


def wanted(placements: Iterable[str | PlacementAsk]) -> list[tuple[str, int | None]]:
    """The placements of a call, and how many contents each is asked for where that is said."""
    return [(one, None) if isinstance(one, str) else (one.key, one.n) for one in placements]


def refuse_too_much(asker: Asker, prepared: Prepared, most: int, customers: int = 1) -> None:
    """Raise Refused where deciding would take more work than one call may ask for."""
    own = None if asker.candidates is None else len(asker.candidates)
    units = customers * work(prepared, wanted(asker.request.placements), own)
    if units > most:
        fewer = "ask for fewer contents (n), send fewer candidates, or split it into several calls"
        text = f"This call is {units:,} units of work (contents × slots × the policy's weight, over all placements"
        text += f" and {customers:,} customers" if customers > 1 else ""
        raise Refused(400, "too_much_work", f"{text}); at most {most:,} are allowed: {fewer}.")


def candidates_of(
    asked: Sequence[str | Candidate] | None, prepared: Prepared
) -> tuple[tuple[ContentItem, ...] | None, tuple[str, ...]]:
    """The caller's own contents, and the ids that only name what does not exist; None where the caller gave none."""
    if asked is None:
        return None, ()
    ours = _by_key(prepared)
    found: dict[str, ContentItem] = {}
    missing: list[str] = []
    for one in asked:
        key, attributes = (one, {}) if isinstance(one, str) else (one.id, one.attributes)
        if key in ours:
            mine = ours[key]
            laid = msgspec.structs.replace(mine, attributes={**mine.attributes, **attributes}) if attributes else mine
            found[key] = laid
        elif isinstance(one, str):
            missing.append(key)
        else:
            found[key] = _content(key, attributes)
    return tuple(found.values()), tuple(dict.fromkeys(missing))


class OfSnapshot(Generic[Value]):
    """Something made of the snapshot in use, once; made anew when another one is."""

    def __init__(self, make: Callable[[Prepared], Value]) -> None:
        self.make = make
        self.held: tuple[Prepared, Value] | None = None

    def __call__(self, prepared: Prepared) -> Value:
        held = self.held
        if held is None or held[0] is not prepared:
            held = self.held = (prepared, self.make(prepared))
        return held[1]


_by_key = OfSnapshot(lambda prepared: {content.key: content for content in prepared.data.contents})
caps_of = OfSnapshot(
    lambda prepared: {one.key: one.cap_hours for one in prepared.data.contents if one.cap_count is not None}
)


# How often each may be seen, in how many hours.
limits_of = OfSnapshot(
    lambda prepared: {
        one.key: (one.cap_count, one.cap_hours) for one in prepared.data.contents if one.cap_count is not None
    }
)


def seen_too(shown: Shown, items: Iterable[Item], caps: Mapping[str, float], now: datetime) -> Shown:
    """What the customer has seen once these are shown too: later placements of the same call keep to caps as well."""
    new = [item.content.key for item in items if item.content.key in caps]
    return {**shown, **{key: [*shown.get(key, ()), now] for key in new}} if new else shown


# How far back any cap looks, in seconds; 0 where nothing is capped.
longest_cap = OfSnapshot(lambda prepared: 3600 * max(caps_of(prepared).values(), default=0.0))


def _content(key: str, attributes: Mapping[str, Any]) -> ContentItem:
    """A content that only the caller knows; `name`, `tags` and `value` among its attributes are taken as such."""
    name, tags, value = attributes.get("name"), attributes.get("tags"), attributes.get("value")
    return ContentItem(
        key=key,
        name=name if isinstance(name, str) else key,
        body={},
        attributes=dict(attributes),
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        value=float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else 1.0,
    )
