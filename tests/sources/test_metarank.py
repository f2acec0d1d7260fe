"""Metarank's events become contents, customers, decisions and outcomes, in any order and however often they come."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from campaigns.models import Content, Placement
from decisioning.customers.models import Event, ImportRun
from decisioning.models import Decision, Outcome

from .conftest import Write, import_

pytestmark = pytest.mark.django_db
PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text()
START = 1_717_171_200_000


def example(language: str) -> str:
    return PAGE.split(f"```{language} films\n")[1].split("```")[0]


def event(kind: str, id_: str, seconds: int = 0, **said: Any) -> dict[str, Any]:
    fields = [{"name": name, "value": value} for name, value in said.pop("fields", {}).items()]
    return {"event": kind, "id": id_, "timestamp": str(START + 1000 * seconds), "fields": fields} | said


def ranking(id_: str, items: str, **said: Any) -> dict[str, Any]:
    return event("ranking", id_, items=[{"id": item} for item in items.split()], user="u", session="s", **said)


def interaction(id_: str, item: str, of: str | None, type_: str = "click", **said: Any) -> dict[str, Any]:
    return event("interaction", id_, 9, item=item, ranking=of, type=type_, **({"user": "u"} | said))


def lines(*events: dict[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in events)


def test_the_films_on_the_page_become_what_the_page_says(write: Write) -> None:
    said, complained = import_("metarank", write("films.jsonl", example("jsonl")))
    assert complained == ""
    assert '1 interactions kept as the event "trailer"' in said
    wanted = json.loads(example("json"))
    decision = Decision.objects.get()
    assert {name: getattr(decision, name) for name in wanted["decision"]} == wanted["decision"]
    assert list(Outcome.objects.filter(kind="click").values_list("content", flat=True)) == wanted["clicked"]
    assert Outcome.objects.filter(kind="impression", at=decision.at).count() == 3
    contents = {content.key: [content.name, content.attributes] for content in Content.objects.all()}
    assert contents == wanted["contents"]
    events = Event.objects.order_by("timestamp", "name").values_list("identity__customer__key", "name", "historical")
    assert sorted((key, name) for key, name, _ in events) == sorted(map(tuple, wanted["events"]))
    assert all(historical for _, _, historical in events), "history triggers nothing"


def test_nothing_is_served_by_surprise(write: Write) -> None:
    import_("metarank", write("films.jsonl", example("jsonl")))
    placement = Placement.objects.get()
    assert (placement.key, placement.active, placement.count, placement.objective) == ("metarank", False, 3, "click")
    assert set(Content.objects.values_list("active", "placements__key")) == {(False, "metarank")}


def test_the_order_of_the_file_does_not_matter_and_twice_adds_nothing(write: Write) -> None:
    rows = example("jsonl").splitlines() * 2
    random.Random(7).shuffle(rows)
    import_("metarank", write("a.jsonl", "\n".join(rows)))
    before = [list(model.objects.order_by("pk").values()) for model in (Decision, Outcome, Content, Event)]
    assert (Decision.objects.get().facts, Outcome.objects.count()) == ({"age": 34}, 4)
    said, _ = import_("metarank", write("b.jsonl", example("jsonl")))
    assert "1 rankings duplicates" in said and "2 items unchanged" in said and "1 interactions duplicates" in said
    assert [list(model.objects.order_by("pk").values()) for model in (Decision, Outcome, Content, Event)] == before
    assert ImportRun.objects.order_by("pk").last().added == 0


def test_users_are_known_as_they_were_before_the_ranking(write: Write) -> None:
    def user(id_: str, seconds: int, **fields: Any) -> dict[str, Any]:
        return event("user", id_, seconds, user="u", fields=fields)

    rows = [user("e3", 9, age=36), user("e1", 1, age=34, town="Ulm"), user("e2", 2, age=35)]
    import_("metarank", write("log.jsonl", lines(*rows, {**ranking("r", "a b"), "timestamp": START + 5000})))
    assert Decision.objects.get().facts == {"age": 35, "town": "Ulm"}


def test_later_item_events_change_the_fields_they_name(write: Write) -> None:
    later = event("item", "e2", 5, item="a", fields={"price": 7})
    first = event("item", "e1", 1, item="a", fields={"price": 9, "title": "Tea", "tags": ["x"]})
    import_("metarank", write("log.jsonl", lines(later, first)))
    content = Content.objects.get()
    assert (content.name, content.attributes) == ("Tea", {"price": 7, "tags": ["x"]})
    import_("metarank", write("more.jsonl", lines(event("item", "e3", 9, item="a", fields={"price": 8}))))
    content = Content.objects.get()
    assert (content.name, content.attributes, content.active) == ("Tea", {"price": 8, "tags": ["x"]}, False)


def test_a_click_may_come_with_an_earlier_file_than_its_ranking(write: Write) -> None:
    said, _ = import_("metarank", write("a.jsonl", lines(interaction("i", "a", "r"))))
    assert "1 waiting for what was shown" in said
    import_("metarank", write("b.jsonl", lines(ranking("r", "a b"))))
    outcome = Outcome.objects.get(kind="click")
    assert outcome.decision_id == Decision.objects.get().pk
    assert outcome.told, "the log has it from the import"


def test_a_click_on_what_was_not_shown_is_refused(write: Write) -> None:
    _, complained = import_("metarank", write("a.jsonl", lines(ranking("r", "a b"), interaction("i", "c", "r"))))
    assert "line 2: c was not among what was shown then" in complained
    assert not Outcome.objects.filter(kind="click").exists() and Event.objects.count() == 0


def test_types_mean_what_is_said_of_them(write: Write) -> None:
    rows = [
        interaction("i1", "a", "r", "like"),
        interaction("i2", "b", "r", "purchase", fields={"value": 4.5}),
        interaction("i3", "a", "r", "stop"),
        interaction("i4", "b", "r", "basket"),
        interaction("i5", "b", None),
    ]
    said, _ = import_("metarank", write("a.jsonl", lines(ranking("r", "a b"), *rows)), "--interaction", "basket=click")
    found = Outcome.objects.exclude(kind="impression").values_list("content", "kind", "value")
    assert set(found) == {("a", "click", 0.0), ("b", "conversion", 4.5), ("b", "click", 0.0)}
    assert '1 interactions kept as the event "stop"' in said
    assert '1 interactions kept as the event "Content Clicked"' in said
    assert Event.objects.count() == 5


def test_a_meaning_may_be_taken_away(write: Write) -> None:
    path = write("a.jsonl", lines(ranking("r", "a b"), interaction("i", "a", "r", "like")))
    import_("metarank", path, "--interaction", "like=")
    assert set(Outcome.objects.values_list("kind", flat=True)) == {"impression"}
    assert Event.objects.get().name == "like"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"event": "feedback"}, "event is 'feedback'; there is: item, user, ranking, interaction."),
        (event("item", "e", item=None), "item is None"),
        (event("user", "e", user="u") | {"timestamp": None}, "The event has no timestamp"),
        (event("user", "e", user="u") | {"timestamp": "soon"}, "timestamp is 'soon'"),
        (event("user", "e"), "names neither a user nor a session"),
        (event("user", "e", user="u") | {"fields": {"age": 3}}, "fields is not understood"),
        (event("ranking", "e", user="u", items=[]), "The ranking has no items"),
        (event("ranking", "e", user="u", items=["a"]), "An item of the ranking is 'a'"),
        (interaction("e", "a", "r", "purchase", fields={"value": -1}), "value of the conversion is -1"),
        (interaction("e", "a", None, user=None), "names neither a user nor a session"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(write: Write, bad: dict[str, Any], reason: str) -> None:
    said, complained = import_("metarank", write("a.jsonl", lines(ranking("r", "a b"), bad)))
    assert "a.jsonl, line 2: " in complained and reason in complained
    assert "1 rankings added" in said and "1 failed" in said


def test_a_rehearsal_of_metarank_writes_nothing(write: Write) -> None:
    said, _ = import_("metarank", write("films.jsonl", example("jsonl")), dry_run=True)
    assert "1 rankings acceptable" in said and "2 items created" in said and "Nothing was written" in said
    assert [m.objects.count() for m in (Decision, Outcome, Content, Placement, Event)] == [0] * 5


def test_a_mapping_is_not_for_metarank(write: Write) -> None:
    _, complained = import_("metarank", write("a.jsonl", lines(ranking("r", "a"))), mapping=write("m.toml", "[file]\n"))
    assert "leave --mapping and --format out" in complained


@pytest.mark.parametrize("words", [("--interaction", "like"), ("--interaction", "like=seen"), ("--window-hours", "0")])
def test_options_that_mean_nothing_are_refused(write: Write, words: tuple[str, str]) -> None:
    assert "Error: argument" in import_("metarank", write("a.jsonl", lines(ranking("r", "a"))), *words)[1]
