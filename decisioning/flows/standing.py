"""What is published and learned in; everything a consumer needs to handle an event, read anew when it changes, out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from campaigns.models import Campaign, Reaction
from rules import segments
from rules.language import parse
from rules.language.circles import segment_needs
from rules.language.history import needs
from rules.language.nodes import Condition, History
from rules.language.terms import asked_facts
from rules.models import Segment

from ..customers import profile
from ..customers.facts import defining, holding
from ..customers.facts.custom import Customs, read_for, watched
from ..customers.facts.expiring import thresholds
from ..customers.facts.histories import published
from ..customers.facts.origins import events_of
from ..customers.facts.vocabulary import Vocabulary
from ..customers.intake import arrays
from ..learning.clusters import Clusters
from ..store import clusters

# One row tells whether anything below may have changed since it was read.
STAMP = """
SELECT (SELECT number FROM decisioning_change), (SELECT max(id) FROM customers_factvocabulary),
       (SELECT array_agg(id ORDER BY id) FROM rules_segment WHERE refreshed_at IS NULL)
"""


@dataclass(frozen=True, slots=True)
class Audience:
    """A segment by condition: its id, key, name, parsed condition, and the histories that the condition reads.

    `marks` are what everybody's facts must hold before it can be computed for all: histories and custom facts.
    `nested`: it names segments. Audiences stand in an order in which each comes behind those it names.
    """

    id: int
    key: str
    name: str
    condition: Any
    histories: frozenset[str]
    marks: frozenset[str]
    nested: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """The product as it stands: what facts are cut by, who is placed where, what is triggered by what."""

    stamp: tuple[Any, ...]
    vocabulary: Vocabulary
    histories: Mapping[str, History]
    customs: Customs
    asked: Mapping[str, tuple[float, ...]]
    audiences: tuple[Audience, ...]
    read_by: Mapping[int, frozenset[str]]
    first: frozenset[int]
    segments: Mapping[int, tuple[str, str]]
    clusters: Clusters | None
    cluster_segments: Mapping[str, int]
    by_event: Mapping[str, tuple[tuple[Campaign, Any], ...]]
    by_segment: Mapping[int, tuple[tuple[Campaign, Any], ...]]
    by_exit: Mapping[int, tuple[tuple[Campaign, Any], ...]]
    reactions: Mapping[int, tuple[Reaction, ...]]
    lists: frozenset[int]

    @property
    def dues(self) -> frozenset[str]:
        """What due moments look at, as texts that can be kept and compared."""
        return frozenset(f"{name!r} {cut!r}" for name, cuts in self.asked.items() for cut in (cuts or ("any",)))

    @property
    def schema(self) -> tuple[str, ...]:
        """What a folded state depends on: the names of the histories."""
        return tuple(sorted(self.histories))


_last: list[Standing] = []


def standing() -> Standing:
    """The present one; one small query when nothing changed."""
    with arrays.direct() as raw:
        raw.execute(STAMP, prepare=True)
        number, vocabulary, first = raw.fetchone() or (None, None, None)
    stamp = (number, vocabulary, tuple(first or ()))
    if _last and _last[0].stamp == stamp:
        return _last[0]
    found = _read(stamp)
    if _let_go(found):
        # With the transaction, that would be taken back: then it is to be done once more.
        transaction.on_commit(lambda: _last.__setitem__(slice(None), [found]))
    else:
        _last[:] = [found]
    return found


def _let_go(found: Standing) -> bool:
    """Before anybody is handled without what nothing asks for any more: nobody says that all have it."""
    marks, dues = {*found.histories, *found.customs.marks}, found.dues
    return holding.let_go(marks.__contains__, dues.__contains__)


def forget() -> None:
    """Read everything anew the next time."""
    _last.clear()


def _read(stamp: tuple[Any, ...]) -> Standing:
    found = clusters.current()
    nodes = published()
    customs = defining.published(needs(nodes))
    histories, vocabulary = needs(nodes) | customs.histories, profile.vocabulary()
    conditions = segments.conditions()
    rows = Segment.objects.filter(active=True).values_list("pk", "key", "name", "kind")
    named = {pk: (key, name) for pk, key, name, _ in rows}
    cluster_segments = {key: pk for pk, key, _, kind in rows if kind == Segment.Kind.CLUSTER}
    by_event: dict[str, list[tuple[Campaign, Any]]] = {}
    by_segment: dict[int, list[tuple[Campaign, Any]]] = {}
    by_exit: dict[int, list[tuple[Campaign, Any]]] = {}
    for campaign in Campaign.objects.filter(active=True).select_related("segment").order_by("pk"):
        audience = parse(campaign.audience) if campaign.audience.strip() else None
        if campaign.trigger == Campaign.Trigger.EVENT:
            by_event.setdefault(campaign.event_name, []).append((campaign, audience))
        elif campaign.trigger == Campaign.Trigger.SEGMENT and campaign.segment_id:
            by_segment.setdefault(campaign.segment_id, []).append((campaign, audience))
        elif campaign.trigger == Campaign.Trigger.EXIT and campaign.segment_id:
            by_exit.setdefault(campaign.segment_id, []).append((campaign, audience))
    return Standing(
        stamp=stamp,
        vocabulary=vocabulary,
        histories=histories,
        customs=customs,
        asked=watched(thresholds(nodes), customs),
        audiences=tuple(_audience(row, condition, customs) for row, condition in conditions),
        read_by={row.pk: _events(condition, customs, vocabulary, histories) for row, condition in conditions},
        first=frozenset(stamp[2]),
        segments=named,
        clusters=found,
        cluster_segments=cluster_segments,
        by_event={name: tuple(pairs) for name, pairs in by_event.items()},
        by_segment={pk: tuple(pairs) for pk, pairs in by_segment.items()},
        by_exit={pk: tuple(pairs) for pk, pairs in by_exit.items()},
        reactions=_reactions(),
        lists=frozenset(pk for pk, _, _, kind in rows if kind == Segment.Kind.LIST),
    )


def _audience(row: Segment, condition: Condition, customs: Customs) -> Audience:
    histories = frozenset(needs([condition]))
    read = read_for(asked_facts(condition), customs)
    marks = histories | {one.mark for one in customs.facts if one.name in read}
    return Audience(row.pk, row.key, row.name, condition, histories, marks, bool(segment_needs(condition)))


def _events(
    condition: Condition, customs: Customs, vocabulary: Vocabulary, histories: Mapping[str, History]
) -> frozenset[str]:
    """The events that may change who is in a segment; empty where any may."""
    read = read_for(frozenset(asked_facts(condition) | needs([condition]).keys()), customs)
    return events_of(read - {one.name for one in customs.facts}, vocabulary, histories)


def _reactions() -> dict[int, tuple[Reaction, ...]]:
    """Active reactions by segment id."""
    found: dict[int, list[Reaction]] = {}
    for reaction in Reaction.objects.filter(active=True).select_related("webhook", "segment").order_by("pk"):
        found.setdefault(reaction.segment_id, []).append(reaction)
    return {pk: tuple(mine) for pk, mine in found.items()}
