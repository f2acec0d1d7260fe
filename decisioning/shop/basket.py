"""The basket's cookie in; its lines out, and the cookie of a changed basket."""

from typing import NamedTuple

from django.http import HttpRequest, HttpResponseBase

from .goods import Department, Goods, Product

COOKIE = "shop_basket"
MOST_LINES, MOST_OF_ONE = 30, 20


class Line(NamedTuple):
    """One product in the basket."""

    product: Product
    department: Department
    quantity: int

    @property
    def total(self) -> float:
        """Dollars."""
        return round(self.product.price * self.quantity, 2)


def lines(request: HttpRequest, goods: Goods) -> list[Line]:
    """What is in the basket, in the order it was put in. What the shop does not sell is left out."""
    found: dict[str, int] = {}
    for part in request.COOKIES.get(COOKIE, "").split("."):
        product, _, number = part.partition("-")
        if product in goods.products and number.isdecimal() and 0 < int(number[:3]) <= MOST_OF_ONE:
            found[product] = int(number[:3])
    return [Line(*goods.products[product], quantity) for product, quantity in list(found.items())[:MOST_LINES]]


def changed(held: list[Line], goods: Goods, product: str, by: int) -> list[Line]:
    """The basket with so many more (or fewer) of one product."""
    counts = {line.product.id: line.quantity for line in held}
    counts[product] = min(MOST_OF_ONE, max(0, counts.get(product, 0) + by))
    return [Line(*goods.products[one], count) for one, count in list(counts.items())[:MOST_LINES] if count]


def keep(response: HttpResponseBase, held: list[Line]) -> None:
    """Set or delete the cookie; coupons are outside `/demo/`, so it is for all addresses."""
    if held:
        text = ".".join(f"{line.product.id}-{line.quantity}" for line in held)
        response.set_cookie(COOKIE, text, httponly=True, samesite="Lax")
    else:
        response.delete_cookie(COOKIE, samesite="Lax")


def total(held: list[Line]) -> float:
    """Dollars for everything."""
    return round(sum(line.total for line in held), 2)


def count(held: list[Line]) -> int:
    """How many products, those of one kind each counted."""
    return sum(line.quantity for line in held)
