"""Connections wait as long as they are told to, for Redis and for the disk."""

import pytest
from django.db import connection

from decisioning.management.commands.consume import need_no_disk
from decisioning.store.connection import hot


def test_decisions_wait_for_redis_as_long_as_the_setting_says(settings) -> None:
    settings.REDIS_DEADLINE_SECONDS = 0.07
    hot.cache_clear()
    try:
        told = hot().connection_pool.connection_kwargs
    finally:
        hot.cache_clear()
    assert (told["socket_timeout"], told["socket_connect_timeout"]) == (0.07, 0.07)


@pytest.mark.django_db
def test_a_consumers_commits_do_not_wait_for_the_disk() -> None:
    need_no_disk(connection)
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() == ("off",)
