"""A unit and a salt in, a number in [0, 1) out: the same dice on every machine and on every replay."""

from hashlib import blake2b


def bucket(unit: str, salt: str) -> float:
    """A uniform number in [0, 1), fixed by `unit` and `salt` (BLAKE2b, 53 bits; RFC 7693)."""
    digest = blake2b(f"{salt}\x1f{unit}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
