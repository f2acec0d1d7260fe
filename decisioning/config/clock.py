"""The product's clock: real time, moved by `DECISIONING_CLOCK_OFFSET` where data has a time of its own.

Doors (views, tasks, commands) read it once and hand the moment down; nothing below them asks for the time.
"""

from datetime import UTC, datetime, timedelta

from django.conf import settings


def now() -> datetime:
    """The moment it is for the product, in UTC."""
    return datetime.now(UTC) + timedelta(seconds=settings.CLOCK_OFFSET)
