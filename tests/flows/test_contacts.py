"""One ledger of contacts: what is seen on the web counts in mails and the other way round, for whoever one becomes."""

from datetime import timedelta

import pytest

from campaigns.models import Campaign, Content, Message
from decisioning.config import clock
from decisioning.customers.identity.known import Newcomer
from decisioning.customers.models import Customer, Identity, Merge
from decisioning.flows import message as messages
from decisioning.flows import unite
from decisioning.flows.decide import decide
from decisioning.store import admission, contacts, profiles, publishing
from decisioning.store.connection import patient
from decisioning.store.counting import count_new
from decisioning.store.profiles import CONTACTS

from ..conftest import NOW
from .test_unite import KINDS, happened, take, whose


@pytest.fixture
def capped(site, monkeypatch):
    """`apple` may be seen once an hour; a mail shows what the web shows."""
    Content.objects.filter(key="apple").update(cap_count=1, cap_hours=1)
    site.publish()
    monkeypatch.setattr(messages, "holder", site.holder)
    return site


def keys(answer):
    return {item["id"] for item in answer["placements"][0]["items"]}


def ask(site, **words):
    return site.decide(mode="dry_run", **words)


def at(site, moment, customer="c-1"):
    """What a customer is shown at a moment; it counts."""
    body = b'{"customer_id": "%s", "placements": ["hero"]}' % customer.encode()
    status, answer = decide(body, site.holder.current, profiles.shared(), site.ledger, moment, 0.0)
    assert status == 200
    return answer


def a_mail(now=NOW):
    """A message that shows what is chosen for `hero`, about to be handed over."""
    campaign, _ = Campaign.objects.get_or_create(key="mail", defaults={"name": "Mail", "trigger": "event"})
    row = Message.objects.create(campaign=campaign, customer=Customer.objects.get(key="c-1"), trigger_key=str(now))
    row.refresh_from_db()
    chosen = messages.choose("c-1", "hero", now)
    row.decision_id, row.contacted_at, row.state = chosen.decision_id, now, Message.State.SENT
    row.save()
    assert admission.Admission([]).admit(row, chosen.capped, now) == ""
    return {content["key"] for content in chosen.contents}


def ledger(client):
    places = client.keys(CONTACTS.format("*"))
    return {key: client.zrange(key, 0, -1, withscores=True) for key in places if client.type(key) == b"zset"}


def test_what_was_shown_on_the_web_is_not_shown_in_a_mail(capped):
    assert b'"apple"' in at(capped, NOW)
    assert a_mail(NOW + timedelta(minutes=30)) == {"banana"}
    assert a_mail(NOW + timedelta(minutes=61)) == {"apple", "banana"}


def test_what_was_shown_in_a_mail_is_not_shown_on_the_web(capped):
    assert "apple" in a_mail()
    assert b'"apple"' not in at(capped, NOW + timedelta(minutes=30))
    assert b'"apple"' in at(capped, NOW + timedelta(minutes=61))


def test_a_batch_obeys_what_a_mail_showed(capped):
    body = {"customer_ids": ["c-1"], "placements": ["hero"], "mode": "dry_run"}
    assert "apple" in keys(capped.post("/v1/decide/batch", body)[1]["decisions"][0])
    assert "apple" in a_mail(clock.now())
    assert "apple" not in keys(capped.post("/v1/decide/batch", body)[1]["decisions"][0])


def test_a_mail_waits_while_nobody_can_say_what_was_seen(capped, clean_redis):
    clean_redis.delete(admission.READY)
    with pytest.raises(admission.Unknown, match="counted anew"):
        messages.choose("c-1", "hero", NOW)
    Content.objects.update(cap_count=None)
    capped.publish()
    assert messages.choose("c-1", "hero", NOW).contents


def test_messages_are_no_part_of_what_a_reply_depends_on_and_contents_are(site, settings):
    settings.REPLY_CACHE_SECONDS = 600
    Content.objects.filter(key="default").update(cap_count=9)
    site.publish()
    assert [site.decide()["cache"] for _ in range(2)] == ["miss", "hit"]
    customer = Customer.objects.get()
    client = profiles.shared().client
    client.zadd(CONTACTS.format(customer.pk), {admission.name_of("email", "mail", 1): 4e9})
    assert site.decide()["cache"] == "hit"
    client.zadd(CONTACTS.format(customer.pk), {profiles.member_of("email", "default", "call"): 4e9})
    assert site.decide()["cache"] == "miss"


def test_as_many_other_contents_seen_are_another_reply(site, settings):
    settings.REPLY_CACHE_SECONDS = 600
    Content.objects.filter(key="default").update(cap_count=9)
    site.publish()
    place, client = CONTACTS.format(Customer.objects.get().pk), profiles.shared().client
    client.zadd(place, {profiles.member_of("web", "default", "one"): 4e9})
    assert [site.decide()["cache"] for _ in range(2)] == ["miss", "hit"]
    client.delete(place)
    client.zadd(place, {profiles.member_of("web", "default", "two"): 4e9})
    assert site.decide()["cache"] == "miss"


def test_somebody_unknown_brings_what_they_saw_along_when_they_become_known(capped):
    def question(mode):
        return {"anonymous_id": "later-known", "placements": ["hero"], "mode": mode}

    assert "apple" in keys(capped.post("/v1/decide", question("execute"))[1])
    customer = Customer.objects.create(key="anonymous:later-known", facts_version=0)
    Identity.objects.create(customer=customer, kind="anonymous_id", value="later-known")
    publishing.introduce([Newcomer(customer.pk, "anonymous_id", "later-known")])
    assert "apple" not in keys(capped.post("/v1/decide", question("dry_run"))[1])
    assert [one.what for one in contacts.recent(customer.pk, 5)] == ["apple"]


def test_filled_again_it_is_what_was_noted(capped, clean_redis):
    Content.objects.filter(key="apple").update(cap_count=9)
    capped.publish()
    capped.decide(placements=["hero", "hero"])
    capped.post("/v1/decide", {"anonymous_id": "nobody-yet", "placements": ["hero"]})
    fetched = capped.post("/v1/decide", {"anonymous_id": "anon-1", "placements": ["hero"], "mode": "prefetch"})[1]
    unseen = capped.decide(mode="prefetch")
    assert "apple" in keys(unseen)
    for number in range(2):
        token = next(item["token"] for item in fetched["placements"][0]["items"] if item["id"] == "apple")
        capped.post("/v1/outcomes", {"token": token, "type": "impression", "message_id": f"seen-{number}"})
    capped.decide(mode="dry_run")
    body = {"customer_ids": ["c-1"], "placements": ["hero"]}
    assert capped.post("/v1/decide/batch", body)[0] == 200
    now = max(score for rows in ledger(clean_redis).values() for _, score in rows)
    a_mail(NOW.fromtimestamp(now, NOW.tzinfo))
    capped.ledger.flush()
    count_new()
    before = ledger(clean_redis)
    assert sorted(len(rows) for rows in before.values()) == [1, 6]
    clean_redis.flushdb()
    publishing.publish_all()
    assert ledger(clean_redis) == before


def contacted(number, name, moment):
    """A message of the one who is known by a name now, told to Redis as a sender does."""
    campaign, _ = Campaign.objects.get_or_create(key="mail", defaults={"name": "Mail", "trigger": "event"})
    owed = {"campaign": campaign, "customer": whose(name), "trigger_key": str(number), "state": Message.State.SENT}
    row = Message.objects.create(**owed, contacted_at=moment)
    assert admission.Admission([]).admit(row, (), moment) == ""


def numbers(name):
    """Whose contacts are counted where a customer is asked for by an identifier."""
    customer = profiles.Profiles(patient()).find(KINDS[name[0]], name, "x").profile.id
    return sorted(
        Message.objects.get(pk=int(member.split(b"\x1f")[3])).trigger_key
        for member in patient().zrange(CONTACTS.format(customer), 0, -1)
    )


def test_two_who_become_one_have_one_count_and_who_is_two_again_gets_back_their_own(db, clean_redis, now):
    take(now, happened(1, now, "a1"), happened(2, now, "u1"))
    contacted("of a1", "a1", now)
    contacted("of u1", "u1", now)
    take(now, happened(3, now, "a1", "u1"))
    assert numbers("u1") == ["of a1", "of u1"]
    contacted("of both", "a1", now)
    unite.undo(Merge.objects.get().pk, None, now)
    assert numbers("u1") == ["of a1", "of both", "of u1"]
    assert numbers("a1") == ["of a1"]


def test_a_merge_undone_by_what_came_later_gives_contacts_back_too(db, clean_redis, now):
    take(now, happened(1, now, "a1"), happened(2, now, "u1"))
    contacted("of a1", "a1", now)
    take(now, happened(3, now, "a1", "u1"))
    assert numbers("u1") == ["of a1"]
    take(now, happened(4, now, "u2", "a1"), happened(5, now, "u3", "a1"))
    assert Merge.objects.get().undone_at == now
    assert numbers("a1") == ["of a1"]
