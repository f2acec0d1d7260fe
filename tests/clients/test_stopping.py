"""What a web server that is stopped does with the decisions it has answered and not written yet."""

import json
import re
from collections.abc import Iterator
from urllib.request import Request

import psycopg
import pytest
from django.db.models import Sum

from decisioning.models import Decision, Tally

from .ofrep import furnish
from .serving import DIRECT, Site, until

pytestmark = pytest.mark.django_db
LOST = "decisions could not be written before the stop"


@pytest.fixture(scope="module")
def furnished(site: Site, django_db_blocker) -> Site:
    """The running server with the placements of the page docs/openfeature.md."""
    with django_db_blocker.unblock():
        furnish(site)
    return site


@pytest.fixture
def shop(furnished: Site) -> Iterator[Site]:
    """Both of its processes run, and run again for the next test: one that still starts does not hear the signal."""
    until("both processes run", lambda: furnished.said("Started worker-") >= 2 * furnished.starts)
    yield furnished
    furnished.start()
    furnished.ready()


def decide(shop: Site, number: int) -> None:
    body = json.dumps({"anonymous_id": f"a-{number}", "placements": ["hero"]}).encode()
    headers = {"X-API-Key": shop.key, "Content-Type": "application/json"}
    with DIRECT.open(Request(f"{shop.url}/v1/decide", body, headers), timeout=60.0) as answer:
        assert answer.status == 200


def test_a_server_that_is_stopped_writes_every_decision_it_has_answered(shop: Site) -> None:
    before = Decision.objects.count()
    for number in range(300):
        decide(shop, number)
    shop.stop()
    assert Decision.objects.count() == before + 300
    assert shop.said(LOST) == 0


def test_what_cannot_be_written_before_the_stop_is_told_and_counted(shop: Site) -> None:
    before = Decision.objects.count()
    with psycopg.connect(shop.variables["DATABASE_URL"]) as other:
        other.execute("LOCK TABLE decisioning_decision IN EXCLUSIVE MODE")
        for number in range(20):
            decide(shop, number)
        shop.stop()
        told = sum(map(int, re.findall(f"([0-9]+) {LOST}", shop.log.read_text())))
    counted = Tally.objects.filter(what="dropped", name="stopped").aggregate(all=Sum("count"))["all"]
    assert (told, counted, Decision.objects.count()) == (20, 20, before)
