"""API keys made, followed by others and recognised: random text shown once, its SHA-256 kept."""

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import transaction

from ..models import ApiKey

PREFIX_LENGTH = 11
SCOPES = ("decide", "track", "read", "lists", "manage")
# Whoever may change the configuration sees it and the people it is about, too.
INCLUDED: Mapping[str, tuple[str, ...]] = {"manage": ("read", "lists")}
# Pages hand their key to everybody who opens them.
PUBLIC_SCOPES = frozenset({"decide", "track"})
ANYWHERE = "*"
MOST_ORIGINS = 50
# What a key's successor takes over.
SETTINGS = ("name", "scopes", "origins", "decide_rate", "outcome_rate", "event_rate")

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*\.?|\[[0-9a-f:.]+\]")


def create(name: str, scopes: Sequence[str], **settings: Any) -> tuple[ApiKey, str]:
    """A new key and its whole text, which is not kept anywhere: `dk_<8 characters>_<secret>`.

    `settings` are further fields of the row. Raises ValidationError for what is no origin.
    """
    settings["origins"] = [origin_of(one) for one in settings.get("origins", ())]
    prefix = f"dk_{secrets.token_hex(4)}"
    whole = f"{prefix}_{secrets.token_urlsafe(24)}"
    row = ApiKey.objects.create(name=name, prefix=prefix, digest=digest_of(whole), scopes=list(scopes), **settings)
    return row, whole


def digest_of(whole: str) -> str:
    """What is stored of a key: SHA-256 in hex. Keys are random, so no slow hash is needed."""
    return sha256(whole.encode(errors="surrogatepass")).hexdigest()


def rotate(pk: int, overlap: timedelta, now: datetime) -> tuple[ApiKey, str]:
    """A successor that may do the same, and its whole text; the key itself ends when `overlap` is over.

    A key that had an end is followed by one that lives as long from now on. Raises ValidationError for a key that was
    rotated before, switched off or expired.
    """
    with transaction.atomic():
        old = ApiKey.objects.select_for_update().get(pk=pk)
        if ApiKey.objects.filter(predecessor=old).exists():
            raise ValidationError("This key was rotated before. Rotate the key that followed it.")
        if not old.active or (old.expires_at is not None and old.expires_at <= now):
            raise ValidationError("This key is not in force any more. Make a new key instead.")
        life = old.expires_at - old.created_at if old.expires_at else None
        taken_over = {name: getattr(old, name) for name in SETTINGS}
        new, whole = create(**taken_over, predecessor=old, expires_at=now + life if life else None)
        old.expires_at = min(now + overlap, old.expires_at or now + overlap)
        old.save(update_fields=["expires_at"])
    return new, whole


def origin_of(text: str) -> str:
    """An origin as browsers send it: `https://shop.example` or `http://localhost:3000`. Raises ValidationError.

    Lower case, international names in their ASCII form, no port where it is the usual one, no path.
    Source: RFC 6454, section 6.1.
    """
    if text == ANYWHERE:
        return text
    advice = "Write it as the browser sends it, for example https://shop.example or http://localhost:3000."
    try:
        parts = urlsplit(text)
        port = parts.port
        host = _host_of(parts.hostname or "")
    except ValueError:
        raise ValidationError(f"{text[:100]!r} is no origin. {advice}") from None
    usable = text.isprintable() and not re.search(r"\s", text) and parts.scheme in _PORTS and _HOST.fullmatch(host)
    more = parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None
    if not usable or more or set(text) & set("?#*,;'\"\\"):
        raise ValidationError(f"{text[:100]!r} is no origin. {advice}")
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, _PORTS[parts.scheme]) else "")


def _host_of(name: str) -> str:
    if ":" in name:
        return f"[{name}]"
    return name.encode("idna").decode().lower() if not name.isascii() else name


def refuse_settings(scopes: Sequence[str], origins: Sequence[str]) -> None:
    """Raise ValidationError for a key that pages would show to everybody and that may do more than pages need."""
    if len(origins) > MOST_ORIGINS:
        raise ValidationError(f"At most {MOST_ORIGINS} origins a key; make another key for the rest.")
    if origins and (more := sorted(set(scopes) - PUBLIC_SCOPES)):
        raise ValidationError(
            f"A key with origins stands in pages that anybody can read, so it may only decide and track, not "
            f"{' or '.join(more)}. Take the origins away, or make a second key."
        )
