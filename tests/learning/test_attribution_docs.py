"""The examples of docs/outcomes.md run, and its table names every model."""

import doctest
from pathlib import Path

from decisioning.learning.attribution import MODELS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "outcomes.md"


def test_the_examples_give_what_the_page_says():
    done = doctest.testfile(str(PAGE), module_relative=False)
    assert (done.failed, done.attempted) == (0, 5)


def test_the_page_names_every_model():
    text = PAGE.read_text()
    assert [model for model in MODELS if f"`{model}`" not in text] == []
