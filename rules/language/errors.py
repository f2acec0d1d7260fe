"""Comes in: what is wrong with a text and where. Goes out: one error a marketer can read and an editor can
underline.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the text: 1-based line and column, `end_column` just behind its last
    character.
    """

    line: int = 1
    column: int = 1
    end_column: int = 1


NOWHERE = Place()


class RuleError(ValueError):
    """A text that is not a rule.

    `line`, `column` and `end_column` count from 1 and always lie inside the text; `expected` holds what could
    have stood there, in the words of the language; `hint` says the cure, when there is an obvious one.
    """

    def __init__(
        self,
        message: str,
        line: int = 1,
        column: int = 1,
        end_column: int | None = None,
        expected: tuple[str, ...] = (),
        hint: str | None = None,
    ) -> None:
        self.message = message
        self.line = line
        self.column = column
        self.end_column = end_column if end_column is not None else column + 1
        self.expected = expected
        self.hint = hint
        super().__init__(message, line, column, end_column, expected, hint)

    @classmethod
    def at(cls, place: Place, message: str, hint: str | None = None) -> "RuleError":
        """The error for the piece of text standing at `place`."""
        return cls(message, place.line, place.column, place.end_column, hint=hint)

    def __str__(self) -> str:
        parts = [f"Line {self.line}, column {self.column}: {self.message}"]
        if self.expected:
            parts.append(f"Expected {listing(self.expected)}.")
        if self.hint:
            parts.append(self.hint)
        return " ".join(parts)

    def caret(self, text: str) -> str:
        """The offending line of `text` with carets under the offending characters."""
        lines = text.split("\n")
        line = lines[min(self.line, len(lines)) - 1].rstrip("\r")
        width = max(1, min(self.end_column, len(line) + 1) - self.column)
        margin = "".join("\t" if sign == "\t" else " " for sign in line[: self.column - 1])
        return f"{line}\n{margin}{'^' * width}"


def listing(words: tuple[str, ...], limit: int = 8) -> str:
    """`a, b or c`; at most `limit` of them."""
    shown = list(words[:limit])
    if len(words) > limit:
        return ", ".join(shown) + ", …"
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " or " + shown[-1]
