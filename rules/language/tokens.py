"""Comes in: a token of the parser. Goes out: its place, its words, or the text between its quotes."""

from lark import Token

from rules.language.errors import Place, RuleError
from rules.language.limits import MAX_STRING
from rules.language.quoting import unquote


def place_of(token: Token) -> Place:
    """Where a token stands."""
    line, column = token.line or 1, token.column or 1
    return Place(line, column, column + width_of(token))


def width_of(token: str) -> int:
    """How many characters to underline: a keyword of two words may go over several lines."""
    return max(1, len(token.split("\n", 1)[0].rstrip("\r")))


def words_of(token: Token) -> str:
    """A keyword as the operator table spells it: upper case, one space."""
    return " ".join(token.upper().split())


def text_of(token: Token) -> str:
    """The text between a token's quotes, within its limit."""
    if len(token) > MAX_STRING + 2:
        message = f"A text has {len(token) - 2:,} characters; the limit is {MAX_STRING:,} (MAX_STRING)."
        raise RuleError.at(place_of(token), message)
    try:
        return unquote(token)
    except ValueError:
        raise RuleError.at(place_of(token), "A \\u escape is half of a surrogate pair.") from None


def name_of(token: Token) -> str:
    """A name, quoted or not."""
    name = text_of(token) if token.type == "STRING" else str(token)
    if not name.strip():
        raise RuleError.at(place_of(token), "A name is empty.")
    return name
