"""The clustering page: what it tells of the personas in use, their names in people's own words, and who may."""

import re
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from decisioning.admin.clustering import charts, told
from decisioning.config import clock
from decisioning.customers.models import Customer
from decisioning.flows import cluster as flow
from decisioning.learning.algorithms import NAMES
from decisioning.models import Artefact
from decisioning.store import artefacts
from rules.models import Rule, Segment

from .grouped import FAST, OTHER, PAGE, RFM, Committing, fill, personas, queued, seen

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]


@pytest.fixture
def crowd(now: Any) -> None:
    fill(now)


@pytest.fixture
def active(crowd: None, now: Any) -> Artefact:
    """The four groups as personas."""
    return flow.cluster(now, FAST)


def somebody(*permissions: str) -> Client:
    user = User.objects.create(username="ana", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


# -- what it tells


def test_without_clusters_it_says_what_they_need(browser: Client) -> None:
    page = seen(browser)
    assert "No clusters yet" in page
    assert "nobody has any yet" in page
    assert "Look for clusters" not in page


def test_without_clusters_one_button_asks_for_a_search(
    browser: Client, crowd: None, broker: redis.Redis, committing: Committing
) -> None:
    page = seen(browser)
    assert "240 customers have facts" in page
    form = page.partition("Look for clusters")[0].rpartition("<form")[2]
    pairs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form)
    with committing():
        browser.post(f"{PAGE}compare/", {name: [value for key, value in pairs if key == name] for name, _ in pairs})
    [(task, arguments)] = queued(broker)
    assert task == "compare_clusterings"
    assert "'facts': 'recency_days,orders_365d,spend_365d'" in arguments
    assert all(name in arguments for name in NAMES)


def test_the_active_clustering_is_told_with_picture_personas_and_comparison(browser: Client, active: Artefact) -> None:
    flow.watch(clock.now())
    page = seen(browser)
    assert "4 personas of 240 customers" in page
    assert "k-means on the log scale, 4 clusters" in page
    assert 'class="clustering-verdict customers-state customers-success">steady' in page
    assert page.count('<g fill="#') == 4
    assert "of all difference between customers" in page
    assert page.count('class="clustering-persona"') == 4
    assert page.count('<tr class="clustering-row-chosen">') == 1
    assert "silhouette alone would have chosen the same" in page
    for segment in personas():
        assert f"/admin/rules/segment/{segment.pk}/change/" in page
    for one in active.metrics["clusters"]:
        assert one["name"] in page


def test_a_drifted_clustering_says_why(browser: Client, active: Artefact, now: Any) -> None:
    for row in Customer.objects.all():
        Customer.objects.filter(pk=row.pk).update(
            facts={**row.facts, "recency_days": row.facts["recency_days"] * 4}, facts_version=row.facts_version + 1
        )
    flow.keep_learning(list(Customer.objects.values_list("pk", flat=True))[:50], now)
    assert flow.watch(now)["verdict"] == "refit"
    page = seen(browser)
    assert "no longer those whom these clusters were found among" in page
    assert "The spread of “Days since last order” has moved" in page
    assert "followed 50 customers who changed, in 1 step" in page


def test_refused_candidates_say_why_and_the_tempting_one_is_marked() -> None:
    base = {"algorithm": "k-means", "scaling": "log", "davies_bouldin": 0.5, "smallest_share": 0.2, "warm": False}
    good = {**base, "setting": "4 clusters", "number": 4, "silhouette": 0.4, "score": 0.6, "chosen": True}
    trap = {
        **base,
        "scaling": "raw",
        "setting": "2 clusters",
        "number": 2,
        "silhouette": 0.95,
        "smallest_share": 0.001,
        "refused": ["the smallest cluster has 0.1 % of the customers"],
    }
    metrics = {"chosen": good, "alone": trap, "comparison": [good, trap], "limits": {"smallest": 0.03}}
    first, second = charts.rows(metrics)
    assert (first.chosen, first.alone) == (True, False)
    assert (second.chosen, second.alone, second.refused) == (False, True, trap["refused"])
    alone = charts.alone_told(metrics)
    assert alone and not alone["same"]
    assert (alone["silhouette"], alone["smallest"]) == ("0.95", "0.1 %")
    chart = charts.chart(metrics)
    assert chart and chart.least is not None
    chosen, tempting = sorted(chart.dots, key=lambda dot: dot.alone)
    assert tempting.alone and not tempting.allowed
    assert "Refused: the smallest cluster" in tempting.title
    # Higher silhouettes stand higher, larger smallest clusters farther to the right.
    assert tempting.y < chosen.y
    assert tempting.x < chart.least < chosen.x


def test_bars_point_away_from_everybody_and_never_leave_their_half() -> None:
    profile = {
        "facts": [
            {"fact": "orders", "label": "Orders", "mean": 61.2, "mean_all": 41.0, "effect": 9.0, "known": 0.5},
            {"fact": "days", "label": "Days", "mean": 2.04, "mean_all": 12.0, "effect": -0.6},
        ],
        "top": ["days", "orders"],
    }
    row = {"key": "a-1", "name": "Regulars", "share": 0.2, "profile": profile}
    [one] = told.personas_of(Artefact(kind="clustering", metrics={"clusters": [row]}))
    less, more = one.bars
    assert (more.start, more.width, more.words) == (50.0, 50.0, "far more")
    assert (more.here, more.everybody, more.known) == ("61", "41", "50 %")
    assert (less.start + less.width, less.words) == (50.0, "clearly less")
    assert (less.here, less.effect) == ("2.0", "−0.6")


def test_a_clustering_of_an_earlier_version_is_shown_with_what_it_kept(browser: Client, now: Any) -> None:
    metrics = {
        "number": 2,
        "comparison": [{"number": 2, "silhouette": 0.5, "davies_bouldin": 0.7, "smallest_share": 0.2, "allowed": True}],
        "clusters": [
            {"key": "a-1", "name": "Many", "share": 0.8, "means": {"orders_365d": 3.0}, "effects": {"orders_365d": -1}},
            {"key": "a-2", "name": "Few", "share": 0.2, "means": {"orders_365d": 30.0}, "effects": {"orders_365d": 2}},
        ],
    }
    row = artefacts.keep("clustering", b"{}", "", metrics, now)
    Artefact.objects.filter(pk=row.pk).update(active=True)
    page = seen(browser)
    assert "found by an earlier version" in page
    assert "Orders 365d" in page
    assert "its segment was deleted" in page


def test_names_and_values_are_escaped(browser: Client, active: Artefact) -> None:
    Segment.objects.filter(pk=personas()[0].pk).update(name="<script>alert(1)</script>", story="<b>bold</b>")
    page = seen(browser)
    assert "<script>alert(1)" not in page
    assert "<b>bold" not in page
    assert "<i>0</i>" not in page
    assert "&lt;i&gt;0&lt;/i&gt;" in page


# -- personas


def test_a_persona_is_written_in_ones_own_words_and_stays_so(
    browser: Client, active: Artefact, committing: Committing, now: Any
) -> None:
    segment = personas()[0]
    with committing():
        answer = browser.post(f"{PAGE}persona/{segment.pk}/", {"name": "Our regulars", "story": "They know us."})
    assert answer["Location"] == f"{PAGE}#persona-{segment.pk}"
    segment.refresh_from_db()
    assert (segment.name, segment.story) == ("Our regulars", "They know us.")
    assert abs(segment.edited_at - clock.now()) < timedelta(minutes=1)
    assert LogEntry.objects.filter(object_id=str(segment.pk), content_type__model="segment").count() == 1
    page = seen(browser)
    assert "Our regulars" in page
    assert "no refit changes it" in page
    flow.cluster(now + timedelta(days=1), FAST)
    segment.refresh_from_db()
    assert segment.name == "Our regulars"


def test_the_drafted_name_comes_back(browser: Client, active: Artefact) -> None:
    segment = personas()[0]
    drafted = segment.name, segment.story
    Segment.objects.filter(pk=segment.pk).update(name="Ours", story="Mine.", edited_at=clock.now())
    assert "Use the drafted name and story" in seen(browser)
    browser.post(f"{PAGE}persona/{segment.pk}/", {"name": "ignored", "story": "", "draft": "1"})
    segment.refresh_from_db()
    assert (segment.name, segment.story, segment.edited_at) == (*drafted, None)


@pytest.mark.parametrize(("name", "said"), [("", "needs a name"), ("x" * 201, "at most 200 characters")])
def test_a_name_that_cannot_be_is_refused_and_what_was_typed_stays(
    browser: Client, active: Artefact, name: str, said: str
) -> None:
    segment = personas()[0]
    page = browser.post(f"{PAGE}persona/{segment.pk}/", {"name": name, "story": "Typed for long."}).content.decode()
    assert said in page
    assert "Typed for long." in page
    assert Segment.objects.get(pk=segment.pk).name == segment.name


def test_a_name_that_another_segment_has_is_refused(browser: Client, active: Artefact) -> None:
    one, other = personas()[:2]
    page = browser.post(f"{PAGE}persona/{one.pk}/", {"name": other.name.upper(), "story": ""}).content.decode()
    assert f"The segment {other.key} is called so already" in page
    assert Segment.objects.get(pk=one.pk).name == one.name


def test_a_name_that_a_rule_uses_stays_until_the_rule_goes_by_the_key(browser: Client, active: Artefact) -> None:
    segment = personas()[0]
    rule = Rule.objects.create(key="r", name="Greet", text=f'IF segments CONTAINS "{segment.name}" THEN HIDE "x"')
    typed = {"name": "Ours", "story": segment.story}
    page = browser.post(f"{PAGE}persona/{segment.pk}/", typed).content.decode()
    assert "rule “Greet” would lose it" in page
    assert segment.key in page
    Rule.objects.filter(pk=rule.pk).update(text=f'IF segments CONTAINS "{segment.key}" THEN HIDE "x"')
    browser.post(f"{PAGE}persona/{segment.pk}/", typed)
    assert Segment.objects.get(pk=segment.pk).name == "Ours"


def test_only_personas_in_use_are_edited_here(browser: Client, active: Artefact) -> None:
    listed = Segment.objects.create(key="by-hand", name="By hand", condition="visits > 1")
    stray = Segment.objects.create(key="cluster-gone-1", name="Gone", kind=Segment.Kind.CLUSTER, active=False)
    for row in (listed, stray):
        assert browser.post(f"{PAGE}persona/{row.pk}/", {"name": "Mine", "story": ""}).status_code == 404
    assert not Segment.objects.filter(name="Mine").exists()


# -- who may


def test_who_may_look_sees_no_buttons_and_changes_nothing(active: Artefact, broker: redis.Redis, now: Any) -> None:
    found = flow.compare(now, OTHER)
    client = somebody("view_artefact")
    page = seen(client)
    for word in ("Make these personas", "Compare again", "Edit name and story", "/admin/rules/segment/"):
        assert word not in page
    segment = personas()[0]
    for path in (f"{found.pk}/adopt/", "compare/", f"persona/{segment.pk}/"):
        assert client.post(PAGE + path, {**RFM, "name": "Mine", "story": ""}).status_code == 403
    assert client.get(f"{PAGE}{found.pk}/adopt/").status_code == 403
    assert queued(broker) == []
    assert Segment.objects.get(pk=segment.pk).name == segment.name


def test_who_may_change_segments_edits_personas_only(active: Artefact) -> None:
    client = somebody("view_artefact", "change_segment", "view_segment")
    page = seen(client)
    assert page.count("Edit name and story") == 4
    assert "Compare again" not in page
    segment = personas()[0]
    client.post(f"{PAGE}persona/{segment.pk}/", {"name": "Mine", "story": ""})
    assert Segment.objects.get(pk=segment.pk).name == "Mine"


@pytest.mark.parametrize("path", ["", "state/", "1/", "1/adopt/", "compare/", "persona/1/"])
def test_people_without_permission_are_refused(visitor: Client, path: str) -> None:
    assert visitor.get(PAGE + path).status_code == 403


def test_the_menu_leads_to_it_and_marks_one_entry_alone(browser: Client, active: Artefact) -> None:
    page = browser.get(PAGE)
    groups = page.context["sidebar_navigation"]
    marked = [item["title"] for group in groups for item in group["items"] if item.get("active")]
    assert marked == ["Clustering"]
    listed = browser.get("/admin/decisioning/artefact/").context["sidebar_navigation"]
    assert [item["title"] for group in listed for item in group["items"] if item.get("active")] == ["Artefacts"]
