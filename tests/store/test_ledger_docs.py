"""The example of docs/ledger.md gives what it says, and its tables name what there is."""

import doctest
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command

from campaigns.models import Placement
from decisioning.models import Statistic
from decisioning.store.copying import copy_in

from ..conftest import NOW
from .test_ledger_counting import count_all, decision, held, outcome

pytestmark = pytest.mark.django_db
PAGE = Path(__file__).resolve().parents[2] / "docs" / "ledger.md"


def rows() -> None:
    """Four decisions, of which three were seen and one was bought."""
    Placement.objects.create(key="hero", name="Hero")
    made = [decision(number, "", rung="rules" if number == 3 else "full") for number in range(4)]
    for one in made:
        one.items = [{"key": "apple", "rank": 1}]
    made[0].explanation = {"segments": ["eco"]}
    copy_in(made)
    for number in range(3):
        outcome(made[number], "impression", f"i{number}", "apple").save()
    outcome(made[0], "conversion", "c", "apple", 2.5).save()
    count_all()


def test_the_example_gives_what_it_says():
    rows()
    text = PAGE.read_text()
    start = text.index("```python\n") + len("```python\n")
    example = text[start : text.index("```", start)]
    test = doctest.DocTestParser().get_doctest(example, {"yesterday": NOW - timedelta(days=1)}, "ledger.md", None, 0)
    assert len(test.examples) == 4
    assert doctest.DocTestRunner().run(test).failed == 0


def test_every_column_and_every_file_is_named():
    text = PAGE.read_text()
    columns = {field.name for field in Statistic._meta.fields} - {"id", "placement", "content", "part", "name", "day"}
    assert [name for name in columns if f"`{name}`" not in text] == []
    store = PAGE.parents[1] / "decisioning" / "store"
    named = {"ledger", "sampling", "tallies", "counting", "recounting", "statistics", "months"}
    assert [name for name in named if f"`store/{name}.py`" not in text or not (store / f"{name}.py").exists()] == []


def test_the_command_shows_months_and_counts_anew(capsys):
    rows()
    before = held()
    Statistic.objects.update(decisions=99)
    call_command("ledger", "rebuild")
    assert held() == before
    copy_in([decision(9)])
    call_command("ledger", "show")
    said = capsys.readouterr().out
    assert "counted anew in" in said
    assert "not counted yet: 1 decisions, 0 outcomes" in said
