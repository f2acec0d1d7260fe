"""Stored quality reports in; what the pages show of them, with little pictures as rectangles, out."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.urls import reverse
from django.utils.http import urlencode

from ..models import Customer, QualityPolicy, QualityReport
from ..quality.findings import MEND, Example, Finding, amount, findings_of, percent
from .reading import customer_url

WIDE: Final = (120, 28)
DAYS_WIDE: Final = (184, 28)
LARGE: Final = (640, 120)
WORDS: Final = 3
MARKS: Final = {0: ("fine", "success"), 1: ("look", "warning"), 2: ("mend", "danger")}
FIGURES: Final = ("least", "quarter", "median", "three quarters", "most", "mean", "deviation", "skewness")

DOUBTFUL: Final = (("duplicates", "twice"), ("late", "late"), ("ahead", "from the future"), ("bots", "by bots"))

Rect = dict[str, float]


def bars(counts: Sequence[float], size: tuple[int, int]) -> list[Rect]:
    """Rectangles of a bar chart; what is not nothing is seen."""
    width, height = size
    most = max(counts, default=0) or 1
    step = width / max(1, len(counts))
    wide = round(max(step - 1, 0.6), 2)
    tall = [round(max(height * count / most, 1.5 if count else 0), 2) for count in counts]
    return [
        {"x": round(place * step, 2), "y": round(height - each, 2), "width": wide, "height": each}
        for place, each in enumerate(tall)
    ]


def row_of(report: QualityReport, policy: QualityPolicy | None = None) -> dict[str, Any]:
    """One line of the list."""
    figures = report.findings.get("figures", {})
    found = findings_of(report.findings)
    mark, colour = MARKS.get(report.severity, MARKS[MEND])
    return {
        "name": report.name,
        "label": figures.get("label") or "",
        "kind": report.kind,
        "url": reverse("admin:customers_qualityreport_change", args=[report.pk]),
        "mark": mark,
        "colour": colour,
        "findings": [finding for finding in found if finding.severity or report.severity == 0],
        "policy": said(policy),
        **(_fact(figures) if report.kind == QualityReport.Kind.FACT else _event(figures)),
    }


def _fact(figures: Mapping[str, Any]) -> dict[str, Any]:
    coverage = figures.get("coverage", 0.0)
    return {
        "type": figures.get("type", ""),
        "coverage": percent(coverage),
        "share": round(100 * coverage, 1),
        "bars": bars(figures.get("bars", []), WIDE),
        "words": ", ".join(word for word, _ in words(figures)[:WORDS]),
        "about": f"{amount(figures['median'])} (median)" if "median" in figures else "",
    }


def _event(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "total": f"{figures.get('total', 0):,}",
        "bars": bars(figures.get("days", []), DAYS_WIDE),
        "doubtful": [
            (label, f"{figures[key]:,}")
            for key, label in (
                ("duplicates", "twice"),
                ("late", "late"),
                ("ahead", "from the future"),
                ("bots", "by bots"),
            )
            if figures.get(key)
        ],
    }


def words(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The commonest values with their shares of the customers who have one."""
    total = figures.get("customers", 0) * figures.get("coverage", 0.0)
    return [(str(word), percent(times / total) if total else "") for word, times in figures.get("words", [])]


def picture(shape: Mapping[str, Any]) -> dict[str, Any]:
    """A large bar chart with its ends, or nothing."""
    if "bars" not in shape:
        return {}
    return {
        "bars": bars(shape["bars"], LARGE),
        "from": amount(shape["from"]),
        "to": amount(shape["to"]),
        "tails": shape["least"] < shape["from"] or shape["most"] > shape["to"],
    }


def numbers_of(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of what was measured of a fact."""
    told = [("customers", f"{figures.get('customers', 0):,}"), ("have it", percent(figures.get("coverage", 0.0)))]
    told += [("different values", f"{figures.get('distinct', 0):,}")]
    told += [(name, amount(round(figures[name], 6))) for name in FIGURES if name in figures]
    for key, label in (("iqr", "outside by quartiles"), ("z", "outside by Z score")):
        if key in figures:
            fence = figures[key]
            told.append((label, f"{fence['outliers']:,} ({amount(fence['low'])} to {amount(fence['high'])})"))
    return told


def counted(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of what was counted of an event."""
    labels = {
        "total": "events",
        "bots": "by bots",
        "historical": "historical",
        "late": "a day late or more",
        "ahead": "from the future",
        "duplicates": "likely twice",
        "looked": "looked into",
    }
    told = [(label, f"{figures.get(key, 0):,}") for key, label in labels.items()]
    return [*told, *((name, figures[name][:16].replace("T", " ")) for name in ("first", "last") if figures.get(name))]


def told(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings with links to their examples; customers by their keys."""
    ids = {example.customer for finding in findings for example in finding.examples if example.customer}
    keys = dict(Customer.objects.filter(pk__in=ids).values_list("pk", "key"))
    return [
        {
            "text": finding.text,
            "cure": finding.cure,
            "mark": MARKS.get(finding.severity, MARKS[MEND]),
            "examples": [link for example in finding.examples if (link := _link(example, keys))],
        }
        for finding in findings
    ]


def _link(example: Example, keys: Mapping[int, str]) -> dict[str, str] | None:
    """Where an example is looked at; None for a customer who is gone."""
    if example.customer:
        key = keys.get(example.customer)
        return {"said": f"{key}: {example.said}", "url": customer_url(example.customer)} if key else None
    if example.event:
        return {"said": example.said, "url": reverse("admin:customers_event_change", args=[example.event])}
    return {"said": example.said, "url": f"{reverse('admin:customers_event_changelist')}?{urlencode(example.asks)}"}


def said(policy: QualityPolicy | None) -> str:
    """A policy in a few words."""
    if policy is None:
        return ""
    parts = []
    if policy.outliers != QualityPolicy.Outliers.KEEP:
        how = f"{policy.get_method_display()}, {amount(policy.width)}"
        parts.append(f"outliers: {policy.get_outliers_display()} ({how})")
    if policy.missing != QualityPolicy.Missing.KEEP:
        parts.append(f"gaps: {policy.get_missing_display()}")
    return "; ".join(parts) or "leave it as it is"
