"""Events that come with a question in; stored, and the profile they lead to waited for, before it is answered, out."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from ..store.profiles import Found, Profiles
from .asking import CUSTOMER
from .contract import DecideRequest, ErrorItem, Refused
from .take import take_events

# A consumer needs some 40 ms; whoever asks waits no longer than this.
PATIENCE, LOOK_EVERY = 0.15, 0.005
DRY: Final = "A dry_run changes nothing, so no events may come with it. Leave 'events' out, or ask with mode execute."
# What an event names a customer by who may become known through it.
NAMED: Final = ("userId", "previousId")
LATE: Final = "The events are stored, but not in the facts yet; no consumer was quick enough."


# Count so many events against the limit of whoever sends them; raises Refused where it is used up.
Spend = Callable[[int], None]


def unlimited(events: int) -> None:
    """Whoever asks has no limit of events."""


def take_first(
    request: DecideRequest,
    names: Sequence[tuple[str, str]],
    profiles: Profiles,
    now: datetime,
    spend: Spend = unlimited,
) -> list[ErrorItem]:
    """Store the events and wait until they show in the customer's profile; what was refused, or came too late.

    Raises Refused, and stores nothing, for a dry run, which could not be decided with them either, and for somebody
    whom nobody knows and none of the events is about. Over the limit nothing is stored, and the question is answered.
    """
    if request.dry_run:
        raise Refused(400, "invalid_request", DRY)
    found = profiles.find_any(names, "")
    if not any(one.get(name) == names[0][1] for one in request.events for name in NAMED):
        refuse_stranger(found, names)
    before = found.profile.version if found.profile else 0
    try:
        spend(len(request.events))
    except Refused as over:
        return [ErrorItem(over.code, over.message)]
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


def refuse_stranger(found: Found, names: Sequence[tuple[str, str]]) -> None:
    """Raise Refused where a customer is asked for whom nobody has heard of."""
    kind, value = names[0]
    if found.profile is None and found.reachable and found.complete and kind == CUSTOMER:
        cure = "Send an identify event for them first, or ask with anonymous_id."
        raise Refused(404, "unknown_customer", f"No customer has the id {value!r}. {cure}")


def _version(profiles: Profiles, names: Sequence[tuple[str, str]]) -> int:
    """The version of the customer's profile; 0 for somebody who only came into being, or is nobody yet."""
    profile = profiles.find_any(names, "").profile
    return profile.version if profile else 0
