"""The buffer in front of the ledger: what it writes, what it lets go, what it says of both; months and samples."""

import os
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4, uuid5

import pytest
from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from uuid_utils.compat import uuid7

from decisioning.models import Decision, DroppedMonth, Outcome, Statistic, Tally
from decisioning.store import ledger as ledgers
from decisioning.store import months, tallies
from decisioning.store.copying import copy_in, copy_new
from decisioning.store.recounting import rebuild
from decisioning.store.sampling import in_sample

from ..conftest import NOW
from .test_ledger_counting import count_all, decision, held, outcome, traffic


def made(number: int, **words) -> Decision:
    """A row as it comes from a request just now."""
    row = decision(number, **words)
    row.pk = uuid7()
    return row


@pytest.fixture
def ledger(db, monkeypatch) -> ledgers.Ledger:
    """Flushed by hand."""
    found = ledgers.Ledger()
    monkeypatch.setattr(found, "_thread", object())
    return found


def away(*words):
    raise OperationalError("away")


def test_rows_wait_in_their_order_while_the_database_is_away(ledger, monkeypatch):
    monkeypatch.setattr(ledgers, "BATCH", 2)
    rows = [made(number) for number in range(5)]
    for row in rows:
        ledger.append(row)
    with monkeypatch.context() as broken:
        broken.setattr(ledgers, "copy_new", away)
        with pytest.raises(OperationalError):
            ledger.flush()
    assert (list(ledger._rows), ledger.waiting(), ledger.dropped) == (rows, 5, 0)
    assert (ledger.flush(), ledger.waiting(), Decision.objects.count()) == (5, 0, 5)


def test_a_batch_of_which_some_are_there_adds_the_others(ledger):
    rows = [made(number) for number in range(4)]
    copy_new(rows[:2])
    for row in rows:
        ledger.append(row)
    ledger.flush()
    count_all()
    assert Decision.objects.count() == 4
    assert {row[5] for row in held()} == {4}


def test_one_hopeless_row_among_many_is_dropped_alone_and_counted_once(ledger):
    for number in range(7):
        ledger.append(made(number, context={"a": "\0"} if number == 4 else {}))
    assert ledger.flush() == 6
    assert (Decision.objects.count(), dict(ledger.lost)) == (6, {"refused": 1})
    ledger.tallies.write()
    assert Tally.objects.get(what="dropped").name == "refused"
    assert Tally.objects.get(what="written").count == 6


def test_a_full_buffer_that_is_being_written_drops_the_newest(ledger):
    ledger.limit = 2
    ledger._writing = [made(0), made(1)]
    ledger.append(made(2))
    assert (ledger.dropped, ledger.waiting()) == (1, 3)


def test_copying_what_is_there_already_is_an_error_that_says_so(db):
    copy_new([decision(1)])
    with pytest.raises(DatabaseError, match="duplicate key"):
        copy_new([decision(2), decision(1)])
    assert Decision.objects.count() == 1


def test_a_forked_child_starts_empty_and_counts_for_itself(ledger):
    ledger.append(made(0))
    process = ledger.tallies.process
    ledger.begin()
    assert (ledger.waiting(), ledger.dropped, ledger._thread) == (0, 0, None)
    assert ledger.tallies.process != process
    child = os.fork()
    if child == 0:
        # Only plain Python here: the connection is the parent's.
        os._exit(int(ledgers.ledger.waiting() != 0 or ledgers.ledger._thread is not None))
    assert os.waitpid(child, 0)[1] == 0


def test_a_count_written_twice_is_counted_once_and_processes_add_up(db):
    first, second = tallies.Tallies(), tallies.Tallies()
    for one in (first, second):
        one.add("answers", "hit", NOW, 3)
        one.write()
    first.add("answers", "hit", NOW, 1, figure=2.5)
    first._unwritten.update(first._figures)
    first.write()
    first._unwritten.update(first._figures)
    first.write()
    assert sorted(Tally.objects.values_list("count", "most")) == [(3, 0.0), (4, 2.5)]
    assert tallies.settle(NOW + timedelta(days=8)) == 1
    assert Tally.objects.values_list("process", "count", "most").get() == (tallies.EVERYBODY, 7, 2.5)
    assert tallies.settle(NOW + timedelta(days=8)) == 0


def test_counts_survive_a_database_that_was_away(db, monkeypatch):
    one = tallies.Tallies()
    one.add("answers", "miss", NOW)
    with monkeypatch.context() as broken:
        broken.setattr(tallies, "connection", None)
        with pytest.raises(AttributeError):
            one.write()
    assert (one.write(), one.write(), Tally.objects.get().count) == (1, 0, 1)


def test_answers_that_leave_no_row_are_counted_by_how_they_came(ledger):
    for how in ("hit", "hit", "miss", "none"):
        ledger.answered(how, NOW)
    ledger.tallies.write()
    assert dict(Tally.objects.filter(what="answers").values_list("name", "count")) == {"hit": 2, "miss": 1, "none": 1}


def test_a_sample_is_the_share_asked_for_and_the_same_for_the_same_id():
    ids = [uuid4() for _ in range(4000)]
    kept = [one for one in ids if in_sample(one, 0.25)]
    assert 850 < len(kept) < 1150
    assert set(kept) <= {one for one in ids if in_sample(one, 0.5)}
    assert (any(in_sample(one, 0.0) for one in ids), all(in_sample(one, 1.0) for one in ids)) == (False, True)


def test_outside_of_the_sample_stays_what_is_learned_from_and_what_is_counted(ledger):
    told = {
        "rules": [
            {"key": "one", "revision": 2, "matched": True, "effects": ["BOOST"]},
            {"key": "two", "revision": 1, "matched": False, "effects": []},
        ],
        "segments": ["eco"],
        "dropped": {"c": "hidden by rule one"},
        "campaigns": [],
    }
    more = {"facts": {"age": 30}, "context": {"page": {}}, "asked": {"mode": "execute", "n": 2}, "explanation": told}
    ledger.append(made(1, **more), 0.0)
    ledger.append(made(2, **more), 1.0)
    ledger.flush()
    thin, whole = Decision.objects.order_by("whole")
    assert (thin.whole, whole.whole, whole.explanation) == (False, True, told)
    assert (thin.facts, thin.context, thin.asked) == ({"age": 30}, {"page": {}}, {})
    assert thin.items == [{"key": "a", "rank": 1}, {"key": "b", "rank": 2}]
    assert thin.explanation == {"rules": [{"key": "one", "revision": 2, "matched": True}], "segments": ["eco"]}
    count_all()
    assert {row[5] for row in held()} == {2}, "each counts, in every part"
    assert [row[5:] for row in traffic()] == [(2, 1)]


def tables() -> dict[str, int]:
    """How many decisions lie in which table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text, count(*) FROM decisioning_decision GROUP BY 1")
        return {name.removeprefix("decisioning_decision_"): count for name, count in cursor.fetchall()}


MARCH = datetime(2031, 3, 15, tzinfo=UTC)


def at_moment(moment: datetime, number: int = 0) -> UUID:
    """An id of version 7 that was made then."""
    return UUID(int=int(moment.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62 | number)


def placed(pk: UUID, **words) -> Decision:
    row = decision(1, **words)
    row.pk = pk
    return row


def test_a_decision_lies_in_the_month_of_its_id_and_others_in_the_rest(db):
    assert months.open_months(MARCH) == 3
    assert months.open_months(MARCH) == 0
    assert [f"{one.first:%Y-%m}" for one in months.months()][-3:] == ["2031-03", "2031-04", "2031-05"]
    copy_new([placed(at_moment(MARCH)), placed(at_moment(datetime(2031, 5, 31, 23, 59, 59, tzinfo=UTC)))])
    copy_new([placed(at_moment(datetime(2031, 6, 1, tzinfo=UTC))), placed(uuid5(UUID(int=0), "import"))])
    assert tables() == {"2031_03": 1, "2031_05": 1, "rest": 2}
    assert Decision.objects.get(pk=at_moment(MARCH)).placement == "hero"
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN SELECT * FROM decisioning_decision WHERE id = %s", [at_moment(MARCH)])
        plan = " ".join(line for (line,) in cursor.fetchall())
    assert "decisioning_decision_2031_03" in plan and "2031_04" not in plan


def test_a_month_opened_late_takes_its_decisions_out_of_the_rest_and_counts_none_anew(db):
    copy_new([placed(at_moment(MARCH)), placed(uuid5(UUID(int=0), "import"))])
    count_all()
    before = held(), traffic()
    assert tables() == {"rest": 2}
    months.open_months(MARCH)
    assert tables() == {"2031_03": 1, "rest": 1}
    count_all()
    assert (held(), traffic()) == before


def test_an_id_is_there_once_and_a_repeat_adds_nothing(db):
    months.open_months(MARCH)
    for _ in range(2):
        copy_in([placed(at_moment(MARCH))])
    Decision.objects.bulk_create([placed(at_moment(MARCH))], ignore_conflicts=True)
    assert Decision.objects.count() == 1


def test_a_month_past_its_time_goes_with_its_outcomes_and_what_it_added_up_to_stays(db):
    assert months.drop_expired(12, MARCH), "the tables of today are empty"
    months.open_months(MARCH)
    months.open_months(MARCH + timedelta(days=61))
    old, new = placed(at_moment(MARCH)), placed(at_moment(MARCH + timedelta(days=61)), at=NOW + timedelta(days=61))
    # An import's id that happens to lie in March.
    imported = placed(UUID(int=at_moment(MARCH).int & ~(0xF << 76) | 5 << 76), source="import")
    copy_new([old, new, imported])
    for number, one in enumerate((old, new, imported)):
        outcome(one, "click", f"m{number}").save()
    assert months.drop_expired(12, datetime(2032, 4, 2, tzinfo=UTC)) == [], "not counted yet"
    count_all()
    before = held(), traffic()
    assert months.drop_expired(12, datetime(2032, 3, 31, tzinfo=UTC)) == [], "March is kept for twelve whole months"
    assert months.drop_expired(0, datetime(2099, 1, 1, tzinfo=UTC)) == [], "0 keeps for ever"
    assert months.drop_expired(12, datetime(2032, 4, 2, tzinfo=UTC)) == [date(2031, 3, 1)]
    assert set(Decision.objects.values_list("pk", flat=True)) == {new.pk, imported.pk}
    assert set(Outcome.objects.values_list("message_id", flat=True)) == {"m1", "m2"}
    gone = DroppedMonth.objects.get(month=date(2031, 3, 1))
    assert (gone.rows, gone.last_day, gone.outcomes_gone) == (1, NOW.date(), True)
    assert (held(), traffic()) == before
    count_all()
    rebuild()
    assert (held(), traffic()) == before
    assert Statistic.objects.filter(day=NOW.date()).exists()


def migrate(name: str) -> None:
    """To a state of this app's migrations, and to those of others that go with it."""
    executor = MigrationExecutor(connection)
    executor.migrate([("decisioning", name)])


COLUMNS = (
    "id, at, customer_key, placement, source, request_id, rung, reason, policy, items, explanation, facts, context"
)
BEFORE = f"""
INSERT INTO decisioning_decision ({COLUMNS}, asked)
VALUES (%s, %s, '', 'hero', 'api', '', 'full', 'RANKED', 'greedy', '[{{"key": "a"}}]', '{{}}', '{{}}', '{{}}', '{{}}')
"""


def test_rows_from_before_there_were_months_are_carried_over_and_counted_and_back(db):
    real = datetime.now(UTC)
    ids = [at_moment(real), at_moment(real - timedelta(days=70)), uuid5(UUID(int=0), "import")]
    migrate("0006_keys")
    with connection.cursor() as cursor:
        for pk in ids:
            cursor.execute(BEFORE, [pk, NOW])
    migrate("0009_windows")
    assert (sum(tables().values()), tables()["rest"]) == (3, 1)
    assert f"{real:%Y_%m}" in tables()
    count_all()
    assert {row[5] for row in held()} == {3}
    assert list(Decision.objects.values_list("whole", flat=True)) == [True] * 3
    migrate("0006_keys")
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM decisioning_decision")
        assert {pk for (pk,) in cursor.fetchall()} == set(ids)
    migrate("0009_windows")
    assert sum(tables().values()) == 3
