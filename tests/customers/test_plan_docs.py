"""The examples of docs/plan.md do what the page says."""

import doctest
import re
from pathlib import Path

import pytest

from decisioning.customers.intake import letters
from decisioning.customers.models import PlannedEvent
from decisioning.customers.plan import agreed, observed, planning, tally
from decisioning.customers.plan.kinds import TYPES
from decisioning.flows import replay

PAGE = Path(__file__).parents[2] / "docs" / "plan.md"


def test_the_examples_on_the_page_run() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted > 8
    assert result.failed == 0


@pytest.mark.django_db
def test_the_plan_on_the_page_can_be_imported() -> None:
    text = re.search(r"```json plan\n(.*?)```", PAGE.read_text(), re.S)
    assert text is not None
    assert agreed.apply(agreed.read(text[1])) == (["*", "Order Completed", "page"], [])
    order = PlannedEvent.objects.get(name="Order Completed")
    assert (order.locked, order.policy, order.properties["products.price"]["required"]) == (True, "refuse", True)
    planning.forget()
    assert planning.keeps() == {"page": 6}
    planning.forget()


def test_the_page_names_every_type_and_every_outcome() -> None:
    text = PAGE.read_text()
    assert [name for name in TYPES if f"`{name}`" not in text] == []
    told = (replay.TAKEN, replay.DUPLICATE, replay.HANDED_BACK, replay.HANDLED, replay.NOT_KEPT, replay.AGAIN)
    beginnings = [re.split("[,;]", outcome)[0] for outcome in told]
    assert [beginning for beginning in beginnings if beginning not in text] == []


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    text = " ".join(PAGE.read_text().split())
    for told in (
        f"first {observed.EACH} events of a name in five seconds",
        f"at most {observed.MOST_NAMES:,} events are learned, at most {observed.MOST_PROPERTIES} properties",
        f"at most {tally.MOST_KEYS} different problems a day",
        f"write {letters.BURST:,} KB of new letters at once and {letters.A_MINUTE:,} KB a minute",
        f"kept for {letters.KEPT_DAYS} days",
    ):
        assert told in text, told
    assert (observed.SECONDS, tally.SECONDS, planning.SECONDS) == (5.0, 1.0, 1.0)
