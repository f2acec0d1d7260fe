"""The ledger and the event log in; candidate lists, kept as a signed artefact and put to work, out."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
from django.db import connection
from django.db.models import Q

from campaigns.models import Content, Placement
from rules.models import Membership

from ..customers.facts import events
from ..customers.models import Customer
from ..engine.candidates import IDS, MOST_FRESH
from ..engine.context import context_facts, moments
from ..engine.types import RecallItem
from ..learning import recalling
from ..learning.touches import ADDED, BOUGHT, CLICKED, NO_BASKET, VIEWED, Touches
from ..models import Artefact
from ..store import artefacts, candidates

log = logging.getLogger(__name__)

REMEMBERED: Final = timedelta(days=365)
GROUPED: Final = timedelta(days=60)  # touches that say what is popular in a group
DAILY, HOURLY = timedelta(days=1), timedelta(hours=1)
KEPT: Final = 14  # former lists, for replays
MOST: Final = 5_000_000  # touches of either kind, the newest
ASKED: Final = 5_000  # customers, whose facts show which of them are answers
# Clicks and conversions that the ledger holds of known customers.
OUTCOMES: Final = f"""
SELECT coalesce(c.merged_into_id, d.customer_id) AS customer_id, o.content AS product,
       CASE o.kind WHEN 'click' THEN {CLICKED} ELSE {BOUGHT} END AS kind, NULL::bigint AS basket,
       (extract(epoch FROM o.at) * 1000000)::bigint AS at, d.context::text AS told
FROM decisioning_outcome o JOIN decisioning_decision d ON d.id = o.decision_id
LEFT JOIN customers_customer c ON c.id = d.customer_id
WHERE d.customer_id IS NOT NULL AND o.kind IN ('click', 'conversion') AND o.at > %s AND o.at <= %s
ORDER BY o.at DESC LIMIT {MOST}
"""  # noqa: S608
# Products that customers looked at, put into the basket or ordered; an event of one product lists itself.
EVENTS: Final = f"""
SELECT coalesce(i.home_id, i.customer_id) AS customer_id, coalesce(one->>'product_id', one->>'sku') AS product,
       CASE e.name WHEN '{events.VIEWED}' THEN {VIEWED} WHEN '{events.ADDED}' THEN {ADDED} ELSE {BOUGHT} END AS kind,
       CASE e.name WHEN '{events.ORDER}' THEN uuid_hash_extended(e.id, 0) & {2**63 - 1} END AS basket,
       (extract(epoch FROM e.timestamp) * 1000000)::bigint AS at, NULL::text AS told
FROM customers_event e JOIN customers_identity i ON i.id = e.identity_id
CROSS JOIN LATERAL json_array_elements(CASE json_typeof(e.properties->'products') WHEN 'array'
    THEN e.properties->'products' ELSE json_build_array(e.properties) END) AS one
WHERE NOT e.bot AND e.name IN ('{events.VIEWED}', '{events.ADDED}', '{events.ORDER}')
AND e.timestamp > %s AND e.timestamp <= %s
ORDER BY e.id DESC LIMIT {MOST}
"""  # noqa: S608
SCHEMA: Final[dict[str, Any]] = {
    "customer_id": pl.Int64,
    "product": pl.String,
    "kind": pl.Int64,
    "basket": pl.Int64,
    "at": pl.Int64,
    "told": pl.String,
}


def wanted() -> bool:
    """Whether any placement draws from candidate lists, and there is something to choose from."""
    return (
        Content.objects.filter(active=True).exists()
        and Placement.objects.filter(active=True).exclude(candidate_lists=[]).exists()
    )


def due(now: datetime) -> bool:
    """Whether lists are wanted, and there are none, they are a day old, or many contents came that they do not know."""
    if not wanted():
        return False
    newest = Artefact.objects.filter(kind=Artefact.Kind.RECALL).defer("data").order_by("-pk").first()
    if newest is None or now - newest.trained_at >= DAILY:
        return True
    unknown = Content.objects.filter(active=True, created_at__gt=newest.created_at).count()
    return unknown > MOST_FRESH and now - newest.trained_at >= HOURLY


def learn(now: datetime) -> Artefact:
    """Learn the lists from all that was touched by now, keep them and put them to work.

    Those that surely find less than popularity alone are kept and not used; why stands among their metrics. Raises
    ValueError when there are no contents.
    """
    contents = list(Content.objects.filter(active=True).order_by("key"))
    if not contents:
        raise ValueError("There are no active contents; add some in the admin, or by `manage.py import contents`.")
    touches = touched(contents, now)
    moment = _micros(now) + 1
    lists = recalling.learn(touches, contents, answers(), moment)
    data = lists.to_artefact()
    trial = recalling.trial(touches, contents, moment)
    metrics = _metrics(touches, contents, trial) | {"answers": list(lists.facts)}
    window = (now - REMEMBERED, now + timedelta(microseconds=1))
    kind, digest = Artefact.Kind.RECALL, candidates.digest_of(data)
    artefact = artefacts.keep(kind, data, digest, metrics, now, window=window)
    if trial.refusal:
        log.warning("%s are not used: %s", artefact, trial.refusal)
    else:
        candidates.announce(RecallItem(artefact.pk, digest))
        artefacts.activate(artefact)
    # They are large: a replay of a decision older than the kept ones chooses from all contents, and says it differs.
    former = Artefact.objects.filter(kind=kind, active=False).order_by("-pk").values_list("pk", flat=True)
    Artefact.objects.filter(pk__in=list(former[KEPT:])).delete()
    return artefact


def _metrics(touches: Touches, contents: Sequence[Content], found: recalling.Trial) -> dict[str, Any]:
    told = {"contents": len(contents), "customers": touches.people, "touches": len(touches.at)}
    of_lists = {
        name: {"covered": one.covered, "found among 20": one.among_few, "found among 500": one.among_all}
        for name, one in found.lists.items()
    }
    gains = {
        f"gain of all over popularity among {n}": str(gain) for n, gain in zip((20, 500), found.gains, strict=False)
    }
    refused = {"refused": found.refusal} if found.refusal else {}
    return {**told, "tested customers": found.customers, **gains, **refused, "lists": of_lists}


def touched(contents: Sequence[Content], now: datetime) -> Touches:
    """What customers did in the last 365 days with these contents, or with products that they stand for."""
    span = [now - REMEMBERED, now]
    rows, places = pl.concat([_read(OUTCOMES, span), _read(EVENTS, span)]), _products(contents)
    found = rows.with_columns(
        pl.col("product").replace_strict(places, default=None, return_dtype=pl.Int64).alias("content")
    ).drop_nulls("content")
    found = found.sort("at", "customer_id", "content", "kind", "basket").with_row_index("row")
    groups = pl.concat([_of_moments(found), _of_segments(found, now)])
    named = groups["name"].unique().sort().to_list()
    codes = {name: code for code, name in enumerate(named)}
    return Touches(
        len(contents),
        found["customer_id"].to_numpy(),
        found["content"].to_numpy(),
        found["kind"].to_numpy(),
        found["at"].to_numpy(),
        found["basket"].fill_null(NO_BASKET).to_numpy(),
        tuple(named),
        groups["row"].cast(pl.Int64).to_numpy(),
        np.array([codes[name] for name in groups["name"]], np.int64),
    )


def _products(contents: Iterable[Content]) -> dict[str, int]:
    """{id of a product, or key of a content: the content's position}; a content's own key counts before."""
    listed = list(enumerate(contents))
    found = {str(one.attributes[name]): place for place, one in listed for name in IDS if name in one.attributes}
    return found | {one.key: place for place, one in listed}


def _of_moments(found: pl.DataFrame) -> pl.DataFrame:
    """(row, name) of each fact of the moment of decisions: device=mobile, hours=18-23."""
    decoder = msgspec.json.Decoder(dict[str, Any])
    told = found.filter(pl.col("told").is_not_null()).select("row", "told", pl.col("at").cast(pl.Datetime("us", "UTC")))
    rows, names = [], []
    known: dict[tuple[str, int], list[str]] = {}
    for row, text, at in told.iter_rows():
        if (text, at.hour) not in known:
            known[text, at.hour] = moments(context_facts(decoder.decode(text), at))
        rows += [row] * len(known[text, at.hour])
        names += known[text, at.hour]
    return pl.DataFrame({"row": rows, "name": names}, schema={"row": pl.UInt32, "name": pl.String})


def _of_segments(found: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """(row, name) of each segment that the customer of a late touch is in."""
    stays = Membership.objects.filter(Q(left_at__isnull=True) | Q(left_at__gt=now), entered_at__lte=now)
    pairs = list(stays.filter(segment__active=True).values_list("customer_id", "segment__key"))
    members = pl.DataFrame(pairs, schema={"customer_id": pl.Int64, "name": pl.String}, orient="row").unique()
    late = found.filter(pl.col("at") > _micros(now - GROUPED)).select("row", "customer_id")
    return late.join(members, on="customer_id").sort("row", "name").select("row", "name")


def answers() -> Mapping[str, set[str]]:
    """Different values of facts that are text or lists of it, of some thousands of customers."""
    found: dict[str, set[str]] = {}
    rows = Customer.objects.filter(merged_into__isnull=True, facts_at__isnull=False).order_by("-pk")
    for facts in rows.values_list("facts", flat=True)[:ASKED]:
        for name, value in facts.items():
            texts = (value,) if isinstance(value, str) else value if isinstance(value, list) else ()
            found.setdefault(name, set()).update(text for text in texts if isinstance(text, str))
    return {name: texts for name, texts in found.items() if texts}


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def _read(statement: str, values: Sequence[Any]) -> pl.DataFrame:
    with connection.cursor() as cursor, cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT CSV)", values) as stream:
        data = b"".join(bytes(part) for part in stream)
    if not data:
        return pl.DataFrame(schema=SCHEMA)
    return pl.read_csv(data, schema=SCHEMA, has_header=False)
