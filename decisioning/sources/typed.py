"""A file of JSON Lines or Parquet in; its rows, with the types they have there, out. Pure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl

from ..customers.intake import strict
from .mapping import FileWords, Unusable
from .reading import LONGEST_LINE, File, Row, refuse_overlong

BATCH: Final = 2_000


class JsonFile(File):
    """JSON Lines: one object a line. Source: https://jsonlines.org/"""

    typed = True

    def __init__(self, path: Path, words: FileWords) -> None:
        super().__init__(path, words)
        with self.open() as binary:
            if binary.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
                raise Unusable(
                    f"{path.name} is one JSON list; write one object a line, such as: jq -c '.[]' {path.name}"
                )

    def _rows(self, start: int) -> Iterator[Row]:
        number = 0
        binary = self.open()
        for line, raw in enumerate(iter(lambda: binary.readline(LONGEST_LINE), b""), 1):
            refuse_overlong(raw, line)
            text = raw.removeprefix(b"\xef\xbb\xbf").strip() if line == 1 else raw.strip()
            if not text:
                continue
            if number >= start:
                yield self._row(number, f"line {line}", text)
            number += 1

    def _row(self, number: int, place: str, text: bytes) -> Row:
        try:
            found, _ = strict.read(text)
        except strict.Unfit as error:
            return Row(number, place, {}, error.message, text)
        if isinstance(found, dict):
            return Row(number, place, found)
        return Row(number, place, {}, "The line is not a JSON object.", text)


class ParquetFile(File):
    """Apache Parquet; read in batches, so that at most a few row groups are in memory."""

    typed = True

    def __init__(self, path: Path, words: FileWords) -> None:
        super().__init__(path, words)
        try:
            self._frame = pl.scan_parquet(path, glob=False, hive_partitioning=False)
            self.columns = tuple(self._frame.collect_schema().names())
            self.size = int(self._frame.select(pl.len()).collect().item())
        except (pl.exceptions.PolarsError, OSError) as error:
            raise Unusable(f"{path.name} is not a readable Parquet file: {error}.") from None
        self._done = 0

    def _rows(self, start: int) -> Iterator[Row]:
        self._done = start
        nested = [name for name, kind in self._frame.collect_schema().items() if kind.is_nested()]
        try:
            for batch in self._frame.slice(start).collect_batches(chunk_size=BATCH, maintain_order=True):
                for cells in batch.iter_rows(named=True):
                    for name in nested:
                        cells[name] = without_nulls(cells[name])
                    self._done += 1
                    yield Row(self._done - 1, f"row {self._done}", cells)
        except pl.exceptions.PolarsError as error:
            raise Unusable(f"{self.path.name} is damaged behind row {self._done}: {error}.") from None

    def progress(self) -> tuple[int, int]:
        """Rows, of rows."""
        return self._done, self.size


def without_nulls(value: Any) -> Any:
    """A struct's empty members are missing, not null."""
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value
