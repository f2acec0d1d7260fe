"""The product and transaction tables come in; the departments and products a small shop can show come out.

Names, prices and departments are those of the data: a product's price is what a unit of it was sold for in 2017, and
the products of a department are those that were in most baskets.
"""

import re
from typing import Any, Final

import polars as pl

from tools.demo.journey_tables import Tables

LEFT_OUT: Final = ("Fuel", "Coupon", "Miscellaneous", "Travel & Leisure", "Restaurant", "Spirits")
NOT_SHOWN: Final = ("Cigarettes", "Tickets", "Newspaper", "Prepaid Wireless&Accessories", "Coupon/Misc Items")
A_DEPARTMENT: Final = 24
SMALLEST: Final = 8
CHEAPEST: Final = 0.2
PREFIX: Final = re.compile(r"^(prep fd|sw gds|sft drnk|seafood|phap)\b[\s:\-]*", re.I)
ASIDE: Final = re.compile(r"\(.*")
# What tills write shorter than people say it.
SPELLED: Final = {
    "brd": "breaded", "btl": "bottle", "btr": "batter", "can car": "cans", "carb": "carbonated", "chix": "chicken",
    "drnk": "drink", "flvr": "flavoured", "frd": "fried", "fre": "fresh", "frz": "frozen", "frzn": "frozen",
    "grnd": "ground", "iqf": "quick-frozen", "iws": "single-wrapped", "misc": "various", "mnr": "mineral",
    "pk": "pack", "rw": "raw", "saus": "sausage", "shlfsh": "shellfish", "sw": "sweet", "gds": "goods", "cke": "cake",
}  # fmt: skip
SIZE: Final = re.compile(r"^\d+(\.\d+)? (OZ|LB|CT|GA|LT|L|ML|PK|DZ|QT|PT|GAL|SQ FT)$")


def departments(tables: Tables) -> list[dict[str, Any]]:
    """Departments with most baskets first: slug, name, and up to 24 products (id, name, category, size, own, price)."""
    sold = _sold(tables).filter(
        ~pl.col("department").is_in(LEFT_OUT),
        ~pl.col("category").is_in(NOT_SHOWN),
        pl.col("price") >= CHEAPEST,
    )
    # One of a kind: twenty sorts of white milk would fill a page.
    kinds = sold.unique(["department", "product_type"], keep="first", maintain_order=True)
    weights = sold.group_by("department").agg(pl.col("baskets").sum())
    weights = weights.sort("baskets", "department", descending=[True, False])
    found = []
    for name in weights["department"]:
        rows = kinds.filter(pl.col("department") == name).head(A_DEPARTMENT).to_dicts()
        if len(rows) >= SMALLEST:
            found.append({"slug": slug(name), "name": name, "products": [_product(row) for row in rows]})
    return found


def _sold(tables: Tables) -> pl.DataFrame:
    """Every product with its price, in the order of how many baskets held it."""
    raw = tables.raw("products").select("product_id", "product_type", "package_size")
    return (
        tables.raw("transactions")
        .group_by("product_id")
        .agg(
            baskets=pl.col("basket_id").n_unique(),
            # Cents: a sum of floats depends on its order, which threads shuffle.
            cents=(pl.col("sales_value") * 100).round().cast(pl.Int64).sum(),
            pieces=pl.max_horizontal(pl.col("quantity").sum(), 1),
        )
        .with_columns(price=(pl.col("cents") / pl.col("pieces")).round() / 100)
        .join(tables.products(), on="product_id")
        .join(raw, on="product_id")
        .filter(pl.col("department").is_not_null(), pl.col("product_type").is_not_null())
        .sort("baskets", "product_id", descending=[True, False])
        .collect()
    )


def _product(row: dict[str, Any]) -> dict[str, Any]:
    size = row["package_size"] or ""
    return {
        "id": str(row["product_id"]),
        "name": readable(row["product_type"]),
        "category": row["category"] or "",
        # Fruit comes in crates whose weight says nothing about one.
        "size": size.lower() if SIZE.match(size) and row["department"] != "Produce" else "",
        "brand": row["brand"] or "",
        "price": row["price"],
    }


def readable(kind: str) -> str:
    """A kind of product as the data has it, in sentence case and without the till's abbreviations around it."""
    text = ASIDE.sub("", PREFIX.sub("", kind.strip())).strip(" -:/&").lower() or kind.lower()
    text = re.sub(r"\s*[:/]\s*", ", ", re.sub(r"(?<=[a-z])-(?=[a-z])| - ", " ", text))
    text = re.sub(r"can car|[a-z]+", lambda word: SPELLED.get(word[0], word[0]), text)
    return text[:1].upper() + text[1:]


def slug(name: str) -> str:
    """A name as a part of an address."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
