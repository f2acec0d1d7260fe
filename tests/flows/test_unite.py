"""Customers become one and two again: by evidence, by a person, in any order, and nothing of it is lost."""

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from campaigns.models import Campaign, Message
from decisioning.customers.identity import components, meeting, merging
from decisioning.customers.identity import known as identity
from decisioning.customers.identity.family import head_of, last_word, members_of
from decisioning.customers.intake.ingest import store
from decisioning.customers.intake.tracking import Checked
from decisioning.customers.models import (
    Consent,
    Customer,
    Event,
    Identity,
    Link,
    Merge,
    Pending,
    Proposal,
    Receipt,
    State,
)
from decisioning.flows import unite
from decisioning.flows.consent import said_by
from decisioning.flows.propose import propose
from decisioning.flows.react import react, settle_merges
from decisioning.store import profiles
from decisioning.store.connection import patient
from rules.models import Membership, Segment

from ..customers.test_ingest import checked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]

KINDS = {"u": "user_id", "e": "email", "p": "phone", "d": "device_id", "a": "anonymous_id"}
STRONGEST_FIRST = "uepda"


def happened(number: int, now: datetime, *names: str, **more: Any) -> Checked:
    """The event `m-<number>`, so many minutes before now, of identifiers such as "u1" and "a2"; an order of 10.00."""
    ordered = sorted(names, key=lambda name: STRONGEST_FIRST.index(name[0]))
    fields = {
        "message_id": f"m-{number}",
        "type": "track",
        "name": "Order Completed",
        "identifiers": tuple((KINDS[name[0]], name) for name in ordered),
        "properties": '{"total": 10.0, "products": []}',
        "context": "{}",
        "timestamp": now - timedelta(minutes=1000 - number),
        "historical": False,
        "bot": False,
    }
    return Checked(**{**fields, **more})


def take(now: datetime, *events: Checked) -> None:
    """Through the door and the consumer, until nothing waits."""
    store(list(events), now)
    while react(now).events:
        pass


def whose(name: str) -> Customer:
    return Identity.objects.select_related("customer").get(value=name).customer


def people() -> dict[str, tuple[str, str, Any, frozenset[str]]]:
    """Each customer's key: what chances draw by, into whom it went, its orders, and what it is known by."""
    return {
        one.key: (
            one.unit,
            one.merged_into.key if one.merged_into else "",
            None if one.merged_into else one.facts.get("orders"),
            frozenset(one.identities.values_list("value", flat=True)),
        )
        for one in Customer.objects.select_related("merged_into")
    }


def everything() -> list[Any]:
    """All that an undo has to restore, row by row."""
    return [
        list(Customer.objects.order_by("pk").values("pk", "key", "traits", "facts", "unit", "merged_into")),
        list(Identity.objects.order_by("pk").values()),
        list(Consent.objects.order_by("pk").values()),
        list(Membership.objects.order_by("pk").values()),
        list(Event.objects.order_by("id").values("id", "identity_id")),
    ]


def known_to_requests(name: str) -> str | None:
    kind = KINDS[name[0]]
    found = profiles.Profiles(patient()).find(kind, name, "x").profile
    return found.key if found else None


def test_a_visitor_who_signs_in_brings_along_what_they_did(now):
    take(now, happened(1, now, "a1"), happened(2, now, "a1"), happened(3, now, "u1"))
    assert people() == {
        "anonymous:a1": ("", "", 2, frozenset(["a1"])),
        "u1": ("", "", 1, frozenset(["u1"])),
    }
    take(now, happened(4, now, "a1", "u1"))
    assert people()["u1"] == ("anonymous:a1", "", 4, frozenset(["a1", "u1"]))
    assert people()["anonymous:a1"][1] == "u1"
    merge = Merge.objects.get()
    assert (merge.winner.key, merge.loser.key, merge.at, merge.by) == ("u1", "anonymous:a1", now, None)
    assert merge.link.message_id == "m-4"
    assert merge.reason == f"Anonymous id a1 was first seen with user id u1 in event m-4 on {merge.link.at:%Y-%m-%d}."
    assert known_to_requests("a1") == known_to_requests("u1") == "u1"


def test_everybody_met_in_one_event_is_one_customer_from_the_start(now):
    take(now, happened(1, now, "a1", "e1", "u1"))
    # A page may have asked for decisions for a1 before anything was told: chances stay those of that visitor.
    assert people() == {"u1": ("anonymous:a1", "", 1, frozenset(["a1", "e1", "u1"]))}
    assert not Merge.objects.exists()


def test_undoing_a_merge_by_hand_restores_everything_exactly(now):
    Segment.objects.create(key="buyers", name="Buyers", condition="orders >= 1", refreshed_at=now)
    Segment.objects.create(key="heavy", name="Heavy", condition="orders >= 3", refreshed_at=now)
    boss = User.objects.create(username="boss")
    take(now, *(happened(number, now, "u1", "a1") for number in (1, 2)), happened(3, now, "u2", "e2"))
    with said_by([whose("u1").pk], now):
        Consent.objects.create(customer=whose("u1"), channel="email", granted=True, at=now, source="form")
    before = everything()
    unite.merge(whose("u1").pk, whose("u2").pk, boss.pk, now)
    assert people()["u1"][2:] == (3, frozenset(["u1", "a1", "u2", "e2"]))
    merge = Merge.objects.get()
    assert (merge.by, merge.link.how) == (boss, "person")
    # At the same moment: facts such as `tenure_days` move with time.
    unite.undo(merge.pk, boss.pk, now)
    merge.refresh_from_db()
    assert (merge.undone_at, merge.undone_by) == (now, boss)
    after = everything()
    # That together they were heavy buyers for a while stays in the winner's history.
    heavy = Membership.objects.get(segment__key="heavy")
    assert (heavy.customer, heavy.entered_at, heavy.left_at) == (whose("u1"), now, now)
    after[3] = [row for row in after[3] if row["id"] != heavy.pk]
    assert after == before
    assert (known_to_requests("u2"), known_to_requests("a1")) == ("u2", "u1")


def test_an_undone_merge_stays_undone_whatever_comes_later(now):
    take(now, happened(1, now, "a1"), happened(2, now, "u1"), happened(3, now, "a1", "u1"))
    undone = Merge.objects.get().pk
    unite.undo(undone, None, now)
    take(now, happened(4, now, "a1", "u1"), happened(5, now, "a1", "e1"), happened(6, now, "e1", "u1"))
    assert whose("a1") != whose("u1")
    assert Link.objects.get(how="event", message_id="m-6").code == "kept_apart"
    assert propose(now) == 0
    with pytest.raises(unite.NotPossible, match=r"undone on .* already"):
        unite.undo(undone, None, now)


def test_a_merge_can_be_done_again_after_its_undoing(now):
    take(now, happened(1, now, "a1"), happened(2, now, "u1"), happened(3, now, "a1", "u1"))
    merged = people()
    unite.undo(Merge.objects.get().pk, None, now)
    unite.merge(whose("a1").pk, whose("u1").pk, None, now)
    assert people() == merged
    assert Merge.objects.filter(undone_at__isnull=True).count() == 1
    with pytest.raises(unite.NotPossible, match="one customer already"):
        unite.merge(whose("a1").pk, whose("u1").pk, None, now)


def test_undoing_parts_whom_the_merge_joined_with_all_they_had(now):
    # a1 had become part of e1 before e1 became part of u1; p1 never was anybody else's.
    take(
        now, happened(1, now, "a1"), happened(2, now, "e1"), happened(3, now, "a1", "e1"), happened(4, now, "e1", "p1")
    )
    together = people()
    take(now, happened(5, now, "u1"), happened(6, now, "u1", "e1"), happened(7, now, "u1", "a1"))
    assert people()["u1"][3] == {"a1", "e1", "p1", "u1"}
    unite.undo(Merge.objects.get(winner__key="u1").pk, None, now)
    assert {key: people()[key] for key in together} == together
    assert people()["u1"][3] == {"u1"}


def test_two_user_ids_become_one_only_when_a_person_says_so(now):
    alias = {"type": "alias", "name": "alias", "properties": json.dumps({"previousId": "u2"})}
    take(now, happened(1, now, "u1"), happened(2, now, "u2"), happened(3, now, "u1", **alias))
    take(now, happened(4, now, "e1", "u1"), happened(5, now, "e1", "u2"), happened(6, now, "d1", "u1"))
    take(now, happened(7, now, "d1", "u2"), happened(8, now, "a1", "u1"), happened(9, now, "a1", "u2"))
    assert whose("u1") != whose("u2")
    assert set(Link.objects.filter(followed=False).values_list("code", flat=True)) == {
        "two_user_ids",
        "conflict",
        "shared",
        "belongs_elsewhere",
    }
    assert propose(now) == 1
    proposal = Proposal.objects.get()
    assert proposal.score == 0.95
    assert any("two user ids become one only when a person says so" in reason for reason in proposal.reasons)
    unite.decide(proposal.pk, True, None, now)
    assert whose("u1") == whose("u2") == whose("d1") == whose("a1")
    assert people()["u1"][2] == 8
    assert propose(now) == 0
    with pytest.raises(unite.NotPossible, match="decided already: merged"):
        unite.decide(proposal.pk, False, None, now)


def test_a_third_user_id_makes_a_browser_a_kiosk_and_its_merge_is_undone(now):
    take(now, happened(1, now, "a1"), happened(2, now, "u1", "a1"))
    assert whose("a1") == whose("u1")
    take(now, happened(3, now, "u2", "a1"), happened(4, now, "u3", "a1"))
    assert people()["anonymous:a1"] == ("", "", 1, frozenset(["a1"]))
    assert people()["u1"] == ("", "", 1, frozenset(["u1"]))
    assert Merge.objects.get().undone_at == now


def test_a_conflicting_claim_that_happened_earlier_takes_the_email_over(now):
    take(now, happened(5, now, "u1", "e1"))
    assert whose("e1").key == "u1"
    take(now, happened(2, now, "u2", "e1"))
    assert whose("e1").key == "u2"
    assert Link.objects.get(message_id="m-5").code == "conflict"


def test_likely_duplicates_are_proposed_and_a_no_is_remembered(now):
    same = {"type": "identify", "name": "identify"}
    take(now, happened(1, now, "u1", **same, properties='{"name": "Jane Doe", "email": "jane.doe@gmail.com"}'))
    take(
        now,
        happened(2, now, "u2", **same, properties='{"firstName": "Jane", "email": "janedoe+x@gmail.com"}'),
        happened(3, now, "u3", **same, properties='{"name": "John Roe", "address": {"street": "1 Main St"}}'),
    )
    assert propose(now) == 1
    proposal = Proposal.objects.get()
    assert (proposal.one.key, proposal.other.key) == ("u1", "u2")
    assert "dots and tags aside" in proposal.reasons[0]
    assert whose("u1") != whose("u2")
    unite.decide(proposal.pk, False, None, now)
    assert propose(now) == 0
    assert Proposal.objects.get().state == Proposal.State.DISMISSED


def test_a_proposal_that_nothing_speaks_for_any_more_goes(now):
    alias = {"type": "alias", "name": "alias", "properties": json.dumps({"previousId": "u2"})}
    take(now, happened(1, now, "u1"), happened(2, now, "u2"), happened(3, now, "u1", **alias))
    assert propose(now) == 1
    unite.merge(whose("u1").pk, whose("u2").pk, None, now)
    assert propose(now) == 0
    assert not Proposal.objects.exists()


def test_nobody_enters_a_segment_because_of_a_merge(now):
    buyers = Segment.objects.create(key="buyers", name="Buyers", condition="orders >= 1", refreshed_at=now)
    Campaign.objects.create(key="hello", name="Hello", trigger="segment", segment=buyers, subject="s", body="b")
    take(now, happened(1, now, "a1"))
    entered = Membership.objects.get().entered_at
    assert Message.objects.count() == 1
    later = now + timedelta(hours=1)
    take(later, happened(2, now, "u1", "a1", name="Clicked", properties="{}"))
    stays = {(stay.customer.key, stay.entered_at, stay.left_at) for stay in Membership.objects.all()}
    assert stays == {("anonymous:a1", entered, later), ("u1", entered, None)}
    assert Message.objects.count() == 1
    unite.undo(Merge.objects.get().pk, None, later + timedelta(hours=1))
    assert Membership.objects.get(customer__key="anonymous:a1").left_at is None
    assert Message.objects.count() == 1


def test_the_latest_word_of_anybody_of_them_holds_and_a_refusal_wins_a_tie(now):
    take(now, happened(1, now, "u1"), happened(2, now, "u2"))
    one, other = whose("u1"), whose("u2")
    Consent.objects.create(customer=one, channel="email", granted=True, at=now, source="form")
    Consent.objects.create(customer=other, channel="email", granted=False, at=now, source="link")
    assert last_word(one.pk, "email").granted is True
    unite.merge(one.pk, other.pk, None, now)
    assert (head_of(other.pk), members_of(one.pk)) == (one.pk, [one.pk, other.pk])
    assert last_word(one.pk, "email").granted is False
    assert last_word(other.pk, "email").granted is False
    Consent.objects.filter(customer=one).update(at=now + timedelta(minutes=1))
    assert last_word(one.pk, "email").granted is True
    unite.undo(Merge.objects.get().pk, None, now)
    assert (last_word(one.pk, "email").granted, last_word(other.pk, "email").granted) == (True, False)


def test_a_refusal_said_while_two_were_one_holds_for_both(now):
    take(now, happened(1, now, "u1"), happened(2, now, "u2"))
    one, other = whose("u1"), whose("u2")
    Consent.objects.create(customer=other, channel="email", granted=True, at=now, source="form")
    unite.merge(one.pk, other.pk, None, now)
    said = now + timedelta(minutes=5)
    Consent.objects.create(customer=one, channel="email", granted=False, at=said, source="unsubscribe link")
    unite.undo(Merge.objects.get().pk, None, now + timedelta(hours=1))
    word = last_word(other.pk, "email")
    assert (word.granted, word.at, word.source) == (False, said, "unsubscribe link")


STORY = [
    "a1", "a1 e1", "u1 a1", "e1 u1", "a2", "u2 a2", "d1 a2", "d1 u2", "a2 u1", "e2 u2", "e2 u1", "a3 e3", "e3 p1",
    "p1 u3", "d2 u1", "d2 u3", "a4 u1", "a4 u2", "a4 u3", "a5 a4 d1", "e4 a5", "u3 e4",
]  # fmt: skip


def result() -> Any:
    groups = {frozenset(one.identities.values_list("value", flat=True)): one for one in Customer.objects.all()}
    groups.pop(frozenset(), None)
    verdicts = Link.objects.values_list("one__value", "other__value", "followed", "code", "reason", "message_id")
    return {who: (one.key, one.unit, one.facts) for who, one in groups.items()}, set(verdicts)


def forget_all() -> None:
    for model in (Merge, Link, State, Pending, Identity, Customer):
        model.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM customers_event")
        cursor.execute("DELETE FROM customers_receipt")
    identity.known.ids.clear()
    meeting.forget_seen()
    patient().flushdb()


def test_any_order_of_arrival_gives_the_same_people_and_facts(now):
    events = [happened(number, now, *names.split()) for number, names in enumerate(STORY)]
    take(now, *events)
    in_order, verdicts = result()
    assert len(in_order) > 4
    assert sum(facts["orders"] for _, _, facts in in_order.values()) == len(events)
    dice = random.Random(4)
    for _ in range(4):
        forget_all()
        dice.shuffle(events)
        waiting: Sequence[Checked] = events
        while waiting:
            size = dice.choice([1, 2, 7])
            take(now, *waiting[:size])
            waiting = waiting[size:]
        assert result() == (in_order, verdicts)


def test_a_kiosk_with_many_user_ids_is_not_searched_through(now):
    take(now, *(happened(number, now, f"u{number}", "a0") for number in range(300)))
    assert whose("a0").key == "anonymous:a0"
    found = components.load([Identity.objects.get(value="u7").pk])
    assert {one.value for one in found.core.values()} <= {"u7", "a0"}
    assert set(Link.objects.values_list("code", flat=True)) == {"kiosk"}


def test_what_ties_too_many_together_is_not_followed_and_says_so(now, monkeypatch):
    monkeypatch.setattr(components, "MOST", 6)
    take(now, *(happened(number, now, "u1", f"a{number}") for number in range(6)))
    take(now, happened(20, now, "u1", "a20"), happened(21, now, "u2", "e2"))
    refused = Link.objects.exclude(code="joined")
    assert set(refused.values_list("code", flat=True)) == {"too_large"}
    assert refused[0].reason.startswith("More than 6 identifiers hang together with ")
    assert whose("e2").key == "u2"
    assert not Pending.objects.exists()


@contextmanager
def held_elsewhere(customer: int) -> Iterator[None]:
    """Another process holds this customer's row."""
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT FROM customers_customer WHERE id = %s FOR NO KEY UPDATE", [customer])
        yield
        other.rollback()


@pytest.mark.django_db(transaction=True)
def test_whom_somebody_else_holds_is_left_for_later_without_waiting(now):
    take(now, happened(1, now, "a1"), happened(2, now, "u1"), happened(3, now, "u2"))
    with held_elsewhere(whose("a1").pk):
        take(now, happened(4, now, "u1", "a1"), happened(5, now, "u2", "a2"))
        assert whose("a1").key == "anonymous:a1"
        assert whose("a2").key == "u2"
        assert not Pending.objects.exists()
        with transaction.atomic():
            waiting = merging.apply(merging.unjudged(), now)
        assert {whose("a1").pk, whose("u1").pk}.isdisjoint(waiting.customers)
        assert len(waiting.postponed) == 2
    settle_merges(now)
    assert whose("a1").key == "u1"
    assert whose("u1").facts["orders"] == 3
    assert merging.unjudged() == set()


def an_alias(message_id: str, now, user: str, previous: str, **more) -> Checked:
    properties = json.dumps({"previousId": previous})
    return checked(message_id, now, user, type="alias", name="alias", properties=properties, **more)


def test_an_alias_of_two_user_ids_waits_for_a_person_whichever_came_first(now):
    told = [an_alias("m-1", now, "one", "two"), checked("m-2", now - timedelta(days=1), "two")]
    seen = []
    for order in (told, told[::-1]):
        for event in order:
            store([event], now)
            react(now)
        links = [(link.how, link.code, str(link.other)) for link in Link.objects.all()]
        seen.append((links, sorted(map(str, Identity.objects.all()))))
        for model in (Link, Pending, State, Identity, Customer, Receipt):
            model.objects.all().delete()
        identity.known.ids.clear()
        meeting.forget_seen()
    assert seen[0] == seen[1] == ([("alias", "two_user_ids", "user id two")], ["user id one", "user id two"])


def test_an_alias_of_what_names_nobody_makes_nobody_one(now):
    store([an_alias(f"m-{n}", now, None, "undefined", anonymous=f"a-{n}") for n in range(2)], now)
    react(now)
    assert (Link.objects.count(), Customer.objects.count()) == (0, 2)


def test_what_two_user_ids_claim_is_proposed_at_once_and_a_decision_stays(now):
    told = [happened(1, now, "u1", "e1"), happened(2, now, "u2", "e1"), an_alias("m-9", now, "u1", "u2")]
    store(told, now)
    react(now)
    assert unite.propose_claimed(now) == 1
    proposal = Proposal.objects.get()
    assert (proposal.state, proposal.score) == ("open", 0.95)
    unite.decide(proposal.pk, False, None, now)
    assert unite.propose_claimed(now) == 0
