"""Outcome tokens: which decision and content an outcome belongs to, signed, so that no look-up is needed.

A token is base64url of 16 bytes of decision id, the content key, and 12 bytes of tag.
"""

from base64 import b64decode, urlsafe_b64encode
from uuid import UUID

from .signing import sign, verify

TAG_BYTES = 12
PURPOSE = "outcome"


UNREADABLE, FORGED = "unreadable", "forged"


class BadToken(ValueError):
    """The token is not one of ours; the message is safe to show. `why` is how it is counted."""

    def __init__(self, why: str, message: str) -> None:
        super().__init__(message)
        self.why = why


def issue(decision_id: UUID, content: str) -> str:
    """The token an app sends back with an impression, click or conversion."""
    body = decision_id.bytes + content.encode()
    return _text(body + sign(PURPOSE, body)[:TAG_BYTES])


def read(token: str) -> tuple[UUID, str]:
    """The decision and content key of a token; raises BadToken for anything not issued by us."""
    try:
        raw = b64decode(token + "=" * (-len(token) % 4), altchars="-_", validate=True)
    except ValueError:
        raise BadToken(UNREADABLE, "The token is not readable; send it back exactly as the decision gave it.") from None
    if _text(raw) != token:
        # The last character holds bits that no byte needs, and some read `+`, `/` and `=` too: another text that means
        # the same would be another name for it wherever tokens are compared.
        raise BadToken(UNREADABLE, "The token is not written as we write it; send it back exactly as it was given.")
    body, tag = raw[:-TAG_BYTES], raw[-TAG_BYTES:]
    if len(body) <= 16:
        raise BadToken(UNREADABLE, "The token is too short; send it back exactly as the decision gave it.")
    if not verify(PURPOSE, body, tag):
        raise BadToken(FORGED, "The token was not issued here; send it back exactly as the decision gave it.")
    return UUID(bytes=body[:16]), body[16:].decode()


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
