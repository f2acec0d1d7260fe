"""What everybody's facts hold: nothing is judged by what only some still have, however quickly things are changed."""

from datetime import datetime, timedelta

import pytest

from campaigns.models import Call, Campaign, Message, Reaction, Webhook
from decisioning.customers import profile
from decisioning.customers.facts import defining, holding
from decisioning.customers.intake.ingest import store
from decisioning.customers.models import Customer, CustomFact, FactVocabulary, Merge
from decisioning.flows import enlist, refresh, standing, unite
from decisioning.flows.define import renew
from decisioning.flows.judge import judge, recheck
from decisioning.flows.react import react
from decisioning.store import catalogue
from rules.models import Membership, Recompute, Segment

from ..customers.test_ingest import checked
from .test_react import order

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
HISTORY = 'COUNT("Order Completed") IN LAST 46 DAYS'


def publish(fact: CustomFact, text: str, at: datetime) -> None:
    """As the admin does it, and the worker after it."""
    CustomFact.objects.filter(pk=fact.pk).update(text=text)
    fact.refresh_from_db()
    judged = defining.find(text, fact.name, catalogue.current())
    assert defining.publish(fact, None, at, judged, "", ())
    renew(fact.pk)


@pytest.fixture
def often(now: datetime) -> Segment:
    """Who has two orders in 46 days; computed for everybody."""
    store([order("m-1", now, "a"), order("m-2", now, "a"), order("m-3", now, "b")], now)
    react(now)
    segment = Segment.objects.create(key="often", name="Often", condition=f"{HISTORY} >= 2")
    refresh.refresh_all(now)
    assert Membership.objects.filter(segment=segment, left_at__isnull=True).count() == 1
    return segment


def members(segment: Segment) -> int:
    return Membership.objects.filter(segment=segment, left_at__isnull=True).count()


def test_a_fact_that_gets_its_former_text_back_waits_for_everybody_to_be_computed(now: datetime) -> None:
    store([order("m-1", now, "a")], now)
    react(now)
    fact = CustomFact.objects.create(name="mine", label="Mine", text="x")
    publish(fact, HISTORY, now)
    segment = Segment.objects.create(key="s", name="S", condition="mine >= 1")
    refresh.refresh_all(now)
    recheck(now)
    assert members(segment) == 1
    for minute, text in enumerate((HISTORY.replace("46", "45"), HISTORY), start=1):
        publish(fact, text, now + timedelta(minutes=minute))
    assert recheck(now) == 0 and judge([segment.pk], now).computed == ()
    assert profile.missing_histories() == {defining.published().facts[0].mark}
    assert members(segment) == 1
    refresh.refresh_all(now + timedelta(minutes=3))
    assert members(segment) == 1
    assert not Membership.objects.filter(left_at__isnull=False).exists()


def test_a_segment_that_was_off_waits_for_who_was_handled_meanwhile(now: datetime, often: Segment) -> None:
    Segment.objects.filter(pk=often.pk).update(active=False)
    store([checked("p-1", now, "a", type="page", name="Home", properties="{}")], now)
    react(now)
    assert HISTORY not in profile.held_histories()
    Segment.objects.filter(pk=often.pk).update(active=True)
    assert judge([often.pk], now).computed == ()
    assert recheck(now) == 0
    refresh.refresh_all(now)
    assert members(often) == 1
    assert not Membership.objects.filter(left_at__isnull=False).exists()


def test_a_refresh_that_runs_meanwhile_does_not_bring_it_back(now: datetime, often: Segment) -> None:
    run = refresh.begin(now, "test")
    assert HISTORY in Recompute.objects.get(pk=run).holds["marks"]
    Segment.objects.filter(pk=often.pk).update(active=False)
    store([checked("p-1", now, "a", type="page", name="Home", properties="{}")], now)
    react(now)
    Segment.objects.filter(pk=often.pk).update(active=True)
    for bucket in range(refresh.BUCKETS):
        refresh.refresh_bucket(run, bucket, now)
    assert HISTORY not in profile.held_histories()


def test_what_is_still_asked_for_stays_held_and_costs_no_write(now: datetime, often: Segment) -> None:
    before = FactVocabulary.objects.latest("pk")
    standing.forget()
    standing.standing()
    assert FactVocabulary.objects.latest("pk").histories == before.histories
    assert not holding.let_go(lambda _: True)


def test_the_event_that_a_condition_reads_is_the_reason(now: datetime) -> None:
    """Not the one that happened to come last in the same batch."""
    for key, condition in (("buyers", "orders_30d >= 1"), ("often", f"{HISTORY} >= 1"), ("here", "visits_30d >= 1")):
        Segment.objects.create(key=key, name=key.title(), condition=condition, refreshed_at=now)
    store([order("m-1", now, "a"), checked("p-1", now, "a", type="page", name="Thank you", properties="{}")], now)
    react(now)
    why = dict(Membership.objects.values_list("segment__key", "entered_by"))
    assert why == {
        "buyers": "Order Completed (m-1)",
        "often": "Order Completed (m-1)",
        "here": "page “Thank you” (p-1)" if "“" in why["here"] else why["here"],
    }
    assert "p-1" in why["here"]


def test_the_first_import_of_a_list_triggers_nothing_however_long_the_list_waited(now: datetime) -> None:
    store([order("m-1", now, "a"), order("m-2", now, "b")], now)
    react(now)
    segment = Segment.objects.create(key="vip", name="VIP", kind=Segment.Kind.LIST)
    Campaign.objects.create(key="hi", name="Hi", trigger="segment", segment=segment, subject="s", body="b")
    enlist.follow([segment.pk], now)  # as after it was saved
    enlist.change(segment.pk, "replace", [("user_id", "a")], "file", now)
    assert (members(segment), Message.objects.count()) == (1, 0)
    enlist.change(segment.pk, "add", [("user_id", "b")], "file", now)
    assert (members(segment), Message.objects.count()) == (2, 1)


def test_who_is_two_again_is_told_to_nobody(now: datetime) -> None:
    hook = Webhook.objects.create(key="crm", name="CRM", url="https://crm.example/hook")
    segment = Segment.objects.create(key="heavy", name="Heavy", condition="orders >= 2", refreshed_at=now)
    for moment in Reaction.Moment.values:
        Reaction.objects.create(segment=segment, moment=moment, kind=Reaction.Kind.WEBHOOK, webhook=hook)
    store([order("m-1", now, "a"), order("m-2", now, "b")], now)
    react(now)
    one, other = (Customer.objects.get(key=key).pk for key in "ab")
    unite.merge(one, other, None, now)
    owed = Call.objects.count()
    unite.undo(Merge.objects.get().pk, None, now + timedelta(minutes=1))
    assert (members(segment), Call.objects.count()) == (0, owed)
