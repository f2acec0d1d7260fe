"""Custom facts from draft to published and back: what is refused, what is computed, and what everybody is told."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from decisioning.customers.facts import defining, histories
from decisioning.customers.facts.defining import State
from decisioning.customers.models import CustomFact, FactVocabulary, PlannedEvent
from decisioning.models import Change
from decisioning.store import catalogue
from rules.models import Segment

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ECO = 'COUNT(purchase WHERE category = "Eco") IN LAST 30 DAYS'


@pytest.fixture(autouse=True)
def words(db: None) -> FactVocabulary:
    data = {"event_names": ["purchase", "Order Completed"], "traits": [["city", "text"], ["age", "number"]]}
    return FactVocabulary.objects.create(data=data, learned_at=NOW)


def draft(name: str, text: str, **more: Any) -> CustomFact:
    return CustomFact.objects.create(name=name, label=name.title(), text=text, **more)


def judged(row: CustomFact) -> Any:
    known = catalogue.for_formulas()
    return defining.find(row.text, row.name, known, catalogue.of_the_moment(known.facts))


def publish(row: CustomFact, uses: tuple[str, ...] = ()) -> bool:
    done = defining.publish(row, None, NOW, judged(row), catalogue.holder_of(row.name, row.pk), uses)
    row.refresh_from_db()
    return done


def hold() -> None:
    """What a refresh of everybody does when it is done."""
    FactVocabulary.objects.update(histories=[*histories.wanted(), *histories.customs().marks])


def test_a_draft_changes_nothing_and_publishing_asks_for_its_histories() -> None:
    row = draft("eco", ECO)
    assert (defining.state_of(row), histories.wanted(), catalogue.current().facts.get("eco")) == (State.DRAFT, {}, None)
    assert publish(row)
    assert (row.type, row.published_text, row.published_at) == ("number", ECO, NOW)
    assert defining.state_of(row) == State.PUBLISHED
    assert list(histories.wanted()) == [ECO]
    assert catalogue.current().facts["eco"].type == "number"


def test_a_history_that_only_custom_facts_ask_for_is_no_fact_of_its_own() -> None:
    publish(draft("eco", ECO))
    assert histories.customs().inner == {ECO}
    Segment.objects.create(key="eco", name="Eco", condition=f"{ECO} >= 1")
    assert histories.customs().inner == frozenset()
    assert list(histories.wanted()) == [ECO]


def test_publishing_is_numbered_so_that_every_process_reads_it() -> None:
    Change.objects.get_or_create(defaults={"number": 0, "built": -1})
    before = Change.objects.get().number
    row = draft("eco", ECO)
    publish(row)
    published = Change.objects.get().number
    defining.withdraw(row)
    assert before < published < Change.objects.get().number


def test_a_changed_draft_leaves_what_is_computed_until_it_is_published() -> None:
    row = draft("eco", ECO)
    publish(row)
    row.text = "COUNT(purchase) IN LAST 30 DAYS"
    row.save()
    assert defining.state_of(row) == State.CHANGED
    assert list(histories.wanted()) == [ECO]
    assert publish(row)
    assert list(histories.wanted()) == ["COUNT(purchase) IN LAST 30 DAYS"]


def test_what_says_the_same_in_other_spaces_is_published_already() -> None:
    row = draft("eco", ECO)
    publish(row)
    row.text = ECO.replace(" WHERE", "\n  WHERE  # greens\n")
    row.save()
    assert defining.state_of(row) == State.PUBLISHED
    assert not publish(row)


def test_it_is_computed_when_everybody_holds_it_with_this_meaning() -> None:
    row = draft("eco", ECO)
    publish(row)
    assert not defining.is_computed(row)
    hold()
    assert defining.is_computed(row)
    row.text = "COUNT(purchase) IN LAST 30 DAYS"
    row.save()
    assert defining.is_computed(row)  # the draft is another matter
    publish(row)
    assert not defining.is_computed(row)


def test_who_is_withdrawn_and_published_again_is_computed_anew() -> None:
    row, other = draft("eco", ECO), draft("eco_too", "eco_share * 2")
    publish(row)
    CustomFact.objects.filter(pk=other.pk).update(published_text="age * 2", type="number")
    hold()
    defining.withdraw(row)
    row.refresh_from_db()
    assert (defining.state_of(row), row.type, row.published_at) == (State.DRAFT, "", None)
    other.refresh_from_db()
    assert defining.is_computed(other)
    assert histories.wanted() == {}
    publish(row)
    assert not defining.is_computed(row)


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("orders_30d", "orders_30d is the name of a built-in fact; take another name"),
        ("city", "the name of a"),
        ("age", "age is the name of a trait"),
        ("device", "device is the name of a fact of the moment"),
        ("segments", "segments is the name of a built-in fact"),
        ("other", "other is the name of another custom fact"),
        ("count", "count is a word of the rule language"),
        ("key", "Messages call something else customer.key"),
    ],
)
def test_a_name_that_is_taken_is_refused_with_the_cure(name: str, because: str) -> None:
    draft("other", ECO)
    problem = defining.name_problem(name, catalogue.holder_of(name))
    assert because in problem
    assert f"my_{name}" in problem


def test_a_trait_that_came_to_have_the_name_stands_against_publishing_and_takes_nothing_over() -> None:
    eco, late = draft("eco", ECO), draft("late", ECO)
    publish(eco)
    told = {"traits": [["eco", "text"], ["late", "text"]], "event_names": ["purchase"]}
    FactVocabulary.objects.create(data=told, learned_at=NOW)
    assert catalogue.current().facts["eco"].type == "number"
    assert catalogue.holder_of("eco", eco.pk) == "a trait"
    with pytest.raises(ValidationError, match="late is the name of a trait"):
        publish(late)


def test_circles_are_refused() -> None:
    publish(draft("a", "age * 2"))
    publish(draft("b", "a * 2"))
    closing = CustomFact.objects.get(name="a")
    closing.text = "b + 1"
    closing.save()
    found = judged(closing)
    assert not found.fine
    assert "a → b → a" in found.problems[0].message
    with pytest.raises(ValidationError, match="circle"):
        publish(closing)
    assert "cannot be calculated from itself" in defining.find(
        "b + 1", "b", catalogue.for_formulas()
    ).problems[0].message  # fmt: skip


def test_a_draft_with_errors_is_not_published() -> None:
    row = draft("eco", "COUNT(purchse) IN LAST 30 DAYS")
    with pytest.raises(ValidationError, match='There is no event "purchse"'):
        publish(row)
    row.refresh_from_db()
    assert row.published_text == ""


def test_facts_of_the_moment_and_drafts_cannot_be_calculated_with() -> None:
    draft("unready", ECO)
    known = catalogue.for_formulas()
    moment = catalogue.of_the_moment(known.facts)
    assert "in the moment of a request" in defining.find("hour * 2", "x", known, moment).problems[0].message
    assert "There is no fact" in defining.find("unready * 2", "x", known, moment).problems[0].message
    assert defining.find("age / orders_30d", "x", known, moment).fine


def test_what_is_in_use_keeps_its_type() -> None:
    properties = {"category": {"type": "text", "seen": 5, "types": {"text": 5}}}
    PlannedEvent.objects.create(name="purchase", properties=properties)
    row = draft("eco", ECO)
    publish(row)
    row.text = "LAST(purchase.category)"
    row.save()
    with pytest.raises(ValidationError, match="used as number and would become text"):
        publish(row, ("a segment",))
    assert publish(row)
    assert row.type == "text"


@pytest.mark.parametrize(
    ("told", "type_"),
    [
        ({"type": "text", "types": {"text": 90, "number": 10}}, "text"),
        ({"type": "date", "types": {"date": 3}}, "date"),
        ({"type": "boolean", "types": {}}, "boolean"),
        ({"type": "text", "types": {"text": 50, "number": 50}}, None),
        ({"type": "any", "types": {"any": 3}}, None),
        ({"type": "object", "types": {"object": 3}}, None),
    ],
)
def test_the_type_of_a_last_value_is_what_the_plan_has_seen(told: dict[str, Any], type_: str | None) -> None:
    PlannedEvent.objects.create(name="purchase", properties={"what": told})
    assert defining.find("LAST(purchase.what)", "x", catalogue.for_formulas()).type == type_


def test_what_is_agreed_in_the_plan_counts_more_than_what_was_seen() -> None:
    told = {"type": "text", "types": {"text": 1, "number": 99}}
    PlannedEvent.objects.create(name="purchase", properties={"what": told}, locked=True)
    assert defining.find("LAST(purchase.what)", "x", catalogue.for_formulas()).type == "text"


def test_one_that_can_no_longer_be_read_is_left_out() -> None:
    publish(draft("eco", ECO))
    CustomFact.objects.create(name="broken", label="Broken", text="?", published_text="COUNT(", type="number")
    assert [one.name for one in defining.published().facts] == ["eco"]
