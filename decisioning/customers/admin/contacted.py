"""A customer in; what they were sent, and what they saw of contents with a cap, for their page, out."""

import logging
from dataclasses import dataclass
from typing import Final

import redis

from decisioning.store import contacts
from decisioning.store.profiles import CONTENT

from ..models import Customer

log = logging.getLogger(__name__)

LATEST: Final = 10
KINDS: Final = {contacts.MESSAGE: "message", CONTENT: "content"}


@dataclass(frozen=True, slots=True)
class Contacted:
    """The newest contacts, newest first; `away` where nobody can read them now."""

    rows: tuple[tuple[contacts.Contact, str], ...] = ()
    away: bool = False


def contacts_of(customer: Customer) -> Contacted:
    """What counts in limits and caps, with the name of each kind."""
    try:
        found = contacts.recent(customer.merged_into_id or customer.pk, LATEST)
    except redis.RedisError as error:
        log.warning("contacts of customer %s cannot be read: %s", customer.pk, error)
        return Contacted(away=True)
    return Contacted(tuple((one, KINDS.get(one.kind, one.kind)) for one in found))
