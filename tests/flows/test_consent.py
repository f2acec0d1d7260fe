"""What customers allow is a fact: the last word of everybody who is one with them, in force at the next decision."""

from datetime import timedelta

import psycopg
import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.models import Content
from decisioning.api.unsubscribe import withdraw
from decisioning.customers import profile
from decisioning.customers.facts.vocabulary import Vocabulary
from decisioning.customers.identity import family
from decisioning.customers.intake import bulk
from decisioning.customers.intake.ingest import store
from decisioning.customers.models import Consent, Customer, Due, Identity
from decisioning.flows import unite
from decisioning.flows.archive import bucket_facts
from decisioning.flows.consent import said_by
from decisioning.flows.expire import expire
from decisioning.flows.react import react
from decisioning.flows.refresh import refresh_all
from decisioning.flows.rerun import once_more
from decisioning.models import Decision
from decisioning.store import archive, frames, profiles, publishing
from decisioning.store.connection import patient
from rules.language import matches, matching_frame, parse
from rules.models import Membership, Segment

from ..customers.test_ingest import checked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
MAILED = 'consents CONTAINS "email"'


def came(now, *users: str) -> None:
    """Each of them did something, and the consumer handled it."""
    store([checked(f"{user} at {now:%m%d%H%M}", now, user) for user in users], now)
    while react(now).events:
        pass


def whose(user: str) -> Customer:
    return Identity.objects.select_related("customer").get(value=user).customer


def say(user: str, granted: bool, at, now=None, why=None) -> None:
    customer = whose(user)
    with said_by([customer.pk], now or at, why):
        row = {"granted": granted, "at": at, "source": "test"}
        Consent.objects.update_or_create(customer=customer, channel="email", defaults=row)


def published(user: str):
    return profiles.Profiles(patient()).find("user_id", user, "x").profile


def allowed(user: str):
    """As requests, rules and the frame of everybody know it; the three must say the same."""
    found = published(user)
    told = found.facts.get("consents")
    assert told == Customer.objects.get(pk=found.id).facts.get("consents")
    frames.refresh(Customer.objects.get(pk=found.id).facts_at)
    frame = frames.current(["customer_id", "consents"])
    everybody = dict(zip(frame["customer_id"], matching_frame(parse(MAILED), frame, found.facts_at), strict=True))
    assert everybody[found.id] == matches(parse(MAILED), found.facts, found.facts_at)
    word = family.last_word(found.id, "email")
    assert (told == ["email"]) == (word is not None and word.granted)
    return told


def ids(answer) -> list[str]:
    return [item["id"] for item in answer["placements"][0]["items"]]


def test_a_withdrawal_by_the_link_is_in_force_at_the_next_decision_and_replays_know_what_was_allowed(site, now, flush):
    Content.objects.create(key="a-letter", name="Letter", body={}, needs_consent="email")
    site.publish()
    customer = Customer.objects.get()
    assert "a-letter" not in ids(site.decide())
    with said_by([customer.pk], now):
        Consent.objects.create(customer=customer, channel="email", granted=True, at=now, source="form")
    assert "a-letter" in ids(site.decide())
    withdraw(customer.pk, "email")
    assert "a-letter" not in ids(site.decide())
    flush(site)
    rows = list(Decision.objects.order_by("id"))
    assert [row.facts.get("consents") for row in rows] == [None, ["email"], None]
    assert [once_more(row).note for row in rows] == ["", "", ""]


def test_the_link_moves_its_customer_at_once_and_says_why(now):
    segment = Segment.objects.create(key="mailed", name="Mailed", condition=MAILED, refreshed_at=now)
    came(now, "u")
    say("u", True, now - timedelta(days=1), now)
    assert (published("u").segments, expire(now).entered, published("u").segments) == ((), 1, ("mailed",))
    withdraw(whose("u").pk, "email")
    stay = Membership.objects.get(segment=segment)
    assert (stay.left_how, stay.left_by) == ("event", "unsubscribe link")
    assert (published("u").segments, allowed("u")) == ((), None)


def test_events_and_refreshes_keep_what_is_allowed(now):
    came(now, "u")
    say("u", True, now)
    version = published("u").version
    came(now + timedelta(hours=1), "u")
    assert (allowed("u"), published("u").version) == (["email"], version + 1)
    refresh_all(now + timedelta(hours=2))
    assert allowed("u") == ["email"]


def test_the_last_word_of_the_whole_family_is_the_fact_of_whom_they_are(now):
    came(now, "u", "v")
    say("u", True, now)
    assert (allowed("u"), allowed("v")) == (["email"], None)
    say("v", False, now + timedelta(minutes=1), now + timedelta(minutes=2))
    merge = unite.merge(whose("u").pk, whose("v").pk, None, now).merged
    assert (published("u").id, allowed("u")) == (published("v").id, None)
    later = now + timedelta(hours=1)
    say("u", True, later)
    assert allowed("v") == ["email"]
    say("v", False, later)
    assert allowed("u") is None, "at the same moment the refusal holds"
    say("u", True, later + timedelta(hours=1))
    unite.undo(merge[0], None, later + timedelta(hours=2))
    assert (allowed("u"), allowed("v")) == (["email"], None)


def test_a_refusal_said_while_two_were_one_takes_the_fact_from_both(now):
    came(now, "u", "v")
    say("v", True, now)
    assert allowed("v") == ["email"]
    merge = unite.merge(whose("u").pk, whose("v").pk, None, now).merged
    say("u", False, now + timedelta(minutes=5))
    unite.undo(merge[0], None, now + timedelta(hours=1))
    assert (allowed("u"), allowed("v")) == (None, None)


def test_an_imported_consent_is_a_fact_and_published_as_soon_as_a_consumer_looks(now):
    came(now, "u")
    Customer.objects.create(key="unheard")
    bulk.import_consents("email", "a list", [("u", now), ("unheard", now), ("nobody", now)], now)
    assert Customer.objects.get(key="unheard").facts == {"consents": ["email"]}
    assert (list(Due.objects.values_list("customer__key", flat=True)), expire(now).customers) == (["u"], 1)
    assert allowed("u") == ["email"]


def test_what_is_written_down_stands_above_a_trait_of_the_same_name(now, monkeypatch):
    words = Vocabulary(traits=(("consents", "text_list"),))
    profile.keep(words, now)
    told = checked("m-1", now, "u", type="identify", name="identify", properties='{"consents": ["email"]}')
    store([told], now)
    react(now)
    assert (published("u").facts.get("consents"), published("u").facts["trait_consents"]) == (None, ["email"])


def test_without_redis_the_word_is_kept_and_the_profile_follows_when_it_is_back(now, monkeypatch):
    came(now, "u")
    say("u", True, now)
    expire(now)

    def gone(*args, **more):
        raise redis.ConnectionError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(publishing, "_write", gone)
        withdraw(whose("u").pk, "email")
    assert (family.last_word(whose("u").pk, "email").granted, published("u").facts["consents"]) == (False, ["email"])
    due = Due.objects.get().at
    assert expire(due).customers == 1
    assert allowed("u") is None


def test_a_batch_of_customers_is_asked_about_once(now, monkeypatch):
    asked, ask = [], family.allowed
    monkeypatch.setattr(family, "allowed", lambda heads: asked.append(sorted(heads)) or ask(heads))
    came(now, "a", "b", "c", "d")
    assert asked == [[whose(user).pk for user in "abcd"]]
    with CaptureQueriesContext(connection) as queries:
        family.last_words(whose("a").pk)
    assert len(queries) == 3, "who it is, the head of the family, what they said"


def test_facts_from_the_archive_hold_what_the_family_allows(now):
    came(now, "u", "v", "w")
    say("v", True, now)
    say("w", False, now)
    unite.merge(whose("u").pk, whose("v").pk, None, now)
    words, found = profile.vocabulary(), {}
    for bucket in range(archive.BUCKETS):
        for row in bucket_facts(bucket, now, words, {}, only=["consents"]).iter_rows(named=True):
            found[row["customer_id"]] = row["consents"]
    assert found == {whose("u").pk: ["email"], whose("w").pk: None}


@pytest.mark.django_db(transaction=True)
def test_nobody_else_writes_of_a_family_while_one_of_them_says_something(now):
    came(now, "u", "v")
    unite.merge(whose("u").pk, Customer.objects.get(key="v").pk, None, now)
    both = sorted(Customer.objects.values_list("pk", flat=True))
    free = "SELECT id FROM customers_customer ORDER BY id FOR NO KEY UPDATE SKIP LOCKED"
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        with said_by([Customer.objects.get(key="v").pk], now) as there:
            assert there == {Customer.objects.get(key="v").pk: whose("u").pk}
            assert other.execute(free).fetchall() == []
        assert [row[0] for row in other.execute(free)] == both
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE customers_event")
