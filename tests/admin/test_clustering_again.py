"""Searching for clusters again, and making what was found the personas: asked, foretold, left to the worker."""

from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db.models.functions import Now
from django.test import Client

from campaigns.models import Campaign
from decisioning.admin.clustering import asking, told
from decisioning.config import clock
from decisioning.customers.models import Distribution
from decisioning.flows import cluster as flow
from decisioning.learning.algorithms import NAMES
from decisioning.learning.scaling import KINDS
from decisioning.models import Artefact
from rules.models import Recompute, Rule, Segment

from .grouped import FAST, OTHER, PAGE, RFM, Committing, fill, queued, seen

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]


@pytest.fixture
def crowd(now: Any) -> None:
    fill(now)


@pytest.fixture
def active(crowd: None, now: Any) -> Artefact:
    """The four groups as personas."""
    return flow.cluster(now, FAST)


# -- comparing again


def test_a_comparison_is_asked_of_the_worker_with_what_was_ticked(
    browser: Client, crowd: None, broker: redis.Redis, committing: Committing
) -> None:
    with committing():
        assert browser.post(f"{PAGE}compare/", RFM).status_code == 302
    [(task, arguments)] = queued(broker)
    assert task == "compare_clusterings"
    for words in (
        "'facts': 'recency_days,orders_365d,spend_365d'",
        "'algorithms': 'k-means,Ward'",
        "'scalings': 'log'",
        "'numbers': '3,4'",
    ):
        assert words in arguments


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"facts": []}, "Tick at least one fact"),
        ({"facts": ["no_such_fact"]}, "There is no number fact “no_such_fact”"),
        ({"facts": ["spend_30d"]}, "Nobody has “Spend in 30 days”"),
        ({"algorithms": []}, "Tick at least one algorithm"),
        ({"algorithms": ["magic"]}, "There is no “magic”"),
        ({"scalings": ["odd"]}, "There is no scale “odd”"),
        ({"numbers": []}, "Tick at least one number"),
        ({"numbers": ["99"]}, "99 clusters cannot be asked for; 2 to 12 can"),
    ],
)
def test_a_form_that_says_nothing_sensible_is_refused_with_the_cure(
    browser: Client, crowd: None, broker: redis.Redis, committing: Committing, changes: dict[str, Any], said: str
) -> None:
    Distribution.objects.create(name="spend_30d", type="number", coverage=0, customers=240, at=clock.now())
    with committing():
        page = browser.post(f"{PAGE}compare/", {**RFM, **changes}).content.decode()
    assert said.replace("'", "&#x27;") in page
    assert "data-ask open" in page
    assert queued(broker) == []


def test_too_many_facts_are_refused(browser: Client, crowd: None) -> None:
    many = list(asking.choices())[: asking.MOST + 1]
    page = browser.post(f"{PAGE}compare/", {**RFM, "facts": many}).content.decode()
    assert f"With {len(many)} facts everybody is about as far from everybody else" in page


def test_every_algorithm_and_scale_is_offered_with_what_it_is_for(browser: Client) -> None:
    assert tuple(asking.ALGORITHMS) == NAMES
    assert tuple(asking.SCALES) == KINDS
    page = seen(browser)
    assert all(f'name="algorithms" value="{name}"' in page for name in NAMES)
    assert all(f'name="scalings" value="{name}"' in page for name in KINDS)


def test_the_form_begins_with_what_was_searched_last(browser: Client, active: Artefact, now: Any) -> None:
    flow.compare(now, OTHER)
    assert 'value="quantile" checked' in seen(browser)
    assert 'value="log" checked' not in seen(browser)
    assert 'value="log" checked' in seen(browser, "?again=defaults")


def test_a_running_search_is_shown_and_no_second_one_begins(
    browser: Client, active: Artefact, broker: redis.Redis, committing: Committing
) -> None:
    before = browser.get(f"{PAGE}state/").json()
    assert before["running"] is False
    run = Recompute.objects.create(reason="clustering", total=40, done=10)
    page = seen(browser)
    assert "The worker is busy with clusters" in page
    assert 'value="25"' in page
    found = browser.get(f"{PAGE}state/").json()
    assert (found["running"], found["share"]) == (True, 25)
    assert found["mark"] != before["mark"]
    with committing():
        answer = browser.post(f"{PAGE}compare/", RFM, follow=True)
    assert "wait until it is done" in answer.content.decode()
    assert queued(broker) == []
    Recompute.objects.filter(pk=run.pk).update(seen_at=Now() - timedelta(minutes=5))
    assert "The worker has told nothing" in seen(browser)


def test_a_failed_search_says_what_to_do(browser: Client, active: Artefact) -> None:
    error = "RuntimeError: learn compare failed: CommandError: There is no sane <b>clustering</b>; take other facts."
    Recompute.objects.create(reason="clustering", state="failed", error=error, finished_at=Now())
    page = seen(browser)
    assert "The clusters in use stay in use" in page
    assert '<pre class="console-code">There is no sane &lt;b&gt;clustering&lt;/b&gt;; take other facts.</pre>' in page


# -- making others the personas


def test_what_was_found_since_stands_beside_what_is_in_use(browser: Client, active: Artefact, now: Any) -> None:
    found = flow.compare(now, OTHER)
    page = seen(browser)
    assert "Found since, not in use yet" in page
    assert f"{PAGE}{found.pk}/adopt/" in page
    assert "goes</span>" in page
    assert f"Clustering {found.pk}, not in use" in seen(browser, f"{found.pk}/")
    assert browser.get(f"{PAGE}{active.pk}/")["Location"] == PAGE


def test_before_personas_are_made_it_says_who_goes_who_uses_them_and_how_many_move(
    browser: Client, active: Artefact, now: Any
) -> None:
    found = flow.compare(now, OTHER)
    [gone] = found.metrics["kept"]["gone"]
    going = Segment.objects.get(key=told.segment_key(gone))
    Campaign.objects.create(key="thanks", name="Thanks", trigger="segment", segment=going, subject="Hi", body="x")
    Rule.objects.create(key="r", name="For them", text=f'IF segments CONTAINS "{going.key}" THEN HIDE "x"')
    page = seen(browser, f"{found.pk}/adopt/")
    kept = found.metrics["kept"]["labels"]
    assert f"{round(240 * (1 - kept))} of 240 customers" in page
    assert page.count("keeps its name and its key") == 3
    assert page.count("goes: its segment is switched off") == 1
    assert "1 persona that goes is in use" in page
    assert "For them" in page
    assert "Thanks" in page


def test_the_forecast_is_what_adopting_does(browser: Client, active: Artefact, now: Any) -> None:
    before = dict(_members())
    found = flow.compare(now, OTHER)
    page = seen(browser, f"{found.pk}/adopt/")
    flow.adopt(found.pk, now)
    after = dict(_members())
    moved = sum(1 for customer in before if before[customer] != after[customer])
    assert f"<b>{moved} of 240 customers" in page
    again = seen(browser, f"{active.pk}/adopt/")
    assert f"<b>{moved} of 240 customers" in again
    assert "comes back: its segment is switched on again" in again


def _members() -> Any:
    rows = Segment.objects.filter(kind="cluster", memberships__left_at__isnull=True, active=True)
    return rows.values_list("memberships__customer_id", "key")


def test_a_comparison_from_before_the_personas_in_use_is_matched_with_them(
    browser: Client, crowd: None, now: Any
) -> None:
    first = flow.compare(now, FAST)
    flow.cluster(now, OTHER)
    page = seen(browser, f"{first.pk}/adopt/")
    assert page.count("keeps its name and its key") + page.count("is no longer called") == 3
    assert page.count('<span class="clustering-new">new</span>') == 1
    waiting = flow.compare(now, FAST)
    flow.adopt(first.pk, now)
    assert "what becomes of each is worked out anew" in seen(browser)
    assert f"{PAGE}{waiting.pk}/adopt/" in seen(browser)


def test_without_a_frame_it_does_not_guess_how_many_move(
    browser: Client, active: Artefact, now: Any, settings: Any, tmp_path: Any
) -> None:
    found = flow.compare(now, OTHER)
    settings.ARCHIVE_URL = str(tmp_path)
    page = seen(browser, f"{found.pk}/adopt/")
    assert "not known yet" in page
    assert "of 240 customers" not in page


def test_making_personas_is_asked_of_the_worker(
    browser: Client, active: Artefact, broker: redis.Redis, committing: Committing, now: Any
) -> None:
    found = flow.compare(now, OTHER)
    with committing():
        assert browser.post(f"{PAGE}{found.pk}/adopt/")["Location"] == PAGE
    assert queued(broker) == [("adopt_clustering", f"[{found.pk}]")]
    assert "These are the personas already" in browser.get(f"{PAGE}{active.pk}/adopt/", follow=True).content.decode()


def test_activating_a_clustering_as_an_artefact_leads_to_the_same_question(
    browser: Client, active: Artefact, now: Any
) -> None:
    found = flow.compare(now, OTHER)
    answer = browser.post(f"/admin/decisioning/artefact/{found.pk}/activate/")
    assert answer["Location"] == f"{PAGE}{found.pk}/adopt/"
    assert not Artefact.objects.get(pk=found.pk).active


def test_a_clustering_that_was_altered_is_not_offered(browser: Client, active: Artefact, now: Any) -> None:
    found = flow.compare(now, OTHER)
    Artefact.objects.filter(pk=found.pk).update(signature="00" * 32)
    page = browser.get(f"{PAGE}{found.pk}/adopt/", follow=True).content.decode()
    assert "was altered or signed with another SECRET_KEY" in page


def test_the_others_are_listed_and_can_be_used_again(browser: Client, active: Artefact, now: Any) -> None:
    second = flow.cluster(now + timedelta(days=1), OTHER)
    page = seen(browser)
    assert "Other clusterings" in page
    assert f'href="{PAGE}{active.pk}/"' in page
    assert "use it again" in page
    assert f'href="{PAGE}{second.pk}/adopt/"' not in page
