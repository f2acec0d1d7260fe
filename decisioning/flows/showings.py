"""The ledger in; what was shown with what came of it, and what a scorer for it is made from, out."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import polars as pl
from django.db import connection

from campaigns.models import Content, Placement
from campaigns.models.windows import usual, windows_of

from ..customers import profile
from ..customers.facts.catalogue import built_in_facts, learnt_crosses, learnt_facts
from ..customers.facts.custom import learnt
from ..customers.facts.histories import customs
from ..customers.quality.asked import policies
from ..engine.context import TELLING, context_facts
from ..learning.declared import undeclared
from ..learning.history import OUTCOMES, PERIODS, Extras
from ..learning.training import Ingredients
from ..models import Decision

# What was decided for known customers by a moment.
DECISIONS: Final = """
SELECT d.id, coalesce(c.merged_into_id, d.customer_id) AS customer_id, d.placement, d.source,
       (extract(epoch FROM d.at) * 1000000)::bigint AS shown_at, d.windows[2] AS click_hours,
       d.windows[3] AS window_hours, d.facts::text AS facts, d.context::text AS told
FROM decisioning_decision d LEFT JOIN customers_customer c ON c.id = d.customer_id
WHERE d.customer_id IS NOT NULL AND d.at <= %s {part}
"""
ITEMS: Final = """
SELECT d.id, item->>'key' AS content_key, coalesce((item->>'rank')::float8::int, place::int) AS position,
       (item->>'propensity')::float8 AS propensity,
       (extract(epoch FROM (item->>'closes_at')::timestamptz) * 1000000)::bigint AS closes_at
FROM decisioning_decision d CROSS JOIN LATERAL jsonb_array_elements(d.items) WITH ORDINALITY AS items(item, place)
WHERE d.customer_id IS NOT NULL AND d.at <= %s {part}
"""
# Facts that came with a log, of so many decisions as tell what there is.
BROUGHT: Final = (
    "SELECT facts::text FROM decisioning_decision WHERE source = 'import' ORDER BY md5(id::text) LIMIT 2000"
)
# What followed by then, each kind within its window.
FOLLOWED: Final = """
SELECT d.id, o.content AS content_key, bool_or(o.kind = 'impression')::int AS seen,
       (extract(epoch FROM min(o.at) FILTER (WHERE o.kind = 'click')) * 1000000)::bigint AS clicked_at,
       (extract(epoch FROM min(o.at) FILTER (WHERE o.kind = 'conversion')) * 1000000)::bigint AS converted_at,
       (extract(epoch FROM max(o.at)) * 1000000)::bigint AS last_at,
       coalesce(sum(o.value) FILTER (WHERE decisioning_in_time(d.windows, 'value', d.at, o.at)), 0) AS value
FROM decisioning_outcome o JOIN decisioning_decision d ON d.id = o.decision_id
WHERE d.customer_id IS NOT NULL AND d.at <= %s {part} AND o.at <= %s
AND decisioning_in_time(d.windows, o.kind, d.at, o.at)
GROUP BY 1, 2
"""
# Of a span of time, every so many'th decision (of 2^28), always the same ones.
PART: Final = "AND d.at >= %s AND ('x' || left(md5(d.id::text), 7))::bit(28)::int < %s"
HASHES: Final = 1 << 28
STAMP: Final = pl.Datetime("us", "UTC")
READ: Final[dict[str, Any]] = {
    "id": pl.String,
    "customer_id": pl.Int64,
    "placement": pl.String,
    "source": pl.String,
    "shown_at": STAMP,
    "click_hours": pl.Float64,
    "window_hours": pl.Float64,
    "facts": pl.String,
    "told": pl.String,
    "content_key": pl.String,
    "position": pl.Int64,
    "propensity": pl.Float64,
    "closes_at": STAMP,
    "seen": pl.Int8,
    "clicked_at": STAMP,
    "converted_at": STAMP,
    "last_at": STAMP,
    "value": pl.Float64,
}
SHOWING: Final = (
    *("customer_id", "content_key", "placement", "shown_at", "closes_at", "click_closes_at", "clicked_at"),
    *("converted_at", "value", "group", "position", "propensity", "facts", "context"),
)


def showings(now: datetime, since: datetime | None = None, share: float = 1.0) -> pl.DataFrame:
    """What the ledger says was shown to known customers by now, with facts and context as they were then (JSON).

    With `since`, only of decisions from that moment on, and of these a `share` from 0 to 1.

    A row is one content of one decision (`group`). Of placements that report impressions only what was seen, clicked
    or converted counts as shown, elsewhere all that was chosen, and all of an imported log.
    """
    part = [] if since is None else [since, round(share * HASHES)]
    decisions = _read(DECISIONS, [now], part).with_columns(pl.col("id").rank("dense").cast(pl.Int64).alias("group"))
    rows = decisions.join(_read(ITEMS, [now], part), on="id").join(
        _read(FOLLOWED, [now], part, [now]), on=["id", "content_key"], how="left"
    )
    imported = pl.col("source") == Decision.Source.IMPORT
    telling = ((pl.col("seen") == 1) & ~imported).any().over("placement")
    shown = _closing(rows.filter(imported | ~telling | pl.col("seen").is_not_null()), imported)
    moments = _moments(decisions)
    found = shown.join(moments, on="group").with_columns(pl.col("value").fill_null(0.0))
    return found.select(SHOWING).sort("shown_at", "customer_id", "group", "content_key")


def _read(statement: str, until: list[Any], part: list[Any], more: Sequence[Any] = ()) -> pl.DataFrame:
    copy = f"COPY ({statement.format(part=PART if part else '')}) TO STDOUT (FORMAT CSV, HEADER)"
    with connection.cursor() as cursor, cursor.copy(copy, [*until, *part, *more]) as stream:
        data = b"".join(bytes(part) for part in stream)
    names = data[: data.index(b"\n")].decode().split(",")
    plain = {name: pl.Int64 if READ[name] == STAMP else READ[name] for name in names}
    moments = [pl.col(name).cast(STAMP) for name in names if READ[name] == STAMP]
    return pl.read_csv(data, schema=plain).with_columns(moments)


def _closing(rows: pl.DataFrame, imported: pl.Expr) -> pl.DataFrame:
    """When the outcome of each is settled: its own moment, its windows' end, or that of its placement's windows.

    A log that came without windows is credited with all that follows; it is settled as late as anything ever followed
    in its placement, at most after the placement's window.
    """
    for_all = usual()
    theirs = {"": tuple(for_all.values())} | {row.key: windows_of(row, for_all) for row in Placement.objects.all()}
    longest = (pl.col("last_at") - pl.col("shown_at")).max().over("placement")
    closing = []
    for name, hours, number, usually in (
        ("closes_at", "window_hours", 2, for_all["conversion"]),
        ("click_closes_at", "click_hours", 1, for_all["click"]),
    ):
        of_placement = {key: windows[number] for key, windows in theirs.items()}
        usual_hours = pl.col("placement").replace_strict(of_placement, default=usually, return_dtype=pl.Float64)
        window = pl.duration(microseconds=(pl.coalesce(hours, usual_hours) * 3.6e9).cast(pl.Int64))
        unlimited = imported & pl.col(hours).is_null()
        settled = pl.when(unlimited).then(pl.min_horizontal(longest.fill_null(timedelta()), window)).otherwise(window)
        own = [pl.col("closes_at")] if name == "closes_at" else []
        closing.append(pl.coalesce(*own, pl.col("shown_at") + settled).alias(name))
    return rows.with_columns(closing)


def _moments(decisions: pl.DataFrame) -> pl.DataFrame:
    """The facts of the moment of each decision (`group`) as JSON: what its context told, its hour and weekday."""
    decoder, known = msgspec.json.Decoder(dict[str, Any]), dict[tuple[str, int, int], str]()
    texts = []
    for told, at in zip(decisions["told"].to_list(), decisions["shown_at"].to_list(), strict=True):
        place = (told, at.hour, at.isoweekday())
        if place not in known:
            known[place] = msgspec.json.encode(context_facts(decoder.decode(told), at)).decode()
        texts.append(known[place])
    return pl.DataFrame({"group": decisions["group"], "context": pl.Series(texts, dtype=pl.String)})


def ingredients(frame: pl.DataFrame) -> Ingredients:
    """The facts, crosses, contents and policies a scorer for these showings is made from.

    Facts are those of the catalogue, and what an imported log brought along that no catalogue knows.
    """
    words, own = profile.vocabulary(), customs()
    keys = frame["content_key"].unique().to_list()
    contents = list(Content.objects.filter(key__in=keys).order_by("key"))
    known = {*(fact.name for fact in built_in_facts(words)), *(fact.name for fact in own.facts)}
    with connection.cursor() as cursor:
        cursor.execute(BROUGHT)
        brought = undeclared((text for (text,) in cursor), known)
    facts = learnt_facts(words) | learnt(own) | brought
    extras = Extras((*TELLING, *PERIODS), tuple(OUTCOMES), likeness=True, associations=True, position=True)
    return Ingredients(facts, learnt_crosses(words), contents, policies(), extras)
