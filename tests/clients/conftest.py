"""A web server for each file of tests, whose every test has customers of its own."""

import os
from collections.abc import Iterator

import pytest

from .serving import Site, serving

# RudderStack's client reads a file `.env` when it is imported, from any folder above its own: a developer's, say.
os.environ["PYTHON_DOTENV_DISABLED"] = "1"


@pytest.fixture(scope="module")
def site(django_db_setup: None, django_db_blocker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running server. It commits, so nothing is rolled back; everything is emptied after the file's last test."""
    with django_db_blocker.unblock(), serving(tmp_path_factory.mktemp("web")) as made:
        yield made


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy meant for the outside must not be asked for our own machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
