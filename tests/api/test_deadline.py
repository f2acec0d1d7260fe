"""A PostgreSQL that is stopped costs one bounded wait, then nothing at all, and is used again when it is back.

What a test expects to end well has a minute for it: machines are slow at times. What must end early waits for a server
that stands still, so that it could not end otherwise.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import OperationalError, connections, transaction

from decisioning.config import environment
from decisioning.store.deadline import Gate, bounded, remaining

from .frozen import Server, server

ALIAS = "frozen"
SHORT, LONG = 0.3, 60.0  # seconds


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    """One server for this file."""
    with server() as made:
        yield made


@pytest.fixture
def gate(postgres, monkeypatch, django_db_blocker) -> Iterator[Gate]:
    """A gate of its own, and a Django connection to the server under `ALIAS`."""
    monkeypatch.setenv("FROZEN_URL", postgres.url)
    settings = {**connections.databases["default"], **environment.database("FROZEN_URL")}
    connections.databases[ALIAS] = settings
    with django_db_blocker.unblock():
        yield Gate(pause=0.2)
        connections[ALIAS].close()
    del connections[ALIAS]
    del connections.databases[ALIAS]


def one(gate: Gate, seconds: float = LONG) -> int:
    with bounded(seconds, ALIAS, gate), transaction.atomic(ALIAS), connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()[0]


def refused(gate: Gate) -> tuple[str, float]:
    """Why it was refused, and after how many seconds."""
    start = time.monotonic()
    with pytest.raises(OperationalError) as caught:
        one(gate, SHORT)
    return str(caught.value), time.monotonic() - start


def test_a_stopped_server_ends_an_open_connections_wait_at_the_deadline(postgres, gate):
    assert one(gate) == 1
    with postgres.frozen():
        why, seconds = refused(gate)
    assert "in time" in why
    assert SHORT * 0.9 < seconds < LONG
    time.sleep(gate.pause)
    assert one(gate) == 1


def test_connecting_to_a_stopped_server_ends_at_the_deadline(postgres, gate):
    with postgres.frozen():
        why, seconds = refused(gate)
    assert "in time" in why
    assert SHORT * 0.9 < seconds < LONG


def test_after_a_failure_nobody_waits_until_the_pause_is_over(postgres, gate):
    gate.pause = 3600
    with postgres.frozen():
        assert "in time" in refused(gate)[0]
        assert "nothing was tried" in refused(gate)[0]


@pytest.mark.parametrize("well", [True, False])
def test_who_comes_while_another_tries_waits_for_what_comes_of_it(well):
    gate, inside, leave = Gate(pause=0.0, moment=LONG), threading.Event(), threading.Event()
    gate.failed()
    told: list[str] = []

    def first() -> None:
        with gate.enter():
            inside.set()
            leave.wait(LONG)
            if well:
                gate.went_well()
            else:
                gate.pause = 3600
                gate.failed()

    def other() -> None:
        try:
            with gate.enter():
                told.append("went on")
        except OperationalError as error:
            told.append(str(error))

    threads = [threading.Thread(target=first)]
    threads[0].start()
    assert inside.wait(LONG)
    threads += [threading.Thread(target=other) for _ in range(8)]
    for thread in threads[1:]:
        thread.start()
    leave.set()
    for thread in threads:
        thread.join(LONG)
    assert told == ["went on" if well else "The database did not answer a moment ago; nothing was tried."] * 8


def test_after_the_pause_one_caller_tries_and_the_others_are_refused_in_a_moment(postgres, gate):
    gate.pause = 0.0
    inside, leave = threading.Event(), threading.Event()

    def slow() -> None:
        with pytest.raises(OperationalError), gate.enter():
            inside.set()
            leave.wait(LONG)
            raise OperationalError("still away")

    with postgres.frozen():
        refused(gate)
        trial = threading.Thread(target=slow)
        trial.start()
        assert inside.wait(LONG)
        told = {refused(gate)[0] for _ in range(5)}
        leave.set()
        trial.join()
    assert len(told) == 1
    assert "nothing was tried" in told.pop()


def test_a_statement_that_fails_on_a_living_server_closes_nothing(postgres, gate):
    with pytest.raises(OperationalError), bounded(LONG, ALIAS, gate), connections[ALIAS].cursor() as cursor:
        cursor.execute("SET statement_timeout = 20")
        cursor.execute("SELECT pg_sleep(5)")
    assert one(gate) == 1


def test_a_connection_that_the_server_closed_meanwhile_is_replaced_before_it_is_used(postgres, gate):
    one(gate)
    mine = connections[ALIAS].connection.info.backend_pid
    with psycopg.connect(postgres.url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [mine])
    end = time.monotonic() + LONG
    while Path(f"/proc/{mine}").exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert one(gate) == 1
    assert connections[ALIAS].connection.info.backend_pid != mine


def test_a_server_that_is_gone_is_refused_at_once(postgres, gate, monkeypatch):
    gate.pause = 3600
    monkeypatch.setitem(connections[ALIAS].settings_dict, "HOST", "/nowhere")
    with pytest.raises(OperationalError, match="/nowhere"):
        one(gate)
    assert "nothing was tried" in refused(gate)[0]


def test_a_second_connection_of_the_same_thread_without_a_deadline_may_wait_as_long_as_it_likes(postgres, gate):
    one(gate)
    with bounded(SHORT, ALIAS, gate):
        assert remaining() is not None
    assert remaining() is None
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.5), 1")
        assert cursor.fetchone()[1] == 1
