"""The ledger in; scorers, kept as signed artefacts, out."""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from django.conf import settings
from django.db import connection

from campaigns.models import Content

from ..customers import profile
from ..customers.facts.catalogue import learnt_crosses, learnt_facts
from ..customers.facts.custom import learnt
from ..customers.facts.histories import customs
from ..customers.quality.asked import policies
from ..learning import dataset
from ..learning.scorer import Scorer
from ..learning.training import Backtest, Ingredients, backtest, train
from ..learning.treating import facts_in
from ..models import Artefact
from ..store import artefacts

log = logging.getLogger(__name__)

# What was shown, when its window closes, and when it first converted. Shown means: seen, clicked or converted.
SHOWINGS = """
SELECT coalesce(c.merged_into_id, d.customer_id), item->>'key', d.placement, d.at, (item->>'closes_at')::timestamptz,
       coalesce(d.windows[3], p.window_hours), min(o.at) FILTER (WHERE o.kind = 'conversion'), d.facts::text
FROM decisioning_decision d
CROSS JOIN LATERAL jsonb_array_elements(d.items) AS item
JOIN decisioning_outcome o ON o.decision_id = d.id AND o.content = item->>'key' AND o.at <= %s
    AND decisioning_in_time(d.windows, o.kind, d.at, o.at)
LEFT JOIN campaigns_placement p ON p.key = d.placement
LEFT JOIN customers_customer c ON c.id = d.customer_id
WHERE d.customer_id IS NOT NULL AND d.at <= %s
GROUP BY d.id, c.merged_into_id, item, p.window_hours
"""
SHOWING_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "customer_id": pl.Int64,
    "content_key": pl.String,
    "placement": pl.String,
    "shown_at": pl.Datetime("us", "UTC"),
    "closes_at": pl.Datetime("us", "UTC"),
    "window_hours": pl.Float64,
    "converted_at": pl.Datetime("us", "UTC"),
    "facts": pl.String,
}
SPLIT_AT = 0.8
TELL_SECONDS, LAST_WORDS = 10, 1500
TRAINING_LIMIT = timedelta(minutes=30)


def showings(now: datetime) -> pl.DataFrame:
    """What the ledger says was shown to known customers by now, with facts as they were then (JSON)."""
    with connection.cursor() as cursor:
        cursor.execute(SHOWINGS, [now, now])
        frame = pl.DataFrame(cursor.fetchall(), schema=SHOWING_SCHEMA, orient="row")
    window = pl.duration(seconds=(pl.col("window_hours").fill_null(24.0) * 3600).cast(pl.Int64))
    return frame.with_columns(pl.coalesce("closes_at", pl.col("shown_at") + window)).drop("window_hours")


def ingredients(frame: pl.DataFrame) -> Ingredients:
    """The facts, crosses, contents and policies a scorer for these showings is made from."""
    words = profile.vocabulary()
    keys = frame["content_key"].unique().to_list()
    contents = list(Content.objects.filter(key__in=keys).order_by("key"))
    facts = learnt_facts(words) | learnt(customs())
    return Ingredients(facts, learnt_crosses(words), contents, policies())


@dataclass(frozen=True, slots=True)
class Terms:
    """How a scorer is judged: on showings from `split` on, of one `placement` only, against one fact (`baseline`).

    Without a split it is the moment before which four fifths were shown. `since` leaves out what was shown before the
    log began.
    """

    split: datetime | None = None
    placement: str | None = None
    baseline: str = "orders_365d"
    since: datetime | None = None


def train_scorer(now: datetime, terms: Terms) -> Artefact:
    """Train on everything known by `now`, judge it by the terms, keep it, and activate it if it may be used.

    Raises ValueError when the ledger holds nothing to learn from.
    """
    known = showings(now)
    known = known.filter(pl.col("content_key").is_in(list(Content.objects.values_list("key", flat=True))))
    if known.is_empty():
        raise ValueError("The ledger holds no outcomes yet; send impressions and conversions first.")
    parts = ingredients(known)
    judged = known.filter(pl.col("placement") == terms.placement) if terms.placement else known
    split = terms.split or _moment(judged)
    report = backtest(judged, parts, split, baseline=terms.baseline, now=now, since=terms.since)
    scorer = train(known, parts, now, since=terms.since)
    metrics = _metrics(report, known, terms, now) | _treated(scorer, dataset.closed(known, now, terms.since))
    artefact = artefacts.keep(Artefact.Kind.SCORER, scorer.to_artefact(), scorer.schema.hash, metrics, now)
    _promote(artefact, report)
    return artefact


def _moment(frame: pl.DataFrame) -> datetime:
    """The moment before which four fifths of the showings lie."""
    moment = frame["shown_at"].sort()[int(SPLIT_AT * (frame.height - 1))]
    assert isinstance(moment, datetime)
    return moment


def _metrics(report: Backtest, known: pl.DataFrame, terms: Terms, now: datetime) -> dict[str, Any]:
    closed = dataset.closed(known, now, terms.since)
    return {
        "auc": report.auc.value,
        "auc_low": report.auc.low,
        "auc_high": report.auc.high,
        "auc_baseline": report.baseline_auc.value,
        "base_rate": report.base_rate.value,
        "rows": closed.height,
        "conversions": closed["converted_at"].count(),
        "backtest": report.to_dict(),
    }


def _treated(scorer: Scorer, rows: pl.DataFrame) -> dict[str, Any]:
    """What was done to the facts of the training rows, in words; the scorer itself holds how."""
    if not scorer.treatment.policies:
        return {}
    _, effects = scorer.treatment.apply(facts_in(rows, scorer.treatment.reads))
    return {"data quality": {effect.fact: str(effect) for effect in effects}}


def _promote(artefact: Artefact, report: Backtest) -> None:
    """Put it to work if its interval excludes a coin's toss; otherwise it is kept and the reason is in its metrics."""
    if report.auc.low > 0.5:
        artefacts.activate(artefact)
        return
    artefact.metrics["refused"] = (
        f"AUC {report.auc.value:.3f} may be no better than chance (from {report.auc.low:.3f})."
    )
    artefact.save(update_fields=["metrics"])
    log.warning("scorer %s is not used: %s", artefact.pk, artefact.metrics["refused"])


def in_own_process(verb: str, words: Mapping[str, str], alive: Callable[[], None] = lambda: None) -> None:
    """Run `manage.py learn <verb>` and wait, saying every few seconds that it lives; raises with its last words."""
    options = [word for name, value in words.items() for word in (f"--{name}", value)]
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "learn", verb, *options]
    end = time.monotonic() + TRAINING_LIMIT.total_seconds()
    # Our own command; the words are ours.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:  # noqa: S603
        while True:
            try:
                told, problem = child.communicate(timeout=TELL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                alive()
            except BaseException:
                child.kill()
                raise
            if time.monotonic() > end:
                child.kill()
                raise RuntimeError(f"learn {verb} took longer than {TRAINING_LIMIT} and was ended.")
    if child.returncode != 0:
        raise RuntimeError(f"learn {verb} failed: {problem.strip()[-LAST_WORDS:]}")
    log.info("%s", told.strip())
