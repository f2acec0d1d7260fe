"""The tracking plan's pages: what was seen is shown, what people agree holds, and no count is lost on the way."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from decisioning.config import clock
from decisioning.customers.admin import letters as admin_letters
from decisioning.customers.admin import plan as admin_plan
from decisioning.customers.models import PlannedEvent, PlanProblem
from decisioning.customers.plan import agreed, observed, planning, tally

pytestmark = pytest.mark.django_db
PAGES = (admin_letters, admin_plan)
LIST = "admin:customers_plannedevent_changelist"


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """No test sees what another left in this process."""
    for part in (planning.held, tally.tally, observed.notebook):
        part.forget()
    yield
    for part in (planning.held, tally.tally, observed.notebook):
        part.forget()


@pytest.fixture
def order(db: None) -> PlannedEvent:
    now = clock.now()
    properties = {
        "total": {"type": "number", "required": False, "seen": 90, "types": {"number": 80, "text": 10}},
        "products.price": {"type": "number", "required": False, "seen": 50, "types": {"number": 50}},
    }
    for ago, times in ((0, 5), (3, 1), (9, 100)):
        day = (now - timedelta(days=ago)).date()
        PlanProblem.objects.create(
            event="Order Completed",
            property="total",
            code="wrong_type",
            day=day,
            times=times,
            refused=times,
            example="<b>“x”</b> is a text",
        )
    return PlannedEvent.objects.create(
        name="Order Completed", properties=properties, seen=1_200, first_at=now, last_at=now
    )


def page_of(entry: PlannedEvent) -> str:
    return reverse("admin:customers_plannedevent_change", args=[entry.pk])


def form(browser: Client, entry: PlannedEvent, **changes: Any) -> dict[str, Any]:
    """What the page would post, with some of it changed."""
    context = browser.get(page_of(entry)).context
    fields = context["adminform"].form.initial
    posted = {"description": fields["description"], "policy": fields["policy"], "keep": fields.get("keep", 0)}
    for index, (name, held) in enumerate(sorted(entry.properties.items())):
        posted |= {f"changes-{index}-name": name, f"changes-{index}-type": held["type"]}
        if held.get("required"):
            posted[f"changes-{index}-required"] = "on"
    return {**posted, **({"locked": "on"} if fields["locked"] else {}), **changes}


def test_an_empty_plan_says_how_it_fills(browser: Client) -> None:
    assert "Events appear here as they arrive" in browser.get(reverse(LIST)).content.decode()


def test_the_list_shows_what_was_seen_and_the_problems_of_seven_days(browser: Client, order: PlannedEvent) -> None:
    page = browser.get(reverse(LIST)).content.decode()
    for word in ("Order Completed", "1,200", "learning", "for ever", 'aria-label="6 problems in 7 days"'):
        assert word in page


def test_the_list_asks_no_query_a_row(browser: Client, order: PlannedEvent, django_assert_max_num_queries: Any) -> None:
    PlannedEvent.objects.bulk_create(PlannedEvent(name=f"event {n}") for n in range(50))
    with django_assert_max_num_queries(12):
        assert browser.get(reverse(LIST)).status_code == 200


def test_the_page_shows_types_shares_and_escaped_examples(browser: Client, order: PlannedEvent) -> None:
    page = browser.get(page_of(order)).content.decode()
    for word in (
        "also seen: text 10 times",
        "products.price",
        "&lt;b&gt;“x”&lt;/b&gt; is a text",
        "Nothing is deleted",
    ):
        assert word in page
    assert "<b>“x”" not in page


def test_what_people_agree_holds_and_what_was_counted_meanwhile_stays(browser: Client, order: PlannedEvent) -> None:
    posted = form(browser, order, locked="on", policy="refuse", keep="6", description="A sale")
    posted |= {"changes-1-required": "on", "changes-0-gone": "on"}
    posted |= {"changes-new-0-name": "coupon", "changes-new-0-type": "text"}
    planning.learn([("Order Completed", clock.now(), {"total": 1, "new": True})], clock.now())
    planning.flush(clock.now())
    assert browser.post(page_of(order), posted).status_code == 302
    order.refresh_from_db()
    assert (order.locked, order.policy, order.keep, order.description) == (True, "refuse", 6, "A sale")
    assert order.seen == 1_201, "what was counted while the page was open is not lost"
    assert {name: (held["type"], held["required"], held["seen"]) for name, held in order.properties.items()} == {
        "coupon": ("text", False, 0),
        "new": ("boolean", False, 1),
        "total": ("number", True, 91),
    }


def test_the_door_follows_a_saved_page(browser: Client, order: PlannedEvent, committing: Any) -> None:
    assert planning.current().is_open
    with committing():
        browser.post(page_of(order), form(browser, order, locked="on"))
    assert list(planning.current().locked) == ["Order Completed"]


def test_a_type_that_events_contradict_holds_only_when_locked(browser: Client, order: PlannedEvent) -> None:
    posted = form(browser, order, **{"changes-1-type": "text"})
    answer = browser.post(page_of(order), posted)
    assert answer.status_code == 200
    assert "Lock the event for your types to hold" in answer.content.decode()
    assert browser.post(page_of(order), {**posted, "locked": "on"}).status_code == 302
    order.refresh_from_db()
    assert order.properties["total"]["type"] == "text"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"changes-0-type": "money"}, "There is no type"),
        ({"changes-new-0-name": "x" * 201, "changes-new-0-type": "text"}, "200 characters at most"),
        ({"keep": "7"}, "not one of the available choices"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    browser: Client, order: PlannedEvent, change: dict[str, str], told: str
) -> None:
    answer = browser.post(page_of(order), form(browser, order, **change))
    assert (answer.status_code, told in answer.content.decode()) == (200, True)


def test_what_was_typed_is_still_there_after_a_refusal(browser: Client, order: PlannedEvent) -> None:
    change = {"changes-new-0-name": "coupon", "changes-new-0-type": "boolean", "changes-0-type": "money"}
    page = browser.post(page_of(order), form(browser, order, **change)).content.decode()
    assert 'value="coupon"' in page


def test_the_page_says_what_is_deleted_when(browser: Client, order: PlannedEvent) -> None:
    order.keep = 13
    order.save()
    page = browser.get(page_of(order)).content.decode()
    now = clock.now()
    then = now.year * 12 + now.month + 13
    month = (now.replace(year=then // 12, month=then % 12 + 1, day=1)).strftime("%B %Y")
    assert f"What arrives in {now:%B %Y} is deleted on 1 {month}" in page


def test_a_planned_event_is_added_by_hand(browser: Client) -> None:
    posted = {"name": "Signed Up", "policy": "count", "keep": "0", "locked": "on"}
    posted |= {"changes-new-0-name": "source", "changes-new-0-type": "text", "changes-new-0-required": "on"}
    assert browser.post(reverse("admin:customers_plannedevent_add"), posted).status_code == 302
    assert PlannedEvent.objects.get().properties == {
        "source": {"seen": 0, "types": {}, "type": "text", "required": True}
    }


def test_unknown_names_have_an_entry_of_their_own_without_properties(browser: Client) -> None:
    add = reverse("admin:customers_plannedevent_add")
    assert f"{add}?name=*" in browser.get(reverse(LIST)).content.decode()
    assert "plan-properties" not in browser.get(f"{add}?name=*").content.decode()
    posted = {"name": "*", "locked": "on", "policy": "refuse", "changes-new-0-name": "x", "changes-new-0-type": "text"}
    assert browser.post(f"{add}?name=*", posted).status_code == 302
    assert PlannedEvent.objects.get().properties == {}
    page = browser.get(reverse(LIST)).content.decode()
    assert "are refused and kept as" in page
    assert "stands for every track event" in browser.get(page_of(PlannedEvent.objects.get())).content.decode()


def test_selected_entries_are_locked_and_unlocked_and_the_log_says_who(browser: Client, order: PlannedEvent) -> None:
    for action, locked in (("lock_selected", True), ("lock_selected", True), ("unlock_selected", False)):
        browser.post(reverse(LIST), {"action": action, "_selected_action": order.pk})
        order.refresh_from_db()
        assert order.locked is locked
    said = [entry.change_message for entry in LogEntry.objects.order_by("pk")]
    assert (said, LogEntry.objects.first().user.username) == (["Locked.", "Unlocked."], "mia")


def test_an_export_can_be_imported_elsewhere(browser: Client, order: PlannedEvent) -> None:
    order.locked, order.keep = True, 6
    order.save()
    answer = browser.get(reverse("admin:customers_plannedevent_export_plan"))
    assert "attachment" in answer["Content-Disposition"]
    text = answer.content.decode()
    assert json.loads(text)["events"]["Order Completed"]["properties"]["total"] == {"type": "number", "required": False}
    PlannedEvent.objects.all().delete()
    page = reverse("admin:customers_plannedevent_import_plan")
    assert "Paste what" in browser.get(page).content.decode()
    assert browser.post(page, {"text": text}).status_code == 302
    assert agreed.write() == text
    assert "0 events added, 0 changed" in browser.post(page, {"text": text}, follow=True).content.decode()


def test_an_import_keeps_counts_and_leaves_what_it_does_not_name(order: PlannedEvent) -> None:
    PlannedEvent.objects.create(name="Other", seen=3)
    text = '{"events": {"Order Completed": {"locked": true, "properties": {"total": {"type": "text"}}}}}'
    assert agreed.apply(agreed.read(text)) == ([], ["Order Completed"])
    order.refresh_from_db()
    assert order.properties == {
        "total": {"type": "text", "required": False, "seen": 90, "types": {"number": 80, "text": 10}}
    }
    assert (order.seen, PlannedEvent.objects.get(name="Other").seen) == (1_200, 3)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "The text is no plan"),
        ('{"events": {"A": {"keep": "x"}}}', 'What is said of "A" is no plan: Expected `int`, got `str`'),
        ('{"events": {"A": {"keep": 999}}}', "120"),
        ('{"events": {"A": {"lokced": true}}}', "unknown field `lokced`"),
        ('{"events": {"A": {"properties": {"p": {"type": "money"}}}}}', "take one of text, number"),
        ('{"events": {"A\\u0000": {}}}', "NUL"),
        ("[" * 5_000, "no plan"),
    ],
)
def test_a_text_that_is_no_plan_is_refused_whole(browser: Client, text: str, told: str) -> None:
    answer = browser.post(reverse("admin:customers_plannedevent_import_plan"), {"text": text})
    assert answer.status_code == 200
    assert told in answer.content.decode().replace("&#x27;", "'").replace("&quot;", '"')
    assert not PlannedEvent.objects.exists()


def test_looking_needs_one_permission_and_changing_another(visitor: Client, order: PlannedEvent) -> None:
    assert visitor.get(reverse(LIST)).status_code == 403
    User.objects.get(username="vic").user_permissions.add(Permission.objects.get(codename="view_plannedevent"))
    assert "products.price" in visitor.get(page_of(order)).content.decode()
    assert visitor.get(reverse("admin:customers_plannedevent_export_plan")).status_code == 200
    assert visitor.get(reverse("admin:customers_plannedevent_import_plan")).status_code == 403
    assert visitor.post(page_of(order), {"description": "x"}).status_code == 403
    visitor.post(reverse(LIST), {"action": "lock_selected", "_selected_action": order.pk})
    order.refresh_from_db()
    assert not order.locked


def test_what_is_deleted_is_forgotten_at_the_door(browser: Client, order: PlannedEvent) -> None:
    agreed.lock(["Order Completed"], True)
    planning.forget()
    assert not planning.current().is_open
    browser.post(reverse("admin:customers_plannedevent_delete", args=[order.pk]), {"post": "yes"})
    assert planning.current().is_open


def test_a_forged_post_is_refused(marketer: User, order: PlannedEvent) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(marketer)
    assert strict.post(page_of(order), {"description": "x"}).status_code == 403
    assert strict.post(reverse("admin:customers_plannedevent_import_plan"), {"text": "{}"}).status_code == 403
