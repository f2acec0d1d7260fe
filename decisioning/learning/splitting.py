"""Showings come in; the moment that parts those that teach from those that judge, where nobody names one, comes out."""

from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from decisioning.learning.dataset import checked, closed

SPLIT_AT: Final = 0.8
ENOUGH: Final = 0.1  # of all must have closed by then
TRIED: Final = 51  # moments, where it had not


def split_of(judged: pl.DataFrame, now: datetime, since: datetime | None, objective: str) -> datetime:
    """The moment before which four fifths of what has closed was shown.

    In a log hardly longer than its windows little or nothing would have closed by then: there it is the moment that
    leaves the smaller side the most. Raises `ValueError` where nothing has closed.
    """
    known = closed(judged, now, since, objective)
    if known.is_empty():
        raise ValueError(_nothing(checked(judged, objective), since))
    shown, settled, last = known["shown_at"].sort(), known["settled_at"].sort(), known.height - 1
    moment = shown[int(SPLIT_AT * last)]
    at_once = shown[0] == shown[last]
    if not at_once and (settled <= moment).sum() < ENOUGH * known.height:
        every = [settled[int(share * last)] for share in np.linspace(0, 1, TRIED)]
        moment = max(every, key=lambda one: min((settled <= one).sum(), (shown >= one).sum()))
    assert isinstance(moment, datetime)
    return moment


def _nothing(every: pl.DataFrame, since: datetime | None) -> str:
    newest, first = every["shown_at"].max(), every["settled_at"].min()
    assert isinstance(newest, datetime) and isinstance(first, datetime)
    if since is not None and every.filter(pl.col("shown_at") >= since).is_empty():
        return f"Nothing was shown from {since:%Y-%m-%d %H:%M} on; the newest is of {newest:%Y-%m-%d %H:%M}."
    return f"Nothing that was shown has closed yet: first outcomes are known on {first:%Y-%m-%d %H:%M}. Train then."
