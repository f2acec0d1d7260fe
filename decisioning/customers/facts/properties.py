"""The JSON texts of events and customers come in; typed columns come out, with null where a value is not of
its type.

Whoever sends events decides what is in them, so nothing here raises: a text is read strictly first, because
that is quick (1.5 million product lines in about a second), and value by value only when that fails.
"""

from collections.abc import Iterable, Mapping
from itertools import chain
from operator import attrgetter
from typing import Any, Final

import msgspec
import polars as pl


class Line(msgspec.Struct, gc=False):
    """One product line of an order, as in the Segment Spec; `price` is for one unit."""

    department: str | None = None
    category: str | None = None
    brand: str | None = None
    quantity: float | None = None
    price: float | None = None


class Order(msgspec.Struct, gc=False):
    """What facts read from the properties of `Order Completed`."""

    total: float | None = None
    revenue: float | None = None
    value: float | None = None
    discount: float | None = None
    coupon_discount: float | None = None
    products: tuple[Line, ...] | None = None


class Redemption(msgspec.Struct, gc=False):
    """What facts read from the properties of `Coupon Redeemed`."""

    coupons: float | None = None
    content_key: str | None = None


class Click(msgspec.Struct, gc=False):
    """What facts read from the properties of `Content Clicked`."""

    content: str | None = None


NO_LINE: Final = Line()
UNREADABLE: Final = (msgspec.DecodeError, UnicodeEncodeError)
READ_ORDER: Final = msgspec.json.Decoder(Order)
READ_REDEMPTION: Final = msgspec.json.Decoder(Redemption)
READ_CLICK: Final = msgspec.json.Decoder(Click)
LINE_TYPES: Final[dict[str, Any]] = {
    "department": pl.String,
    "category": pl.String,
    "brand": pl.String,
    "quantity": pl.Float64,
    "price": pl.Float64,
}
LONGEST_KEY: Final = 100  # of a content; a longer text is none
MOST_COUPONS: Final = 1_000  # in one redemption; more is a mistake
AMOUNTS: Final = ("total", "revenue", "value", "discount", "coupon_discount")
TRAIT_TYPES: Final[dict[str, Any]] = {
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "text": pl.String,
    "text_list": pl.List(pl.String),
}


def read_orders(texts: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Amounts and the count of lines, a row a text; and all lines, with `row` the position of their text."""
    known = texts.fill_null("{}").to_list()
    try:
        orders = list(map(READ_ORDER.decode, known))
    except UNREADABLE:
        orders = [read_order(text) for text in known]
    counts = [len(order.products or ()) for order in orders]
    amounts: dict[str, Any] = {name: [getattr(order, name) for order in orders] for name in AMOUNTS}
    frame = pl.DataFrame({**amounts, "items": counts}, schema={**dict.fromkeys(AMOUNTS, pl.Float64), "items": pl.Int64})
    rows = pl.int_range(frame.height, dtype=pl.UInt32, eager=True).alias("row")
    lines = list(chain.from_iterable(order.products or () for order in orders))
    columns = [pl.Series(name, list(map(attrgetter(name), lines)), kind) for name, kind in LINE_TYPES.items()]
    return frame, pl.DataFrame([rows.repeat_by(frame["items"]).explode(empty_as_null=False), *columns])


def read_order(text: str) -> Order:
    try:
        return READ_ORDER.decode(text)
    except UNREADABLE:
        properties = read_object(text)
    lines = properties.get("products")
    order = Order(products=tuple(read_line(line) for line in lines) if isinstance(lines, list) else None)
    for name in AMOUNTS:
        setattr(order, name, as_number(properties.get(name)))
    return order


def read_line(line: object) -> Line:
    if not isinstance(line, dict):
        return NO_LINE
    return Line(
        department=as_text(line.get("department")),
        category=as_text(line.get("category")),
        brand=as_text(line.get("brand")),
        quantity=as_number(line.get("quantity")),
        price=as_number(line.get("price")),
    )


def read_redemptions(texts: pl.Series) -> pl.DataFrame:
    """coupons (a missing count is one) and content_key, one row a text."""
    answers = [read_redemption(text) for text in texts.to_list()]
    coupons = [coupons_of(answer) for answer in answers]
    keys = [answer.content_key for answer in answers]
    return pl.DataFrame({"coupons": coupons, "content_key": keys}, {"coupons": pl.Int64, "content_key": pl.String})


def coupons_of(answer: Redemption) -> int:
    return 1 if answer.coupons is None else int(min(max(answer.coupons, 0), MOST_COUPONS))


def read_redemption(text: str | None) -> Redemption:
    try:
        return READ_REDEMPTION.decode(text or "{}")
    except UNREADABLE:
        properties = read_object(text)
        return Redemption(as_number(properties.get("coupons")), as_text(properties.get("content_key")))


def read_content(text: str | None) -> str:
    """The key of the content that was clicked; "" when it was not told."""
    try:
        told = READ_CLICK.decode(text or "{}").content
    except UNREADABLE:
        told = as_text(read_object(text).get("content"))
    return told if told and len(told) <= LONGEST_KEY else ""


def read_traits(texts: Iterable[str | None], types: Mapping[str, str]) -> pl.DataFrame:
    """One column a trait, one row a text."""
    known = [read_object(text) for text in texts]
    columns = [
        pl.Series(name, [AS_TYPE[kind](row.get(name)) for row in known], TRAIT_TYPES[kind])
        for name, kind in types.items()
    ]
    return pl.DataFrame(columns)


def read_object(text: str | None) -> dict[str, Any]:
    """The JSON object of the text, or an empty one."""
    try:
        found = msgspec.json.decode(text or "{}")
    except UNREADABLE:
        return {}
    return found if isinstance(found, dict) else {}


def as_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def as_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def as_boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def as_texts(value: object) -> list[str] | None:
    if not isinstance(value, list):
        return None
    return [item for item in value if isinstance(item, str)]


AS_TYPE: Final[dict[str, Any]] = {
    "number": as_number,
    "boolean": as_boolean,
    "text": as_text,
    "text_list": as_texts,
}
