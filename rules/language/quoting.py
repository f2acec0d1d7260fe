"""Comes in: the characters between (and with) two double quotes. Goes out: the text they stand for, and back.

Texts use the escapes of JSON (RFC 8259, section 7). Patterns are raw, so `"^\\d+$"` needs no doubled
backslash: only `\\"` stands for a quote.
"""

import json
import re

_PAIR = re.compile(r'\\.|"|[\x00-\x1f\x7f\x85\u2028\u2029]', re.DOTALL)
_CONTROL = re.compile(r"[\x7f\x85\u2028\u2029\ud800-\udfff]")


def unquote(quoted: str) -> str:
    """The text of a quoted literal; raises ValueError for half of a surrogate pair."""
    if "\\" not in quoted:
        return quoted[1:-1]
    text: str = json.loads(quoted)
    text.encode()
    return text


def quote(text: str) -> str:
    """The literal for a text."""
    return _CONTROL.sub(lambda sign: f"\\u{ord(sign[0]):04x}", json.dumps(text, ensure_ascii=False))


def unquote_pattern(quoted: str) -> str:
    """The pattern of a quoted literal: everything as written, but `\\"` for a quote."""
    return _PAIR.sub(lambda pair: '"' if pair[0] == '\\"' else pair[0], quoted[1:-1])


def quote_pattern(pattern: str) -> str:
    """The literal for a pattern; control characters become RE2's own escapes."""
    return '"' + _PAIR.sub(_pattern_escape, pattern) + '"'


def _pattern_escape(pair: re.Match[str]) -> str:
    sign = pair[0][-1]
    if sign == '"':
        return '\\"'
    return f"\\x{{{ord(sign):x}}}" if ord(sign) < 32 or sign in "\x7f\x85\u2028\u2029" else pair[0]
