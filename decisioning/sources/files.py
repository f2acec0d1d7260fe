"""A path in; the file, opened as what it is said to be, is named like or looks like, out. Pure."""

import gzip
import zlib
from datetime import datetime
from pathlib import Path
from typing import Final

from .delimited import CsvFile
from .mapping import FileWords, Unusable
from .reading import DAMAGED, GZIP, File
from .typed import JsonFile, ParquetFile

PARQUET: Final = b"PAR1"
FORMATS: Final[dict[str, type[File]]] = {"csv": CsvFile, "jsonl": JsonFile, "parquet": ParquetFile}
ENDINGS: Final = {"csv": "csv", "tsv": "csv", "txt": "csv", "jsonl": "jsonl", "ndjson": "jsonl", "json": "jsonl",
                  "parquet": "parquet", "pq": "parquet"}  # fmt: skip


def open_file(path: Path, words: FileWords, format_: str = "") -> File:
    """The file, opened as what it is said to be, is named like, or looks like. Raises Unusable."""
    try:
        return FORMATS[format_ or words.format or _guess(path)](path, words)
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror or error}.") from None
    except DAMAGED as error:
        raise Unusable(f"{path.name} is damaged or was cut off: {error}.") from None


def fingerprint(path: Path) -> str:
    """What tells this file from a changed one: size, moment of the last change, and the first megabyte."""
    about = path.stat()
    with path.open("rb") as binary:
        return f"{about.st_size} {about.st_mtime_ns} {zlib.crc32(binary.read(1_000_000)):08x}"


def modified_at(path: Path) -> datetime:
    """When the file was written."""
    return datetime.fromtimestamp(path.stat().st_mtime).astimezone()


def _guess(path: Path) -> str:
    endings = [ending.lstrip(".").lower() for ending in path.suffixes]
    name = next((ENDINGS[ending] for ending in reversed(endings) if ending in ENDINGS), "")
    if name:
        return name
    with path.open("rb") as binary:
        start = binary.read(64)
    if start.startswith(GZIP):
        with gzip.open(path) as unpacked:
            start = unpacked.read(64)
    return "parquet" if start.startswith(PARQUET) else "jsonl" if start.lstrip()[:1] in (b"{", b"[") else "csv"
