"""The log is counted as it is, reports stand for what there is, and a preview says what a policy would do."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from decisioning.customers.models import Customer, FactVocabulary, Identity, PlanProblem, QualityPolicy, QualityReport
from decisioning.customers.quality import log, reports
from decisioning.customers.quality.asked import policies
from decisioning.customers.quality.events import check_events
from decisioning.customers.quality.findings import LOOK, MEND, Example, Finding, Report, findings_of
from decisioning.customers.quality.preview import preview
from decisioning.learning.policies import Policy
from tests.admin.crowd import a_customer, an_event

NOW = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> Identity:
    return a_customer("u-1", ("user_id", "u-1")).identities.get()


def arrives(identity: Identity, at: datetime, after: timedelta = timedelta(seconds=1), **changes: Any) -> str:
    """An event that happened at a moment and arrived some time later; its id."""
    return str(an_event(identity, timestamp=at, received_at=at + after, **changes).pk)


def found(name: str = "Order Completed", **asked: Any) -> dict[str, Finding]:
    report = next(one for one in check_events(asked.get("now", NOW)) if one.name == name)
    return {one.code: one for one in report.findings}


def figures(name: str = "Order Completed") -> dict[str, Any]:
    return next(one.figures for one in check_events(NOW) if one.name == name)


def test_an_empty_log_has_nothing_to_report() -> None:
    assert check_events(NOW) == []


def test_events_are_counted_as_the_plan_tells_them_apart(anna: Identity) -> None:
    arrives(anna, NOW - timedelta(hours=3))
    for title in ("Home", "Shoes"):
        arrives(anna, NOW - timedelta(days=2), type="page", name=title)
    arrives(anna, NOW - timedelta(days=3), bot=True)
    arrives(anna, NOW - timedelta(days=200), historical=True)
    assert [one.name for one in check_events(NOW)] == ["Order Completed", "page"]
    counted = figures()
    assert (counted["total"], counted["bots"], counted["historical"], counted["looked"]) == (3, 1, 1, 2)
    assert (len(counted["days"]), counted["days"][-1], sum(counted["days"])) == (92, 1, 1)
    assert figures("page")["days"][-3] == 2


def test_what_came_twice_under_another_message_id_is_told_with_an_event(anna: Identity) -> None:
    at = NOW - timedelta(hours=3)
    for milliseconds in (0, 300, 600):
        arrives(anna, at + timedelta(milliseconds=milliseconds))
    last = arrives(anna, at + timedelta(milliseconds=900))
    arrives(anna, at, properties={"total": 1})
    arrives(anna, at + timedelta(seconds=1))
    other = a_customer("u-2", ("user_id", "u-2")).identities.get()
    arrives(other, at)
    one = found()["duplicates"]
    assert (one.count, one.severity) == (3, MEND)
    assert [example.event for example in one.examples] == [last]


def test_what_came_late_or_from_the_future_is_told_and_history_is_neither(anna: Identity) -> None:
    arrives(anna, NOW - timedelta(days=9), after=timedelta(days=2), historical=True)
    assert found() == {}
    late = arrives(anna, NOW - timedelta(days=9), after=timedelta(days=2))
    ahead = arrives(anna, NOW - timedelta(days=1), after=-timedelta(hours=2))
    findings = found()
    assert (findings["late"].severity, findings["late"].examples[0].event) == (LOOK, late)
    assert (findings["future"].severity, findings["future"].examples[0].event) == (MEND, ahead)
    assert findings["future"].text == "1 event happened later than it arrived."


def test_a_silence_is_told_in_the_shops_own_time(anna: Identity, settings: Any) -> None:
    settings.FACTS_TIME_ZONE = "Europe/Berlin"
    rows = []
    for hour in range(40 * 24, 0, -1):
        at = NOW.replace(minute=0) - timedelta(hours=hour)
        silent = datetime(2026, 2, 20, 9, tzinfo=UTC) <= at < datetime(2026, 2, 20, 17, tzinfo=UTC)
        rows += [] if silent else [at + timedelta(minutes=20 * n) for n in range(3)]
    event = an_event(anna, timestamp=NOW - timedelta(days=40))
    plain = {"identity": anna, "type": "track", "name": "Order Completed", "keep": 0}
    type(event).objects.bulk_create(
        type(event)(id=uuid7(), message_id=f"m-{n}", timestamp=at, received_at=at, **plain) for n, at in enumerate(rows)
    )
    gap = found()["gap"]
    assert gap.text == "None came from 20 Feb 2026, 10:00 to 20 Feb, 18:00; about 24 were to be expected."


def test_what_did_not_fit_the_plan_is_told(anna: Identity) -> None:
    arrives(anna, NOW - timedelta(hours=3))
    plain = {"event": "Order Completed", "property": "total", "example": "It is text."}
    PlanProblem.objects.create(code="wrong_type", day=NOW.date(), times=7, refused=2, **plain)
    PlanProblem.objects.create(code="missing_property", day=NOW.date() - timedelta(days=9), times=7, **plain)
    PlanProblem.objects.create(event="*", property="Odrer", code="unknown_event", day=NOW.date(), times=3)
    one = found()["plan"]
    assert one.text == "Wrong type “total”: 7 times in 7 days, 2 of them refused. It is text."
    assert one.severity == MEND
    assert "Odrer" in found("*")["plan"].text


def test_only_the_newest_are_looked_at(anna: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        arrives(anna, NOW - timedelta(hours=3))
    assert log.cut(5) == log.NOWHERE
    after = log.cut(2)
    assert log.counts(after, NOW - timedelta(days=1), NOW)["Order Completed"].total == 2
    assert log.duplicates(after)["Order Completed"].more == 1
    assert len(list(log.sample("Order Completed", after, 10))) == 2
    assert len(list(log.sample("Order Completed", log.NOWHERE, 3))) == 3


def a_report(name: str = "spend", **changes: Any) -> Report:
    example = Example("9", customer=3)
    return Report("fact", name, {"coverage": 0.5}, [Finding("x", LOOK, "Odd.", "Mend it.", 1, [example])], **changes)


def test_reports_stand_for_what_there_is() -> None:
    assert reports.keep([a_report(), a_report("orders")], NOW) == 0
    assert reports.keep([a_report()], NOW + timedelta(days=1)) == 1
    row = QualityReport.objects.get()
    assert (row.kind, row.name, row.severity, row.at) == ("fact", "spend", LOOK, NOW + timedelta(days=1))
    assert findings_of(row.findings) == a_report().findings
    assert findings_of({"findings": [{"odd": 1}, {"code": "a", "severity": 1, "text": "b"}]})[0].code == "a"


@pytest.fixture
def crowd() -> None:
    """A hundred customers: five spend far too much, a quarter has no age, orders follow spend."""
    FactVocabulary.objects.create(data={"traits": [["age", "number"], ["city", "text"]]}, learned_at=NOW)
    Customer.objects.bulk_create(
        Customer(
            key=f"c-{n}",
            facts_at=NOW,
            facts={
                "spend_30d": 9_000.0 if n < 5 else 50.0 + n % 20,
                "orders_30d": n % 20,
                "city": "Bonn" if n % 3 else "Ulm",
                **({"age": 30 + n % 20} if n % 4 else {}),
            },
        )
        for n in range(100)
    )


@pytest.mark.usefixtures("crowd")
def test_a_preview_says_who_would_be_clipped_and_what_training_sees() -> None:
    seen = preview("spend_30d", Policy("clip", "iqr", 1.5))
    assert seen.customers == 100
    assert seen.told[0] == "Looked at all 100 customers."
    assert seen.told[1].startswith("5 customers would be clipped to 79.5 at most")
    assert "at most 79.5 instead of 9,000" in seen.told[2]
    assert (seen.before["most"], seen.after["most"]) == (9_000.0, 79.5)
    assert Customer.objects.get(key="c-0").facts["spend_30d"] == 9_000.0


@pytest.mark.usefixtures("crowd")
def test_a_preview_says_what_gaps_would_be_filled_with() -> None:
    assert preview("age", Policy(missing="median")).told[1] == (
        "25 customers (25 %) without a value would get 40 (the median)."
    )
    Customer.objects.filter(key__in=["c-1", "c-2"]).update(facts={"spend_30d": 50.0})
    assert preview("city", Policy(missing="mode")).told[1] == (
        "2 customers (2 %) without a value would get “Bonn” (the commonest value)."
    )
    everybody = preview("spend_30d", Policy(missing="median")).told
    assert everybody[1] == "Everybody looked at has a value, so there is no gap to fill."


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("how", ["knn", "mice"])
def test_a_preview_says_how_good_the_guessing_is(how: str) -> None:
    told = preview("age", Policy(missing=how)).told
    assert told[1].startswith("25 customers (25 %) without a value would get what ")
    assert any("hidden for a test" in sentence or "Too few values" in sentence for sentence in told)


@pytest.mark.usefixtures("crowd")
def test_a_preview_of_odd_facts_says_so() -> None:
    assert "Nobody has a value" in " ".join(preview("unheard_of", Policy("clip", missing="knn")).told)
    assert "No scorer reads this fact" in " ".join(preview("unheard_of", Policy("clip")).told)
    assert "Learning sees it as it came in." in preview("age", Policy()).told


def test_without_facts_a_preview_says_what_to_do() -> None:
    assert preview("age", Policy("clip")).told == ["Nobody's facts are computed yet; send events first."]


def test_policies_that_ask_for_nothing_are_none() -> None:
    QualityPolicy.objects.create(fact="a", outliers="keep")
    QualityPolicy.objects.create(fact="b", outliers="clip", method="z", width=2.5, missing="knn")
    assert policies() == {"b": Policy("clip", "z", 2.5, "knn")}
