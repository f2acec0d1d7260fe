"""What made somebody enter or leave in; how a page says it, with the event to look at, out."""

import re
from typing import Final, NamedTuple

from django.urls import reverse

from ..models import How

# What an event's reason ends with: its message id.
MESSAGE: Final = re.compile(r"^(?P<name>.*) \((?P<id>.+)\)$", re.S)


class Told(NamedTuple):
    """A reason in words, and the address of the event it names ("" where it names none)."""

    words: str
    url: str = ""


def told(how: str, by: str) -> Told:
    """The reason of an entry or exit."""
    if not how:
        return Told(by or "Not recorded")
    if how == How.EVENT:
        found = MESSAGE.match(by)
        page = reverse("admin:customers_event_changelist", query={"message": found["id"]}) if found else ""
        return Told(by or "An event", page)
    label = str(How(how).label).capitalize() if how in How.values else how
    return Told(f"{label}: {by}" if by else label)
