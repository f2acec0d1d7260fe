"""A visitor's request in; a page of the demo shop out, made from its goods, with slots that the widget fills."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import uuid4

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from campaigns.models import Content

from . import basket, goods, visitors
from .basket import Line
from .goods import Goods, NotFurnished

# Nothing but what this server sends: no inline script or style, no other host.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
POPULAR, OF_A_COUPON = 7, 12
View = Callable[..., HttpResponseBase]


def shop_page(view: View) -> View:
    """Give a view the goods, and its answer the shop's headers; an unfurnished shop says what to do."""

    @wraps(view)
    def served(request: HttpRequest, **named: Any) -> HttpResponseBase:
        try:
            answer = view(request, goods.current(), **named)
        except NotFurnished as error:
            answer = render(request, "shop/unfurnished.html", {"error": error}, status=503)
        answer.headers["Content-Security-Policy"] = POLICY
        answer.headers["Cache-Control"] = "private, no-store"
        return answer

    return served


def shown(request: HttpRequest, stock: Goods, template: str, **more: Any) -> HttpResponse:
    """A page with what all of them have: departments, visitor, basket and the key."""
    held = basket.lines(request, stock)
    event = more.pop("event", None)
    common = {
        "goods": stock,
        "customer": visitors.current(request),
        # Shares of a score are for those who run the shop, not for its customers.
        "staff": request.user.is_staff,
        "basket_count": basket.count(held),
        "event": json.dumps(event) if event else "",
    }
    return render(request, f"shop/{template}.html", {**common, **more})


@require_GET
@shop_page
def home(request: HttpRequest, stock: Goods) -> HttpResponse:
    """Three placements, the departments, and what is bought most."""
    popular = [(product, one) for one in stock.departments[:POPULAR] for product in one.products[:2]]
    return shown(request, stock, "home", popular=_tiles(popular))


@require_GET
@shop_page
def department(request: HttpRequest, stock: Goods, slug: str) -> HttpResponse:
    """A department's coupons and products."""
    one = stock.shelves.get(slug)
    if one is None:
        raise Http404(f"The shop has no department {slug!r}.")
    event = {"event": "Product List Viewed", "properties": {"list_id": slug, "category": one.name}}
    tiles = _tiles([(product, one) for product in one.products])
    return shown(request, stock, "department", department=one, tiles=tiles, event=event)


@require_GET
@shop_page
def product(request: HttpRequest, stock: Goods, number: str) -> HttpResponse:
    """One product; looking at it is an event."""
    if number not in stock.products:
        raise Http404(f"The shop has no product {number!r}.")
    one, place = stock.products[number]
    others = [(other, place) for other in place.products if other.category == one.category and other != one][:4]
    event = {"event": "Product Viewed", "properties": goods.line(one, place)}
    tile = _tiles([(one, place)])[0]
    return shown(request, stock, "product", tile=tile, department=place, others=_tiles(others), event=event)


@require_GET
@shop_page
def coupon(request: HttpRequest, stock: Goods, key: str) -> HttpResponse:
    """What a coupon is for; it can be clipped here and is redeemed with the next order."""
    # PostgreSQL's texts hold no NUL and refuse to look for one; an address may.
    content = None if "\0" in key else Content.objects.filter(key=key, active=True).first()
    if content is None:
        raise Http404(f"There is no coupon {key!r}.")
    shares = content.attributes.get("departments", {})
    places = stock.named(sorted(shares, key=lambda name: -shares[name]))
    part = max(1, OF_A_COUPON // max(1, len(places[:3])))
    tiles = _tiles([(one, place) for place in places[:3] for one in place.products[:part]])
    return shown(request, stock, "coupon", content=content, places=places[:3], tiles=tiles)


@shop_page
def show_basket(request: HttpRequest, stock: Goods) -> HttpResponseBase:
    """The basket; a POST puts one more of a product in it, or fewer."""
    held = basket.lines(request, stock)
    if request.method == "POST":
        return _put(request, stock, held)
    products = [goods.line(line.product, line.department, line.quantity) for line in held]
    order = {
        "order_id": f"demo-{uuid4().hex[:12]}",
        "currency": "USD",
        "total": basket.total(held),
        "products": products,
    }
    rows = [{"line": line, "properties": json.dumps(goods.line(line.product, line.department))} for line in held]
    event = {"event": "Cart Viewed", "properties": {"products": products}} if held else None
    return shown(request, stock, "basket", rows=rows, order=json.dumps(order), total=basket.total(held), event=event)


def _put(request: HttpRequest, stock: Goods, held: list[Line]) -> HttpResponseBase:
    number, by = request.POST.get("product", ""), -1 if request.POST.get("do") == "remove" else 1
    if number not in stock.products:
        raise Http404(f"The shop has no product {number!r}.")
    held = basket.changed(held, stock, number, by)
    quiet = request.headers.get("accept") == "application/json"
    answer = JsonResponse({"count": basket.count(held)}) if quiet else redirect("shop:basket")
    basket.keep(answer, held)
    return answer


@require_POST
@shop_page
def order(request: HttpRequest, stock: Goods) -> HttpResponseBase:
    """Everything in the basket is bought; the page before has told the engine."""
    answer = redirect("shop:thanks")
    basket.keep(answer, [])
    return answer


@require_GET
@shop_page
def thanks(request: HttpRequest, stock: Goods) -> HttpResponse:
    """After an order: what it changed is seen at the top, and in the next offers."""
    return shown(request, stock, "thanks")


@require_GET
@shop_page
def people(request: HttpRequest, stock: Goods) -> HttpResponse:
    """Customers to become: found by words, or a few of each segment."""
    words = request.GET.get("q", "").strip()[:100].replace("\x00", "")
    groups = [] if words else visitors.by_segment()
    return shown(request, stock, "people", words=words, found=visitors.search(words) if words else [], groups=groups)


@require_POST
@shop_page
def become(request: HttpRequest, stock: Goods) -> HttpResponseBase:
    """From now on the visitor is this customer; without one, somebody nobody knows."""
    key = request.POST.get("customer", "").replace("\x00", "")
    one = visitors.find(key) if key else None
    if key and one is None:
        raise Http404(f"There is no customer {key[:100]!r}.")
    answer = redirect("shop:home")
    visitors.keep(answer, one)
    basket.keep(answer, [])
    return answer


@require_GET
@shop_page
def visitor(request: HttpRequest, stock: Goods) -> HttpResponse:
    """Facts and segments of whoever looks at the page, as JSON: what the strip at the top asks for."""
    return JsonResponse(visitors.state(visitors.whose(request)))


def _tiles(products: list[tuple[goods.Product, goods.Department]]) -> list[dict[str, Any]]:
    """What a tile needs: the product, its department, and the event of putting it into the basket."""
    return [
        {"product": one, "department": place, "properties": json.dumps(goods.line(one, place))}
        for one, place in products
    ]
