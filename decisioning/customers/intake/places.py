"""A request's headers or an address in; the place it came from as JSON text, "" where it is not known, out.

Two sources, both off by default: headers of a proxy in front of us, and a MaxMind DB file of the user's own. The file
is opened once a process, memory-mapped, and again when another file is put in its place. Whatever is wrong with it is
logged once and told by `/readyz`; no event and no decision ever fails for it.
Source of the format: https://maxmind.github.io/MaxMind-DB/
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import maxminddb
import msgspec
from django.conf import settings

log = logging.getLogger(__name__)

# What the doors call the address of who is connected; no client can send a header of this name.
PEER: Final = ":peer"
FORWARDED: Final = "x-forwarded-for"
# Only browsers send these, and no script in them can leave them out or forge them.
BROWSERS_OWN: Final = ("origin", "sec-fetch-site")
LONGEST: Final = 100
LOOK_SECONDS: Final = 5.0
REMEMBERED: Final = 50_000
# Cloudflare's words for an unknown country and for Tor.
NO_COUNTRY: Final = frozenset({"XX", "T1", "ZZ"})

Place = dict[str, str]
_encode = msgspec.json.Encoder().encode


class Database:
    """The file of `GEO_DATABASE`, whichever it is at the moment."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Look at the file anew the next time."""
        self.reader: maxminddb.Reader | None = None
        self.problem = ""
        self._stamp: tuple[Any, ...] | None = None
        self._until = 0.0

    def current(self) -> maxminddb.Reader | None:
        """The open file, looked at every `LOOK_SECONDS`; None without one."""
        if self._clock() >= self._until and self._lock.acquire(blocking=False):
            try:
                self._until = self._clock() + LOOK_SECONDS
                self._look(settings.GEO_DATABASE)
            finally:
                self._lock.release()
        return self.reader

    def _look(self, path: str) -> None:
        stamp = _stamp(path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        # Those who are reading in the former file go on in it; it is unmapped when the last one is done.
        self.reader, self.problem = _opened(path)
        _found.cache_clear()
        if self.problem:
            log.error("no places from GEO_DATABASE: %s", self.problem)

    def note(self, error: Exception) -> None:
        """Something in the file cannot be read; said once for each file."""
        if not self.problem:
            self.problem = f"{settings.GEO_DATABASE} is damaged ({error}); download it again."
            log.error("no places from GEO_DATABASE: %s", self.problem)


def _stamp(path: str) -> tuple[Any, ...]:
    try:
        seen = Path(path).stat() if path else None
    except OSError:
        seen = None
    return (path, seen.st_ino, seen.st_size, seen.st_mtime_ns) if seen else (path,)


def _opened(path: str) -> tuple[maxminddb.Reader | None, str]:
    if not path:
        return None, ""
    try:
        return maxminddb.open_database(path, maxminddb.MODE_AUTO), ""
    except (OSError, maxminddb.InvalidDatabaseError, ValueError) as error:
        return None, f"{path} cannot be opened ({error}); point GEO_DATABASE at a MaxMind DB file (.mmdb)."


database = Database()


def wanted() -> bool:
    """Whether places are looked for at all."""
    return bool(settings.GEO_COUNTRY_HEADER or settings.GEO_DATABASE)


def header_names() -> list[str]:
    """The headers that places are read from, in lower case; none where nothing is looked for."""
    if not wanted():
        return []
    named = (settings.GEO_COUNTRY_HEADER, settings.GEO_REGION_HEADER, settings.GEO_CITY_HEADER)
    return [name.lower() for name in named if name] + [FORWARDED, *BROWSERS_OWN]


def state() -> dict[str, Any]:
    """What `/readyz` says: whether a proxy's headers are read, which file is open, and what is wrong with it."""
    reader = database.current()
    held = reader.metadata() if reader else None
    return {
        "header": settings.GEO_COUNTRY_HEADER,
        "database": held.database_type if held else "",
        "database_built": held.build_epoch if held else None,
        "problem": database.problem,
    }


def is_own(headers: Mapping[str, str]) -> bool:
    """Whether a request was sent by the customer's own browser: it says so, in headers that scripts cannot set."""
    return any(headers.get(name) for name in BROWSERS_OWN)


def of_request(headers: Mapping[str, str]) -> str:
    """Where a request comes from: what the proxy says, completed or else told by the file for the client's address."""
    said = _said(headers)
    known = look_up(client_address(headers.get(FORWARDED, ""), headers.get(PEER, ""), settings.TRUSTED_PROXIES))
    # Two sources that disagree about the country would make up a place that does not exist.
    agreeing = known if known.get("country") == said.get("country", known.get("country")) else {}
    return _text({**agreeing, **said})


def of_address(address: str) -> str:
    """Where the file says that an address is; "" without a file, for private addresses and for what is no address."""
    return _text(look_up(address))


def look_up(address: str) -> Place:
    """The same as a mapping, empty where nothing is known. Never raises."""
    reader = database.current() if address and settings.GEO_DATABASE else None
    return _found(reader, address) if reader is not None else {}


@lru_cache(maxsize=REMEMBERED)
def _found(reader: maxminddb.Reader, address: str) -> Place:
    try:
        parsed = ip_address(address)
        if not parsed.is_global:
            return {}
        return _place(reader.get(parsed))
    except (ValueError, maxminddb.InvalidDatabaseError, KeyError, TypeError) as error:
        # An address that is none, or of a version that the file does not hold, is no fault of the file.
        if isinstance(error, maxminddb.InvalidDatabaseError):
            database.note(error)
        return {}


def _place(record: Any) -> Place:
    """A record of a GeoIP2 or GeoLite2 City or Country file: the country's ISO code, the English names of the rest."""
    if not isinstance(record, dict):
        return {}
    divisions = record.get("subdivisions")
    first = divisions[0] if isinstance(divisions, list) and divisions else None
    found = {
        "country": _member(record.get("country"), "iso_code"),
        "region": _member(_member(first, "names"), "en"),
        "city": _member(_member(record.get("city"), "names"), "en"),
    }
    return {name: value[:LONGEST] for name, value in found.items() if isinstance(value, str) and value}


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _said(headers: Mapping[str, str]) -> Place:
    """What the proxy's headers say; nothing without a country."""
    if not settings.GEO_COUNTRY_HEADER:
        return {}
    country = headers.get(settings.GEO_COUNTRY_HEADER.lower(), "").strip().upper()
    if len(country) != 2 or not country.isascii() or not country.isalpha() or country in NO_COUNTRY:
        return {}
    found = {"country": country}
    for name, header in (("region", settings.GEO_REGION_HEADER), ("city", settings.GEO_CITY_HEADER)):
        if header and (value := _plain(headers.get(header.lower(), ""))):
            found[name] = value
    return found


def _plain(text: str) -> str:
    """A header's text: names with other letters come percent-encoded, or as UTF-8 that WSGI shows as Latin-1."""
    value = unquote(text)
    with suppress(UnicodeError):
        value = value.encode("latin-1").decode()
    return value.strip()[:LONGEST] if value.isprintable() else ""


def client_address(forwarded: str, peer: str, proxies: int) -> str:
    """The address of the client behind so many proxies of ours; the one who is connected where there is none.

    Each proxy adds the address it was called from at the end of `X-Forwarded-For`; what stands further left was written
    by the client itself.
    """
    chain = [*forwarded.split(","), peer] if proxies and forwarded else [peer]
    return _bare(chain[-proxies - 1] if proxies < len(chain) else chain[0])


def _bare(address: str) -> str:
    """Without the port, brackets and quotes that some proxies write."""
    plain = address.strip().strip('"')
    if plain.startswith("["):
        return plain[1:].partition("]")[0]
    return plain.partition(":")[0] if plain.count(":") == 1 else plain


def _text(place: Place) -> str:
    return _encode(place).decode() if place else ""
