"""What follows when a customer enters or leaves a segment: campaigns, calls of webhooks and traits, each once."""

from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import transaction

from campaigns.models import Call, Campaign, Message, Reaction, Webhook
from decisioning.customers.intake.ingest import store
from decisioning.customers.models import Customer, Event, Identity, Pending
from decisioning.flows import tell, trigger
from decisioning.flows.judge import judge
from decisioning.flows.react import react
from decisioning.flows.refresh import refresh_all
from decisioning.flows.standing import standing
from decisioning.store import publishing
from rules.models import Membership, Segment
from rules.segments import Moves

from ..customers.test_ingest import checked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
ORDER = '{"total": 30.0, "products": [{"department": "Produce", "price": 30.0, "quantity": 1}]}'
SECOND = timedelta(seconds=1)
ENTRY, EXIT = Reaction.Moment.ENTRY, Reaction.Moment.EXIT


def order(message_id: str, now: Any, user: str = "u", **more: Any) -> Any:
    return checked(message_id, now, user, name="Order Completed", properties=ORDER, **more)


@pytest.fixture
def firsts(now: Any) -> Segment:
    """Everybody with exactly one order: the first order enters it, the second leaves it."""
    return Segment.objects.create(key="firsts", name="First orders", condition="orders = 1", refreshed_at=now)


@pytest.fixture
def webhook() -> Webhook:
    return Webhook.objects.create(key="crm", name="CRM", url="https://hooks.example/", secret="whsec_c2VjcmV0")


def calling(segment: Segment, webhook: Webhook, moment: str = ENTRY) -> Reaction:
    return Reaction.objects.create(segment=segment, moment=moment, kind="webhook", webhook=webhook)


def setting(segment: Segment, trait: str, value: Any, moment: str = ENTRY) -> Reaction:
    return Reaction.objects.create(segment=segment, moment=moment, kind="trait", trait=trait, value=value)


def traits(key: str = "u") -> dict[str, Any]:
    return Customer.objects.get(key=key).traits


def enter_and_leave(now: Any) -> None:
    for number in range(2):
        store([order(f"m-{number}", now + number * SECOND)], now + number * SECOND)
        react(now + number * SECOND)


def test_a_campaign_may_wait_for_those_who_leave(now: Any, firsts: Segment) -> None:
    for key, audience in (("bye", ""), ("bye-few", "orders >= 9"), ("bye-two", "orders = 2")):
        Campaign.objects.create(
            key=key, name=key, trigger="exit", segment=firsts, audience=audience, subject="s", body="b"
        )
    store([order("m-0", now)], now)
    assert react(now).messages == 0
    store([order("m-1", now + SECOND)], now + SECOND)
    assert react(now + SECOND).messages == 2, "the audience is asked about who they are now"
    keys = dict(Message.objects.values_list("campaign__key", "trigger_key"))
    assert keys == dict.fromkeys(("bye", "bye-two"), "firsts@2018-01-01T12:00:01.000000Z left")


def test_entering_and_leaving_call_the_webhooks_that_wait_for_it(now: Any, firsts: Segment, webhook: Webhook) -> None:
    other = Webhook.objects.create(key="erp", name="ERP", url="https://erp.example/", secret="whsec_c2VjcmV0")
    calling(firsts, webhook)
    calling(firsts, webhook, EXIT)
    calling(firsts, other, EXIT)
    enter_and_leave(now)
    found = list(Call.objects.order_by("created_at", "webhook__key").values_list("webhook__key", "type", "occasion"))
    assert found == [
        ("crm", "customer.segment.entered", "firsts@2018-01-01T12:00:00.000000Z"),
        ("crm", "customer.segment.left", "firsts@2018-01-01T12:00:01.000000Z left"),
        ("erp", "customer.segment.left", "firsts@2018-01-01T12:00:01.000000Z left"),
    ]
    data = Call.objects.get(type="customer.segment.entered").data
    assert data["customer"] == {"id": "u"}
    assert data["segment"] == {"key": "firsts", "name": "First orders"}
    assert data["at"] == "2018-01-01T12:00:00Z"
    assert data["reason"]["how"] == "event"
    assert "Order Completed" in data["reason"]["by"]


def test_a_reaction_that_is_switched_off_does_nothing(now: Any, firsts: Segment, webhook: Webhook) -> None:
    calling(firsts, webhook)
    setting(firsts, "new", True)
    Reaction.objects.update(active=False)
    enter_and_leave(now)
    assert not Call.objects.exists()
    assert traits() == {}


def test_the_first_finding_of_members_is_no_entry(now: Any, firsts: Segment, webhook: Webhook) -> None:
    calling(firsts, webhook)
    setting(firsts, "new", True)
    Segment.objects.update(refreshed_at=None)
    store([order("m-0", now)], now)
    react(now)
    refresh_all(now)
    assert Membership.objects.count() == 1
    assert not Call.objects.exists()
    assert not Event.objects.filter(type="identify").exists()


def test_a_refresh_owes_what_time_has_brought(now: Any, webhook: Webhook) -> None:
    lately = Segment.objects.create(key="lately", name="Lately", condition="orders_7d >= 1", refreshed_at=now)
    calling(lately, webhook, EXIT)
    store([order("m-0", now)], now)
    react(now)
    refresh_all(now + timedelta(days=8))
    assert [call.type for call in Call.objects.all()] == ["customer.segment.left"]
    refresh_all(now + timedelta(days=8))
    refresh_all(now + timedelta(days=9))
    assert Call.objects.count() == 1


def test_an_edited_condition_is_followed_too(now: Any, firsts: Segment, webhook: Webhook) -> None:
    calling(firsts, webhook, EXIT)
    setting(firsts, "new", True)
    store([order("m-0", now, "one"), order("m-1", now, "two"), order("m-2", now, "two")], now)
    react(now)
    Segment.objects.update(condition="orders = 2")
    judge([firsts.pk], now + SECOND)
    left = Call.objects.get()
    assert (left.data["customer"]["id"], left.data["reason"]["how"]) == ("one", "edit")
    told_of = [event.identity.value for event in Event.objects.filter(type="identify").order_by("timestamp")]
    assert told_of == ["one", "two"], "one entered when they came, two by the edit"


def test_a_kill_before_the_commit_repeats_the_batch_and_owes_once(
    now: Any, firsts: Segment, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    calling(firsts, webhook)
    setting(firsts, "new", True)
    store([order("m-0", now)], now)

    def killed(*args: Any, **more: Any) -> None:
        raise redis.ConnectionError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(publishing, "put", killed)
        with pytest.raises(redis.ConnectionError):
            react(now)
    assert not Call.objects.exists()
    assert not Event.objects.filter(type="identify").exists()
    react(now + SECOND)
    assert Call.objects.count() == 1
    assert Event.objects.filter(type="identify").count() == 1


def test_the_same_move_handled_twice_is_owed_once(now: Any, firsts: Segment, webhook: Webhook) -> None:
    calling(firsts, webhook)
    setting(firsts, "new", True)
    store([order("m-0", now)], now)
    react(now)
    customer = Customer.objects.get().pk
    moves = Moves(((firsts.pk, customer),), ())
    for _ in range(2):
        due = trigger.reactions(moves, now, standing())
        assert (len(due.owed), len(due.traits), due.held_back) == (1, 1, 0)
        with transaction.atomic():
            trigger.keep(due, now)
    assert Call.objects.count() == 1
    assert Event.objects.filter(type="identify").count() == 1


def test_a_trait_is_told_through_the_log_and_counts_like_any_other(now: Any, firsts: Segment) -> None:
    setting(firsts, "stage", {"name": "first", "rank": 1})
    setting(firsts, "stage", None, EXIT)
    store([order("m-0", now)], now)
    react(now)
    told = Event.objects.get(type="identify")
    assert (told.source, told.properties, told.timestamp) == (
        "segment firsts",
        {"stage": {"name": "first", "rank": 1}},
        now,
    )
    assert (told.historical, told.bot) == (False, False)
    assert Pending.objects.filter(event_id=told.pk).exists(), "the consumer takes it as any event"
    react(now)
    assert traits() == {"stage": {"name": "first", "rank": 1}}
    store([order("m-1", now + SECOND)], now + SECOND)
    react(now + SECOND)
    react(now + SECOND)
    assert traits() == {"stage": None}


def test_a_trait_is_told_of_the_strongest_identifier(now: Any, firsts: Segment) -> None:
    setting(firsts, "new", True)
    store([order("m-0", now, "u", anonymous="a")], now)
    react(now)
    told = Event.objects.get(type="identify")
    assert (told.identity.kind, told.identity.value) == ("user_id", "u")
    assert Identity.objects.count() == 2


def test_a_trait_moves_customers_into_what_reads_it(now: Any, firsts: Segment, webhook: Webhook) -> None:
    store([checked("i", now, "other", type="identify", name="identify", properties='{"stage": "x"}')], now)
    react(now)
    refresh_all(now)
    reader = Segment.objects.create(key="reader", name="Reader", condition='stage = "first"', refreshed_at=now)
    calling(reader, webhook)
    setting(firsts, "stage", "first")
    store([order("m-0", now)], now)
    react(now)
    react(now)
    assert [call.occasion.split("@")[0] for call in Call.objects.all()] == ["reader"]


def swing(now: Any, customer: int, segment: Segment, times: int) -> Any:
    """So many entries and exits, a second each; the moment after."""
    for _ in range(times):
        for entered in (True, False):
            pair = ((segment.pk, customer),)
            with transaction.atomic():
                if entered:
                    Membership.objects.create(
                        segment=segment, customer_id=customer, entered_at=now, entered_how="event"
                    )
                else:
                    stays = Membership.objects.filter(segment=segment, customer_id=customer, left_at=None)
                    stays.update(left_at=now, left_how="event")
                moves = Moves(pair, ()) if entered else Moves((), pair)
                trigger.keep(trigger.reactions(moves, now, standing()), now)
            now += SECOND
    return now


def told(value: Any) -> int:
    return sum(event.properties == {"in": value} for event in Event.objects.filter(type="identify"))


def test_a_trait_that_goes_round_is_held_back_counted_and_its_last_word_told_later(now: Any, firsts: Segment) -> None:
    enters, leaves = setting(firsts, "in", True), setting(firsts, "in", False, EXIT)
    store([checked("m", now)], now)
    react(now)
    customer = Customer.objects.get().pk
    end = swing(now, customer, firsts, tell.MOST_TOLD + 5)
    assert (told(True), told(False)) == (tell.MOST_TOLD, tell.MOST_TOLD)
    assert tell.held_back(enters, end) == tell.held_back(leaves, end) == tell.Held(5, 1)
    assert tell.catch_up([enters, leaves], end) == 0, "still too restless"

    later = end + tell.WITHIN
    assert tell.held_back(enters, later) == tell.Held()
    assert tell.catch_up([enters, leaves], later) == 2
    assert tell.catch_up([enters, leaves], later) == 0
    react(later)
    assert Customer.objects.get().traits == {"in": False}
    last = Event.objects.filter(type="identify").latest("timestamp")
    assert last.timestamp == end - SECOND, "as of the move, so that it hides nothing told since"
    swing(later, customer, firsts, 1)
    assert told(True) == tell.MOST_TOLD + 2


def test_one_restless_customer_holds_nobody_else_back(now: Any, firsts: Segment) -> None:
    setting(firsts, "in", True)
    store([checked("m-1", now, "one"), checked("m-2", now, "two")], now)
    react(now)
    one, two = Customer.objects.order_by("key").values_list("pk", flat=True)
    end = swing(now, one, firsts, tell.MOST_TOLD + 1)
    Membership.objects.create(segment=firsts, customer_id=two, entered_at=end)
    due = trigger.reactions(Moves(((firsts.pk, one), (firsts.pk, two)), ()), end, standing())
    assert len(due.traits) == 1
    assert due.held_back == 1


def test_what_other_customers_do_costs_nothing(now: Any, firsts: Segment, django_assert_num_queries: Any) -> None:
    moves = Moves(((firsts.pk, 1),), ())
    known = standing()
    with django_assert_num_queries(0):
        assert trigger.reactions(moves, now, known) == trigger.Obligations()
