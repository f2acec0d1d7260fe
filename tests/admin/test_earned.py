"""The page of what a policy would have earned: its verdict in words, bad questions, and who may ask."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from campaigns.models import Content, Placement
from decisioning.admin import evaluated
from decisioning.models import Decision, Outcome
from rules.models import Rule

from ..flows.shops import open_shop

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]

PAGE = "/admin/decisioning/decision/earned/"
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
ASKED = {"policy": "constant:b", "placement": "mail", "objective": "conversion"}


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decisioning.config.clock.now", lambda: NOW)


@pytest.fixture
def log(db: None) -> None:
    """Two contents shown by the toss of a coin; `b` converts far more often."""
    people, dice = open_shop(NOW, lambda n: {"orders_365d": n % 20}), Random(3)
    rows, outcomes = [], []
    for number in range(500):
        key, person = "ab"[dice.random() < 0.5], people[number % len(people)]
        row = Decision(id=UUID(int=number + 1), at=NOW - timedelta(days=2, hours=number), placement="mail")
        row.customer_id, row.customer_key, row.facts = person.pk, person.key, person.facts
        row.items, row.windows = [{"key": key, "rank": 1, "score": None, "propensity": 0.5}], [24.0] * 4
        rows.append(row)
        if dice.random() < {"a": 0.2, "b": 0.6}[key]:
            outcomes.append(Outcome(decision_id=row.id, content=key, kind="conversion", at=row.at, message_id=row.id))
    Decision.objects.bulk_create(rows)
    Outcome.objects.bulk_create(outcomes)


def page(client: Client, **asked: str) -> Any:
    answer = client.get(PAGE, asked)
    assert answer.status_code == 200
    return answer


def test_a_better_choice_is_told_in_words_and_drawn_to_one_scale(browser, log):
    found = page(browser, **ASKED).context["found"]
    assert found.state == "good" and "more a decision than the current rules" in found.verdict
    assert [bar.name for bar in found.gains] == [
        "over what was shown",
        "over the best constant choice",
        "over the current rules",
    ]
    assert max(bar.low + bar.span for bar in found.values) == pytest.approx(100, abs=0.02)
    for bar in found.values:
        assert bar.start == 0 and bar.low < bar.width < bar.low + bar.span
    same = page(browser, **{**ASKED, "policy": "constant:a"}).context["found"]
    assert same.state == "open" and same.verdict == "No difference to the current rules can be told."
    Placement.objects.update(policy="epsilon", exploration=1.0)
    worse = page(browser, **{**ASKED, "policy": "constant:a"}).context["found"]
    assert worse.state == "bad" and worse.gains[0].start + worse.gains[0].width == pytest.approx(worse.zero, abs=0.02)


def test_a_draft_nobody_saw_is_judged_from_the_link_on_its_page(browser, log):
    rule = Rule.objects.create(key="best", name="Best", text='IF orders_365d >= 0 THEN ONLY "b"')
    text = browser.get(reverse("admin:rules_rule_change", args=[rule.pk])).content.decode()
    assert f'href="{PAGE}?policy=draft%3Abest&amp;placement="' in text
    answer = page(browser, policy="draft:best", placement="", objective="conversion")
    assert answer.context["found"].state == "good"
    assert '<option value="draft:best" selected>Best</option>' in answer.content.decode()
    Rule.objects.update(text="IF orders_365d >= THEN")
    assert "draft cannot be used: rule best" in page(browser, policy="draft:best", placement="mail").context["wrong"]


def test_too_few_decisions_and_none_by_chance_are_told_apart(browser, log):
    few = page(browser, **ASKED, since="2026-03-28").context["found"]
    assert few.state == "open" and "more decisions needed" in few.verdict
    Decision.objects.update(items=[{"key": "a", "rank": 1, "score": None, "propensity": 1.0}])
    blind = page(browser, **ASKED)
    assert blind.context["found"].state == "blind" and "Self-normalised" not in blind.content.decode()
    assert (
        "what this would show was never shown" in blind.content.decode() and "epsilon-greedy" in blind.content.decode()
    )


def test_a_long_log_is_sampled_and_the_page_says_so(browser, log, monkeypatch):
    monkeypatch.setattr(evaluated, "SAMPLE", 100)
    text = page(browser, **ASKED).content.decode()
    assert "an even sample of more." in text and "Of more than 100 decisions" in text


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"policy": "/etc/passwd.csv"}, "Choose what is to be judged"),
        ({"policy": "constant:zzz\0"}, "Choose what is to be judged"),
        ({"placement": "attic"}, "Choose a placement"),
        ({"objective": "fame"}, "from the list"),
        ({"since": "yesterday"}, "Write days as"),
        ({"until": "9999-12-31"}, "Write days as"),
        ({"since": "2026-03-02", "until": "2026-03-01"}, "comes after"),
        ({"since": "2026-03-30"}, "newest decision is of 29 March 2026"),
        ({"until": "2020-01-01"}, "Nothing was decided"),
        ({"until": "0001-01-01"}, "Nothing was decided"),
    ],
)
def test_what_cannot_be_judged_is_said_with_the_cure(browser, log, asked, said):
    answer = page(browser, **{**ASKED, **asked})
    assert said in answer.context["wrong"] and answer.context["found"] is None


def test_before_anything_was_asked_it_says_what_it_takes(browser):
    assert "Nothing was decided yet" in page(browser).content.decode()
    Placement.objects.create(key="mail", name="Mail")
    Content.objects.create(key="b", name="Pears")
    text = page(browser).content.decode()
    assert "a placement that explores" in text and "Pears" in text
    assert page(browser, **ASKED).context["wrong"] == "Nothing was decided in this placement yet."


def test_it_is_for_those_who_may_see_decisions_and_names_only_what_they_may_see(visitor, log):
    assert Client().get(PAGE).status_code == 302
    assert visitor.get(PAGE).status_code == 403
    User.objects.get(username="vic").user_permissions.add(Permission.objects.get(codename="view_decision"))
    assert list(page(visitor).context["form"].policies) == ["Rules"]
    assert "you may not see it" in page(visitor, **ASKED).context["wrong"]
    assert page(visitor, policy="current", placement="mail").context["found"] is not None


def test_a_database_that_takes_too_long_is_given_up(browser, log, monkeypatch):
    def slow(*asked: Any) -> None:
        raise evaluated.OutOfTime

    monkeypatch.setattr(evaluated, "_judged", slow)
    assert "did not answer within 20 s" in page(browser, **ASKED).context["wrong"]
