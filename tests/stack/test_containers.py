"""Dockerfile and docker-compose.yml: valid, complete, and in agreement with the product they start."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.urls import resolve

from tools.devstack.places import REPOSITORY

REQUIRED = {
    "SECRET_KEY": "a-secret",
    "ALLOWED_HOSTS": "decisioning.example",
    "PUBLIC_URL": "https://decisioning.example",
    "POSTGRES_PASSWORD": "apassword",
    "EMAIL_HOST": "mail.example",
}
OURS = ("migrate", "web", "worker", "learner", "consumer", "beat")


def program(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} comes with requirements/dev.txt"
    return found


def compose(*words: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("docker-compose"), "-f", "docker-compose.yml", "config", *words],
        cwd=REPOSITORY, env={"PATH": os.environ["PATH"], "HOME": "/nowhere", **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def compose_services() -> dict[str, dict[str, Any]]:
    """Every service as Docker Compose understands it, by name."""
    done = compose("--format", "json", variables=REQUIRED)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["services"])


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return compose_services()


def test_the_compose_file_is_valid() -> None:
    done = compose("-q", variables=REQUIRED)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_missing_secret_stops_it_and_is_named(name: str) -> None:
    done = compose("-q", variables={key: value for key, value in REQUIRED.items() if key != name})
    assert done.returncode != 0
    assert f"required variable {name} is missing" in done.stderr


def test_no_service_runs_as_root(services: dict[str, dict[str, Any]]) -> None:
    assert {name: service.get("user") for name, service in services.items() if name not in OURS} == {
        "postgres": "postgres",
        "redis": "redis",
    }
    dockerfile = REPOSITORY.joinpath("Dockerfile").read_text()
    assert re.findall(r"^USER (\S+)", dockerfile, re.MULTILINE) == ["10001:10001"]


def test_every_command_of_ours_exists(services: dict[str, dict[str, Any]]) -> None:
    for name in OURS:
        words = services[name]["command"]
        assert isinstance(words, list)
        assert words[0] == "python" or program(words[0])


def test_every_service_but_the_one_shot_has_a_health_check(services: dict[str, dict[str, Any]]) -> None:
    without = {name for name, service in services.items() if "test" not in service.get("healthcheck", {})}
    assert without == {"migrate"}


def test_health_checks_ask_for_addresses_that_exist() -> None:
    for file in ("docker-compose.yml", "Dockerfile"):
        paths = set(re.findall(r"127\.0\.0\.1:8000(/\w+)", REPOSITORY.joinpath(file).read_text()))
        assert paths, file
        assert all(resolve(path) for path in paths)
    assert resolve("/readyz")


def test_it_sets_only_variables_that_the_product_reads(services: dict[str, dict[str, Any]]) -> None:
    sources = REPOSITORY.joinpath("decisioning", "config").glob("*.py")
    read = {name for path in sources for name in re.findall(r'"([A-Z][A-Z_]+)"', path.read_text())}
    for name in OURS:
        variables = services[name]["environment"]
        assert isinstance(variables, dict)
        assert set(variables) <= read, name


def test_every_variable_that_the_settings_read_is_documented() -> None:
    settings = REPOSITORY.joinpath("decisioning", "config", "settings.py").read_text()
    read = set(re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"', settings))
    page = REPOSITORY.joinpath("docs", "stack.md").read_text()
    told = {name for row in re.findall(r"^\| (`[A-Z].*?) \|", page, re.MULTILINE) for name in row.split("`")[1::2]}
    assert read <= told
    assert told - read <= {"CELERY_BROKER_URL"}


def test_services_wait_for_the_migrations(services: dict[str, dict[str, Any]]) -> None:
    for name in set(OURS) - {"migrate"}:
        waits = services[name]["depends_on"]
        assert isinstance(waits, dict)
        assert waits["migrate"]["condition"] == "service_completed_successfully"


def test_the_dockerfile_is_clean() -> None:
    done = subprocess.run(
        [program("hadolint"), "--failure-threshold", "info", "Dockerfile"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_dockerfile_copies_may_reach_the_builder() -> None:
    allowed = {line[1:] for line in REPOSITORY.joinpath(".dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", REPOSITORY.joinpath("Dockerfile").read_text(), re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    assert sources == allowed
    assert all(REPOSITORY.joinpath(source).exists() for source in sources)
