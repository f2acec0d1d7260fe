"""A campaign's subject and body with their variables in; subject, HTML and plain text of one message out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any

from liquid.exceptions import LiquidError

from .templates import TemplateProblem, parse, problems

__all__ = ["Rendered", "RenderingError", "plain_text", "problems", "render"]

# What a stored message may hold: `Message.subject` has 500 characters.
LONGEST_SUBJECT = 500
# Every kind of line break would begin a new header; PostgreSQL's text cannot hold a NUL.
SUBJECT_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# One pass over tags and comments, also over broken ones: html.parser is quadratic on `<a <a <a`.
MARKUP = re.compile(r"<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9]*)(?P<rest>[^<>]*)>|<!--")
LINK = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
UNSEEN = ("head", "style", "script", "title")
BREAK_BEFORE = {"br": "\n", "div": "\n", "tr": "\n", "li": "\n- "}
BREAK_BEFORE |= dict.fromkeys(("p", "table", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6"), "\n\n")
BREAK_AFTER = {name: space for name, space in BREAK_BEFORE.items() if name not in ("br", "li")}


class RenderingError(ValueError):
    """A message that cannot be made from its template; the text says why."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What one customer gets: a subject of one line, HTML, and the same as plain text."""

    subject: str
    html: str
    text: str


def render(subject: str, body: str, variables: Mapping[str, Any]) -> Rendered:
    """Fill both templates. Values are escaped in the body; missing ones are empty, or their `default`.

    Raises RenderingError with the reason, also for a template that reaches one of the `limits`.
    """
    line = SUBJECT_BREAKS.sub(" ", _fill("subject", subject, variables, html=False)).strip()
    if not line:
        raise RenderingError("The subject came out empty; give its variables a `default`.")
    html = CONTROLS.sub("", _fill("body", body, variables, html=True))
    return Rendered(line[:LONGEST_SUBJECT], html, plain_text(html))


def _fill(part: str, template: str, variables: Mapping[str, Any], html: bool) -> str:
    try:
        return str(parse(template, html).render(variables))
    except TemplateProblem as problem:
        raise RenderingError(f"The {part} is not a template: {problem}") from problem
    except LiquidError as error:
        raise RenderingError(f"The {part} cannot be filled: {error.message}") from error
    except Exception as error:
        # A filter met a value it was not made for; that is this message's trouble, never the batch's.
        raise RenderingError(f"The {part} cannot be filled: {type(error).__name__}: {error}") from error


def plain_text(html: str) -> str:
    """HTML as text: links keep their address, list items a dash, blocks their own lines."""
    written = "".join(_words(html))
    lines = [" ".join(line.split()) for line in written.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _words(html: str) -> list[str]:
    """The text between tags, with the line breaks and addresses that the tags stand for."""
    found: list[str] = []
    address, unseen, at = "", "", 0
    while tag := MARKUP.search(html, at):
        if not unseen:
            found.append(_flat(html[at : tag.start()]))
        at = tag.end()
        if tag.group() == "<!--":
            at = _behind_comment(html, at)
            continue
        name, ends = tag.group("name").lower(), bool(tag.group("end"))
        if name in UNSEEN:
            unseen = "" if ends and name == unseen else unseen or ("" if ends else name)
        elif name == "a":
            if ends and address:
                found.append(f" ({address})")
            address = "" if ends else _address(tag.group("rest"))
        else:
            found.append((BREAK_AFTER if ends else BREAK_BEFORE).get(name, ""))
    return found if unseen else [*found, _flat(html[at:])]


def _flat(text: str) -> str:
    """Text as a browser shows it: entities read, line breaks as spaces."""
    return re.sub(r"\s+", " ", unescape(text))


def _behind_comment(html: str, at: int) -> int:
    end = html.find("-->", at)
    return len(html) if end < 0 else end + 3


def _address(attributes: str) -> str:
    """The link's address where it says more than the words do."""
    found = LINK.search(attributes)
    address = unescape(found.group(1) or found.group(2) or "").strip() if found else ""
    return "" if address.startswith("#") else " ".join(address.split())
