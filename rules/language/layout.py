"""Comes in: nodes, and the text they came from if its comments matter. Goes out: the text, laid out in lines.

A rule takes a line for IF, one for THEN and one for ELSE; a long condition takes a line per part of its AND or OR.
A comment keeps its words and stands on a line of its own, above the part it stood before or beside.
"""

import re
from dataclasses import dataclass

from rules.language import nodes
from rules.language.errors import Place
from rules.language.printer import actions_text, condition_text, part_texts

WIDTH = 100
_COMMENTS = re.compile(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*')


@dataclass(frozen=True, slots=True)
class _Piece:
    """One line to be, and where it began in the text it came from."""

    lead: str
    text: str
    at: Place


@dataclass(frozen=True, slots=True)
class _Comment:
    line: int
    column: int
    text: str


def format(node: nodes.Node, source: str | None = None) -> str:
    """The canonical text of a condition or a rule.

    Parsing it gives equal nodes, and formatting those the same text. Nodes hold no comments; with `source`, the
    text that `node` was parsed from, its comments are kept.
    """
    comments = [] if source is None else _comments(source)
    pieces = _pieces(node, bool(comments))
    above: dict[int, list[str]] = {}
    for comment in comments:
        above.setdefault(_belongs_to(comment, pieces), []).append(comment.text)
    lines: list[str] = []
    for place, piece in enumerate(pieces):
        lines += above.get(place, [])
        lines.append(f"{piece.lead}{piece.text}")
    return "\n".join(lines + above.get(len(pieces), []))


def _pieces(node: nodes.Node, spread: bool) -> list[_Piece]:
    if not isinstance(node, nodes.Rule):
        return _condition(node, "", spread)
    pieces = _condition(node.condition, "IF ", spread)
    pieces.append(_Piece("THEN ", actions_text(node.then), node.then[0].at))
    if node.otherwise:
        pieces.append(_Piece("ELSE ", actions_text(node.otherwise), node.otherwise[0].at))
    return pieces


def _condition(condition: nodes.Condition, lead: str, spread: bool) -> list[_Piece]:
    whole = condition_text(condition)
    if not isinstance(condition, nodes.All | nodes.Any) or not (spread or len(whole) > WIDTH):
        return [_Piece(lead, whole, condition.at)]
    word = "AND" if isinstance(condition, nodes.All) else "OR"
    leads = [lead, *[f"{' ' * len(lead)}{word} "] * (len(condition.parts) - 1)]
    texts = part_texts(condition)
    return [_Piece(*told, part.at) for told, part in zip(zip(leads, texts, strict=True), condition.parts, strict=True)]


def _comments(source: str) -> list[_Comment]:
    found = []
    for match in _COMMENTS.finditer(source):
        if match[0].startswith("#"):
            line = source.count("\n", 0, match.start()) + 1
            column = match.start() - source.rfind("\n", 0, match.start())
            found.append(_Comment(line, column, match[0].rstrip()))
    return found


def _belongs_to(comment: _Comment, pieces: list[_Piece]) -> int:
    """The piece that began on the comment's line before it, else the next one after it."""
    beside = [n for n, piece in enumerate(pieces) if piece.at.line == comment.line and piece.at.column < comment.column]
    if beside:
        return beside[-1]
    return sum((piece.at.line, piece.at.column) < (comment.line, comment.column) for piece in pieces)
