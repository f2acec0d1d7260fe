"""What was found wrong, in plain words with a cure and examples to look at: the shape that all checks answer in."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

NOTHING, LOOK, MEND = 0, 1, 2
EXAMPLES: Final = 5


class Example(msgspec.Struct, frozen=True, omit_defaults=True):
    """One place to look at: a customer (id), an event (id), or a question to the explorer, with the value found."""

    said: str
    customer: int = 0
    event: str = ""
    asks: dict[str, str] = {}


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong. `code` is stable; `severity` is 1 look, 2 mend (0: worth knowing); `cure` says how.

    `count` is how many customers or events it is about.
    """

    code: str
    severity: int
    text: str
    cure: str = ""
    count: int = 0
    examples: list[Example] = []


class Report(msgspec.Struct, frozen=True):
    """Everything found about one fact or one event; `figures` are JSON-able numbers for tables and pictures."""

    kind: str
    name: str
    figures: dict[str, Any]
    findings: list[Finding]

    @property
    def severity(self) -> int:
        """That of the worst finding."""
        return max((finding.severity for finding in self.findings), default=NOTHING)

    def stored(self) -> dict[str, Any]:
        """What is kept of it: JSON-able."""
        ordered = sorted(self.findings, key=lambda finding: -finding.severity)
        told: dict[str, Any] = msgspec.to_builtins({"figures": self.figures, "findings": ordered})
        return told


def findings_of(stored: dict[str, Any]) -> list[Finding]:
    """The findings of a stored report; what another version wrote and this one cannot read is left out."""
    found = []
    for each in stored.get("findings", []):
        try:
            found.append(msgspec.convert(each, Finding))
        except msgspec.ValidationError:
            continue
    return found


def first(examples: Iterable[Example]) -> list[Example]:
    """As many as are kept."""
    return [example for example, _ in zip(examples, range(EXAMPLES), strict=False)]


def percent(share: float) -> str:
    """A share for people: 12 %, 0.3 %, never 0 % of something."""
    if 0 < share < 0.0005:
        return "less than 0.1 %"
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f}".removesuffix(".0") + " %"


def amount(value: float) -> str:
    """A number for people: whole ones without digits, others with four that tell."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def beyond(low: float, high: float, least: float, most: float) -> str:
    """Where outliers lie, in words: above, below, or on both sides of a fence."""
    if least >= low:
        return f"above {amount(high)}"
    return f"outside {amount(low)} to {amount(high)}" if most > high else f"below {amount(low)}"


def many(count: int, one: str, several: str = "") -> str:
    """1 customer, 2 customers."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"
