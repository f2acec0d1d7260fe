"""A URL comes in; a folder of files that are written once and read often, on disk or in object storage, comes out.

A file appears whole or not at all: on disk by a rename after `fsync`, in object storage because a put is atomic. What
lies in object storage is copied to this machine's disk when it is first read; names are never used twice, so a copy
never grows old.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from uuid import uuid4

import fsspec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from fsspec.implementations.local import LocalFileSystem

HALF = ".half-"  # the beginning of the name of a file that is being written


class Entry(NamedTuple):
    """When a file was written, in seconds since 1970, and its bytes."""

    at: float
    size: int


class Files:
    """The files below one URL; every path is relative to it, with `/` between its parts."""

    def __init__(self, url: str, copies: Path) -> None:
        """`copies` is where files of an object storage are kept on this machine."""
        try:
            self._storage, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ImproperlyConfigured(
                f"ARCHIVE_URL={url} cannot be used: {error}. For s3:// run `pip install -r requirements/s3.txt`."
            ) from None
        self._root = root.rstrip("/")
        self.on_disk = isinstance(self._storage, LocalFileSystem)
        self._copies = Path(root) if self.on_disk else copies

    @contextmanager
    def writing(self, path: str) -> Iterator[Path]:
        """A file on this machine to be filled; at the end of the block it is there under its name, durable.

        Raises ValueError for a path that leads out of the folder.
        """
        _refuse_outside(path)
        if self.on_disk:
            target = self._copies / path
            target.parent.mkdir(parents=True, exist_ok=True)
            half = target.parent / f"{HALF}{uuid4().hex}"
            try:
                yield half
                _into_place(half, target)
            finally:
                half.unlink(missing_ok=True)
            return
        with TemporaryDirectory(prefix="decisioning-") as folder:
            half = Path(folder) / "file"
            yield half
            self._storage.put_file(str(half), f"{self._root}/{path}")

    def local(self, path: str) -> Path:
        """The file on this machine's disk, copied there if need be; FileNotFoundError when there is none to copy."""
        _refuse_outside(path)
        place = self._copies / path
        if not self.on_disk and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            half = place.parent / f"{HALF}{uuid4().hex}"
            try:
                self._storage.get_file(f"{self._root}/{path}", str(half))
                half.replace(place)
            finally:
                half.unlink(missing_ok=True)
        return place

    def read(self, path: str) -> bytes | None:
        """A small file's bytes as they are now, past any copy; None when there is none."""
        try:
            return bytes(self._storage.cat_file(f"{self._root}/{path}"))
        except FileNotFoundError:
            return None

    def listing(self, under: str) -> dict[str, Entry]:
        """Every file below a folder, half-written ones too."""
        self._storage.invalidate_cache()
        try:
            found = self._storage.find(f"{self._root}/{under}", detail=True)
        except FileNotFoundError:
            return {}
        return {name[len(self._root) + 1 :]: Entry(_written(one), int(one["size"])) for name, one in found.items()}

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files and this machine's copies of them; what is gone already is no error."""
        for path in paths:
            with suppress(FileNotFoundError):
                self._storage.rm_file(f"{self._root}/{path}")
            (self._copies / path).unlink(missing_ok=True)

    def delete_copies(self, under: str, keep: Iterable[str]) -> None:
        """Of this machine's copies below a folder only these stay."""
        if self.on_disk:
            return
        kept = {self._copies / path for path in keep}
        for place in (self._copies / under).rglob("*"):
            if place.is_file() and place not in kept:
                place.unlink(missing_ok=True)


def _refuse_outside(path: str) -> None:
    if not path or any(step in ("", ".", "..") or "\\" in step or "\0" in step for step in path.split("/")):
        raise ValueError(f"{path!r} is no path within the folder; name its parts with / between them.")


def _into_place(half: Path, target: Path) -> None:
    _to_disk(half)
    half.replace(target)
    _to_disk(target.parent)


def _to_disk(place: Path) -> None:
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _written(about: dict[str, Any]) -> float:
    moment = about.get("mtime", about.get("LastModified", 0.0))
    return float(moment if isinstance(moment, float | int) else moment.timestamp())


def files() -> Files:
    """What ARCHIVE_URL names; connections are made anew in a forked process."""
    return _opened(settings.ARCHIVE_URL, str(settings.STATE_DIR), os.getpid())


@lru_cache(maxsize=4)
def _opened(url: str, state: str, _process: int) -> Files:
    return Files(url, Path(state) / "copies")
