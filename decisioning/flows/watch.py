"""The scorer in use and the ledger in; how far the present has moved from what it learned, kept with it, out."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from campaigns.models import Content
from rules.models import SegmentSize

from ..customers import profile
from ..customers.facts.catalogue import catalogue_facts
from ..learning.dataset import CONVERSION, checked
from ..learning.drift import MOVED
from ..learning.live import as_live
from ..learning.scorer import Scorer
from ..learning.watching import Side, watched
from ..models import Artefact, Decision
from ..store import artefacts
from .alert import alert
from .showings import showings

log = logging.getLogger(__name__)

NAME: Final = "watched"
DECISIONS: Final = 5_000  # of each side; of more, an even sample
RECENT: Final = timedelta(days=30)
HISTORY: Final = 120  # earlier reports, in short


def watch(now: datetime) -> dict[str, Any] | None:
    """The report on the scorer in use, kept in its metrics; None without one, or where nothing was shown since.

    Somebody is told when it becomes "moved", or what it says stops being what comes; once, not with every look.
    """
    used = artefacts.active(Artefact.Kind.SCORER)
    if used is None or used.since is None or used.until is None:
        return None
    try:
        scorer = Scorer.from_artefact(artefacts.read(used))
    except ValueError as error:
        log.error("%s cannot be read and is not watched: %s", used, error)
        return None
    objective = used.metrics.get("objective", CONVERSION)
    then = sampled(used.since, used.until - timedelta.resolution)
    now_shown = sampled(max(used.until, now - RECENT), now)
    if then.is_empty() or now_shown.is_empty():
        return None
    sizes = _segments(used.trained_at)
    settled = (checked(now_shown, objective)["settled_at"] <= now).to_numpy()
    found = watched(
        scorer,
        _side(scorer, then, objective, {key: before for key, (before, _) in sizes.items()}),
        _side(scorer, now_shown, objective, {key: after for key, (_, after) in sizes.items()}),
        settled,
        np.random.default_rng(0),
        labels_of(scorer),
    )
    return _kept(used, found.to_dict(), now)


def sampled(since: datetime, until: datetime, most: int = DECISIONS) -> pl.DataFrame:
    """Up to about so many decisions of a span, chosen evenly by their ids, with contents that are still there."""
    number = Decision.objects.filter(customer_id__isnull=False, at__gte=since, at__lte=until).count()
    found = showings(until, since, min(1.0, most / max(number, 1)))
    return found.filter(pl.col("content_key").is_in(list(Content.objects.values_list("key", flat=True))))


def labels_of(scorer: Scorer) -> dict[str, str]:
    """What people call its features; those of facts by the fact's label."""
    facts = {name: fact.label for name, fact in catalogue_facts(profile.vocabulary()).items()}
    return {
        column.name: facts.get(column.key, column.name) if column.source == "fact" else column.name.replace("_", " ")
        for column in scorer.schema.columns
    }


def _side(scorer: Scorer, shown: pl.DataFrame, objective: str, segments: Mapping[str, int]) -> Side:
    contents = list(Content.objects.filter(key__in=shown["content_key"].unique().to_list()).order_by("key"))
    return Side(*as_live(scorer, shown, contents, objective), segments)


def _segments(at: datetime) -> dict[str, tuple[int, int]]:
    """How many were in each segment at a moment, and are now; of those that were there already."""
    newest = (
        SegmentSize.objects.filter(hour__lte=at, segment__active=True)
        .order_by("segment_id", "-hour")
        .distinct("segment")
    )
    rows = newest.values_list("segment__key", "size", "segment__size")
    return {key: (before, after) for key, before, after in rows}


def _kept(used: Artefact, report: dict[str, Any], now: datetime) -> dict[str, Any]:
    before: Mapping[str, Any] = used.metrics.get(NAME) or {}
    short = {"at": now.isoformat(), "verdict": report["verdict"], "psi": report["score"]["psi"], "off": report["off"]}
    report = {"at": now.isoformat(), **report, "history": [*before.get("history", ())[1 - HISTORY :], short]}
    artefacts.note(used, {NAME: report})
    if (report["verdict"], report["off"]) != (before.get("verdict"), before.get("off")) and _bad(report):
        subject = f"{used}: what it says is not what comes" if report["off"] else f"{used}: its customers have moved"
        alert(subject, f"{subject}: {'; '.join(report['reasons'][:5])}. It will be trained anew; the gate decides.")
    return report


def _bad(report: Mapping[str, Any]) -> bool:
    return report["off"] or report["verdict"] == MOVED
