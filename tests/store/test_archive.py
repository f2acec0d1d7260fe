"""The archive says what the log says, whoever became one with whom, whatever came late, was lost or damaged."""

import random
import time
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pytest
from django.core.management import CommandError, call_command
from uuid_utils.compat import uuid7

from decisioning.customers import profile
from decisioning.customers.facts.frame import facts_frame
from decisioning.customers.facts.histories import with_histories
from decisioning.customers.intake import partitions
from decisioning.customers.intake.ingest import store
from decisioning.customers.models import Customer, Event, Identity, Merge, Pending
from decisioning.flows import archive, unite
from decisioning.flows.react import react
from decisioning.store import archive as reading
from decisioning.store import parts, shelving
from decisioning.store.archive import Bucket
from decisioning.store.columns import together
from decisioning.store.files import files
from rules.language import parse
from rules.language.history import needs
from tests.customers.test_ingest import checked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("archive_folder", "clean_redis")]

HISTORIES = needs([parse('COUNT("Product Viewed" WHERE price > 5) IN LAST 30 DAYS > 0 AND LAST(purchase.size) = "L"')])
NAMES = ("Order Completed", "Product Viewed", "purchase", "Coupon Redeemed", "Products Searched", "Product Added")
DICE = random.Random(20260302)


@pytest.fixture(autouse=True)
def few_buckets(monkeypatch):
    """Each bucket is read, joined and computed on its own: four tell what sixteen do, in a quarter of the time."""
    for module in (parts, shelving, reading, archive):
        monkeypatch.setattr(module, "BUCKETS", 4)


def event(number: int, now: datetime, user: str, **more: Any) -> Any:
    """An event of some kind, some days ago."""
    name = more.pop("name", NAMES[number % len(NAMES)])
    properties = (
        f'{{"total": {number % 50}.5, "price": {number % 12}, "size": {"5" if number % 7 else chr(34) + "L" + chr(34)},'
        f' "query": "tea {number % 3}", "product_id": "p-{number % 5}", "quantity": 1,'
        f' "products": [{{"department": "D{number % 3}", "category": "C{number % 4}", "price": {number % 9}}}]}}'
    )
    words = {
        "name": name,
        "properties": properties,
        "timestamp": now - timedelta(hours=7 * (number % 150), minutes=number),
    }
    return checked(f"m-{number}", now, user, **{**words, **more})


def take(now: datetime, *events: Any, handled: bool = True) -> None:
    """Into the log, and through the consumer."""
    store(list(events), now)
    while handled and react(now).events:
        pass


def write(**more: Any) -> archive.Written:
    """Archive everything there is, however little."""
    time.sleep(0.002)  # ids count milliseconds
    return archive.write(datetime.now(UTC), **{"margin": timedelta(0), "least": 1, **more})


def from_archive(now: datetime) -> pl.DataFrame:
    """Everybody's facts, bucket by bucket."""
    words = profile.vocabulary()
    found = [archive.bucket_facts(bucket, now, words, HISTORIES) for bucket in range(parts.BUCKETS)]
    return together(found).sort("customer_id")


def from_log(now: datetime) -> pl.DataFrame:
    """The same from PostgreSQL alone."""
    events = profile.read_events()
    facts = facts_frame(events, profile.read_customers(), now, profile.vocabulary())
    return with_histories(facts, events, HISTORIES, now).sort("customer_id")


def agree(now: datetime) -> bool:
    """Whether both are the same to the last digit, for everybody."""
    mine, theirs = from_archive(now), from_log(now)
    assert mine.columns == theirs.columns
    assert mine["customer_id"].to_list() == theirs["customer_id"].to_list()
    for name in mine.columns:
        assert list(map(_plain, mine[name])) == list(map(_plain, theirs[name])), name
    return mine.height > 0


def _plain(value: Any) -> Any:
    """A value as plain Python; of one that may be of several types, the one it is."""
    value = value.to_list() if isinstance(value, pl.Series) else value
    return next((one for one in value.values() if one is not None), None) if isinstance(value, dict) else value


def table(name: str) -> pl.DataFrame:
    """All rows of one of the archive's tables."""
    places = [str(files().local(part.path)) for part in parts.live() if part.table == name]
    return pl.read_parquet(places) if places else pl.DataFrame()


def raw_ids() -> set[UUID]:
    """What the archive has of events."""
    return {UUID(bytes=one) for name in (parts.RAW, parts.WAITING) if table(name).height for one in table(name)["id"]}


def test_facts_are_those_of_the_log_after_merges_and_an_undo_across_buckets(now):
    users = [f"u-{number}" for number in range(40)]
    take(now, *(event(number, now, users[number % 40]) for number in range(300)))
    profile.keep(profile.learn(now), now)
    write()
    ids = [Identity.objects.get(value=user).customer_id for user in users]
    assert len({pk % parts.BUCKETS for pk in ids}) == parts.BUCKETS
    for step in range(0, 24, 2):
        unite.merge(ids[step], ids[step + 1], None, now)
    assert agree(now)
    take(now, *(event(number, now, users[number % 40]) for number in range(300, 400)))
    write()
    for merge in Merge.objects.order_by("pk")[:5]:
        unite.undo(merge.pk, None, now)
    assert agree(now)
    take(now, *(event(number, now, users[number % 40]) for number in range(400, 450)))
    take(now, *(event(number, now, users[number % 40]) for number in range(450, 480)), handled=False)
    assert Pending.objects.exists()
    assert agree(now)
    assert archive.learn(now) == profile.learn(now)


def test_facts_of_merged_customers_need_no_file_written_anew(now):
    take(now, *(event(number, now, f"u-{number % 5}") for number in range(50)))
    write()
    before = sorted(parts.live().values_list("path", flat=True))
    unite.merge(*(Identity.objects.get(value=user).customer_id for user in ("u-1", "u-2")), None, now)
    assert agree(now)
    write()
    assert sorted(parts.live().values_list("path", flat=True)) == before


def test_an_identity_whose_home_changed_is_found_where_it_was(now):
    take(now, *(event(number, now, f"u-{number % 5}") for number in range(50)))
    write()
    for home in (None, Customer.objects.create(key="elsewhere").pk):
        Identity.objects.filter(value="u-3").update(home=home)
        assert agree(now)


def test_only_what_is_new_is_written(now):
    take(now, *(event(number, now, "u-1") for number in range(20)))
    assert write().events == 20
    assert write() == archive.Written(0, 0, parts.watermark())
    take(now, event(20, now, "u-1"))
    assert write().events == 1
    assert raw_ids() == set(Event.objects.values_list("id", flat=True))
    assert archive.verify(datetime.now(UTC)) == []


def test_few_events_are_left_to_postgresql_until_they_have_waited(now):
    take(now, *(event(number, now, "u-1") for number in range(9)))
    time.sleep(0.002)
    moment = datetime.now(UTC)
    assert archive.write(moment, margin=timedelta(0), least=10).events == 0
    assert agree(now)
    assert archive.write(moment + archive.LONGEST, margin=timedelta(0), least=10).events == 9
    take(now, *(event(number, now, "u-1") for number in range(10, 20)))
    time.sleep(0.002)
    assert archive.write(moment, margin=timedelta(0), least=10).events == 10


def test_a_piece_at_a_time_is_the_same(now):
    take(now, *(event(number, now, f"u-{number % 7}") for number in range(100)))
    assert write(piece=9).events == 100
    assert agree(now)
    assert len(raw_ids()) == 100


def test_events_archived_before_they_are_handled_count_from_then_on(now):
    take(now, *(event(number, now, f"u-{number % 3}") for number in range(30)))
    take(now, *(event(number, now, f"u-{number % 3}") for number in range(30, 60)), handled=False)
    write()
    assert table(parts.WAITING).height == 30
    assert agree(now)
    while react(now).events:
        pass
    assert agree(now)
    assert archive.tidy(datetime.now(UTC)).merged > 0
    assert table(parts.WAITING).height == 0
    assert table(parts.RAW).height == 60
    assert agree(now)
    assert archive.verify(datetime.now(UTC)) == []


def test_what_bots_do_is_not_archived(now):
    take(now, event(1, now, "u-1"), event(2, now, "u-1", bot=True))
    assert write().events == 1
    assert agree(now)
    assert archive.verify(datetime.now(UTC)) == []


def put_late(now: datetime) -> UUID:
    """An event whose id lies before the watermark, as one stored by a machine whose clock is far behind."""
    late = UUID(int=uuid7().int - (3_600_000 << 80))
    template = Event.objects.order_by("id").first()
    template.id, template.message_id = late, f"late-{late}"
    template.save(force_insert=True)
    return late


def test_what_came_behind_the_watermark_is_found(now):
    take(now, *(event(number, now, "u-1") for number in range(10)))
    write()
    late = put_late(now)
    assert late not in raw_ids()
    assert [(one.missing, one.surplus) for one in archive.verify(datetime.now(UTC))] == [(1, 0)]
    assert late in raw_ids()
    assert archive.verify(datetime.now(UTC)) == []
    assert agree(now)


def test_what_left_the_log_leaves_the_archive(now):
    take(now, *(event(number, now, f"u-{number % 4}") for number in range(40)))
    write()
    gone = list(Event.objects.filter(identity__value="u-2").values_list("id", flat=True))
    Event.objects.filter(id__in=gone).delete()
    late = put_late(now)
    assert [(one.missing, one.surplus) for one in archive.verify(datetime.now(UTC))] == [(1, 10)]
    assert raw_ids() == set(Event.objects.values_list("id", flat=True))
    assert late in raw_ids()
    assert agree(now)


@pytest.mark.parametrize("name", ["raw", "events", "orders", "who"])
@pytest.mark.parametrize("how", ["deleted", "cut short"])
def test_a_damaged_file_is_written_anew(now, name, how):
    take(now, *(event(number, now, f"u-{number % 4}") for number in range(48)))
    write()
    victim = files().local(parts.live().filter(table=name).first().path)
    if how == "deleted":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:-20])
    assert [one.damaged for one in archive.verify(datetime.now(UTC))] == [1]
    assert agree(now)
    assert archive.verify(datetime.now(UTC)) == []


def test_many_small_files_become_one_and_stay_readable_meanwhile(now):
    for number in range(parts_written := 10):
        take(now, event(number, now, "u-1", name="Order Completed"))
        write()
    reader = Bucket(Customer.objects.get().pk % parts.BUCKETS)
    old = list(parts.live())
    assert sum(part.table == parts.RAW for part in old) == parts_written
    assert archive.tidy(datetime.now(UTC)).merged == 1
    assert {part.table: part.rows for part in parts.live()}.items() >= {"raw": 10, "orders": 10, "who": 1}.items()
    assert parts.live().count() == len({part.table for part in old})
    assert reader.prepared().orders.height == 10
    assert agree(now)
    assert archive.tidy(datetime.now(UTC) + 2 * archive.READERS).deleted == len(old)
    assert agree(now)
    assert archive.verify(datetime.now(UTC)) == []


def test_rows_prepared_in_another_way_are_prepared_from_the_raw_ones(now, monkeypatch):
    take(now, *(event(number, now, f"u-{number % 4}") for number in range(40)))
    with monkeypatch.context() as past:
        past.setattr(parts, "schema", lambda: "0" * 32)
        write()
    for part in parts.live().exclude(table__in=["raw", "who"]):
        files().local(part.path).write_bytes(b"of no use to anybody today")
    assert agree(now)
    assert archive.tidy(datetime.now(UTC)).merged > 0
    assert {part.schema for part in parts.live()} == {parts.schema()}
    assert agree(now)


def test_a_schema_is_told_by_tables_and_columns(monkeypatch):
    today = parts.schema()
    assert len(today) == 32
    monkeypatch.setitem(parts.SCHEMAS, "orders", {**parts.SCHEMAS["orders"], "tip": pl.Int64})
    assert parts.schema() != today


def test_months_past_their_time_are_dropped_with_those_of_postgresql(now):
    keeps = {"Product Viewed": 1}
    partitions.open_months([1], datetime.now(UTC))
    store([event(number, now, "u-1", name=NAMES[number % 2]) for number in range(10)], now, keeps=keeps)
    while react(now).events:
        pass
    write()
    assert {shelf.keep for shelf in parts.closed()} == {0, 1}
    later = datetime.now(UTC) + timedelta(days=70)
    assert archive.tidy(later).dropped == 0
    partitions.drop_expired(later)
    assert archive.tidy(later).dropped == 1
    assert {shelf.keep for shelf in parts.closed()} == {0}
    assert agree(now)
    assert archive.verify(datetime.now(UTC)) == []


def test_files_that_nobody_knows_are_swept_when_they_are_old(now, archive_folder: Path):
    take(now, event(1, now, "u-1"))
    write()
    lost = archive_folder / parts.live().first().path.rpartition("/")[0] / "03-killed.parquet"
    lost.write_bytes(b"half a file")
    assert archive.tidy(datetime.now(UTC)).deleted == 0
    assert archive.tidy(datetime.now(UTC) + 2 * archive.READERS).deleted == 1
    assert not lost.exists()
    assert agree(now)


def test_with_another_number_of_buckets_all_is_written_anew(now, archive_folder: Path, monkeypatch):
    take(now, *(event(number, now, f"u-{number % 4}") for number in range(40)))
    with monkeypatch.context() as past:
        past.setattr(parts, "ROOT", "log160")
        write()
    assert agree(now)
    assert write().events == 40
    archive.tidy(datetime.now(UTC))
    assert agree(now)
    archive.tidy(datetime.now(UTC) + 2 * archive.READERS)
    assert not list((archive_folder / "log160").rglob("*.parquet"))
    assert agree(now)
    assert archive.verify(datetime.now(UTC)) == []


def test_only_the_tables_and_columns_that_are_asked_for_are_read(now):
    take(now, *(event(number, now, "u-1") for number in range(12)))
    write()
    found = Bucket(Customer.objects.get().pk % parts.BUCKETS).prepared({"orders": ["customer_id", "at", "total"]})
    assert found.orders.columns == ["customer_id", "at", "total"]
    assert (found.orders.height, found.events.height) == (2, 0)


def test_raw_events_of_some_names_are_those_of_the_log(now):
    take(now, *(event(number, now, f"u-{number % 9}") for number in range(60)))
    write()
    take(now, *(event(number, now, f"u-{number % 9}") for number in range(60, 80)))
    found = pl.concat([Bucket(bucket).raw_events({"purchase", "Product Viewed"}) for bucket in range(parts.BUCKETS)])
    log = profile.read_events().filter(pl.col("name").is_in(["purchase", "Product Viewed"]))
    assert found.select(log.columns).sort("message_id").equals(log.sort("message_id"))


def test_computed_facts_of_a_run_are_gathered(now):
    take(now, *(event(number, now, f"u-{number}") for number in range(20)))
    write()
    with pytest.raises(FileNotFoundError):
        archive.gathered("run-1")
    assert sum(archive.compute("run-1", bucket, now) for bucket in range(parts.BUCKETS)) == 20
    expected = facts_frame(profile.read_events(), profile.read_customers(), now, profile.vocabulary())
    assert archive.gathered("run-1").sort("customer_id").equals(expected.sort("customer_id"))


def test_a_command_with_a_name_that_leads_out_of_the_archive_writes_nothing(now, tmp_path):
    take(now, event(1, now, "u-1"))
    for name in ("../../x", "/x", "a/b", "..", "x" * 65, "", "a\0b"):
        with pytest.raises(CommandError, match="use letters, digits and hyphens"):
            call_command("archive", "facts", name, "--bucket", "1")
        with pytest.raises(ValueError, match="no path within the folder"):
            archive.compute(f"../{name}", 1, now)
    assert not list(tmp_path.rglob("*.parquet"))
    call_command("archive", "facts", "by-hand-2", "--bucket", "1", stdout=StringIO())
    assert [place.name for place in tmp_path.rglob("*.parquet")] == ["01.parquet"]


@pytest.mark.parametrize("harm", [Path.unlink, lambda place: place.write_bytes(b"PAR1")])
def test_a_command_that_misses_a_file_says_which_and_what_to_do(now, harm):
    take(now, *(event(number, now, f"u-{number}") for number in range(20)))
    write()
    places = [files().local(part.path) for part in parts.live()]
    for place in places:
        harm(place)
    with pytest.raises(CommandError, match="archive verify") as refusal:
        call_command("archive", "facts")
    assert harm is not Path.unlink or any(str(place) in str(refusal.value) for place in places)
    archive.verify(datetime.now(UTC))
    call_command("archive", "facts", stdout=StringIO())


def test_a_shelf_is_past_when_all_its_events_are():
    shelf = parts.Shelf(2, date(2025, 11, 1))
    assert not shelf.is_past(datetime(2026, 1, 31, tzinfo=UTC))
    assert shelf.is_past(datetime(2026, 2, 1, tzinfo=UTC))
    assert not parts.Shelf(0, date(2001, 1, 1)).is_past(datetime(2026, 1, 1, tzinfo=UTC))
    assert parts.Shelf.of(shelf.path) == shelf
    assert parts.Shelf.of(f"{shelf.path}/raw") is None
