"""What stands behind `make`: `python3 -m tools.dev COMMAND` on any Python 3.11, nothing else installed."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this is the line that says so
    sys.exit(
        f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}. "
        "On Debian: apt install python3 python3-venv. Another one: make PYTHON=python3.12 …"
    )
