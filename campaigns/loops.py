"""Segments and the traits that their reactions set in; a circle in which customers would be moved for ever, out.

A trait that a segment sets may be read by its own condition, or by another's whose reactions set a trait that the first
one reads, and so on. Each round would be a move, with its messages and calls. What conditions do not tell (a receiver
that sends an event back, say) is bounded at run time instead: `decisioning.flows.tell`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rules.language import RuleError, nodes, parse
from rules.language.circles import segment_needs
from rules.language.terms import asked_facts
from rules.models import Segment

from .models import Reaction

TELLS = "identify"  # the event that traits come by: a history of it may read any of them


@dataclass(frozen=True, slots=True)
class Reader:
    """A segment by condition, and what moves customers in it: facts, traits in history, other segments."""

    segment: Segment
    facts: frozenset[str]
    listens: bool
    named: frozenset[str]


@dataclass(frozen=True, slots=True)
class Step:
    """A segment that moves because of the one before, and why in words."""

    reader: Reader
    why: str


def circle_by_reaction(segment: Segment, trait: str) -> str | None:
    """What is wrong with setting this trait because of this segment; None where nothing is.

    `segment` is as it will be saved, with its condition, and may be new.
    """
    readers = _readers(segment)
    first = [Step(reader, _reads(segment, trait, reader)) for reader in readers if _is_read(trait, reader)]
    return _told(_way(segment, first, readers))


def circle_by_condition(segment: Segment) -> str | None:
    """The same for the condition that a segment is about to be saved with, and the reactions it has."""
    readers = _readers(segment)
    me = next((one for one in readers if _same(one.segment, segment)), None)
    return _told(_way(segment, list(_next(me, readers)), readers)) if me else None


def _way(segment: Segment, first: list[Step], readers: list[Reader]) -> list[Step] | None:
    """The shortest way on which a move in the segment comes back to it."""
    waiting = [[step] for step in first]
    seen: set[str] = set()
    while waiting:
        way = waiting.pop(0)
        last = way[-1].reader
        if _same(last.segment, segment):
            return way
        if last.segment.key not in seen:
            seen.add(last.segment.key)
            waiting += [[*way, step] for step in _next(last, readers)]
    return None


def _next(moved: Reader, readers: list[Reader]) -> Iterator[Step]:
    """Who may move because customers moved there: segments that name it, or read a trait that it sets."""
    words = {moved.segment.key.casefold(), moved.segment.name.casefold()}
    traits = _traits().get(moved.segment.pk, ())
    for reader in readers:
        if words & reader.named:
            yield Step(reader, f"{reader.segment} asks for {moved.segment}")
        for trait in traits:
            if _is_read(trait, reader):
                yield Step(reader, _reads(moved.segment, trait, reader))


def _traits() -> Mapping[int, list[str]]:
    """The traits that active reactions set, by segment id."""
    found: dict[int, list[str]] = {}
    setting = Reaction.objects.filter(kind=Reaction.Kind.TRAIT, active=True)
    for segment, trait in setting.order_by("pk").values_list("segment_id", "trait"):
        found.setdefault(segment, []).append(trait)
    return found


def _readers(segment: Segment) -> list[Reader]:
    others = Segment.objects.filter(kind=Segment.Kind.CONDITION).exclude(pk=segment.pk).order_by("key")
    rows = [segment, *others] if segment.kind == Segment.Kind.CONDITION else list(others)
    return [reader for row in rows if (reader := _reader(row))]


def _reader(row: Segment) -> Reader | None:
    try:
        node = nodes.condition_of(parse(row.condition))
    except RuleError:
        return None
    listens = any(history.event == TELLS for history in nodes.histories(node))
    return Reader(row, asked_facts(node), listens, frozenset(name.casefold() for name in segment_needs(node)))


def _is_read(trait: str, reader: Reader) -> bool:
    """Whether its condition reads the trait: by its name, as `trait_…` where that is taken, or a part of it."""
    names = {trait, f"trait_{trait}"}
    return reader.listens or any(fact in names or fact.partition(".")[0] in names for fact in reader.facts)


def _same(one: Segment, other: Segment) -> bool:
    return one is other or (one.pk is not None and one.pk == other.pk)


def _reads(segment: Segment, trait: str, reader: Reader) -> str:
    where = "its own condition reads" if _same(segment, reader.segment) else f"{reader.segment} reads"
    return f"{segment} sets “{trait}”, which {where}"


def _told(way: list[Step] | None) -> str | None:
    if way is None:
        return None
    steps = "; ".join(step.why for step in way)
    return f"Customers would be moved in and out for ever: {steps}. Set a trait that none of these conditions read."
