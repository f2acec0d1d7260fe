"""Events that come with a question in; stored, and the profile they lead to waited for, before it is answered, out."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from ..store.profiles import Profiles
from .contract import DecideRequest, ErrorItem, Refused
from .take import take_events

# A consumer needs some 40 ms; whoever asks waits no longer than this.
PATIENCE, LOOK_EVERY = 0.15, 0.005
DRY: Final = "A dry_run changes nothing, so no events may come with it. Leave 'events' out, or ask with mode execute."
LATE: Final = "The events are stored, but not in the facts yet; no consumer was quick enough."


def take_first(
    request: DecideRequest, names: Sequence[tuple[str, str]], profiles: Profiles, now: datetime
) -> list[ErrorItem]:
    """Store the events and wait until they show in the customer's profile; what was refused, or came too late.

    Raises Refused for a dry run, which stores nothing and so could not be decided with them either.
    """
    if request.dry_run:
        raise Refused(400, "invalid_request", DRY)
    before = _version(profiles, names)
    status, answer = take_events(msgspec.json.encode({"batch": request.events}), "batch", now)
    said = msgspec.json.decode(answer)
    refused = [ErrorItem(one["code"], f"events[{one['index']}]: {one['message']}") for one in said.get("errors", ())]
    if status != 200:
        return refused or [ErrorItem(said["error"]["code"], said["error"]["message"])]
    if not said["added"]:
        return refused
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if _version(profiles, names) > before:
            return refused
        time.sleep(LOOK_EVERY)
    return [*refused, ErrorItem("events_late", LATE)]


def _version(profiles: Profiles, names: Sequence[tuple[str, str]]) -> int:
    """The version of the customer's profile; 0 for somebody who only came into being, or is nobody yet."""
    profile = profiles.find_any(names, "").profile
    return profile.version if profile else 0
