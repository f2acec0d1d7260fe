"""A scorer's card in the browser: bars, curves and dots, also in the dark and on a narrow screen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from decisioning.learning.card import card
from decisioning.learning.dataset import label, schema_for
from decisioning.learning.scorer import Scorer, TLearner, Trees, Worth
from decisioning.models import Artefact
from decisioning.store import artefacts
from tests.learning.shop import CROSSES, KINDS, OFFERS, showings

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def kept(kind: type[Scorer] = Trees, worth: float = 1.0) -> Artefact:
    """A scorer of the shop with its card; each conversion is `worth` so much."""
    frame, later = showings(), showings(seed=8)
    schema = schema_for(frame, OFFERS, KINDS, CROSSES)
    rows, new = label(schema, frame, OFFERS), label(schema, later, OFFERS)
    scorer = kind(schema).fit(rows.X, rows.y * worth, rows.contents, rows.at)
    metrics = {"auc": 0.8, "card": card(scorer, replace(new, y=new.y * worth))}
    now = datetime(2026, 3, 1, tzinfo=UTC)
    return artefacts.keep(Artefact.Kind.SCORER, scorer.to_artefact(), schema.hash, metrics, now)


@pytest.fixture
def artefact(marketer) -> Artefact:
    """Of chances."""
    return kept()


def test_a_scorer_shows_what_it_leans_on_and_whether_it_can_be_believed(inside: Page, artefact: Artefact) -> None:
    inside.goto(f"/admin/decisioning/artefact/{artefact.pk}/change/")
    inside.get_by_role("heading", name="What it leans on").wait_for()
    bars = inside.locator(".card-bars tbody tr")
    assert bars.count() == len(artefact.metrics["card"]["importance"])
    assert inside.locator(".card-bar").first.bounding_box()["width"] > 50
    curves = inside.locator(".card-figure").filter(has=inside.locator(".card-line"))
    assert curves.count() >= 2
    assert inside.locator("figure", has_text="What happened, by what was said").locator(".card-dot").count() == 10
    inside.get_by_text("The figures").click()
    assert inside.locator("figure table tbody tr").count() == 10


def test_the_card_fits_a_narrow_screen(inside: Page, artefact: Artefact) -> None:
    inside.set_viewport_size({"width": 400, "height": 900})
    inside.emulate_media(color_scheme="dark")
    inside.goto(f"/admin/decisioning/artefact/{artefact.pk}/change/")
    inside.get_by_role("heading", name="What it leans on").wait_for()
    assert inside.evaluate("document.documentElement.scrollWidth") <= 400


def test_money_is_written_as_money(inside: Page, marketer) -> None:
    inside.goto(f"/admin/decisioning/artefact/{kept(Worth, 12.5).pk}/change/")
    inside.get_by_role("heading", name="Whether its money can be believed").wait_for()
    assert inside.get_by_role("columnheader", name="Variance lost").is_visible()
    inside.get_by_text("The figures").click()
    said = [float(cell) for cell in inside.locator("figure table tbody td:first-child").all_inner_texts()]
    assert len(said) == 10
    assert said == sorted(said)
    assert 1 < said[-1] < 13


def test_gains_have_no_rate_to_be_held_against(inside: Page, marketer) -> None:
    inside.goto(f"/admin/decisioning/artefact/{kept(TLearner).pk}/change/")
    inside.get_by_role("heading", name="How its gains are spread").wait_for()
    assert inside.get_by_text("What happened, by what was said").count() == 0
    assert inside.locator("figure", has_text="How its scores are spread").locator(".card-bar").count() == 20
