"""The frame of all customers holds what PostgreSQL holds, however it was refreshed, killed or robbed of its notes."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from django.db.models import F

from decisioning.customers.facts.vocabulary import Vocabulary
from decisioning.customers.models import Customer, FactVocabulary
from decisioning.flows.placing import with_segments
from decisioning.store import frames, layers, notes, people
from decisioning.store.connection import patient
from decisioning.store.files import files
from rules.language import matching_frame, parse
from rules.models import Membership, Segment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("archive_folder", "clean_redis")]


def change(customer: Customer, noted: bool = True, **facts: object) -> None:
    """What handling an event does: facts and a new version, and a note of it."""
    row = Customer.objects.get(pk=customer.pk)
    row.facts, row.facts_version = {**row.facts, **facts}, row.facts_version + 1
    row.save()
    if noted:
        frames.note_changed(patient(), [(row.pk, row.facts_version)])


def told(*columns: str) -> list[tuple[object, ...]]:
    """The frame's rows, by customer id."""
    return frames.current(["customer_id", *columns]).sort("customer_id").rows()


def test_before_the_first_refresh_it_says_what_to_do():
    with pytest.raises(frames.NoFrame, match="refresh"):
        frames.current()
    assert frames.state() is None


def test_it_is_empty_without_customers(now):
    assert frames.refresh(now).total == 0
    assert frames.current(["customer_id", "age"]).height == 0


def test_it_holds_everybody_with_types_from_the_catalogue(customer, now):
    words = Vocabulary(traits=(("city", "text"), ("member", "boolean"), ("likes", "text_list")))
    FactVocabulary.objects.create(data=words.to_dict(), learned_at=now)
    facts = {"orders_30d": 2, "last_order_at": "2017-12-01T08:30:00.000001Z", "city": "Rome", "member": True}
    one, other = customer("c-1", {**facts, "likes": ["tea"]}), customer("c-2")
    done = frames.refresh(now)
    assert (done.changed, done.total, done.rebuilt) == (2, 2, True)
    found = frames.current(["customer_id", "orders_30d", "last_order_at", "city", "member", "likes"])
    assert found.dtypes[1:] == [pl.Float64, pl.Datetime("us", "UTC"), pl.String, pl.Boolean, pl.List(pl.String)]
    moment = datetime(2017, 12, 1, 8, 30, 0, 1, tzinfo=UTC)
    assert found.sort("customer_id").rows() == [
        (one.pk, 2.0, moment, "Rome", True, ["tea"]),
        (other.pk, None, None, None, None, None),
    ]
    assert told("customer:key", "customer:unit", "customer:version") == [
        (one.pk, "c-1", "c-1", 1),
        (other.pk, "c-2", "c-2", 1),
    ]


def test_only_who_changed_is_read(customer, now):
    people = [customer(f"c-{number}", {"age": number}) for number in range(40)]
    frames.refresh(now)
    change(people[7], age=70)
    newcomer = customer("c-new", {"age": 1})
    frames.note_changed(patient(), [(newcomer.pk, 1)])
    done = frames.refresh(now)
    assert (done.changed, done.total, done.rebuilt, done.waiting) == (2, 41, False, 0)
    assert dict(told("age"))[people[7].pk] == 70
    assert dict(told("age"))[newcomer.pk] == 1
    assert frames.refresh(now).changed == 0


def test_news_are_whoever_changed_since_perhaps_beside_others(customer, now):
    people = [customer(f"c-{n}", {"age": n}) for n in range(40)]
    frames.refresh(now)
    asked = ["customer_id", "customer:version", "age"]
    whole, paths = frames.news(asked, ())
    assert whole.sort("customer_id").rows() == frames.current(asked).sort("customer_id").rows()
    for step in range(6):  # on the way small files are merged
        change(people[step], age=100 + step)
        change(people[39], age=200 + step)
        frames.refresh(now)
        news, paths = frames.news(asked, paths)
        found = {pk: age for pk, _, age in news.rows()}
        assert found.items() >= {people[step].pk: 100.0 + step, people[39].pk: 200.0 + step}.items()
    assert frames.news(asked, paths)[0].is_empty()


def test_without_changes_no_version_is_written(customer, now):
    customer("c-1")
    frames.refresh(now)
    before = frames.state()
    assert frames.refresh(now).changed == 0
    assert frames.state() == before


def test_who_was_noted_before_the_commit_is_looked_at_again(customer, now):
    one = customer("c-1", {"age": 1})
    frames.refresh(now)
    frames.note_changed(patient(), [(one.pk, 2)])
    assert frames.refresh(now).waiting == 1
    assert told("age") == [(one.pk, 1)]
    change(one, noted=False, age=2)
    assert frames.refresh(now).waiting == 0
    assert told("age") == [(one.pk, 2)]


def test_a_newcomer_noted_before_the_commit_is_looked_at_again(customer, now):
    last = customer("c-1")
    frames.refresh(now)
    frames.note_changed(patient(), [(last.pk + 1, 1)])
    assert frames.refresh(now).waiting == 1
    Customer.objects.create(pk=last.pk + 1, key="c-2", facts={"age": 5}, facts_at=now, facts_version=1)
    assert frames.refresh(now).waiting == 0
    assert told("age")[1] == (last.pk + 1, 5)


def test_a_note_of_what_was_rolled_back_is_given_up(customer, now):
    one = customer("c-1")
    frames.refresh(now)
    frames.note_changed(patient(), [(one.pk, 9)])
    assert frames.refresh(now).waiting == 1
    assert frames.refresh(now + timedelta(minutes=9)).waiting == 1
    assert frames.refresh(now + timedelta(minutes=11)).waiting == 0
    assert frames.refresh(now + timedelta(minutes=11)).changed == 0


def test_a_newer_note_is_not_lost_to_one_that_is_put_back(customer, now):
    one = customer("c-1")
    frames.refresh(now)
    frames.note_changed(patient(), [(one.pk, 2)])
    taken = notes.take()
    frames.note_changed(patient(), [(one.pk, 3)])
    notes.settle(2, taken)
    assert notes.take()[one.pk].version == 3


def test_who_is_merged_or_deleted_leaves(customer, now):
    winner, loser, deleted = customer("c-1"), customer("c-2"), customer("c-3")
    frames.refresh(now)
    Customer.objects.filter(pk=loser.pk).update(merged_into=winner)
    pk = deleted.pk
    deleted.delete()
    frames.note_gone(patient(), [loser.pk, pk])
    assert frames.refresh(now).total == 1
    assert told() == [(winner.pk,)]
    Customer.objects.filter(pk=loser.pk).update(merged_into=None, facts_version=F("facts_version") + 1)
    frames.note_changed(patient(), [(loser.pk, 2)])
    assert frames.refresh(now).total == 2


def test_who_has_no_facts_yet_is_not_in_it(customer, now):
    customer("c-1")
    Customer.objects.create(key="c-2")
    assert frames.refresh(now).total == 1


@pytest.mark.parametrize("loss", ["everything", "a restart"])
def test_what_a_redis_without_memory_forgot_is_found_by_comparing(customer, now, loss):
    people = [customer(f"c-{number}", {"age": number}) for number in range(5)]
    frames.refresh(now)
    change(people[2], noted=False, age=99)
    people[3].delete()
    if loss == "everything":
        patient().flushdb()
    else:
        patient().set(notes.MARKER, f"{frames.state().version} another-run")
    done = frames.refresh(now)
    assert (done.changed, done.total, done.rebuilt) == (2, 4, True)
    assert dict(told("age"))[people[2].pk] == 99


def test_what_a_killed_refresh_had_taken_is_taken_again(customer, now):
    one, other = customer("c-1", {"age": 1}), customer("c-2", {"age": 1})
    frames.refresh(now)
    change(one, age=2)
    notes.take()  # and here it was killed
    change(other, age=3)
    assert frames.refresh(now).changed == 2
    assert [age for _, age in told("age")] == [2, 3]


def test_a_version_written_without_its_mark_is_compared(customer, now):
    one = customer("c-1", {"age": 1})
    frames.refresh(now)
    mark = patient().get(notes.MARKER)
    change(one, age=2)
    frames.refresh(now)
    patient().set(notes.MARKER, mark)  # killed between writing the manifest and telling Redis
    done = frames.refresh(now)
    assert (done.rebuilt, done.changed) == (True, 0)
    assert told("age") == [(one.pk, 2)]


def test_values_of_several_kinds_are_what_rules_take_them_for(customer, now):
    values = [5, "5", True, ["a"], None, {"x": 1}, 2.5, "x"]
    people = [customer(f"c-{number}", {"odd": value}) for number, value in enumerate(values)]
    frames.refresh(now)
    found = frames.current(["customer_id", "odd"]).sort("customer_id")
    hits = {text: matching_frame(parse(text), found, now).to_list() for text in ("odd = 5", 'odd = "5"', "odd > 2")}
    assert hits["odd = 5"] == [value == 5 and value is not True for value in values]
    assert hits['odd = "5"'] == [value == "5" for value in values]
    assert hits["odd > 2"] == [type(value) in (int, float) for value in values]
    change(people[0], odd=7)
    frames.refresh(now)
    assert matching_frame(parse("odd = 7"), frames.current(), now).sum() == 1


def test_a_value_of_another_kind_than_the_facts_is_missing(customer, now):
    one = customer("c-1", {"orders_30d": "many", "favourite_brand": 5})
    other = customer("c-2", {"orders_30d": 3, "favourite_brand": "Acme"})
    frames.refresh(now)
    assert told("orders_30d", "favourite_brand") == [(one.pk, None, None), (other.pk, 3.0, "Acme")]


def test_a_fact_whose_kind_changes_is_read_by_the_new_one(customer, now):
    one, other = customer("c-1", {"size": "large"}), customer("c-2", {"size": "small"})
    FactVocabulary.objects.create(data=Vocabulary(traits=(("size", "text"),)).to_dict(), learned_at=now)
    frames.refresh(now)
    FactVocabulary.objects.create(data=Vocabulary(traits=(("size", "number"),)).to_dict(), learned_at=now)
    change(one, size=5)
    frames.refresh(now)
    assert told("size") == [(one.pk, 5.0), (other.pk, None)]


def test_facts_cannot_take_the_frames_own_names(customer, now):
    one = customer("c-1", {"customer_id": "x", "customer:key": 5, "segment:1": "yes", "age": 3})
    frames.refresh(now)
    assert told("customer:key", "segment:1", "age") == [(one.pk, "c-1", False, 3)]


def test_names_that_nobody_has_are_null(customer, now):
    one = customer("c-1")
    frames.refresh(now)
    assert frames.current(["customer_id", "nothing"]).rows() == [(one.pk, None)]


def test_memberships_are_columns_and_lists(customer, now):
    people = [customer(f"c-{number}") for number in range(3)]
    named = {}
    for key in ("loyal", "asleep", "empty"):
        segment = Segment.objects.create(key=key, name=key.title())
        named[segment.pk] = (key, segment.name)
    loyal, asleep, _ = named
    for segment, person in ((loyal, 0), (loyal, 1), (asleep, 1)):
        Membership.objects.create(segment_id=segment, customer=people[person], entered_at=now)
    Membership.objects.create(segment_id=asleep, customer=people[2], entered_at=now, left_at=now)
    frames.refresh(now)
    columns = [f"segment:{segment}" for segment in named]
    assert [row[1:] for row in told(*columns)] == [(True, False, False), (True, True, False), (False,) * 3]
    found = frames.named_segments(frames.current(["customer_id", *columns]), named).sort("customer_id")
    ids = found["customer_id"].to_list()
    expected = with_segments(found.select("customer_id"), ids)
    assert found.select("segments", "customer_segment").equals(expected.select("segments", "customer_segment"))
    assert frames.named_segments(found.select("customer_id"), {})["segments"].to_list() == [[], [], []]


def test_a_stay_that_ends_is_seen_with_the_next_version(customer, now):
    one, other = customer("c-1"), customer("c-2")
    segment = Segment.objects.create(key="loyal", name="Loyal")
    stay = Membership.objects.create(segment=segment, customer=one, entered_at=now)
    frames.refresh(now)
    stay.left_at = now
    stay.save()
    change(one)
    frames.refresh(now)
    assert told(f"segment:{segment.pk}") == [(one.pk, False), (other.pk, False)]


def test_its_order_is_by_bucket_and_id_whatever_came_when(customer, now):
    people = [customer(f"c-{number}", {"age": 1}) for number in range(50)]
    frames.refresh(now)
    for person in people[::7]:
        change(person, age=2)
        frames.refresh(now)
    ids = frames.current(["customer_id"])["customer_id"].to_list()
    assert ids == sorted((one.pk for one in people), key=lambda pk: (pk % layers.BUCKETS, pk))
    parts = [frames.current(["customer_id"], bucket=bucket) for bucket in range(layers.BUCKETS)]
    assert pl.concat(parts)["customer_id"].to_list() == ids


def test_files_of_former_versions_stay_while_somebody_may_read_them(customer, now, archive_folder):
    one = customer("c-1", {"age": 1})
    frames.refresh(now)
    first = layers.load(files()).paths
    for age in (2, 3, 4):
        change(one, age=age)
        frames.refresh(now)
    assert len(layers.load(files()).buckets[one.pk % layers.BUCKETS]) == 1
    assert all(files().local(path).exists() for path in first)
    change(one, age=5)
    frames.refresh(now + timedelta(minutes=11))
    assert not any(files().local(path).exists() for path in first)
    lost = archive_folder / "frame" / "00" / "lost.parquet"
    lost.parent.mkdir(exist_ok=True)
    lost.touch()
    assert frames.sweep(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert frames.sweep(datetime.now(UTC) + timedelta(hours=1)) == 1
    assert told("age") == [(one.pk, 5)]


def test_progress_is_told(customer, now, monkeypatch):
    monkeypatch.setattr(people, "AT_ONCE", 5)
    for number in range(20):
        customer(f"c-{number}")
    steps: list[tuple[int, int]] = []
    frames.refresh(now, lambda done, of: steps.append((done, of)))
    assert steps[-1] == (20, 20)
    assert len(steps) > 1


def test_another_process_reads_the_same(customer, now, archive_folder, settings):
    one = customer("c-1", {"age": 4})
    frames.refresh(now)
    script = (
        "import sys, django; django.setup(); from django.conf import settings; settings.ARCHIVE_URL = sys.argv[1];"
        "from decisioning.store import frames; print(frames.current(['customer_id', 'age']).rows())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(archive_folder)], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == (str([(one.pk, 4.0)]), 0), done.stderr
