"""Comes in: a customer's facts and a name. Goes out: the fact's value as plain Python, or None when it is
missing.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from rules.language.values import plain

ALIASES = {"customer_segment": "segments"}  # another name for a fact that is always there
CUSTOMER_ID = "customer_id"
SHARES = 1 << 64
MAX_BITS = 2048  # integers up to here are written in tens

Facts = Mapping[str, Any]


def fact_of(name: str, facts: Facts) -> Any:
    """The value of a fact; under its other name, or inside nested mappings, when it is not there itself."""
    value = plain(facts.get(name))
    return value if value is not None else _elsewhere(name, facts)


def _elsewhere(name: str, facts: Facts) -> Any:
    """`customer_segment` is `segments`, and `basket.total` is 5 in {"basket": {"total": 5}}."""
    if name in ALIASES:
        return plain(facts.get(ALIASES[name]))
    if "." not in name:
        return None
    found: Any = facts
    for step in name.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return plain(found)


def share_of(name: str, facts: Facts) -> int | None:
    """The customer's stable draw for a chance, 0 … 2^64 - 1, or None without a customer id.

    BLAKE2b (RFC 7693) of the chance's name and the id: the same customer gets the same draw on every machine.
    """
    customer = plain(facts.get(CUSTOMER_ID))
    if type(customer) is not str and type(customer) is not int:
        return None
    # Python refuses to write an int of thousands of digits in tens.
    if isinstance(customer, int) and customer.bit_length() > MAX_BITS:
        return draw(name, hex(customer))
    return draw(name, str(customer))


def draw(name: str, customer: str) -> int:
    """The draw for one customer id."""
    text = f"{name}\0{customer}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def limit_of(percent: float) -> int:
    """The draw below which a chance holds."""
    return int(percent * SHARES / 100)
