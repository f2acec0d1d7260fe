"""The plan in the database: read now and then, learned from what is handled, problems counted by day."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, connections

from decisioning.customers.intake import letters
from decisioning.customers.intake.tracking import Bad
from decisioning.customers.models import DeadLetter, PlannedEvent, PlanProblem
from decisioning.customers.plan import observed, planning, tally
from decisioning.customers.plan.checking import Entry, plan_of
from decisioning.customers.plan.observed import Notebook

from .test_plan import AT, ORDER, event

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """No test sees what another left in this process."""
    for part in (planning.held, tally.tally, observed.notebook):
        part.forget()
    yield
    for part in (planning.held, tally.tally, observed.notebook):
        part.forget()


def test_what_is_handled_is_learned() -> None:
    planning.learn([("Order Completed", AT, ORDER), ("Order Completed", AT - timedelta(days=9), '{"total": "x"}')], AT)
    planning.learn([("Order Completed", AT + timedelta(days=1), {"total": 1})], AT)
    planning.flush(AT)
    row = PlannedEvent.objects.get()
    assert (row.seen, row.first_at, row.last_at) == (3, AT - timedelta(days=9), AT + timedelta(days=1))
    assert row.properties["total"] == {
        "type": "number",
        "required": False,
        "seen": 3,
        "types": {"number": 2, "text": 1},
    }


def test_events_are_counted_one_by_one_and_their_types_in_samples() -> None:
    for seen, looked in ((1_105, 1_100), (1_106, 1_106), (1_112, 1_112)):
        planning.learn(
            [("Clicked", AT, {"x": 1})] * (seen - sum(PlannedEvent.objects.values_list("seen", flat=True))), AT
        )
        planning.flush(AT)
        row = PlannedEvent.objects.get()
        assert (row.seen, row.properties["x"]["seen"]) == (seen, looked)


def test_a_flood_of_names_is_counted_and_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed, "MOST_NAMES", 3)
    planning.learn([(f"name-{n}", AT, {}) for n in range(5)], AT)
    planning.flush(AT)
    planning.learn([("late", AT, {}), ("name-1", AT, {}), ("y" * 300, AT, {})], AT)
    planning.flush(AT)
    assert sorted(PlannedEvent.objects.values_list("name", "seen")) == [("name-0", 1), ("name-1", 2), ("name-2", 1)]
    problem = PlanProblem.objects.get()
    assert (problem.event, problem.code, problem.times) == ("*", "too_many_names", 4)


def test_a_locked_default_entry_stops_learning_of_names_and_an_event_never_touches_it() -> None:
    star = PlannedEvent.objects.create(name="*", locked=True)
    planning.learn([("New", AT, {}), ("*", AT, {"a": 1})], AT)
    planning.flush(AT)
    star.refresh_from_db()
    assert (PlannedEvent.objects.count(), star.seen, star.properties) == (1, 0, {})


def test_what_cannot_be_written_is_written_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    book = Notebook(tally.Tally(), clock=lambda: 0.0)
    with monkeypatch.context() as broken:
        broken.setattr(observed, "_write", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            book.learn([("Clicked", AT, {"x": 1})], AT)
    book.write(AT)
    assert PlannedEvent.objects.get().seen == 1


def test_the_plan_is_read_once_a_second_at_most(django_assert_num_queries) -> None:
    seconds = iter([0.0, 0.5, 1.5, 1.5])
    held = planning.Held(clock=lambda: next(seconds))
    with django_assert_num_queries(1):
        first = held.current()
        assert held.current() is first
    with django_assert_num_queries(1):
        assert held.current() is first, "nothing changed, so the same plan goes on"


def test_months_to_keep_are_told_by_name() -> None:
    PlannedEvent.objects.create(name="page", keep=6)
    PlannedEvent.objects.create(name="Order Completed")
    assert planning.keeps() == {"page": 6}


def test_where_nothing_is_locked_a_batch_passes_as_it_is() -> None:
    PlannedEvent.objects.create(name="Order Completed", properties={"total": {"type": "number"}})
    good, bad = [event(total="x")], []
    assert planning.sift(good, bad, AT) == (good, bad)
    assert planning.sift(good, bad, AT)[0] is good
    assert not PlanProblem.objects.exists()


def test_a_refused_event_joins_the_bad_ones_under_its_place_and_is_counted() -> None:
    properties = {"total": {"type": "number", "required": True, "seen": 1, "types": {}}}
    PlannedEvent.objects.create(name="Order Completed", locked=True, policy="refuse", properties=properties)
    PlannedEvent.objects.create(name="Viewed", locked=True, policy="count", properties={})
    good = [event(total=1), event(total="x"), event("Viewed", sku=1), event()]
    kept, bad = planning.sift(good, [Bad(0, "not_json", "…", b"{"), Bad(3, "not_json", "…", b"{")], AT)
    assert kept == [good[0], good[2]]
    assert [(each.index, each.code) for each in bad] == [
        (0, "not_json"),
        (2, "wrong_type"),
        (3, "not_json"),
        (5, "missing_property"),
    ]
    assert json.loads(bad[1].raw)["properties"] == {"total": "x"}
    planning.flush(AT)
    rows = PlanProblem.objects.order_by("code").values_list("event", "property", "code", "times", "refused", "day")
    assert list(rows) == [
        ("Order Completed", "total", "missing_property", 1, 1, AT.date()),
        ("Viewed", "sku", "unknown_property", 1, 0, AT.date()),
        ("Order Completed", "total", "wrong_type", 1, 1, AT.date()),
    ]


def test_problems_add_up_by_day_and_a_flood_of_names_is_one_row() -> None:
    plan = plan_of([Entry("*", locked=True)])
    counts = tally.Tally()
    for number in range(700):
        counts.count(plan.check(event(f"name-{number}"))[1], False, AT)
    counts.write()
    counts.count(plan.check(event("name-1"))[1], True, AT)
    counts.write()
    assert PlanProblem.objects.count() == 501
    assert PlanProblem.objects.get(code="too_many_names").times == 200
    again = PlanProblem.objects.get(property="name-1")
    assert (again.times, again.refused) == (2, 1)
    counts.count(plan.check(event("name-900"))[1], False, AT + timedelta(days=1))
    counts.write()
    assert PlanProblem.objects.get(property="name-900").day == AT.date() + timedelta(days=1)
    assert tally.age_out(AT + timedelta(days=91)) == 501


def test_counts_that_cannot_be_written_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = tally.Tally()
    counts.count(plan_of([Entry("*", locked=True)]).check(event("x"))[1], False, AT)
    with monkeypatch.context() as broken:
        broken.setattr(tally, "connection", None)
        with pytest.raises(AttributeError):
            counts.write()
    counts.write()
    assert PlanProblem.objects.get().times == 1


ROUNDS = 5


def work(number: int) -> None:
    """What one process does: learn, count and keep the same things as all others, in an order of its own."""
    book, counts = Notebook(tally.Tally(), clock=lambda: -1.0), tally.Tally()
    names = [f"name-{n}" for n in range(8)][:: -1 if number % 2 else 1]
    plan = plan_of([Entry("*", locked=True)])
    try:
        for _ in range(ROUNDS):
            book.learn([(name, AT, {"x": number}) for name in names], AT)
            book.write(AT)
            for name in names:
                counts.count(plan.check(event(name))[1], False, AT)
            counts.write()
            letters.keep([("no_type", "No type.", name.encode()) for name in names], "api", AT)
    finally:
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_processes_that_write_the_same_wait_for_each_other_and_lose_nothing() -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert set(PlannedEvent.objects.values_list("seen", flat=True)) == {4 * ROUNDS}
    assert {row.properties["x"]["seen"] for row in PlannedEvent.objects.all()} == {4 * ROUNDS}
    assert set(PlanProblem.objects.values_list("times", flat=True)) == {4 * ROUNDS}
    assert set(DeadLetter.objects.values_list("times", flat=True)) == {4 * ROUNDS}


@pytest.mark.django_db(transaction=True)
def test_learning_waits_for_nobody_and_writes_the_next_time() -> None:
    book = Notebook(tally.Tally(), clock=lambda: 0.0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [observed.LOCK])

        def learn() -> None:
            try:
                book.learn([("Clicked", AT, {})], AT)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(learn).result(timeout=10)
        assert not PlannedEvent.objects.exists()
        cursor.execute("SELECT pg_advisory_unlock(%s)", [observed.LOCK])
    book.write(AT)
    assert PlannedEvent.objects.get().seen == 1


def test_a_write_that_takes_long_is_followed_by_a_long_rest() -> None:
    seconds = [0.0, 0.0, 2.0, 2.0, 41.0, 42.5, 42.5, 42.5, 42.5]
    book = Notebook(tally.Tally(), clock=lambda: seconds.pop(0))
    book.learn([("first", AT, {})], AT)
    book.learn([("second", AT, {})], AT)
    assert list(PlannedEvent.objects.values_list("name", flat=True)) == ["first"]
    book.learn([("third", AT, {})], AT)
    assert PlannedEvent.objects.count() == 3
