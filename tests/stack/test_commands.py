"""The commands behind make: what they say, what they set, and when they have nothing to do."""

import json
import os
import re
import socket
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from decisioning.config.celery import app
from tools.dev import bootstrap, checks, demo, environment, suite
from tools.dev.__main__ import COMMANDS
from tools.devstack import StackError, openmp, profile
from tools.devstack.places import REPOSITORY, Profile


@pytest.fixture
def place(run: Path) -> Profile:
    place = profile("demo", run)
    place.prepare()
    return place


def test_make_knows_every_command_and_no_other() -> None:
    listing = REPOSITORY.joinpath("Makefile").read_text()
    targets = re.search(r"^(demo [a-z0-9 -]+):", listing, re.MULTILINE)
    assert targets is not None
    assert set(targets.group(1).split()) == set(COMMANDS)


def test_an_unknown_command_is_answered_with_the_list() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.dev", "dmo"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no command 'dmo'" in done.stderr
    assert "make demo" in done.stdout


def test_the_commands_run_on_a_python_without_any_package() -> None:
    """Before the first installation there is nothing but the standard library."""
    program = "import sys, tools.dev.__main__ as m; print(sorted(n for n in sys.modules if '.' not in n))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    loaded = set(re.findall(r"'(\w+)'", done.stdout))
    assert loaded - set(sys.stdlib_module_names) <= {"tools", "__main__", "__mp_main__"}


def test_every_requirement_file_is_locked_by_hash() -> None:
    for source in REPOSITORY.joinpath("requirements").glob("*.in"):
        locked = source.with_suffix(".txt").read_text()
        pins = re.findall(r"^[a-z0-9][^\n]*==[^\n]*", locked, re.MULTILINE)
        assert pins, source.name
        assert all(pin.endswith("\\") for pin in pins), source.name
        assert "://" not in re.sub(r"#.*", "", locked), source.name


def test_an_environment_that_is_complete_is_left_alone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv_in(run, monkeypatch)
    write_stamp(bootstrap.VENV, ["bootstrap", "base", "dev"])
    before = bootstrap.STAMP.stat().st_mtime_ns
    bootstrap.ensure(["base"])
    assert bootstrap.STAMP.stat().st_mtime_ns == before


def test_an_environment_that_was_moved_does_not_count(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv_in(run, monkeypatch)
    write_stamp(run / "former", ["bootstrap", "base"])
    assert bootstrap._read_stamp() == {}


def test_a_python_that_cannot_make_environments_gets_the_cure(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "VENV", run / ".venv")
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(StackError, match="apt install python3-venv"):
        bootstrap._prepare(moved=False)


def test_an_environment_that_is_a_link_to_anothers_is_left_to_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = run / "theirs"
    theirs.mkdir()
    theirs.joinpath("kept").touch()
    run.joinpath(".venv").symlink_to(theirs)
    monkeypatch.setattr(bootstrap, "VENV", run / ".venv")
    made: list[Any] = []
    monkeypatch.setattr(bootstrap, "_run", lambda command, failure: made.append(command))
    bootstrap._prepare(moved=True)
    assert theirs.joinpath("kept").exists() and not bootstrap.VENV.is_symlink()
    assert made[0][-2:] == ["--clear", bootstrap.VENV]


def venv_in(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "VENV", run / ".venv")
    monkeypatch.setattr(bootstrap, "STAMP", run / ".venv" / "stamp.json")
    bootstrap.python().parent.mkdir(parents=True)
    bootstrap.python().symlink_to(sys.executable)


def write_stamp(where: Path, names: list[str]) -> None:
    bootstrap.STAMP.write_text(json.dumps({"place": str(where), "files": bootstrap._digests(names)}))


def test_the_secret_is_made_once_and_private(run: Path) -> None:
    first = environment.secret(run)
    assert len(first) >= 50
    assert environment.secret(run) == first
    assert stat.S_IMODE((run / "secret").stat().st_mode) == 0o600


def test_the_demo_clock_starts_with_2018_and_keeps_its_offset(place: Profile) -> None:
    first = environment.clock_offset(place)
    assert abs(datetime.now(UTC).timestamp() + first - environment.DEMO_STARTS.timestamp()) < 5
    place.folder.joinpath("clock").write_text("-1000")
    assert environment.clock_offset(place) == -1000


def test_a_shell_gets_the_variables_of_the_system_that_runs(place: Profile) -> None:
    environment.publish(place, {"EMAIL_PORT": "1026"})
    assert environment.published(place) == {}
    with demo.alone(place):
        assert environment.published(place) == {"EMAIL_PORT": "1026"}
    assert environment.published(place) == {}


def test_a_taken_port_gives_the_next_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert environment.free_port(port) > port


def test_a_port_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("eighty", "0", "65536", "-1"):
        monkeypatch.setenv("PORT", text)
        with pytest.raises(StackError, match="PORT must be"):
            environment.wanted_port()


def test_a_second_supervisor_of_a_profile_is_refused(place: Profile) -> None:
    with demo.alone(place), pytest.raises(StackError, match="already runs"), demo.alone(place):
        pytest.fail("two ran at once")


def test_an_interruption_is_raised_once_and_then_ignored() -> None:
    with demo.one_interruption():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), 2)
            threading.Event().wait(5)
        os.kill(os.getpid(), 2)
        threading.Event().wait(0.05)


def test_workers_serve_exactly_the_queues_that_the_app_declares() -> None:
    words = [word for command in demo.workers(ANY_PORTS) for word in command.words]
    served = {word.removeprefix("--queues=") for word in words if word.startswith("--queues=")}
    assert served == {queue.name for queue in app.conf.task_queues}


ANY_PORTS = {"DECISIONING_MAIL_DIR": "m", "EMAIL_PORT": "1", "LOG_LEVEL": "INFO"}


def test_a_failing_check_is_shown_with_its_output(capsys: pytest.CaptureFixture[str]) -> None:
    bad = checks.Check("bad", (sys.executable, "-c", "print('why'); raise SystemExit(1)"))
    good = checks.Check("good", (sys.executable, "-c", ""))
    assert [checks._passes(one, dict(os.environ)) for one in (bad, good)] == [False, True]
    shown = capsys.readouterr().out
    assert "FAILED bad" in shown
    assert "why" in shown
    assert "ok     good" in shown


def test_a_package_of_measurements_that_is_not_there_is_said() -> None:
    with pytest.raises(StackError, match=r"tests/nowhere/__main__\.py"):
        suite.measure("nowhere", [])


def test_lightgbm_finds_the_bundled_openmp_where_the_system_has_none(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openmp, "system_has_it", lambda: False)
    variables = openmp.library_environment(run)
    program = "import lightgbm, sklearn.cluster; print(open('/proc/self/maps').read())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    runtimes = set(re.findall(r"/\S*libgomp\S*", done.stdout))
    assert runtimes == {str(openmp.bundled())}
