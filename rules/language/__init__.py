"""The rule language: text in, frozen nodes, and one meaning for one customer and for a million.

Knows no framework. Everything below is the public face; see docs/rules.md.
"""

from rules.language.check import check
from rules.language.errors import RuleError
from rules.language.evaluate import matches
from rules.language.explain import explain
from rules.language.frames import matching_frame
from rules.language.index import RuleIndex
from rules.language.layout import format
from rules.language.parser import parse

__all__ = ["RuleError", "RuleIndex", "check", "explain", "format", "matches", "matching_frame", "parse"]
