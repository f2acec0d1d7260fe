"""One fact of the catalogue, or a formula just typed, in; what its page tells of it, out."""

from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest

from decisioning.console.tables import shown
from decisioning.flows.define import FEWER, Preview, preview, sample
from decisioning.store.limiting import OutOfTime
from rules import recomputes
from rules.language.formula_check import Judged
from rules.language.formulas import formula_text
from rules.models import Recompute

from ..facts import defining
from ..facts.custom import Custom
from ..facts.distributions import Described
from ..models import Customer, CustomFact, Distribution
from .catalogue import Entry
from .finding import find
from .pictures import counts_of, large
from .reading import customer_url

EXAMPLES: Final = 10
QUANTILES: Final = {
    "5": "5 % have at most",
    "25": "25 % have at most",
    "50": "Half have at most",
    "75": "75 % have at most",
    "95": "95 % have at most",
}
NUMBERS: Final = (("min", "Smallest"), ("mean", "Mean"), ("max", "Largest"), ("sd", "Standard deviation"))
DATES: Final = (("min", "Earliest"), ("max", "Latest"))


def fact_story(entry: Entry, request: HttpRequest) -> dict[str, Any]:
    """What the page of a fact shows, by the names its template knows."""
    sees_customers = request.user.has_perm("customers.view_customer")
    return {
        "entry": entry,
        "told": told(entry.distribution),
        "examples": examples(entry.name) if sees_customers else [],
        "sees_customers": sees_customers,
    }


def told(found: Distribution | None) -> dict[str, Any]:
    """A distribution for people: figures, the large picture, and the bars as a table."""
    if found is None or not found.figures:
        return {"row": found}
    figures = found.figures
    counts = counts_of(found)
    total = sum(count for _, count in counts) or 1
    most = max((count for _, count in counts), default=1) or 1
    had = round(found.coverage * found.customers)
    base = had if "common" in figures else total
    return {
        "row": found,
        "had": had,
        "picture": large(found),
        "figures": _figures(found),
        "logarithmic": figures.get("scale") == "log",
        "counts": [(what, count, 100 * count / base if base else 0, 100 * count / most) for what, count in counts],
        "common": "common" in figures or "true" in figures,
        "private": "common" in figures and not figures["common"],
    }


def _figures(found: Distribution) -> list[tuple[str, str]]:
    figures = found.figures
    if found.type == "number":
        quantiles = [(label, shown(figures["quantiles"][name])) for name, label in QUANTILES.items()]
        plain = [(label, shown(figures[name])) for name, label in NUMBERS]
        return [*plain, *quantiles, ("Different values", shown(figures["distinct"]))]
    rows = [(label, str(figures[name])) for name, label in DATES if found.type == "date"]
    rows += [("Different values", shown(figures["distinct"]))] if "distinct" in figures else []
    if "mean_length" in figures:
        rows += [("Mean length", shown(figures["mean_length"])), ("Empty lists", shown(figures["empty"]))]
    return rows


def examples(name: str) -> list[tuple[str, str, str]]:
    """A few customers, evenly spread: key, page and value as stored; empty for what no customer has stored."""
    rows = Customer.objects.filter(pk__in=sample(EXAMPLES)).only("key", "facts").order_by("pk")
    return [(row.key, customer_url(row.pk), shown(row.facts.get(name))) for row in rows]


def drawn_state(row: CustomFact) -> dict[str, Any]:
    """How a custom fact stands: its draft, what is computed, and how far that is for everybody."""
    state = defining.state_of(row)
    computed = bool(row.published_text) and defining.is_computed(row)
    run = recomputes.of_all().order_by("-pk").first()
    running = run if run and run.state == Recompute.State.RUNNING and not computed else None
    failed = run if run and run.state == Recompute.State.FAILED and not computed else None
    return {
        "state": state,
        "computed": computed,
        "running": running,
        "share": min(100, 100 * running.done / running.total) if running and running.total else None,
        "failed": failed,
        "canonical": defining.canonical(row.published_text) if row.published_text else "",
    }


# -- what was just typed


def tried(found: Judged, who: str, now: datetime, request: HttpRequest) -> dict[str, Any]:
    """What a formula gives: for one customer, and for a sample."""
    assert found.formula is not None and found.type is not None
    custom = Custom("this fact", found.type, found.formula)
    told_of = _one(custom, who, now) if request.user.has_perm("customers.view_customer") else {}
    return {**told_of, **_sampled(custom, now), "canonical": formula_text(found.formula), "type": found.type}


def _one(custom: Custom, who: str, now: datetime) -> dict[str, Any]:
    """Its value for the customer whom a key or identifier names."""
    if not who.strip():
        return {}
    ids = find(who).ids[:1]
    if not ids:
        return {"nobody": who}
    try:
        values = preview(custom, ids, now).values
    except OutOfTime:
        return {"stuck_one": who}
    customer = Customer.objects.only("key").get(pk=ids[0])
    return {"customer": customer.key, "customer_url": customer_url(customer.pk), "value": shown(values.get(ids[0]))}


def _sampled(custom: Custom, now: datetime) -> dict[str, Any]:
    """Its distribution over a sample, a smaller one where that would take too long."""
    ids = sample()
    try:
        seen = preview(custom, ids, now)
    except OutOfTime:
        ids = ids[:: max(1, len(ids) // FEWER)]
        try:
            seen = preview(custom, ids, now)
        except OutOfTime:
            return {"stuck": True}
    return {"sampled": len(ids), "told": told(_as_row(seen, now))}


def _as_row(seen: Preview, now: datetime) -> Distribution:
    """The sample's distribution in the shape of a stored one; it is never saved."""
    found: Described = seen.described
    return Distribution(
        type=found.type, coverage=found.coverage, customers=found.customers, figures=found.figures, at=now
    )
