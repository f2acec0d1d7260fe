"""The pages of the holdout: one row for all placements, a share and its effect on each placement's page."""

from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from uuid_utils.compat import uuid7

from campaigns.models import Holdout, Placement
from decisioning.config import clock
from decisioning.models import Decision, Outcome
from decisioning.store.freeze import freeze

from .test_contents import PLACEMENT, errors_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def row() -> Holdout:
    # Tests that empty the database take along what migrations put there.
    return Holdout.objects.first() or Holdout.objects.create()


def asked(who: str, arm: str, at: datetime, converted: bool) -> None:
    made = Decision.objects.create(
        id=uuid7(), at=at, placement="home", source="api", customer_key=who, explanation={"arms": [arm]}
    )
    if converted:
        fields = {"decision_id": made.pk, "content": "fuel-coupon", "kind": "conversion", "at": at}
        Outcome.objects.create(message_id=str(made.pk), **fields)


def test_the_holdout_of_all_placements_is_changed_and_never_added_or_deleted(
    browser: Client, shop: dict[str, Any], row: Holdout
) -> None:
    Placement.objects.filter(key="home").update(holdout_share=0.2)
    listed = browser.get(reverse("admin:campaigns_holdout_changelist")).content.decode()
    assert "All placements" in listed and "Home page" in listed
    page = reverse("admin:campaigns_holdout_change", args=[row.pk])
    assert browser.post(page, {"share": "0.05", "draw": "2027-q1"}).status_code == 302
    assert (freeze().holdout_share, freeze().holdout_draw) == (0.05, "2027-q1")
    assert "share" in errors_of(browser, page, {"share": "0.6", "draw": "1"})
    assert browser.get(reverse("admin:campaigns_holdout_add")).status_code == 403
    assert browser.post(reverse("admin:campaigns_holdout_delete", args=[row.pk])).status_code == 403


def test_the_list_says_what_a_holdout_does_and_where_somebody_is_held_out(
    browser: Client, shop: dict[str, Any], row: Holdout
) -> None:
    url = reverse("admin:campaigns_holdout_changelist")
    Holdout.objects.update(share=0)
    page = browser.get(url).content.decode()
    assert "What a holdout does" in page and "5 %) is enough" in page
    assert "Nobody is held out anywhere" in page
    Placement.objects.filter(key="home").update(holdout_share=0.2)
    page = browser.get(url).content.decode()
    assert "Nobody is held out anywhere" not in page
    assert '<td class="number">20 %</td><td class="console-note console-short">its own</td>' in page
    Holdout.objects.update(share=0.05)
    assert "5 %" in browser.get(url).content.decode()


def test_a_lost_row_is_made_again_from_the_empty_list(browser: Client, shop: dict[str, Any]) -> None:
    Holdout.objects.all().delete()
    add = reverse("admin:campaigns_holdout_add")
    page = browser.get(reverse("admin:campaigns_holdout_changelist")).content.decode()
    assert "which is a share of 0" in page and add in page
    assert browser.post(add, {"share": "0.1", "draw": "1"}).status_code == 302
    assert Holdout.objects.get().share == 0.1


def test_the_effect_is_that_of_the_last_weeks_by_the_products_clock(
    browser: Client, shop: dict[str, Any], settings: Any
) -> None:
    settings.CLOCK_OFFSET = -3600 * 24 * 400
    asked("h-1", "holdout", clock.now(), True)
    page = browser.get(reverse("admin:campaigns_placement_change", args=[shop["campaigns_placement"].pk]))
    assert "Held out: 1 of 1 customers" in page.content.decode()


def test_a_placement_has_a_share_of_its_own_and_says_what_to_do_where_nobody_is_held_out(
    browser: Client, shop: dict[str, Any]
) -> None:
    page = reverse("admin:campaigns_placement_change", args=[shop["campaigns_placement"].pk])
    assert "Nobody was held out here in the last 28 days. Set a share" in browser.get(page).content.decode()
    assert browser.post(page, PLACEMENT | {"holdout_share": "0.1"}).status_code == 302
    assert freeze().placements[0].holdout_share == 0.1
    assert "holdout_share" in errors_of(browser, page, PLACEMENT | {"holdout_share": "0.7"})
    empty = browser.get(reverse("admin:campaigns_placement_add")).content.decode()
    assert "Shown once the placement is saved." in empty


def test_the_page_tells_both_sides_the_gain_and_whether_it_is_one(browser: Client, shop: dict[str, Any]) -> None:
    page, now = reverse("admin:campaigns_placement_change", args=[shop["campaigns_placement"].pk]), timezone.now()
    for number in range(8):
        asked(f"t-{number}", "treated", now, number < 6)
        asked(f"h-{number}", "holdout", now, number < 3)
    text = browser.get(page).content.decode()
    assert "Held out: 3 of 8 customers had a conversion (37.5%)." in text
    assert "All others: 6 of 8 customers had a conversion (75.0%)." in text
    assert "Gain: +37.5 points" in text and "cannot be told from zero yet" in text
    for number in range(8, 60):
        asked(f"t-{number}", "treated", now, True)
        asked(f"h-{number}", "holdout", now, False)
    assert "cannot be told from zero" not in browser.get(page).content.decode()
