"""Nothing goes in; servers are brought up or down, what they keep is deleted, requirements are locked."""

from __future__ import annotations

import shlex
import shutil
import signal
from pathlib import Path

from tools.dev import bootstrap, strays
from tools.dev.environment import MARK, product_environment, published
from tools.devstack import processes
from tools.devstack.places import Profile, StackError, known_profiles, profile, run_folder
from tools.devstack.stack import start, status, stop

SUPERVISOR_STEPS = [(signal.SIGTERM, 20.0), (signal.SIGKILL, 3.0)]
# In this order: the later ones are constrained (-c) by the earlier.
LOCKED = ("bootstrap", "base", "demo", "embedded", "kafka", "s3", "dev", "e2e", "bench")


def up() -> int:
    """Start the demo's PostgreSQL and Valkey only; they stay until `make down`."""
    place = profile("demo")
    for name, value in start(place, keep=True).items():
        print(f"{name}={value}")
    print("\n".join(status(place)))
    return 0


def env(words: list[str]) -> int:
    """Start a profile's servers to stay, and print what a shell must export to run `manage.py` on them."""
    place = profile(words[0] if words else "demo")
    variables = published(place) or product_environment(place, start(place, keep=True))
    variables.pop(MARK)  # a shell is nobody's stray
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def down() -> int:
    """Stop whatever of ours runs in this tree, in every profile."""
    results = [_take_down(place) for place in known_profiles()]
    print("── Nothing of this tree runs any more." if all(results) else "── Something did not stop; see above.")
    return 0 if all(results) else 1


def reset() -> int:
    """Stop everything and delete all data (`.run/`)."""
    if down() != 0:
        return 1
    folder = run_folder()
    for link in folder.glob("*/*"):
        # As root without user namespaces, the data may live outside a private repository.
        if link.is_symlink() and link.resolve().parent.parent == Path("/var/tmp"):  # noqa: S108
            shutil.rmtree(link.resolve().parent, ignore_errors=True)
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except PermissionError as error:
        raise StackError(f"{error.filename} belongs to another user; run `make reset` as that user.") from error
    print(f"── {folder} is gone; the next start begins anew.")
    return 0


def lock() -> int:
    """Compile every requirements/*.in into its hash-locked *.txt."""
    for name in LOCKED:
        source = bootstrap.REQUIREMENTS / f"{name}.in"
        if not source.exists():
            continue
        options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"]
        target = source.with_suffix(".txt")
        bootstrap.uv(
            ["pip", "compile", "--quiet", *options, source.relative_to(bootstrap.REPOSITORY),
             "-o", target.relative_to(bootstrap.REPOSITORY)],
            f"{source.name} could not be compiled.",
        )  # fmt: skip
        print(f"── {target.relative_to(bootstrap.REPOSITORY)}")
    return 0


def _take_down(place: Profile) -> bool:
    if supervisor := processes.recall(place.record("supervisor")):
        processes.stop(supervisor, SUPERVISOR_STEPS)
    strays.end(place)
    return stop(place)
