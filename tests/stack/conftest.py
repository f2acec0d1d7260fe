"""Launcher tests get a run folder of their own; whatever they started is stopped when they end."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.dev import strays
from tools.devstack import known_profiles, processes, stop

GIVEN = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "PORT", "DECISIONING_RUN_DIR")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty run folder that ordinary users can reach, with no server given from outside."""
    for name in GIVEN:
        monkeypatch.delenv(name, raising=False)
    folder = Path(tempfile.mkdtemp(prefix="stack-test-"))
    folder.chmod(0o755)
    yield folder
    for place in known_profiles(folder):
        strays.end(place)
        stop(place)
    for link in folder.glob("*/postgres"):
        if link.is_symlink():
            shutil.rmtree(link.resolve().parent)
    left = [found for found in processes.running() if processes.works_in(found, folder / "demo" / "valkey")]
    shutil.rmtree(folder)
    assert left == []


@pytest.fixture
def as_root() -> None:
    """Skips where changing accounts is not possible."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
