"""The installed data package comes in; customers, events, contents and impressions come out as frames.

The data is 84.51°'s *Complete Journey 2.0*: 2,469 households of one grocery chain through 2017, 155,848
baskets, 27 coupon campaigns. `journey_tables` says what its clocks mean.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from tools.demo.journey_contents import contents
from tools.demo.journey_tables import Tables, content_key, customer_key, package_folder

NOW: Final = datetime(2018, 1, 1, 5, tzinfo=UTC)
"""The end of 2017 at the stores: the moment just after the last basket."""

TRAITS: Final = (
    "age",
    "income",
    "home_ownership",
    "marital_status",
    "household_size",
    "household_comp",
    "kids_count",
)


@dataclass(frozen=True, slots=True)
class Journey:
    """Four frames in the product's words; every timestamp is UTC with microseconds.

    `customers`: key, traits (JSON text).
    `events`: customer_key, message_id, type, name, timestamp, properties (JSON text); sorted by timestamp.
    `contents`: key, name, attributes (JSON text), tags (list of text), starts, ends.
    `impressions`: customer_key, content_key, shown_at, closes_at (the end of the campaign or of the data),
    converted_at (null without a redemption), redemptions (count).
    """

    customers: pl.DataFrame
    events: pl.DataFrame
    contents: pl.DataFrame
    impressions: pl.DataFrame


def load(households: Collection[int] | None = None, folder: Path | None = None) -> Journey:
    """Read everything, or only some `households` (ids 1 to 2500) for a quick look.

    Raises `FileNotFoundError` when the data package is not installed.
    """
    tables = Tables(folder or package_folder(), households)
    return Journey(customers(tables), events(tables), contents(tables), impressions(tables))


def customers(tables: Tables) -> pl.DataFrame:
    """Every household that bought, was targeted or gave its demographics; unknown traits are left out."""
    seen = [tables.raw(name).select("household_id") for name in ("transactions", "campaigns", "demographics")]
    rows = (
        pl.concat(seen)
        .unique()
        .join(tables.raw("demographics"), on="household_id", how="left")
        .sort("household_id")
        .collect()
    )
    known = [{name: row[name] for name in TRAITS if row[name]} for row in rows.iter_rows(named=True)]
    return rows.select(customer_key().alias("key"), traits=pl.Series(map(json.dumps, known), dtype=pl.String))


def events(tables: Tables) -> pl.DataFrame:
    """Baskets, targeted campaigns and redemptions as `track` events; the same input, the same message ids."""
    parts = [order_events(tables), received_events(tables), redeemed_events(tables)]
    columns = ("customer_key", "message_id", "type", "name", "timestamp", "properties")
    rows = pl.concat([part.with_columns(type=pl.lit("track")).select(columns) for part in parts])
    return rows.sort("timestamp", "message_id").collect()


def order_events(tables: Tables) -> pl.LazyFrame:
    """One `Order Completed` a basket. `price` is for one unit, so that price × quantity is what was paid."""
    line = pl.struct(
        pl.col("product_id").cast(pl.String),
        pl.col("category", "department", "brand"),
        pl.max_horizontal("quantity", 1).alias("quantity"),
        (pl.col("sales_value") / pl.max_horizontal("quantity", 1)).round_sig_figs(6).alias("price"),
    )
    properties = pl.struct(
        pl.col("basket_id").cast(pl.String).alias("order_id"),
        pl.col("store_id").cast(pl.String),
        pl.lit("USD").alias("currency"),
        "total",
        "discount",
        "coupon_discount",
        "products",
    )
    return (
        tables.raw("transactions")
        .join(tables.products(), on="product_id", how="left", maintain_order="left")
        .group_by("basket_id", maintain_order=True)
        .agg(
            pl.col("household_id", "store_id", "transaction_timestamp").first(),
            pl.col("sales_value").sum().round(2).alias("total"),
            pl.col("retail_disc").sum().round(2).alias("discount"),
            (pl.col("coupon_disc") + pl.col("coupon_match_disc")).sum().round(2).alias("coupon_discount"),
            products=line,
        )
        .select(
            customer_key(),
            message_id=pl.format("cj-order-{}", "basket_id"),
            name=pl.lit("Order Completed"),
            timestamp=pl.col("transaction_timestamp").dt.cast_time_unit("us").dt.replace_time_zone("UTC"),
            properties=properties.struct.json_encode(),
        )
    )


def received_events(tables: Tables) -> pl.LazyFrame:
    """One `Campaign Received` for each targeted household, at the start of the campaign."""
    return (
        tables.raw("campaigns")
        .join(tables.campaigns(), on="campaign_id")
        .select(
            customer_key(),
            message_id=pl.format("cj-received-{}-{}", "campaign_id", "household_id"),
            name=pl.lit("Campaign Received"),
            timestamp=pl.col("starts"),
            properties=pl.struct(content_key(), "campaign_type").struct.json_encode(),
        )
    )


def redeemed_events(tables: Tables) -> pl.LazyFrame:
    """One `Coupon Redeemed` for each household, campaign and day; `coupons` counts the coupons used."""
    return tables.redemptions().select(
        customer_key(),
        message_id=pl.format("cj-redeemed-{}-{}-{}", "campaign_id", "household_id", "day"),
        name=pl.lit("Coupon Redeemed"),
        timestamp=pl.col("timestamp"),
        properties=pl.struct(content_key(), "coupons").struct.json_encode(),
    )


def impressions(tables: Tables) -> pl.DataFrame:
    """Every targeted household of every campaign, with the first redemption if there was one."""
    converted = (
        tables.redemptions()
        .group_by("household_id", "campaign_id")
        .agg(pl.col("timestamp").min().alias("converted_at"), pl.col("coupons").sum().alias("redemptions"))
    )
    return (
        tables.raw("campaigns")
        .join(tables.campaigns(), on="campaign_id")
        .join(converted, on=["household_id", "campaign_id"], how="left")
        .sort("starts", "campaign_id", "household_id")
        .select(
            customer_key(),
            content_key(),
            pl.col("starts").alias("shown_at"),
            pl.min_horizontal("ends", pl.lit(NOW, pl.Datetime("us", "UTC"))).alias("closes_at"),
            "converted_at",
            pl.col("redemptions").fill_null(0),
        )
        .collect()
    )
