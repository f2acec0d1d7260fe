"""A custom fact's draft in; what is wrong with it, and the published facts that everybody is computed with, out.

A draft changes nothing. Publishing makes its text what is computed: at once for whoever is handled, and for everybody
with the next refresh, which the missing mark of the fact asks for. Until then the fact is missing where it was not
computed yet.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Final

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models, transaction

from rules.language.check import Problem
from rules.language.errors import RuleError
from rules.language.facts import Catalogue, Fact
from rules.language.formula_check import Judged, judge
from rules.language.formulas import Formula, formula_facts, formula_histories, formula_text, parse_formula
from rules.language.printer import KEYWORDS
from rules.rulebook import describe

from ..models import CustomFact, FactVocabulary, PlannedEvent
from . import holding
from .custom import Custom, Customs, in_order

MAIN_SHARE: Final = 0.5  # of a property's values: a type with no more than that is not what the property is
OWN: Final = frozenset({"key"})  # what messages call something else of a customer


class State(models.TextChoices):
    """How a custom fact's draft stands to what is computed."""

    DRAFT = "draft", "never published"
    CHANGED = "changed", "draft differs"
    PUBLISHED = "published", "published"


def state_of(row: CustomFact) -> State:
    """The badge of the fact."""
    if not row.published_text:
        return State.DRAFT
    return State.PUBLISHED if _same(row.text, row.published_text) else State.CHANGED


def _same(one: str, other: str) -> bool:
    try:
        return one == other or parse_formula(one) == parse_formula(other)
    except RuleError:
        return False


# -- what is computed


def published(asked: Collection[str] = ()) -> Customs:
    """The published custom facts, each behind those it reads.

    `asked` are the canonical texts of histories that something else asks for too: these stay facts of their own. One
    that no longer parses, or reads itself through others, is left out: its fact is missing, never wrong.
    """
    rows = CustomFact.objects.exclude(published_text="").order_by("name")
    values = rows.values_list("name", "type", "published_text", "label", "description", "unit")
    found = {name: custom for name, *rest in values if (custom := _read(name, *rest)) is not None}
    facts = in_order(found)
    texts = {text for one in facts for text in formula_histories(one.formula)}
    return Customs(facts, frozenset(texts - set(asked)))


@lru_cache(maxsize=1000)
def _read(name: str, type_: str, text: str, label: str, description: str, unit: str) -> Custom | None:
    told = f"{description} In {unit}.".strip() if unit else description
    try:
        return Custom(name, type_, parse_formula(text), label, told)
    except RuleError:
        return None


def is_computed(row: CustomFact) -> bool:
    """Whether everybody's facts hold what is published of it."""
    custom = _read(row.name, row.type, row.published_text, "", "", "")
    last = FactVocabulary.objects.order_by("-pk").first()
    return custom is not None and last is not None and custom.mark in last.histories


# -- what is wrong with a draft


def find(text: str, name: str, catalogue: Catalogue, moment: Collection[str] = ()) -> Judged:
    """The problems and the type of a draft; `catalogue.facts` may be calculated with; `moment`: a request's facts."""
    own = {other: fact for other, fact in catalogue.facts.items() if other != name}
    found = judge(text, replace(catalogue, facts=own), planned_properties(), frozenset(moment))
    if found.formula is None:
        return found
    circle = way_round(name, found.formula)
    if name and name in formula_facts(found.formula):
        told = Problem("error", f"{name} cannot be calculated from itself.", hint="Leave it out.")
        return replace(found, problems=(told,))
    if circle:
        told = Problem("error", f"These facts would read one another in a circle: {circle}.", hint="Leave one out.")
        return replace(found, problems=(*found.problems, told))
    return found


def way_round(name: str, formula: Formula) -> str:
    """From the fact through those it reads back to itself, as people read it; empty where no way leads back."""
    reads: dict[str, set[str]] = {one.name: formula_facts(one.formula) for one in published().facts}
    reads[name] = formula_facts(formula)
    ways: list[tuple[str, ...]] = [(name,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for step in sorted(reads.get(way[-1], ())):
            if step == name and len(way) > 1:
                return " → ".join((*way, name))
            if step in reads and step not in seen:
                seen.add(step)
                ways.append((*way, step))
    return ""


def planned_properties() -> Mapping[str, Mapping[str, Fact]]:
    """What the tracking plan knows of each event's properties; one of no main type is not among them."""
    rows = PlannedEvent.objects.values_list("name", "properties", "locked")
    return {event: dict(_properties(found, locked)) for event, found, locked in rows}


def _properties(found: Mapping[str, Mapping[str, object]], locked: bool) -> Iterator[tuple[str, Fact]]:
    for name, told in found.items():
        kind, types = str(told.get("type") or ""), told.get("types")
        counts = types if isinstance(types, Mapping) else {}
        total = sum(counts.values())
        agreed = locked or not total or counts.get(kind, 0) > MAIN_SHARE * total
        if agreed and kind in ("text", "number", "boolean", "date", "text_list", "number_list"):
            yield name, Fact(name, kind)


def name_problem(name: str, holder: str) -> str:
    """Why a custom fact cannot have this name, and the cure; `holder` is what has it already."""
    cure = f"take another name, such as my_{name}"[:100]
    if holder:
        return f"{name} is the name of {holder}; {cure}."
    if name.upper() in KEYWORDS:
        return f"{name} is a word of the rule language; {cure}."
    if name in OWN:
        return f"Messages call something else customer.{name}; {cure}."
    return ""


# -- publishing


def publish(row: CustomFact, by: User | None, at: datetime, judged: Judged, holder: str, uses: Sequence[str]) -> bool:
    """Make the saved draft what is computed; False where it is that already.

    `judged` is the draft as `find` left it, `holder` what else has the name, `uses` who uses the fact. Raises
    ValidationError, and changes nothing, for a draft with errors, a name that is taken, and another type than its users
    were checked with.
    """
    with transaction.atomic():
        row = CustomFact.objects.select_for_update().get(pk=row.pk)
        if not judged.fine or judged.type is None:
            errors = [describe(one, row.text) for one in judged.problems if one.severity == "error"]
            raise ValidationError(errors or ["The type of this fact is not known."])
        if problem := name_problem(row.name, holder):
            raise ValidationError(problem)
        if row.published_text and uses and judged.type != row.type:
            raise ValidationError(
                f"It is used as {row.type} and would become {judged.type}; define a new fact, and let its users change."
            )
        if _same(row.text, row.published_text) and judged.type == row.type:
            return False
        # What everybody has of it means something else from now on, also when it comes to mean the same again.
        _let_go(row.name)
        changed = {"published_text": row.text, "type": judged.type, "published_at": at, "published_by": by}
        CustomFact.objects.filter(pk=row.pk).update(**changed)
    return True


def withdraw(row: CustomFact) -> None:
    """Compute it no more; its draft stays. The caller has made sure that nothing uses it."""
    with transaction.atomic():
        row = CustomFact.objects.select_for_update().get(pk=row.pk)
        _let_go(row.name)
        gone = {"published_text": "", "type": "", "published_at": None, "published_by": None}
        CustomFact.objects.filter(pk=row.pk).update(**gone)


def _let_go(name: str) -> None:
    holding.let_go(lambda mark: not mark.startswith(f"{name} = "))


def canonical(text: str) -> str:
    """The text in its one form; as it is where it does not parse."""
    try:
        return formula_text(parse_formula(text))
    except RuleError:
        return text
