"""Environment variables in, typed settings out; a value that cannot be read stops the start with its name."""

import os

from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def text(name: str, default: str | None = None) -> str:
    """The variable's text; without a default it must be set."""
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(f"Set the environment variable {name}; docs/stack.md lists them all.")
    return value


def whole(name: str, default: int) -> int:
    """The variable as a whole number."""
    raw = os.environ.get(name, str(default))
    try:
        return int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {raw!r}.") from None


def fraction(name: str, default: float) -> float:
    """The variable as a number above 0."""
    raw = os.environ.get(name, str(default))
    try:
        value = float(raw)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ImproperlyConfigured(f"{name} must be a number above 0, not {raw!r}.")
    return value


def flag(name: str, default: bool) -> bool:
    """The variable as yes or no."""
    raw = os.environ.get(name, "1" if default else "0").strip().lower()
    if raw not in TRUE | FALSE:
        raise ImproperlyConfigured(f"{name} must be one of 1, 0, true, false, yes, no; not {raw!r}.")
    return raw in TRUE


def words(name: str, default: str = "") -> list[str]:
    """The variable as a comma-separated list."""
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def database(name: str) -> dict[str, object]:
    """A libpq address (URL or key=value form) as Django's DATABASES entry.

    Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
    """
    try:
        parts = conninfo_to_dict(text(name))
    except ProgrammingError as error:
        raise ImproperlyConfigured(f"{name} is not a PostgreSQL address: {error}") from None
    known = {key: parts.pop(key, "") for key in ("dbname", "user", "password", "host", "port")}
    options = {"connect_timeout": 2, **parts}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": known["dbname"],
        "USER": known["user"],
        "PASSWORD": known["password"],
        "HOST": known["host"],
        "PORT": known["port"],
        "OPTIONS": options,
    }
