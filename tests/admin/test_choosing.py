"""How a placement chooses and what a content is worth, in the forms: what cannot work is said, what is empty stands."""

from typing import Any

import pytest
from django.test import Client

from campaigns.models import Content, Placement
from decisioning.store.freeze import freeze

from .test_contents import CONTENT, PLACEMENT, errors_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"policy": "linucb"}, "bandit_facts", "Name at least one fact to learn from"),
        ({"policy": "linear-thompson", "bandit_facts": "orders_30"}, "bandit_facts", 'Did you mean "orders_30d"?'),
        ({"bandit_facts": "customer_segment"}, "bandit_facts", '"customer_segment" is text_list'),
        ({"temperature": "0"}, "temperature", "greater than or equal to 0.001"),
        ({"exploration": "1.5"}, "exploration", "less than or equal to 1"),
        ({"new_share": "-1"}, "new_share", "greater than or equal to 0"),
        ({"new_showings": "0"}, "new_showings", "greater than or equal to 1"),
        ({"diversity_weight": "2"}, "diversity_weight", "less than or equal to 1"),
        ({"diversity_most": "0"}, "diversity_most", "greater than or equal to 1"),
        ({"policy": "best"}, "policy", "not one of the available choices"),
    ],
)
def test_a_placement_that_could_not_choose_is_a_form_error(
    browser: Client, shop: dict[str, Any], changes: dict[str, str], field: str, said: str
) -> None:
    page = f"/admin/campaigns/placement/{shop['campaigns_placement'].pk}/change/"
    errors = errors_of(browser, page, PLACEMENT | changes)
    assert list(errors) == [field]
    assert said in errors[field][0]


def test_a_placements_dials_are_kept_and_reach_the_snapshot(browser: Client, shop: dict[str, Any]) -> None:
    dials = {
        "objective": "click",
        "policy": "linear-thompson",
        "bandit_facts": "orders_30d, recency_days",
        "bandit_width": "0.5",
        "new_share": "0.05",
        "diversity_attribute": "brand",
        "diversity_most": "2",
        "diversity_weight": "0.3",
        "freshness_half_life_days": "14",
    }
    page = f"/admin/campaigns/placement/{shop['campaigns_placement'].pk}/change/"
    facts = browser.get(page).context["adminform"].form.fields["bandit_facts"]
    assert "commas" in facts.help_text
    answer = browser.post(page, PLACEMENT | dials)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    item = freeze().placements[0]
    assert (item.objective, item.policy, item.bandit_facts) == (
        "click",
        "linear-thompson",
        ("orders_30d", "recency_days"),
    )
    assert (item.bandit_width, item.new_share, item.diversity_attribute, item.diversity_most) == (0.5, 0.05, "brand", 2)
    assert (item.diversity_weight, item.freshness_half_life_days) == (0.3, 14)


def test_a_dial_left_empty_is_its_default(browser: Client, shop: dict[str, Any]) -> None:
    Placement.objects.filter(key="home").update(temperature=5, new_share=0.5)
    page = f"/admin/campaigns/placement/{shop['campaigns_placement'].pk}/change/"
    empty = {"temperature": "", "new_share": "", "diversity_most": "", "new_showings": "", "bandit_width": ""}
    assert browser.post(page, PLACEMENT | empty).status_code == 302
    home = Placement.objects.get(key="home")
    assert (home.temperature, home.new_share, home.diversity_most, home.new_showings) == (0.2, 0.0, 1, 100)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"margin": "1.5"}, "margin"),
        ({"margin": "nan"}, "margin"),
        ({"boost": "0"}, "boost"),
        ({"stock": "-1"}, "stock"),
        ({"stock": "9999999999"}, "stock"),
        ({"cap_count": "0"}, "cap_count"),
        ({"cap_hours": "0"}, "cap_hours"),
        ({"needs_consent": "E Mail"}, "needs_consent"),
    ],
)
def test_what_a_content_cannot_be_is_a_form_error(
    browser: Client, shop: dict[str, Any], changes: dict[str, str], field: str
) -> None:
    page = f"/admin/campaigns/content/{shop['campaigns_content'].pk}/change/"
    assert list(errors_of(browser, page, CONTENT | changes)) == [field]


def test_a_contents_worth_and_limits_are_kept_and_reach_the_snapshot(browser: Client, shop: dict[str, Any]) -> None:
    content = shop["campaigns_content"]
    fields = {"margin": "0.4", "boost": "", "stock": "3", "needs_consent": "email", "cap_count": "2", "cap_hours": ""}
    assert browser.post(f"/admin/campaigns/content/{content.pk}/change/", CONTENT | fields).status_code == 302
    item = next(item for item in freeze().contents if item.key == content.key)
    assert (item.margin, item.boost, item.stock, item.needs_consent) == (0.4, 1.0, 3, "email")
    assert (item.cap_count, item.cap_hours, item.created_at) == (2, 24.0, Content.objects.get(pk=content.pk).created_at)
