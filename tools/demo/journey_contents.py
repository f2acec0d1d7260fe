"""The coupon tables come in; one content a campaign comes out, described by what its coupons are for."""

import json
from typing import Any, Final

import polars as pl

from tools.demo.journey_tables import Tables

UTC_STAMP: Final = pl.Datetime("us", "UTC")
TOP_CATEGORIES: Final = 20
UNIT: Final = 2**40  # of a share, while shares are added
TAG_FLOOR: Final = 0.1  # a department names a content when at least a tenth of its coupons are for it


def contents(tables: Tables) -> pl.DataFrame:
    """One content a campaign; starts and ends are its first and the end of its last day."""
    counted = (
        tables.raw("coupons")
        .group_by("campaign_id")
        .agg(
            pl.col("coupon_upc").n_unique().alias("coupon_count"),
            pl.col("product_id").n_unique().alias("product_count"),
        )
    )
    campaigns = tables.campaigns().join(counted, on="campaign_id", how="left").sort("starts", "campaign_id")
    departments, categories = shares(tables, "department"), shares(tables, "category")
    rows = [
        content_row(row, departments[row["campaign_id"]], categories[row["campaign_id"]])
        for row in campaigns.collect().iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema_overrides={"starts": UTC_STAMP, "ends": UTC_STAMP})


def shares(tables: Tables, column: str) -> dict[int, dict[str, float]]:
    """{campaign id: {department or category: share}}, largest first.

    It is the mean over the campaign's coupons of the share of each coupon's products, so that one coupon
    for ten thousand products weighs no more than another.
    """
    coupon = ["campaign_id", "coupon_upc"]
    counts = (
        tables.raw("coupons")
        .join(tables.products(), on="product_id")
        .filter(pl.col(column).is_not_null())
        .group_by(*coupon, column)
        .len()
        # Sums of floats depend on their order, which threads shuffle; whole numbers give the same shares always.
        .with_columns(share=(pl.col("len") / pl.col("len").sum().over(coupon) * UNIT).round().cast(pl.Int64))
    )
    means = (
        counts.group_by("campaign_id", column)
        .agg(pl.col("share").sum())
        .with_columns((pl.col("share") / pl.col("share").sum().over("campaign_id")).round(4))
        .sort("campaign_id", "share", column, descending=[False, True, False])
        .collect()
    )
    found: dict[int, dict[str, float]] = {}
    for campaign, name, share in means.iter_rows():
        found.setdefault(campaign, {})[name] = share
    return found


def content_row(row: dict[str, Any], departments: dict[str, float], categories: dict[str, float]) -> dict[str, Any]:
    leading = [name for name, share in departments.items() if share >= TAG_FLOOR]
    attributes = {
        "campaign_type": row["campaign_type"],
        "coupon_count": row["coupon_count"],
        "product_count": row["product_count"],
        "duration_days": round((row["ends"] - row["starts"]).total_seconds() / 86_400),
        "departments": departments,
        "categories": dict(list(categories.items())[:TOP_CATEGORIES]),
    }
    return {
        "key": f"coupon-{row['campaign_id']}",
        "name": f"{' and '.join(leading[:2])} coupons, no. {row['campaign_id']}",
        "attributes": json.dumps(attributes),
        "tags": ["coupon", *(name.lower() for name in leading)],
        "starts": row["starts"],
        "ends": row["ends"],
    }
