"""The question of an attribution report in; what each channel is credited with under every model, as data, out."""

from datetime import datetime, timedelta
from math import inf
from time import monotonic
from typing import Any, Final

from ..learning.attribution import MODELS, Report
from ..store.attributing import Asked, attributed
from ..store.limiting import OutOfTime

LONGEST: Final = timedelta(days=400)
SECONDS: Final = 20.0  # for a report that somebody waits for
CURE: Final = "Ask for a shorter period or for one placement; manage.py attribution makes one of any size."
MOST: Final = 500
"""So many channels are listed, those seen most; the others are one row together."""
OTHERS: Final = "(others)"


class TooLong(Exception):
    """The report was given up; the text says the cure."""


def report_of(asked: Asked, seconds: float = inf) -> dict[str, Any]:
    """The report as JSON can say it.

    `channels` come in the order of the last touch's conversions; for each model `conversions` (how many, in fractions)
    and `value` (in the ledger's currency). What is unattributed had no touch whose window was open. Raises TooLong when
    it is not made within so many seconds.
    """
    try:
        report = attributed(asked, monotonic() + seconds)
    except OutOfTime:
        raise TooLong(f"The report was given up after {seconds:g} s. {CURE}") from None
    names = report.channels()
    listed, others = names[:MOST], names[MOST:]
    rows = [_row(report, name, [name]) for name in listed]
    rows += [_row(report, OTHERS, others)] if others else []
    return {
        "since": said(asked.since),
        "until": said(asked.until),
        "by": asked.by,
        "touches": asked.seen,
        "lookback_hours": asked.hours,
        "half_life_hours": asked.half_life,
        "customers": report.customers,
        "converted": report.converted,
        "attributed": {"conversions": report.attributed, "value": _money(report.attributed_value)},
        "unattributed": {"conversions": report.unattributed, "value": _money(report.unattributed_value)},
        "channels": rows,
    }


def _row(report: Report, title: str, names: list[str]) -> dict[str, Any]:
    credited = {
        model: {
            "conversions": round(sum(report.conversions[model].get(name, 0.0) for name in names), 6),
            "value": _money(sum(report.values[model].get(name, 0.0) for name in names)),
        }
        for model in MODELS
    }
    return {"channel": title, "touches": sum(report.touched[name] for name in names), "models": credited}


def _money(value: float) -> float:
    return round(value, 6)


def said(at: datetime) -> str:
    """A moment as the API writes it."""
    return at.isoformat().replace("+00:00", "Z")
