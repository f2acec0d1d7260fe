"""Segments and the newest computings of them in; the state each is in, in words and figures, out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import DurationField, ExpressionWrapper, F, QuerySet
from django.db.models.functions import Coalesce, Now

from ..models import Recompute, Segment
from ..recomputes import CLUSTERING, QUEUED, SILENT

SILENCE, SILENCE_OF_ALL = timedelta(seconds=SILENT), timedelta(seconds=QUEUED)
# Code, what a label says, and its colour; in the order of how much they need somebody.
STATES: Final = {
    "failed": ("failed", "danger"),
    "died": ("died", "danger"),
    "computing": ("computing", "info"),
    "waiting": ("never computed", "warning"),
    "fine": ("up to date", "success"),
    "off": ("switched off", "default"),
}


@dataclass(frozen=True, slots=True)
class State:
    """How the computing of a segment goes. `share` is 0 to 100; `left` is the time that it will still take."""

    code: str
    error: str = ""
    reason: str = ""
    of_all: bool = False
    done: int = 0
    total: int = 0
    share: int | None = None
    ran: timedelta | None = None
    left: timedelta | None = None
    silent: timedelta | None = None
    entered: int = 0
    departed: int = 0

    @property
    def label(self) -> str:
        """The state in a word or two."""
        word = STATES[self.code][0]
        return f"{word}, {self.share} %" if self.code == "computing" and self.share is not None else word

    @property
    def colour(self) -> str:
        """The colour of its label."""
        return STATES[self.code][1]


def states(segments: Sequence[Segment]) -> dict[int, State]:
    """The state of each of these, in three queries."""
    ids = [segment.pk for segment in segments]
    own = {
        run.segment_id: run
        for run in _timed().filter(segment_id__in=ids).order_by("segment_id", "-pk").distinct("segment_id")
    }
    everywhere = _timed().filter(segment__isnull=True).order_by("-pk")
    of_all = everywhere.exclude(reason=CLUSTERING).first()
    of_clusters = everywhere.filter(reason=CLUSTERING).first()
    shared = {Segment.Kind.CONDITION: [of_all], Segment.Kind.CLUSTER: [of_all, of_clusters]}
    return {one.pk: _state(one, [own.get(one.pk), *shared.get(Segment.Kind(one.kind), [])]) for one in segments}


def _timed() -> QuerySet[Any]:
    """Runs with how long they have been silent and how long they ran, by the database's clock, which wrote the rest."""
    return Recompute.objects.annotate(
        silent=ExpressionWrapper(Now() - F("seen_at"), DurationField()),
        ran=ExpressionWrapper(Coalesce(F("finished_at"), Now()) - F("started_at"), DurationField()),
    )


def _state(segment: Segment, asked: Sequence[Any]) -> State:
    """By its own run and the others it is computed by: of all segments, of clusters; a list has its imports alone."""
    if not segment.active:
        return State("off")
    runs = sorted((run for run in asked if run is not None), key=lambda run: run.pk, reverse=True)
    # One of all may have begun after one of this segment alone that still runs.
    alive = next((run for run in runs if run.state == Recompute.State.RUNNING and not _gone(run)), None)
    newest = runs[0] if runs else None
    if alive is not None:
        return _told("computing", alive)
    if newest is not None and newest.state == Recompute.State.RUNNING:
        return _told("died", newest)
    if newest is not None and newest.state == Recompute.State.FAILED:
        return _told("failed", newest)
    if segment.refreshed_at is None and segment.kind == Segment.Kind.CONDITION:
        return State("waiting")
    return _told("fine", newest) if newest is not None else State("fine")


def _gone(run: Any) -> bool:
    """Whether it is too silent to be at work. The parts of a run of all, unlike a segment's own, wait in a queue."""
    return bool(run.silent > (SILENCE_OF_ALL if run.holds else SILENCE))


def _told(code: str, run: Any) -> State:
    share = min(100, 100 * run.done // run.total) if run.total else None
    rest = run.ran * (run.total - run.done) / run.done if run.done and run.total > run.done else None
    return State(
        code=code,
        error=run.error,
        reason=run.reason,
        of_all=run.segment_id is None,
        done=run.done,
        total=run.total,
        share=share,
        ran=run.ran,
        left=rest if code == "computing" else None,
        silent=run.silent,
        entered=run.entered,
        departed=run.left,
    )


def lasting(span: timedelta | None) -> str:
    """A length of time as people say it, to its two largest units: "1 min 20 s"."""
    if span is None:
        return ""
    seconds = max(0, round(span.total_seconds(), 1))
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
