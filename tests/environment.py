"""Loaded before Django's settings are: each xdist worker gets a Redis database and a state folder of its own."""

import atexit
import os
import shutil
import tempfile

import pytest

FIRST_DATABASE, FIRST_BROKER = 2, 9


def worker_number() -> int:
    """0, 1, …: which of the parallel workers this is."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def with_database(url: str, number: int) -> str:
    """The same Redis, another of its databases; for `unix://`, `redis+socket://` and `redis://` addresses."""
    plain = url.partition("?")[0]
    if plain.startswith("unix://"):
        return f"{plain}?db={number}"
    if plain.startswith("redis+socket://"):
        return f"{plain}?virtual_host={number}"
    scheme, _, rest = plain.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/{number}"


if "DATABASE_URL" not in os.environ or "REDIS_URL" not in os.environ:
    pytest.exit("Tests need PostgreSQL and Redis; run `make test`, which starts both.", returncode=4)
os.environ["REDIS_URL"] = with_database(os.environ["REDIS_URL"], FIRST_DATABASE + worker_number())
os.environ["CELERY_BROKER_URL"] = with_database(
    os.environ.get("CELERY_BROKER_URL", os.environ["REDIS_URL"]), FIRST_BROKER + worker_number()
)
os.environ["DECISIONING_STATE_DIR"] = tempfile.mkdtemp(prefix="decisioning-test-")
atexit.register(shutil.rmtree, os.environ["DECISIONING_STATE_DIR"], ignore_errors=True)
os.environ.setdefault("DECISIONING_ENV", "test")
os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "0123456789" * 5)
# What a demo or a developer's shell may have set must not reach the tests.
KEPT_OUT = ("DECISIONING_CLOCK_OFFSET", "FACTS_TIME_ZONE", "REPLY_CACHE_SECONDS", "PUBLIC_URL", "INTAKE_", "KAFKA_")
KEPT_OUT += ("GEO_", "TRUSTED_PROXIES", "WEBHOOK_", "ARCHIVE_URL", "DEMO_SHOP", "LEDGER_")
KEPT_OUT += ("CAREFUL_WORDS", "TELL_VALUES")
for name in [name for name in os.environ if name.startswith(KEPT_OUT)]:
    os.environ.pop(name, None)
# On a busy test machine decisions wait for Redis, and events for PostgreSQL, as long as it takes.
os.environ["REDIS_DEADLINE_SECONDS"] = "5"
os.environ["INTAKE_DEADLINE_SECONDS"] = "10"
