"""A rule as saved and the published ones in; sentences on how it stands among them and its customers, out."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

import polars as pl
from django.db import transaction

from campaigns.models import Content
from rules import rulebook
from rules.language import RuleError, matches, nodes, parse
from rules.language.analysis import Entry, Finding, Reach, check_rules
from rules.language.circles import SEGMENT_FACTS
from rules.language.facts import Catalogue
from rules.language.lookup import CUSTOMER_ID
from rules.language.printer import operand_text
from rules.language.terms import asked_facts
from rules.models import Revision, Rule, Segment

from ..customers.models import Customer
from ..engine.prepare import content_facts, count_tests
from ..engine.types import ContentItem
from ..store import catalogue, frames
from ..store.catalogue import CONTEXT_FACTS
from .doubts import with_doubts

log = logging.getLogger(__name__)

MOST_CUSTOMERS = 200_000
MOST_TOLD = 8
# Facts of the request, and the client's customer id, are in no stored frame.
NOT_STORED = frozenset({*CONTEXT_FACTS, CUSTOMER_ID})


@dataclass(frozen=True, slots=True)
class Standing:
    """One rule among others: where it goes in their order, and from when to when."""

    entry: Entry
    order: tuple[Any, ...]
    starts_at: datetime | None
    ends_at: datetime | None

    def meets(self, other: "Standing") -> bool:
        """Whether both are ever in force together, in one placement."""
        mine, theirs = self.entry.placements, other.entry.placements
        apart = _before(self.ends_at, other.starts_at) or _before(other.ends_at, self.starts_at)
        return not apart and (not mine or not theirs or bool(mine & theirs))


def warnings_about(rules: Sequence[Rule], now: datetime) -> list[str]:
    """What is doubtful about these saved rules' drafts; never raises, so that nothing saved looks as if it were not.

    Above `MOST_CUSTOMERS` nothing is measured before a worker has put their facts together, and one sentence says so.
    """
    try:
        with transaction.atomic():
            return _warnings(rules, now)
    except Exception as problem:
        log.exception("rules were not analysed")
        return [f"Saved, but how it stands to other rules could not be found out ({problem})."]


def _warnings(rules: Sequence[Rule], now: datetime) -> list[str]:
    known = catalogue.current()
    doubts = chain.from_iterable(_doubts(rule, known) for rule in rules)
    drafts = [found for rule in rules if rule.active and (found := _draft(rule))]
    published = [found for rule in rulebook.published_rules() if (found := _published(rule))]
    frame, note = _frame(drafts, published, now)
    types = {name: fact.type for name, fact in known.facts.items()}
    findings = [found for one in drafts for found in _findings(one, published, types, frame, now)]
    # Two rules published together find the same about each other.
    told = list(dict.fromkeys([*doubts, *(finding.message for finding in findings)]))
    more = [f"And {len(told) - MOST_TOLD:,} more like these."] if len(told) > MOST_TOLD else []
    return [*told[:MOST_TOLD], *more, *note]


def _doubts(rule: Rule, known: Catalogue) -> Iterator[str]:
    """The warnings about the text itself; its errors were told when it was saved."""
    for problem in with_doubts(rule.text, rulebook.find_problems(rule.text, known)):
        if problem.severity == "warning":
            # Without the carets, which need a line of their own and letters of one width.
            yield f"{rule}: {rulebook.describe(problem, rule.text).splitlines()[0]}"


def _draft(rule: Rule) -> Standing | None:
    return _standing(rule, rule, frozenset(placement.key for placement in rule.placements.all()))


def _published(rule: Rule) -> Standing | None:
    return _standing(rule, rule.published, frozenset(rule.published.placements)) if rule.published else None


def _standing(rule: Rule, said: Rule | Revision, placements: frozenset[str]) -> Standing | None:
    """None for a text that is no rule: it is in nobody's way."""
    try:
        node = parse(said.text)
    except RuleError:
        return None
    if not isinstance(node, nodes.Rule):
        return None
    order = (-said.priority, -count_tests(node.condition), rule.created_at, rule.key)
    return Standing(Entry(rule.key, node, said.priority, placements), order, said.starts_at, said.ends_at)


def _before(end: datetime | None, start: datetime | None) -> bool:
    return end is not None and start is not None and end <= start


def _frame(
    drafts: Sequence[Standing], others: Sequence[Standing], now: datetime
) -> tuple[pl.DataFrame | None, list[str]]:
    """Everybody's facts and segments, or none and why; read only where a draft can be measured at all."""
    if not any(asked_facts(one.entry.rule) & NOT_STORED == frozenset() for one in drafts):
        return None, []
    customers = Customer.objects.filter(facts_at__isnull=False).count()
    if not customers:
        return None, []
    if customers > MOST_CUSTOMERS and frames.state() is None:
        return None, ["Not measured on customers: their facts are being put together; save again in some minutes."]
    asked = frozenset[str]().union(*(asked_facts(one.entry.rule) for one in (*drafts, *others))) - NOT_STORED
    # A name with a dot may be a part of a fact.
    wanted = sorted(asked | {name.partition(".")[0] for name in asked})
    rows = Segment.objects.filter(active=True).values_list("pk", "key", "name")
    segments = {pk: (key, name) for pk, key, name in rows}
    whole = frames.fresh(now, ["customer_id", *wanted, *(f"segment:{pk}" for pk in segments)])
    whole = frames.named_segments(whole, segments)
    kept = {CUSTOMER_ID, *wanted, *SEGMENT_FACTS}
    # What nobody has comes without a type.
    return whole.select(name for name, dtype in whole.schema.items() if name in kept and dtype != pl.Null), []


def _findings(
    mine: Standing, published: Sequence[Standing], types: dict[str, str], frame: pl.DataFrame | None, now: datetime
) -> Iterator[Finding]:
    """What this rule does to each of the others, and they to it; pairs, since what others do to others is known."""
    measured = frame if _measurable(mine, frame) else None
    alone = check_rules([mine.entry], types, measured, now)
    yield from alone
    if any(finding.kind == "never" for finding in alone):
        return
    reach = _reach(now)
    for other in published:
        if other.entry.key != mine.entry.key and mine.meets(other):
            early, late = sorted((mine, other), key=lambda one: one.order)
            both = measured if _hinders(early.entry.rule) and _measurable(other, frame) else None
            pair = check_rules([early.entry, late.entry], types, both, now, reach)
            yield from (finding for finding in pair if finding.other is not None)


def _hinders(rule: nodes.Rule) -> bool:
    """Whether it can keep a later rule from its customers: only then measuring tells anything."""
    return any(isinstance(action, nodes.Stop | nodes.Only) for action in rule.then + rule.otherwise)


def _measurable(one: Standing, frame: pl.DataFrame | None) -> bool:
    """Whether stored facts answer it: no fact of the request, no history that nobody counted."""
    if frame is None or asked_facts(one.entry.rule) & NOT_STORED:
        return False
    return all(operand_text(history) in frame.columns for history in nodes.histories(one.entry.rule))


def _reach(now: datetime) -> Reach:
    """Target to content keys, as decisions settle them."""
    rows = Content.objects.filter(active=True).values_list("key", "name", "attributes", "tags", "value")
    contents = [ContentItem(key, name, {}, held, tuple(tags), value) for key, name, held, tags, value in rows]

    def reach(target: nodes.Target) -> frozenset[str]:
        if isinstance(target, nodes.ContentKey):
            return frozenset({target.key})
        if isinstance(target, nodes.Tagged):
            return frozenset(content.key for content in contents if target.tag in content.tags)
        return frozenset(c.key for c in contents if matches(target.condition, content_facts(c), now))

    return reach
