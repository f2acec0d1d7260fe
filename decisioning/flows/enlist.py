"""A file of identifiers and a list in; the list changed at once or not at all, its segment made to follow it, out.

First the entries, in one transaction. Then the memberships: only those who differ are looked at, some at a time, each
few in a transaction of their own with everything that follows from entering or leaving; a kill is made up for by doing
it again. Who gets one of the identifiers later enters with the event that says so.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection, transaction

from rules import lists, recomputes, segments
from rules.lists import Changed, Foreseen, Pair
from rules.models import How, Recompute, Segment
from rules.recomputes import Progress
from rules.segments import Because

from ..customers import profile
from ..customers.intake import listing
from ..customers.intake.listing import Report
from ..store import publishing, uploads
from . import trigger
from .placing import place_few
from .standing import standing

AT_ONCE: Final = 1000
LONGEST_NAME: Final = 120
IMPORTED, TAKEN_BACK, UNCHANGED = "import of ", "took back the ", ", which changed nothing"
HOLD: Final = """
SELECT id FROM customers_customer WHERE id = ANY(%s) AND merged_into_id IS NULL ORDER BY id FOR NO KEY UPDATE
"""


class NotPossible(ValueError):
    """What cannot be done, with the reason; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file holds and would do. `duplicates` are identifiers named before in the same file."""

    report: Report
    foreseen: Foreseen

    @property
    def duplicates(self) -> int:
        """How often an identifier stands in the file again."""
        return self.report.identifiers - self.foreseen.identifiers

    @property
    def unknown(self) -> int:
        """Identifiers that nobody has yet: they wait on the list."""
        return self.foreseen.identifiers - self.foreseen.known


@dataclass(frozen=True, slots=True)
class Enlisted:
    """What a change came to, in entries and in customers."""

    changed: Changed
    entered: int
    left: int


def begun(token: str) -> None:
    """Look at a file's first line only: whether anything can be read of it. Raises listing.Unreadable with the cure."""
    about = uploads.about(token)
    with uploads.opened(token) as file:
        listing.pairs(file, about.kind, Report())


def preview(token: str) -> Preview:
    """Read a file that was uploaded and say what it would do; nothing is changed.

    Raises uploads.Gone, and listing.Unreadable with the cure.
    """
    about, report = uploads.about(token), Report()
    with uploads.opened(token) as file, transaction.atomic():
        lists.stage(listing.pairs(file, about.kind, report))
        return Preview(report, lists.foresee(about.segment, about.mode))


def enlist(token: str, now: datetime) -> Enlisted:
    """Do with an uploaded file what was asked, and drop it. Raises as `preview` does, and NotPossible."""
    about = uploads.about(token)
    with uploads.opened(token) as file:
        done = change(about.segment, about.mode, listing.pairs(file, about.kind, Report()), about.name, now)
    uploads.drop(token)
    return done


def change(segment_id: int, mode: str, pairs: Iterable[Pair], name: str, now: datetime) -> Enlisted:
    """Change a list by these identifiers; `name` says where they come from. Raises NotPossible for another segment."""
    _refuse_others(segment_id)
    words = f"{IMPORTED}{name[:LONGEST_NAME]} ({mode})"
    with recomputes.watched(f"reading {name[:LONGEST_NAME]}", 0, segment_id) as progress:
        with transaction.atomic():
            lists.hold(segment_id)
            lists.stage(pairs)
            changed = lists.change(segment_id, mode, now)
            # In the same transaction: by these words the change can be taken back.
            Recompute.objects.filter(pk=progress.pk).update(reason=words if any(changed) else words + UNCHANGED)
        entered, left = _follow(segment_id, now, name, progress)
    return Enlisted(changed, entered, left)


def last_import(segment_id: int) -> str:
    """The last change of a list in words, where it can be taken back; "" where it cannot."""
    rows = Recompute.objects.filter(segment_id=segment_id, state__in=(Recompute.State.DONE, Recompute.State.FAILED))
    newest = rows.filter(reason__startswith=IMPORTED) | rows.filter(reason__startswith=TAKEN_BACK)
    reason = newest.order_by("-id").values_list("reason", flat=True).first() or ""
    return reason if reason.startswith(IMPORTED) and not reason.endswith(UNCHANGED) else ""


def take_back(segment_id: int, now: datetime) -> Enlisted:
    """The list, and its segment, as they were before the last import. Raises NotPossible where there is none."""
    _refuse_others(segment_id)
    with transaction.atomic():
        lists.hold(segment_id)
        former = last_import(segment_id)
        if not former:
            raise NotPossible("There is no import to take back; only the last one can be, and only once.")
        changed = lists.take_back(segment_id)
        # In the same transaction, so that nobody takes it back again.
        progress = recomputes.begin(f"{TAKEN_BACK}{former}", 0, segment_id)
    entered, left = _follow(segment_id, now, f"{TAKEN_BACK}{former}", progress)
    recomputes.finish(progress)
    return Enlisted(changed, entered, left)


def follow(segment_ids: Sequence[int], now: datetime) -> int:
    """Make the memberships of those of these segments that are lists equal to them; how many customers moved."""
    chosen = Segment.objects.filter(pk__in=segment_ids, kind=Segment.Kind.LIST, active=True).values_list(
        "pk", flat=True
    )
    moved = 0
    for pk in chosen:
        with recomputes.watched("the list was looked at anew", 0, pk) as progress:
            moved += sum(_follow(pk, now, "", progress))
    return moved


def _refuse_others(segment_id: int) -> None:
    kind = Segment.objects.filter(pk=segment_id).values_list("kind", flat=True).first()
    if kind != Segment.Kind.LIST:
        raise NotPossible("This segment is no imported list, or is not there any more.")


def _follow(segment_id: int, now: datetime, by: str, progress: Progress) -> tuple[int, int]:
    if segment_id not in standing().lists:
        return 0, 0  # switched off: it is followed when it is switched on again
    entering, leaving = lists.entering(segment_id), lists.leaving(segment_id)
    Recompute.objects.filter(pk=progress.pk).update(total=len(entering) + len(leaving))
    entered = left = 0
    for ids in _parts(entering):
        _move(ids, now, Because(How.IMPORT, by))
        # Counted anew: in a segment that was never computed nobody "enters", and who has no facts yet comes with them.
        found = lists.inside(segment_id, ids)
        progress.tell(len(ids), found)
        entered += found
    for ids in _parts(leaving):
        _move(ids, now, Because(How.IMPORT, by))
        gone = len(ids) - lists.inside(segment_id, ids)
        progress.tell(len(ids), 0, gone)
        left += gone
    if entering or leaving or segment_id not in standing().first:
        # A list that nobody was ever on stays one that was never computed: its first import triggers nothing.
        segments.measure([segment_id], now)
    return entered, left


def _move(ids: Sequence[int], now: datetime, why: Because) -> None:
    """These customers by what PostgreSQL holds of them, while nobody else may change it."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(HOLD, [list(ids)])
        known = standing()
        people = profile.stored(ids)
        # Conditions that name the list are judged on the way.
        moves = place_few(people, now, known, why, listed=lists.of_customers(list(people))).moves
        trigger.follow((), people, moves, now, known)
        moved = sorted({customer for _, customer in moves.entered + moves.left})
        profile.touch(moved)
        publishing.publish(moved)


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))
