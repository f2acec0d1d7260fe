"""Rows of a log of what was shown in; showings for the ledger, and what followed them, out. Pure.

A row is one content that was shown, or a whole decision with its `items`. Rows with one `decision_id` are one decision,
wherever in the file they stand.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import msgspec

from ..store.showing import Seen, Showing
from .gathering import Gathering
from .items import Occurrences
from .keys import Keys
from .preparing import Job, opened
from .reading import Row
from .shapes import REST
from .values import FALSE, TRUE, How, Misfit, as_boolean, as_moment, as_number, as_text, shown

OUTCOMES: Final = ("impression", "click", "conversion")
OF_AN_ITEM: Final = ("content", "rank", "propensity", *OUTCOMES, "value", "fields")
LONGEST_PERSON: Final = 200
MOST: Final = 1e9
SEEN: Final = ("outcome", "impression")
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Showing).decode


@dataclass(frozen=True, slots=True)
class Reading:
    """Makes showings of rows' meanings, for one run; `source` is what rows that name nobody are told apart by."""

    before: Callable[[bytes], int]
    source: str
    how: How
    keys: Keys = field(default_factory=Keys)
    places: Keys = field(default_factory=Keys)

    def showing(self, made: dict[str, Any], number: int, says_seen: bool) -> Showing:
        """What row `number` tells; `says_seen`: a column says what was seen, else all was. Raises Misfit."""
        made.pop(REST, None)
        for needed, cure in (("at", "when it was shown"), ("placement", "where it was shown")):
            if needed not in made:
                raise Misfit(f"The row does not say {cure}; map a column to `{needed}`, or a constant.")
        at, placement = made["at"], self.places.of(made["placement"])
        items = self._items(made, at, says_seen)
        candidates = [as_text(name, self.how) or "" for name in made.get("candidates", ())]
        identity, who = self._identity(made, placement, items, number)
        return Showing(
            identity=identity,
            who=who,
            at=at,
            placement=placement,
            items=items,
            request_id=made.get("decision_id", ""),
            policy=made.get("policy", "unknown"),
            context=made.get("context", {}),
            facts=made.get("facts"),
            candidates={self.keys.of(name): name for name in candidates},
        )

    def _items(self, made: dict[str, Any], at: datetime, says_seen: bool) -> list[Seen]:
        if ("items" in made) == ("content" in made):
            raise Misfit("The row says nothing, or twice, of what was shown; map a column to `content`, or to `items`.")
        if "content" in made:
            outcome = made.get("outcome", {})
            if unknown := sorted(outcome.keys() - set(OUTCOMES)):
                raise Misfit(f"outcome.{unknown[0]} is none; there is: {', '.join(OUTCOMES)}.")
            return [self._seen(made | outcome, at, says_seen or "impression" in outcome)]
        if made.keys() & {"outcome", "rank", "propensity", "value"}:
            raise Misfit("Ranks, propensities, outcomes and values belong into each of the `items`.")
        return [self._item(one, at, place) for place, one in enumerate(made["items"], 1)]

    def _item(self, one: Any, at: datetime, place: int) -> Seen:
        if not isinstance(one, dict) or "content" not in one:
            raise Misfit(f"Item {place} is {shown(one)}; an object with `content` is needed.")
        if unknown := sorted(one.keys() - set(OF_AN_ITEM)):
            raise Misfit(f"Item {place} has an unknown {unknown[0]}; there is: {', '.join(OF_AN_ITEM)}.")
        try:
            said = one | {"content": as_text(one["content"], self.how)}
            numbers = {
                name: as_number(one[name], self.how)
                for name in ("rank", "propensity", "value")
                if one.get(name) is not None
            }
            return self._seen(
                {**said, "rank": place, "propensity": None, "value": None, **numbers}, at, "impression" in one
            )
        except Misfit as misfit:
            raise Misfit(f"Item {place}: {misfit}") from None

    def _seen(self, said: Mapping[str, Any], at: datetime, says_seen: bool) -> Seen:
        name, value = str(said["content"] or ""), _amount(said.get("value"))
        happened = {kind: _happened(kind, said.get(kind), at, self.how) for kind in OUTCOMES}
        if not says_seen:
            happened["impression"] = at
        if "conversion" not in said and value > 0:
            # What brought money was a conversion.
            happened["conversion"] = at
        return Seen(
            content=self.keys.of(name),
            name=name,
            rank=_rank(said.get("rank")),
            propensity=_chance(said.get("propensity")),
            value=value if happened["conversion"] else 0.0,
            fields=said.get("fields") or {},
            **happened,
        )

    def _identity(
        self, made: Mapping[str, Any], placement: str, items: Sequence[Seen], number: int
    ) -> tuple[str, tuple[str, str]]:
        """What tells this decision from others, and whom it was for; the row's number where neither is named."""
        named = made.get("decision_id", "")
        who = _who(made)
        if named:
            return f"id {named}", who or _nobody(f"decision {named}")
        row = f"{self.source} row {number + 1}"
        if who is None:
            return row, _nobody(row)
        digest = blake2b(_encode_sorted([who, made["at"], placement, [seen.content for seen in items]]), digest_size=16)
        return f"row {digest.hexdigest()} {self.before(digest.digest())}", who


def _who(made: Mapping[str, Any]) -> tuple[str, str] | None:
    user, anonymous = made.get("userId") or made.get("customer"), made.get("anonymousId")
    who = ("user_id", user) if user else ("anonymous_id", anonymous) if anonymous else None
    if who is not None and len(who[1]) > LONGEST_PERSON:
        raise Misfit(f"The customer's id is longer than {LONGEST_PERSON} characters.")
    return who


def _nobody(called: str) -> tuple[str, str]:
    return "anonymous_id", called if len(called) <= LONGEST_PERSON else blake2b(called.encode()).hexdigest()


def _happened(kind: str, value: Any, at: datetime, how: How) -> datetime | None:
    """When it happened: at a moment of its own, or with the decision where only that it did is told."""
    if value is None or isinstance(value, datetime):
        return value
    try:
        plain = str(value).strip().lower().removesuffix(".0")
        if plain in TRUE | FALSE:
            return at if as_boolean(plain, how) else None
        return as_moment(value, how)
    except Misfit as misfit:
        raise Misfit(f"{kind} {misfit}") from None


def _rank(value: Any) -> int | None:
    if value is None:
        return None
    if value != int(value) or not 1 <= value <= 2**31:
        raise Misfit(f"rank is {shown(value)}; ranks are whole numbers, and the first is 1.")
    return int(value)


def _chance(value: Any) -> float | None:
    if value is not None and not 0 < value <= 1:
        raise Misfit(f"propensity is {shown(value)}; it is a chance above 0 and up to 1, or empty where unknown.")
    return None if value is None else float(value)


def _amount(value: Any) -> float:
    if value is not None and not 0 <= value <= MOST:
        raise Misfit(f"value is {shown(value)}; it is the money of a conversion, from 0 to {MOST:.0f}.")
    return float(value or 0)


def together(rows: Sequence[Showing]) -> Showing:
    """Rows of one decision as one, in the order of their ranks, else of the file. Raises Misfit where they disagree."""
    first = rows[0]
    for row in rows[1:]:
        for name in ("who", "placement"):
            if getattr(row, name) != getattr(first, name):
                raise Misfit(f"Rows of the decision {first.request_id} disagree about its {name}.")
    seen: dict[str, Seen] = {}
    for one in (one for row in rows for one in row.items):
        seen[one.content] = _joined(seen[one.content], one) if one.content in seen else one
    items = sorted(seen.values(), key=lambda one: one.rank or 0)
    for place, one in enumerate(items, 1):
        one.rank = one.rank or place
    candidates = {key: name for row in rows for key, name in row.candidates.items()}
    facts = [row.facts for row in rows if row.facts is not None]
    return msgspec.structs.replace(
        first,
        at=min(row.at for row in rows),
        items=items,
        context={name: value for row in reversed(rows) for name, value in row.context.items()},
        facts={name: value for one in reversed(facts) for name, value in one.items()} if facts else None,
        candidates=candidates,
    )


def _joined(one: Seen, other: Seen) -> Seen:
    """Two rows about one content: whatever either says happened did, at the first moment told."""
    first = {kind: min(_moments(kind, one, other), default=None) for kind in OUTCOMES}
    return msgspec.structs.replace(one, **first, value=max(one.value, other.value))


def _moments(kind: str, *rows: Seen) -> Iterator[datetime]:
    return (at for row in rows if (at := getattr(row, kind)) is not None)


class Decisions(Gathering):
    """The decisions of a file, each gathered from its rows."""

    def __init__(self, job: Job) -> None:
        file, self.mapping = opened(job)
        super().__init__(file)
        self.occurrences = Occurrences()
        self.reading = Reading(self.occurrences.before, job.told_source, self.mapping.how)

    def park(self, row: Row) -> None:
        """Put the row beside the others of its decision."""
        made = self.mapping.item(row.cells)
        showing = self.reading.showing(made, row.number, self.mapping.reads(row.cells, SEEN))
        self.parking.put(0, showing.identity, row, showing)

    def whole(self, phase: int, parts: list[bytes]) -> Showing:
        """The decision that these rows tell of."""
        return together([_decode(part) for part in parts])

    def close(self) -> None:
        """Let go of the files."""
        self.occurrences.close()
        super().close()
