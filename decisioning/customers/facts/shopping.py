"""The properties of shopping events come in; what was done to the basket, searched for and looked at comes out.

Source of names and properties: https://segment.com/docs/connections/spec/ecommerce/v2/. A value of a wrong type is
missing, never an error.
"""

from typing import Any, Final

import msgspec

from decisioning.customers.facts import events
from decisioning.customers.facts.contexts import tidy
from decisioning.customers.facts.measures import believed, units_of
from decisioning.customers.facts.properties import UNREADABLE, as_number, as_text, read_object

TOUCHED, LISTED, ADDED, REMOVED, DROPPED, LEAVING = range(6)
"""What a row says: the basket was touched; it held just what follows at the same time; so many pieces were added or
removed; all pieces were removed; a checkout was started."""
MOST_PIECES: Final = 1_000  # of one product; more is a mistake
PIECE: Final = 100  # quantities are kept in hundredths
MOST_ITEMS: Final = 100  # of one listed basket
LARGEST_KEY: Final = 2**63
UNKNOWN: Final = -1  # the price of what came without one

Row = tuple[int, str, int, int]
"""Kind, product, quantity, price (units)."""


class Item(msgspec.Struct, gc=False):
    """One product in a basket; `product_id`, else `sku`, else `name` tells which."""

    product_id: str | int | None = None
    sku: str | int | None = None
    name: str | None = None
    quantity: float | None = None
    price: float | None = None


class Basket(Item, gc=False):
    """What is read from the properties of any basket event."""

    products: tuple[Item, ...] | None = None


class Words(msgspec.Struct, gc=False):
    """What is read of searches and looks at products."""

    query: str | None = None
    category: str | None = None


_baskets: Final = msgspec.json.Decoder(Basket)
_words: Final = msgspec.json.Decoder(Words)


def read_touches(name: str, properties: str | None) -> list[Row]:
    """What an event of a basket did, in one row or more; a basket that was listed replaces what was known before."""
    basket = _read(properties)
    if name in (events.CART, events.CHECKOUT):
        rows: list[Row] = [(LEAVING if name == events.CHECKOUT else TOUCHED, "", 0, UNKNOWN)]
        if basket.products is not None:
            rows.append((LISTED, "", 0, UNKNOWN))
            rows += [_added(item) for item in basket.products[:MOST_ITEMS] if _key(item)]
        return rows
    if not _key(basket):
        return [(TOUCHED, "", 0, UNKNOWN)]
    if name == events.ADDED:
        return [_added(basket)]
    pieces = _pieces(basket.quantity)
    return [(DROPPED if pieces is None else REMOVED, _key(basket), pieces or 0, UNKNOWN)]


def _added(item: Item) -> Row:
    pieces, price = _pieces(item.quantity), believed(item.price)
    return ADDED, _key(item), PIECE if pieces is None else pieces, _price(price)


def _price(price: float | None) -> int:
    return UNKNOWN if price is None or price < 0 else units_of(price)


def _pieces(quantity: float | None) -> int | None:
    """Hundredths of a piece, none below nothing; None when it was not told."""
    return None if quantity is None else round(min(max(quantity, 0), MOST_PIECES) * PIECE)


def _key(item: Item) -> str:
    for told in (item.product_id, item.sku, item.name):
        if told is not None and (text := tidy(_as_text(told))):
            return text
    return ""


def _as_text(told: str | int) -> str:
    """A number of more than 64 bits is no key, and may be too long to be written."""
    return told if isinstance(told, str) else str(told) if -LARGEST_KEY <= told < LARGEST_KEY else ""


def _read(text: str | None) -> Basket:
    try:
        return _baskets.decode(text or "{}")
    except UNREADABLE:
        properties = read_object(text)
    products = properties.get("products")
    items = tuple(map(_item, products)) if isinstance(products, list) else None
    return Basket(**_fields(properties), products=items)


def _item(told: object) -> Item:
    return Item(**_fields(told)) if isinstance(told, dict) else Item()


def _fields(told: dict[str, Any]) -> dict[str, Any]:
    keys = {name: _name(told.get(name)) for name in ("product_id", "sku")}
    numbers = {name: as_number(told.get(name)) for name in ("quantity", "price")}
    return {**keys, **numbers, "name": as_text(told.get("name"))}


def _name(told: object) -> str | int | None:
    return told if isinstance(told, str) or (isinstance(told, int) and not isinstance(told, bool)) else None


def read_query(properties: str | None) -> str:
    """What was searched for, in lower case on one line; "" when it was not told."""
    return tidy((_text(properties, "query") or "").lower())


def read_category(properties: str | None) -> str:
    """The category of the product that was looked at; "" when it was not told."""
    return tidy(_text(properties, "category"))


def _text(properties: str | None, name: str) -> str | None:
    try:
        found: str | None = getattr(_words.decode(properties or "{}"), name)
    except UNREADABLE:
        return as_text(read_object(properties).get(name))
    return found
