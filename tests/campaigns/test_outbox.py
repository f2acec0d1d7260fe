"""The outbox alone: what is owed once, who may take it, and what guards every step."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from campaigns import outbox
from campaigns.models import Campaign, Message
from campaigns.outbox import Owed, claim

from .conftest import let_leases_run_out, let_waits_end, make_campaign, make_customer, owe, states

State = Message.State
NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)


def sending(message: Message) -> bool:
    return outbox.mark_sending(message, "ann@mail.example", "Hello", "<p>Hello</p>", NOW)


def test_it_owes_a_message_once(campaign: Campaign) -> None:
    customer = make_customer("ann")
    row = Owed(campaign.pk, customer.pk, "event 1")
    assert outbox.owe([row, row, Owed(campaign.pk, customer.pk, "event 2")]) == 2
    assert outbox.owe([row, Owed(campaign.pk, customer.pk, "event 1", step=2)]) == 1
    assert outbox.owe([]) == 0
    assert Message.objects.count() == 3


def test_an_existing_message_is_left_as_it_is(campaign: Campaign) -> None:
    owe(campaign, "ann")
    [message] = claim(10)
    outbox.suppress(message, "no consent")
    assert outbox.owe([Owed(message.campaign_id, message.customer_id, message.trigger_key)]) == 0
    assert states() == {"ann": State.SUPPRESSED}


def test_it_waits_before_a_message_is_due(campaign: Campaign) -> None:
    customer = make_customer("ann")
    outbox.owe([Owed(campaign.pk, customer.pk, "event 1", wait_seconds=3600)])
    assert claim(10) == []
    let_waits_end()
    assert len(claim(10)) == 1


def test_a_claim_is_counted_before_the_work(campaign: Campaign) -> None:
    owe(campaign, "ann", "bob")
    [message] = claim(1, lease_seconds=30)
    stored = Message.objects.get(pk=message.pk)
    assert (stored.state, stored.attempts, stored.lease_until) == (State.CLAIMED, 1, message.lease_until)
    assert [other.customer.key for other in claim(10)] == ["bob"]
    assert claim(10) == []


@pytest.mark.django_db(transaction=True)
def test_it_refuses_to_claim_inside_a_transaction() -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        claim(1)


@pytest.mark.django_db(transaction=True)
def test_two_writers_of_the_same_rows_wait_and_never_deadlock() -> None:
    campaign = make_campaign()
    keys = [make_customer(name).pk for name in ("ann", "bob")]
    there, back = ([Owed(campaign.pk, key, "event 1") for key in order] for order in (keys, keys[::-1]))
    with ThreadPoolExecutor(1) as elsewhere:
        with transaction.atomic():
            assert outbox.owe(there[:1]) == 1
            other = elsewhere.submit(owe_and_hang_up, back)
            time.sleep(0.2)
            assert outbox.owe(there[1:]) == 1
        assert other.result(timeout=60) == 0
    assert Message.objects.count() == 2


def owe_and_hang_up(rows: list[Owed]) -> int:
    try:
        return outbox.owe(rows)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_claimer_passes_by_what_another_holds() -> None:
    owe(make_campaign(), "ann", "bob")
    with transaction.atomic(), ThreadPoolExecutor(1) as elsewhere:
        Message.objects.select_for_update().get(customer__key="ann")
        taken = elsewhere.submit(claim_and_hang_up).result(timeout=60)
    assert taken == ["bob"]


def claim_and_hang_up() -> list[str]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '20s'")
        return [message.customer.key for message in claim(10)]
    finally:
        connection.close()


def test_a_paused_campaign_is_not_claimed(campaign: Campaign) -> None:
    owe(campaign, "ann")
    Campaign.objects.update(active=False)
    assert claim(10) == []
    Campaign.objects.update(active=True)
    assert len(claim(10)) == 1


def test_a_campaign_paused_after_the_claim_is_not_sent(campaign: Campaign) -> None:
    owe(campaign, "ann")
    [message] = claim(10)
    Campaign.objects.update(active=False)
    assert not sending(message)
    assert states() == {"ann": State.CLAIMED}


def test_it_keeps_what_is_handed_over(campaign: Campaign) -> None:
    owe(campaign, "ann")
    [message] = claim(10)
    assert sending(message)
    stored = Message.objects.get()
    told = (stored.recipient, stored.subject, stored.body, stored.contacted_at)
    assert told == ("ann@mail.example", "Hello", "<p>Hello</p>", NOW)
    assert outbox.mark_sent(message)
    stored.refresh_from_db()
    assert stored.state == State.SENT and stored.sent_at is not None and stored.lease_until is None


def test_it_does_not_send_twice_from_one_claim(campaign: Campaign) -> None:
    owe(campaign, "ann")
    [message] = claim(10)
    assert sending(message)
    assert not sending(message)


def test_an_expired_claim_is_not_sent(campaign: Campaign) -> None:
    owe(campaign, "ann")
    claim(10)
    let_leases_run_out()
    assert not sending(Message.objects.get())


def test_a_slow_sender_cannot_move_what_another_took_over(campaign: Campaign) -> None:
    owe(campaign, "ann")
    [slow] = claim(10, lease_seconds=0)
    assert outbox.recover() == outbox.Recovered(pending=1)
    [quick] = claim(10)
    assert not sending(slow)
    assert not outbox.mark_failed(slow, "late")
    assert outbox.release([slow]) == 0
    assert sending(quick) and outbox.mark_sent(quick)
    assert not outbox.suppress(slow, "late")
    assert states() == {"ann": State.SENT}


def test_recover_leaves_living_claims_alone(campaign: Campaign) -> None:
    owe(campaign, "ann", "bob")
    first, _ = claim(10)
    assert sending(first)
    assert outbox.recover() == outbox.Recovered()
    assert states() == {"ann": State.SENDING, "bob": State.CLAIMED}


def test_recover_gives_claimed_back_and_lists_sending_as_unknown(campaign: Campaign) -> None:
    owe(campaign, "ann", "bob")
    first, _ = claim(10)
    assert sending(first)
    let_leases_run_out()
    assert outbox.recover() == outbox.Recovered(pending=1, unknown=1)
    assert states() == {"ann": State.UNKNOWN, "bob": State.PENDING}
    assert [message.customer.key for message in claim(10)] == ["bob"]


def test_a_sender_who_was_only_slow_may_still_tell_that_it_was_sent(campaign: Campaign) -> None:
    owe(campaign, "ann")
    [message] = claim(10)
    assert sending(message)
    Message.objects.update(state=State.UNKNOWN, reason="Its sender stopped while handing it over.")
    assert outbox.mark_sent(message)
    assert Message.objects.get().reason == ""


def test_work_that_kills_its_sender_ends_after_the_last_attempt(campaign: Campaign) -> None:
    owe(campaign, "ann")
    for _ in range(outbox.MOST_ATTEMPTS - 1):
        assert len(claim(10)) == 1
        let_leases_run_out()
        assert outbox.recover() == outbox.Recovered(pending=1)
    assert len(claim(10)) == 1
    let_leases_run_out()
    assert outbox.recover() == outbox.Recovered(failed=1)
    assert "stopped 5 times" in Message.objects.get().reason


def test_a_message_that_keeps_failing_goes_alone(campaign: Campaign) -> None:
    owe(campaign, "ann", "bob", "eve")
    Message.objects.filter(customer__key="bob").update(attempts=outbox.ALONE_FROM)
    assert [[m.customer.key for m in claim(10)] for _ in range(4)] == [["ann"], ["bob"], ["eve"], []]


def test_retries_wait_longer_each_time_and_end(campaign: Campaign) -> None:
    owe(campaign, "ann")
    waits = []
    for _ in range(outbox.MOST_ATTEMPTS - 1):
        [message] = claim(1)
        assert outbox.retry_later(message, "451 Later", seconds=10)
        stored = Message.objects.get()
        waits.append(round((stored.due_at - message.created_at) / timedelta(seconds=1), -1))
        Message.objects.update(due_at=message.created_at)
    assert waits == [10, 20, 40, 80]
    [message] = claim(1)
    assert outbox.retry_later(message, "451 Later")
    stored = Message.objects.get()
    assert stored.state == State.FAILED and stored.reason == "Given up after 5 attempts: 451 Later"


def test_a_released_message_has_not_used_an_attempt(campaign: Campaign) -> None:
    owe(campaign, "ann", "bob")
    messages = claim(10)
    assert outbox.release(messages, "no time", wait_seconds=60) == 2
    assert set(Message.objects.values_list("state", "attempts", "reason")) == {(State.PENDING, 0, "no time")}
    assert claim(10) == []


def test_a_reason_of_any_length_and_bytes_fits(campaign: Campaign) -> None:
    owe(campaign, "ann")
    [message] = claim(10)
    assert outbox.mark_failed(message, "550 \0" + "x" * 1000)
    assert len(Message.objects.get().reason) == outbox.REASON_LENGTH
