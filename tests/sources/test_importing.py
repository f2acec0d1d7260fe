"""Files end up in the database: once, with their places where they fail, and exactly where they were after a kill."""

import gzip
import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from django.db import connection

from decisioning.customers.models import Customer, DeadLetter, Event, ImportRun, Pending
from decisioning.sources.importing import LOCK

from .conftest import Write, import_

ROOT = Path(__file__).resolve().parents[2]
HEADER = "message_id,user_id,event,timestamp,total\n"


def lines(count: int, start: int = 0) -> str:
    return "".join(f"m-{n},u-{n % 7},Order Completed,2024-05-31T18:04:00Z,{n}.5\n" for n in range(start, start + count))


@pytest.mark.django_db
def test_events_are_stored_as_history(write: Write) -> None:
    said, complained = import_("events", write("orders.csv", HEADER + lines(3)))
    assert "3 rows" in said and "3 added" in said and "0 failed" in said
    assert complained == ""
    event = Event.objects.get(message_id="m-2")
    assert (event.name, event.properties, event.historical) == ("Order Completed", {"total": 2.5}, True)
    assert (event.timestamp, event.source) == (datetime(2024, 5, 31, 18, 4, tzinfo=UTC), "import orders.csv")
    assert event.identity.value == "u-2"
    assert Pending.objects.count() == 3


@pytest.mark.django_db
def test_live_events_are_no_history(write: Write) -> None:
    import_("events", write("orders.csv", HEADER + lines(1)), live=True, source="till 7")
    assert list(Event.objects.values_list("historical", "source")) == [(False, "till 7")]


@pytest.mark.django_db
def test_a_repeated_import_adds_nothing(write: Write) -> None:
    path = write("orders.csv", HEADER + lines(5))
    import_("events", path)
    assert "5 duplicates" in import_("events", path)[0]
    assert Event.objects.count() == 5
    assert list(ImportRun.objects.order_by("pk").values_list("row", "added", "duplicates", "failed")) == [
        (5, 5, 0, 0),
        (5, 0, 5, 0),
    ]


@pytest.mark.django_db
def test_rows_without_ids_are_recognised_in_any_file_and_format(write: Write, tmp_path: Path) -> None:
    rows = [{"user_id": "u", "event": "Tea", "timestamp": "2024-05-31", "n": n} for n in (1, 1, 2)]
    csv = "n,event,timestamp,user_id\n" + "".join(f"{r['n']},{r['event']},{r['timestamp']},u\n" for r in rows)
    jsonl = "".join(json.dumps(row) + "\n" for row in rows)
    pl.DataFrame(rows).write_parquet(tmp_path / "c.parquet")
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(jsonl.encode()))
    assert "3 added" in import_("events", write("a.csv", csv))[0]
    for path in (write("b.jsonl", jsonl), tmp_path / "c.parquet", tmp_path / "d.jsonl.gz"):
        assert "3 duplicates" in import_("events", path)[0]
    assert Event.objects.count() == 3


@pytest.mark.django_db
def test_a_row_that_fails_is_listed_kept_and_harms_no_other(write: Write) -> None:
    content = (
        HEADER + "m-1,u-1,Tea,2024-05-31,1\nm-2,,Tea,2024-05-31,1\nm-3,u-3,Tea,31.05.24,1\nm-4,u-4,Tea\n" + lines(1)
    )
    said, complained = import_("events", write("orders.csv", content))
    assert "2 added" in said and "3 failed" in said
    told = complained.strip().splitlines()
    assert [line.split(":")[0] for line in sorted(told[:3])] == [f"orders.csv, line {n}" for n in (3, 4, 5)]
    assert told[-1] == "Rows of orders.csv failed; their neighbours are stored."
    letters = {letter.source: letter for letter in DeadLetter.objects.all()}
    assert sorted(letters) == [f"import orders.csv, line {n}" for n in (3, 4, 5)]
    assert "nobody" in letters["import orders.csv, line 3"].reason
    assert "timestamp is '31.05.24'" in letters["import orders.csv, line 4"].reason
    assert bytes(letters["import orders.csv, line 5"].body) == b"m-4,u-4,Tea"
    assert ImportRun.objects.get().failed == 3


@pytest.mark.django_db
def test_failures_may_be_allowed(write: Write) -> None:
    path = write("orders.csv", HEADER + "m-1,,Tea,2024-05-31,1\n")
    assert "Rows of" in import_("events", path)[1]
    assert "Rows of" not in import_("events", path, allow_failures=True)[1]


@pytest.mark.django_db
def test_too_many_failures_stop_it_where_it_can_go_on(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decisioning.sources.importing.CHUNK", 10)
    path = write("orders.csv", HEADER + "m,,Tea,2024-05-31,1\n" * 5 + lines(30))
    assert "larger --max-failures" in import_("events", path, max_failures=3)[1]
    assert (Event.objects.count(), ImportRun.objects.get().row) == (5, 10)
    said, _ = import_("events", path, max_failures=10)
    assert "went on at row 10" in said
    assert Event.objects.count() == 30


@pytest.mark.django_db
def test_a_changed_file_is_refused_until_told_to_start_anew(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decisioning.sources.importing.CHUNK", 10)
    import_("events", write("orders.csv", HEADER + "m,,Tea,2024-05-31,1\n" * 10 + lines(9)), max_failures=3)
    path = write("orders.csv", HEADER + lines(9))
    assert "Give --restart to begin anew" in import_("events", path)[1]
    assert "9 added" in import_("events", path, restart=True)[0]
    assert ImportRun.objects.filter(finished_at__isnull=True).count() == 0


@pytest.mark.django_db
def test_a_rehearsal_shows_and_checks_and_writes_nothing(write: Write) -> None:
    content = HEADER + lines(4) + "m-9,,Tea,2024-05-31,1\nm-8,u,Tea,never,1\n"
    said, complained = import_("events", write("orders.csv", content), dry_run=True)
    assert '"messageId": "m-2"' in said and '"messageId": "m-3"' not in said
    assert "4 acceptable, 2 failed. Nothing was written." in said
    assert "line 6" in complained and "line 7" in complained
    assert [model.objects.count() for model in (Event, DeadLetter, ImportRun, Customer)] == [0, 0, 0, 0]


@pytest.mark.django_db
def test_a_limit_takes_the_first_rows(write: Write) -> None:
    import_("events", write("orders.csv", HEADER + lines(9)), limit=4)
    assert Event.objects.count() == 4
    assert ImportRun.objects.get().finished_at is not None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("mapping", "reason"),
    [("[fields]\nuserId = 'custmer'", "no column"), ("[fields", "not TOML"), (None, "No such file")],
)
def test_what_cannot_begin_says_why(write: Write, tmp_path: Path, mapping: str | None, reason: str) -> None:
    where = tmp_path / "map.toml"
    if mapping is not None:
        where.write_text(mapping)
    assert reason in import_("events", write("orders.csv", HEADER + lines(1)), mapping=where)[1]
    assert ImportRun.objects.count() == 0


def test_killed_anywhere_it_goes_on_exactly_where_it_was(tmp_path: Path, variables: dict[str, str]) -> None:
    """Rows without message ids, every third one twice, some bad; killed again and again, and still as in one go."""
    total = 20_000
    path = tmp_path / "orders.csv"
    with path.open("w") as file:
        file.write("user_id,event,timestamp,n\n")
        for n in range(total):
            file.write(f"{'' if n % 1000 == 7 else f'u-{n % 97}'},Tea,2024-05-31,{n - (n % 3 == 1)}\n")
    bad = sum(n % 1000 == 7 for n in range(total))
    words = [sys.executable, "manage.py", "import", "events", str(path), "--allow-failures"]
    kills = sum(killed_at(words, variables, rows) for rows in (1, 4000, 10_000))
    assert kills >= 2
    done = subprocess.run(words, cwd=ROOT, env=variables, capture_output=True, text=True, check=True)
    assert "went on at row" in done.stdout
    row = ImportRun.objects.get()
    assert (row.row, row.added, row.duplicates, row.failed) == (total, total - bad, 0, bad)
    assert row.finished_at is not None
    assert Event.objects.count() == Event.objects.values("message_id").distinct().count() == total - bad


def killed_at(words: list[str], variables: dict[str, str], rows: int) -> bool:
    """Kill it once it has committed so many rows: what is stored is what it says. False if it had ended before."""
    process = subprocess.Popen(words, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL)
    while process.poll() is None and (ImportRun.objects.values_list("row", flat=True).first() or 0) < rows:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    killed = process.wait() == -signal.SIGKILL
    row = ImportRun.objects.get()
    assert Event.objects.count() == row.added
    assert row.added + row.failed == row.row
    return killed


def test_two_processes_do_not_import_one_file_at_once(write: Write, variables: dict[str, str]) -> None:
    path = write("orders.csv", HEADER + lines(1))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [LOCK, str(path.resolve())])
        words = [sys.executable, "manage.py", "import", "events", str(path)]
        done = subprocess.run(words, cwd=ROOT, env=variables, capture_output=True, text=True)
        cursor.execute("SELECT pg_advisory_unlock_all()")
    assert done.returncode == 1
    assert "Another process is importing orders.csv" in done.stderr
    assert Event.objects.count() == 0


def test_asked_to_stop_it_ends_with_what_was_committed(tmp_path: Path, variables: dict[str, str]) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(HEADER + lines(100_000))
    words = [sys.executable, "manage.py", "import", "events", str(path)]
    process = subprocess.Popen(words, cwd=ROOT, env=variables, stderr=subprocess.PIPE, text=True)
    while (ImportRun.objects.values_list("row", flat=True).first() or 0) == 0 and process.poll() is None:
        time.sleep(0.005)
    process.terminate()
    _, complained = process.communicate(timeout=30)
    assert (process.returncode, "goes on where it was" in complained) == (130, True)
    row = ImportRun.objects.get()
    assert Event.objects.count() == row.added == row.row
    assert row.finished_at is None
