"""A webhook's secrets and a body in; the three headers by which its receiver knows that we sent it, out. Pure.

Source: Standard Webhooks 1.0.0, https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
(symmetric signatures: HMAC-SHA256 over `id.timestamp.body`, RFC 2104).
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32  # the standard asks for 24 to 64


def new_secret(dice: Callable[[int], bytes]) -> str:
    """A fresh secret as receivers' libraries want it; `dice` gives so many random bytes (`secrets.token_bytes`)."""
    return PREFIX + b64encode(dice(SECRET_BYTES)).decode()


def headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """`webhook-id`, `webhook-timestamp` (Unix seconds of this attempt) and `webhook-signature`, one a secret.

    More than one secret is in force while a receiver changes over: any of the signatures will do for it.
    """
    signed = [signature(secret, message_id, timestamp, body) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signed),
    }


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the tag in base64. Raises ValueError for a secret that is none (rotate it then)."""
    key = b64decode(secret.removeprefix(PREFIX), validate=True)
    tag = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{b64encode(tag).decode()}"
