"""Logs of what was shown elsewhere become decisions and outcomes of the ledger: once, and with what was known then."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from campaigns.models import Content, Placement
from decisioning.customers.models import Customer, Event, ImportRun, Pending
from decisioning.flows import learn
from decisioning.models import Decision, Outcome, Statistic
from decisioning.store.counting import count_new
from decisioning.store.recounting import rebuild

from .conftest import Write, import_

pytestmark = pytest.mark.django_db
PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
HEADER = "decision_id,user_id,at,placement,content,rank,propensity,click,conversion,value\n"
SLATE = (
    HEADER + "d-1,u-1,2024-05-31T10:00:00Z,home,tea,1,0.5,1,0,\n"
    "d-2,u-2,2024-05-31T11:00:00Z,home,pot,1,0.25,0,0,\n"
    "d-1,u-1,2024-05-31T10:00:00Z,home,mug,2,0.125,0,2024-05-31T10:30:00Z,9.5\n"
)


def example(language: str, name: str) -> str:
    return PAGE.split(f"```{language} {name}\n")[1].split("```")[0]


def told(decision: Decision) -> set[tuple[str, str, datetime, float]]:
    rows = Outcome.objects.filter(decision_id=decision.pk)
    return set(rows.values_list("content", "kind", "at", "value"))


def shown(**said: Any) -> dict[str, Any]:
    return {"userId": "u-1", "at": "2024-05-31T10:00:00Z", "placement": "home", "content": "tea"} | said


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_the_letters_on_the_page_become_what_the_page_says(write: Write) -> None:
    path = write("letters.csv", example("csv", "letters"))
    said, complained = import_("decisions", path, mapping=write("letters.toml", example("toml", "letters")))
    assert "3 rows" in said and "3 added" in said and complained == ""
    wanted = json.loads(example("json", "letters"))
    outcomes = wanted.pop("outcomes")
    decision = Decision.objects.get(customer_key=wanted["customer_key"])
    assert decision.at == datetime.fromisoformat(wanted.pop("at"))
    assert {name: getattr(decision, name) for name in wanted} == wanted
    assert sorted((kind, value) for _, kind, _, value in told(decision)) == sorted(map(tuple, outcomes))
    assert Decision.objects.filter(customer_id__isnull=True).count() == 0
    no_money = Outcome.objects.filter(kind="conversion")
    assert list(no_money.values_list("content", flat=True)) == ["tea-letter"]


def test_the_whole_decision_on_the_page_is_taken(write: Write) -> None:
    import_("decisions", write("pages.jsonl", json.dumps(json.loads(example("json", "pages")))))
    decision = Decision.objects.get()
    assert [(item["key"], item["rank"], item["propensity"]) for item in decision.items] == [
        ("tea", 1, 0.9),
        ("mug", 2, 0.1),
    ]
    assert decision.explanation["candidates"] == ["tea", "mug", "pot"]
    assert (decision.context, decision.source, decision.reason) == ({"device": "phone"}, "import", "IMPORTED")
    assert ("tea", "click", decision.at + timedelta(seconds=9), 0.0) in told(decision)
    assert set(Content.objects.values_list("key", "active")) == {("tea", False), ("mug", False), ("pot", False)}


def test_rows_of_one_decision_are_one_wherever_they_stand(write: Write) -> None:
    said, _ = import_("decisions", write("log.csv", SLATE), window_hours=24.0, objective="click")
    assert "3 rows" in said and "2 added" in said
    decision = Decision.objects.get(customer_key="u-1")
    at = datetime(2024, 5, 31, 10, tzinfo=UTC)
    assert [item["key"] for item in decision.items] == ["tea", "mug"]
    assert told(decision) == {
        ("tea", "impression", at, 0.0),
        ("tea", "click", at, 0.0),
        ("mug", "impression", at, 0.0),
        ("mug", "conversion", at + timedelta(minutes=30), 9.5),
    }
    assert decision.windows == [24.0] * 4
    assert Placement.objects.values_list("key", "active", "count", "objective").get() == ("home", False, 2, "click")
    assert set(Content.objects.values_list("placements__key", flat=True)) == {"home"}
    assert (Event.objects.count(), Pending.objects.count()) == (0, 0), "outcomes of a log are no events"
    assert not Outcome.objects.filter(told=False).exists()


def test_twice_adds_nothing_and_later_outcomes_are_added(write: Write) -> None:
    import_("decisions", write("log.csv", SLATE))
    before = list(Outcome.objects.order_by("id").values())
    assert "2 duplicates" in import_("decisions", write("log.csv", SLATE))[0]
    assert list(Outcome.objects.order_by("id").values()) == before
    import_("decisions", write("more.csv", SLATE.replace("0.25,0,0,", "0.25,1,0,")))
    assert Decision.objects.count() == 2
    assert Outcome.objects.filter(kind="click").count() == 2


def test_a_decision_scattered_over_files_is_refused_with_the_cure(write: Write) -> None:
    first, second, third = SLATE.splitlines()[1:]
    import_("decisions", write("a.csv", HEADER + first + "\n"))
    said, complained = import_("decisions", write("b.csv", HEADER + second + "\n" + third + "\n"))
    assert "1 added" in said and "1 failed" in said
    assert "b.csv, line 3: Decision d-1 is in the ledger without the content mug; give all rows" in complained
    assert [item["key"] for item in Decision.objects.get(customer_key="u-1").items] == ["tea"]


def test_statistics_count_imports_once_and_exactly(write: Write) -> None:
    import_("decisions", write("log.csv", SLATE))
    import_("decisions", write("log.csv", SLATE))
    while count_new():
        pass
    columns = ("content", "decisions", "impressions", "clicks", "conversions", "value")
    counted = sorted(Statistic.objects.values_list(*columns))
    assert counted == [("mug", 1, 1, 0, 1, 9.5), ("pot", 1, 1, 0, 0, 0), ("tea", 1, 1, 1, 0, 0)]
    rebuild()
    assert sorted(Statistic.objects.values_list(*columns)) == counted


def test_what_was_shown_can_be_learned_from(write: Write) -> None:
    import_("decisions", write("log.csv", SLATE))
    found = learn.showings(datetime(2024, 7, 1, tzinfo=UTC)).sort("content_key")
    assert found["content_key"].to_list() == ["mug", "pot", "tea"]
    assert found["converted_at"].is_not_null().to_list() == [True, False, False]


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ({}, True),
        ({"outcome.impression": 1}, True),
        ({"outcome.impression": 0}, False),
        ({"outcome.impression": None}, False),
        ({"outcome": {"impression": False, "click": True}}, False),
    ],
)
def test_what_a_log_does_not_say_was_seen_was(write: Write, said: dict[str, Any], seen: bool) -> None:
    import_("decisions", write("log.jsonl", lines(shown(**said))))
    assert Outcome.objects.filter(kind="impression").exists() is seen


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"at": None}, "does not say when it was shown"),
        ({"placement": None}, "does not say where"),
        ({"content": None}, "nothing, or twice, of what was shown"),
        ({"items": [{"content": "mug"}]}, "nothing, or twice"),
        ({"propensity": 1.5}, "propensity is 1.5; it is a chance above 0"),
        ({"propensity": 0}, "propensity is 0;"),
        ({"rank": 0}, "the first is 1"),
        ({"value": -3}, "value is -3"),
        ({"outcome": {"view": 1}}, "outcome.view is none"),
        ({"outcome.click": "perhaps"}, "click is 'perhaps'"),
        ({"content": None, "items": [{"key": "tea"}]}, "Item 1 is {'key': 'tea'}; an object with `content`"),
        ({"content": None, "items": [{"content": "tea", "clicks": 1}]}, "Item 1 has an unknown clicks"),
        ({"content": None, "items": [{"content": "tea", "rank": 0}]}, "Item 1: rank is 0"),
        ({"content": None, "items": [{"content": "tea"}], "value": 1}, "belong into each of the `items`"),
        ({"content": "Ω"}, "makes no key"),
        ({"at": "2999-01-01"}, "still to come"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_cure(write: Write, said: dict[str, Any], reason: str) -> None:
    path = write("log.jsonl", lines(shown(**said), shown(userId="u-2")))
    said_, complained = import_("decisions", path)
    assert f"log.jsonl, line 1: {reason}" in complained or (
        "log.jsonl, line 1: " in complained and reason in complained
    )
    assert "1 added" in said_ and "1 failed" in said_
    assert Decision.objects.get().customer_key == "u-2"


def test_rows_that_disagree_about_whom_it_was_for_are_refused(write: Write) -> None:
    path = write("log.csv", SLATE.replace("d-2,u-2", "d-1,u-2"))
    _, complained = import_("decisions", path)
    assert "Rows of the decision d-1 disagree about its who" in complained
    assert (Decision.objects.count(), ImportRun.objects.get().failed) == (0, 1)


def test_two_names_never_become_one_content(write: Write) -> None:
    _, complained = import_("decisions", write("log.jsonl", lines(shown(content="A b"), shown(content="a-B"))))
    assert "line 2: 'a-B' and 'A b' would both be the key a-b" in complained
    assert list(Content.objects.values_list("key", "name")) == [("a-b", "A b")]


def test_existing_contents_and_placements_are_left_as_they_are(write: Write) -> None:
    Placement.objects.create(key="home", name="Home", objective="value")
    Content.objects.create(key="tea", name="Green tea")
    import_("decisions", write("log.csv", SLATE), objective="click")
    assert Placement.objects.values_list("name", "active", "objective").get() == ("Home", True, "value")
    assert Content.objects.filter(active=True).values_list("name", flat=True).get() == "Green tea"
    assert Content.objects.get(key="tea").placements.count() == 0


def test_the_same_row_twice_is_two_showings_and_none_in_another_file(write: Write) -> None:
    rows = lines(shown(), shown(), shown(content="mug"))
    assert "3 added" in import_("decisions", write("a.jsonl", rows))[0]
    assert "3 duplicates" in import_("decisions", write("b.jsonl", rows))[0]
    assert Customer.objects.count() == 1


def test_rows_of_nobody_are_told_apart_by_their_number(write: Write) -> None:
    rows = "at,placement,content\n" + "2024-05-31,home,tea\n" * 3
    import_("decisions", write("a.csv", rows))
    assert "3 duplicates" in import_("decisions", write("a.csv", rows))[0]
    assert "3 added" in import_("decisions", write("a.csv", rows), source="another half")[0]
    assert Customer.objects.count() == 6


def test_money_alone_is_a_conversion(write: Write) -> None:
    import_("decisions", write("log.jsonl", lines(shown(value=4.5), shown(value=3, **{"outcome.conversion": 0}))))
    assert list(Outcome.objects.filter(kind="conversion").values_list("value", flat=True)) == [4.5]


def test_a_rehearsal_of_decisions_writes_nothing(write: Write) -> None:
    said, complained = import_("decisions", write("log.csv", SLATE + "d-3,,,home,tea,1,,,,\n"), dry_run=True)
    assert "2 acceptable, 1 failed. Nothing was written." in said and '"placement": "home"' in said
    assert "line 5" in complained
    assert [m.objects.count() for m in (Decision, Outcome, Content, Placement, Customer, ImportRun)] == [0] * 6


def test_stopped_between_chunks_it_goes_on_behind_them(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decisioning.sources.importing.CHUNK", 4)
    rows = "".join(f"d-{n % 6},u-{n % 6},2024-05-31,home,c-{n // 6},,,,,\n" for n in range(12))
    content = HEADER + "x,,,home,tea,,,,,\n" * 3 + rows
    path = write("log.csv", content)
    assert "larger --max-failures" in import_("decisions", path, max_failures=2)[1]
    assert (Decision.objects.count(), ImportRun.objects.get().row) == (1, 4)
    said, _ = import_("decisions", path, max_failures=9)
    assert "went on at row 4" in said and "10 rows" in said
    assert Decision.objects.count() == 6
    assert {len(decision.items) for decision in Decision.objects.all()} == {2}
    run = ImportRun.objects.get()
    assert (run.added, run.failed, run.finished_at is not None) == (6, 3, True)


def test_parquet_and_text_that_no_database_holds(tmp_path: Path, write: Write) -> None:
    rows = [shown(**{"facts.n": 1.5}), shown(userId="u\x00", content="mug")]
    pl.DataFrame(rows).write_parquet(tmp_path / "log.parquet")
    said, complained = import_("decisions", tmp_path / "log.parquet")
    assert "1 added" in said and "NUL character" in complained
    assert Decision.objects.get().facts == {"n": 1.5}


def test_a_loose_column_takes_the_surplus_cells(write: Write) -> None:
    content = "at,placement,content,facts.band\n2024-05-31,home,tea,$1,000 to $2,000\n"
    _, complained = import_("decisions", write("log.csv", content))
    assert "name it in the mapping: loose" in complained
    mapping = write("map.toml", '[file]\nloose = "facts.band"\nothers = "standard"\n')
    assert "1 added" in import_("decisions", write("log.csv", content), mapping=mapping, restart=True)[0]
    assert Decision.objects.get().facts == {"band": "$1,000 to $2,000"}
    mapping = write("map.toml", '[file]\nloose = "brand"\n')
    assert 'no column "brand"' in import_("decisions", write("log.csv", content), mapping=mapping)[1]


def test_ranks_order_a_decision_and_rows_about_one_content_are_joined(write: Write) -> None:
    rows = ("d,u,{},home,mug,2,,0,,", "d,u,{},home,tea,1,,1,,", "d,u,{},home,mug,2,,0,1,7")
    import_("decisions", write("log.csv", HEADER + "".join(row.format("2024-05-31") + "\n" for row in rows)))
    decision = Decision.objects.get()
    assert [(item["key"], item["rank"]) for item in decision.items] == [("tea", 1), ("mug", 2)]
    followed = {row for row in told(decision) if row[1] != "impression"}
    assert followed == {("tea", "click", decision.at, 0.0), ("mug", "conversion", decision.at, 7.0)}
