"""The outbox of calls: owed once, claimed fairly, settled by whoever holds them, given up with a reason."""

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connections, transaction
from django.db.models import F

from campaigns import calls
from campaigns.models import Call, Receiver, Webhook
from campaigns.posting import Answer
from campaigns.webhooks import ENTERED, MOST_ATTEMPTS, Next

NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)
State = Call.State
TAKEN = Answer(200, "ok")
pytestmark = pytest.mark.django_db


def make_webhook(key: str = "crm", url: str = "http://127.0.0.1:9/", **fields: object) -> Webhook:
    return Webhook.objects.create(key=key, name=key.upper(), url=url, secret="whsec_c2VjcmV0", **fields)


def owe(webhook: Webhook, *customers: int, occasion: str = "eco@1") -> list[Call]:
    """A call about each of these customers, in this order."""
    data = {"at": "2018-01-01T12:00:00Z", "customer": {"id": "c"}}
    calls.owe([calls.Owed(webhook.pk, customer, occasion, ENTERED, data) for customer in customers])
    return list(Call.objects.filter(webhook=webhook, occasion=occasion).order_by("customer_id"))


def let_waits_end() -> None:
    """As if all that waits for another try had waited long enough."""
    Call.objects.filter(state=State.PENDING).update(due_at=F("due_at") - timedelta(days=2))
    Receiver.objects.filter(paused_until__isnull=False).update(paused_until=F("paused_until") - timedelta(days=2))


def test_an_occasion_is_owed_once() -> None:
    webhook, other = make_webhook(), make_webhook("erp")
    first = owe(webhook, 1, 2)
    assert owe(webhook, 2, 1) == first
    assert (
        calls.owe([calls.Owed(webhook.pk, 3, "eco@1", ENTERED, {}), calls.Owed(webhook.pk, 3, "eco@1", "x", {})]) == 1
    )
    assert len(owe(other, 1)) == 1
    assert len(owe(webhook, 1, occasion="eco@2")) == 1
    assert calls.owe([]) == 0


def test_ids_are_uuids_of_version_7_so_that_they_sort_by_time() -> None:
    [call] = owe(make_webhook(), 1)
    assert isinstance(call.pk, UUID)
    assert call.pk.version == 7


def test_a_claim_counts_the_attempt_and_holds_a_lease() -> None:
    owe(make_webhook(), 1)
    [call] = calls.claim(10)
    assert (call.state, call.attempts, call.webhook.key) == (State.CALLING, 1, "crm")
    assert call.lease_until is not None
    assert call.tried_at is not None
    assert call.lease_until - call.tried_at == timedelta(seconds=calls.LEASE_SECONDS)
    assert calls.claim(10) == []


@pytest.mark.django_db(transaction=True)
def test_it_refuses_to_claim_inside_a_transaction() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError):
        calls.claim(1)


def test_what_is_not_due_or_switched_off_waits() -> None:
    later, off = make_webhook("later"), make_webhook("off", active=False)
    owe(off, 1)
    owe(later, 2)
    Call.objects.filter(webhook=later).update(due_at=F("due_at") + timedelta(hours=1))
    assert calls.claim(10) == []
    Webhook.objects.update(active=True)
    assert [call.webhook.key for call in calls.claim(10)] == ["off"]


def test_one_webhook_gets_its_few_places_and_the_others_theirs() -> None:
    busy, quiet = make_webhook("busy"), make_webhook("quiet")
    owe(busy, *range(100))
    owe(quiet, 1)
    claimed = [call.webhook.key for call in calls.claim(50)]
    assert (claimed.count("busy"), claimed.count("quiet")) == (calls.AT_ONCE, 1)
    assert calls.claim(50) == [], "those in flight count"
    done = Call.objects.filter(webhook=busy, state=State.CALLING).first()
    assert done is not None
    assert calls.settle_taken([(done, TAKEN)]) == 1
    assert len(calls.claim(50)) == 1


def test_the_oldest_goes_first_whoever_it_is_for() -> None:
    one, other = make_webhook("one"), make_webhook("other")
    [young], [old] = owe(one, 1), owe(other, 1)
    Call.objects.filter(pk=old.pk).update(due_at=F("due_at") - timedelta(minutes=1))
    assert [calls.claim(1)[0].pk for _ in range(2)] == [old.pk, young.pk]


def test_what_was_answered_is_written_down() -> None:
    owe(make_webhook(), 1)
    [call] = calls.claim(1)
    assert calls.settle(call, Answer(503, "busy\0\ud800" + "z" * 9000), Next(State.PENDING, 60, "Answered 503." * 99))
    call.refresh_from_db()
    assert (call.state, call.status, call.lease_until) == (State.PENDING, 503, None)
    assert (call.answer[:5], len(call.answer), len(call.problem)) == ("busy?", 2000, 500)
    assert call.tried_at is not None
    assert call.due_at - call.tried_at > timedelta(seconds=59)


def test_a_caller_who_was_too_slow_moves_nothing_but_what_was_taken() -> None:
    owe(make_webhook(), 1)
    [slow] = calls.claim(1, lease_seconds=-1)
    assert calls.recover() == 1
    [fast] = calls.claim(1)
    assert not calls.settle(slow, Answer(500), Next(State.PENDING, 5, "x"))
    assert calls.settle_taken([(slow, TAKEN)]) == 1, "it was taken: nobody need call again"
    assert not calls.settle(fast, Answer(500), Next(State.PENDING, 5, "x"))
    assert Call.objects.get().state == State.DONE


def test_what_dead_callers_left_is_called_again_with_the_same_id_and_at_last_given_up() -> None:
    [call] = owe(make_webhook(), 1)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        assert [(one.pk, one.attempts) for one in calls.claim(1, lease_seconds=-1)] == [(call.pk, attempt)]
        assert calls.recover() == 1
    call.refresh_from_db()
    assert (call.state, call.problem) == (State.DEAD, "Given up: its caller stopped 12 times.")


def test_failures_in_a_row_pause_a_webhook_and_then_one_call_tries() -> None:
    webhook = make_webhook()
    pauses = [calls.note_failed(webhook.pk) for _ in range(calls.FAILURES + 3)]
    assert [pause for pause in pauses if pause] == [timedelta(seconds=30)], "those in flight make it no longer"
    owe(webhook, *range(10))
    assert calls.claim(10) == []
    let_waits_end()
    assert len(calls.claim(10)) == 1
    assert calls.claim(10) == []
    assert calls.note_failed(webhook.pk) == timedelta(seconds=60)
    calls.note_taken(webhook.pk)
    assert len(calls.claim(20)) == calls.AT_ONCE - 1
    assert Receiver.objects.get().failing_since is None


def test_pauses_have_an_end() -> None:
    webhook = make_webhook()
    for _ in range(40):
        Receiver.objects.update(paused_until=None)
        pause = calls.note_failed(webhook.pk)
    assert pause == timedelta(seconds=calls.LONGEST_PAUSE)


def test_a_webhook_that_is_gone_is_switched_off_with_a_notice() -> None:
    webhook = make_webhook()
    calls.note_failed(webhook.pk)
    calls.switch_off(webhook.pk, "gone")
    webhook.refresh_from_db()
    assert (webhook.active, webhook.receiver.notice) == (False, "gone")


def test_the_dead_are_called_again_with_all_their_attempts_and_others_left_alone() -> None:
    webhook = make_webhook()
    dead, done = owe(webhook, 1, 2)
    Call.objects.filter(pk=dead.pk).update(state=State.DEAD, attempts=12, problem="x", status=500)
    Call.objects.filter(pk=done.pk).update(state=State.DONE, attempts=1)
    assert calls.call_again(Call.objects.all()) == 1
    assert [(call.pk, call.attempts) for call in calls.claim(10)] == [(dead.pk, 1)]


def test_the_old_is_given_up_or_forgotten() -> None:
    webhook = make_webhook()
    waiting, done, dead, fresh = owe(webhook, 1, 2, 3, 4)
    Call.objects.filter(pk=waiting.pk).update(due_at=F("due_at") - timedelta(days=5))
    Call.objects.filter(pk=done.pk).update(state=State.DONE, done_at=F("created_at") - timedelta(days=31))
    Call.objects.filter(pk=dead.pk).update(state=State.DEAD, due_at=F("due_at") - timedelta(days=91))
    assert calls.age_out() == 2
    assert set(Call.objects.values_list("pk", "state")) == {(waiting.pk, State.DEAD), (fresh.pk, State.PENDING)}


@pytest.mark.django_db(transaction=True)
def test_only_one_makes_calls_at_a_time_and_a_claim_passes_by_what_another_holds() -> None:
    webhook = make_webhook()
    owe(webhook, 1, 2)
    seen: list[object] = []

    def other() -> None:
        with calls.alone() as mine:
            seen.append(mine)
        seen.append([call.customer_id for call in calls.claim(10)])
        connections.close_all()

    with calls.alone() as mine, transaction.atomic():
        assert mine
        Call.objects.select_for_update().get(customer_id=1)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(20)
    assert seen == [False, [2]]
    with calls.alone() as again:
        assert again
