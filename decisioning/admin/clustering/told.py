"""What a clustering's artefact keeps in; what its page tells of it in words, figures and bars, out.

Artefacts of earlier versions keep less: what is not there is left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final

from django.utils.dateparse import parse_datetime

from decisioning.learning.judging import percent
from decisioning.learning.pictures import colour
from decisioning.learning.policies import Effect
from decisioning.learning.profiles import label_of
from decisioning.models import Artefact
from rules.models import Segment

SHOWN: Final = 5  # facts and values on a card
ALL: Final = 30  # facts behind it, the most distinguishing ones
WIDEST: Final = 3.0  # effects beyond this fill their half of the bar
SIZES: Final = ((0.8, "far"), (0.5, "clearly"), (0.2, "somewhat"))  # of Cohen's d, by custom
VERDICTS: Final = {
    "steady": ("steady", "success", "Customers are as they were when these clusters were found."),
    "drifting": (
        "drifting",
        "warning",
        "Customers have begun to change. The clusters still serve; look again soon.",
    ),
    "refit": ("compare again", "danger", "Customers are no longer those whom these clusters were found among."),
    "unknown": ("not known", "default", "Whether customers have changed cannot be said."),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One fact of a cluster against everybody: `start` and `width` are of 100, the middle of the bar is everybody."""

    label: str
    here: str
    everybody: str
    median: str
    median_all: str
    effect: str
    words: str
    known: str
    up: bool
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Typical:
    """A value that is more common in a cluster than elsewhere."""

    label: str
    value: str
    share: str
    share_all: str
    lift: str


@dataclass(slots=True)
class Persona:
    """One cluster as people meet it; `segment` is there once it was made one."""

    number: int
    key: str
    name: str
    story: str
    drafted_name: str
    drafted_story: str
    colour: str
    share: str
    customers: int | None
    segment: Segment | None
    bars: list[Bar] = field(default_factory=list)
    facts: list[Bar] = field(default_factory=list)
    values: list[Typical] = field(default_factory=list)
    form: Any = None

    @property
    def redrafted(self) -> bool:
        """Whether it would be called or told otherwise today."""
        return (self.name, self.story) != (self.drafted_name, self.drafted_story)


def segment_key(key: str) -> str:
    """The key of the segment that stands for a cluster."""
    return f"cluster-{key}"[:100]


def segments_of(keys: Iterable[str]) -> dict[str, Segment]:
    """The segments that stand for these clusters, by the cluster's key; those never made are left out."""
    wanted = {segment_key(key): key for key in keys}
    rows = Segment.objects.filter(kind=Segment.Kind.CLUSTER, key__in=wanted)
    return {wanted[row.key]: row for row in rows}


def personas_of(artefact: Artefact) -> list[Persona]:
    """Its clusters, largest first. Those in use go by the names of their segments, as do those a person has named."""
    found = artefact.metrics.get("clusters") or []
    segments = segments_of(one["key"] for one in found)
    labels = artefact.metrics.get("labels") or {}
    return [_persona(place, one, segments.get(one["key"]), artefact.active, labels) for place, one in enumerate(found)]


def _persona(place: int, one: Mapping[str, Any], row: Segment | None, live: bool, labels: Mapping[str, str]) -> Persona:
    profile = one.get("profile") or {}
    facts = [_bar(fact) for fact in profile.get("facts") or _plain(one, labels)]
    named = {fact["fact"]: bar for fact, bar in zip(profile.get("facts") or (), facts, strict=False)}
    top = [named[name] for name in profile.get("top") or () if name in named]
    theirs = row is not None and (live or row.edited_at is not None)
    drafted = one.get("drafted_name") or one.get("name") or one["key"]
    return Persona(
        number=place + 1,
        key=one["key"],
        name=row.name if row and theirs else one.get("name") or one["key"],
        story=row.story if row and theirs else one.get("story") or "",
        drafted_name=drafted,
        drafted_story=one.get("story") or "",
        colour=colour(place),
        share=percent(one.get("share") or 0),
        customers=one.get("customers"),
        segment=row,
        bars=(top or facts)[:SHOWN],
        facts=facts[:ALL],
        values=[_typical(value) for value in (profile.get("values") or [])[:SHOWN]],
    )


def _plain(one: Mapping[str, Any], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """The clustered facts alone, where no profile was kept."""
    effects = one.get("effects") or {}
    return [
        {"fact": name, "label": label_of(name, labels), "mean": mean, "effect": effects.get(name)}
        for name, mean in (one.get("means") or {}).items()
    ]


def _bar(fact: Mapping[str, Any]) -> Bar:
    effect = fact.get("effect") or 0.0
    width = round(min(abs(effect), WIDEST) / WIDEST * 50, 2)
    size = next((word for least, word in SIZES if abs(effect) >= least), "")
    known = fact.get("known")
    return Bar(
        label=fact.get("label") or fact["fact"],
        here=plain(fact.get("mean")),
        everybody=plain(fact.get("mean_all")),
        median=plain(fact.get("median")),
        median_all=plain(fact.get("median_all")),
        effect=f"{effect:+.1f}".replace("-", "−"),
        words=f"{size} {'more' if effect > 0 else 'less'}" if size else "about the same",
        known="–" if known is None else percent(known),
        up=effect >= 0,
        start=50.0 if effect >= 0 else round(50 - width, 2),
        width=width,
    )


def _typical(value: Mapping[str, Any]) -> Typical:
    return Typical(
        label=value.get("label") or value["fact"],
        value=str(value.get("value", "")),
        share=percent(value.get("share") or 0),
        share_all=percent(value.get("share_all") or 0),
        lift=f"{value.get('lift') or 0:.1f}×",
    )


def plain(value: float | None) -> str:
    """A figure as people say it: no more digits than they would compare."""
    if value is None:
        return "–"
    size = abs(value)
    if size >= 20 or value == int(value):
        return f"{value:,.0f}".replace("-", "−")
    return (f"{value:.1f}" if size >= 2 else f"{value:.2f}").replace("-", "−")


def how_found(metrics: Mapping[str, Any]) -> str:
    """By what it was found, in words."""
    chosen = metrics.get("chosen") or {}
    if not chosen:
        return ""
    again = ", refitted from the clusters in use" if chosen.get("warm") else ""
    return f"{chosen['algorithm']} on the {chosen['scaling']} scale, {chosen['setting']}{again}"


def clustered_on(metrics: Mapping[str, Any]) -> list[str]:
    """What its facts are called."""
    labels = metrics.get("labels") or {}
    names = metrics.get("facts") or list((metrics.get("clusters") or [{}])[0].get("means") or {})
    return [label_of(name, labels) for name in names]


def treated(metrics: Mapping[str, Any]) -> list[str]:
    """What policies for outliers and gaps did to facts before they were compared."""
    labels = metrics.get("labels") or {}
    known = {one.name for one in fields(Effect)}
    effects = [
        Effect(**{name: value for name, value in one.items() if name in known})
        for one in metrics.get("data quality") or []
    ]
    return [f"{label_of(one.fact, labels)}: {one}" for one in effects if one.clipped or one.filled or one.note]


def drift_of(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """How far customers have changed since, as the page tells it; None where nobody has looked."""
    drift = metrics.get("drift")
    if not drift:
        return None
    word, tone, sentence = VERDICTS.get(drift.get("verdict"), VERDICTS["unknown"])
    labels = metrics.get("labels") or {}
    facts = sorted((drift.get("facts") or {}).items(), key=lambda pair: -pair[1])
    return {
        "word": word,
        "tone": tone,
        "sentence": sentence,
        "reasons": drift.get("reasons") or [],
        "facts": [(label_of(name, labels), f"{value:.2f}") for name, value in facts],
        "shares": drift.get("shares_psi"),
        "distance": drift.get("distance"),
        "customers": drift.get("customers"),
        "at": moment(drift.get("at")),
    }


def moment(text: str | None) -> datetime | None:
    """A moment as it is kept in metrics."""
    return parse_datetime(text) if text else None
