"""A replay's answer in; what its page shows, with names and addresses, out."""

from collections.abc import Mapping
from typing import Any, Final

from campaigns.models import Content, Placement
from decisioning.console.tables import shown
from rules.models import Rule

from .telling import known

KINDS: Final = {"rule": Rule, "content": Content, "placement": Placement}
SINGLE: Final = {
    "rung": "Rung",
    "reason": "Reason",
    "policy": "Policy",
    "scorer": "Scorer",
    "placement": "Placement",
    "filter": "Filter",
}
MATTERED: Final = {True: ("changes the answer", "warning"), False: ("changes nothing here", "default")}
UNTRIED: Final = ("not tried", "default")
UNKNOWN: Final = {
    "n": "how many contents were asked for",
    "exclude": "what was excluded",
    "person": "by which id the customer came",
    "unit": "what chances are drawn by",
    "scores": "the scores the worker had written",
}


def difference_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """The slots of then and now side by side, what else differs, and the causes with their pages."""
    changes = told["changes"]
    now = told["now"] or {"items": []}
    contents = known(Content, {item["key"] for item in (*told["then"]["items"], *now["items"])})
    return {
        "told": told,
        "slots": _slots(told["then"]["items"], now["items"], contents),
        "single": [{"label": SINGLE[name], **_words(changes[name])} for name in SINGLE if name in changes],
        "campaigns": changes.get("campaigns"),
        "rules": [_rule(change) for change in changes.get("rules", [])],
        "dropped": changes.get("dropped", []),
        "causes": None if told["causes"] is None else [_cause(cause) for cause in told["causes"]],
        "lacking": [UNKNOWN.get(name, name) for name in told["unknown"]],
    }


def _words(pair: Mapping[str, Any]) -> dict[str, str]:
    return {side: shown(pair[side]) for side in ("then", "now")}


def _slots(then: list[Any], now: list[Any], contents: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a rank: what stood there and what would stand there."""
    sides = [{item["rank"]: item for item in side} for side in (then, now)]
    ranks = sorted({rank for side in sides for rank in side})
    return [
        {
            "rank": rank,
            "then": _item(sides[0].get(rank), contents),
            "now": _item(sides[1].get(rank), contents),
            "same": sides[0].get(rank) == sides[1].get(rank),
        }
        for rank in ranks
    ]


def _item(item: Mapping[str, Any] | None, contents: Mapping[str, Any]) -> dict[str, Any] | None:
    if item is None:
        return None
    numbers = {"score": shown(item.get("score")), "propensity": f"{item.get('propensity', 0):.1%}"}
    return {**item, **contents.get(item["key"], {}), **numbers}


def _rule(change: Mapping[str, Any]) -> dict[str, Any]:
    return {"key": change["key"], **{side: _did(change[side]) for side in ("then", "now")}}


def _did(trace: Mapping[str, Any] | None) -> str:
    """What a rule did, in a line."""
    if trace is None:
        return "did nothing"
    done = [*trace.get("effects", ()), *(f"overruled: {lost}" for lost in trace.get("overruled", ()))]
    state = "held" if trace.get("matched") else "did not hold"
    return f"revision {trace.get('revision')} {state}: {'; '.join(done) or 'nothing'}"


def _cause(cause: Mapping[str, Any]) -> dict[str, Any]:
    model = KINDS.get(cause["kind"])
    row = known(model, {cause["key"]}).get(cause["key"], {}) if model else {}
    label, colour = MATTERED.get(cause["mattered"], UNTRIED)
    return {**cause, "name": row.get("name"), "url": row.get("url"), "label": label, "colour": colour}
