"""What the demo shop sells, made from sixty households' baskets, and that it is there only where it is wanted."""

import subprocess
import sys

import msgspec
import pytest
from django.urls import Resolver404, resolve

from decisioning.shop.goods import Goods
from tools.demo.journey_tables import Tables, package_folder
from tools.demo.shop_goods import A_DEPARTMENT, CHEAPEST, SMALLEST, departments, readable, slug

HOUSEHOLDS = range(1, 61)


def test_departments_hold_what_is_bought_most_at_the_price_that_was_paid() -> None:
    found = departments(Tables(package_folder(), HOUSEHOLDS))
    goods = msgspec.convert({"key": "k", "departments": found}, Goods)
    assert len(goods.products) == sum(len(one["products"]) for one in found)
    assert [one.slug for one in goods.named(["Meat", "Nothing", "Produce"])] == ["meat", "produce"]
    names = [one["name"] for one in found]
    assert {"Grocery", "Produce", "Meat"} <= set(names)
    assert "Fuel" not in names
    for one in found:
        assert SMALLEST <= len(one["products"]) <= A_DEPARTMENT
        assert all(product["price"] >= CHEAPEST and product["name"] for product in one["products"])
        assert len({product["id"] for product in one["products"]}) == len(one["products"])
    produce = next(one for one in found if one["slug"] == "produce")
    assert produce["products"][0]["name"] == "Bananas"
    assert found == departments(Tables(package_folder(), HOUSEHOLDS))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("SW GDS:DONUTS", "Donuts"),
        ("CARROTS MINI PEELED", "Carrots mini peeled"),
        ("EGGS - X-LARGE", "Eggs x large"),
        ("CANDY BARS (SINGLES)(INCLUDING", "Candy bars"),
        ("SEAFOOD-FRE-SALMON", "Fresh salmon"),
        ("CHIX: ROTISSERIE", "Chicken, rotisserie"),
        ("SPRING WATER", "Spring water"),
        ("(", "("),
    ],
)
def test_a_tills_words_become_readable(kind: str, name: str) -> None:
    assert readable(kind) == name


def test_a_name_becomes_part_of_an_address() -> None:
    assert slug("Drug and General Merchandise") == "drug-and-general-merchandise"


def test_the_shop_is_not_there_unless_asked_for() -> None:
    for path in ("/demo/", "/demo/become/", "/coupons/coupon-1"):
        with pytest.raises(Resolver404):
            resolve(path)


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["none", "%00", "a%00b"])
def test_a_coupon_that_cannot_be_is_not_found(client, settings, monkeypatch, key: str) -> None:
    settings.ROOT_URLCONF = "tests.e2e.shop_urls"
    monkeypatch.setattr("decisioning.shop.views.goods.current", lambda: Goods("k", []))
    assert client.get(f"/coupons/{key}").status_code == 404


def test_production_never_has_it() -> None:
    program = "import decisioning.config.settings as s; print(s.STRICT, s.DEMO_SHOP)"
    variables = {
        "DEMO_SHOP": "1",
        "DECISIONING_ENV": "production",
        "SECRET_KEY": "x" * 50,
        "DATABASE_URL": "dbname=none",
        "REDIS_URL": "redis://localhost/0",
    }
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("True False", "")
