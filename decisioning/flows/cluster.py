"""Everybody's facts in; clusters compared, made personas, watched and kept up to date, out.

`compare` searches and keeps what it found as an inactive artefact; `adopt` makes it live; `cluster` does both; `watch`
says how far customers have drifted since; `keep_learning` moves centres a little with those who changed.

`Artefact.metrics` of a clustering, all JSON, shares from 0 to 1:

- `format` 2, `number` (of clusters), `customers`, `seconds`, `facts` (clustered on), `labels` (what facts are
  called), `limits` and `options` (the gates, and what was searched)
- `chosen`, `alone` (what the silhouette alone would have chosen), `comparison` (best first, then the refused):
  candidates, each as `learning.judging.Candidate` with `allowed`
- `clusters`, largest first: `key`, `name`, `drafted_name`, `story`, `share`, `customers`, `means`, `effects`, `carried`
  (the key was there before), `profile` as `learning.profiles.profile_clusters` gives it
- `picture`: as `learning.pictures.project` gives it; `pictures.svg` draws it
- `kept`: `former` (artefact id), `labels` (share of customers who keep their key), `carried` {key: Jaccard overlap},
  `new`, `gone` (keys); `former` and `labels` are null when there was no clustering before
- `data quality`: what policies did to the facts before they were clustered, as `learning.policies.Effect`
- `adopted_at`: when it was made live, ISO 8601 or null
- `online`: null, or `steps`, `customers`, `moved` (standard deviations), `held` (centres at their bound), `at`
- `drift`: null, or `learning.drifting.Drift` with `at`
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

import polars as pl
from django.db import connection, transaction

from rules import segments
from rules.models import How, Segment

from ..customers import profile
from ..customers.facts import defining
from ..customers.facts.catalogue import catalogue_facts
from ..customers.quality.asked import policies
from ..learning import matching, treating
from ..learning.clustering import DEFAULTS, Clustering, Options
from ..learning.clusters import Cluster, Clusters
from ..learning.drifting import drift
from ..learning.judging import Candidate
from ..learning.matching import Kept
from ..learning.online import strayed, updated
from ..learning.pictures import project
from ..learning.profiles import Profile, profile_clusters
from ..learning.searching import Progress, quiet
from ..learning.stories import drafts
from ..models import Artefact
from ..store import artefacts, clusters, frames, publishing

FORMAT: Final = 2
BATCH: Final = 5000  # customers that one online step learns from
HOLD: Final = "SELECT count(*) FROM (SELECT FROM customers_customer ORDER BY id FOR NO KEY UPDATE) AS held"


def cluster(now: datetime, options: Options = DEFAULTS, progress: Progress = quiet) -> Artefact:
    """Compare and adopt at once: the first time, or as a refit that starts from the active clusters."""
    return adopt(compare(now, options, progress).pk, now)


def compare(now: datetime, options: Options = DEFAULTS, progress: Progress = quiet) -> Artefact:
    """Search for clusters of everybody and keep the best, inactive, with the whole comparison in its metrics.

    `progress(done, of, what)` is called before each step. Raises ValueError, with the cure, when nobody has facts, when
    there are too few different customers, and when no clustering is sane.
    """
    facts = frames.facts(now)
    if facts.is_empty():
        raise ValueError(
            "Nobody has facts to cluster on; import customers and events, and let `manage.py consume` handle them."
        )
    active = artefacts.active(Artefact.Kind.CLUSTERING)
    former = _usable(active, facts)
    labels = _labels()
    started = time.perf_counter()
    treated, treatment = treating.apply(facts, policies())
    fit = Clustering(options, labels).fit(treated, former, progress)
    seconds = round(time.perf_counter() - started, 1)
    found, kept = _carried(fit.clusters_, facts, former)
    told = profile_clusters(facts, fit.labels_, len(found.clusters), labels, found.facts)
    found = _with_stories(found, told, labels)
    metrics = {
        "format": FORMAT,
        "number": len(found.clusters),
        "customers": facts.height,
        "seconds": seconds,
        "facts": list(found.facts),
        "labels": {name: label for name, label in labels.items() if name in facts.columns},
        "limits": asdict(options.limits),
        "options": {name: value for name, value in asdict(options).items() if name != "limits"},
        "chosen": _candidate(fit.chosen_),
        "alone": _candidate(fit.alone_) if fit.alone_ else None,
        "comparison": [_candidate(one) for one in fit.comparison_],
        "clusters": _described(found, fit.clusters_, kept, told, facts.height),
        "picture": project(fit.scaled_, fit.labels_, found, options.seed),
        "kept": matching.as_json(kept, active.pk if active and former else None),
        "data quality": [asdict(one) for one in treatment],
        "adopted_at": None,
        "online": None,
        "drift": None,
    }
    return artefacts.keep(Artefact.Kind.CLUSTERING, found.to_artefact(), "", metrics, now)


def adopt(artefact_id: int, now: datetime) -> Artefact:
    """“Make these personas”: this clustering goes live, its clusters become segments, everybody moves into theirs.

    If another clustering went live since the comparison, keys and names are matched with that one first. Campaigns are
    not triggered: the customers did nothing. Raises ValueError when there is no such clustering, or it was altered.
    """
    artefact = Artefact.objects.filter(pk=artefact_id, kind=Artefact.Kind.CLUSTERING).first()
    if artefact is None:
        raise ValueError(f"There is no clustering {artefact_id}; compare again and adopt what that gives.")
    with transaction.atomic():
        _hold_everybody()
        facts = frames.facts(now)
        _match_with_present(artefact, facts)
        clusters.register(clusters.read(artefact))
        artefacts.activate(artefact)
        _note(artefact, {"adopted_at": now.isoformat()})
        ids = facts["customer_id"].to_list()
        segments.move(clusters.assign(facts), ids, now, How.CLUSTERING, str(artefact))
        segments.measure(Segment.objects.filter(kind=Segment.Kind.CLUSTER).values_list("pk", flat=True), now)
        profile.touch(ids)
    publishing.publish_all()
    return artefact


def _hold_everybody() -> None:
    """Lock every customer until the transaction ends: no event is handled by the former clusters meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute(HOLD)


def watch(now: datetime) -> dict[str, Any] | None:
    """How far customers are from those the active clusters were fitted on; kept in its metrics. None without one."""
    active = artefacts.active(Artefact.Kind.CLUSTERING)
    if active is None:
        return None
    known = clusters.read(active)
    report = {**asdict(drift(known, _whole(known, frames.facts(now)), _labels())), "at": now.isoformat()}
    with transaction.atomic():
        _note(Artefact.objects.select_for_update().get(pk=active.pk), {"drift": report})
    return report


def keep_learning(ids: Sequence[int], now: datetime) -> int:
    """Move the active centres a little towards these customers, who changed; how many were learned from.

    Every step makes consumers read the clustering anew: call it with the changed of a minute, not with each one.
    """
    facts = profile.stored_frame(ids)
    if facts.is_empty():
        return 0
    with transaction.atomic():
        active = Artefact.objects.select_for_update().filter(kind=Artefact.Kind.CLUSTERING, active=True).first()
        if active is None:
            return 0
        known = clusters.read(active)
        found = updated(known, _whole(known, facts))
        clusters.rewrite(active, found, {"online": _steps(active, found, facts.height, now)})
    return facts.height


def learn_from_recent(now: datetime, since: datetime) -> int:
    """The same with a sample of those whose facts were computed since a moment."""
    if artefacts.active(Artefact.Kind.CLUSTERING) is None:
        return 0
    recent = frames.fresh(now, ["customer_id", "customer:facts_at"]).filter(pl.col("customer:facts_at") > since)
    ids = recent["customer_id"].sample(min(BATCH, recent.height), seed=int(now.timestamp())).to_list()
    return keep_learning(ids, now)


def _steps(active: Artefact, found: Clusters, customers: int, now: datetime) -> dict[str, Any]:
    before = active.metrics.get("online") or {"steps": 0, "customers": 0}
    moved, held = strayed(found)
    return {
        "steps": before["steps"] + 1,
        "customers": before["customers"] + customers,
        "moved": moved,
        "held": held,
        "at": now.isoformat(),
    }


def _absent(known: Clusters, facts: pl.DataFrame) -> list[str]:
    """Clustered facts that nobody in the frame has."""
    return [name for name in known.facts if name not in facts.columns]


def _whole(known: Clusters, facts: pl.DataFrame) -> pl.DataFrame:
    """With those facts, missing for everybody."""
    return facts.with_columns(pl.lit(None).alias(name) for name in _absent(known, facts))


def _labels() -> dict[str, str]:
    """What facts are called, by name."""
    facts = {**catalogue_facts(profile.vocabulary()), **defining.published().catalogue()}
    return {name: fact.label for name, fact in facts.items() if fact.label}


def _usable(active: Artefact | None, facts: pl.DataFrame) -> Clusters | None:
    """The active clusters, as people call them; None when there are none, or their facts are no more."""
    if active is None:
        return None
    found = clusters.as_people_call_them(clusters.read(active))
    return None if _absent(found, facts) else found


def _carried(found: Clusters, facts: pl.DataFrame, former: Clusters | None) -> tuple[Clusters, Kept]:
    """With the keys and names of the former clusters that they continue."""
    before = None if former is None else former.assign_frame(facts)
    return matching.carry(found, found.assign_frame(facts), former, before)


def _with_stories(found: Clusters, told: Sequence[Profile], labels: dict[str, str]) -> Clusters:
    stories = zip(found.clusters, drafts(found.clusters, told, labels), strict=True)
    return replace(found, clusters=tuple(replace(one, story=story) for one, story in stories))


def _described(
    found: Clusters, drafted: Clusters, kept: Kept, told: Sequence[Profile], customers: int
) -> list[dict[str, Any]]:
    """Each cluster as the metrics have it."""

    def one(mine: Cluster, plain: Cluster, profile: Profile) -> dict[str, Any]:
        return {
            **asdict(mine),
            "drafted_name": plain.name,
            "customers": round(mine.share * customers),
            "carried": mine.key in kept.carried,
            "profile": profile,
        }

    return [one(*three) for three in zip(found.clusters, drafted.clusters, told, strict=True)]


def _candidate(one: Candidate) -> dict[str, Any]:
    return {**asdict(one), "allowed": one.allowed}


def _match_with_present(artefact: Artefact, facts: pl.DataFrame) -> None:
    """Carry keys and names over again where another clustering was adopted after the comparison."""
    active = artefacts.active(Artefact.Kind.CLUSTERING)
    kept = artefact.metrics.get("kept") or {}
    if active is None or active.pk in (artefact.pk, kept.get("former")) or artefact.metrics.get("adopted_at"):
        return
    former = _usable(active, facts)
    found, again = _carried(clusters.read(artefact), facts, former)
    named = [
        {**old, "key": new.key, "name": new.name, "carried": new.key in again.carried}
        for old, new in zip(artefact.metrics.get("clusters", []), found.clusters, strict=True)
    ]
    picture = {**artefact.metrics.get("picture", {}), "names": [one.name for one in found.clusters]}
    kept = matching.as_json(again, active.pk if former else None)
    clusters.rewrite(artefact, found, {"clusters": named, "kept": kept, "picture": picture})


def _note(artefact: Artefact, words: dict[str, Any]) -> None:
    """Put these words into the metrics, beside the others."""
    artefact.metrics = {**artefact.metrics, **words}
    artefact.save(update_fields=["metrics"])
