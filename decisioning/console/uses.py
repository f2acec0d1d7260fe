"""Rows about to be deleted in; who still names them in a rule, a condition or an audience, out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db import models
from django.urls import reverse
from django.utils.html import format_html

from campaigns.models import Campaign, Content, Placement
from rules.language import RuleError, nodes, parse
from rules.language.circles import segment_needs
from rules.language.terms import wanted_values
from rules.models import Rule, Segment


@dataclass(frozen=True, slots=True)
class Text:
    """A text in the rule language, and the row it stands in: `said` is what of the row it is."""

    row: models.Model
    said: str
    text: str


def uses_of(rows: Sequence[models.Model]) -> list[str]:
    """One line, with a link, for each text that names one of these rows; texts that go with them do not count."""
    going = {(type(row), row.pk) for row in rows}
    found = [(one, row) for one, row in naming(rows) if (type(one.row), one.row.pk) not in going]
    return list(dict.fromkeys(_line(one, row) for one, row in found))


def naming(rows: Sequence[models.Model]) -> list[tuple[Text, models.Model]]:
    """Each text that names one of these rows, with the row."""
    wanted = {row: words for row in rows if (words := _words(row))}
    found: list[tuple[Text, models.Model]] = []
    for one in texts() if wanted else ():
        named = _named(one.text)
        found += [(one, row) for row, words in wanted.items() if named.get(type(row), set()) & words]
    return found


def _words(row: models.Model) -> set[str]:
    """What a text calls this row: segments go by key and by name, in any case (`IGNORING CASE`)."""
    if isinstance(row, Segment):
        return {row.key.casefold(), row.name.casefold()}
    return {row.key} if isinstance(row, Content | Campaign) else set()


def texts() -> Iterator[Text]:
    """Everything written in the rule language: drafts and what was published of them, conditions, audiences."""
    for rule in Rule.objects.select_related("published"):
        yield Text(rule, "the draft", rule.text)
        if rule.published is not None:
            yield Text(rule, f"published {rule.published}", rule.published.text)
    for segment in Segment.objects.filter(kind=Segment.Kind.CONDITION).order_by("key"):
        yield Text(segment, "the condition", segment.condition)
    for model in (Placement, Campaign):
        for row in model.objects.exclude(audience="").order_by("key"):
            yield Text(row, "the audience", row.audience)


def _named(text: str) -> dict[type, set[str]]:
    """The segments, contents and campaigns a text names; a text that no longer parses names none."""
    try:
        node = parse(text)
    except RuleError:
        return {}
    segments = {name.casefold() for name in segment_needs(nodes.condition_of(node))}
    actions = node.then + node.otherwise if isinstance(node, nodes.Rule) else ()
    campaigns = {action.key for action in actions if isinstance(action, nodes.StartCampaign)}
    return {Segment: segments, Content: set(_contents(actions)), Campaign: campaigns}


def _contents(actions: Sequence[nodes.Action]) -> Iterator[str]:
    """Keys of contents aimed at by name, or by `WHERE key = …`."""
    for action in actions:
        target: Any = getattr(action, "target", None)
        if isinstance(target, nodes.ContentKey):
            yield target.key
        elif isinstance(target, nodes.Where):
            for leaf in nodes.leaves(target.condition):
                if isinstance(leaf, nodes.Test) and leaf.operand == nodes.Named("key"):
                    yield from (value for value in wanted_values(leaf) if isinstance(value, str))


def _line(one: Text, row: models.Model) -> str:
    return format_html(
        '{} <a class="console-link" href="{}">{}</a>: {} names “{}”; take it out there first.',
        *kind_and_page(one.row),
        one.row,
        one.said,
        row,
    )


def kind_and_page(row: models.Model) -> tuple[str, str]:
    """What a row is, for people, and the address of its page; empty where it has none."""
    meta = row._meta
    address = f"admin:{meta.app_label}_{meta.model_name}_change"
    page = reverse(address, args=[row.pk]) if admin.site.is_registered(type(row)) else ""
    return str(meta.verbose_name).capitalize(), page
