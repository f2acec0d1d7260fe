"""Stays, sizes, overlaps and migrations are told exactly, a page at a time, and in bounded work."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from decisioning.customers.models import Customer
from rules import crossings, curves, history
from rules.models import Membership, Segment, SegmentSize

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def a_segment(key: str = "s", **changes: object) -> Segment:
    return Segment.objects.create(key=key, name=key.upper(), condition="orders_30d >= 2", **changes)


def people(number: int) -> list[Customer]:
    return Customer.objects.bulk_create(Customer(key=f"u-{n:06}") for n in range(number))


def a_stay(segment: Segment, customer: Customer, entered: datetime = NOW, left: datetime | None = None) -> Membership:
    return Membership.objects.create(segment=segment, customer=customer, entered_at=entered, left_at=left)


def crowd(number: int) -> None:
    """So many customers, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO customers_customer (key, traits, facts, facts_version, unit)"
            " SELECT 'c-' || n, '{}', '{}', 0, '' FROM generate_series(1, %s) AS n",
            [number],
        )


def many(segment: Segment, number: int, left: datetime | None = None) -> None:
    """Stays of the first customers, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO rules_membership (segment_id, customer_id, entered_at, left_at)"
            " SELECT %s, id, %s, %s FROM customers_customer ORDER BY id LIMIT %s",
            [segment.pk, NOW - DAY, left, number],
        )


# Pages of members


def test_pages_of_current_members_cover_everybody_once_and_in_order() -> None:
    segment, everybody = a_segment(), people(7)
    for customer in everybody:
        a_stay(segment, customer)
    a_stay(segment, people_more("gone"), NOW - DAY, NOW)
    seen: list[int] = []
    page = history.members(segment.pk, "", 3)
    seen += [stay.customer_id for stay in page.stays]
    while page.after:
        page = history.members(segment.pk, page.after, 3)
        seen += [stay.customer_id for stay in page.stays]
    assert seen == [customer.pk for customer in everybody]


def people_more(key: str) -> Customer:
    return Customer.objects.create(key=key)


def test_pages_of_former_members_go_on_within_one_moment() -> None:
    segment = a_segment()
    for n, customer in enumerate(people(6)):
        a_stay(segment, customer, NOW - DAY, NOW - HOUR if n < 4 else NOW.replace(microsecond=123456))
    first = history.former(segment.pk, "", 3)
    second = history.former(segment.pk, first.after, 3)
    keys = [stay.customer.key for stay in first.stays + second.stays]
    assert keys == ["u-000005", "u-000004", "u-000003", "u-000002", "u-000001", "u-000000"]
    assert second.after == ""


def test_who_was_in_it_at_a_moment_is_told_without_those_who_became_part_of_others() -> None:
    segment, (stayed, left, came, loser, edge) = a_segment(), people(5)
    a_stay(segment, stayed, NOW - 9 * DAY)
    a_stay(segment, left, NOW - 9 * DAY, NOW - 2 * DAY)
    a_stay(segment, came, NOW - DAY)
    a_stay(segment, edge, NOW - 9 * DAY, NOW - 5 * DAY)
    a_stay(segment, loser, NOW - 9 * DAY, NOW - DAY)
    Customer.objects.filter(pk=loser.pk).update(merged_into=stayed)
    then = history.members_at(segment.pk, NOW - 5 * DAY, "", 9)
    assert [stay.customer for stay in then.stays] == [stayed, left]


@pytest.mark.parametrize("mark", ["x", "1-x", "-"])
def test_a_mark_that_is_none_is_refused(mark: str) -> None:
    segment = a_segment()
    with pytest.raises(ValueError):
        history.former(segment.pk, mark, 3)
    with pytest.raises(ValueError):
        history.members_at(segment.pk, NOW, mark, 3)


def test_a_sample_is_of_current_members_and_another_seed_gives_others() -> None:
    segment, everybody = a_segment(), people(400)
    many(segment, 300)
    Membership.objects.filter(customer__in=everybody[:50]).update(left_at=NOW)
    members = {customer.pk for customer in everybody[50:300]}
    one, other = history.sample(segment.pk, 10, 1), history.sample(segment.pk, 10, 2)
    assert len(one) == len(set(one)) == len(other) == 10
    assert set(one) | set(other) <= members
    assert one != other
    assert one == history.sample(segment.pk, 10, 1)


def test_a_small_segment_is_sampled_whole_and_an_empty_one_has_no_sample() -> None:
    segment, (one, other, _) = a_segment(), people(3)
    assert history.sample(segment.pk, 10, 0) == []
    a_stay(segment, one)
    a_stay(segment, other)
    assert history.sample(segment.pk, 10, 0) == [one.pk, other.pk]


def test_pages_and_samples_of_a_hundred_thousand_members_are_read_by_the_index() -> None:
    segment = a_segment()
    crowd(100_000)
    many(segment, 100_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE rules_membership; ANALYZE customers_customer")
        middle = Customer.objects.order_by("pk")[50_000].pk
        with CaptureQueriesContext(connection) as asked:
            page = history.members(segment.pk, str(middle), 50)
            drawn = history.sample(segment.pk, 10, 3)
        assert (len(page.stays), page.stays[0].customer_id, len(drawn)) == (50, middle + 1, 10)
        assert len(asked) == 3
        for query in asked:
            cursor.execute(f"EXPLAIN {query['sql']}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Seq Scan" not in plan, plan
            assert "using one_current_stay" in plan or "using rules_membership_customer_id" in plan, plan


# Sizes


def test_a_curve_has_a_point_a_step_and_the_running_one_is_counted_now() -> None:
    segment, everybody = a_segment(size=99), people(3)
    for hours, size in ((30, 10), (3, 20), (1, 21)):
        hour = NOW.replace(minute=0) - hours * HOUR
        SegmentSize.objects.create(segment=segment, hour=hour, size=size, entered=2, left=1)
    a_stay(segment, everybody[0], NOW - timedelta(minutes=5))
    a_stay(segment, everybody[1], NOW - 3 * DAY, NOW - timedelta(minutes=1))
    a_stay(segment, everybody[2], NOW - 3 * DAY)
    hours = curves.curve(segment, curves.REACHES["hours"], NOW)
    assert len(hours) == 48
    assert hours[-1] == (datetime(2026, 3, 1, 12, tzinfo=UTC), 2, 1, 1)
    assert [(point.size, point.entered, point.left) for point in hours[-4:-1]] == [(20, 2, 1), (None, 0, 0), (21, 2, 1)]
    days = curves.curve(segment, curves.REACHES["days"], NOW)
    assert days[-1] == (datetime(2026, 3, 1, tzinfo=UTC), 2, 5, 3)
    assert days[-2] == (datetime(2026, 2, 28, tzinfo=UTC), 10, 2, 1)
    months = curves.curve(segment, curves.REACHES["months"], NOW)
    assert [point.at.month for point in months] == [4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2, 3]
    assert (months[-1].size, months[-2].size) == (2, 10)


def test_the_size_of_a_large_segment_is_the_one_counted_last(monkeypatch: pytest.MonkeyPatch) -> None:
    segment = a_segment(size=1_000_000)
    people(5)
    many(segment, 5)
    assert curves.size_of(segment) == 5
    monkeypatch.setattr(curves, "COUNTED", 4)
    assert curves.size_of(segment) == 1_000_000


def test_former_sizes_are_those_of_hours_that_were_over() -> None:
    one, other = a_segment("one"), a_segment("other")
    for hours, size in ((26, 5), (25, 6), (24, 7)):
        SegmentSize.objects.create(segment=one, hour=NOW.replace(minute=0) - hours * HOUR, size=size)
    assert curves.sizes_before([one.pk, other.pk], NOW - DAY) == {one.pk: 6}
    assert (curves.change(9, 6), curves.change(9, None)) == (3, None)


def test_lines_hold_the_last_size_of_each_part_of_the_span() -> None:
    segment = a_segment()
    for hours in range(1, 49):
        SegmentSize.objects.create(segment=segment, hour=NOW.replace(minute=0) - hours * HOUR, size=hours)
    (line,) = curves.lines([segment.pk], NOW, 2 * DAY, 4).values()
    assert line == [36, 24, 12, 1]


def test_minutes_tell_who_moved_in_the_last_hour_and_nobody_else() -> None:
    segment, quiet, everybody = a_segment(), a_segment("quiet"), people(4)
    a_stay(segment, everybody[0], NOW - timedelta(seconds=10))
    a_stay(segment, everybody[1], NOW - timedelta(minutes=59, seconds=30))
    a_stay(segment, everybody[2], NOW - DAY, NOW - timedelta(minutes=2, seconds=1))
    a_stay(quiet, everybody[3], NOW - HOUR - timedelta(seconds=1))
    found = curves.minutes(NOW)
    assert list(found) == [segment.pk]
    assert found[segment.pk].entered == [1, *[0] * 58, 1]
    assert found[segment.pk].left == [*[0] * 57, 1, 0, 0]


# Overlap and migration


def test_an_overlap_counts_who_is_in_both() -> None:
    one, other, none = a_segment("one"), a_segment("other"), a_segment("none")
    everybody = people(10)
    for customer in everybody[:6]:
        a_stay(one, customer)
    for customer in everybody[4:8]:
        a_stay(other, customer)
    a_stay(other, everybody[0], NOW - DAY, NOW)
    found = crossings.overlap([one.pk, other.pk, none.pk], crossings.sample_of(1000))
    assert found.counts.tolist() == [[6, 2, 0], [2, 4, 0], [0, 0, 0]]
    assert found.jaccard(0, 1) == pytest.approx(2 / 8)
    assert found.lift(0, 1) == pytest.approx((2 / 10) / (6 / 10 * 4 / 10))
    assert (found.jaccard(2, 2), found.lift(0, 2)) == (None, None)
    assert (found.sample.whole, found.sample.customers) == (True, 10)


def test_a_sample_of_many_customers_is_spread_over_all_of_them() -> None:
    everybody = people(1000)
    Customer.objects.filter(pk=everybody[7].pk).update(merged_into=everybody[0])
    sample = crossings.sample_of(100)
    assert (sample.step, sample.whole) == (10, False)
    assert list(sample.ids) == [customer.pk for customer in everybody[::10]]
    assert everybody[7].pk not in crossings.sample_of(1000).ids
    assert crossings.sample_of(1000).customers == 999


def test_of_nobody_there_is_an_empty_overlap() -> None:
    segment = a_segment()
    sample = crossings.sample_of(10)
    assert crossings.overlap([segment.pk], sample).counts.tolist() == [[0]]
    assert crossings.migration([segment.pk], NOW - DAY, NOW, sample).moves == {}


def test_fewer_customers_are_looked_at_the_more_segments_each_is_in() -> None:
    assert crossings.affordable([10], 1000) == crossings.OVERLAP_CUSTOMERS
    assert crossings.affordable([1_000_000] * 50, 1_000_000) == crossings.STAYS / 50
    assert crossings.affordable([1_000_000] * 10_000, 1_000_000) == crossings.FEWEST


def test_a_migration_tells_from_where_to_where() -> None:
    one, other = a_segment("one"), a_segment("other")
    stayed, moved, came, went, twice, former = people(6)
    then = NOW - 30 * DAY
    a_stay(one, stayed, then - DAY)
    a_stay(one, moved, then - DAY, NOW - DAY)
    a_stay(other, moved, NOW - DAY)
    a_stay(other, came, NOW - DAY)
    a_stay(one, went, then - DAY, NOW - DAY)
    a_stay(one, twice, then)
    a_stay(other, twice, then + DAY)
    a_stay(one, former, then - DAY, then)
    group, sample = [one.pk, other.pk], crossings.sample_of(1000)
    assert crossings.migration(group, then, NOW, sample).moves == {
        (one.pk, one.pk): 2,
        (one.pk, other.pk): 2,
        (None, other.pk): 1,
        (one.pk, None): 1,
    }
    assert crossings.movers(group, (one.pk, other.pk), then, NOW, sample, 9) == [moved.pk, twice.pk]
    assert crossings.movers(group, (one.pk, None), then, NOW, sample, 9) == [went.pk]
    assert crossings.movers(group, (one.pk, one.pk), then, NOW, sample, 1) == [stayed.pk]


def test_overlap_and_migration_of_a_hundred_thousand_stays_take_a_fixed_number_of_queries() -> None:
    segments = [a_segment(f"s-{n}") for n in range(5)]
    crowd(25_000)
    for n, segment in enumerate(segments):
        many(segment, 25_000 - n * 1000, NOW if n == 4 else None)
    ids = [segment.pk for segment in segments]
    with CaptureQueriesContext(connection) as asked:
        sample = crossings.sample_of(crossings.OVERLAP_CUSTOMERS)
        found = crossings.overlap(ids, sample)
        moves = crossings.migration(ids, NOW - 2 * HOUR, NOW, sample).moves
    assert len(asked) == 4
    assert (sample.step, sample.customers) == (2, 12_500)
    assert found.counts.diagonal().tolist() == [12_500, 12_000, 11_500, 11_000, 0]
    assert moves[ids[4], ids[0]] == 10_500
