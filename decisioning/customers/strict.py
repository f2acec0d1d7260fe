"""A JSON text in; nothing out when PostgreSQL and every later reader can keep it, else a ValueError that says why."""

import re
from typing import Any

DEEPEST = 32
# An escaped NUL, but not the harmless text of a backslash followed by "u0000".
NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def refuse_nul(raw: bytes) -> None:
    """Text in PostgreSQL cannot hold U+0000."""
    if b"\\u0000" in raw and NUL.search(raw):
        raise ValueError("There is a NUL character (\\u0000) in it, which text in PostgreSQL cannot hold.")


def refuse_depth(value: Any, raw: bytes, deepest: int = DEEPEST) -> None:
    """Pages, workers and databases walk a value by recursion; `raw` lets the usual small ones pass unwalked."""
    if raw.count(b"[") + raw.count(b"{") <= deepest:
        return
    layer, depth = [value], 0
    while layer:
        depth += 1
        if depth > deepest:
            raise ValueError(f"It is nested deeper than {deepest} levels; send it flatter.")
        layer = [
            child
            for part in layer
            for child in (part.values() if isinstance(part, dict) else part if isinstance(part, list) else ())
            if isinstance(child, dict | list)
        ]
