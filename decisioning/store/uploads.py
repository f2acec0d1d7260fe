"""Files that people upload in; kept below `STATE_DIR` until somebody says what to do with them, a day at most, out.

The web process that took a file in and the worker that works on it share that folder.
"""

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from django.conf import settings
from uuid_utils.compat import uuid7

KEPT_SECONDS: Final = 24 * 3600
TOKEN: Final = re.compile(r"[0-9a-f]{32}")


class About(msgspec.Struct, frozen=True):
    """What is to be done with a file: to which list, how, and for whom. `rows` are counted when it is looked at."""

    segment: int
    mode: str
    kind: str
    name: str
    by: int
    rows: int = 0


class Gone(LookupError):
    """There is no such file any more."""


def keep(chunks: Iterable[bytes], about: About) -> str:
    """Store a file; the token that names it. Files nobody asked for any more go on the way."""
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(folder)
    token = uuid7().hex
    path = folder / f"{token}.csv"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for chunk in chunks:
            file.write(chunk)
    note(token, about)
    return token


def note(token: str, about: About) -> None:
    """Write down what is known of a file."""
    _path(token, "json").write_bytes(msgspec.json.encode(about))


def about(token: str) -> About:
    """What is to be done with a file. Raises Gone."""
    try:
        return msgspec.json.decode(_path(token, "json").read_bytes(), type=About)
    except (OSError, msgspec.MsgspecError):
        raise Gone("This file was imported already, or is older than a day; upload it again.") from None


def opened(token: str) -> BinaryIO:
    """The file itself. Raises Gone."""
    try:
        return _path(token, "csv").open("rb")
    except OSError:
        raise Gone("This file was imported already, or is older than a day; upload it again.") from None


def drop(token: str) -> None:
    """It is not needed any more."""
    for ending in ("csv", "json"):
        _path(token, ending).unlink(missing_ok=True)


def _folder() -> Path:
    return Path(settings.STATE_DIR) / "uploads"


def _path(token: str, ending: str) -> Path:
    if not TOKEN.fullmatch(token):
        raise Gone("There is no such file; upload it again.")
    return _folder() / f"{token}.{ending}"


def _sweep(folder: Path) -> None:
    oldest = time.time() - KEPT_SECONDS
    for path in folder.iterdir():
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
