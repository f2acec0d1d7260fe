"""The launcher: servers start, keep what they were given, and survive every way of being killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from kombu import Connection

from tools.devstack import (
    StackError,
    environment,
    postgres,
    processes,
    profile,
    stack,
    start,
    status,
    stop,
    valkey,
)
from tools.devstack.places import LONGEST_SOCKET_FOLDER, REPOSITORY, Profile
from tools.devstack.stack import broker_of

HOLD = """
import sys, time
from pathlib import Path
from tools.devstack import stack
with stack("demo", Path(sys.argv[1]), leash=sys.argv[2] == "leash"):
    print("up", flush=True)
    time.sleep(60)
"""


def one(variables: dict[str, str], statement: str) -> object:
    with psycopg.connect(variables["DATABASE_URL"], autocommit=True) as connection:
        row = connection.execute(statement).fetchone()  # type: ignore[arg-type]
    return row and row[0]


def fill(variables: dict[str, str]) -> None:
    with psycopg.connect(variables["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
    redis.Redis.from_url(variables["REDIS_URL"]).set("kept", 42)


@contextmanager
def held(run: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the servers of the profile `demo`; killed at the end of the block."""
    words = [sys.executable, "-c", HOLD, str(run), how]
    with subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "up\n"
            yield child
        finally:
            child.kill()


def eventually(question: Callable[[], object], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_it_starts_both_servers_and_all_three_addresses_work(run: Path) -> None:
    with stack("test", run) as variables:
        assert one(variables, "SELECT current_database()") == "decisioning"
        assert redis.Redis.from_url(variables["REDIS_URL"]).ping()
        with Connection(variables["CELERY_BROKER_URL"]) as broker:
            queue = broker.SimpleQueue("probe")
            queue.put({"n": 1})
            assert queue.get(timeout=60).payload == {"n": 1}
            queue.close()
    assert all("stopped" in line for line in status(profile("test", run)))


def test_what_was_stored_is_there_after_a_restart(run: Path) -> None:
    place = profile("demo", run)
    fill(start(place))
    assert stop(place)
    variables = start(place)
    assert one(variables, "SELECT n FROM kept") == 42
    assert redis.Redis.from_url(variables["REDIS_URL"]).get("kept") == b"42"


def test_a_durable_profile_flushes_and_a_test_profile_does_not(run: Path) -> None:
    with stack("demo", run) as variables:
        cache = redis.Redis.from_url(variables["REDIS_URL"])
        assert one(variables, "SHOW fsync") == "on"
        assert cache.config_get("append*")["appendonly"] == "yes"
        assert cache.config_get("append*")["appendfsync"] == "everysec"
        assert cache.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
    with stack("test", run) as variables:
        assert one(variables, "SHOW fsync") == "off"


def test_starting_twice_adopts_the_running_servers(run: Path) -> None:
    place = profile("test", run)
    first = start(place), postgres.find(place), valkey.find(place)
    assert (start(place), postgres.find(place), valkey.find(place)) == first


def test_a_killed_postgres_and_valkey_start_again_with_their_data(run: Path) -> None:
    place = profile("demo", run)
    fill(start(place))
    redis.Redis.from_url(environment(place)["REDIS_URL"]).waitaof(1, 0, 5000)
    kill(place)
    variables = start(place)
    assert one(variables, "SELECT n FROM kept") == 42
    assert redis.Redis.from_url(variables["REDIS_URL"]).get("kept") == b"42"


def kill(place: Profile) -> None:
    for server in (postgres.find(place), valkey.find(place)):
        assert server is not None
        os.kill(server.pid, signal.SIGKILL)
        assert processes.wait_until_gone(server, 5.0)


def test_servers_of_a_killed_launcher_are_adopted(run: Path) -> None:
    place = profile("demo", run)
    with held(run, "free"):
        server = postgres.find(place)
    with stack("demo", run):
        assert postgres.find(place) == server
    assert postgres.find(place) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the leash is Linux's")
def test_servers_on_a_leash_end_when_their_launcher_is_killed(run: Path) -> None:
    place = profile("demo", run)
    with held(run, "leash"):
        assert postgres.find(place) is not None
    assert eventually(lambda: postgres.find(place) is None and valkey.find(place) is None)
    with stack("demo", run) as variables:
        assert one(variables, "SELECT 1") == 1


def test_lost_records_and_a_lost_socket_folder_do_not_stop_the_next_start(run: Path) -> None:
    place = profile("demo", run)
    fill(start(place))
    former = postgres.find(place), valkey.find(place)
    place.record("postgres").unlink()
    place.record("valkey").unlink()
    assert (postgres.find(place), valkey.find(place)) == former
    place.remove_sockets()
    variables = start(place)
    assert not [server for server in former if server is None or processes.is_running(server)]
    assert one(variables, "SELECT n FROM kept") == 42
    assert redis.Redis.from_url(variables["REDIS_URL"]).get("kept") == b"42"


def test_the_last_user_stops_the_servers_not_the_first(run: Path) -> None:
    place = profile("demo", run)
    with held(run, "free") as other, stack("demo", run) as variables:
        other.send_signal(signal.SIGINT)
        other.wait()
        assert one(variables, "SELECT 1") == 1
    assert postgres.find(place) is None


def test_servers_that_were_started_to_stay_outlive_a_block(run: Path) -> None:
    place = profile("demo", run)
    start(place, keep=True)
    with stack("demo", run):
        pass
    assert postgres.find(place) is not None
    assert stop(place)
    assert postgres.find(place) is None


def test_a_process_that_took_over_an_old_pid_is_left_alone(run: Path) -> None:
    place = profile("demo", run)
    start(place)
    stop(place)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        seen = processes.look(stranger.pid)
        assert seen is not None
        processes.remember(place.record("postgres"), processes.Process(seen.pid, "another time", seen.command))
        place.data("postgres").joinpath("postmaster.pid").write_text(f"{stranger.pid}\n")
        assert postgres.find(place) is None
        variables = start(place)
        assert one(variables, "SELECT 1") == 1
        assert stop(place)
        assert stranger.poll() is None
        stranger.kill()


def test_data_of_another_major_version_is_refused_with_the_cure(run: Path) -> None:
    place = profile("demo", run)
    start(place)
    stop(place)
    place.data("postgres").joinpath("PG_VERSION").write_text("9\n")
    with pytest.raises(StackError, match="make reset"):
        start(place)


def test_a_half_made_data_folder_is_made_anew(run: Path) -> None:
    place = profile("demo", run)
    half = place.data("postgres.new")
    half.mkdir(parents=True)
    half.joinpath("rubbish").write_text("")
    assert one(start(place), "SELECT 1") == 1
    assert not half.exists()


def test_a_run_folder_deeper_than_a_socket_path_may_be_works(run: Path) -> None:
    deep = run / ("d" * 90) / ("e" * 90)
    place = profile("demo", deep)
    try:
        assert one(start(place), "SELECT 1") == 1
        folder = place.known_socket_folder()
        assert folder is not None
        assert len(str(folder).encode()) <= LONGEST_SOCKET_FOLDER
    finally:
        assert stop(place)


def test_given_addresses_are_used_and_nothing_is_started(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://there/db")
    monkeypatch.setenv("REDIS_URL", "redis://there:6379/3")
    with stack("demo", run) as variables:
        assert variables["DATABASE_URL"] == "postgresql://there/db"
        assert variables["CELERY_BROKER_URL"] == "redis://there:6379/3"
        assert postgres.find(profile("demo", run)) is None


def test_a_given_unix_socket_is_spelled_in_the_brokers_form() -> None:
    assert broker_of("unix:///run/redis.sock?db=2") == "redis+socket:///run/redis.sock?virtual_host=2"


def test_a_profile_name_cannot_leave_the_run_folder(run: Path) -> None:
    with pytest.raises(StackError, match="no profile name"):
        profile("../elsewhere", run)


def test_a_record_that_is_no_json_counts_as_none(run: Path) -> None:
    record = run / "x.json"
    for text in ("", "{", "[]", '{"pid": 1}', '{"pid": "x", "started": "", "command": ""}'):
        record.write_text(text)
        assert processes.recall(record) is None
