"""A rule's draft and the catalogue in; problems a marketer can act on, and immutable revisions, out."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Max, QuerySet

from decisioning.engine import limits

from .language import RuleError, check, parse
from .language.check import Problem
from .language.circles import segment_circles, segment_needs
from .language.errors import listing
from .language.facts import Catalogue
from .language.nodes import Any as Any_
from .language.nodes import Condition, condition_of
from .language.nodes import Rule as RuleNode
from .models import Revision, Rule, Segment


class Kind(models.TextChoices):
    """What a text must be: a whole rule, or a condition alone (segments and audiences)."""

    RULE = "rule"
    CONDITION = "condition"


class State(models.TextChoices):
    """How a rule's draft stands to what decisions follow."""

    OFF = "off", "off"
    DRAFT = "draft", "never published"
    CHANGED = "changed", "draft differs"
    PUBLISHED = "published", "published"


def find_problems(text: str, catalogue: Catalogue, kind: str = Kind.RULE) -> list[Problem]:
    """Everything wrong or doubtful about a text, in reading order; nothing is raised."""
    try:
        node = parse(text)
    except RuleError as error:
        expected = f" Expected {listing(error.expected)}." if error.expected else ""
        place = (error.line, error.column, error.hint, error.end_column)
        return [Problem("error", error.message + expected, *place)]
    if isinstance(node, RuleNode) and kind == Kind.CONDITION:
        return [Problem("error", "Only a condition belongs here.", hint="Leave out IF, THEN and what follows.")]
    if not isinstance(node, RuleNode) and kind == Kind.RULE:
        return [Problem("error", "This is only a condition.", hint="Say what to do: IF … THEN …")]
    return check(node, catalogue)


def validate(text: str, catalogue: Catalogue, kind: str = Kind.RULE) -> list[Problem]:
    """The warnings about a text; raises ValidationError with a message an error, at its character."""
    problems = find_problems(text, catalogue, kind)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise ValidationError([ValidationError(describe(problem, text), code="rule") for problem in errors])
    return problems


def describe(problem: Problem, text: str) -> str:
    """A problem for people: where, what, the cure, and the line with carets under the characters."""
    hint = f" {problem.hint}" if problem.hint else ""
    return f"Line {problem.line}, column {problem.column}: {problem.message}{hint}\n{point_at(problem, text)}"


def point_at(problem: Problem, text: str) -> str:
    """The line of the text and, under it, carets from `column` to `end_column`."""
    return RuleError("", problem.line, problem.column, problem.end_column).caret(text)


def as_data(problem: Problem, text: str) -> dict[str, Any]:
    """A problem for an editor: places count from 1, `end_column` is behind the last character."""
    return {**asdict(problem), "pointed": point_at(problem, text)}


def circle_with(segment: Segment, condition: str) -> str | None:
    """What is wrong with the circle a segment would close with this (checked) condition; None without one."""
    others = Segment.objects.filter(kind=Segment.Kind.CONDITION).exclude(pk=segment.pk).order_by("pk")
    owners: dict[str, list[tuple[str, Condition]]] = {}
    for row, text in [(segment, condition), *((other, other.condition) for other in others)]:
        try:
            node = condition_of(parse(text))
        except RuleError:
            continue
        for word in {row.key, row.name} - {""}:
            owners.setdefault(word, []).append((row.key or row.name, node))
    # Names are no keys: two segments may share one, and who asks for it asks for both.
    circles = segment_circles({word: Any_(tuple(node for _, node in each)) for word, each in owners.items()})
    mine = [circle for circle in circles if {segment.key, segment.name} & set(circle)]
    if not mine:
        return None
    steps = zip(mine[0], [*mine[0][1:], mine[0][0]], strict=True)
    # Of those who share a name, the one who asks for what comes next.
    keys = [next(key for key, node in owners[word] if following in segment_needs(node)) for word, following in steps]
    through = [key for key in dict.fromkeys(keys) if key != segment.key]
    if not through:
        return "This condition asks for its own segment; leave that out."
    way = " → ".join([segment.key, *through, segment.key])
    return f"Segments would ask for one another in a circle: {way}. Take one of them out of the other's condition."


def state(rule: Rule) -> State:
    """How the draft stands to the published revision. For lists, prefetch `placements`."""
    if not rule.active:
        return State.OFF
    if rule.published is None:
        return State.DRAFT
    return State.PUBLISHED if _same(rule.published, _draft(rule)) else State.CHANGED


def published_rules() -> QuerySet[Rule]:
    """The rules that decisions follow: active, with their published revision, highest priority first."""
    return Rule.objects.filter(active=True, published__isnull=False).select_related("published")


def publish(rule: Rule, by: User | None, catalogue: Catalogue) -> Revision:
    """Make the saved draft what decisions follow; the new revision, or the current one if nothing differs.

    Raises ValidationError, and changes nothing, when the text has an error under this catalogue, or the rule is too
    much (see `decisioning.engine.limits`).
    """
    with transaction.atomic():
        row = _lock(rule)
        validate(row.text, catalogue)
        draft = _draft(row)
        revision = row.published
        if revision is None or not _same(revision, draft):
            _refuse_excess(row, draft)
            revision = _append(row, draft, by)
    rule.published = revision
    return revision


def rollback(rule: Rule, revision: Revision, by: User | None) -> Revision:
    """Publish what an earlier revision said, as a new revision, and make it the draft too.

    Placements deleted since are left out; raises ValidationError when none of them is left, because a rule
    without placements would reach every placement, or when the rule is too much for a placement by now.
    """
    with transaction.atomic():
        row = _lock(rule)
        if revision.rule_id != row.pk:
            raise ValidationError(f"{revision} belongs to another rule; choose one of this rule's revisions.")
        former = _restore(row, revision)
        current = row.published
        if current is None or not _same(current, former):
            _refuse_excess(row, former)
            current = _append(row, former, by)
    rule.refresh_from_db()
    return current


def room(rule: Rule) -> list[limits.Use]:
    """What a saved draft would use of what rules may have: actions, tests, and rules in its fullest placement."""
    draft = _draft(rule)
    many = limits.Crowd([*_others(rule), draft["placements"]])
    crowds = [limits.rules_at(key, many) for key in _reached(rule, draft["placements"])]
    return [*limits.used_by_rule(rule.text), *sorted(crowds, reverse=True)[:1]]


def _refuse_excess(rule: Rule, draft: dict[str, Any]) -> None:
    """Hold a draft to the limits; placements that the rule reaches already have room for it."""
    former = rule.published
    known = set(_reached(rule, former.placements)) if former is not None and rule.active else set()
    many = limits.Crowd([*_others(rule), draft["placements"]])
    new = [key for key in _reached(rule, draft["placements"]) if key not in known]
    crowds = [each for key in new if (each := limits.crowded(key, many))]
    if told := [*limits.of_rule(rule.key, draft["text"]), *map(str, crowds)]:
        raise ValidationError(told)


def _others(rule: Rule) -> list[list[str]]:
    """The placements of each other rule that decisions follow; none means every one."""
    return list(published_rules().exclude(pk=rule.pk).values_list("published__placements", flat=True))


def _reached(rule: Rule, placements: Sequence[str]) -> list[str]:
    """The keys of the placements in use that these are; none means every one."""
    rows = rule.placements.model.objects.filter(active=True)
    rows = rows.filter(key__in=placements) if placements else rows
    return sorted(rows.values_list("key", flat=True))


def _lock(rule: Rule) -> Rule:
    """The rule's row, fresh and held until the transaction ends: two publishers cannot take one number."""
    return Rule.objects.select_for_update(of=("self",)).select_related("published").get(pk=rule.pk)


def _draft(rule: Rule) -> dict[str, Any]:
    """What a revision freezes of a rule."""
    return {
        "text": rule.text,
        "priority": rule.priority,
        "placements": sorted(placement.key for placement in rule.placements.all()),
        "starts_at": rule.starts_at,
        "ends_at": rule.ends_at,
    }


def _same(revision: Revision, draft: dict[str, Any]) -> bool:
    return all(getattr(revision, name) == value for name, value in draft.items())


def _append(rule: Rule, draft: dict[str, Any], by: User | None) -> Revision:
    newest = rule.revisions.aggregate(newest=Max("number"))["newest"] or 0
    revision = Revision.objects.create(rule=rule, number=newest + 1, published_by=by, **draft)
    Rule.objects.filter(pk=rule.pk).update(published=revision)
    return revision


def _restore(rule: Rule, revision: Revision) -> dict[str, Any]:
    """Write a revision's content into the draft; the content as it can be published today."""
    placements = rule.placements.model.objects.filter(key__in=revision.placements)
    if revision.placements and not placements:
        raise ValidationError(
            f"Every placement of {revision} was deleted; edit the rule and choose placements instead."
        )
    for name in ("text", "priority", "starts_at", "ends_at"):
        setattr(rule, name, getattr(revision, name))
    rule.save()
    rule.placements.set(placements)
    return _draft(rule)
