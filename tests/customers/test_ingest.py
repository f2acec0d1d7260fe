"""The log keeps every event once, with the customer behind it."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from decisioning.customers.identity import known as identity
from decisioning.customers.intake import partitions
from decisioning.customers.intake.ingest import store
from decisioning.customers.intake.tracking import Checked
from decisioning.customers.models import Customer, Event, Identity, Pending

pytestmark = pytest.mark.django_db


def checked(message_id: str, now, user: str | None = "u", anonymous: str | None = None, **more) -> Checked:
    """A checked event of a user id, an anonymous id, or both."""
    pairs = [("user_id", user), ("anonymous_id", anonymous)]
    fields = {
        "type": "track",
        "name": "Clicked",
        "identifiers": tuple((kind, value) for kind, value in pairs if value),
        "properties": "{}",
        "context": "{}",
        "timestamp": now,
    }
    return Checked(message_id=message_id, **{**fields, **more})


def events_of(key: str) -> set[str]:
    """The message ids of one customer's events."""
    return set(Event.objects.filter(identity__customer__key=key).values_list("message_id", flat=True))


def test_a_message_id_counts_once_within_a_batch_and_across_batches(now):
    first = store([checked("a", now), checked("a", now), checked("b", now)], now)
    again = store([checked("b", now), checked("c", now)], now)
    assert (first.added, first.duplicates, again.added, again.duplicates) == (2, 1, 1, 1)
    assert Event.objects.count() == 3


def test_a_message_id_is_remembered_when_its_event_is_long_gone(now):
    store([checked("a", now)], now)
    Event.objects.all()._raw_delete("default")
    assert store([checked("a", now)], now).duplicates == 1
    assert not Event.objects.exists()


def test_a_new_user_id_makes_a_customer_and_an_old_one_finds_it(now):
    assert store([checked("a", now)], now).newcomers == ((Customer.objects.get().pk, "user_id", "u"),)
    assert store([checked("b", now)], now).newcomers == ()
    assert Customer.objects.get().key == "u"
    assert events_of("u") == {"a", "b"}


def test_what_another_process_has_made_is_found(now):
    store([checked("a", now)], now)
    identity.known.ids.clear()
    store([checked("b", now)], now)
    assert events_of("u") == {"a", "b"}


def test_an_event_belongs_to_its_strongest_identifier(now):
    store([checked("a", now, "u", "anon"), checked("b", now, None, "anon")], now)
    owners = dict(Event.objects.values_list("message_id", "identity__kind"))
    assert owners == {"a": "user_id", "b": "anonymous_id"}


def test_nothing_of_a_batch_that_fails_is_remembered(now):
    with pytest.raises(DatabaseError):
        store([checked("a", now, properties="{broken")], now)
    assert store([checked("a", now)], now).added == 1
    assert events_of("u") == {"a"}


def test_an_anonymous_visitor_cannot_take_a_user_ids_key(now):
    store([checked("a", now, "x"), checked("b", now, None, "x")], now)
    assert set(Customer.objects.values_list("key", flat=True)) == {"x", "anonymous:x"}


def test_a_user_id_that_looks_like_an_anonymous_customers_key_is_somebody_else(now):
    store([checked("a", now, "anonymous:x"), checked("b", now, None, "x")], now)
    assert set(Customer.objects.values_list("key", flat=True)) == {"user:anonymous:x", "anonymous:x"}


def test_every_stored_event_is_pending_until_it_was_handled(now):
    store([checked("a", now), checked("a", now), checked("b", now)], now)
    assert set(Pending.objects.values_list("event_id", flat=True)) == set(Event.objects.values_list("id", flat=True))


def test_a_month_that_nobody_opened_is_opened_by_the_first_event(now):
    assert store([checked("a", now)], now, keeps={"Clicked": 3}).added == 1
    event = Event.objects.get()
    assert event.keep == 3
    assert any(keep == 3 for _, keep, *_ in partitions.leaves())


def test_months_past_their_time_are_dropped_and_others_stay(now):
    store([checked("short", now)], now, keeps={"Clicked": 1})
    store([checked("long", now)], now)
    arrived = partitions.moment_of(Event.objects.first().id)
    assert partitions.drop_expired(arrived + timedelta(days=20)) == []
    assert partitions.drop_expired(arrived + timedelta(days=70)) != []
    assert list(Event.objects.values_list("message_id", flat=True)) == ["long"]


@pytest.mark.django_db(transaction=True)
def test_parallel_senders_of_the_same_events_store_each_once(now):
    batch = [checked(f"m-{n}", now, f"u-{n % 7}", f"a-{n % 5}") for n in range(50)]

    def send(order: int) -> int:
        try:
            return store(batch if order % 2 else batch[::-1], now).added
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        added = list(pool.map(send, range(6)))
    assert sum(added) == Event.objects.count() == 50
    assert Customer.objects.count() == 7
    assert Pending.objects.count() == 50


def test_nothing_is_kept_of_a_batch_that_fails(now):
    with pytest.raises(DatabaseError, match="json"):
        store([checked("a", now), checked("b", now, properties="{broken")], now)
    assert Event.objects.count() == Customer.objects.count() == 0


def test_properties_come_back_as_they_were_sent(now):
    sent = {"ü": "日本", "n": 1.5, "deep": {"list": [1, None, True]}}
    store([checked("a", now, properties=json.dumps(sent))], now)
    assert Event.objects.get().properties == sent


def test_a_stranger_whom_the_consumer_met_in_the_same_moment_leaves_no_customer_behind(now):
    store([checked("a", now)], now)
    customer = Customer.objects.get()
    Identity.objects.create(kind="anonymous_id", value="a", customer=customer)
    with transaction.atomic():
        ids, newcomers = identity.settle({("anonymous_id", "a")})
    assert (set(ids), newcomers) == ({("anonymous_id", "a")}, ())
    assert Customer.objects.get() == customer
