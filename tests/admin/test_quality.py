"""Data quality's pages: what needs mending first, links to it, policies with a preview, a check on demand."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from decisioning.customers.admin.quality_rows import bars, said
from decisioning.customers.models import Customer, FactVocabulary, PlannedEvent, QualityPolicy, QualityReport
from decisioning.flows import quality

from .crowd import NOW, a_customer, an_event

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]

PAGE = "/admin/customers/qualityreport/"
FAR = 90_000.0


@pytest.fixture
def checked(settings: Any) -> None:
    """A shop that was checked: one spends far too much, two have a share that cannot be, an order came twice."""
    FactVocabulary.objects.create(
        data={"departments": ["Dairy"], "traits": [["age", "number"], ["city", "text"]]}, learned_at=NOW
    )
    Customer.objects.bulk_create(
        Customer(
            key=f"c-{n}",
            facts_at=NOW,
            facts={
                "spend_30d": FAR if n == 7 else 50.0 + n % 20,
                "share_dairy": 1.5 if n in (3, 4) else n / 100,
                "city": "<b>Bonn</b>" if n % 3 else "Ulm",
                **({"age": 30 + n % 20} if n % 4 else {}),
            },
        )
        for n in range(100)
    )
    anna = a_customer("u-1", ("user_id", "u-1")).identities.get()
    for milliseconds in (0, 400):
        an_event(anna, timestamp=NOW - timedelta(hours=2, milliseconds=-milliseconds))
    PlannedEvent.objects.create(name="Order Completed")
    assert quality.check(NOW)


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return answer.content.decode()


def report(name: str) -> QualityReport:
    return QualityReport.objects.get(name=name)


def one(name: str) -> str:
    return f"{PAGE}{report(name).pk}/change/"


def test_before_the_first_check_the_page_says_what_it_does(browser: Client) -> None:
    page = text(browser.get(PAGE))
    assert "Nothing was looked at yet" in page
    assert "Check now" in page


@pytest.mark.usefixtures("checked")
def test_what_needs_mending_comes_first_with_its_cure(browser: Client) -> None:
    answer = browser.get(PAGE)
    rows = answer.context["rows"]
    assert {row["mark"] for row in rows[:2]} == {"mend"}
    assert {rows[0]["name"], rows[1]["name"]} == {"Order Completed", "share_dairy"}
    page = text(answer)
    assert "2 customers have values that cannot be: it is a share, so it is from 0 to 1." in page
    assert "Give the same messageId when an event is sent again" in page
    marks = [row["mark"] for row in rows]
    assert marks == sorted(marks, key=["mend", "look", "fine"].index)
    assert "fine" not in marks


@pytest.mark.usefixtures("checked")
def test_the_tabs_show_every_fact_and_every_event(browser: Client) -> None:
    facts, events = browser.get(PAGE, {"show": "fact"}), browser.get(PAGE, {"show": "event"})
    assert {"spend_30d", "age", "orders_30d"} <= {row["name"] for row in facts.context["rows"]}
    assert next(row for row in facts.context["rows"] if row["name"] == "age")["coverage"] == "75 %"
    assert [row["name"] for row in events.context["rows"]] == ["Order Completed"]
    assert events.context["rows"][0]["doubtful"] == [("twice", "1")]
    assert "<svg" in text(facts) and "<svg" in text(events)
    assert "&lt;b&gt;Bonn" in text(facts) and "<b>Bonn" not in text(facts)


@pytest.mark.usefixtures("checked")
def test_facts_are_found_by_name_and_label(browser: Client) -> None:
    for term in ("spend_30", "Spend in 30"):
        assert [row["name"] for row in browser.get(PAGE, {"show": "fact", "q": term}).context["rows"]] == ["spend_30d"]
    assert "Nothing here is called like “%&lt;”" in text(browser.get(PAGE, {"show": "fact", "q": "%<"}))


@pytest.mark.usefixtures("checked")
def test_a_fact_shows_its_figures_and_leads_to_its_customers(browser: Client) -> None:
    page = text(browser.get(one("spend_30d")))
    customer = Customer.objects.get(key="c-7")
    assert f'href="/admin/customers/customer/{customer.pk}/change/">c-7: 90,000' in page
    assert "Outside by quartiles" in page
    assert browser.get(f"/admin/customers/customer/{customer.pk}/change/").status_code == 200
    Customer.objects.filter(key="c-7").delete()
    assert "c-7: 90,000" not in text(browser.get(one("spend_30d")))


@pytest.mark.usefixtures("checked")
def test_an_event_leads_to_its_events_and_its_plan(browser: Client) -> None:
    page = text(browser.get(one("Order Completed")))
    assert "/admin/customers/event/?name=Order%20Completed" in page
    assert f"/admin/customers/plannedevent/{PlannedEvent.objects.get().pk}/change/" in page
    example = report("Order Completed").findings["findings"][0]["examples"][0]["event"]
    assert f"/admin/customers/event/{example}/change/" in page
    assert "What learning does with it" not in page


def asked(**changes: str) -> dict[str, str]:
    return {"outliers": "clip", "method": "iqr", "width": "1.5", "missing": "keep", "note": ""} | changes


@pytest.mark.usefixtures("checked")
def test_a_preview_changes_nothing(browser: Client) -> None:
    address = f"{PAGE}{report('spend_30d').pk}/policy/"
    for button in ("preview", "fragment"):
        page = text(browser.post(address, {**asked(), button: "1"}))
        assert "1 customer would be clipped to" in page
        assert ("<html" in page) == (button == "preview")
    assert not QualityPolicy.objects.exists()


@pytest.mark.usefixtures("checked")
def test_a_policy_is_saved_noted_and_shown(browser: Client) -> None:
    row = report("spend_30d")
    answer = browser.post(f"{PAGE}{row.pk}/policy/", asked(missing="median", save="1"), follow=True)
    assert "It holds from the next training on" in text(answer)
    policy = QualityPolicy.objects.get()
    assert (policy.fact, policy.outliers, policy.width, policy.missing) == ("spend_30d", "clip", 1.5, "median")
    told = "outliers: clip them to the fence (interquartile range, 1.5); gaps: the median"
    assert said(policy) == told
    assert told in LogEntry.objects.get().get_change_message()
    assert told in text(browser.get(PAGE, {"show": "fact", "q": "spend_30d"}))
    browser.post(f"{PAGE}{row.pk}/policy/", asked(outliers="keep", save="1"))
    assert said(QualityPolicy.objects.get()) == "leave it as it is"


@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize("width", ["0", "-1", "x", "nan", "inf", "1e9"])
def test_a_fence_of_no_width_is_refused(browser: Client, width: str) -> None:
    address = f"{PAGE}{report('spend_30d').pk}/policy/"
    answer = browser.post(address, asked(width=width, save="1"))
    assert answer.context["form"].errors["width"]
    assert not QualityPolicy.objects.exists()


@pytest.mark.usefixtures("checked")
def test_a_text_has_no_outliers_and_no_median(browser: Client) -> None:
    form = browser.get(one("city")).context["form"]
    assert list(form.fields) == ["missing", "note"]
    assert [value for value, _ in form.fields["missing"].choices] == ["keep", "mode", "knn"]
    address = f"{PAGE}{report('city').pk}/policy/"
    assert browser.post(address, {"missing": "mice", "save": "1"}).context["form"].errors["missing"]
    assert browser.post(address, {"missing": "mode", "save": "1"}).status_code == 302
    assert QualityPolicy.objects.get().outliers == "keep"


@pytest.mark.usefixtures("checked")
def test_the_button_asks_a_worker_for_a_check(
    browser: Client, broker: redis.Redis, committing: Callable[[], AbstractContextManager[Any]]
) -> None:
    with committing():
        answer = browser.post(f"{PAGE}check/")
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    queued = [body for queue in ("now", "later") for body in broker.lrange(queue, 0, -1)]
    assert [b"decisioning.tasks.check_quality" in body for body in queued] == [True]
    quality.tell(0.5, "Order Completed")
    with committing():
        assert "running already" in text(browser.post(f"{PAGE}check/", follow=True))
    assert sum(broker.llen(queue) for queue in ("now", "later")) == 1
    assert browser.get(f"{PAGE}check/").status_code == 405


def test_a_running_check_is_followed(browser: Client) -> None:
    assert browser.get(f"{PAGE}progress/").json() == {"running": None, "checked": None}
    quality.tell(0.25, "looking for duplicates")
    assert browser.get(f"{PAGE}progress/").json()["running"] == {"percent": 25, "what": "looking for duplicates"}
    assert "A check is running: looking for duplicates." in text(browser.get(PAGE))


@pytest.mark.usefixtures("checked")
def test_those_who_may_look_see_no_buttons_and_change_nothing(visitor: Client) -> None:
    row = report("spend_30d")
    QualityPolicy.objects.create(fact="spend_30d", outliers="clip")
    for address in (PAGE, one("spend_30d"), f"{PAGE}progress/"):
        assert visitor.get(address).status_code == 403
    User.objects.get(username="vic").user_permissions.add(Permission.objects.get(codename="view_qualityreport"))
    assert "Check now" not in text(visitor.get(PAGE))
    page = text(visitor.get(one("spend_30d")))
    assert "data-quality-policy" not in page
    assert "Outliers: clip them to the fence" in page
    assert visitor.post(f"{PAGE}{row.pk}/policy/", asked(save="1")).status_code == 403
    assert visitor.post(f"{PAGE}check/").status_code == 403
    assert visitor.post(one("spend_30d"), asked()).status_code == 403
    assert QualityPolicy.objects.get().method == "iqr"


@pytest.mark.usefixtures("checked")
def test_odd_addresses_are_not_found_and_old_reports_are_shown(browser: Client) -> None:
    assert browser.post(f"{PAGE}999999/policy/", asked()).status_code == 404
    assert browser.post(f"{PAGE}{report('Order Completed').pk}/policy/", asked()).status_code == 404
    QualityReport.objects.create(kind="fact", name="old", severity=7, findings={"findings": [{"x": 1}]}, at=NOW)
    QualityReport.objects.create(kind="event", name="older", severity=1, findings={}, at=NOW)
    for name in ("old", "older"):
        assert browser.get(one(name)).status_code == 200
    for tab in ("mend", "fact", "event", "nonsense"):
        assert browser.get(PAGE, {"show": tab}).status_code == 200


def test_bars_are_as_high_as_their_counts() -> None:
    assert [(bar["x"], bar["height"]) for bar in bars([0, 5, 10], (30, 20))] == [(0.0, 0), (10.0, 10.0), (20.0, 20.0)]
    assert bars([1, 1_000_000], (30, 20))[0]["height"] == 1.5, "few are seen beside many"
    assert bars([], (30, 20)) == []


def test_a_search_for_what_no_text_can_hold_finds_nothing_and_does_not_fail(browser: Client, checked: None) -> None:
    assert "age" in text(browser.get(f"{PAGE}?show=fact&q=a%00ge"))
    assert browser.get(f"{PAGE}?q=%00").status_code == 200
