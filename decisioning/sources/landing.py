"""Contents, events, showings and what followed them in; each where it belongs in the database, counted, out."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from campaigns.models import Content, Placement

from ..flows.history import Recorder, follow
from ..store.imported import open_placements
from ..store.showing import Followed, Showing, Terms
from . import contents
from .handing import Done, Failure, Placed, hand_over, look_at
from .items import Item
from .metarank import METARANK
from .preparing import Job


class Head(msgspec.Struct):
    """What tells an interaction from a user's traits."""

    event: str = ""


_head = msgspec.json.Decoder(Head).decode
FUTURE: Final = timedelta(minutes=1)
CODE: Final = "decision"
# Counts that say of what, where there are several kinds of things.
OF_EACH: Final = ("acceptable", "added", "changed", "created", "duplicates", "unchanged")
Good = Sequence[Placed[Any]]


class Landing:
    """Writes what an import of decisions, or of Metarank's events, means; for one run."""

    def __init__(self, job: Job) -> None:
        usual = Placement.Objective.CLICK if job.kind == METARANK else Placement.Objective.CONVERSION
        self.source, self.several = job.told_source, job.kind == METARANK
        self.recorder = Recorder(Terms(window_hours=job.window_hours, objective=job.objective or str(usual)))

    def write(self, good: Good, failures: Sequence[Failure], now: datetime) -> Done:
        """Store a chunk."""
        done = Done(Counter(), list(failures))
        self._add(done, "items", contents.write(self._new(_of(good, dict)), []))
        self._add(done, "events", hand_over(_of(good, Item), [], self.source, now))
        done.counts.update(_events(_of(good, Item)))
        self._add(done, "rankings", self._showings(_timely(_of(good, Showing), done, now)))
        self._add(done, "interactions", self._followed(_timely(_of(good, Followed), done, now), now))
        return done

    def check(self, good: Good, failures: Sequence[Failure], now: datetime) -> Done:
        """What would be refused of it, with nothing written. What the ledger holds is not asked."""
        done = Done(Counter(), list(failures))
        self._add(
            done, "items", contents.write([_row(one, {"active": False}) for one in _of(good, dict)], [], save=False)
        )
        self._add(done, "events", look_at(_of(good, Item), [], now))
        done.counts.update(_events(_of(good, Item)))
        for what, kind in (("rankings", Showing), ("interactions", Followed)):
            self._add(done, what, Done(Counter({"acceptable": len(_timely(_of(good, kind), done, now))})))
        return done

    def _add(self, done: Done, what: str, more: Done) -> None:
        for name, count in more.counts.items():
            done.counts[f"{what} {name}" if self.several and name in OF_EACH else name] += count
        done.failures.extend(more.failures)

    def _new(self, rows: Sequence[Placed[dict[str, Any]]]) -> list[Placed[dict[str, Any]]]:
        """Contents that are not there yet are switched off, and for the placement of the import alone."""
        if not rows:
            return []
        open_placements({row.what["for"]: row.what["count"] for row in rows}, self.recorder.terms.objective)
        held = set(Content.objects.filter(key__in=[row.what["key"] for row in rows]).values_list("key", flat=True))
        return [
            _row(row, {} if row.what["key"] in held else {"active": False, "placements": [row.what["for"]]})
            for row in rows
        ]

    def _showings(self, rows: Sequence[Placed[Showing]]) -> Done:
        if not rows:
            return Done(Counter())
        recorded = self.recorder.record([row.what for row in rows])
        refused = [
            Failure(rows[index].place, CODE, why, rows=rows[index].rows) for index, why in recorded.refused.items()
        ]
        return Done(recorded.counts, refused)

    def _followed(self, rows: Sequence[Placed[Followed]], now: datetime) -> Done:
        if not rows:
            return Done(Counter())
        recorded = follow([row.what for row in rows])
        refused = [Failure(rows[index].place, CODE, why) for index, why in recorded.refused.items()]
        events = [
            Placed(row.place, Item(row.what.event.encode()))
            for index, row in enumerate(rows)
            if row.what.event and index not in recorded.refused
        ]
        told = hand_over(events, [], self.source, now)
        return Done(recorded.counts, [*refused, *told.failures])


def _of(good: Good, kind: type) -> list[Placed[Any]]:
    return [one for one in good if isinstance(one.what, kind)]


def _events(rows: Sequence[Placed[Item]]) -> Counter[str]:
    """Interactions that are no outcome of anything here, by the name they have in the log."""
    heads = [_head(row.what.raw) for row in rows]
    return Counter(f'interactions kept as the event "{head.event}"' for head in heads if head.event)


def _row(row: Placed[dict[str, Any]], usual: dict[str, Any]) -> Placed[dict[str, Any]]:
    """As `contents` takes it: a content that has no name gets what the log calls it."""
    said = {name: value for name, value in row.what.items() if name not in ("for", "count", "called")}
    return Placed(row.place, usual | ({"name": row.what["called"]} if usual else {}) | said)


def _timely(rows: Sequence[Placed[Any]], done: Done, now: datetime) -> list[Placed[Any]]:
    """Those that lie in the past; nothing was shown tomorrow."""
    good = [row for row in rows if row.what.at <= now + FUTURE]
    late = [row for row in rows if row.what.at > now + FUTURE]
    done.failures.extend(
        Failure(row.place, CODE, f"It happened at {row.what.at.isoformat()}, which is still to come.", rows=row.rows)
        for row in late
    )
    return good
