"""Publishing and rolling back hold a rule to the limits, and change nothing where they refuse."""

import pytest
from django.core.exceptions import ValidationError

from campaigns.models import Placement
from decisioning.engine import limits
from rules import rulebook
from rules.language.facts import Catalogue, Fact
from rules.models import Rule

pytestmark = pytest.mark.django_db

CATALOGUE = Catalogue(facts={"age": Fact("age", "number")})
TEXT = "IF age > 5 THEN STOP"


def published(key: str, *placements: Placement) -> Rule:
    rule = Rule.objects.create(key=key, name=key, text=TEXT)
    rule.placements.set(placements)
    rulebook.publish(rule, None, CATALOGUE)
    return rule


def refused(rule: Rule) -> str:
    """What a refusal says; it left the rule as it was."""
    before = Rule.objects.get(pk=rule.pk).published_id, rule.revisions.count()
    with pytest.raises(ValidationError) as refusal:
        rulebook.publish(rule, None, CATALOGUE)
    assert (Rule.objects.get(pk=rule.pk).published_id, rule.revisions.count()) == before
    return " ".join(refusal.value.messages)


def test_too_many_tests_are_refused_and_the_published_revision_stays() -> None:
    rule = published("deep", Placement.objects.create(key="home", name="Home"))
    rule.text = f"IF {' OR '.join(f'age > {n}' for n in range(limits.TESTS_PER_RULE + 1))} THEN STOP"
    rule.save()
    assert refused(rule) == "Rule deep has 201 tests; at most 200 are allowed: make its condition a segment."


def test_a_full_placement_takes_no_further_rule_but_lets_its_own_be_edited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RULES_PER_PLACEMENT", 2)
    home, app = (Placement.objects.create(key=key, name=key) for key in ("home", "app"))
    first = published("first", home)
    published("everywhere")
    third = Rule.objects.create(key="third", name="Third", text=TEXT)
    third.placements.add(home)
    assert refused(third).startswith("Placement home has 3 rules; at most 2 are allowed: choose placements")
    assert rulebook.room(third) == [
        limits.Use("actions", 1, 50),
        limits.Use("tests", 1, 200),
        limits.Use("rules", 3, 2),
    ]
    third.placements.set([app])
    rulebook.publish(third, None, CATALOGUE)
    first.text = "IF age > 6 THEN STOP"
    first.save()
    assert rulebook.publish(first, None, CATALOGUE).number == 2


def test_a_rollback_into_a_placement_that_filled_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RULES_PER_PLACEMENT", 1)
    home, app = (Placement.objects.create(key=key, name=key) for key in ("home", "app"))
    rule = published("wanderer", home)
    rule.placements.set([app])
    rulebook.publish(rule, None, CATALOGUE)
    published("settler", home)
    earlier = rule.revisions.get(number=1)
    with pytest.raises(ValidationError, match="Placement home has 2 rules"):
        rulebook.rollback(rule, earlier, None)
    assert rule.revisions.count() == 2
    assert list(rule.placements.values_list("key", flat=True)) == ["app"]
