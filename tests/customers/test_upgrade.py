"""A database of the version before the partitioned log is carried over with everything in it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

ROOT = Path(__file__).resolve().parents[2]
BEFORE = """
INSERT INTO customers_customer (id, key, traits, facts, facts_version) VALUES
    (1, 'u-1', '{"city": "Bonn"}', '{}', 0), (2, 'anonymous:a-2', '{}', '{}', 0), (3, 'nobody', '{}', '{}', 0);
INSERT INTO customers_identity (kind, value, customer_id) VALUES
    ('anonymous_id', 'a-1', 1), ('user_id', 'u-1', 1), ('anonymous_id', 'a-2', 2);
INSERT INTO customers_event (id, message_id, customer_id, type, name, properties, context, timestamp, received_at,
                             handled_at, problem) VALUES
    ('01930000-0000-7000-8000-000000000001', 'm-1', 1, 'track', 'Clicked', '{"n": 1.5}', '{"historical": true}',
     '2024-11-05 10:00Z', '2024-11-05 10:00Z', '2024-11-05 10:01Z', ''),
    ('01940000-0000-7000-8000-000000000002', 'm-2', 2, 'track', 'Viewed', '{}', '{}',
     '2024-12-25 10:00Z', '2024-12-25 10:00Z', NULL, '');
"""


@pytest.fixture
def database(django_db_setup: None, tmp_path: Path) -> Iterator[str]:
    """An empty database of its own; its name."""
    name = f"upgrade_{os.getpid()}"
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}"')
        server.execute(f'CREATE DATABASE "{name}"')
        yield make_conninfo(url, dbname=name)
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def migrate(database: str, *words: str) -> None:
    command = [sys.executable, "manage.py", "migrate", "--verbosity=0", *words]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "DATABASE_URL": database}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_events_identities_traits_and_what_was_pending_survive_the_upgrade(database: str) -> None:
    migrate(database, "customers", "0001")
    with psycopg.connect(database) as held:
        held.execute(BEFORE)
    migrate(database)
    with psycopg.connect(database) as held:
        events = held.execute(
            "SELECT e.message_id, i.kind, i.value, e.historical, e.properties::text FROM customers_event e "
            "JOIN customers_identity i ON i.id = e.identity_id ORDER BY e.message_id"
        ).fetchall()
        assert events == [
            ("m-1", "user_id", "u-1", True, '{"n": 1.5}'),
            ("m-2", "anonymous_id", "a-2", False, "{}"),
            ("traits-before:1", "user_id", "u-1", True, '{"city": "Bonn"}'),
        ]
        pending = held.execute(
            "SELECT e.message_id FROM customers_pending p JOIN customers_event e ON e.id = p.event_id"
        ).fetchall()
        assert pending == [("m-2",)]
        firsts = dict(held.execute("SELECT value, first_at IS NOT NULL FROM customers_identity").fetchall())
        assert firsts == {"u-1": True, "a-1": False, "a-2": True, "nobody": False}
        homes = held.execute("SELECT count(*) FROM customers_identity WHERE home_id = customer_id").fetchone()
        assert homes == (3,)
        links = held.execute(
            "SELECT o.value, w.value, l.followed FROM customers_link l JOIN customers_identity o ON o.id = l.one_id "
            "JOIN customers_identity w ON w.id = l.other_id"
        ).fetchall()
        assert links == [("u-1", "a-1", True)]
        digest = "encode(substr(sha256('m-1'), 1, 16), 'hex')::uuid"
        receipts = held.execute(f"SELECT count(*) FROM customers_receipt WHERE digest = {digest}").fetchone()
        assert receipts == (1,)
