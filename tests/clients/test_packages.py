"""The JavaScript clients: locked, and installed once."""

import json
from pathlib import Path

import pytest

from tools.dev import node
from tools.devstack.places import StackError

LOCK = json.loads((Path(__file__).parent / "package-lock.json").read_text())["packages"]


def failing(folder: Path) -> Path:
    """A folder like the wheel's, whose Node always fails."""
    program = folder / "bin" / "node"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    return folder


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own; what says there which packages are installed."""
    monkeypatch.setenv("DECISIONING_RUN_DIR", str(tmp_path))
    return tmp_path / "node" / "installed"


def test_every_package_is_locked_by_its_hash_and_names_no_registry() -> None:
    packages = {name: package for name, package in LOCK.items() if name}
    assert len(packages) > 20
    assert [name for name, package in packages.items() if not package.get("integrity", "").startswith("sha512-")] == []
    assert [name for name, package in packages.items() if "resolved" in package] == []


def test_the_clients_themselves_are_named_with_one_version_each() -> None:
    named = LOCK[""]["dependencies"]
    assert named == {name: LOCK[f"node_modules/{name}"]["version"] for name in named}


def test_what_is_installed_is_left_alone(installed: Path, tmp_path: Path) -> None:
    installed.parent.mkdir()
    installed.write_text(node._digest())
    assert node._packages(tmp_path / "no wheel") == installed.parent / "node_modules"


def test_an_installation_that_fails_says_the_cure_and_does_not_count(installed: Path, tmp_path: Path) -> None:
    wheel = failing(tmp_path / "wheel")
    for _ in range(2):
        with pytest.raises(StackError, match="is npm's registry reachable"):
            node._packages(wheel)
        assert not installed.exists()


def test_without_node_the_cure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "find_spec", lambda name: None)
    with pytest.raises(StackError, match="make e2e"):
        node.node_environment()
