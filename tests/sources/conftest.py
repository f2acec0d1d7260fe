"""What the tests of sources share: the command, files, nothing remembered, processes on the test's own database."""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from psycopg.conninfo import make_conninfo

from decisioning.customers.identity.known import known
from decisioning.customers.intake.letters import allowance
from decisioning.customers.plan import planning

Write = Callable[[str, str], Path]


def import_(kind: str, *words: Any, **options: Any) -> tuple[str, str]:
    """Run the command; what it said, and what it complained of."""
    said, complained = io.StringIO(), io.StringIO()
    try:
        call_command("import", kind, *map(str, words), stdout=said, stderr=complained, **options)
    except CommandError as error:
        complained.write(f"\n{error}")
    return said.getvalue(), complained.getvalue()


def forget() -> None:
    known.ids.clear()
    allowance.forget()
    planning.forget()


@pytest.fixture(autouse=True)
def nothing_remembered(clean_redis: object) -> Iterator[None]:
    """What this process knows of another test's database is gone with it."""
    forget()
    yield
    forget()


@pytest.fixture
def empty_log(transactional_db: None) -> Iterator[None]:
    """For tests that commit: Django does not empty the log between them, because it does not manage its tables."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE customers_event")


@pytest.fixture
def variables(empty_log: None) -> dict[str, str]:
    """The environment of a process that sees the test's database."""
    return {
        **os.environ,
        "DATABASE_URL": make_conninfo(os.environ["DATABASE_URL"], dbname=connection.settings_dict["NAME"]),
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def put(name: str, content: str) -> Path:
        path = tmp_path / name
        path.write_text(content)
        return path

    return put
