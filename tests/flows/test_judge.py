"""Edited segments get their members anew beside running events; a run of all goes by buckets and tells how far."""

from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from campaigns.models import Campaign, Message
from decisioning.customers.intake.ingest import store
from decisioning.customers.models import Customer
from decisioning.flows import judge as judging
from decisioning.flows import refresh
from decisioning.flows.judge import judge
from decisioning.flows.react import react
from decisioning.store import connection, profiles, publishing
from rules import recomputes
from rules.models import Membership, Recompute, Segment

from .test_react import order

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
DAY = timedelta(days=1)


@pytest.fixture
def people(now: datetime) -> list[str]:
    """a has three orders, b two, c one."""
    store([order(f"m-{user}-{n}", now - n * DAY, user) for user, n in _orders()], now)
    react(now)
    return ["a", "b", "c"]


def _orders() -> list[tuple[str, int]]:
    return [(user, n) for user, times in (("a", 3), ("b", 2), ("c", 1)) for n in range(times)]


def members(segment: Segment) -> list[str]:
    stays = Membership.objects.filter(segment=segment, left_at__isnull=True)
    return sorted(stays.values_list("customer__key", flat=True))


def test_an_edit_moves_exactly_those_who_differ_and_says_so(now: datetime, people: list[str]) -> None:
    segment = Segment.objects.create(key="s", name="S", condition="orders_30d >= 2")
    judge([segment.pk], now)
    assert members(segment) == ["a", "b"]
    Segment.objects.filter(pk=segment.pk).update(condition="orders_30d <= 2")
    moved = judge([segment.pk], now + DAY)
    assert members(segment) == ["b", "c"]
    keys = dict(Customer.objects.values_list("pk", "key"))
    assert [keys[pk] for _, pk in moved.entered] == ["c"]
    assert [keys[pk] for _, pk in moved.left] == ["a"]
    left = Membership.objects.get(left_at__isnull=False)
    assert (left.left_how, left.left_at) == ("edit", now + DAY)
    found = profiles.Profiles(connection.patient())
    assert {key: found.find("user_id", key, "x").profile.segments for key in people} == {
        "a": (),
        "b": ("s",),
        "c": ("s",),
    }


def test_segments_that_name_an_edited_one_follow_in_the_same_pass(now: datetime, people: list[str]) -> None:
    # The first by id names the last.
    outer = Segment.objects.create(key="outer", name="Outer", condition='IN SEGMENT "inner" AND orders_30d < 3')
    other = Segment.objects.create(key="other", name="Other", condition='NOT customer_segment = "Outer"')
    inner = Segment.objects.create(key="inner", name="Inner", condition="orders_30d >= 2")
    judge([inner.pk], now)
    assert (members(inner), members(outer), members(other)) == (["a", "b"], ["b"], ["a", "c"])
    store([order("m-c-late", now, "c")], now)
    react(now)
    assert (members(inner), members(outer), members(other)) == (["a", "b", "c"], ["b", "c"], ["a"])


def test_segments_of_segments_of_segments_and_by_a_pattern_are_computed_in_their_order(now, people: list[str]) -> None:
    conditions = {
        "one": "orders_30d >= 2",
        "two": 'IN SEGMENT "one" AND orders_30d < 3',
        "not-one": 'NOT IN SEGMENT "one"',
        "any": "NOT segments IS EMPTY",
        "three": 'IN SEGMENT "two" OR IN SEGMENT "not-one"',
        "none": 'IN SEGMENT "any" AND NOT IN SEGMENT "three"',
    }
    made = [Segment.objects.create(key=key, name=key.title(), condition=text) for key, text in conditions.items()]
    judge([one.pk for one in made], now)
    at_once = {one.key: members(one) for one in made}
    assert at_once["two"] and at_once["not-one"] and at_once["any"] == ["a", "b", "c"]
    assert at_once["three"] == ["b", "c"] and at_once["none"] == ["a"]
    for one in made:
        judging.forget()
        judge([one.pk], now)
    assert {one.key: members(one) for one in made} == at_once


def test_not_to_be_in_a_segment_that_is_not_there_holds_for_everybody(now, people: list[str]) -> None:
    segment = Segment.objects.create(key="s", name="S", condition='segments != "nowhere"')
    judge([segment.pk], now)
    assert members(segment) == people


def test_entries_by_an_edit_trigger_once_but_not_the_first_time(now: datetime, people: list[str]) -> None:
    segment = Segment.objects.create(key="s", name="S", condition="orders_30d >= 3")
    Campaign.objects.create(key="hello", name="Hello", trigger="segment", segment=segment, subject="s", body="b")
    judge([segment.pk], now)
    assert Message.objects.count() == 0
    Segment.objects.filter(pk=segment.pk).update(condition="orders_30d >= 2")
    judge([segment.pk], now)
    assert list(Message.objects.values_list("customer__key", flat=True)) == ["b"]
    judge([segment.pk], now)
    assert Message.objects.count() == 1


def test_what_changes_while_it_looks_is_found_by_the_second_pass(
    now: datetime, people: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = Segment.objects.create(key="s", name="S", condition="orders_30d >= 2")
    judge([segment.pk], now)
    real, passes = judging.differing, []

    def differing(*given: Any) -> list[int]:
        found = real(*given)
        if not passes:
            # A consumer that still has the former condition takes an event in.
            Membership.objects.filter(segment=segment, customer__key="a").delete()
            Customer.objects.filter(key="a").update(facts_version=99)
            publishing.publish(list(Customer.objects.filter(key="a").values_list("pk", flat=True)))
        passes.append(found)
        return found

    monkeypatch.setattr(judging, "differing", differing)
    judge([segment.pk], now)
    assert members(segment) == ["a", "b"]


@pytest.mark.django_db(transaction=True)
def test_a_failed_computing_is_visible_and_the_last_good_one_stays(
    now: datetime, people: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = Segment.objects.create(key="s", name="S", condition="orders_30d >= 2")
    judge([segment.pk], now)
    Segment.objects.filter(pk=segment.pk).update(condition="orders_30d >= 1")

    def fail(*_: Any) -> None:
        raise MemoryError("no room for the frame")

    monkeypatch.setattr(judging, "differing", fail)
    with pytest.raises(MemoryError):
        judge([segment.pk], now)
    monkeypatch.undo()
    good, bad = Recompute.objects.order_by("pk")
    assert (good.state, good.entered, good.total, good.error) == ("done", 2, 3, "")
    assert (bad.state, bad.error) == ("failed", "MemoryError: no room for the frame")
    assert bad.finished_at is not None
    segment.refresh_from_db()
    assert (segment.size, segment.refreshed_at, members(segment)) == (2, now, ["a", "b"])


def test_a_run_of_all_ends_when_its_last_bucket_does_however_often_one_is_done(
    now: datetime, people: list[str]
) -> None:
    segment = Segment.objects.create(key="s", name="S", condition="orders_30d >= 2")
    run = refresh.begin(now, "test")
    for bucket in [*range(refresh.BUCKETS - 1), 0, 3]:
        refresh.refresh_bucket(run, bucket, now)
    segment.refresh_from_db()
    assert refresh.running() and segment.refreshed_at is None
    refresh.refresh_bucket(run, refresh.BUCKETS - 1, now)
    row = Recompute.objects.get()
    assert (row.state, sorted(row.parts), row.total) == ("done", list(range(refresh.BUCKETS)), 3)
    segment.refresh_from_db()
    assert (segment.refreshed_at, segment.size, refresh.running()) == (now, 2, False)


def test_a_computing_that_no_longer_tells_has_died(now: datetime) -> None:
    progress = recomputes.begin("test", 10)
    assert recomputes.bury() == 0
    Recompute.objects.filter(pk=progress.pk).update(seen_at=datetime.now(now.tzinfo) - timedelta(minutes=2))
    assert recomputes.bury() == 1
    row = Recompute.objects.get()
    assert (row.state, row.error) == ("failed", "Its process ended before it was done.")


def test_a_run_whose_parts_wait_in_a_queue_is_not_taken_for_dead_and_ends_well_if_it_was(
    now: datetime, people: list[str]
) -> None:
    run = refresh.begin(now, "test")
    Recompute.objects.update(seen_at=datetime.now(now.tzinfo) - timedelta(minutes=20))
    assert recomputes.bury() == 0
    Recompute.objects.update(seen_at=datetime.now(now.tzinfo) - timedelta(minutes=40))
    assert recomputes.bury() == 1
    for bucket in range(refresh.BUCKETS):
        refresh.refresh_bucket(run, bucket, now)
    assert Recompute.objects.get().state == "done"


@pytest.mark.django_db(transaction=True)
def test_a_part_that_fails_says_why(now: datetime, people: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run = refresh.begin(now, "test")

    def fail(*_: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(refresh, "_sweep", fail)
    with pytest.raises(MemoryError):
        refresh.refresh_bucket(run, 3, now)
    row = Recompute.objects.get()
    assert (row.state, row.error) == ("failed", "bucket 3: MemoryError: no room")


def test_the_command_refreshes_everybody(now: datetime, people: list[str]) -> None:
    Segment.objects.create(key="s", name="S", condition="orders_365d >= 1")
    told = StringIO()
    call_command("refresh", stdout=told)
    assert told.getvalue().startswith("3 customers; ")
    assert Recompute.objects.get().state == "done"
