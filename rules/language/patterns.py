"""Comes in: the pattern of a MATCHES test. Goes out: a compiled RE2 program, linear in time whatever the
text.

RE2 (https://github.com/google/re2) has no backtracking, hence no look-around and no back-references.
"""

from functools import lru_cache
from typing import Any

import re2

from rules.language.errors import NOWHERE, Place, RuleError
from rules.language.limits import MAX_PATTERN

MEMORY = 1 << 20  # bytes RE2 may spend on one program


def compile_pattern(pattern: str, place: Place = NOWHERE) -> Any:
    """The program for `pattern`; raises `RuleError` when it is no pattern or longer than the limit."""
    if len(pattern) > MAX_PATTERN:
        raise RuleError.at(
            place, f"A pattern has {len(pattern):,} characters; the limit is {MAX_PATTERN} (MAX_PATTERN)."
        )
    try:
        return program(pattern, False)
    except (re2.error, UnicodeEncodeError) as problem:
        reason = problem.args[0] if problem.args else "not valid"
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        hint = "Patterns are RE2: no look-around and no back-references."
        raise RuleError.at(place, f"The pattern cannot be read: {reason}.", hint) from None


@lru_cache(maxsize=4096)
def program(pattern: str, ignoring_case: bool) -> Any:
    """The compiled program, shared by every rule that uses the pattern."""
    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    options.case_sensitive = not ignoring_case
    return re2.compile(pattern, options)
