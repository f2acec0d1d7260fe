"""The keys of a process: read when something changed, kept on disk, used keys noted, PostgreSQL away."""

import stat
import threading
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest
from django.db import connections

from decisioning.models import ApiKey, Change
from decisioning.store import keys
from decisioning.store.keyring import Ring
from rules.models import Segment

pytestmark = pytest.mark.django_db
DAY = date(2026, 5, 1)


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    """A ring that knows one key."""
    keys.create("first", ["decide"], origins=["https://shop.example"], decide_rate=5)
    made = Ring(tmp_path)
    made.look()
    return made


@pytest.fixture
def without_database(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Does something in a thread of its own, whose connection finds no PostgreSQL."""

    def run(do: Callable[[], None]) -> None:
        monkeypatch.setitem(connections.settings["default"], "HOST", "/nowhere")
        thread = threading.Thread(target=do)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()

    return run


def used(prefix: str) -> date | None:
    return ApiKey.objects.get(prefix=prefix).last_used_on


def test_a_key_is_held_with_all_that_it_may(ring):
    (key,) = ring.held.values()
    row = ApiKey.objects.get()
    assert (key.prefix, key.digest, key.scopes) == (row.prefix, row.digest, ("decide",))
    assert (key.origins, key.decide_rate, key.event_rate) == (("https://shop.example",), 5, None)


def test_keys_are_read_again_only_when_something_changed(ring, django_assert_num_queries):
    with django_assert_num_queries(1):
        ring.look()
    Segment.objects.create(key="s", name="S", condition="age > 1")
    with django_assert_num_queries(2):
        ring.look()


def test_a_key_that_is_switched_off_or_deleted_is_gone_at_the_next_look(ring):
    _, whole = keys.create("second", ["track"])
    ring.look()
    assert len(ring.held) == 2
    ApiKey.objects.filter(name="first").update(active=False)
    ring.look()
    assert list(ring.held) == [whole[:11]]
    ApiKey.objects.all().delete()
    ring.look()
    assert ring.held == {}


def test_a_database_that_went_back_in_time_is_followed(ring):
    ApiKey.objects.update(active=False)
    Change.objects.update(number=0)
    ring.look()
    assert ring.held == {}


def test_without_postgresql_the_keys_stay_as_they_are(ring, without_database):
    before = dict(ring.held)
    without_database(ring.look)
    assert dict(ring.held) == before


def test_a_process_that_starts_without_postgresql_knows_the_keys_it_knew_last(ring, without_database, tmp_path):
    late = Ring(tmp_path)

    def start() -> None:
        late._load()
        late.look()

    without_database(start)
    assert late.held == ring.held
    assert stat.S_IMODE((tmp_path / "keys.bin").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["keys.bin"]


@pytest.mark.parametrize("content", [b"", b"\xff" * 10, msgspec.msgpack.encode([{"prefix": 1}])])
def test_a_broken_file_is_told_and_replaced(content, tmp_path, caplog):
    (tmp_path / "keys.bin").write_bytes(content)
    keys.create("first", ["decide"])
    made = Ring(tmp_path)
    made._load()
    assert made.held is None
    assert "keys.bin is not usable" in caplog.text
    made.look()
    again = Ring(tmp_path)
    again._load()
    assert again.held == made.held


def test_a_use_is_written_once_a_day_and_never_back_in_time(ring, django_assert_num_queries):
    (prefix,) = ring.held
    ring.use(prefix, DAY)
    with django_assert_num_queries(2):
        ring.look()
    ring.use(prefix, DAY)
    with django_assert_num_queries(1):
        ring.look()
    assert used(prefix) == DAY
    ring.use(prefix, DAY + timedelta(days=1))
    ring.look()
    assert used(prefix) == DAY + timedelta(days=1)


def test_a_process_behind_the_others_does_not_make_a_key_look_unused(ring):
    (prefix,) = ring.held
    ApiKey.objects.update(last_used_on=DAY + timedelta(days=3))
    ring.use(prefix, DAY)
    ring.look()
    assert used(prefix) == DAY + timedelta(days=3)


def test_a_use_waits_for_postgresql(ring, without_database):
    (prefix,) = ring.held
    ring.use(prefix, DAY)
    without_database(ring.look)
    assert used(prefix) is None
    ring.look()
    assert used(prefix) == DAY


def test_noting_a_use_asks_nothing(ring, django_assert_num_queries):
    (prefix,) = ring.held
    with django_assert_num_queries(0):
        for _ in range(1000):
            ring.use(prefix, DAY)
