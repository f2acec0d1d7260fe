"""The file that `make demo` writes in; departments, products and the shop's API key out."""

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from msgspec import Struct

FILE = "shop.json"


class Product(Struct, frozen=True):
    """One product; `price` is in dollars a unit."""

    id: str
    name: str
    price: float
    category: str = ""
    size: str = ""
    brand: str = ""


class Department(Struct, frozen=True):
    """A department and what is sold most in it."""

    slug: str
    name: str
    products: list[Product]


class Goods(Struct, frozen=True, dict=True):
    """Everything the shop sells, and the key with which its pages ask and tell."""

    key: str
    departments: list[Department]

    @cached_property
    def shelves(self) -> dict[str, Department]:
        """Departments by their slug."""
        return {one.slug: one for one in self.departments}

    @cached_property
    def products(self) -> dict[str, tuple[Product, Department]]:
        """Products by id, with their department."""
        return {product.id: (product, one) for one in self.departments for product in one.products}

    def named(self, names: list[str]) -> list[Department]:
        """The departments that are called so, in this order; those the shop does not have are left out."""
        known = {one.name.lower(): one for one in self.departments}
        return [known[name.lower()] for name in names if name.lower() in known]


class NotFurnished(RuntimeError):
    """The shop has nothing to sell yet; the message says what to do."""


def current() -> Goods:
    """What the file holds now. Raises NotFurnished when it is missing or cannot be read."""
    path = settings.STATE_DIR / FILE
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, msgspec.MsgspecError) as error:
        raise NotFurnished(f"The shop has no goods: {error}. `make demo` makes the file.") from None


@lru_cache(maxsize=2)
def _read(path: Path, changed: int) -> Goods:
    return msgspec.json.decode(path.read_bytes(), type=Goods)


def line(product: Product, department: Department, quantity: int = 1) -> dict[str, Any]:
    """A product as events carry it, in Segment's e-commerce names, with the department our facts count by."""
    return {
        "product_id": product.id,
        "name": product.name,
        "category": product.category,
        "department": department.name,
        "brand": product.brand,
        "price": product.price,
        "quantity": quantity,
    }
