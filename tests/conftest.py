"""What every test gets: its own Redis database and state folder, a fixed moment, and builders of real rows."""

import os
import tempfile
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pytest


def _own_redis() -> None:
    """Each xdist worker its own database of the one Redis, so that parallel tests never meet."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) + 2
    parts = urlsplit(os.environ["REDIS_URL"])
    if parts.scheme == "unix":
        query = urlencode({**{k: v[0] for k, v in parse_qs(parts.query).items()}, "db": number})
        parts = parts._replace(query=query)
    else:
        parts = parts._replace(path=f"/{number}")
    os.environ["REDIS_URL"] = urlunsplit(parts)


if "DATABASE_URL" not in os.environ or "REDIS_URL" not in os.environ:
    pytest.exit("Tests need PostgreSQL and Redis; run `make test`, which starts both.", returncode=4)
_own_redis()
os.environ["DECISIONING_STATE_DIR"] = tempfile.mkdtemp(prefix="decisioning-test-")
os.environ.setdefault("DECISIONING_ENV", "test")
os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "0123456789" * 5)

NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    """A fixed moment."""
    return NOW


@pytest.fixture
def clean_redis():
    """This worker's Redis database, emptied before and after."""
    from decisioning.store.connection import patient

    patient().flushdb()
    yield patient()
    patient().flushdb()
