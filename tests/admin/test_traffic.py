"""The page of traffic: shares by rung over time, what was not kept and why, one placement or all."""

import re
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from campaigns.models import Content, Placement
from decisioning.console.traffic import SPANS, begin_of, chart_of, colour_of
from decisioning.models import DroppedMonth, Traffic
from decisioning.store import keys, tallies
from decisioning.store.copying import copy_in

from ..store.test_ledger_counting import count_all, decision, outcome
from .crowd import NOW

pytestmark = pytest.mark.django_db

PAGE = "/admin/decisioning/traffic/"


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions of two days in two placements, of which one has outcomes."""
    Placement.objects.create(key="hero", name="Hero <b>")
    Content.objects.create(key="a", name="Apples")
    hour = timedelta(hours=1)
    rows = [decision(number, "ab", NOW - hour, placement="hero") for number in range(3)]
    rows += [decision(3, "a", NOW, placement="hero", rung="rules", reason="FALLBACK")]
    rows += [decision(4, "a", NOW - 30 * hour, placement="side", rung="default", source="campaign")]
    rows += [decision(5, "a", NOW, placement="side", rung="default", source="import")]
    rows += [decision(6, "a", NOW, placement="side", rung="former rung")]
    copy_in(rows)
    for number, kind in enumerate(["impression", "click", "conversion"]):
        followed = outcome(rows[0], kind, f"m{number}", value=2.5)
        followed.at = NOW
        followed.save()
    count_all()
    process = tallies.Tallies()
    process.add("dropped", "full", NOW, 7)
    process.add("written", "", NOW, 6, figure=1.25)
    process.add("answers", "hit", NOW, 3)
    process.add("answers", "miss", NOW, 5)
    process.write()


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decisioning.config.clock.now", lambda: NOW)


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return answer.content.decode()


def test_before_the_first_decision_the_page_says_what_to_do(browser: Client) -> None:
    page = text(browser.get(PAGE))
    assert "No decision in the 24 hours before" in page
    assert "POST /v1/decide" in page
    assert "Every decision is in the ledger." in page


@pytest.mark.usefixtures("busy")
def test_shares_by_rung_and_reason_leave_imports_out_and_say_so(browser: Client) -> None:
    answer = browser.get(PAGE)
    page = text(answer)
    assert [(rung, one["count"], one["percent"]) for _, rung, one in answer.context["rungs"]] == [
        ("full", 3, 60.0),
        ("rules", 1, 20.0),
        ("former rung", 1, 20.0),
    ]
    assert dict(answer.context["reasons"])["FALLBACK"]["count"] == 1
    assert "1 imported ones are not in these figures" in page
    assert "5 by API calls" in page


@pytest.mark.usefixtures("busy")
def test_who_was_held_out_stands_apart_from_whom_something_was_missing_for(browser: Client) -> None:
    assert "Held out: customers who get" not in text(browser.get(PAGE))
    held = {"placement": "hero", "rung": "default", "reason": "HOLDOUT"}
    copy_in([decision(7, "a", NOW, **held), decision(8, "a", NOW, **held | {"reason": "FALLBACK"})])
    count_all()
    answer = browser.get(PAGE)
    ends = {rung: (colour, one["count"]) for colour, rung, one in answer.context["rungs"]}
    assert (ends["held out"], ends["default"]) == ((5, 1), (4, 1))
    assert next(row["shares"] for row in answer.context["table"]) == [0, 25, 25, 25, 25]
    assert "Held out: customers who get default contents on purpose" in text(answer)
    decisions = {"held out": 7, "default": 8}
    for end, number in decisions.items():
        assert f"?rung={quote(end)}" in text(answer)
        found = browser.get("/admin/decisioning/decision/", {"rung": end, "placement": "hero"}).context["found"].rows
        assert [row.pk for row in found] == [decision(number, "a", NOW).pk]
    ends = {rung["name"]: rung["count"] for rung in browser.get("/admin/").context["rungs"]}
    assert (ends["held out"], ends["default"]) == ("1", "1")


@pytest.mark.usefixtures("busy")
def test_what_was_not_kept_is_said_with_its_reason_and_the_cache_with_its_share(browser: Client) -> None:
    page = text(browser.get(PAGE))
    assert "7: PostgreSQL stayed away and the buffer was full" in page
    assert "1.3 s" in page
    assert "37.5 %" in page


@pytest.mark.usefixtures("busy")
def test_a_span_and_a_placement_narrow_the_page(browser: Client) -> None:
    answer = browser.get(PAGE, {"span": "week", "placement": "side"})
    assert [(rung, one["count"]) for _, rung, one in answer.context["rungs"]] == [("default", 1), ("former rung", 1)]
    assert "1 by campaigns" in text(answer)
    assert answer.context["contents"][0]["decisions"] == 3
    hero = browser.get(PAGE, {"placement": "hero"})
    apples = hero.context["contents"][0]
    assert (apples["name"], apples["decisions"], apples["click_rate"], apples["value"]) == ("Apples", 4, 100.0, 2.5)
    assert "Hero &lt;b&gt;" in text(hero)


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("span", SPANS)
def test_the_chart_stands_on_its_ground_and_fills_its_columns(span: str) -> None:
    chart = chart_of(SPANS[span], NOW)
    assert len(chart.columns) == SPANS[span].back / SPANS[span].step
    assert chart.columns[0].begins == begin_of(SPANS[span], NOW)
    assert chart.columns[-1].begins <= NOW < chart.columns[-1].begins + SPANS[span].step
    assert sum(column.total for column in chart.columns) == (5 if span == "day" else 6)
    for column in chart.columns:
        if column.total:
            assert sum(part.height for part in column.parts) == pytest.approx(200, abs=0.1)
            assert column.parts[0].y + column.parts[0].height == pytest.approx(chart.floor, abs=0.1)
            assert column.y + column.height == pytest.approx(chart.ground, abs=0.1)
    assert max(column.height for column in chart.columns) == 60
    words = [text for _, text in chart.labels]
    assert 4 <= len(words) == len(set(words)) <= 8


@pytest.mark.usefixtures("busy")
def test_every_rung_of_the_chart_has_a_colour_and_the_table_has_its_figures(browser: Client) -> None:
    page = text(browser.get(PAGE))
    drawn = {f"traffic-{colour_of(rung)}" for rung in ("full", "rules", "former rung")}
    assert len(drawn) == 3
    assert drawn <= set(re.findall(r'rect class="(traffic-\d)"', page))
    assert "3 decisions (full 100.0%)" in page
    assert '<th scope="row">' in page


@pytest.mark.parametrize("query", [{"span": "x"}, {"placement": "\0"}, {"placement": "nobody's", "span": "quarter"}])
def test_whatever_is_asked_the_page_opens(browser: Client, query: dict[str, str]) -> None:
    assert browser.get(PAGE, query).status_code == 200


def test_a_dropped_month_is_listed(browser: Client) -> None:
    DroppedMonth.objects.create(month=date(2016, 5, 1), rows=12_345, last_day=date(2016, 5, 31))
    page = text(browser.get(PAGE))
    assert "May 2016" in page
    assert "12,345" in page


def test_outcomes_that_count_for_nothing_are_told_with_where_they_came_from_and_the_cure(browser: Client) -> None:
    Placement.objects.create(key="hero", name="Hero <b>")
    key, _ = keys.create("Shop <i>", ["track"])
    counts = {
        ("outcomes", "late"): 6,
        ("late", "hero"): 2,
        ("late", "side"): 3,
        ("outcomes", "early"): 8,
        ("early", "hero"): 8,
        ("outcomes", "lost"): 4,
        ("outcomes", "expired"): 5,
        ("outcomes", "bad_token"): 9,
        ("tokens", f"forged {key.prefix}"): 7,
        ("tokens", "unreadable pixel"): 1,
        ("tokens", "unreadable events"): 2,
        ("tokens", "unknown_type "): 1,
        ("tokens", f"duplicate {key.prefix}"): 2,
        ("tokens", "of a version to come pixel"): 1,
    }
    for (what, name), count in counts.items():
        tallies.add_now(what, name, NOW, count)
    tallies.add_now("late", "hero", NOW - timedelta(days=40), 99)
    answer = browser.get(PAGE)
    assert [(one.what, one.whence, one.count) for one in answer.context["refusals"]] == [
        ("Came after their window", "side", 3),
        ("Came after their window", "Hero <b>", 2),
        ("Came after their window", "", 1),
        ("Are dated before their decision", "Hero <b>", 8),
        ("Their decision is of a month that was dropped", "", 5),
        ("Name a decision that is not in the ledger", "", 4),
        ("The token cannot be read", "in events", 2),
        ("The token cannot be read", "by the pixel", 1),
        ("The token was not signed here", f"with the key Shop <i> ({key.prefix}…)", 7),
        ("The type is none", "by an unknown key", 1),
        ("Their message_id is another outcome’s", f"with the key Shop <i> ({key.prefix}…)", 2),
    ]
    page = text(answer)
    assert "Shop &lt;i&gt;" in page and "widen the window" in page and "SECRET_KEY" in page
    hero = browser.get(PAGE, {"placement": "hero"}).context["refusals"]
    assert [(one.whence, one.count) for one in hero] == [("Hero <b>", 2), ("Hero <b>", 8)]


def test_where_every_outcome_counts_nothing_is_said_of_it(browser: Client) -> None:
    assert "Outcomes that count for nothing" not in text(browser.get(PAGE))


def test_whoever_may_not_see_traffic_sees_none(visitor: Client) -> None:
    assert visitor.get(PAGE).status_code == 403
    vic = User.objects.get(username="vic")
    vic.user_permissions.add(Permission.objects.get(codename="view_traffic"))
    assert visitor.get(PAGE).status_code == 200
    assert visitor.post(PAGE).status_code == 200
    assert not Traffic.objects.exists()
