"""PostgreSQL refuses root: which account runs it instead, and that an ordinary user needs nothing special."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tools.devstack import StackError, accounts, postgres, profile, start, stop
from tools.devstack.places import REPOSITORY

NOBODY = 65534
pytestmark = pytest.mark.usefixtures("as_root")


def owner_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def answer(variables: dict[str, str]) -> bool:
    with psycopg.connect(variables["DATABASE_URL"]) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def without_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose kernel policy refuses `unshare --user`: the command fails."""
    monkeypatch.setattr(accounts, "NAMESPACE", ("false",))


def test_root_without_user_namespaces_runs_it_as_an_unprivileged_account(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_namespaces(monkeypatch)
    place = profile("demo", run)
    assert answer(start(place))
    server = postgres.find(place)
    assert server is not None
    assert pwd.getpwuid(owner_of(server.pid)).pw_name in accounts.UNPRIVILEGED


def test_data_is_served_by_the_account_that_owns_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = profile("demo", run)
    with monkeypatch.context() as refused:
        without_namespaces(refused)
        start(place)
        stop(place)
    owner = place.data("postgres").stat().st_uid
    assert answer(start(place))
    server = postgres.find(place)
    assert server is not None
    assert owner_of(server.pid) == owner != 0


def test_a_private_folder_gets_its_data_where_the_account_can_reach_it(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_namespaces(monkeypatch)
    run.chmod(0o700)
    place = profile("demo", run)
    assert answer(start(place))
    assert place.data("postgres").is_symlink()
    assert stop(place)
    assert answer(start(place))


def test_where_no_account_works_the_message_says_what_to_do(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_namespaces(monkeypatch)
    monkeypatch.setattr(accounts, "UNPRIVILEGED", ())
    with pytest.raises(StackError, match="ordinary user"):
        start(profile("demo", run))


def test_an_ordinary_user_starts_and_stops_it(run: Path) -> None:
    os.chown(run, NOBODY, NOBODY)
    python = usable_python()
    variables = {
        "PATH": os.environ["PATH"],
        "DECISIONING_RUN_DIR": str(run),
        "PYTHONPATH": ":".join(entry for entry in sys.path if entry.endswith("site-packages")),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for command, expected in (
        ("start", "running"),
        ("status", "running"),
        ("stop", ""),
        ("status", "stopped"),
    ):
        done = subprocess.run(
            [*as_nobody(python), "-m", "tools.devstack", command],
            cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.count(expected) >= (2 if expected else 0)
    assert postgres.find(profile("demo", run)) is None


def as_nobody(python: str) -> list[str]:
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", python]


def usable_python() -> str:
    """A Python that an ordinary user may run with this repository (either may be private to root)."""
    for python in (sys.executable, "/usr/bin/python3"):
        words = [*as_nobody(python), "-c", "import tools.devstack"]
        if subprocess.run(words, cwd=REPOSITORY, capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip("the repository or every Python is private to root")
