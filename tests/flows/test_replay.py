"""Dead letters are tried again: through the intake or by the worker, once, and each tells what became of it."""

import json
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from decisioning.customers.intake import letters
from decisioning.customers.models import DeadLetter, Event, Pending, PlannedEvent
from decisioning.customers.plan import observed, planning, tally
from decisioning.flows.replay import DUPLICATE, HANDED_BACK, HANDLED, NOT_KEPT, TAKEN, open_with, replay
from decisioning.flows.take import take_items

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """No test sees what another left in this process."""
    for part in (planning.held, tally.tally, observed.notebook, letters.allowance):
        part.forget()
    yield
    for part in (planning.held, tally.tally, observed.notebook, letters.allowance):
        part.forget()


def item(message_id: str = "m-1", **more: object) -> bytes:
    said = {"type": "track", "event": "Order Completed", "messageId": message_id, "userId": "u-1", **more}
    return json.dumps(said).encode()


@pytest.fixture
def strict(db: None) -> PlannedEvent:
    """A plan that takes orders with a number as total only."""
    return PlannedEvent.objects.create(
        name="Order Completed", locked=True, policy="refuse", properties={"total": {"type": "number"}}
    )


def unlock(entry: PlannedEvent) -> None:
    PlannedEvent.objects.filter(pk=entry.pk).update(locked=False)
    planning.forget()


def test_an_item_that_the_plan_refused_goes_in_once_the_plan_allows_it(strict, now):
    sent = now - timedelta(hours=1)
    raw = item(properties={"total": "x"}, timestamp=sent.isoformat(), sentAt=now.isoformat())
    taken = take_items([raw, item("m-2", properties={"total": 1})], "api", now)
    assert (taken.added, [bad.code for bad in taken.bad]) == (1, ["wrong_type"])
    unlock(strict)
    letter = DeadLetter.objects.get()
    later = now + timedelta(days=3)
    assert replay([letter.pk], later) == {letter.pk: TAKEN}
    event = Event.objects.get(message_id="m-1")
    assert (event.timestamp, event.source, event.properties) == (sent, "api", {"total": "x"})
    letter.refresh_from_db()
    assert (letter.replayed_at, letter.outcome) == (later, TAKEN)


def test_a_replayed_one_says_so_and_nothing_happens_twice(strict, now):
    take_items([item(properties={"total": "x"})], "api", now)
    unlock(strict)
    pk = DeadLetter.objects.get().pk
    replay([pk], now)
    assert "Replayed on 1 January 2018, 12:00 UTC already: Taken in." in replay([pk], now)[pk]
    assert Event.objects.count() == 1


def test_what_came_in_meanwhile_is_a_duplicate(strict, now):
    take_items([item(properties={"total": "x"})], "api", now)
    unlock(strict)
    take_items([item(properties={"total": "x"})], "api", now)
    pk = DeadLetter.objects.get().pk
    assert replay([pk], now) == {pk: DUPLICATE}
    assert Event.objects.count() == 1


def test_one_that_is_refused_again_stays_dead_with_the_reason(strict, now):
    take_items([item(properties={"total": "x"})], "api", now)
    letter = DeadLetter.objects.get()
    outcome = replay([letter.pk], now)[letter.pk]
    assert outcome.startswith('Refused again: "total" of "Order Completed" is "x" (text)')
    letter.refresh_from_db()
    assert (letter.replayed_at, letter.outcome, letter.times) == (None, outcome, 2)
    assert DeadLetter.objects.count() == 1


def test_one_that_is_refused_for_another_reason_hands_over_to_the_letter_of_that_reason(strict, now):
    take_items([item(properties={"total": "x"})], "api", now)
    strict.properties = {"total": {"type": "text"}, "id": {"type": "text", "required": True}}
    strict.save()
    planning.forget()
    first = DeadLetter.objects.get()
    outcome = replay([first.pk], now)[first.pk]
    second = DeadLetter.objects.exclude(pk=first.pk).get()
    assert second.code == "missing_property"
    assert outcome.startswith(f"Refused again, now as letter {second.pk}: ")
    assert list(DeadLetter.objects.filter(replayed_at__isnull=True)) == [second]


def test_an_item_that_can_never_be_read_stays_dead(now):
    take_items([b'{"type": "track", '], "file.jsonl:7", now)
    letter = DeadLetter.objects.get()
    assert replay([letter.pk], now)[letter.pk].startswith("Refused again: ")
    assert DeadLetter.objects.get(replayed_at__isnull=True).source == "file.jsonl:7"


def test_an_item_that_was_not_kept_cannot_be_replayed(now):
    letters.keep([("event_too_large", "Too large.", b"")], "api", now)
    pk = DeadLetter.objects.get().pk
    assert replay([pk], now) == {pk: NOT_KEPT}
    assert DeadLetter.objects.get().replayed_at is None


def test_an_event_that_was_set_aside_is_handed_back_with_all_its_tries(now):
    event = UUID(int=9)
    Pending.objects.create(event_id=event, identity_id=1, attempts=5, problem="ValueError('poison')")
    letters.set_aside(event, "ValueError('poison')", now)
    pk = DeadLetter.objects.get().pk
    assert replay([pk], now) == {pk: HANDED_BACK}
    assert Pending.objects.values_list("attempts", "problem").get() == (0, "")
    letters.set_aside(event, "ValueError('poison')", now)
    assert DeadLetter.objects.get().replayed_at is None, "it is dead again"


def test_an_event_that_is_handled_already_has_nothing_left_to_do(now):
    letters.set_aside(UUID(int=9), "ValueError('poison')", now)
    pk = DeadLetter.objects.get().pk
    assert replay([pk], now) == {pk: HANDLED}


def test_those_of_one_code_are_found_the_oldest_first_and_replayed_ones_left_out(now):
    for number in range(4):
        letters.keep([("no_type", "No type.", b"%d" % number)], "api", now - timedelta(minutes=number))
    letters.keep([("nobody", "Nobody.", b"x")], "api", now)
    newest = DeadLetter.objects.filter(code="no_type").latest("at")
    DeadLetter.objects.filter(pk=newest.pk).update(replayed_at=now)
    ids = open_with(newest)
    assert list(DeadLetter.objects.filter(pk__in=ids).order_by("at").values_list("pk", flat=True)) == list(ids)
    assert (len(ids), newest.pk in ids) == (3, False)
