"""Names of facts in; who reads them in a rule, a condition, a template, another fact, or learned from them, out."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from django.db import models
from django.utils.html import format_html

from campaigns.models import Campaign
from campaigns.templates import TemplateProblem, parse
from rules.language import RuleError
from rules.language import parse as parse_rule
from rules.language.formulas import formula_facts, parse_formula
from rules.language.quoting import unquote
from rules.language.terms import asked_facts

from ..customers.models import CustomFact, QualityPolicy
from ..models import Artefact
from ..store import artefacts, clusters
from .uses import kind_and_page, texts

VARIABLE: Final = "customer"  # what templates call the facts of who gets the message


@dataclass(frozen=True, slots=True)
class Use:
    """One place that reads a fact: the row it stands in, what of the row it is, and whether it was learned from it."""

    row: models.Model
    said: str
    learnt: bool = False

    @property
    def kind(self) -> str:
        """What the row is, for people."""
        return kind_and_page(self.row)[0]

    @property
    def page(self) -> str:
        """The address of the row's page."""
        return kind_and_page(self.row)[1]

    @property
    def line(self) -> str:
        """A sentence with a link, for whoever wants to remove the fact."""
        said = '{} <a class="console-link" href="{}">{}</a>: {} reads it; take it out there first.'
        return format_html(said, self.kind, self.page, self.row, self.said)


def uses_of_facts(names: Iterable[str] | None = None) -> dict[str, list[Use]]:
    """Who uses each of these facts (None: of all); facts that nobody uses are not among the keys."""
    wanted = None if names is None else set(names)
    found: dict[str, dict[tuple[Any, ...], Use]] = {}
    for read, use in _reads():
        for name in read if wanted is None else read & wanted:
            found.setdefault(name, {})[type(use.row), use.row.pk, use.said] = use
    return {name: list(mine.values()) for name, mine in found.items()}


def _reads() -> Iterator[tuple[frozenset[str], Use]]:
    """Everything that reads facts, with their names."""
    for one in texts():
        yield _asked(one.text), Use(one.row, one.said)
    for fact in CustomFact.objects.order_by("name"):
        for text, said in ((fact.text, "the draft"), (fact.published_text, "the published text")):
            # A draft that reads itself would only stand in its own way.
            yield _calculated(text) - {fact.name}, Use(fact, said)
    for campaign in Campaign.objects.order_by("key"):
        yield named_in(campaign.subject, html=False), Use(campaign, "the subject")
        yield named_in(campaign.body, html=True), Use(campaign, "the message")
    for policy in QualityPolicy.objects.order_by("fact"):
        yield frozenset({policy.fact}), Use(policy, "the policy")
    yield from _learned()


@lru_cache(maxsize=20_000)
def _asked(text: str) -> frozenset[str]:
    try:
        asked = asked_facts(parse_rule(text))
    except RuleError:
        return frozenset()
    return frozenset(unquote(name) if name.startswith('"') else name for name in asked)


@lru_cache(maxsize=2_000)
def _calculated(text: str) -> frozenset[str]:
    try:
        return frozenset(formula_facts(parse_formula(text)))
    except RuleError:
        return frozenset()


@lru_cache(maxsize=2_000)
def named_in(template: str, html: bool) -> frozenset[str]:
    """The facts that a template may read: `customer.city`, `customer["city"]`; of a copy, whatever is named."""
    if VARIABLE not in template:
        return frozenset()
    try:
        variables = parse(template, html).analyze(include_partials=False).variables
    except TemplateProblem:
        return frozenset()
    mine = [variable.segments for variable in variables.get(VARIABLE, ())]
    known = {way[1] for way in mine if len(way) > 1 and isinstance(way[1], str)}
    if any(len(way) == 1 for way in mine):
        others = (variable.segments for found in variables.values() for variable in found)
        known |= {way[1] for way in others if len(way) > 1 and isinstance(way[1], str)}
    return frozenset(known)


def _learned() -> Iterator[tuple[frozenset[str], Use]]:
    """What the active scorer and the active clustering were learned from."""
    for artefact in Artefact.objects.filter(active=True).defer("data").order_by("kind"):
        try:
            read = _scored(artefact.pk) if artefact.kind == Artefact.Kind.SCORER else _clustered()
        except ValueError:
            continue  # nothing can be computed with what cannot be read
        yield read, Use(artefact, "what it learned", learnt=True)


@lru_cache(maxsize=4)
def _scored(pk: int) -> frozenset[str]:
    """The facts of a scorer's schema, from its bytes: no trees are loaded in a web process for that."""
    columns: list[Mapping[str, Any]] = json.loads(artefacts.read(Artefact.objects.get(pk=pk)))["schema"]["columns"]
    mine = {str(column["key"]) for column in columns if column["source"] == "fact"}
    return frozenset(mine | {str(fact) for column in columns for _, fact in column.get("weights", ())})


def _clustered() -> frozenset[str]:
    found = clusters.current()
    return frozenset(found.facts if found else ())
