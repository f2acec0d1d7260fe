"""What was learned from, what is there by now, and what watching found come in; why to train anew comes out, or not."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from decisioning.learning.slicing import FEWEST_CONVERSIONS

PAUSE: Final = timedelta(hours=1)  # between two trainings, whatever happens
PATIENCE: Final = timedelta(hours=6)  # between two because of drift, or after one that failed
MORE: Final = 0.25  # so many more outcomes than were learned from are worth a training
SOME: Final = 0.05  # drift alone asks for so many more: the same data would teach the same


@dataclass(frozen=True, slots=True)
class Known:
    """`since_tried` the last training began (None: never); `learned` outcomes it had, `fresh` are new since.

    `failed` says whether it ended with an error; `drifted` in which words the active scorer has moved, if it has.
    """

    since_tried: timedelta | None
    learned: int
    fresh: int
    failed: bool = False
    drifted: str = ""


def due(known: Known, every: timedelta) -> str | None:
    """Why a scorer should be trained now, for people; None while there is no reason."""
    tried = known.since_tried
    if tried is None:
        return f"{known.fresh:,} outcomes, and no scorer yet" if known.fresh >= FEWEST_CONVERSIONS else None
    if tried < (PATIENCE if known.failed else PAUSE):
        return None
    if known.fresh >= max(FEWEST_CONVERSIONS, MORE * known.learned):
        return f"{known.fresh:,} new outcomes since the last training, which had {known.learned:,}"
    if known.drifted and tried >= PATIENCE and known.fresh >= SOME * known.learned:
        return f"drift: {known.drifted}"
    if tried >= every:
        return f"{_hours(every)} have passed"
    return None


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:g} hours"
