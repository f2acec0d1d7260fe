"""The log keeps every event once, with the customer behind it."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from decisioning.customers.ingest import store
from decisioning.customers.models import Customer, Event, Identity
from decisioning.customers.tracking import Checked

pytestmark = pytest.mark.django_db


def checked(message_id: str, now, user: str | None = "u", anonymous: str | None = None, **more) -> Checked:
    fields = {"type": "track", "name": "Clicked", "traits": {}, "properties": "{}", "context": "{}", "timestamp": now}
    return Checked(message_id=message_id, user_id=user, anonymous_id=anonymous, **{**fields, **more})


def test_a_message_id_counts_once_within_a_batch_and_across_batches(now):
    first = store([checked("a", now), checked("a", now), checked("b", now)], now)
    again = store([checked("b", now), checked("c", now)], now)
    assert (first.added, first.duplicates, again.added, again.duplicates) == (2, 1, 1, 1)
    assert Event.objects.count() == 3


def test_a_new_user_id_makes_a_customer_and_an_old_one_finds_it(now):
    store([checked("a", now)], now)
    store([checked("b", now)], now)
    assert Customer.objects.get().key == "u"
    assert Event.objects.values_list("customer__key").distinct().get() == ("u",)


def test_an_anonymous_id_beside_a_user_id_belongs_to_that_customer(now):
    store([checked("a", now, "u", "anon")], now)
    store([checked("b", now, None, "anon")], now)
    assert Customer.objects.count() == 1
    assert Event.objects.filter(customer__key="u").count() == 2


def test_an_anonymous_id_that_belongs_to_somebody_is_not_taken_away(now):
    store([checked("a", now, "one", "shared")], now)
    store([checked("b", now, "two", "shared")], now)
    assert Identity.objects.get(kind="anonymous_id").customer.key == "one"
    assert Event.objects.get(message_id="b").customer.key == "two"


def test_an_anonymous_visitor_cannot_take_a_user_ids_key(now):
    store([checked("a", now, "x"), checked("b", now, None, "x")], now)
    assert set(Customer.objects.values_list("key", flat=True)) == {"x", "anonymous:x"}


def test_traits_follow_the_time_of_the_event_within_a_batch(now):
    newer = checked("a", now, type="identify", traits={"age": 31})
    older = checked("b", now - timedelta(days=1), type="identify", traits={"age": 30, "city": "Bonn"})
    store([newer, older], now)
    assert Customer.objects.get().traits == {"age": 31, "city": "Bonn"}


def test_a_repeated_event_does_not_set_traits_again(now):
    store([checked("a", now, type="identify", traits={"age": 30})], now)
    store([checked("b", now, type="identify", traits={"age": 31})], now)
    store([checked("a", now, type="identify", traits={"age": 30})], now)
    assert Customer.objects.get().traits == {"age": 31}


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


def test_nothing_is_kept_of_a_batch_that_fails(now):
    with pytest.raises(Exception, match="json"):
        store([checked("a", now), checked("b", now, properties="{broken")], now)
    assert Event.objects.count() == Customer.objects.count() == 0


def test_properties_come_back_as_they_were_sent(now):
    sent = {"ü": "日本", "n": 1.5, "deep": {"list": [1, None, True]}}
    store([checked("a", now, properties=json.dumps(sent))], now)
    assert Event.objects.get().properties == sent
