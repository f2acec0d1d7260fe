"""How long what follows counts: for all placements or one, as the decision kept it, and what becomes of the rest."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.urls import reverse
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from campaigns.models import Placement, Window
from campaigns.models.windows import USUAL, usual, windows_of
from decisioning.flows.explain import explained
from decisioning.flows.learn import showings
from decisioning.models import Decision, Outcome, Statistic
from decisioning.models.decisions import TOLERANCE
from decisioning.store import statistics
from decisioning.store.counting import count_new
from decisioning.store.freeze import freeze
from decisioning.store.recounting import rebuild
from tests.examples import examples

from ..flows.conftest import *  # noqa: F403  (the same small site)

KINDS = tuple(USUAL)


def allows(windows: list[float] | None, what: str, hours: float) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT decisioning_in_time(%s::float8[], %s, '2026-01-01Z', '2026-01-01Z'::timestamptz + %s)",
            [windows, what, timedelta(hours=hours)],
        )
        return bool(cursor.fetchone()[0])


@pytest.mark.parametrize(("number", "what"), list(enumerate(KINDS, 1)))
def test_each_kind_has_its_window_whose_end_is_within_it(db, number, what):
    assert allows([1, 2, 3, 4], what, number)
    assert not allows([1, 2, 3, 4], what, number + 0.001)


@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.none() | st.lists(st.integers(0, 3), min_size=4, max_size=4),
    st.sampled_from(KINDS),
    st.integers(-1, 4).map(lambda hours: timedelta(hours=hours)) | st.just(-TOLERANCE),
)
def test_a_row_says_the_same_as_the_database(db, windows, what, later):
    made = Decision(at=datetime(2026, 1, 1, tzinfo=UTC), windows=windows)
    assert made.in_time(what, made.at + later) == allows(windows, what, later / timedelta(hours=1))


def test_a_decision_without_windows_is_credited_with_all_that_follows(db):
    assert allows(None, "click", 10_000)


@pytest.mark.parametrize("windows", [None, [0, 1, 2, 3]])
def test_what_lies_before_a_decision_counts_for_it_only_as_far_as_clocks_differ(db, windows):
    minutes = TOLERANCE / timedelta(minutes=1)
    assert all(allows(windows, kind, -minutes / 60) for kind in KINDS)
    assert not any(allows(windows, kind, -(minutes + 0.1) / 60) for kind in KINDS)
    made = Decision(at=datetime(2026, 1, 1, tzinfo=UTC), windows=windows)
    assert made.in_time("value", made.at - TOLERANCE)
    assert not made.in_time("value", made.at - TOLERANCE - timedelta(seconds=1))


def test_a_placements_own_window_stands_above_that_of_all_which_stands_above_the_usual(db):
    placement = Placement.objects.create(key="hero", name="Hero", click_hours=0)
    assert windows_of(placement, usual()) == (168, 0, 24, 24)
    Window.objects.update_or_create(kind="conversion", defaults={"hours": 48})
    Window.objects.filter(kind="value").delete()
    assert windows_of(placement, usual()) == (168, 0, 48, 24)
    assert freeze().placements[0].windows == (168, 0, 48, 24)


def test_a_changed_window_makes_a_new_snapshot(site):
    before = site.holder.current.number
    Window.objects.update_or_create(kind="click", defaults={"hours": 1})
    site.publish()
    assert site.holder.current.number > before
    assert site.holder.current.slots["hero"].item.windows[1] == 1


@pytest.fixture
def made(site) -> Decision:
    """A decision whose window for clicks is closed at once, and that for conversions after an hour."""
    Placement.objects.update(click_hours=0, window_hours=1, value_hours=0.5)
    site.publish()
    site.token = site.decide()["placements"][0]["items"][0]["token"]
    site.ledger.flush()
    return Decision.objects.get()


def move_back(made: Decision, hours: float) -> None:
    """As if it had been decided earlier."""
    Decision.objects.filter(pk=made.pk).update(at=made.at - timedelta(hours=hours))


def report(site, kind: str, name: str, **more) -> bool:
    status, answer = site.post("/v1/outcomes", {"token": site.token, "type": kind, "message_id": name, **more})
    assert (status, answer["success"]) == (200, True)
    return answer["attributed"]


def test_what_comes_late_is_answered_kept_counted_and_credited_to_nothing(site, made):
    assert made.windows == [168, 0, 1, 0.5]
    assert report(site, "impression", "seen")
    assert not report(site, "click", "clicked")
    assert not report(site, "click", "clicked")
    while count_new():
        pass
    content = made.items[0]["key"]
    told = {one["type"]: one["attributed"] for one in explained(made.pk)["outcomes"]}
    assert told == {"impression": True, "click": False}
    row = Statistic.objects.filter(part="all", content=content)
    assert row.values_list("impressions", "clicks").get() == (1, 0)
    assert Outcome.objects.filter(kind="click").count() == 1
    assert statistics.tallies("outcomes", made.at - timedelta(hours=1))["late"][0] == 1
    assert statistics.tallies("late", made.at - timedelta(hours=1)) == {"hero": (1, 0)}
    rebuild()
    assert row.values_list("impressions", "clicks").get() == (1, 0)


def test_the_page_of_traffic_says_how_many_came_late(site, made, admin_client):
    report(site, "click", "clicked")
    count_new()
    page = admin_client.get(reverse("admin:decisioning_traffic_changelist")).content.decode()
    assert "1 outcomes came after their window" in page
    page = admin_client.get(reverse("admin:decisioning_decision_change", args=[made.pk])).content.decode()
    assert "after its window: kept, and credited to nothing" in page


def test_what_is_dated_before_its_decision_is_answered_kept_counted_and_credited_to_nothing(site, made, admin_client):
    before = made.at - timedelta(hours=30)
    assert not report(site, "impression", "seen", timestamp=before.isoformat())
    assert not report(site, "conversion", "bought", timestamp=before.isoformat(), value=5)
    assert report(site, "click", "clicked", timestamp=(made.at - TOLERANCE).isoformat())
    while count_new():
        pass
    content = made.items[0]["key"]
    rows = Statistic.objects.filter(part="all", content=content)
    assert rows.values_list("impressions", "clicks", "conversions", "value").get() == (0, 1, 0, 0)
    # In the hour of the decision: nobody looks where the sender's clock stands.
    assert statistics.tallies("early", made.at - timedelta(hours=1)) == {"hero": (2, 0)}
    assert statistics.tallies("outcomes", made.at - timedelta(hours=1)) == {"early": (2, 0)}
    told = {one["type"]: one["attributed"] for one in explained(made.pk)["outcomes"]}
    assert told == {"impression": False, "conversion": False, "click": True}
    page = admin_client.get(reverse("admin:decisioning_decision_change", args=[made.pk])).content.decode()
    assert page.count("dated before the decision: kept, and credited to nothing") == 2
    page = admin_client.get(reverse("admin:decisioning_traffic_changelist")).content.decode()
    assert "2 outcomes are dated before their decision" in page and "a clock is wrong" in page
    rebuild()
    assert rows.values_list("impressions", "clicks", "conversions", "value").get() == (0, 1, 0, 0)


def test_the_documented_windows_are_the_usual_ones():
    text = (Path(__file__).resolve().parents[2] / "docs" / "outcomes.md").read_text()
    rows = re.findall(r"^\| (impression|click|conversion|value)[^|]*\| (\d+)", text, re.M)
    assert {kind: float(hours) for kind, hours in rows} == USUAL


def test_counting_anew_notes_what_is_late_as_well(site, made):
    report(site, "click", "clicked")
    rebuild()
    assert statistics.tallies("outcomes", made.at - timedelta(hours=1))["late"][0] == 1
    assert statistics.tallies("late", made.at - timedelta(hours=1)) == {"hero": (1, 0)}
    assert count_new() == 0


def test_a_conversion_may_count_when_its_value_does_not_any_more(site, made):
    move_back(made, 0.75)
    assert report(site, "conversion", "bought", value=10)
    while count_new():
        pass
    row = Statistic.objects.get(part="all", conversions=1)
    assert row.value == 0


def test_a_window_that_changes_later_changes_nothing_about_decisions_made(site, made):
    Placement.objects.update(click_hours=100)
    site.publish()
    assert not report(site, "click", "clicked")


def test_an_outcome_that_comes_before_its_decisions_row_is_in_time(site):
    site.token = site.decide()["placements"][0]["items"][0]["token"]
    assert report(site, "click", "clicked")


def test_scorers_learn_from_the_same_windows(site, made):
    report(site, "impression", "seen")
    move_back(made, 2)
    report(site, "conversion", "bought")
    # As it is looked back on later, by the product's clock.
    frame = showings(made.at + timedelta(days=30))
    assert frame["converted_at"].to_list() == [None]
    assert (frame["closes_at"] - frame["shown_at"]).to_list() == [timedelta(hours=1)]
