"""Real processes write and read the archive: killed, at once, on object storage; nothing is lost or doubled."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import psycopg
import pytest
import s3fs
from django.conf import settings as configured
from django.db import connection
from moto.server import ThreadedMotoServer
from psycopg.conninfo import make_conninfo

from decisioning.customers import profile
from decisioning.customers.facts.frame import facts_frame
from decisioning.customers.intake.ingest import store
from decisioning.customers.models import Event
from decisioning.flows import archive
from decisioning.models import ArchivePart
from decisioning.store import extract, files, frames, parts
from decisioning.store.parts import BUCKETS
from tests.store.test_archive import agree, event, raw_ids, take, write

pytestmark = [
    pytest.mark.story,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("archive_folder", "clean_redis"),
]

REPOSITORY = Path(__file__).resolve().parent.parent.parent
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(autouse=True)
def empty_log(transactional_db: None) -> Iterator[None]:
    """Django does not empty the log between tests that commit, because it does not manage its tables."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE customers_event")


@pytest.fixture
def start(settings) -> Iterator[Start]:
    """Starts `manage.py archive …` on this test's database, folder and Redis."""
    started: list[subprocess.Popen[str]] = []

    def run(*words: object, **more: str) -> subprocess.Popen[str]:
        database = make_conninfo(os.environ["DATABASE_URL"], dbname=connection.settings_dict["NAME"])
        variables = {
            "DATABASE_URL": database,
            "ARCHIVE_URL": settings.ARCHIVE_URL,
            "DECISIONING_STATE_DIR": str(settings.STATE_DIR),
            "SECRET_KEY": settings.SECRET_KEY,
            "POLARS_MAX_THREADS": "1",
        }
        command = [sys.executable, "manage.py", "archive", *map(str, words), "--json"]
        started.append(
            subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=os.environ | variables | more,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield run
    for one in started:
        if one.poll() is None:
            one.kill()
        one.communicate()


def done(process: subprocess.Popen[str]) -> dict[str, object]:
    """What it said; it must have ended well."""
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return dict(json.loads(out))


def test_kills_anywhere_lose_nothing_and_double_nothing(now, start: Start):
    take(now, *(event(number, now, f"u-{number % 8}") for number in range(300)))
    dice, killed = random.Random(7), 0
    for _ in range(3):
        before = parts.watermark()
        process = start("write", "--now", "--margin", 0, "--piece", 20)
        # It starts for some seconds; from its first file on it is killed at any moment.
        while process.poll() is None and parts.watermark() == before and not _files_without_rows():
            time.sleep(0.005)
        time.sleep(dice.random() * 0.15)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
    assert killed > 0
    done(start("write", "--now", "--margin", 0))
    held = [one for part in parts.live().filter(table=parts.RAW) for one in _ids(part)]
    assert len(held) == len(set(held)) == Event.objects.count() == 300
    assert archive.verify(datetime.now(UTC)) == []
    assert agree(now)
    archive.tidy(datetime.now(UTC) + 2 * archive.READERS)
    assert not _files_without_rows()


def _files_without_rows() -> bool:
    there = set(files.files().listing(parts.ROOT))
    return bool(there - set(ArchivePart.objects.values_list("path", flat=True)))


def _ids(part: ArchivePart) -> list[bytes]:
    return pl.read_parquet(files.files().local(part.path), columns=["id"])["id"].to_list()


def test_one_worker_and_four_compute_the_same(now, start: Start):
    take(now, *(event(number, now, f"u-{number % 60}") for number in range(600)))
    profile.keep(profile.learn(now), now)
    write()
    take(now, *(event(number, now, f"u-{number % 60}") for number in range(600, 640)))
    # The product's clock and this test's are years apart.
    offset = str(int((now - datetime.now(UTC)).total_seconds()) + 60)
    clock = {"DECISIONING_CLOCK_OFFSET": offset}
    shares = [[f"--bucket={bucket}" for bucket in range(number, BUCKETS, 4)] for number in range(4)]
    workers = [start("facts", "together", *share, **clock) for share in shares]
    counted = [done(worker)["customers"] for worker in workers]
    assert done(start("facts", "alone", **clock))["customers"] == sum(map(int, counted)) == 60
    one, four = archive.gathered("alone"), archive.gathered("together")
    # Days since something go on while the test runs.
    steady = [name for name in one.columns if "days" not in name and "hours" not in name and "_since" not in name]
    assert len(steady) > 50
    assert one.select(steady).equals(four.select(steady))
    expected = facts_frame(profile.read_events(), profile.read_customers(), now, profile.vocabulary())
    assert one["orders"].to_list() == four["orders"].to_list()
    assert sorted(one["orders"]) == sorted(expected["orders"])


def test_what_a_running_transaction_may_still_commit_is_waited_for(now):
    take(now, *(event(number, now, "u-1") for number in range(5)))
    time.sleep(0.002)
    address = make_conninfo(os.environ["DATABASE_URL"], dbname=connection.settings_dict["NAME"])
    with psycopg.connect(address) as slow:
        slow.execute("SELECT 1")  # from here on it is open
        take(now, *(event(number, now, "u-1") for number in range(5, 10)))
        assert write().events == 5
        slow.rollback()
        assert write().events == 5
    assert agree(now)


def test_events_that_come_while_it_writes_are_neither_lost_nor_doubled(now, start: Start):
    take(now, event(0, now, "u-0"))
    process = start("write", "--now", "--margin", 0, "--piece", 5)
    number = 1
    while process.poll() is None and number < 40:
        store([event(number, now, f"u-{number % 4}")], now)
        number += 1
        time.sleep(0.05)
    done(process)
    write()
    assert raw_ids() == set(Event.objects.values_list("id", flat=True))
    assert archive.verify(datetime.now(UTC)) == []


def test_only_one_process_writes(now, start: Start):
    take(now, event(0, now, "u-0"))
    address = make_conninfo(os.environ["DATABASE_URL"], dbname=connection.settings_dict["NAME"])
    with psycopg.connect(address) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [archive.LOCK])
        other.commit()
        assert write().events == 0
        assert archive.verify(datetime.now(UTC)) == []
        assert archive.tidy(datetime.now(UTC)) == archive.Tidied()
        # A closed connection's backend lets go only when it gets to end; the word for it is waited for.
        other.execute("SELECT pg_advisory_unlock(%s)", [archive.LOCK])
    assert write().events == 1
    told = done(start("status"))
    assert (told["events"], told["frame"]) == (1, "not written yet")


def test_two_refreshes_of_the_frame_at_once_are_one_after_the_other(now, start: Start):
    take(now, *(event(number, now, f"u-{number}") for number in range(30)))
    started = [start("frame") for _ in range(2)]
    told = [done(one) for one in started]
    assert [one["customers"] for one in told] == [30, 30]
    assert sorted(int(one["changed"]) for one in told) == [0, 30]
    assert frames.current().height == 30


@pytest.fixture(scope="module")
def object_storage() -> Iterator[str]:
    """The address of an S3 server of our own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(object_storage: str, settings, monkeypatch) -> str:
    """An empty bucket that ARCHIVE_URL names."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", object_storage),
    ):
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"archive-{time.time_ns()}"
    s3fs.S3FileSystem().mkdir(name)
    settings.ARCHIVE_URL = f"s3://{name}/decisioning"
    return name


def test_all_of_it_works_on_object_storage(now, bucket: str, start: Start):
    take(now, *(event(number, now, f"u-{number % 10}") for number in range(60)))
    assert write().events == 60
    assert agree(now)
    done(start("frame"))
    assert frames.current(["customer_id", "orders"]).height == 10
    for number in range(60, 70):
        take(now, event(number, now, "u-1"))
        write()
    assert frames.refresh(now).total == 10
    assert archive.tidy(datetime.now(UTC)).merged > 0
    victim = parts.live().filter(table="orders").first()
    files.files().delete([victim.path])
    assert [one.damaged for one in archive.verify(datetime.now(UTC))] == [1]
    assert archive.tidy(datetime.now(UTC) + 2 * archive.READERS).deleted > 0
    assert set(files.files().listing(parts.ROOT)) == set(parts.live().values_list("path", flat=True))
    copies = {str(path.relative_to(configured.STATE_DIR / "copies")) for path in _copies()}
    assert copies <= set(parts.live().values_list("path", flat=True))
    assert agree(now)
    assert done(start("facts", "run", "--bucket", 3))["run"] == "run"


def _copies() -> list[Path]:
    return [path for path in (configured.STATE_DIR / "copies" / parts.ROOT).rglob("*") if path.is_file()]


def test_an_object_storage_that_is_away_is_an_error_and_loses_nothing(now, bucket: str, settings):
    take(now, *(event(number, now, "u-1") for number in range(6)))
    good = settings.ARCHIVE_URL
    settings.ARCHIVE_URL = "s3://there-is-no-such-bucket/x"
    with pytest.raises(FileNotFoundError):
        write()
    assert parts.watermark() == extract.FIRST
    settings.ARCHIVE_URL = good
    assert write().events == 6
    assert agree(now)
