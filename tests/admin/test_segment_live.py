"""The live map tells every active segment's last hour; its pictures are exact whatever the numbers."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from decisioning.config import clock
from rules.admin.drawing import scale, signed, size_chart, spark
from rules.admin.ribbons import flows
from rules.admin.treemap import tiles
from rules.curves import REACHES, Point
from rules.models import Membership, Segment

from .crowd import a_customer

NOW = datetime(2017, 8, 1, 12, 30, 30, tzinfo=UTC)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    return NOW


@pytest.mark.django_db
def test_the_map_tells_sizes_and_the_moves_of_the_last_hour(browser: Client, now: datetime) -> None:
    large = Segment.objects.create(key="large", name="Large", size=90)
    small = Segment.objects.create(key="small", name="Small", size=10)
    Segment.objects.create(key="off", name="Off", size=50, active=False)
    one, other = a_customer("u-1"), a_customer("u-2")
    Membership.objects.create(segment=small, customer=one, entered_at=now - timedelta(minutes=1))
    Membership.objects.create(segment=small, customer=other, entered_at=now - timedelta(days=1), left_at=now)
    Membership.objects.create(segment=large, customer=one, entered_at=now - timedelta(hours=2))
    answer = browser.get(reverse("admin:rules_segment_live_data")).json()
    assert [(row["name"], row["size"]) for row in answer["segments"]] == [("Large", 90), ("Small", 10)]
    quiet, moved = answer["segments"]
    assert quiet["minutes"] is None
    assert (moved["entered"], moved["left"], moved["net"]) == (1, 1, 0)
    assert (moved["minutes"]["entered"][-2], moved["minutes"]["left"][-1]) == (1, 1)
    assert (sum(answer["entered"]), sum(answer["left"])) == (1, 1)
    assert (answer["at"], answer["from"]) == ("1 Aug 2017, 12:30:30", "11:30")
    assert answer["next"] >= 3000
    assert quiet["tile"][2] * quiet["tile"][3] == pytest.approx(0.9, abs=0.001)


@pytest.mark.django_db
def test_the_map_of_many_segments_takes_as_many_queries_as_that_of_one(browser: Client, now: datetime) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            browser.get(reverse("admin:rules_segment_live_data"))
        return len(queries)

    Segment.objects.create(key="first", name="First")
    one = asked()
    customer = a_customer("u-1")
    for n in range(40):
        segment = Segment.objects.create(key=f"s-{n}", name=f"S {n}", size=n)
        Membership.objects.create(segment=segment, customer=customer, entered_at=now)
    assert asked() == one


@pytest.mark.django_db
def test_without_segments_the_map_says_what_to_do(browser: Client) -> None:
    page = browser.get(reverse("admin:rules_segment_live")).content.decode()
    assert "There is no active segment" in page
    assert browser.get(reverse("admin:rules_segment_live_data")).json()["segments"] == []


@pytest.mark.parametrize("sizes", [[1], [0, 0], [6, 6, 4, 3, 2, 2, 1], [10**9, *[0] * 299], list(range(200, 0, -1))])
def test_tiles_fill_the_picture_and_none_lies_on_another(sizes: list[int]) -> None:
    found = tiles(sizes, 2.2)
    assert len(found) == len(sizes)
    assert sum(tile.width * tile.height for tile in found) == pytest.approx(1)
    for tile in found:
        assert tile.width > 0 and tile.height > 0
        assert tile.x >= -1e-9 and tile.x + tile.width <= 1 + 1e-9
        assert tile.y >= -1e-9 and tile.y + tile.height <= 1 + 1e-9
    for n, one in enumerate(found):
        for other in found[:n]:
            apart = (
                one.x + one.width <= other.x + 1e-9
                or other.x + other.width <= one.x + 1e-9
                or one.y + one.height <= other.y + 1e-9
                or other.y + other.height <= one.y + 1e-9
            )
            assert apart


def test_tiles_are_as_large_as_their_sizes_say() -> None:
    areas = [tile.width * tile.height for tile in tiles([6, 6, 4, 3, 2, 2, 1], 1.5)]
    assert areas == pytest.approx([size / 24 for size in (6, 6, 4, 3, 2, 2, 1)])
    assert tiles([], 2) == []


@pytest.mark.parametrize(("low", "high"), [(0, 0), (0, 1), (5, 5), (970, 1030), (3, 1_234_567), (999_000, 1_000_000)])
def test_a_scale_is_even_and_holds_every_value(low: int, high: int) -> None:
    levels = scale(low, high)
    assert levels[0] <= low and levels[-1] >= high
    assert 2 <= len(levels) <= 8
    assert len({round(right - left, 6) for left, right in pairwise(levels)}) == 1


def test_a_chart_has_a_gap_where_a_size_was_not_noted() -> None:
    sizes = [5, None, 7, 8]
    points = [Point(NOW - timedelta(hours=4 - n), size, n, 0) for n, size in enumerate(sizes)]
    chart = size_chart(points, REACHES["hours"])
    assert (len(chart.dots), len(chart.lines), len(chart.columns)) == (1, 1, 4)
    assert "size not noted" in chart.columns[1].title
    assert [column.up for column in chart.columns] == [0, 10, 20, 30]
    nothing = size_chart([Point(NOW, None), Point(NOW, None)], REACHES["hours"])
    assert (nothing.lines, nothing.dots) == ([], [])


def test_a_line_of_sizes_stays_within_its_picture() -> None:
    assert spark([3], 96, 24) == ""
    assert spark([5, 5], 96, 24) == "0.0,12.0 96.0,12.0"
    assert spark([0, 10, 5], 96, 24) == "0.0,22.0 48.0,2.0 96.0,12.0"
    assert [signed(number) for number in (1500, 0, -2, None)] == ["+1,500", "no change", "−2", "not known"]


def test_flows_keep_every_count_and_stay_within_their_bars() -> None:
    moves = {(1, 1): 60, (1, 2): 20, (None, 2): 20, (2, None): 1}
    picture = flows(moves, {1: "One", 2: "Two", None: "none"}, [1, 2, None])
    assert [(bar.label, bar.count) for bar in picture.left] == [("One", 80), ("Two", 1), ("none", 20)]
    assert [(bar.label, bar.count) for bar in picture.right] == [("One", 60), ("Two", 40), ("none", 1)]
    assert sum(ribbon.count for ribbon in picture.ribbons) == sum(moves.values())
    assert [ribbon.stays for ribbon in picture.ribbons] == [True, False, False, False]
    for bars in (picture.left, picture.right):
        assert all(one.label_y + 16 <= other.label_y for one, other in pairwise(bars))
        assert bars[-1].y + bars[-1].height <= picture.height
