"""A request body as it was sent in; the plain bytes out, never more than a bound, however well it was packed."""

import zlib

from ..flows.contract import Refused

GZIP, ZLIB, RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its `Content-Encoding`: gzip or deflate (RFC 9110, 8.4.1), once.

    Unpacking stops one byte after `limit`. Raises Refused: 413 for more, 415 for another encoding, 400 for broken data.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name in ("gzip", "x-gzip"):
        return _inflated(body, GZIP, limit)
    if name == "deflate":
        # The RFC says zlib's format; some clients leave its two-byte header out.
        return _inflated(body, ZLIB if body[:1] == b"\x78" else RAW, limit)
    raise Refused(415, "unsupported_encoding", f"Content-Encoding {name[:50]!r} is not known; use gzip or none.")


def _inflated(body: bytes, form: int, limit: int) -> bytes:
    machine = zlib.decompressobj(form)
    try:
        plain = machine.decompress(body, limit + 1)
    except zlib.error as error:
        raise Refused(400, "broken_encoding", f"The body cannot be unpacked: {error}.") from None
    if len(plain) > limit:
        raise too_large(limit)
    if not machine.eof or machine.unused_data:
        raise Refused(400, "broken_encoding", "The packed body ends too early or has something behind its end.")
    return plain


def too_large(limit: int) -> Refused:
    """The refusal of a body over its limit."""
    return Refused(413, "too_large", f"The body is larger than {limit // 1024} KiB; send less at once.")
