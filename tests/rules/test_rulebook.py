"""The rulebook against a real database: what is refused, what becomes a revision, and the way back."""

import threading

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.utils import DatabaseError

from campaigns.models import Placement
from rules import rulebook
from rules.language.facts import Catalogue, Fact
from rules.models import Revision, Rule, Segment

CATALOGUE = Catalogue(
    facts={
        name: Fact(name, kind)
        for name, kind in {"orders_30d": "number", "device": "text", "segments": "text_list"}.items()
    },
    segments=frozenset({"lapsed"}),
    contents=frozenset({"eco-banner", "fuel-coupon"}),
    tags=frozenset({"eco"}),
    campaigns=frozenset(),
)
GOOD = 'IF orders_30d >= 2 THEN SHOW "eco-banner"'
OTHER = 'IF device = "kiosk" THEN HIDE "fuel-coupon"'


def a_rule(text: str = GOOD, **fields: object) -> Rule:
    return Rule.objects.create(**{"key": "eco", "name": "Eco", "text": text, **fields})


def messages_of(text: str, kind: str = rulebook.Kind.RULE) -> list[str]:
    with pytest.raises(ValidationError) as refusal:
        rulebook.validate(text, CATALOGUE, kind)
    return refusal.value.messages


def test_it_points_at_the_character_of_a_syntax_error() -> None:
    (message,) = messages_of('IF orders_30d >= 2 SHOW "eco-banner"')
    assert message.startswith("Line 1, column 20: ")
    assert message.splitlines()[-2:] == ['IF orders_30d >= 2 SHOW "eco-banner"', " " * 19 + "^" * 4]


def test_it_points_into_the_right_line_and_suggests_the_fact_that_was_meant() -> None:
    (message,) = messages_of('IF device = "kiosk"\n\tAND order_30d > 1\nTHEN SHOW "eco-banner"')
    assert message.startswith("Line 2, column 6: ")
    assert "orders_30d" in message
    assert message.splitlines()[-1] == "\t    " + "^" * len("order_30d")


def test_it_names_every_unknown_name_and_not_only_the_first() -> None:
    found = messages_of('IF IN SEGMENT "laps" THEN SHOW "eco-baner", BOOST TAGGED "ecco" BY 2')
    assert len(found) == 3
    assert ["lapsed" in found[0], "eco-banner" in found[1], '"eco"' in found[2]] == [True] * 3


def test_it_refuses_a_condition_where_a_rule_belongs_and_the_reverse() -> None:
    assert "only a condition" in messages_of("orders_30d > 1")[0]
    assert "Only a condition" in messages_of(GOOD, rulebook.Kind.CONDITION)[0]
    assert rulebook.validate("orders_30d > 1", CATALOGUE, rulebook.Kind.CONDITION) == []


def test_an_empty_text_is_an_error_with_a_place() -> None:
    (problem,) = rulebook.find_problems("", CATALOGUE)
    assert (problem.severity, problem.line, problem.column) == ("error", 1, 1)


def test_a_problem_for_an_editor_says_from_where_to_where() -> None:
    text = 'IF ordres_30d > 1 THEN SHOW "eco-banner"'
    (problem,) = rulebook.find_problems(text, CATALOGUE)
    data = rulebook.as_data(problem, text)
    assert text[data["column"] - 1 : data["end_column"] - 1] == "ordres_30d"
    assert data["pointed"] == f"{text}\n   {'^' * 10}"


@pytest.mark.django_db
def test_it_publishes_numbered_revisions_of_the_draft() -> None:
    rule, author = a_rule(priority=7), get_user_model().objects.create_user("mia")
    rule.placements.set([Placement.objects.create(key=key, name=key) for key in ("home", "app")])
    first = rulebook.publish(rule, author, CATALOGUE)
    assert (first.number, first.text, first.priority) == (1, GOOD, 7)
    assert (first.placements, first.published_by) == (["app", "home"], author)
    rule.text = OTHER
    rule.save()
    assert rulebook.publish(rule, author, CATALOGUE).number == 2
    assert list(rule.revisions.values_list("number", "text")) == [(2, OTHER), (1, GOOD)]


@pytest.mark.django_db
def test_publishing_an_unchanged_draft_adds_nothing() -> None:
    rule = a_rule()
    first = rulebook.publish(rule, None, CATALOGUE)
    assert rulebook.publish(rule, None, CATALOGUE) == first
    assert rule.revisions.count() == 1


@pytest.mark.django_db
def test_a_draft_with_an_error_is_not_published_and_nothing_changes() -> None:
    rule = a_rule()
    first = rulebook.publish(rule, None, CATALOGUE)
    Rule.objects.filter(pk=rule.pk).update(text='IF x THEN SHOW "eco-banner"')
    with pytest.raises(ValidationError):
        rulebook.publish(rule, None, CATALOGUE)
    assert rule.revisions.count() == 1
    assert Rule.objects.get(pk=rule.pk).published == first


@pytest.mark.django_db
def test_the_state_follows_draft_and_switch() -> None:
    rule, home = a_rule(), Placement.objects.create(key="home", name="Home")
    assert rulebook.state(rule) == rulebook.State.DRAFT
    rulebook.publish(rule, None, CATALOGUE)
    assert rulebook.state(rule) == rulebook.State.PUBLISHED
    rule.placements.add(home)
    assert rulebook.state(rule) == rulebook.State.CHANGED
    rule.active = False
    assert rulebook.state(rule) == rulebook.State.OFF


@pytest.mark.django_db
def test_rolling_back_publishes_the_old_text_as_a_new_revision() -> None:
    rule = a_rule()
    first = rulebook.publish(rule, None, CATALOGUE)
    Rule.objects.filter(pk=rule.pk).update(text=OTHER, priority=5)
    rulebook.publish(rule, None, CATALOGUE)
    third = rulebook.rollback(rule, first, None)
    assert (third.number, third.text, third.priority) == (3, GOOD, 0)
    assert (rule.text, rule.priority, rule.published) == (GOOD, 0, third)
    assert rulebook.state(Rule.objects.get()) == rulebook.State.PUBLISHED


@pytest.mark.django_db
def test_rolling_back_to_what_is_published_only_restores_the_draft() -> None:
    rule = a_rule()
    first = rulebook.publish(rule, None, CATALOGUE)
    Rule.objects.filter(pk=rule.pk).update(text=OTHER)
    assert rulebook.rollback(rule, first, None) == first
    assert (rule.text, rule.revisions.count()) == (GOOD, 1)


@pytest.mark.django_db
def test_rolling_back_never_widens_a_rule_to_every_placement() -> None:
    rule, home = a_rule(), Placement.objects.create(key="home", name="Home")
    rule.placements.add(home)
    first = rulebook.publish(rule, None, CATALOGUE)
    Rule.objects.filter(pk=rule.pk).update(text=OTHER)
    home.delete()
    with pytest.raises(ValidationError, match="deleted"):
        rulebook.rollback(rule, first, None)
    assert (Rule.objects.get().text, rule.revisions.count()) == (OTHER, 1)


@pytest.mark.django_db
def test_a_rule_cannot_be_rolled_back_to_another_rules_revision() -> None:
    stranger = rulebook.publish(a_rule(key="other"), None, CATALOGUE)
    with pytest.raises(ValidationError, match="another rule"):
        rulebook.rollback(a_rule(), stranger, None)


@pytest.mark.django_db
def test_only_active_published_rules_are_followed_highest_priority_first() -> None:
    for key, priority, active in (("low", 1, True), ("high", 9, True), ("off", 5, False)):
        rulebook.publish(a_rule(key=key, priority=priority, active=active), None, CATALOGUE)
    a_rule(key="draft")
    assert [rule.key for rule in rulebook.published_rules()] == ["high", "low"]


@pytest.mark.django_db
def test_the_database_refuses_to_change_a_revision() -> None:
    revision = rulebook.publish(a_rule(), None, CATALOGUE)
    for change in ({"text": OTHER}, {"number": 8}, {"priority": 3}):
        with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
            Revision.objects.filter(pk=revision.pk).update(**change)
    revision.refresh_from_db()
    assert revision.text == GOOD


@pytest.mark.django_db(transaction=True)
def test_two_publishers_at_once_make_two_numbers() -> None:
    rule, failures = a_rule(), []

    def publish(text: str, ready: threading.Barrier) -> None:
        try:
            with transaction.atomic():
                ready.wait(10)
                Rule.objects.filter(pk=rule.pk).update(text=text)
                rulebook.publish(rule, None, CATALOGUE)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    ready = threading.Barrier(2)
    threads = [threading.Thread(target=publish, args=(text, ready)) for text in (GOOD, OTHER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
    assert sorted(rule.revisions.values_list("number", flat=True)) == [1, 2]


@pytest.mark.django_db
def test_a_circle_of_segments_is_found_by_key_and_by_name_and_told_from_the_new_one() -> None:
    Segment.objects.create(key="c", name="Third", condition='customer_segment = "First"')
    Segment.objects.create(key="b", name="Second", condition='segments CONTAINS "c" OR orders_30d > 1')
    Segment.objects.create(key="list", name="List", kind="list", condition='segments CONTAINS "a"')
    Segment.objects.create(key="broken", name="Broken", condition='segments CONTAINS "a" AND')
    first = Segment(key="a", name="First")
    told = rulebook.circle_with(first, 'NOT customer_segment IN ("Second", "list")')
    assert told is not None and "a → b → c → a" in told
    assert rulebook.circle_with(first, 'segments CONTAINS "list" AND segments CONTAINS "broken"') is None
    assert "its own segment" in (rulebook.circle_with(first, 'segments CONTAINS "a"') or "")
