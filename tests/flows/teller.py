"""A process that tells responses on the test's database and kills itself at a step; run by test_respond."""

import os
import signal
import sys
from datetime import datetime
from typing import Any

import django

django.setup()

from django.db import connection  # noqa: E402

from decisioning.flows import respond  # noqa: E402


def dying(function: Any, before: bool) -> Any:
    """The function, with a SIGKILL to this process before or after it."""

    def called(*args: Any, **words: Any) -> Any:
        if not before:
            function(*args, **words)
        os.kill(os.getpid(), signal.SIGKILL)

    return called


def main(database: str, step: str, moment: str) -> None:
    """Tell until nothing is left, but for the kill: `stored` (nothing committed), `outcomes` (half of it is), ``."""
    connection.settings_dict["NAME"] = database
    if step == "stored":
        respond.store = dying(respond.store, before=False)
    elif step == "outcomes":
        respond._tell_messages = dying(respond._tell_messages, before=True)
    while respond.tell(datetime.fromisoformat(moment), 20):
        pass


main(*sys.argv[1:])
