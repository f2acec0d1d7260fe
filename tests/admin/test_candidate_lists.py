"""A placement's candidate lists in its form: what is ticked is kept and used, and what is in use is told."""

from typing import Any

import pytest
from django.test import Client

from campaigns.models import Placement
from decisioning.flows import recall
from decisioning.store.freeze import freeze

from .test_contents import PLACEMENT, errors_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(shop: dict[str, Any]) -> str:
    return f"/admin/campaigns/placement/{shop['campaigns_placement'].pk}/change/"


def test_lists_that_are_ticked_are_kept_and_those_that_are_not_are_gone(browser: Client, page: str) -> None:
    assert browser.post(page, PLACEMENT | {"candidate_lists": ["popular", "together"]}).status_code == 302
    assert freeze().placements[0].lists == ("popular", "together")
    ticked = browser.get(page).context["adminform"].form.initial["candidate_lists"]
    assert ticked == ["popular", "together"]
    assert browser.post(page, PLACEMENT).status_code == 302
    assert Placement.objects.get(key=freeze().placements[0].key).candidate_lists == []


def test_a_list_that_there_is_not_is_refused(browser: Client, page: str) -> None:
    errors = errors_of(browser, page, PLACEMENT | {"candidate_lists": ["magic"]})
    assert list(errors) == ["candidate_lists"]


def test_the_page_says_which_lists_are_in_use(browser: Client, page: str, now: Any) -> None:
    assert "manage.py learn recall" in browser.get(page).content.decode()
    artefact = recall.learn(now)
    told = browser.get(page).content.decode()
    assert f"/admin/decisioning/artefact/{artefact.pk}/change/" in told
    assert "1 January 2018, 12:00 UTC, from 0 touches" in told
    assert "candidate lists" in browser.get(f"/admin/decisioning/artefact/{artefact.pk}/change/").content.decode()
