"""Some segments in, newly written or edited; everybody who is in them from now on, out.

Who is in is found for all at once in the frame of everybody's facts, and compared with who was. Those who differ are
moved by a few thousand in transactions of their own, while events go on: whoever has another version by then than in
the frame is left alone, and found by the second pass.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
from django.db import connection, transaction

from rules import recomputes, segments
from rules.language.circles import SEGMENT_FACTS, segment_needs
from rules.language.frames import matching_frames
from rules.language.lookup import CUSTOMER_ID
from rules.language.terms import asked_facts
from rules.models import How
from rules.segments import Because, Moves

from ..customers import profile
from ..store import frames, people, publishing
from ..store.seen import Seen
from . import trigger
from .placing import Facts, Placed, name_segments, stays_of
from .standing import Audience, Standing, standing

AT_ONCE: Final = 2000
MANY: Final = 20_000  # moves, after which the database's own figures are far from what there is
# What was handled with the former condition while the first pass looked is found by the second.
PASSES: Final = 2
SEEN: Final = [people.CUSTOMER, people.VERSION]
Named = dict[int, tuple[str, str]]
HOLD: Final = """
SELECT id, facts_version FROM customers_customer WHERE id = ANY(%s) AND merged_into_id IS NULL
ORDER BY id FOR NO KEY UPDATE
"""


def judge(segment_ids: Sequence[int], now: datetime, how: str = How.EDIT) -> Placed:
    """Put everybody into these segments by condition, and into those that name them; who moved.

    A segment that asks for facts nobody has yet waits for the refresh of all, and is not among `computed`.
    """
    known = standing()
    chosen = computable(with_dependants(segment_ids, known))
    if not chosen:
        return Placed((), ())
    parts: list[Judged] = []
    alone = segment_ids[0] if len(segment_ids) == 1 else None
    with recomputes.watched(How(how).label, frames.refresh(now).total, alone) as progress:
        seen: pl.DataFrame | None = None
        for _ in range(PASSES):
            frame = unseen(frames.fresh(now, columns_of(chosen, known)), seen)
            seen = frame.select(SEEN)
            progress.tell(0 if parts else frame.height)
            for part in _moved(differing(frame, chosen, now, known), now, known, Because(how)):
                parts.append(part)
                progress.tell(0, part.opened, len(part.left))
        segments.measure([one.id for one in chosen], now)
        if sum(part.opened + len(part.left) for part in parts) > MANY:
            segments.count_anew()
    return Placed(
        tuple(pair for part in parts for pair in part.entered),
        tuple(pair for part in parts for pair in part.left),
        computed=tuple(one.id for one in chosen),
    )


class Checked(NamedTuple):
    """What was looked at last: by which configuration, whom in which version, and in which files."""

    stamp: Any
    seen: Seen
    files: frozenset[str]


_checked: list[Checked] = []


def recheck(now: datetime) -> int:
    """Look whether everybody is where their facts say, and mend what is not; how many were not.

    The first time in a process it looks at all, then at those who changed since. Whoever is handled by a consumer is
    right already: this finds whom one with a former condition, or a moment that nobody knew to be due, left behind.
    """
    known = standing()
    chosen = computable([one for one in known.audiences if one.id not in known.first])
    if not chosen:
        return 0
    last = _checked[0] if _checked and _checked[0].stamp == known.stamp else None
    frames.refresh(now)
    news, paths = frames.news(columns_of(chosen, known), last.files if last else ())
    frame = news if last is None else last.seen.newer(news)
    moves = _moved(differing(frame, chosen, now, known), now, known, Because(How.REFRESH))
    wrong = sum(part.opened + len(part.left) for part in moves)
    _checked[:] = [Checked(known.stamp, Seen.of(frame) if last is None else last.seen.and_then(frame), paths)]
    return wrong


def forget() -> None:
    """Look at all the next time."""
    _checked.clear()


def computable(chosen: Sequence[Audience]) -> list[Audience]:
    """Those that everybody's facts can answer."""
    held = profile.held_histories()
    return [one for one in chosen if one.marks <= held]


def unseen(frame: pl.DataFrame, seen: pl.DataFrame | None) -> pl.DataFrame:
    """The customers who have another version than when they were last seen."""
    return frame if seen is None else frame.join(seen, on=SEEN, how="anti", maintain_order="left")


def with_dependants(segment_ids: Sequence[int], known: Standing) -> list[Audience]:
    """These, and those that name them, directly or through others; in the order they are judged."""
    names = {word.casefold() for pk in segment_ids if pk in known.segments for word in known.segments[pk]}
    found: list[Audience] = []
    for one in known.audiences:
        if one.id in segment_ids or names & {name.casefold() for name in segment_needs(one.condition)}:
            found.append(one)
            names |= {one.key.casefold(), one.name.casefold()}
    return found


def columns_of(chosen: Sequence[Audience], known: Standing) -> list[str]:
    """What of the frame these conditions read."""
    facts = {name for one in chosen for name in asked_facts(one.condition)} - {CUSTOMER_ID, *SEGMENT_FACTS}
    # A name with a dot may be a part of a fact.
    facts |= {name.partition(".")[0] for name in facts}
    read = {one.id for one in chosen}.union(*(segments.named_by(one.condition, known.segments) for one in chosen))
    memberships = {f"segment:{pk}" for pk in read}
    return [*SEEN, "customer:unit", *sorted(facts | memberships)]


@dataclass(frozen=True, slots=True)
class Judged(Moves):
    """Who entered and left; `opened` also counts who was found in a segment that is computed for the first time."""

    opened: int = 0


class Differing(NamedTuple):
    """Arrays as long as there are moves to make, by customer: the segment, the customer, whether they enter (or leave).

    `versions` are those of the profiles in the frame, by customer id.
    """

    segments: np.ndarray
    customers: np.ndarray
    enters: np.ndarray
    versions: dict[int, int]

    def part(self, start: int, end: int) -> "Differing":
        """Some of the moves."""
        return Differing(self.segments[start:end], self.customers[start:end], self.enters[start:end], self.versions)


def differing(frame: pl.DataFrame, chosen: Sequence[Audience], now: datetime, known: Standing) -> Differing:
    """Who is in one of these segments and should not be, or the other way round."""
    ids, parts = frame["customer_id"].to_numpy(), []
    work = frame.with_columns(customer_id=pl.col("customer:unit"))
    for together, named in _layers(chosen, known):
        if named is not None:
            work = frames.named_segments(work, named)
        hits = matching_frames({f"segment:{one.id}": one.condition for one in together}, work, now)
        for one in together:
            hit, was = hits[f"segment:{one.id}"].to_numpy(), work[f"segment:{one.id}"].to_numpy()
            rows = np.flatnonzero(hit != was)
            parts.append((np.full(len(rows), one.id), ids[rows], hit[rows]))
        work = work.with_columns(hits)
    pairs = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(pairs[1], kind="stable")
    moved = frame.select(SEEN).filter(pl.Series(np.isin(ids, pairs[1])))
    found, customers, enters = (column[order] for column in pairs)
    return Differing(found, customers, enters, dict(moved.iter_rows()))


def _layers(chosen: Sequence[Audience], known: Standing) -> Iterator[tuple[list[Audience], Named | None]]:
    """Those that name no segments, then those that do, as many at once as name none of one another.

    Beside them what they name. Who asks by a pattern, and so for all segments, comes behind all others.
    """
    plain = [one for one in chosen if not one.nested]
    if plain:
        yield plain, None
    together: list[Audience] = []
    named: Named = {}
    for one in (one for one in chosen if one.nested):
        mine = segments.named_by(one.condition, known.segments)
        everything = len(mine) == len(known.segments) or len(named) == len(known.segments)
        if together and (everything or mine.keys() & {other.id for other in together}):
            yield together, named
            together, named = [], {}
        together, named = [*together, one], {**named, **mine}
    if together:
        yield together, named


def _moved(differ: Differing, now: datetime, known: Standing, why: Because) -> Iterator[Judged]:
    """Make the moves, each few customers in one transaction, if they still are as they were in the frame."""
    starts = np.unique(differ.customers, return_index=True)[1][::AT_ONCE]
    for start, end in pairwise([*starts, len(differ.customers)]):
        with transaction.atomic():
            yield _move(differ.part(start, end), now, known, why)


def _move(differ: Differing, now: datetime, known: Standing, why: Because) -> Judged:
    with connection.cursor() as cursor:
        cursor.execute(HOLD, [np.unique(differ.customers).tolist()])
        same = [pk for pk, version in cursor.fetchall() if differ.versions[pk] == version]
    stays = np.isin(differ.customers, same)
    entering, leaving = (_pairs(differ, stays & side) for side in (differ.enters, ~differ.enters))
    moves = segments.enter_and_leave(entering, leaving, now, why)
    # Found in a segment that was never computed before: that is no entry.
    real = replace(moves, entered=tuple(pair for pair in moves.entered if pair[0] not in known.first))
    trigger.follow((), _people(real, known), real, now, known)
    moved = sorted({customer for _, customer in moves.entered + moves.left})
    profile.touch(moved)
    publishing.publish(moved)
    return Judged(real.entered, real.left, opened=len(moves.entered))


def _pairs(differ: Differing, rows: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(differ.segments[rows].tolist(), differ.customers[rows].tolist(), strict=True))


def _people(moves: Moves, known: Standing) -> dict[int, Facts]:
    """The facts of those whose moves a campaign waits for."""
    waiting = {customer for segment, customer in moves.entered if segment in known.by_segment}
    waiting |= {customer for segment, customer in moves.left if segment in known.by_exit}
    people = profile.stored(sorted(waiting)) if waiting else {}
    for customer, held in stays_of(people).items():
        name_segments(people[customer], held, known)
    return people
