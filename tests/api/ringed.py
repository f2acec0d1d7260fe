"""A site whose process keeps its keys as a serving one does: read from the database, looked at by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from decisioning.api import keys as checking
from decisioning.store import keyring, keys


@pytest.fixture
def ring(site: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> keyring.Ring:
    """The keys of this process; `look()` sees what changed."""
    made = keyring.Ring(tmp_path / "keys")
    for module in (keyring, checking):
        monkeypatch.setattr(module, "ring", made)
    made.look()
    return made


@pytest.fixture
def new_key(ring: keyring.Ring) -> Callable[..., str]:
    """Makes a key that is in force at once, and gives its whole text."""

    def make(*scopes: str, **settings: Any) -> str:
        whole = keys.create("made", scopes or ("decide", "track"), **settings)[1]
        ring.look()
        return whole

    return make
