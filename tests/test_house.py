"""The house is as it is drawn: every module stands on a floor, and rooms are named for what is done."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACED_OTHERWISE = {
    # Packages' own docstrings, and what Django imports by name.
    "__init__",
    "apps",
}


def modules() -> set[str]:
    found = set()
    for package in ("decisioning", "rules", "campaigns"):
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" not in path.parts and path.stem not in PLACED_OTHERWISE:
                found.add(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return found


def floors() -> set[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    return {name for layer in layers for name in re.split(r"\s*[|:]\s*", layer)}


def test_every_module_stands_on_a_floor():
    known = floors()
    free = {f"decisioning.config.{name}" for name in ("clock", "environment", "garbage")}
    homeless = {name for name in modules() - free if not any(name == f or name.startswith(f + ".") for f in known)}
    assert not homeless, f"add to the layers in pyproject.toml: {sorted(homeless)}"


def test_no_room_is_named_after_a_layer():
    names = {name.rsplit(".", 1)[-1] for name in modules()}
    assert not names & {"utils", "helpers", "services", "managers", "common", "misc"}


def test_every_file_opens_with_a_sentence():
    paths = [
        path for package in ("decisioning", "rules", "campaigns", "tools") for path in (ROOT / package).rglob("*.py")
    ]
    written = [path for path in paths if "migrations" not in path.parts and path.read_text()]
    assert [path for path in written if not path.read_text().startswith('"""')] == []
