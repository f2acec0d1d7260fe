"""A decision explained, or replayed, in; what its page shows, with names, addresses and pictures, out."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.text import Truncator

from campaigns.models import Content, Placement
from decisioning.console import card
from decisioning.console.tables import rows_of, shown
from decisioning.customers.models import Customer
from decisioning.flows.explain import NOUNS, ON, explain_row, labelled
from decisioning.learning.contributions import off
from decisioning.models import Artefact, Decision, Outcome, Snapshot
from rules.models import Rule, Segment

RUNG_COLOURS: Final = {
    "full": "success",
    "rules+model": "success",
    "rules+prior": "info",
    "rules": "warning",
    "default": "danger",
}
STEPS: Final = {
    "audience": ("Audience", "the placement is for this customer"),
    "eligibility": ("Eligibility", "dates, stock, consent, caps, what was asked"),
    "holdout": ("Holdout", "the customer is not held out for comparison"),
    "rules": ("Rules", "HIDE and ONLY"),
    "pick": ("Pick", "as many as were asked for"),
}
STATES: Final = {"holds": "success", "does not hold": "danger", "not read": "default"}
PICTURES: Final = ("image", "image_url", "picture", "img", "icon")
MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")  # how facts keep moments (ISO 8601)
LONGEST: Final = 60
LARGEST: Final = 200_000
HALF: Final = 110  # pixels on each side of the middle of a share's bar


def story(decision: Decision) -> dict[str, Any]:
    """What the page of one decision shows; its JSON is read leniently: old rows stay readable."""
    told = explain_row(decision)
    names = labelled()
    contents = known(Content, {one["id"] for one in told["candidates"]})
    return {
        "told": told,
        "chosen": [_chosen(item, contents) for item in told["items"]],
        "funnel": _funnel(told, contents),
        "rules": _rules(told["rules"], names),
        "scores": _shares(told["scores"]),
        "outcomes": _timeline(decision),
        "in_segments": _segments(told["segments"]),
        "facts": [(name, _said(text)) for name, text in rows_of(decision.facts, _labels(names))],
        "moment": rows_of(decision.context),
        "placement": known(Placement, {decision.placement}).get(decision.placement, {}),
        "customer_url": customer_url(decision.customer_id),
        "snapshot_url": _page(Snapshot, decision.snapshot),
        "scorer_url": _page(Artefact, decision.scorer),
        "rung_colour": RUNG_COLOURS.get(decision.rung, "info"),
        "facts_at": _moment(told["versions"]["facts_at"]),
        "raw": _raw(told),
    }


# -- what was shown


def _chosen(item: Mapping[str, Any], contents: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """An item with its content's name, title and picture of now."""
    content = contents.get(str(item.get("key")), {})
    body = content.get("body") or {}
    title = body.get("title") if isinstance(body, dict) else None
    return {
        **item,
        "name": item.get("name") or content.get("name"),
        "url": content.get("url"),
        "title": title if isinstance(title, str) else "",
        "picture": _picture(body),
        "score": shown(item.get("score")),
        "propensity": _share(item.get("propensity")),
    }


def _labels(names: Mapping[str, Any]) -> dict[str, str]:
    return {name: fact.label for name, fact in names.items()}


def _said(text: str) -> str:
    """A moment as people read one; any other text as it is."""
    found = _moment(text) if MOMENT.match(text) else None
    return f"{found:%-d %b %Y, %H:%M} UTC" if found else text


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
    except ValueError:
        return None


def _share(part: Any) -> str:
    return f"{part:.1%}" if isinstance(part, int | float) else "–"


def _picture(body: Any) -> str:
    """The address of a picture on this host; others are not asked for, as they would learn who looks at this."""
    if not isinstance(body, dict):
        return ""
    found = (body.get(name) for name in PICTURES)
    local = (each for each in found if isinstance(each, str) and each.startswith("/") and not each.startswith("//"))
    return next(local, "")


def _funnel(told: Mapping[str, Any], contents: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each step with how many came and were left, as text and as shares of the widest bar, and who fell and why."""
    steps, most = told["path"], max((step["came"] for step in told["path"]), default=0)
    by_reason: dict[str, list[dict[str, Any]]] = {}
    for one in told["candidates"]:
        if not one["chosen"]:
            by_reason.setdefault(one["reason"], []).append({"key": one["id"], **contents.get(one["id"], {})})
    return [
        {
            **step,
            "label": STEPS[step["step"]][0],
            "note": STEPS[step["step"]][1],
            "share": 100 * step["left"] / most,
            "lost": 100 * (step["came"] - step["left"]) / most,
            "reasons": [{"why": why, "contents": by_reason.get(why, [])} for why in step["fell"]],
        }
        for step in steps
        if most
    ]


# -- rules and scores


def _rules(rules: Iterable[Mapping[str, Any]], names: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = list(rules)
    now = known(Rule, {rule["key"] for rule in rows})
    return [
        {
            **rule,
            "name": rule.get("name") or now.get(rule["key"], {}).get("name") or "deleted since",
            "url": now.get(rule["key"], {}).get("url"),
            "colour": STATES[rule["state"]],
            "tree": _tree(rule.get("tests"), names),
        }
        for rule in rows
    ]


def _tree(node: Any, names: Mapping[str, Any]) -> dict[str, Any] | None:
    """A condition's node as the template of conditions takes it: labels of facts, values as short text."""
    if not isinstance(node, dict):
        return None
    fact = names.get(node.get("fact", ""))
    told = {**node, "label": fact.label if fact else node.get("fact"), "shown": _seen(node.get("value"))}
    if "compared_with" in node:
        told["compared"] = _seen(node["compared_with"])
    return told | {"parts": [_tree(part, names) for part in node.get("parts", [])]}


def _seen(value: Any) -> str:
    return Truncator(_said(shown(value))).chars(LONGEST)


def _shares(scores: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Each factor's bar, to the right of the middle where it raises the chance, and the sum as a line of numbers."""
    if scores is None:
        return None
    parts = [{**factor, "shown": _seen(factor["value"])} for factor in scores["factors"]]
    if scores["others"]["count"]:
        parts.append({"label": f"{scores['others']['count']} others together", **scores["others"], "shown": ""})
    most = max((abs(part["share"]) for part in parts), default=0.0) or 1.0
    for part in parts:
        width = HALF * abs(part["share"]) / most
        part |= {"width": round(width, 1), "x": HALF if part["share"] > 0 else round(HALF - width, 1)}
        part |= {"up": part["share"] > 0, "said": f"{part['share']:+.3f}"}
    scale = scores["scale"]
    told = {"parts": parts, "half": HALF, "width": 2 * HALF, "noun": NOUNS[scale], "on": ON[scale]}
    told |= {"given_said": card.said(scale, scores["given"]), "base_is": card.said(scale, off(scale, scores["base"]))}
    return {**scores, **told, "base_said": f"{scores['base']:+.3f}"}


# -- what followed, and from what


def _timeline(decision: Decision) -> list[dict[str, Any]]:
    """The decision and its outcomes in the order of time, with how long after it each came."""
    rows = Outcome.objects.filter(decision_id=decision.pk).order_by("at", "pk")
    return [{"row": row, "after": _after(decision.at, row.at), "why_not": _why_not(decision, row)} for row in rows]


def _why_not(decision: Decision, row: Outcome) -> str:
    """Why an outcome is credited to nothing; "" where it counts."""
    if decision.in_time(row.kind, row.at):
        return ""
    return "dated before the decision" if decision.precedes(row.at) else "after its window"


def _after(start: datetime, end: datetime) -> str:
    """How long after, in the largest unit that fits."""
    seconds = (end - start).total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if abs(seconds) >= size:
            return f"{seconds / size:+.1f} {unit}"
    return f"{seconds:+.1f} s"


def _segments(keys: list[str]) -> list[dict[str, Any]]:
    now = known(Segment, set(keys))
    return [{"key": key, **now.get(key, {})} for key in keys]


def _raw(told: Mapping[str, Any]) -> str:
    try:
        return Truncator(json.dumps(told, indent=2, ensure_ascii=False, default=str)).chars(LARGEST)
    except RecursionError:
        return "It is nested too deeply to be shown as text."


# -- names and addresses


def known(model: type[Model], keys: set[Any]) -> dict[Any, dict[str, Any]]:
    """Name, admin page and, of contents, body of each row that still exists, by key."""
    fields = ["key", "name", "pk", *(["body"] if model is Content else [])]
    rows = model._default_manager.filter(key__in=keys).values(*fields)
    return {row["key"]: {**row, "url": _page(model, row["pk"])} for row in rows}


def _page(model: type[Model], pk: Any) -> str | None:
    if pk is None:
        return None
    try:
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[pk])
    except NoReverseMatch:
        return None


def customer_url(customer_id: int | None, check: bool = True) -> str | None:
    """The customer's page; `check` asks whether they are still there."""
    if customer_id is None or (check and not Customer.objects.filter(pk=customer_id).exists()):
        return None
    return reverse("admin:customers_customer_change", args=[customer_id])
