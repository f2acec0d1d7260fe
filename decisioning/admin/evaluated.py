"""A policy or a rule's draft, a placement and a span of days in; a page of what it would have earned, out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from campaigns.models import Content, Placement
from decisioning.config import clock
from decisioning.console.earned import Earned, told
from decisioning.flows import reconsider
from decisioning.flows.evaluate import CURRENT, FIXED, Asked, policy_of, span_of
from decisioning.flows.suppose import supposed
from decisioning.learning.dataset import OBJECTIVES
from decisioning.models import Decision
from decisioning.store.limiting import OutOfTime, until
from rules.models import Rule

SAMPLE: Final = 2_000  # decisions; each is decided anew while somebody waits
SECONDS: Final = 20.0  # for one statement of the database
LISTED: Final = 500
DRAFT: Final = "draft:"
WORDS: Final = {"click": "Clicks", "conversion": "Conversions", "value": "Value"}


@dataclass(frozen=True, slots=True)
class Form:
    """What can be chosen, {value: words}, and what was; `wrong` says what is not right with it."""

    policies: Mapping[str, Mapping[str, str]]
    placements: Mapping[str, str]
    chosen: Mapping[str, str]
    wrong: str = ""


def earned(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """The page; its address says all that was asked, so that it can be passed on."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    now = clock.now()
    form = _form(request)
    asked = "policy" in request.GET
    found, wrong = _found(now, form.chosen) if asked and not form.wrong else (None, form.wrong if asked else "")
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "What would this have earned?",
        "form": form,
        "objectives": {"": "What the placement is for", **{name: WORDS[name] for name in OBJECTIVES}},
        "asked": asked,
        "wrong": wrong,
        "found": found,
        "sample": SAMPLE,
        "anything": asked or Decision.objects.exists(),
    }
    return TemplateResponse(request, "admin/decisioning/earned.html", context)


def _form(request: HttpRequest) -> Form:
    """Everything as it was chosen; what is not there is said, and nothing is computed by it."""
    names = ("policy", "placement", "objective", "since", "until")
    chosen = {name: request.GET.get(name, "").replace("\0", "") for name in names}
    policies = _policies(request, chosen["policy"])
    placements = dict(Placement.objects.filter(active=True).order_by("name").values_list("key", "name"))
    chosen["placement"] = chosen["placement"] or next(iter(placements), "")
    if not any(chosen["policy"] in group for group in policies.values()):
        wrong = "Choose what is to be judged: it is not there, or you may not see it."
    elif chosen["placement"] not in placements:
        wrong = "Choose a placement that is switched on."
    elif chosen["objective"] not in ("", *OBJECTIVES):
        wrong = "Choose what is to be brought about from the list."
    else:
        wrong = _wrong_days(chosen)
    return Form(policies, placements, chosen, wrong)


def _policies(request: HttpRequest, chosen: str) -> dict[str, dict[str, str]]:
    """What may be judged, in groups; of many contents the first by name, and the one that was chosen."""
    groups = {"Rules": {CURRENT: "The current rules"}}
    if request.user.has_perm("rules.view_rule"):
        rules = Rule.objects.order_by("name").values_list("key", "name")
        groups["A rule as it is saved, published or not"] = {f"{DRAFT}{key}": name for key, name in rules}
    if request.user.has_perm("campaigns.view_content"):
        rows = Content.objects.order_by("name").values_list("key", "name")
        listed = dict([*rows[:LISTED], *rows.filter(key=chosen.removeprefix(FIXED))])
        groups["One content for everybody"] = {f"{FIXED}{key}": name for key, name in listed.items()}
    return {name: group for name, group in groups.items() if group}


def _day(text: str) -> datetime | None:
    """Midnight UTC of a day; nothing for nothing. Raises ValueError for what is no day."""
    return datetime.combine(date.fromisoformat(text), time(), UTC) if text else None


def _days(chosen: Mapping[str, str]) -> tuple[datetime | None, datetime | None]:
    """From the first moment of a day to the last of another."""
    since, last = _day(chosen["since"]), _day(chosen["until"])
    return since, last + timedelta(days=1) if last else None


def _wrong_days(chosen: Mapping[str, str]) -> str:
    try:
        since, end = _days(chosen)
    except (ValueError, OverflowError):
        return "Write days as YYYY-MM-DD, such as 2026-03-31."
    return "The first day comes after the last one." if since and end and since >= end else ""


def _found(now: datetime, chosen: Mapping[str, str]) -> tuple[Earned | None, str]:
    """What it would have earned; or nothing, and why."""
    since, end = _days(chosen)
    asked = Asked(chosen["placement"], chosen["objective"] or None, since, end, most=SAMPLE)
    try:
        with until(monotonic() + SECONDS):
            if nothing := _nothing(now, asked):
                return None, nothing
            return _judged(now, asked, chosen["policy"]), ""
    except OutOfTime:
        cure = "Ask for fewer days; manage.py learn evaluate takes its time."
        return None, f"The ledger did not answer within {SECONDS:g} s. {cure}"
    except ValueError as error:
        return None, str(error)


def _nothing(now: datetime, asked: Asked) -> str:
    """Why there is nothing to judge by, where there is not."""
    rows = Decision.objects.filter(placement=asked.placement, items__0__isnull=False).order_by("-at")
    newest = rows.values_list("at", flat=True).first()
    if newest is None:
        return "Nothing was decided in this placement yet."
    within = rows.filter(at__lt=asked.until or now)
    if (within.filter(at__gte=asked.since) if asked.since else within).exists():
        return ""
    return f"Nothing was decided in this placement on these days; the newest decision is of {newest:%-d %B %Y}."


def _judged(now: datetime, asked: Asked, name: str) -> Earned:
    current = reconsider.by_rules(now)
    if name.startswith(DRAFT):
        policy = reconsider.by_rules(now, name.removeprefix(DRAFT))
    else:
        policy = current if name == CURRENT else policy_of(now, name)
    rival = None if name == CURRENT else current
    span = span_of(asked)
    return told(supposed(now, span, policy, rival), span.objective)
