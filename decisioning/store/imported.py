"""Showings of somebody else's log in; rows of the ledger, and the placements and contents they name, out.

Ids are made from what a log calls its decision, so whatever is imported twice, or in parts, is there once.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from django.db import connection

from campaigns.models import Content, Placement

from ..models import Decision, Outcome
from .showing import Seen, Showing, Terms

LONGEST_NAME: Final = 200
# What a placement may ask for at most.
MOST_CONTENTS: Final = 50

ITEMS_OF: Final = """
SELECT d.id, ARRAY(SELECT item ->> 'key' FROM jsonb_array_elements(d.items) AS item)
FROM decisioning_decision d WHERE d.id = ANY(%s::uuid[])
"""


def decision_of(showing: Showing, customer: tuple[int, str], facts: Mapping[str, Any], terms: Terms) -> Decision:
    """The ledger's row for a customer (id, key)."""
    return Decision(
        id=showing.id,
        at=showing.at,
        customer_id=customer[0],
        customer_key=customer[1][:LONGEST_NAME],
        placement=showing.placement,
        source=Decision.Source.IMPORT,
        request_id=showing.request_id[:100],
        rung="default",
        reason="IMPORTED",
        policy=showing.policy[:20],
        items=[_item(seen) for seen in showing.items],
        explanation={"candidates": list(showing.candidates)} if showing.candidates else {},
        facts=dict(facts),
        context=showing.context,
        windows=[terms.window_hours] * 4 if terms.window_hours is not None else None,
    )


def _item(seen: Seen) -> dict[str, Any]:
    item = {
        "key": seen.content,
        "rank": seen.rank,
        "score": None,
        "propensity": seen.propensity,
        "reasons": ["imported"],
    }
    return {**item, "fields": seen.fields} if seen.fields else item


def outcomes_of(showing: Showing) -> Iterator[Outcome]:
    """What followed the showing."""
    for seen in showing.items:
        for kind, at in seen.outcomes():
            value = seen.value if kind == "conversion" else 0.0
            told = uuid5(showing.id, f"{kind} {seen.content}")
            yield outcome_of(showing.id, seen.content, kind, at, f"import-{kind}-{told}", value)


def outcome_of(decision: UUID, content: str, kind: str, at: datetime, message_id: str, value: float) -> Outcome:
    """The ledger's row; the event log hears of it from the import itself, if at all, and then as history."""
    return Outcome(
        decision_id=decision, content=content, kind=kind, at=at, message_id=message_id, value=value, told=True
    )


def items_of(ids: Collection[UUID]) -> dict[UUID, frozenset[str]]:
    """The contents of those decisions that the ledger has."""
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(ITEMS_OF, [list(ids)])
        return {pk: frozenset(keys) for pk, keys in cursor.fetchall()}


def open_placements(counts: Mapping[str, int], objective: str) -> int:
    """Make those of these placements that are not there, switched off, for so many contents; how many."""
    held = set(Placement.objects.filter(key__in=list(counts)).values_list("key", flat=True))
    new = [
        Placement(key=key, name=key, count=min(count, MOST_CONTENTS), objective=objective, active=False)
        for key, count in counts.items()
        if key not in held
    ]
    if new:
        Placement.objects.bulk_create(new, ignore_conflicts=True)
    return len(new)


def open_contents(showings: Sequence[Showing]) -> int:
    """Make the contents that are not there, switched off and for the placements they were met in; how many.

    Scorers learn from them all the same; nothing is served, scored or published before a person switches it on.
    """
    names, places = _contents_of(showings)
    held = set(Content.objects.filter(key__in=list(names)).values_list("key", flat=True))
    new = [key for key in names if key not in held]
    if not new:
        return 0
    rows = [Content(key=key, name=names[key][:LONGEST_NAME], active=False) for key in new]
    Content.objects.bulk_create(rows, ignore_conflicts=True)
    _link({key: places[key] for key in new})
    return len(new)


def _contents_of(showings: Sequence[Showing]) -> tuple[dict[str, str], dict[str, set[str]]]:
    names: dict[str, str] = {}
    places: dict[str, set[str]] = {}
    for showing in showings:
        for key, name in ({seen.content: seen.name for seen in showing.items} | showing.candidates).items():
            names.setdefault(key, name)
            places.setdefault(key, set()).add(showing.placement)
    return names, places


def _link(places: Mapping[str, Collection[str]]) -> None:
    """Let these contents be for these placements, which exist: key of the content → keys."""
    contents = dict(Content.objects.filter(key__in=list(places)).values_list("key", "pk"))
    ids = dict(
        Placement.objects.filter(key__in={key for keys in places.values() for key in keys}).values_list("key", "pk")
    )
    through = Content.placements.through
    links = [
        through(content_id=contents[content], placement_id=ids[key]) for content, keys in places.items() for key in keys
    ]
    through._default_manager.bulk_create(links, ignore_conflicts=True)
