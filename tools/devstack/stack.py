"""A profile goes in; its servers are started or stopped, and the environment to reach them comes out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools.devstack import postgres, valkey
from tools.devstack.openmp import library_environment
from tools.devstack.places import Profile, StackError, profile

GIVEN_DATABASE, GIVEN_REDIS, GIVEN_BROKER = "DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"


def start(place: Profile, keep: bool = False, leash: bool = False) -> dict[str, str]:
    """Start what no URL was given for, and return the environment of the profile.

    keep: the servers stay until `stop`, whoever else uses them meanwhile.
    leash: the kernel stops them when this process dies (Linux).
    Raises StackError with the cure when a server cannot be started.
    """
    with place.locked():
        if keep:
            place.kept.touch()
        if not os.environ.get(GIVEN_DATABASE):
            postgres.start(place, leash=leash)
        if not os.environ.get(GIVEN_REDIS):
            valkey.start(place, place.known_socket_folder() or place.socket_folder(), leash=leash)
    return environment(place)


def stop(place: Profile) -> bool:
    """Stop the profile's own servers; True when nothing is left running. Given servers are left alone."""
    with place.locked():
        gone = all([valkey.stop(place), postgres.stop(place)])
        if gone:
            place.remove_sockets()
            place.kept.unlink(missing_ok=True)
    return gone


def environment(place: Profile, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables children need to reach the servers; what is given in the environment wins."""
    outside = os.environ if given is None else given
    sockets = place.known_socket_folder()
    if sockets is None and not (outside.get(GIVEN_DATABASE) and outside.get(GIVEN_REDIS)):
        raise StackError(
            f"Profile {place.name} is not running. Start it: python -m tools.devstack start --profile {place.name}"
        )
    return {
        GIVEN_DATABASE: outside.get(GIVEN_DATABASE) or postgres.url(place),
        **_redis_urls(outside, sockets),
        **library_environment(place.run),
    }


def _redis_urls(outside: Mapping[str, str], sockets: Path | None) -> dict[str, str]:
    given = outside.get(GIVEN_REDIS)
    if given:
        return {GIVEN_REDIS: given, GIVEN_BROKER: outside.get(GIVEN_BROKER) or broker_of(given)}
    assert sockets is not None
    broker = outside.get(GIVEN_BROKER) or valkey.broker_url(sockets)
    return {GIVEN_REDIS: valkey.redis_url(sockets), GIVEN_BROKER: broker}


def broker_of(redis_url: str) -> str:
    """The broker's URL for a given Redis: the same server; a unix socket is spelled kombu's way."""
    if not redis_url.startswith("unix://"):
        return redis_url
    path, _, query = redis_url.removeprefix("unix://").partition("?")
    return f"redis+socket://{path}" + (f"?{query.replace('db=', 'virtual_host=')}" if query else "")


@contextmanager
def stack(name: str, run: Path | None = None, leash: bool = False) -> Iterator[dict[str, str]]:
    """Run the servers of a profile for the length of a block; the block gets their environment.

    The last user stops them, unless `start(keep=True)` asked for them to stay.
    """
    place = profile(name, run)
    membership = place.join()
    try:
        yield start(place, leash=leash)
    finally:
        membership.close()
        if not place.kept.exists() and not place.has_users():
            stop(place)


def status(place: Profile) -> list[str]:
    """One line a server: what runs, with its pid."""
    servers = {"PostgreSQL": postgres.find(place), "Valkey": valkey.find(place)}
    return [
        f"{place.name:<8} {label:<11} {f'running, pid {found.pid}' if found else 'stopped'}"
        for label, found in servers.items()
    ]
