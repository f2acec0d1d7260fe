"""What a marketer wrote in; a parsed template, or its problems with line, cause and cure, out."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple

from liquid.exceptions import LiquidError, ResourceLimitError

from .limits import Limited, Template, refuse_loose_ranges

LONGEST_TEMPLATE, LONGEST_TAG, LONGEST_GAP = 200_000, 5_000, 200
# What a message gives its templates; see `decisioning.flows.preparing`.
VARIABLES = ("customer", "contents", "campaign", "unsubscribe_url", "now", "today")
BLOCKS = ("if", "unless", "case", "for", "tablerow", "capture", "ifchanged", "comment")
BRANCHES = ("else", "elsif", "when", "break", "continue")
VERBATIM = {name: re.compile(r"\{%-?\s*end" + name + r"\s*-?%\}") for name in ("raw", "doc")}
OPENER = re.compile(r"\{\{|\{%-?[^\S\n]*(\w*)")
GAP = re.compile(rf"\s{{{LONGEST_GAP}}}")
CLOSER = {"{{": "}}", "{%": "%}"}

HTML, TEXT = Limited(autoescape=True), Limited(autoescape=False)


class TemplateProblem(ValueError):
    """A template that cannot be used; the text says where, why and what to do."""


class Tag(NamedTuple):
    """One `{{ … }}` or `{% … %}`: its line (from 1), its name ("" for an output) and its text."""

    line: int
    name: str
    text: str


@lru_cache(maxsize=256)
def parse(source: str, html: bool) -> Template:
    """The parsed template, `html` with every value escaped. Raises TemplateProblem."""
    tags = list(scan(source))
    _refuse_open_blocks(tags)
    environment = HTML if html else TEXT
    try:
        template = environment.from_string(source)
        refuse_loose_ranges(template)
    except (LiquidError, RecursionError, ValueError) as error:
        raise TemplateProblem(_describe(error, tags, environment)) from error
    if not isinstance(template, Template):
        raise TypeError("The environment's template_class must be Template.")
    return template


def problems(template: str, subject: bool = False) -> list[str]:
    """What is wrong with a body, or with a `subject`, each with its line; empty when it may be saved."""
    try:
        parsed = parse(template, not subject)
    except TemplateProblem as problem:
        return [str(problem)]
    found = list(_unknown_names(parsed, template))
    if subject and len(template.strip().splitlines()) > 1:
        found.append("line 1: a subject is one line; remove the line breaks.")
    found.extend(_troubles_of_a_trial(parsed))
    return found


def _troubles_of_a_trial(template: Template) -> Iterator[str]:
    """What a rendering for nobody shows: too much work, and filters with missing or surplus arguments.

    Other errors may come from the missing customer; a message that has them fails with the reason.
    """
    try:
        template.render()
    except ResourceLimitError as error:
        yield f"{_place(error) or 'line 1'}: {error.message}; make the template shorter."
    except LiquidError as error:
        if " argument" in str(error.message) and "()" in str(error.message):
            yield f"{_place(error) or 'line 1'}: {error.message}; see the filter in docs/campaigns.md."
    except (ArithmeticError, ValueError, TypeError):
        return


def scan(source: str) -> Iterator[Tag]:
    """The tags in order, in one pass. Raises TemplateProblem for what the library takes minutes to refuse."""
    if len(source) > LONGEST_TEMPLATE:
        raise TemplateProblem(f"line 1: shorten the template to {LONGEST_TEMPLATE:,} characters.")
    line, at = 1, 0
    while opener := OPENER.search(source, at):
        line += source.count("\n", at, opener.start())
        kind, name = opener.group()[:2], opener.group(1) or ""
        end = source.find(CLOSER[kind], opener.start() + 2)
        if end < 0:
            raise _unclosed(line, kind, CLOSER[kind])
        text = source[opener.start() : end + 2]
        if len(text) > LONGEST_TAG or GAP.search(text):
            cure = f"shorten it to {LONGEST_TAG:,} characters, without long gaps"
            raise TemplateProblem(f"line {line}: a tag is too long; {cure}.")
        yield Tag(line, name, text)
        at = _behind_verbatim(source, name, end + 2, line)
        line += source.count("\n", opener.start(), at)


def _behind_verbatim(source: str, name: str, at: int, line: int) -> int:
    """Where to go on: behind the end tag of `raw` and `doc`, whose insides are not Liquid."""
    if name not in VERBATIM:
        return at
    end = VERBATIM[name].search(source, at)
    if end is None:
        raise _unclosed(line, f"{{% {name} %}}", f"{{% end{name} %}}")
    return end.end()


def _unclosed(line: int, opener: str, closer: str) -> TemplateProblem:
    return TemplateProblem(f"line {line}: `{opener}` is never closed; write `{closer}` behind it.")


def _refuse_open_blocks(tags: Iterable[Tag]) -> None:
    """The library reports an unclosed block without its line, so blocks are matched here."""
    open_blocks: list[Tag] = []
    for tag in tags:
        hidden = bool(open_blocks) and open_blocks[-1].name == "comment"
        if tag.name in BLOCKS and (not hidden or tag.name == "comment"):
            open_blocks.append(tag)
        elif open_blocks and tag.name == f"end{open_blocks[-1].name}":
            open_blocks.pop()
    if open_blocks:
        line, name, text = open_blocks[-1]
        raise _unclosed(line, text, f"{{% end{name} %}}")


def _describe(error: Exception, tags: list[Tag], environment: Limited) -> str:
    """Line, cause and cure of what the library refused."""
    cause = str(error.message) if isinstance(error, LiquidError) else "it is nested too deeply"
    place = (_place(error) if isinstance(error, LiquidError) else "") or _locate(tags, environment)
    if unknown := re.fullmatch(r"unexpected tag '(\w+)'", cause):
        return f"{place}: unexpected tag `{unknown.group(1)}`; {_cure_of_tag(unknown.group(1), environment)}."
    return f"{place}: {cause}; compare it with the examples of docs/campaigns.md."


def _cure_of_tag(name: str, environment: Limited) -> str:
    if name.startswith("end") or name in BRANCHES:
        return "remove it, or open its block first"
    return _meant(name, [known for known in environment.tags if known.isalpha()]) or "remove it"


def _place(error: LiquidError) -> str:
    """`line n`, where the library knows it."""
    try:
        context = error.context()
    except ValueError:
        return ""
    return f"line {context[0]}" if context else ""


def _locate(tags: list[Tag], environment: Limited) -> str:
    """The line of the first tag that cannot be parsed alone, for errors that come without one."""
    for tag in tags:
        end = f"{{% end{tag.name} %}}" if tag.name in BLOCKS else ""
        try:
            environment.from_string(tag.text + end)
        except (LiquidError, RecursionError) as error:
            if not str(error).startswith("unexpected tag"):
                return f"line {tag.line}"
    return "line 1"


def _unknown_names(template: Template, source: str) -> Iterator[str]:
    """Filters and variables that do not exist, each with the nearest name that does."""
    analysis = template.analyze(include_partials=False)
    for name, spans in analysis.filters.items():
        if name not in template.env.filters:
            cure = _meant(name, template.env.filters) or "remove it"
            yield f"line {spans[0].line_col(source)[0]}: there is no filter `{name}`; {cure}."
    for name, uses in analysis.globals.items():
        if name not in VARIABLES:
            cure = _meant(name, VARIABLES) or f"use one of {', '.join(VARIABLES)}"
            yield f"line {uses[0].span.line_col(source)[0]}: there is no variable `{name}`; {cure}."


def _meant(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"did you mean `{close[0]}`" if close else ""
