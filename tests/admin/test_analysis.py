"""After a rule is saved the marketer reads how it stands to the others; the save stands whatever is found."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from campaigns.models import Placement
from decisioning.console import analysis
from decisioning.customers.models import Customer, FactVocabulary, PlannedEvent
from decisioning.store import catalogue
from rules import rulebook
from rules.models import Membership, Rule, Segment

from .shop import NOW
from .test_rules import LIST, form_of, page_of

pytestmark = pytest.mark.django_db
Committing = Callable[[], AbstractContextManager[Any]]


@pytest.fixture
def people(shop: dict[str, Any]) -> list[Customer]:
    """Four customers with 0 to 3 orders beside the shop's own with 3; who has none is lapsed."""
    rows = [Customer(key=f"c-{n}", facts={"orders_30d": n}, facts_at=NOW) for n in range(4)]
    made = Customer.objects.bulk_create(rows)
    lapsed = Segment.objects.create(key="lapsed", name="Lapsed", condition="orders_30d = 0")
    Membership.objects.create(segment=lapsed, customer=made[0], entered_at=NOW)
    return made


def published(key: str, text: str, placements: list[Placement] | None = None, **fields: Any) -> Rule:
    rule = Rule.objects.create(key=key, name=key.title(), text=text, **fields)
    rule.placements.set(placements or [])
    rulebook.publish(rule, None, catalogue.current())
    return rule


@pytest.fixture
def told(browser: Client, shop: dict[str, Any], committing: Committing) -> Callable[..., list[str]]:
    """Publish the shop's rule with this text; the warnings shown."""

    def tell(text: str, **fields: Any) -> list[str]:
        rule = shop["rules_rule"]
        with committing():
            answer = browser.post(page_of(rule), form_of(rule, **{"text": text, "_publish": "1"} | fields))
        assert answer.status_code == 302
        rule.refresh_from_db()
        assert rule.text == text
        return [str(one) for one in get_messages(answer.wsgi_request) if one.level_tag == "warning"]

    return tell


def test_a_property_that_nobody_has_seen_is_told(told: Callable[..., list[str]], people: Any) -> None:
    PlannedEvent.objects.create(name="Order Completed", properties={"total": {"type": "number", "seen": 3}})
    FactVocabulary.objects.create(data={"event_names": ["Order Completed"]}, learned_at=NOW)
    found = told('IF COUNT("Order Completed" WHERE totl > 5) > 1 THEN SHOW "eco-banner"')
    assert any('with the property "totl". Did you mean "total"?' in one for one in found)


def test_a_rule_in_nobodys_way_is_published_without_a_word(told: Callable[..., list[str]], people: Any) -> None:
    assert told('IF orders_30d > 1 THEN SHOW "eco-banner"') == []


def test_what_is_never_true_and_what_contradicts_itself_is_told(told: Callable[..., list[str]]) -> None:
    warnings = told('IF orders_30d > 5 AND orders_30d < 2 THEN SHOW "eco-banner"')
    assert any("never true together" in warning for warning in warnings)
    assert '"eco" is never true.' in warnings
    (warning,) = told('IF device = "web" THEN SHOW "eco-banner", HIDE "eco-banner"')
    assert warning.startswith("Eco first: Line 1, column ") and "^" not in warning


def test_a_rule_behind_a_stop_is_unreachable(told: Callable[..., list[str]], shop: dict[str, Any]) -> None:
    published("first", 'IF device = "web" THEN STOP', priority=9)
    (warning,) = told('IF device = "web" AND orders_30d > 1 THEN SHOW "eco-banner"')
    assert warning == '"eco" is unreachable: "first" says STOP first, for all it is true for.'


def test_one_that_makes_a_published_rule_unreachable_hears_of_it(told: Callable[..., list[str]]) -> None:
    published("late", 'IF device = "web" THEN SHOW "fuel-coupon"')
    assert '"late" is unreachable' in " ".join(told('IF device = "web" THEN STOP', priority="5"))


def test_shadowing_is_measured_on_stored_customers_with_their_segments(
    told: Callable[..., list[str]], people: Any
) -> None:
    published("first", 'IF orders_30d >= 2 OR segments CONTAINS "lapsed" THEN STOP', priority=9)
    (warning,) = told('IF orders_30d < 3 THEN SHOW "eco-banner"')
    assert warning == '"eco" is shadowed for 66.7 % of its 3 customers by rule "first".'


def test_a_rule_for_none_of_the_customers_is_told_but_facts_of_the_request_are_not_measured(
    told: Callable[..., list[str]], people: Any
) -> None:
    assert told('IF orders_30d > 70 THEN SHOW "eco-banner"') == ['"eco" is true for none of the 5 customers.']
    assert told('IF device = "kiosk" AND orders_30d > 70 THEN SHOW "eco-banner"') == []
    assert told('IF customer_id = "c-1" THEN SHOW "eco-banner"') == []


def test_ties_are_told_only_where_and_while_the_rules_meet(
    told: Callable[..., list[str]], shop: dict[str, Any]
) -> None:
    home, other = shop["campaigns_placement"], Placement.objects.create(key="cart", name="Cart")
    text = 'IF orders_30d > 1 THEN HIDE "eco-banner"'
    hides = published("hides", text, [home])
    shows = 'IF orders_30d > 0 THEN SHOW "eco-banner"'
    assert "have the same priority" in " ".join(told(shows))
    assert told(shows, placements=[other.pk]) == []
    assert '"eco" goes before "hides"' in " ".join(told(shows, placements=[home.pk], priority="3"))
    hides.ends_at = NOW
    hides.save()
    rulebook.publish(hides, None, catalogue.current())
    assert told(shows, starts_at_0="2026-03-01", starts_at_1="12:00") == []


def test_a_target_stands_for_its_contents(told: Callable[..., list[str]]) -> None:
    published("only", 'IF orders_30d > 1 THEN ONLY TAGGED "eco"', priority=9)
    assert told('IF orders_30d > 2 THEN BOOST "eco-banner" BY 2') == []
    assert '"eco" has no effect' in told('IF orders_30d > 2 THEN BOOST "fuel-coupon" BY 2')[0]
    assert told("IF orders_30d > 2 THEN BOOST WHERE margin > 0.3 BY 2") == []


def test_a_draft_is_told_the_same_and_an_inactive_rule_is_in_nobodys_way(
    told: Callable[..., list[str]], browser: Client, committing: Committing
) -> None:
    published("first", 'IF device = "web" THEN STOP', priority=9)
    text = 'IF device = "web" THEN SHOW "eco-banner"'
    with committing():
        answer = browser.post(f"{LIST}add/", form_of(None, text=text, _save="1"))
    assert '"new-rule" is unreachable' in " ".join(map(str, get_messages(answer.wsgi_request)))
    assert Rule.objects.get(key="new-rule").published is None
    assert len(told(text)) == 1
    assert told(text, active="") == []


def test_above_the_bound_nothing_is_measured_and_that_is_said(
    told: Callable[..., list[str]], people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analysis, "MOST_CUSTOMERS", 4)
    published("first", "IF orders_30d > 5 THEN STOP", priority=9)
    proved, note = told('IF orders_30d > 6 THEN SHOW "eco-banner"')
    assert "unreachable" in proved
    assert note == "Not measured on customers: their facts are being put together; save again in some minutes."


def test_a_failing_analysis_is_told_and_stops_nothing(
    told: Callable[..., list[str]], people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(analysis.frames, "fresh", fail)
    (warning,) = told('IF orders_30d > 1 THEN SHOW "eco-banner"')
    assert "Saved, but how it stands to other rules could not be found out" in warning
    assert Rule.objects.get(key="eco").published.number == 2


def test_many_findings_are_cut(told: Callable[..., list[str]]) -> None:
    for number in range(12):
        published(f"hides-{number}", f'IF orders_30d > {number} THEN HIDE "eco-banner"')
    warnings = told('IF orders_30d > 0 THEN SHOW "eco-banner"')
    assert len(warnings) == analysis.MOST_TOLD + 1
    assert warnings[-1] == "And 4 more like these."


def test_publishing_many_and_rolling_back_tell_too(
    browser: Client, shop: dict[str, Any], committing: Committing, told: Callable[..., list[str]]
) -> None:
    told('IF device = "web" THEN SHOW "fuel-coupon"')
    published("first", 'IF device = "kiosk" THEN STOP', priority=9)
    with committing():
        answer = browser.post(f"{LIST}{shop['rules_rule'].pk}/rollback/1/")
    assert '"eco" is unreachable' in " ".join(map(str, get_messages(answer.wsgi_request)))
    made = Rule.objects.create(key="made", name="Made", text='IF device = "kiosk" THEN HIDE "eco-banner"')
    with committing():
        answer = browser.post(LIST, {"action": "publish_selected", "_selected_action": [made.pk]})
    assert '"made" is unreachable' in " ".join(map(str, get_messages(answer.wsgi_request)))
