"""Comes in: the log of `shop.py`. Goes out: the same fifty facts by one PostgreSQL statement over one table, timed.

The peer need not read JSON: product lines, orders and all other events stand in one table with typed columns.
"""

import time
from collections.abc import Iterable
from typing import Final

import polars as pl
import psycopg

from decisioning.customers.facts.history import Prepared
from tests.bench.happening import DEPARTMENTS, NOW, WORDS

FIFTY: Final = (
    *("visits", "visits_7d", "visits_30d", "visits_90d", "visits_365d", "tenure_days"),
    *("sessions_7d", "sessions_30d", "sessions_90d", "sessions_365d", "session_minutes", "session_events"),
    *("orders", "orders_7d", "orders_30d", "orders_90d", "orders_365d", "recency_days", "days_between_orders"),
    *("spend", "spend_7d", "spend_30d", "spend_90d", "spend_365d", "average_order_value", "average_order_lines"),
    *("spend_trend", "coupon_discount_share", "discount_share", "coupon_order_share", "weekend_order_share"),
    *("hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "favourite_department", "favourite_brand"),
    *("categories_bought", "share_department_0", "share_department_1", "share_department_2", "share_department_3"),
    *("products_viewed_7d", "products_viewed_30d", "products_viewed_90d", "searches_30d", "days_since_search"),
    *("days_since_product_viewed", "contents_viewed_30d", "messages_sent_30d"),
)
TABLE: Final = """
CREATE UNLOGGED TABLE bench_log (
    customer_id bigint, at timestamptz, name text, active boolean, total bigint, discount bigint,
    coupon_discount bigint, items bigint, department text, category text, brand text, amount bigint
)
"""
COLUMNS: Final = (
    *("customer_id", "at", "name", "active", "total", "discount", "coupon_discount", "items"),
    *("department", "category", "brand", "amount"),
)
SETTINGS: Final = (
    "SET TIME ZONE 'UTC'",
    "SET work_mem = '256MB'",
    "SET max_parallel_workers_per_gather = 2",
)
SHARES: Final = "".join(
    f", sum(cents) FILTER (WHERE department = '{name}') AS share_department_{place}"
    for place, name in enumerate(DEPARTMENTS[:4])
)


def _windows(template: str, spans: Iterable[int] = (7, 30, 90, 365)) -> str:
    return ", ".join(template.format(span=span) for span in spans)


def _since(span: int | str, column: str = "at") -> str:
    return f"{column} > (SELECT now FROM clock) - interval '24 hours' * {span}"


def _share_of(saved: str) -> str:
    cents = f"({saved}::bigint + 50) / 100"
    return f"({cents})::float8 / ({cents} + (spend_365d::bigint + 50) / 100)"


YEAR: Final = _since(365)
WALL: Final = f"at AT TIME ZONE '{WORDS.time_zone}'"
STATEMENT: Final = f"""
WITH clock AS (SELECT timestamptz '{NOW.isoformat()}' AS now),
days AS (
    SELECT customer_id, ({WALL})::date AS day, min(at) AS first, max(at) AS at
    FROM bench_log WHERE active GROUP BY 1, 2
), visits AS (
    SELECT customer_id, count(*) AS visits,
        {_windows("count(*) FILTER (WHERE " + _since("{span}") + ") AS visits_{span}d")},
        extract(epoch FROM (SELECT now FROM clock) - min(first)) / 86400 AS tenure_days
    FROM days GROUP BY 1
), steps AS (
    SELECT customer_id, at,
        (at - lag(at) OVER mine < interval '30 minutes') IS NOT TRUE AS new
    FROM bench_log WHERE active WINDOW mine AS (PARTITION BY customer_id ORDER BY at)
), numbered AS (
    SELECT customer_id, at, count(*) FILTER (WHERE new) OVER (PARTITION BY customer_id ORDER BY at) AS number FROM steps
), runs AS (
    SELECT customer_id, number, max(at) AS at, max(at) - min(at) AS length, count(*) AS events
    FROM numbered GROUP BY 1, 2
), sessions AS (
    SELECT customer_id, {_windows("count(*) FILTER (WHERE " + _since("{span}") + ") AS sessions_{span}d")},
        extract(epoch FROM avg(length) FILTER (WHERE {_since(90)})) / 60 AS session_minutes,
        avg(events) FILTER (WHERE {_since(90)}) AS session_events
    FROM runs GROUP BY 1
), orders AS (
    SELECT customer_id, count(*) AS orders,
        {_windows("count(*) FILTER (WHERE " + _since("{span}") + ") AS orders_{span}d")},
        sum(total) AS spend,
        {_windows("sum(total) FILTER (WHERE " + _since("{span}") + ") AS spend_{span}d")},
        extract(epoch FROM (SELECT now FROM clock) - max(at)) / 86400 AS recency_days,
        CASE WHEN count(*) > 1 THEN extract(epoch FROM max(at) - min(at)) / (count(*) - 1) / 86400 END
            AS days_between_orders,
        avg(items) FILTER (WHERE {YEAR}) AS average_order_lines,
        sum(discount) FILTER (WHERE {YEAR}) AS discount,
        sum(coupon_discount) FILTER (WHERE {YEAR}) AS coupon_discount,
        avg((coupon_discount > 0)::int) FILTER (WHERE {YEAR}) AS coupon_order_share,
        avg((extract(isodow FROM {WALL}) > 5)::int) FILTER (WHERE {YEAR}) AS weekend_order_share,
        avg(sin(turn)) FILTER (WHERE {YEAR}) AS hour_sin, avg(cos(turn)) FILTER (WHERE {YEAR}) AS hour_cos,
        avg(sin(week)) FILTER (WHERE {YEAR}) AS weekday_sin, avg(cos(week)) FILTER (WHERE {YEAR}) AS weekday_cos
    FROM (
        SELECT *, 2 * pi() * (extract(hour FROM {WALL}) * 60 + extract(minute FROM {WALL}))::float8 / 1440 AS turn,
            2 * pi() * (extract(isodow FROM {WALL}) - 1)::float8 / 7 AS week
        FROM bench_log WHERE name = 'Order Completed'
    ) AS bought GROUP BY 1
), departments AS (
    SELECT customer_id, department, (sum(amount)::bigint + 50) / 100 AS cents
    FROM bench_log WHERE name = 'line' AND {YEAR} GROUP BY 1, 2
), shares AS (
    SELECT customer_id, sum(cents) AS cents, (array_agg(department ORDER BY cents DESC, department))[1]
        AS favourite_department{SHARES}
    FROM departments GROUP BY 1
), brands AS (
    SELECT customer_id, (array_agg(brand ORDER BY cents DESC, brand))[1] AS favourite_brand FROM (
        SELECT customer_id, brand, (sum(amount)::bigint + 50) / 100 AS cents
        FROM bench_log WHERE name = 'line' AND {YEAR} GROUP BY 1, 2
    ) AS mine GROUP BY 1
), categories AS (
    SELECT customer_id, count(DISTINCT category) AS categories_bought
    FROM bench_log WHERE name = 'line' AND {YEAR} GROUP BY 1
), names AS (
    SELECT customer_id,
        {
    _windows(
        "count(*) FILTER (WHERE name = 'Product Viewed' AND "
        + _since("{span}", "date_trunc('hour', at)")
        + ") AS products_viewed_{span}d",
        (7, 30, 90),
    )
},
        count(*) FILTER (WHERE name = 'Products Searched' AND {_since(30, "date_trunc('hour', at)")}) AS searches_30d,
        count(*) FILTER (WHERE name = 'Content Viewed' AND {_since(30, "date_trunc('hour', at)")})
            AS contents_viewed_30d,
        count(*) FILTER (WHERE name = 'Message Sent' AND {_since(30, "date_trunc('hour', at)")}) AS messages_sent_30d,
        extract(epoch FROM (SELECT now FROM clock) - max(at) FILTER (WHERE name = 'Products Searched')) / 86400
            AS days_since_search,
        extract(epoch FROM (SELECT now FROM clock) - max(at) FILTER (WHERE name = 'Product Viewed')) / 86400
            AS days_since_product_viewed
    FROM bench_log GROUP BY 1
)
SELECT customer_id, coalesce(visits, 0) AS visits, {_windows("coalesce(visits_{span}d, 0) AS visits_{span}d")},
    tenure_days::float8, {_windows("coalesce(sessions_{span}d, 0) AS sessions_{span}d")},
    session_minutes::float8, session_events::float8, coalesce(orders, 0) AS orders,
    {_windows("coalesce(orders_{span}d, 0) AS orders_{span}d")}, recency_days::float8, days_between_orders::float8,
    round(coalesce(spend, 0)::numeric / 10000, 2)::float8 AS spend,
    {_windows("round(coalesce(spend_{span}d, 0)::numeric / 10000, 2)::float8 AS spend_{span}d")},
    round(spend_365d::numeric / 10000, 2)::float8 / nullif(orders_365d, 0) AS average_order_value,
    average_order_lines::float8,
    3 * round(coalesce(spend_30d, 0)::numeric / 10000, 2)::float8
        / nullif(round(spend_90d::numeric / 10000, 2)::float8, 0) AS spend_trend,
    {_share_of("coupon_discount")} AS coupon_discount_share, {_share_of("discount")} AS discount_share,
    coupon_order_share::float8,
    weekend_order_share::float8, hour_sin, hour_cos, weekday_sin, weekday_cos, favourite_department, favourite_brand,
    coalesce(categories_bought, 0) AS categories_bought,
    {", ".join(f"coalesce(share_department_{n}, 0)::float8 / cents AS share_department_{n}" for n in range(4))},
    products_viewed_7d, products_viewed_30d, products_viewed_90d, searches_30d, days_since_search::float8,
    days_since_product_viewed::float8, contents_viewed_30d, messages_sent_30d
FROM names
LEFT JOIN visits USING (customer_id) LEFT JOIN sessions USING (customer_id) LEFT JOIN orders USING (customer_id)
LEFT JOIN shares USING (customer_id) LEFT JOIN brands USING (customer_id) LEFT JOIN categories USING (customer_id)
"""


def rows_of(log: Prepared) -> pl.DataFrame:
    """One bucket as rows of the peer's table; an order's event is its order's row."""
    events = log.events.filter(pl.col("name") != "Order Completed")
    orders = log.orders.with_columns(name=pl.lit("Order Completed"), active=pl.lit(True))
    lines = log.lines.with_columns(name=pl.lit("line"), active=pl.lit(False))
    return pl.concat([events, orders, lines], how="diagonal").select(COLUMNS)


def asked(parts: Iterable[Prepared], address: str) -> tuple[float, pl.DataFrame]:
    """Seconds of the statement, its answers fetched, and the answers; the table is loaded before and dropped after."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS bench_log")
        connection.execute(TABLE)
        try:
            with connection.cursor().copy(f"COPY bench_log ({', '.join(COLUMNS)}) FROM STDIN (FORMAT csv)") as copy:
                for part in parts:
                    copy.write(rows_of(part).write_csv(include_header=False))
            connection.execute("ANALYZE bench_log")
            for setting in SETTINGS:
                connection.execute(setting)
            began = time.perf_counter()
            cursor = connection.execute(STATEMENT)
            rows = cursor.fetchall()
            seconds = time.perf_counter() - began
            names = [column.name for column in cursor.description or ()]
        finally:
            connection.execute("DROP TABLE bench_log")
    return seconds, pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


def differences(ours: pl.DataFrame, theirs: pl.DataFrame, tolerance: float = 2e-6) -> list[str]:
    """Facts that are not the same on both sides; numbers may differ in the last digit that is kept."""
    both = [frame.sort("customer_id").select(sorted(theirs.columns)) for frame in (ours, theirs)]
    found = []
    for name in both[0].columns:
        mine, its = both[0][name], both[1][name]
        if mine.dtype.is_numeric():
            same = ((mine.cast(pl.Float64) - its.cast(pl.Float64)).abs() <= tolerance).fill_null(False)
            same |= mine.is_null() & its.is_null()
        else:
            same = mine.eq_missing(its)
        if not same.all():
            found.append(f"{name}: {(~same).sum()}")
    return found
