"""PostgreSQL and Valkey for one machine: `with stack("test") as env:` gives servers and how to reach them.

Both run from wheels (or from the machine's own programs), listen on unix sockets in a short private
folder, and keep their data in the git-ignored `.run/<profile>/`. `python -m tools.devstack --help`.
"""

from tools.devstack.places import Profile, StackError, known_profiles, profile
from tools.devstack.stack import environment, stack, start, status, stop

__all__ = [
    "Profile",
    "StackError",
    "environment",
    "known_profiles",
    "profile",
    "stack",
    "start",
    "status",
    "stop",
]
