"""The examples of docs/sources.md: the files become the items on the page, and what the page names exists."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import load_command_class

from decisioning.sources.files import open_file
from decisioning.sources.items import Finish, Occurrences
from decisioning.sources.mapping import FileWords, RowMapping, read_words
from decisioning.sources.shapes import EVENTS, SHAPES
from decisioning.sources.values import KINDS, NULLS

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()


def example(language: str, name: str) -> str:
    found = re.search(rf"```{language} {name}\n(.*?)```", PAGE, re.DOTALL)
    return found[1] if found else ""


@pytest.mark.parametrize("name", ["orders", "till"])
def test_the_files_on_the_page_become_the_items_on_the_page(name: str, tmp_path: Path) -> None:
    words = read_words(example("toml", name))
    path = tmp_path / "file.csv"
    path.write_text(example("csv", name), words.file.encoding)
    file = open_file(path, words.file)
    mapping = RowMapping(EVENTS, words, file.typed)
    finish = Finish(Occurrences().before, True, datetime.now(UTC))
    found = [json.loads(finish.event(mapping.item(row.cells)).raw) for row in file.rows()]
    wanted: list[dict[str, Any]] = json.loads(example("json", name))
    assert found == wanted


def test_the_page_names_what_there_is() -> None:
    for word in (*FileWords.__struct_fields__, *KINDS):
        assert f"`{word}`" in PAGE, word
    for null in NULLS - {""}:
        assert f"`{null}`" in PAGE, null
    for shape in SHAPES.values():
        for field in shape.fields:
            if shape.name == "contents":
                assert re.search(rf"`{field}(\.x)?`", PAGE), field
    options = {word for name in ("import", "kafka") for word in options_of(name)}
    assert set(re.findall(r"--[a-z][a-z-]+", PAGE)) <= options


def options_of(name: str) -> list[str]:
    actions = load_command_class("decisioning", name).create_parser("manage.py", name)._actions
    return [word for action in actions for word in action.option_strings]
