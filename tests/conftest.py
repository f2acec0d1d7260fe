"""What every test may ask for: a fixed moment and an empty Redis."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
import redis
from django.conf import settings

from decisioning.customers.identity import known as identity
from decisioning.customers.identity import meeting
from decisioning.customers.intake import letters
from decisioning.customers.plan import observed, planning, tally
from decisioning.flows import judge, respond, standing
from decisioning.store import frames
from decisioning.store.connection import patient
from tests import examples

archives = count()
assert examples.SHARE > 0  # loading it sets what properties without settings of their own are tried with
# Whoever comes last is waited for with nothing else to do: files that take long come first, the longest before all.
LONGEST = (
    "story/test_intake_kills.py",
    "sources/test_kafka.py",
    "store/test_archive_processes.py",
    "story/",
    "sources/",
    "customers/test_custom.py",
    "customers/test_folding.py",
    "clients/",
    "stack/",
    "campaigns/test_kills.py",
    "campaigns/test_calls",
    "store/",
    "flows/",
    "customers/",
    "language/",
)
NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in the order of `LONGEST`, whole files together."""
    folder = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        name = item.path.relative_to(folder).as_posix()
        return next((at for at, start in enumerate(LONGEST) if name.startswith(start)), len(LONGEST))

    items.sort(key=place)


@pytest.fixture
def now() -> datetime:
    """A fixed moment."""
    return NOW


@pytest.fixture(autouse=True)
def nothing_remembered(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a process remembers of its database, and what lies in its archive, is of another one in the next test."""
    settings.ARCHIVE_URL = str(tmp_path_factory.getbasetemp() / "archives" / str(next(archives)))
    frames.forget()
    judge.forget()
    identity.known.ids.clear()
    meeting.forget_seen()
    planning.forget()
    tally.tally.forget()
    observed.notebook.forget()
    letters.allowance.forget()
    standing.forget()
    respond.forget()


@pytest.fixture
def clean_redis() -> Iterator[redis.Redis]:
    """This worker's Redis database, emptied before and after."""
    patient().flushdb()
    yield patient()
    patient().flushdb()
