"""The machine's libraries go in; the environment in which LightGBM finds an OpenMP runtime comes out.

LightGBM's wheel needs the system's `libgomp.so.1`, which a minimal Debian has not. scikit-learn's wheel
carries one: linked under the expected name it serves both libraries, which then share one runtime.
"""

from __future__ import annotations

import ctypes
import os
import sys
from importlib.util import find_spec
from pathlib import Path

NAME = "libgomp.so.1"


def system_has_it() -> bool:
    """Whether the loader finds `libgomp.so.1` by itself (always True where it is not used, as on macOS)."""
    if not sys.platform.startswith("linux"):
        return True
    try:
        ctypes.CDLL(NAME)
    except OSError:
        return False
    return True


def bundled() -> Path | None:
    """The OpenMP runtime that scikit-learn's wheel carries, if it is installed."""
    spec = find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]).with_name("scikit_learn.libs")
    return next(iter(sorted(folder.glob("libgomp-*.so*"))), None)


def library_environment(run: Path) -> dict[str, str]:
    """Empty where the system has the library; else LD_LIBRARY_PATH with a link to the bundled one.

    It must be set before Python starts: the loader reads it once.
    """
    if system_has_it():
        return {}
    library = bundled()
    if library is None:
        return {}
    link = run / "lib" / NAME
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or link.readlink() != library:
        draft = link.with_name(f"{NAME}.{os.getpid()}")
        draft.symlink_to(library)
        draft.replace(link)
    former = os.environ.get("LD_LIBRARY_PATH", "")
    folders = [str(link.parent), *[part for part in former.split(":") if part and part != str(link.parent)]]
    return {"LD_LIBRARY_PATH": ":".join(folders)}
