"""A marketer's rules: a wrong one is pointed at and kept out, a right one is published and rolled back."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import msgspec
import pytest
from django.test import Client
from django.urls import reverse

from campaigns.models import Content, Placement
from decisioning.customers.models import FactVocabulary, PlannedEvent
from decisioning.engine.types import SnapshotData
from decisioning.models import Snapshot
from rules import rulebook
from rules.models import Revision, Rule, Segment

from .shop import NO_REACTIONS, NOW, TEXT

pytestmark = pytest.mark.django_db
Committing = Callable[[], AbstractContextManager[Any]]

CHANGE = 'IF device = "kiosk" THEN HIDE "fuel-coupon"'
LIST = "/admin/rules/rule/"


def form_of(rule: Rule | None = None, **fields: Any) -> dict[str, Any]:
    """What the browser posts for a rule."""
    posted = {"name": "Eco first", "text": TEXT, "priority": "0", "active": "on"}
    if rule is None:
        posted["key"] = "new-rule"
    formset = {"revisions-TOTAL_FORMS": "0", "revisions-INITIAL_FORMS": "0"}
    return {**posted, **formset, **fields}


def page_of(rule: Rule) -> str:
    return f"{LIST}{rule.pk}/change/"


def frozen_texts() -> list[str]:
    """The rule texts of the newest snapshot."""
    newest = Snapshot.objects.order_by("-number").first()
    assert newest is not None
    return [rule.text for rule in msgspec.msgpack.decode(bytes(newest.data), type=SnapshotData).rules]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("", "", "required"),
        ('IF device = "kiosk"', "Line 1, column 19", "THEN"),
        ('IF divice = "kiosk" THEN SHOW "eco-banner"', "Line 1, column 4", "Did you mean"),
        ('IF device = "kiosk"\r\nTHEN SHOW "eco-baner"', "Line 2, column 11", "eco-banner"),
        ('  IF device => "kiosk" THEN SHOW "eco-banner"', "Line 1, column 1", "cannot stand here"),
        ("<script>alert(1)</script>", "Line 1, column 1", ""),
        ("IF " + "(" * 5000 + "\x01", "", ""),
    ],
)
def test_a_wrong_rule_is_a_form_error_and_changes_nothing(
    browser: Client, shop: dict[str, Any], committing: Committing, text: str, place: str, said: str
) -> None:
    rule = shop["rules_rule"]
    before = Rule.objects.filter(pk=rule.pk).values().get()
    with committing() as callbacks:
        answer = browser.post(page_of(rule), form_of(rule, text=text, name="Other", _publish="1"))
    assert (answer.status_code, callbacks) == (200, [])
    (error, *_) = answer.context["adminform"].form.errors["text"]
    assert place in error
    assert said in error
    assert "<script>alert" not in answer.content.decode()
    assert Rule.objects.filter(pk=rule.pk).values().get() == before
    assert Revision.objects.count() == 1


def test_a_draft_is_saved_without_touching_decisions(
    browser: Client, shop: dict[str, Any], committing: Committing
) -> None:
    rule = shop["rules_rule"]
    with committing():
        page = browser.post(page_of(rule), form_of(rule, text=CHANGE, _save="1"), follow=True).content.decode()
    assert "Saved as a draft" in page
    assert "draft differs" in page
    assert Snapshot.objects.count() == 0
    rule.refresh_from_db()
    assert (rule.text, rule.published.text) == (CHANGE, TEXT)


def test_publishing_makes_a_revision_and_a_snapshot_and_says_so(
    browser: Client, shop: dict[str, Any], committing: Committing
) -> None:
    rule, home = shop["rules_rule"], shop["campaigns_placement"]
    with committing():
        answer = browser.post(page_of(rule), form_of(rule, text=CHANGE, placements=[home.pk], _publish="1"))
    assert answer["Location"].endswith("/change/")
    assert "published as revision 2" in browser.get(answer["Location"]).content.decode()
    revision = Revision.objects.get(number=2)
    assert (revision.text, revision.placements, revision.published_by.username) == (CHANGE, ["home"], "mia")
    assert frozen_texts() == [CHANGE]


def test_a_new_rule_can_be_published_at_once(browser: Client, shop: dict[str, Any], committing: Committing) -> None:
    with committing():
        browser.post(f"{LIST}add/", form_of(_publish="1"))
    assert Rule.objects.get(key="new-rule").published.number == 1
    assert len(frozen_texts()) == 2


def test_publishing_what_is_published_says_so_and_adds_nothing(browser: Client, shop: dict[str, Any]) -> None:
    rule = shop["rules_rule"]
    page = browser.post(page_of(rule), form_of(rule, _publish="1"), follow=True).content.decode()
    assert "nothing to publish, revision 1 already says this" in page
    assert Revision.objects.count() == 1


def test_switching_a_published_rule_off_is_live_at_once(
    browser: Client, shop: dict[str, Any], committing: Committing
) -> None:
    rule = shop["rules_rule"]
    form = form_of(rule)
    del form["active"]
    with committing():
        browser.post(page_of(rule), form)
    assert frozen_texts() == []


def test_deleting_a_rule_is_live_at_once(browser: Client, shop: dict[str, Any], committing: Committing) -> None:
    with committing():
        browser.post(f"{LIST}{shop['rules_rule'].pk}/delete/", {"post": "yes"})
    assert (Rule.objects.count(), frozen_texts()) == (0, [])


def test_the_key_of_a_rule_stays_what_it_was(browser: Client, shop: dict[str, Any]) -> None:
    rule = shop["rules_rule"]
    browser.post(page_of(rule), form_of(rule, key="other"))
    assert Rule.objects.get(pk=rule.pk).key == "eco"


def test_an_end_before_the_start_is_a_form_error(browser: Client, shop: dict[str, Any]) -> None:
    rule = shop["rules_rule"]
    dates = {
        "starts_at_0": "2026-03-02",
        "starts_at_1": "00:00",
        "ends_at_0": "2026-03-01",
        "ends_at_1": "00:00",
    }
    answer = browser.post(page_of(rule), form_of(rule, **dates))
    assert answer.context["adminform"].form.errors == {"ends_at": ["The end must be after the start."]}


def test_many_drafts_are_published_together_and_wrong_ones_are_named(
    browser: Client, shop: dict[str, Any], committing: Committing
) -> None:
    good = Rule.objects.create(key="good", name="Good", text=CHANGE)
    bad = Rule.objects.create(key="bad", name="Bad", text='IF device = "kiosk" THEN SHOW "gone"')
    with committing():
        action = {"action": "publish_selected", "_selected_action": [good.pk, bad.pk]}
        page = browser.post(LIST, action, follow=True).content.decode()
    assert "Bad was not published" in page
    assert "Good: published as revision 1" in page
    assert sorted(frozen_texts()) == sorted([TEXT, CHANGE])


def test_rolling_back_shows_both_texts_asks_and_then_publishes(
    browser: Client, shop: dict[str, Any], committing: Committing
) -> None:
    rule = shop["rules_rule"]
    with committing():
        browser.post(page_of(rule), form_of(rule, text=CHANGE, _publish="1"))
    back = reverse("admin:rules_rule_rollback", args=[rule.pk, 1])
    asked = browser.get(back).content.decode()
    assert "HIDE" in asked
    assert "SHOW" in asked
    assert Revision.objects.count() == 2
    with committing():
        page = browser.post(back, follow=True).content.decode()
    assert "decisions follow revision 3, which says what revision 1 said" in page
    assert frozen_texts() == [TEXT]


def test_rolling_back_needs_the_permission_and_an_existing_revision(
    browser: Client, visitor: Client, shop: dict[str, Any]
) -> None:
    rule = shop["rules_rule"]
    assert visitor.post(reverse("admin:rules_rule_rollback", args=[rule.pk, 1])).status_code == 403
    assert browser.post(reverse("admin:rules_rule_rollback", args=[rule.pk, 9])).status_code == 404
    assert Revision.objects.count() == 1


def test_forged_posts_are_refused(marketer: Any, shop: dict[str, Any]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(marketer)
    for address in (
        reverse("admin:rules_rule_rollback", args=[shop["rules_rule"].pk, 1]),
        reverse("admin:rules_check"),
    ):
        assert client.post(address).status_code == 403
    assert Revision.objects.count() == 1


def test_the_list_shows_how_each_draft_stands(browser: Client, shop: dict[str, Any]) -> None:
    Rule.objects.create(key="new", name="New", text=TEXT)
    Rule.objects.create(key="off", name="Off", text=TEXT, active=False)
    page = browser.get(LIST).content.decode()
    for state in (rulebook.State.PUBLISHED, rulebook.State.DRAFT, rulebook.State.OFF):
        assert state.label in page


def test_enter_keeps_a_draft_and_does_not_publish(browser: Client, shop: dict[str, Any]) -> None:
    page = browser.get(page_of(shop["rules_rule"])).content.decode()
    buttons = page[page.index('id="submit-row"') :]
    assert 0 < buttons.index('name="_save"') < buttons.index('name="_publish"')


class TestCheckWhileTyping:
    ADDRESS = "/admin/rules/rule/check/"

    def check(self, browser: Client, text: str, kind: str = "rule") -> list[dict[str, Any]]:
        answer = browser.post(self.ADDRESS, {"text": text, "kind": kind})
        assert answer.status_code == 200
        return answer.json()["problems"]

    def test_a_right_text_has_no_problems(self, browser: Client, shop: dict[str, Any]) -> None:
        assert self.check(browser, TEXT) == []
        assert self.check(browser, 'device = "kiosk"', "condition") == []

    def test_a_wrong_one_is_pointed_at(self, browser: Client, shop: dict[str, Any]) -> None:
        (problem,) = self.check(browser, 'IF device = "kiosk"\r\nTHEN SHOW "eco-baner"')
        assert (problem["severity"], problem["line"], problem["column"]) == ("error", 2, 11)
        assert problem["pointed"].splitlines()[1] == " " * 10 + "^" * len('"eco-baner"')

    def test_names_that_hold_for_nobody_are_warnings(self, browser: Client, shop: dict[str, Any]) -> None:
        seen = {"total": {"type": "number", "seen": 3, "types": {"number": 3}}}
        PlannedEvent.objects.create(name="Order Completed", properties=seen)
        FactVocabulary.objects.create(data={"event_names": ["Order Completed"]}, learned_at=NOW)
        text = 'device = "web" AND COUNT("Order Completed" WHERE totl > 5) > 1'
        (found,) = self.check(browser, text, "condition")
        assert (found["severity"], found["hint"]) == ("warning", 'Did you mean "total"?')
        assert found["pointed"].splitlines()[1].count("^") == len("totl")
        asked = browser.post(f"{self.ADDRESS}?of=segment", {"text": text, "kind": "condition"}).json()["problems"]
        assert [one["message"].split()[0] for one in asked] == ["device", "No"]
        assert f"{self.ADDRESS}?of=segment" in browser.get("/admin/rules/segment/add/").content.decode()

    def test_an_unknown_kind_and_a_plain_visit_are_refused(self, browser: Client) -> None:
        assert browser.post(self.ADDRESS, {"text": TEXT, "kind": "poem"}).status_code == 400
        assert browser.get(self.ADDRESS).status_code == 405

    def test_strangers_learn_nothing(self, client: Client, db: None) -> None:
        assert client.post(self.ADDRESS, {"text": TEXT}).status_code == 302


def test_a_segments_condition_is_checked_and_its_members_are_counted(
    browser: Client, shop: dict[str, Any], committing: Committing
) -> None:
    segment = shop["rules_segment"]
    page = f"/admin/rules/segment/{segment.pk}/change/"
    form = {"name": "Kiosk", "kind": "condition", "condition": "device = kiosk AND", "active": "on", **NO_REACTIONS}
    answer = browser.post(page, form)
    assert "Line 1, column" in answer.context["adminform"].form.errors["condition"][0]
    told = browser.get(page).context
    assert (told["size"], [one["customer"].key for one in told["sample"]]) == (1, ["hh-1"])
    missing = browser.post(page, form | {"condition": ""}).context["adminform"].form.errors["condition"]
    assert "needs one" in missing[0]
    with committing():
        browser.post(page, form | {"condition": 'device = "web"'})
    assert Segment.objects.get(pk=segment.pk).condition == 'device = "web"'


def test_a_segment_whose_condition_names_what_it_can_never_find_is_saved_with_a_warning(browser: Client) -> None:
    PlannedEvent.objects.create(name="Order Completed", properties={"total": {"type": "number", "seen": 3}})
    FactVocabulary.objects.create(data={"event_names": ["Order Completed"]}, learned_at=NOW)
    text = 'COUNT("Order Completed" WHERE totl > 5) > 1 OR hour > 5'
    form = {"name": "Odd", "key": "odd", "kind": "condition", "condition": text, "active": "on", **NO_REACTIONS}
    answer = browser.post("/admin/rules/segment/add/", form, follow=True)
    told = [str(one) for one in answer.context["messages"] if one.level_tag == "warning"]
    assert Segment.objects.get(key="odd").condition == text
    assert 'Line 1, column 31: No "Order Completed" was seen with the property "totl". Did you mean "total"?' in told
    assert any("hour is known in the moment of a request only" in one for one in told)


def test_a_content_deleted_before_publishing_is_an_answer_and_not_an_error(
    browser: Client, shop: dict[str, Any]
) -> None:
    Content.objects.filter(key="eco-banner").delete()
    Placement.objects.all().delete()
    action = {"action": "publish_selected", "_selected_action": [shop["rules_rule"].pk]}
    assert "was not published" in browser.post(LIST, action, follow=True).content.decode()
