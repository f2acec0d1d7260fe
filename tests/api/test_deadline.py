"""A PostgreSQL that is stopped costs one bounded wait, then nothing at all, and is used again when it is back."""

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from django.db import OperationalError, connections, transaction

from decisioning.config import environment
from decisioning.store.deadline import Gate, bounded

from .frozen import Server, server

ALIAS = "frozen"
SHORT = 0.3


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


def one(gate: Gate, seconds: float = SHORT) -> int:
    with bounded(seconds, ALIAS, gate), transaction.atomic(ALIAS), connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()[0]


def seconds_until_refused(gate: Gate) -> float:
    start = time.monotonic()
    with pytest.raises(OperationalError):
        one(gate)
    return time.monotonic() - start


def test_a_stopped_server_ends_an_open_connections_wait_at_the_deadline(postgres, gate):
    assert one(gate) == 1
    with postgres.frozen():
        assert SHORT * 0.9 < seconds_until_refused(gate) < SHORT + 0.3
    time.sleep(gate.pause)
    assert one(gate, 5) == 1


def test_connecting_to_a_stopped_server_ends_at_the_deadline(postgres, gate):
    with postgres.frozen():
        assert SHORT * 0.9 < seconds_until_refused(gate) < SHORT + 0.3


def test_after_a_failure_nobody_waits_until_the_pause_is_over(postgres, gate):
    gate.pause = 5
    with postgres.frozen():
        seconds_until_refused(gate)
        assert seconds_until_refused(gate) < 0.05


def test_after_the_pause_one_caller_tries_and_the_others_are_refused_at_once(postgres, gate):
    gate.pause = 0.0
    with postgres.frozen():
        seconds_until_refused(gate)
        waited: list[float] = []
        inside = threading.Event()

        def slow() -> None:
            with pytest.raises(OperationalError), gate.enter():
                inside.set()
                time.sleep(SHORT)
                raise OperationalError("still away")

        trial = threading.Thread(target=slow)
        trial.start()
        inside.wait(5)
        waited = [seconds_until_refused(gate) for _ in range(5)]
        trial.join()
    assert max(waited) < 0.05


def test_a_statement_that_fails_on_a_living_server_closes_nothing(postgres, gate):
    with pytest.raises(OperationalError), bounded(5, ALIAS, gate), connections[ALIAS].cursor() as cursor:
        cursor.execute("SET statement_timeout = 20")
        cursor.execute("SELECT pg_sleep(5)")
    assert one(gate) == 1


def test_a_connection_that_the_server_closed_meanwhile_is_replaced_before_it_is_used(postgres, gate):
    one(gate)
    with psycopg.connect(postgres.url, autocommit=True) as other:
        mine = connections[ALIAS].connection.info.backend_pid
        other.execute("SELECT pg_terminate_backend(%s)", [mine])
    time.sleep(0.2)
    assert one(gate) == 1


def test_a_server_that_is_gone_is_refused_at_once(postgres, gate, monkeypatch):
    monkeypatch.setitem(connections[ALIAS].settings_dict, "HOST", "/nowhere")
    assert seconds_until_refused(gate) < SHORT
    assert seconds_until_refused(gate) < 0.05


def test_a_second_connection_of_the_same_thread_without_a_deadline_may_wait_as_long_as_it_likes(postgres, gate):
    one(gate)
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.5), 1")
        assert cursor.fetchone()[1] == 1
