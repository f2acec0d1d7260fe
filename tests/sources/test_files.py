"""Files as people have them: every row comes out, or a reason with its line."""

import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from decisioning.sources import delimited, files, reading, typed
from decisioning.sources.files import open_file
from decisioning.sources.mapping import FileWords, Unusable
from decisioning.sources.reading import File, Row

Write = Callable[[str, bytes | str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return put


def rows(path: Path, start: int = 0, **words: Any) -> list[Row]:
    return list(open_file(path, FileWords(**words)).rows(start))


def cells(path: Path, **words: Any) -> list[dict[str, Any]]:
    return [row.cells for row in rows(path, **words)]


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,x\n2,y\n",
        "a,b\r\n1,x\r\n2,y\r\n",
        "a,b\r1,x\r2,y\r",
        "\ufeffa,b\n1,x\n2,y",
        "a;b\n1;x\n\n2;y\n\n",
        "sep=|\r\na|b\r\n1|x\r\n2|y\r\n",
        "a\tb\n1\tx\n2\ty\n",
        '"a","b"\n"1","x"\n"2","y"\n',
        ("\ufeff" + "a;b\r\n1;x\r\n2;y\r\n").encode("utf-16-le"),
        gzip.compress(b"a,b\n1,x\n2,y\n", mtime=0),
    ],
)
def test_every_usual_dialect_of_csv_is_read(write: Write, content: bytes | str) -> None:
    assert cells(write("file.csv", content)) == [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]


def test_quoted_cells_go_over_lines_and_the_line_is_that_of_the_beginning(write: Write) -> None:
    path = write("file.csv", 'a,b\n1,"x ""y""\nz"\n\n3,"p,q"\n4\n')
    found = rows(path)
    assert [(row.number, row.place) for row in found] == [(0, "line 2"), (1, "line 5"), (2, "line 6")]
    assert [row.cells for row in found[:2]] == [{"a": "1", "b": 'x "y"\nz'}, {"a": "3", "b": "p,q"}]
    assert "1 cells and the header 2" in found[2].problem
    assert found[2].shown() == b"4"


def test_a_line_with_broken_quotes_harms_no_other(write: Write) -> None:
    found = rows(write("file.csv", 'a,b\n1,"x"y\n2,z\n'))
    assert [(row.place, bool(row.problem)) for row in found] == [("line 2", True), ("line 3", False)]


def test_a_quote_that_is_never_closed_is_told(write: Write) -> None:
    found = rows(write("file.csv", 'a,b\n1,x\n2,"y\n3,z\n'))
    assert [row.problem[:26] for row in found] == ["", "The line is not valid CSV:"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [("", "no header"), ("\n1,2\n", "no header"), ("a,b,a\n1,2,3\n", "two columns named a")],
)
def test_a_csv_file_needs_a_header_with_names(write: Write, content: str, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        rows(write("file.csv", content))


def test_other_encodings_are_named_in_the_mapping(write: Write) -> None:
    path = write("file.csv", "name\nJosé\n".encode("cp1252"))
    assert cells(path, encoding="cp1252") == [{"name": "José"}]
    assert cells(path) == [{"name": "Jos\udce9"}]
    assert rows(path)[0].shown() == rb"{'name': 'Jos\udce9'}"
    with pytest.raises(Unusable, match="unknown encoding"):
        rows(path, encoding="klingon")


def test_an_endless_line_is_not_read_into_memory(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (reading, delimited, typed):
        monkeypatch.setattr(module, "LONGEST_LINE", 1000)
    for name, content in (("a.csv", "a\n" + "x" * 5000), ("a.jsonl", '{"a": "' + "x" * 5000)):
        with pytest.raises(Unusable, match="longer than"):
            rows(write(name, content))


def test_json_lines_keep_their_types(write: Write) -> None:
    path = write("file.jsonl", '\ufeff{"a": 1, "b": {"c": [true]}}\r\n\n{"a": null}\n')
    assert [(row.place, row.cells) for row in rows(path)] == [
        ("line 1", {"a": 1, "b": {"c": [True]}}),
        ("line 3", {"a": None}),
    ]


@pytest.mark.parametrize("line", [b"[1]", b'{"a": 1', b'{"a": NaN}', b'{"a": 1, "a": 2}', b'{"a": "\xff"}', b"\x00"])
def test_a_bad_line_of_json_harms_no_other(write: Write, line: bytes) -> None:
    bad, good = rows(write("file.jsonl", b'{"z": 0}\n' + line + b'\n{"a": 1}\n'))[1:]
    assert bad.problem
    assert (bad.place, bad.shown()) == ("line 2", line)
    assert (good.number, good.cells) == (2, {"a": 1})


def test_one_big_json_list_is_refused_with_the_cure(write: Write) -> None:
    with pytest.raises(Unusable, match="jq -c"):
        rows(write("file.json", '[{"a": 1}]'))


def test_parquet_keeps_types_and_structs(tmp_path: Path) -> None:
    path = tmp_path / "file.parquet"
    pl.DataFrame(
        {
            "at": [datetime(2024, 5, 31, 18), None],
            "day": [date(2024, 5, 31), date(2024, 6, 1)],
            "total": [1.5, float("nan")],
            "page": [{"url": "u", "tags": ["a"], "ref": None}, {"url": None, "tags": None, "ref": None}],
            "raw": [b"x", None],
        }
    ).write_parquet(path)
    first, second = rows(path)
    assert first.cells == {
        "at": datetime(2024, 5, 31, 18),
        "day": date(2024, 5, 31),
        "total": 1.5,
        "page": {"url": "u", "tags": ["a"]},
        "raw": b"x",
    }
    assert (second.place, second.cells["page"]) == ("row 2", {})


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_reading_starts_at_any_row(tmp_path: Path, ending: str) -> None:
    frame = pl.DataFrame({"n": range(5000)})
    path = tmp_path / f"file.{ending}"
    {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[ending](path)
    found = rows(path, start=4321)
    assert [row.number for row in found] == list(range(4321, 5000))
    assert [int(row.cells["n"]) for row in found] == list(range(4321, 5000))
    assert rows(path)[4321].place == found[0].place


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv.gz", gzip.compress(b"a\n1\n", mtime=0), files.CsvFile),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n', mtime=0), files.JsonFile),
        ("export", b'{"a": 1}\n', files.JsonFile),
        ("export", gzip.compress(b'{"a": 1}\n', mtime=0), files.JsonFile),
        ("export.2024-05", b"a,b\n", files.CsvFile),
    ],
)
def test_the_format_is_guessed(write: Write, name: str, content: bytes, kind: type[File]) -> None:
    assert type(open_file(write(name, content), FileWords())) is kind


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", gzip.compress(b"a\n" + b"1\n" * 100_000)[:-20]),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 100_000)[:-20]),
        ("a.parquet", b"PAR1 and no more"),
    ],
)
def test_a_file_cut_off_is_told(write: Write, name: str, content: bytes) -> None:
    with pytest.raises(Unusable, match=r"cut off|not a readable Parquet"):
        rows(write(name, content))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="No such file"):
        open_file(tmp_path / "none.csv", FileWords())


def test_progress_goes_from_nothing_to_everything(write: Write) -> None:
    file = open_file(write("a.csv", "a\n" + "1\n" * 100_000), FileWords())
    seen = [file.progress() for _ in file.rows()]
    assert seen == sorted(seen)
    assert 0 < seen[0][0] < 0.5 * seen[0][1]
    assert file.progress() == (200_002, 200_002)


def test_a_changed_file_has_another_fingerprint(write: Write) -> None:
    path = write("a.csv", "a\n1\n")
    before = files.fingerprint(path)
    assert files.fingerprint(path) == before
    write("a.csv", "a\n2\n")
    assert files.fingerprint(path) != before


def test_the_moment_of_the_file_has_a_zone(write: Write) -> None:
    assert abs((files.modified_at(write("a.csv", "")) - datetime.now(UTC)).total_seconds()) < 60
