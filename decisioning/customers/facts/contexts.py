"""The JSON text of an event's context comes in; on which device, where and in which language it happened comes out.

Read are `device`, `os`, `userAgent`, `location`, `timezone` and `locale` of the Segment Spec's common fields
(https://segment.com/docs/connections/spec/common/). What a browser calls itself is read with the patterns of the
uap-core project. Nothing a sender can write raises: a value of a wrong type is one that was not told.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec
import ua_parser

from decisioning.customers.facts.properties import UNREADABLE, as_text, read_object

LONGEST: Final = 100  # characters of any text that is kept
LONGEST_AGENT: Final = 512
DEVICES: Final = ("desktop", "mobile", "tablet", "tv", "other")


class Where(NamedTuple):
    """What a context tells; "" for what it does not. A device is known as soon as anything is known of it."""

    device: str = ""
    os: str = ""
    browser: str = ""
    country: str = ""
    region: str = ""
    city: str = ""
    locale: str = ""
    time_zone: str = ""


UNITS: Final = (slice(0, 3), slice(3, 6), slice(6, 7), slice(7, 8))
"""What is told together, and so overwritten together: the device, the place, the language, the time zone."""
NOWHERE: Final = Where()


class _Device(msgspec.Struct, gc=False):
    type: str | None = None
    model: str | None = None


class _System(msgspec.Struct, gc=False):
    name: str | None = None


class _Place(msgspec.Struct, gc=False):
    country: str | None = None
    region: str | None = None
    city: str | None = None


class _Context(msgspec.Struct, gc=False):
    device: _Device | None = None
    os: _System | None = None
    userAgent: str | None = None
    location: _Place | None = None
    timezone: str | None = None
    locale: str | None = None


_strict: Final = msgspec.json.Decoder(_Context)


@lru_cache(maxsize=4096)
def read_context(text: str) -> Where:
    """What the context tells; events of one visit bring the same one, so the last few thousand are kept."""
    if text == "{}":
        return NOWHERE
    try:
        told = _strict.decode(text)
    except UNREADABLE:
        told = _lenient(read_object(text))
    agent = agent_of((told.userAgent or "")[:LONGEST_AGENT])
    device, place = told.device or _Device(), told.location or _Place()
    system = tidy(told.os.name if told.os else None) or agent[1]
    system = "iOS" if system == "iPhone OS" else system
    kind = kind_of(tidy(device.type), tidy(device.model)) or agent[0] or SYSTEMS.get(system, "other" if system else "")
    country = tidy(place.country)
    return Where(
        kind,
        system,
        agent[2],
        country.upper() if len(country) == 2 else country,
        tidy(place.region),
        tidy(place.city),
        tidy(told.locale),
        tidy(told.timezone),
    )


def _lenient(context: dict[str, object]) -> _Context:
    """The context value by value."""
    parts = {name: found for name in ("device", "os", "location") if isinstance(found := context.get(name), dict)}
    device, system, place = (parts.get(name, {}) for name in ("device", "os", "location"))
    return _Context(
        _Device(as_text(device.get("type")), as_text(device.get("model"))),
        _System(as_text(system.get("name"))),
        as_text(context.get("userAgent")),
        _Place(*(as_text(place.get(name)) for name in ("country", "region", "city"))),
        as_text(context.get("timezone")),
        as_text(context.get("locale")),
    )


def tidy(text: str | None) -> str:
    """The text on one line, without space around it, cut to `LONGEST`."""
    return " ".join(text[: 4 * LONGEST].split())[:LONGEST].rstrip() if text else ""


# -- devices

WORDS: Final = {
    "desktop": "desktop",
    "computer": "desktop",
    "pc": "desktop",
    "laptop": "desktop",
    "macos": "desktop",
    "windows": "desktop",
    "mobile": "mobile",
    "phone": "mobile",
    "smartphone": "mobile",
    "android": "mobile",
    "ios": "mobile",
    "iphone": "mobile",
    "tablet": "tablet",
    "ipad": "tablet",
    "ipados": "tablet",
    "tv": "tv",
    "smarttv": "tv",
    "smart tv": "tv",
    "tvos": "tv",
}
SYSTEMS: Final = {
    "Android": "mobile",
    "iOS": "mobile",
    "Windows": "desktop",
    "Mac OS X": "desktop",
    "macOS": "desktop",
    "Linux": "desktop",
    "Ubuntu": "desktop",
    "Chrome OS": "desktop",
    "tvOS": "tv",
}
TV: Final = re.compile(r"\bTV\b|SmartTV|SMART-TV|AppleTV|GoogleTV|HbbTV|Web0S|Roku|BRAVIA|CrKey|\bAFT[A-Z]", re.I)
TABLET: Final = re.compile(r"iPad|Tablet|Kindle|Silk/|PlayBook|Android(?!.*Mobile)", re.I)
PHONE: Final = re.compile(r"Mobi|iPhone|iPod|Windows Phone", re.I)
DESKTOP: Final = re.compile(r"Windows NT|Macintosh|X11|Linux|CrOS", re.I)


def kind_of(told: str, model: str) -> str:
    """One of `DEVICES` for what an app calls its device; "" when it tells none of them.

    An app's libraries tell the system instead of the kind, so a tablet shows in its model alone.
    """
    kind = WORDS.get(told.casefold(), "")
    return "tablet" if kind == "mobile" and model.startswith("iPad") else kind


@lru_cache(maxsize=8192)
def agent_of(text: str) -> tuple[str, str, str]:
    """Device (one of `DEVICES`), system and browser of a User-Agent text; "" for what is unknown."""
    if not text:
        return "", "", ""
    found = ua_parser.parse(text)
    system = tidy(found.os.family) if found.os else ""
    browser = tidy(found.user_agent.family) if found.user_agent else ""
    for kind, pattern in (("tv", TV), ("tablet", TABLET), ("mobile", PHONE), ("desktop", DESKTOP)):
        if pattern.search(text):
            return kind, system, browser
    return "other", system, browser
