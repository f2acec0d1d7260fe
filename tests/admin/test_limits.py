"""A save in the admin that would publish more than the limits allow is undone and told; rules show what they use."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from campaigns.models import Content
from decisioning.engine import limits
from rules.models import Rule

FORM = {"name": "Fuel for less", "body": "{}", "attributes": "{}", "value": "1", "active": "on"}


def test_a_content_with_too_many_tags_is_not_saved(browser: Client, shop: dict[str, Any]) -> None:
    content = shop["campaigns_content"]
    many = ", ".join(f"t{n}" for n in range(limits.TAGS_PER_CONTENT + 1))
    page = browser.post(f"/admin/campaigns/content/{content.pk}/change/", {**FORM, "name": "Typed", "tags": many})
    told = f"Not saved. Content {content.key} has 101 tags; at most 100 are allowed: "
    told += "use attributes for what tells it apart."
    form = page.context["adminform"].form
    assert (page.status_code, form.errors) == (200, {"tags": [told]})
    assert told in page.content.decode()
    assert Content.objects.get(pk=content.pk).name == content.name
    assert Content.objects.get(pk=content.pk).tags == content.tags
    assert (form["name"].value(), form["tags"].value()) == ("Typed", many)
    assert not LogEntry.objects.exists() and not list(page.context["messages"])


def test_one_content_too_many_for_a_placement_is_not_made(
    browser: Client, shop: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Content.objects.count()
    monkeypatch.setattr(limits, "CONTENTS_PER_PLACEMENT", before)
    page = browser.post("/admin/campaigns/content/add/", {**FORM, "key": "one-more", "tags": ""})
    form = page.context["adminform"].form
    assert (form["key"].value(), len(form.non_field_errors())) == ("one-more", 1)
    assert f"Placement home has {before + 1} contents; at most {before} are allowed" in page.content.decode()
    assert Content.objects.count() == before


@pytest.mark.usefixtures("shop")
def test_a_rules_page_says_what_it_uses_before_it_is_published(browser: Client) -> None:
    rule = Rule.objects.get(key="eco")
    page = browser.get(f"/admin/rules/rule/{rule.pk}/change/").content.decode()
    assert "1 of 50 actions, 1 of 200 tests, 1 of 10,000 rules" in page
