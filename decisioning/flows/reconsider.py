"""The name of a policy in; how it would have decided what the ledger holds, out: a constant, a file, rules, a draft."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import msgspec
import polars as pl

from campaigns.models import Content
from rules.models import Rule

from ..engine.prepare import Prepared, prepare
from ..engine.resolver import propensities
from ..engine.types import ContentItem, RuleItem, SnapshotData
from ..models import Decision
from ..store import candidates
from ..store.freeze import freeze
from .rerun import ask_of

Chances = Mapping[str, float]
# Of one decision, for each of its places given what stood above, the chance of every content.
Policy = Callable[[Decision], Sequence[Chances]]


def always(key: str) -> Policy:
    """One content for everybody, in the first place; what stood below is left as it was not judged."""
    if not Content.objects.filter(key=key).exists():
        raise ValueError(f"There is no content {key!r}; say constant:KEY with a content's key.")
    return lambda row: ({key: 1.0},)


def from_file(path: Path) -> Policy:
    """Chances that somebody else worked out: columns decision, content, chance, and place (1 where there is none).

    `decision` is the decision's id, or the one its log had. CSV, JSON lines or Parquet, by the file's ending. Raises
    ValueError for anything else.
    """
    readers: dict[str, Callable[[Path], pl.DataFrame]] = {
        ".csv": partial(pl.read_csv, infer_schema_length=None),
        ".jsonl": pl.read_ndjson,
        ".parquet": pl.read_parquet,
    }
    if path.suffix not in readers or not path.exists():
        raise ValueError(f"{path} is no policy: say current, constant:KEY, or a file ending in {', '.join(readers)}.")
    frame = readers[path.suffix](path)
    if missing := {"decision", "content", "chance"} - set(frame.columns):
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}; it needs decision, content and chance.")
    place = "place" if "place" in frame.columns else pl.lit(1).alias("place")
    told: dict[str, dict[int, dict[str, float]]] = {}
    for decision, content, chance, at in frame.select("decision", "content", "chance", place).iter_rows():
        told.setdefault(str(decision), {}).setdefault(int(at), {})[str(content)] = float(chance)

    def policy(row: Decision) -> Sequence[Chances]:
        places = told.get(str(row.pk)) or told.get(row.request_id) or {}
        return [places.get(at, {}) for at in range(1, max(places, default=0) + 1)]

    return policy


def by_rules(now: datetime, draft: str | None = None) -> Policy:
    """What is published now; with a rule's key, with that rule as it is written, published or not, whatever its dates.

    Raises ValueError where there is no such rule.
    """
    data = freeze()
    if draft is not None:
        rule = Rule.objects.filter(key=draft).select_related("published").first()
        if rule is None:
            raise ValueError(f"There is no rule {draft!r}; say its key.")
        others = tuple(one for one in data.rules if one.key != draft)
        data = msgspec.structs.replace(data, rules=(*others, _as_written(rule)))
    prepared = prepare(0, now, data, candidates.kept(data))
    if problems := [one for one in prepared.problems if draft and one.startswith(f"rule {draft}:")]:
        raise ValueError(f"The draft cannot be used: {problems[0]}.")
    return partial(_asked_again, prepared, _known(data))


def _as_written(rule: Rule) -> RuleItem:
    number = rule.published.number if rule.published else 0
    placements = tuple(rule.placements.order_by("key").values_list("key", flat=True))
    return RuleItem(rule.key, rule.name, rule.text, rule.priority, number, rule.created_at, placements)


def _known(data: SnapshotData) -> dict[str, ContentItem]:
    """Contents that an imported log showed are switched off: here they compete all the same."""
    there = {one.key: one for one in data.contents}
    for row in Content.objects.exclude(key__in=list(there)).prefetch_related("placements"):
        tags, placements = tuple(row.tags), tuple(sorted(one.key for one in row.placements.all()))
        there[row.key] = ContentItem(row.key, row.name, row.body, row.attributes, tags, row.value, placements)
    return there


def _asked_again(prepared: Prepared, contents: Mapping[str, ContentItem], row: Decision) -> Sequence[Chances]:
    """Place by place, as if what was shown above stood there already."""
    if row.placement not in prepared.slots:
        raise ValueError(f"The placement {row.placement!r} is not there any more; switch it on, or say --placement.")
    ask = ask_of(row, prepared)
    if row.source == Decision.Source.IMPORT:
        keys = row.explanation.get("candidates") or _shown_in(row, contents)
        ask = msgspec.structs.replace(ask, candidates=tuple(contents[key] for key in keys if key in contents))
    found: list[Chances] = []
    above: frozenset[str] = frozenset()
    for item in sorted(row.items, key=lambda item: item["rank"]):
        one = msgspec.structs.replace(ask, taken=ask.taken | above, count=1)
        found.append(next(iter(propensities(prepared, one, row.at)), {}))
        above |= {item["key"]}
    return found


def _shown_in(row: Decision, contents: Mapping[str, ContentItem]) -> Iterable[str]:
    """Where a log does not say what could have been shown: every content of its placement."""
    mine = [key for key, one in contents.items() if not one.placements or row.placement in one.placements]
    return mine or [item["key"] for item in row.items]
