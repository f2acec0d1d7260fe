"""What follows an event: facts, segments, campaigns and profiles, once, whatever happens in between."""

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

import pytest
import redis
from django.core.exceptions import ValidationError

from campaigns.models import Campaign, Message
from decisioning.customers import profile
from decisioning.customers.facts import streams
from decisioning.customers.intake import pending
from decisioning.customers.intake.ingest import store
from decisioning.customers.models import Customer, DeadLetter, Event, Identity, Pending, State
from decisioning.flows import react as reacting
from decisioning.flows.judge import judge
from decisioning.flows.react import handle_suspects, react
from decisioning.flows.refresh import refresh_all
from decisioning.store import catalogue, connection, profiles, publishing
from rules import rulebook
from rules.models import Membership, Rule, Segment

from ..customers.test_ingest import checked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
HOUR = timedelta(hours=1)
ORDER = '{"total": 30.0, "products": [{"department": "Produce", "price": 30.0, "quantity": 1}]}'


def order(message_id: str, now, user: str = "u", **more):
    return checked(message_id, now, user, name="Order Completed", properties=ORDER, **more)


@pytest.fixture
def buyers(now) -> Segment:
    """Everybody with an order; computed once, so that later arrivals enter it."""
    segment = Segment.objects.create(key="buyers", name="Buyers", condition="orders_30d >= 1", refreshed_at=now)
    Campaign.objects.create(key="hello", name="Hello", trigger="segment", segment=segment, subject="s", body="b")
    Campaign.objects.create(
        key="thanks", name="Thanks", trigger="event", event_name="Order Completed", subject="s", body="b"
    )
    return segment


def test_an_order_updates_facts_segments_campaigns_and_the_published_profile(now, buyers):
    store([order("m-1", now)], now)
    done = react(now)
    assert (done.customers, done.events, done.entered, done.messages) == (1, 1, 1, 2)
    customer = Customer.objects.get()
    assert (customer.facts["orders_30d"], customer.facts["spend_30d"]) == (1, 30.0)
    profile = profiles.Profiles(connection.patient()).find("customer_id", "u", "x").profile
    assert (profile.segments, profile.facts["orders_30d"], profile.version) == (("buyers",), 1, 1)
    assert set(Message.objects.values_list("campaign__key", flat=True)) == {"hello", "thanks"}


def test_handled_events_are_not_handled_again(now, buyers):
    store([order("m-1", now)], now)
    react(now)
    assert react(now) == reacting.Reacted()
    assert Message.objects.count() == 2


def test_a_kill_before_the_commit_repeats_the_batch_without_a_second_message(now, buyers, monkeypatch):
    store([order("m-1", now)], now)

    def killed(*args, **more):
        raise redis.ConnectionError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(publishing, "put", killed)
        with pytest.raises(redis.ConnectionError):
            react(now)
    assert not Message.objects.exists()
    assert (Pending.objects.count(), State.objects.count()) == (1, 0)
    react(now)
    assert (Message.objects.count(), Customer.objects.get().facts["orders_30d"]) == (2, 1)
    assert not Pending.objects.exists()


@pytest.fixture
def poison(monkeypatch) -> Callable[[], AbstractContextManager[None]]:
    """Events named “Poison” fail while they are folded."""
    real = streams.take_in

    def take_in(stream, events, *rest):
        if any(event.name == "Poison" for event in events):
            raise ValueError("poison")
        real(stream, events, *rest)

    @contextmanager
    def poisoned():
        with monkeypatch.context() as broken:
            broken.setattr(streams, "take_in", take_in)
            yield

    return poisoned


def test_an_event_that_cannot_be_handled_is_set_aside_and_its_neighbours_are_handled(now, buyers, poison):
    bad = checked("bad", now, "one", name="Poison")
    store([order("m-1", now, "one"), bad, order("m-2", now, "one"), order("m-3", now, "two")], now)
    with poison():
        react(now)
        assert react(now) == reacting.Reacted(), "what was set aside is not tried at every tick"
    aside = Pending.objects.get()
    assert (aside.event_id, aside.problem) == (Event.objects.get(message_id="bad").id, "ValueError('poison')")
    orders = {customer.key: customer.facts["orders"] for customer in Customer.objects.all()}
    assert orders == {"one": 2, "two": 1}
    letter = DeadLetter.objects.get()
    assert (letter.stage, letter.event_id) == ("handling", aside.event_id)


def test_what_was_set_aside_counts_once_it_is_tried_again(now, buyers, poison):
    store([order("m-1", now), checked("bad", now, name="Poison"), order("m-2", now)], now)
    with poison():
        react(now)
    refresh_all(now)
    assert State.objects.get().events == 2, "a refresh does not count what was never handled"
    Pending.objects.update(problem="", attempts=0)
    react(now)
    assert (State.objects.get().events, Pending.objects.count()) == (3, 0)


def test_many_that_cannot_be_handled_starve_nobody(now, buyers, poison):
    store([checked(f"p-{n}", now, f"poison-{n}", name="Poison") for n in range(20)], now)
    store([order("m", now, "fine")], now)
    with poison():
        for _ in range(10):
            react(now, limit=5)
    assert set(Pending.objects.values_list("problem", flat=True)) == {"ValueError('poison')"}
    assert Pending.objects.count() == 20
    assert Customer.objects.get(key="fine").facts["orders"] == 1


def test_an_event_that_kills_its_consumer_is_tried_alone_and_then_set_aside(now, buyers):
    store([order("m-1", now, "one"), order("m-2", now, "two")], now)
    killer = Event.objects.get(message_id="m-1").id
    Pending.objects.filter(event_id=killer).update(attempts=pending.SUSPECTED)
    assert react(now).events == 1, "the others go on without it"
    Pending.objects.filter(event_id=killer).update(attempts=pending.HOPELESS)
    handle_suspects(now)
    assert "consumer died" in Pending.objects.get().problem
    Pending.objects.update(problem="", attempts=pending.SUSPECTED)
    handle_suspects(now)
    assert not Pending.objects.exists(), "alone it was harmless"


def test_historical_events_trigger_nothing(now, buyers):
    store([order("m-1", now, historical=True)], now)
    react(now)
    assert list(Message.objects.values_list("campaign__key", flat=True)) == ["hello"]


def test_bots_trigger_nothing_count_nowhere_and_tell_nothing_about_who_is_who(now, buyers):
    store([order("m-1", now, anonymous="a", bot=True)], now)
    assert react(now).events == 1
    assert not Message.objects.exists()
    assert (Customer.objects.get().facts["orders"], Identity.objects.count()) == (0, 1)
    refresh_all(now)
    assert Customer.objects.get().facts["orders"] == 0


def test_an_audience_keeps_others_out(now, buyers):
    Campaign.objects.filter(key="thanks").update(audience="orders_30d >= 2")
    store([order("m-1", now)], now)
    react(now)
    store([order("m-2", now)], now)
    react(now)
    assert list(Message.objects.filter(campaign__key="thanks").values_list("trigger_key", flat=True)) == ["m-2"]


def test_leaving_and_entering_again_are_two_stays(now, buyers):
    store([order("m-1", now)], now)
    react(now)
    Segment.objects.update(condition="orders_30d >= 2")
    store([checked("m-2", now)], now)
    assert react(now).left == 1
    store([order("m-3", now)], now)
    assert react(now).entered == 1
    stays = Membership.objects.order_by("entered_at")
    assert [stay.left_at is None for stay in stays] == [False, True]


def test_who_is_in_a_segment_when_it_is_first_computed_did_not_enter_it(now):
    store([order("m-1", now)], now)
    react(now)
    segment = Segment.objects.create(key="new", name="New", condition="orders_30d >= 1")
    Campaign.objects.create(key="hello", name="Hello", trigger="segment", segment=segment, subject="s", body="b")
    assert judge([segment.pk], now).entered == ()
    segment.refresh_from_db()
    assert (segment.size, segment.refreshed_at, Message.objects.count()) == (1, now, 0)


def test_refreshing_everybody_gives_what_single_events_gave(now, buyers):
    store([order("m-1", now, "a"), order("m-2", now, "b"), checked("m-3", now, "c")], now)
    react(now)
    refresh_all(now)  # learns the vocabulary, which adds facts by department
    before = dict(Customer.objects.values_list("key", "facts"))
    State.objects.all().delete()
    refresh_all(now)
    assert dict(Customer.objects.values_list("key", "facts")) == before
    assert before["a"]["share_produce"] == 1.0


def test_segments_may_name_clusters_and_segments_computed_before(now, buyers):
    store([order("m-1", now)], now)
    react(now)
    nested = Segment.objects.create(
        key="nested", name="Nested", condition='IN SEGMENT "buyers" AND customer_segment = "Buyers"'
    )
    judge([nested.pk], now)
    nested.refresh_from_db()
    assert nested.size == 1


HISTORY = 'COUNT("Order Completed" WHERE total > 20) IN LAST 7 DAYS'


def test_a_history_that_a_segment_asks_for_becomes_a_fact_and_fills_it(now):
    store([order("m-1", now, "often"), order("m-2", now, "often"), order("m-3", now, "once")], now)
    react(now)
    refresh_all(now)
    segment = Segment.objects.create(key="often", name="Often", condition=f"{HISTORY} >= 2")
    assert profile.missing_histories() == {HISTORY}
    assert judge([segment.pk], now).computed == (), "nobody has the fact yet"
    refresh_all(now)
    segment.refresh_from_db()
    assert (segment.size, profile.missing_histories()) == (1, set())
    assert Customer.objects.get(key="often").facts[HISTORY] == 2


def test_histories_of_a_published_rule_follow_every_event_and_are_seen_by_decisions(site, now):
    store([order("m-1", now, "c-1")], now)
    rule = Rule.objects.create(key="often", name="Often", text=f'IF {HISTORY} >= 2 THEN HIDE "apple"')
    rulebook.publish(rule, None, catalogue.current())
    site.publish()
    react(now)
    assert len(site.decide()["placements"][0]["items"]) == 2
    store([order("m-2", now, "c-1")], now)
    react(now)
    assert [item["id"] for item in site.decide()["placements"][0]["items"]] == ["banana"]


def test_first_and_last_of_mixed_types_are_kept_as_what_they_are(now):
    Segment.objects.create(key="s", name="S", condition="LAST(Clicked.what) IS PRESENT")
    store(
        [checked("a", now, "one", properties='{"what": 5}'), checked("b", now, "two", properties='{"what": "x"}')], now
    )
    react(now)
    facts = dict(Customer.objects.values_list("key", "facts"))
    assert (facts["one"]["LAST(Clicked.what)"], facts["two"]["LAST(Clicked.what)"]) == (5, "x")


def test_an_event_nobody_ever_sent_is_a_mistake_in_a_rule(now):
    store([order("m-1", now)], now)
    with pytest.raises(ValidationError, match="Order Completed"):
        rulebook.validate('IF COUNT("Order Completd") > 1 THEN STOP', catalogue.current())


def test_somebody_only_ever_met_beside_a_user_id_is_known_to_decisions(now):
    store([checked("m-1", now, "u", "a")], now)
    react(now)
    store([checked("m-2", now, "u", "b")], now)
    react(now)
    found = profiles.Profiles(connection.patient())
    assert [found.find("anonymous_id", one, "x").profile.key for one in "ab"] == ["u", "u"]


def test_an_older_event_that_arrives_late_moves_what_chances_draw_by(now):
    store([checked("m-1", now, None, "a"), checked("m-2", now - HOUR, "u"), checked("m-3", now, "u", "a")], now)
    react(now)
    assert Customer.objects.get(key="u").unit == ""
    store([checked("m-0", now - 2 * HOUR, None, "a")], now)
    react(now)
    assert Customer.objects.get(key="u").unit == "anonymous:a"


def test_the_first_own_event_of_somebody_who_was_met_already_moves_what_chances_draw_by(now):
    store([checked("m-1", now, "u", "a")], now)
    react(now)
    store([checked("m-0", now - HOUR, None, "a")], now)
    react(now)
    assert Customer.objects.get(key="u").unit == "anonymous:a"


def test_an_event_that_arrived_after_the_consumer_looked_at_the_clock_counts_at_once(now):
    store([order("m-1", now + timedelta(milliseconds=5))], now)
    react(now)
    assert Customer.objects.get().facts["orders"] == 1
