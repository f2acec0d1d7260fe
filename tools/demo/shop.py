"""A loaded demo comes in; the demo shop's placements, segments, rules, goods and API key come out.

The shop is one more client of the API: what it needs beyond the showcase is made here, and kept in a file of the
demo's folder that only its owner may read, because the key is in it. May be repeated.
"""

import json
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from campaigns.models import Content, Placement
from decisioning.models import ApiKey
from decisioning.shop.goods import FILE
from decisioning.store import catalogue, keys
from decisioning.tasks import refresh_segments
from rules import rulebook
from rules.models import Rule, Segment
from tools.demo import showcase
from tools.demo.journey_tables import Tables, package_folder
from tools.demo.shop_goods import departments

KEY_NAME: Final = "demo shop"
SCOPES: Final = ("decide", "track", "read")

PLACEMENTS: Final[list[dict[str, Any]]] = [
    {"key": "shop-picks", "name": "Shop, picked for you", "count": 4, "policy": "epsilon", "exploration": 0.1},
    {"key": "shop-department", "name": "Shop, top of a department", "count": 2, "policy": "greedy", "exploration": 0.0},
]

SEGMENTS: Final[list[dict[str, str]]] = [
    {
        "key": "looking-around",
        "name": "Looking around",
        "condition": "products_viewed_7d >= 3",
        "description": "Looked at three products or more within a week.",
    },
    {
        "key": "filling-a-basket",
        "name": "Filling a basket",
        "condition": "basket_products >= 2",
        "description": "Has two products or more in the basket.",
    },
]

RULES: Final[list[dict[str, Any]]] = [
    {
        "key": "shop-looking-around",
        "name": "Small campaigns for those who look around",
        "priority": 30,
        "text": 'IF IN SEGMENT "looking-around" THEN BOOST WHERE campaign_type = "C" BY 2',
        "placements": ["shop-picks"],
    },
    {
        "key": "shop-filling-a-basket",
        "name": "Long lists of coupons for those who fill a basket",
        "priority": 20,
        "text": 'IF IN SEGMENT "filling-a-basket" THEN BOOST WHERE coupon_count > 100 BY 1.5',
        "placements": ["shop-picks", "home-hero"],
    },
]


def furnish() -> None:
    """Make what is missing. Needs contents and the showcase; the caller builds the snapshot afterwards."""
    goods = departments(Tables(package_folder()))
    tags = {tag for content in Content.objects.filter(active=True) for tag in content.tags}
    with transaction.atomic():
        _placements()
        new = [_segment(row) for row in SEGMENTS]
        for row in [*RULES, *(_department_rule(one) for one in goods if one["name"].lower() in tags)]:
            _rule(row)
    refresh_segments.delay([segment.pk for segment in new])
    _keep(settings.STATE_DIR / FILE, goods)


def _placements() -> None:
    default = Content.objects.filter(key=showcase.DEFAULT_CONTENT["key"]).first()
    for row in PLACEMENTS:
        placement, _ = Placement.objects.get_or_create(key=row["key"], defaults=row)
        if default is not None:
            default.default_for.add(placement)


def _segment(row: dict[str, str]) -> Segment:
    return Segment.objects.get_or_create(key=row["key"], defaults=row)[0]


def _department_rule(department: dict[str, Any]) -> dict[str, Any]:
    """Whoever stands in a department sees its coupons first."""
    name, slug = department["name"], department["slug"]
    return {
        "key": f"shop-{slug}",
        "name": f"{name} coupons first in that department",
        "priority": 10,
        "text": f'IF path CONTAINS "/departments/{slug}/" THEN BOOST TAGGED "{name.lower()}" BY 4',
        "placements": ["shop-department"],
    }


def _rule(row: dict[str, Any]) -> None:
    fields = {name: value for name, value in row.items() if name != "placements"}
    rule, created = Rule.objects.get_or_create(key=row["key"], defaults=fields)
    if created:
        rule.placements.set(Placement.objects.filter(key__in=row["placements"]))
        rulebook.publish(rule, None, catalogue.current())


def _keep(path: Path, goods: list[dict[str, Any]]) -> None:
    """Write the shop's file. A key is made once; its secret is nowhere else."""
    known = json.loads(path.read_text())["key"] if path.exists() else ""
    if not known or not ApiKey.objects.filter(name=KEY_NAME, prefix=known[: keys.PREFIX_LENGTH], active=True).exists():
        ApiKey.objects.filter(name=KEY_NAME).delete()
        known = keys.create(KEY_NAME, SCOPES)[1]
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps({"key": known, "departments": goods}))
    draft.replace(path)
