"""API keys made and recognised: random text shown once, its SHA-256 kept."""

import secrets
from collections.abc import Sequence
from hashlib import sha256

from ..models import ApiKey

PREFIX_LENGTH = 11
SCOPES = ("decide", "track", "read", "lists")


def create(name: str, scopes: Sequence[str]) -> tuple[ApiKey, str]:
    """A new key and its whole text, which is not kept anywhere: `dk_<8 characters>_<secret>`."""
    prefix = f"dk_{secrets.token_hex(4)}"
    whole = f"{prefix}_{secrets.token_urlsafe(24)}"
    row = ApiKey.objects.create(name=name, prefix=prefix, digest=digest_of(whole), scopes=list(scopes))
    return row, whole


def digest_of(whole: str) -> str:
    """What is stored of a key: SHA-256 in hex. Keys are random, so no slow hash is needed."""
    return sha256(whole.encode()).hexdigest()
