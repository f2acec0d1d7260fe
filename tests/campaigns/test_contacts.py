"""Limits on contacts: no sender passes one, whatever is killed, and none sends while nobody can tell what was sent."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.core.exceptions import ValidationError
from django.db import connection

from campaigns import outbox
from campaigns.models import Campaign, ContactLimit, Message, Placement
from decisioning.customers.models import Customer
from decisioning.flows import deliver as deliver_module
from decisioning.flows.deliver import Delivered, deliver
from decisioning.flows.preparing import ChosenContents
from decisioning.store import admission, contacts, publishing, remembering
from decisioning.store.profiles import CONTACTS

from .conftest import let_leases_run_out, let_waits_end, make_campaign, make_customer, owe, states
from .sink import Sink
from .test_deliver import counts

NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)
State = Message.State


def run(now: datetime = NOW, **options: Any) -> Delivered:
    return deliver(now, lambda *_: ChosenContents(None, []), 100, **options)


def due(campaign: Campaign, customer: Customer, *occasions: str) -> None:
    for occasion in occasions:
        assert outbox.owe([outbox.Owed(campaign.pk, customer.pk, occasion)]) == 1


def noted(customer: Customer) -> int:
    return len(contacts.recent(customer.pk, 100))


def nowhere() -> redis.Redis:
    return redis.Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=1)


@pytest.fixture
def ann(db: None) -> Customer:
    return make_customer("ann", "ann@mail.example")


@pytest.fixture
def whole(clean_redis: redis.Redis, db: None) -> redis.Redis:
    """A Redis that holds everybody and all contacts."""
    publishing.publish_all()
    return clean_redis


@pytest.fixture
def once_a_day(whole: redis.Redis) -> ContactLimit:
    return ContactLimit.objects.create(count=1, hours=24)


def test_what_goes_past_a_limit_is_suppressed_and_says_why(
    sink: Sink, campaign: Campaign, ann: Customer, once_a_day: ContactLimit
) -> None:
    due(campaign, ann, "one", "two")
    assert counts(run()) == {"claimed": 2, "sent": 1, "suppressed": 1}
    told = "Contact limit: at most 1 message on all channels together in 1 day; the customer had 1."
    assert list(Message.objects.order_by("pk").values_list("state", "reason")) == [("sent", ""), ("suppressed", told)]
    due(campaign, ann, "three")
    assert counts(run(NOW + timedelta(hours=23))) == {"claimed": 1, "suppressed": 1}
    due(campaign, ann, "four")
    assert counts(run(NOW + timedelta(hours=25))) == {"claimed": 1, "sent": 1}


def test_a_limit_is_of_a_customer_and_of_its_channel(sink: Sink, campaign: Campaign, whole: redis.Redis) -> None:
    ContactLimit.objects.create(channel="push", count=1, hours=24)
    ContactLimit.objects.create(channel="email", count=2, hours=24)
    owe(campaign, "ann", "bob")
    ann = Customer.objects.get(key="ann")
    due(campaign, ann, "two", "three")
    assert counts(run()) == {"claimed": 4, "sent": 3, "suppressed": 1}
    assert "by e-mail" in Message.objects.get(state=State.SUPPRESSED).reason


def test_what_came_by_another_channel_counts_in_limits_of_all_channels_alone(
    sink: Sink, campaign: Campaign, ann: Customer, whole: redis.Redis
) -> None:
    pushed = make_campaign(key="pushed", channel="push")
    row = Message.objects.create(campaign=pushed, customer=ann, trigger_key="1", state=State.SENT)
    assert admission.Admission([]).admit(row, (), NOW) == ""
    ContactLimit.objects.create(channel="email", count=1, hours=1)
    due(campaign, ann, "one")
    assert counts(run()) == {"claimed": 1, "sent": 1}
    ContactLimit.objects.create(count=2, hours=24)
    due(campaign, ann, "two")
    assert counts(run(NOW + timedelta(hours=2))) == {"claimed": 1, "suppressed": 1}


def test_a_place_that_is_lost_at_the_last_moment_is_given_back_though_the_ledger_was_filled_meanwhile(
    sink: Sink, campaign: Campaign, ann: Customer, once_a_day: ContactLimit, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = make_campaign(key="receipt", ignores_limits=True)
    other = Message.objects.create(campaign=receipt, customer=ann, trigger_key="1", state=State.SENT)
    due(campaign, ann, "one")
    mark = outbox.mark_sending

    def take_the_last(at: str, message: Message) -> None:
        if at == "rendered":
            assert admission.Admission([]).admit(other, (), NOW) == ""

    def mark_and_fill(*about: Any) -> bool:
        done = mark(*about)
        assert remembering.fill() == 1
        return done

    monkeypatch.setattr(outbox, "mark_sending", mark_and_fill)
    assert counts(run(checkpoint=take_the_last)) == {"claimed": 1, "suppressed": 1}
    assert [one.what for one in contacts.recent(ann.pk, 5)] == ["receipt"]
    assert Message.objects.get(campaign=campaign).contacted_at is None


def test_nothing_is_decided_for_a_message_that_goes_past_a_limit(
    sink: Sink, ann: Customer, once_a_day: ContactLimit
) -> None:
    placement = Placement.objects.create(key="mail-top", name="Top")
    due(make_campaign(placement=placement), ann, "one", "two")
    asked: list[str] = []

    def decide(customer_key: str, placement_key: str, now: datetime) -> ChosenContents:
        asked.append(placement_key)
        return ChosenContents(None, [])

    assert counts(deliver(NOW, decide, 100)) == {"claimed": 2, "sent": 1, "suppressed": 1}
    assert asked == ["mail-top"]


def test_no_limit_holds_nothing_back_and_is_counted_all_the_same(
    sink: Sink, campaign: Campaign, ann: Customer, whole: redis.Redis
) -> None:
    due(campaign, ann, "one", "two", "three")
    assert run().sent == 3
    ContactLimit.objects.create(count=3, hours=1)
    due(campaign, ann, "four")
    assert counts(run()) == {"claimed": 1, "suppressed": 1}


def test_a_campaign_that_ignores_limits_is_sent_and_counts(
    sink: Sink, campaign: Campaign, ann: Customer, once_a_day: ContactLimit
) -> None:
    receipt = make_campaign(key="receipt", ignores_limits=True)
    due(receipt, ann, "order 1", "order 2")
    due(campaign, ann, "one")
    assert counts(run()) == {"claimed": 3, "sent": 2, "suppressed": 1}


@pytest.mark.parametrize("name", ["refused", "greylisted"])
def test_what_did_not_reach_the_customer_is_no_contact(
    sink: Sink, campaign: Campaign, once_a_day: ContactLimit, name: str
) -> None:
    owe(campaign, name)
    customer = Customer.objects.get(key=name)
    run()
    assert (noted(customer), Message.objects.get().contacted_at) == (0, None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("step", "sends"), [("rendered", 1), ("sending", 0), ("handed", 0)])
def test_a_killed_sender_and_whoever_goes_on_count_a_message_once(
    sink: Sink, whole: redis.Redis, step: str, sends: int
) -> None:
    ContactLimit.objects.create(count=2, hours=24)
    campaign, ann = make_campaign(), make_customer("ann", "ann@mail.example")
    due(campaign, ann, "one")

    def die(at: str, message: Message) -> None:
        if at == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=die)
    let_leases_run_out()
    assert run().sent == sends
    assert noted(ann) == 1
    # A person who sends an unknown one again adds none either.
    Message.objects.update(state=State.PENDING, lease_until=None, attempts=0)
    due(campaign, ann, "two")
    assert counts(run()) == {"claimed": 2, "sent": 2}
    assert noted(ann) == 2


def test_a_sender_that_died_before_it_could_note_the_contact_has_noted_it_in_the_end(
    sink: Sink, campaign: Campaign, ann: Customer, once_a_day: ContactLimit
) -> None:
    due(campaign, ann, "one")
    [message] = outbox.claim(1)
    assert outbox.mark_sending(message, "ann@mail.example", "s", "b", NOW)
    let_leases_run_out()
    due(campaign, ann, "two")
    assert counts(run()) == {"claimed": 1, "suppressed": 1}
    assert (noted(ann), Message.objects.filter(uncounted=True).count()) == (1, 0)


@pytest.mark.parametrize("fault", ["unreachable", "empty"])
def test_nothing_limited_is_sent_while_contacts_cannot_be_read_and_all_of_it_afterwards(
    sink: Sink,
    campaign: Campaign,
    ann: Customer,
    once_a_day: ContactLimit,
    monkeypatch: pytest.MonkeyPatch,
    clean_redis: redis.Redis,
    fault: str,
) -> None:
    due(campaign, ann, "one")
    due(make_campaign(key="receipt", ignores_limits=True), make_customer("bob", "bob@mail.example"), "order")
    if fault == "empty":
        clean_redis.flushdb()
    with monkeypatch.context() as patched:
        if fault == "unreachable":
            patched.setattr(admission, "patient", nowhere)
        assert counts(run()) == {"waiting": 1, "claimed": 1, "sent": 1}
        message = Message.objects.get(customer=ann)
        assert (message.state, message.attempts, message.sent_at) == (State.PENDING, 0, None)
        assert message.reason == (admission.UNREACHABLE if fault == "unreachable" else admission.INCOMPLETE)
        assert counts(run()) == {}, "nobody tries for a while"
        let_waits_end()
        assert counts(run()) == {"waiting": 1}
    if fault == "empty":
        publishing.publish_all()
    let_waits_end()
    assert counts(run()) == {"claimed": 1, "sent": 1}
    assert states() == {"ann": State.SENT, "bob": State.SENT}


def test_a_limit_of_another_channel_makes_no_mail_wait(
    sink: Sink, campaign: Campaign, clean_redis: redis.Redis
) -> None:
    ContactLimit.objects.create(channel="push", count=1, hours=24)
    owe(campaign, "ann")
    assert counts(run()) == {"claimed": 1, "sent": 1}


def test_many_that_wait_hold_up_none_that_may_go(
    sink: Sink, campaign: Campaign, once_a_day: ContactLimit, monkeypatch: pytest.MonkeyPatch, clean_redis: redis.Redis
) -> None:
    owe(campaign, "ann", "bob", "eve")
    due(make_campaign(key="receipt", ignores_limits=True), make_customer("ivy", "ivy@mail.example"), "order")
    clean_redis.flushdb()
    monkeypatch.setattr(deliver_module, "TOLD", 2)
    assert counts(deliver(NOW, lambda *_: ChosenContents(None, []), 1)) == {"waiting": 2, "claimed": 1, "sent": 1}
    assert states() == {**dict.fromkeys(("ann", "bob", "eve"), State.PENDING), "ivy": State.SENT}


@pytest.mark.parametrize("step", ["claimed", "rendered"])
def test_redis_lost_in_the_middle_of_a_batch_sends_nothing_either(
    sink: Sink,
    campaign: Campaign,
    ann: Customer,
    once_a_day: ContactLimit,
    clean_redis: redis.Redis,
    step: str,
) -> None:
    due(campaign, ann, "one")

    def lose(at: str, message: Message) -> None:
        if at == step:
            clean_redis.flushdb()

    assert counts(run(checkpoint=lose)) == {"claimed": 1, "waiting": 1}
    message = Message.objects.get()
    assert (message.state, message.attempts, message.contacted_at) == (State.PENDING, 0, None)
    assert sink.received == {}


def test_what_was_sent_while_redis_was_away_is_counted_when_it_is_back(
    sink: Sink, ann: Customer, whole: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = make_campaign(key="receipt", ignores_limits=True)
    due(free, ann, "order")
    with monkeypatch.context() as patched:
        patched.setattr(admission, "patient", nowhere)
        assert counts(run()) == {"claimed": 1, "sent": 1}
        patched.setattr(remembering, "patient", nowhere)
        assert remembering.note_uncounted() == 0
    assert noted(ann) == 0
    ContactLimit.objects.create(count=1, hours=24)
    due(make_campaign(), ann, "one")
    assert counts(run()) == {"claimed": 1, "suppressed": 1}
    assert noted(ann) == 1


def test_filled_again_it_is_what_was_noted(
    sink: Sink, campaign: Campaign, once_a_day: ContactLimit, clean_redis: redis.Redis
) -> None:
    owe(campaign, "ann", "refused", "hangup")
    due(campaign, Customer.objects.get(key="ann"), "too many")
    run()
    before = ledger(clean_redis)
    assert {place.split(":")[1] for place in before} == {
        str(pk) for pk in Customer.objects.filter(key__in=["ann", "hangup"]).values_list("pk", flat=True)
    }
    clean_redis.flushdb()
    publishing.publish_all()
    assert ledger(clean_redis) == before
    publishing.publish_all()
    assert ledger(clean_redis) == before


def test_a_redis_that_is_emptied_while_it_is_filled_is_not_called_whole(clean_redis: redis.Redis, db: None) -> None:
    life = remembering.begin()
    clean_redis.flushdb()
    remembering.complete(life, admission.READY)
    assert not clean_redis.exists(admission.READY)
    publishing.publish_all()
    assert publishing.is_complete()


def test_an_older_redis_without_contacts_is_not_whole(whole: redis.Redis) -> None:
    whole.delete(admission.READY)
    assert not publishing.is_complete()


def ledger(client: redis.Redis) -> dict[str, list[tuple[bytes, float]]]:
    return {
        key.decode(): client.zrange(key, 0, -1, withscores=True)
        for key in client.keys(CONTACTS.format("*"))
        if client.type(key) == b"zset"
    }


def test_the_contacts_of_two_who_become_one_are_one(
    sink: Sink, campaign: Campaign, ann: Customer, once_a_day: ContactLimit
) -> None:
    other = make_customer("ann-2", "ann2@mail.example")
    publishing.publish([other.pk])
    due(campaign, ann, "one")
    run()
    Customer.objects.filter(pk=ann.pk).update(merged_into=other)
    publishing.forget([ann.pk])
    assert (noted(ann), noted(other)) == (0, 1)
    due(campaign, other, "two")
    # Of whom a sender took before they became one: Redis knows whose it is.
    due(campaign, ann, "three")
    assert counts(run()) == {"claimed": 2, "suppressed": 2}


def test_a_message_taken_before_its_customer_became_another_counts_for_whom_they_are(
    sink: Sink, campaign: Campaign, ann: Customer, once_a_day: ContactLimit
) -> None:
    other = make_customer("ann-2", "ann2@mail.example")
    publishing.publish([other.pk])
    due(campaign, other, "one")
    run()
    due(campaign, ann, "two")

    def unite(at: str, message: Message) -> None:
        if at == "claimed":
            Customer.objects.filter(pk=ann.pk).update(merged_into=other)
            publishing.forget([ann.pk])

    assert counts(run(checkpoint=unite)) == {"claimed": 1, "suppressed": 1}


def test_a_message_sent_again_by_a_person_is_not_in_its_own_way(
    sink: Sink, campaign: Campaign, ann: Customer, once_a_day: ContactLimit
) -> None:
    due(campaign, ann, "one")
    run()
    Message.objects.update(state=State.PENDING, attempts=0)
    assert counts(run()) == {"claimed": 1, "sent": 1}
    assert noted(ann) == 1


@pytest.mark.django_db(transaction=True)
def test_many_senders_at_once_pass_no_limit(sink: Sink, whole: redis.Redis) -> None:
    ContactLimit.objects.create(count=2, hours=24)
    ann = make_customer("ann", "ann@mail.example")
    for number in range(8):
        due(make_campaign(key=f"c-{number}"), ann, "same moment")

    def send(_: int) -> None:
        try:
            deliver(NOW, lambda *_: ChosenContents(None, []), 1)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(8)))
    assert (len(sink.mails), noted(ann)) == (2, 2)
    assert Message.objects.filter(state=State.SUPPRESSED).count() == 6


def test_messages_older_than_any_limit_are_forgotten(
    sink: Sink, campaign: Campaign, ann: Customer, whole: redis.Redis
) -> None:
    due(campaign, ann, "one")
    run()
    due(campaign, ann, "two")
    run(NOW + timedelta(days=32))
    assert noted(ann) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"count": 0, "hours": 24}, "greater than or equal to 1"),
        ({"count": 1, "hours": 0}, "greater than or equal to 0.01"),
        ({"count": 1, "hours": 745}, "less than or equal to 744"),
        ({"channel": "fax", "count": 1, "hours": 1}, "not a valid choice"),
        ({"channel": "email", "count": 3, "hours": 12}, "could never be reached, because of"),
        ({"count": 1, "hours": 48}, "could never be reached, because of"),
        ({"count": 5, "hours": 24}, "already exists"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(db: None, fields: dict[str, Any], words: str) -> None:
    ContactLimit.objects.create(count=2, hours=24)
    with pytest.raises(ValidationError, match=words):
        ContactLimit(**fields).full_clean()


def test_limits_of_several_windows_stand_side_by_side(db: None) -> None:
    ContactLimit.objects.create(count=2, hours=24)
    for fields in ({"count": 5, "hours": 168}, {"channel": "email", "count": 1, "hours": 24}):
        ContactLimit(**fields).full_clean()
