"""A token in an image's address in; an outcome, counted once, and a word for what became of it, out."""

import logging
from datetime import datetime
from hashlib import blake2b
from typing import Final, get_args

from django.db import DatabaseError, InterfaceError

from ..store import tokens
from .take import BAD_TOKEN, TOKENS, UNKNOWN_TYPE, Count, Kind, count_refused, ignored, keep_outcomes, row_of

log = logging.getLogger(__name__)

LONGEST: Final = 400  # characters of a token
STORED, AWAY = "stored", "unavailable"
PIXEL: Final = "pixel"


def seen(token: str, kind: str, now: datetime, count: Count = ignored) -> str:
    """Keep the outcome; `stored` also when it was known already, for one token and type count once.

    The others say why nothing was kept: `bad_token`, `unknown_type`, `unavailable`. Nothing is raised. There is no
    value: whoever holds the address could write any into it, so values come by `POST /v1/outcomes` with a key.
    """
    if kind not in get_args(Kind):
        count(TOKENS, f"{UNKNOWN_TYPE} {PIXEL}", now)
        return UNKNOWN_TYPE
    try:
        # Named by what the token means, never by its text: one decision and content count once for each type.
        decision_id, content = tokens.read(token[: LONGEST + 1])
        name = blake2b(decision_id.bytes + content.encode(), digest_size=16).hexdigest()
        row = row_of(token, kind, f"pixel-{kind}-{name}", now)
    except (tokens.BadToken, UnicodeError) as error:
        count_refused(error, PIXEL, now, count)
        return BAD_TOKEN
    try:
        keep_outcomes([row])
    except (DatabaseError, InterfaceError) as error:
        log.error("a pixel's outcome was not kept: %s", error)
        count("outcomes", "pixel_lost", now)
        return AWAY
    return STORED
