"""The active clustering, the segments that stand for its clusters, and what online learning writes into it."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import polars as pl

from rules.models import Segment

from ..learning.clusters import Cluster, Clusters
from ..models import Artefact
from . import artefacts
from .signing import sign


def segment_key(cluster: Cluster) -> str:
    """The key of a cluster's segment; the prefix keeps it apart from keys that people choose."""
    return f"cluster-{cluster.key}"[:100]


def register(found: Clusters) -> None:
    """One segment a cluster; segments of clusters that are no more are switched off, with their history kept.

    A name or story that a person wrote (`edited_at`) stays.
    """
    keys = [segment_key(cluster) for cluster in found.clusters]
    edited = set(Segment.objects.filter(key__in=keys, edited_at__isnull=False).values_list("key", flat=True))
    for cluster, key in zip(found.clusters, keys, strict=True):
        means = ", ".join(f"{name} {value:,.1f}" for name, value in cluster.means.items())
        values = {
            "kind": Segment.Kind.CLUSTER,
            "description": f"{cluster.share:.0%} of the customers. On average: {means}.",
            "active": True,
        }
        told = {} if key in edited else {"name": cluster.name[:200], "story": cluster.story}
        Segment.objects.update_or_create(key=key, defaults={**values, **told})
    Segment.objects.filter(kind=Segment.Kind.CLUSTER).exclude(key__in=keys).update(active=False)


def assign(facts: pl.DataFrame) -> dict[int, list[int]]:
    """Customer ids by the id of their cluster's segment; former clusters' segments are named with nobody in them."""
    ids: dict[int, list[int]] = {
        pk: [] for pk in Segment.objects.filter(kind=Segment.Kind.CLUSTER).values_list("pk", flat=True)
    }
    found = current()
    if found is None or facts.is_empty():
        return ids
    by_key = dict(Segment.objects.filter(kind=Segment.Kind.CLUSTER).values_list("key", "pk"))
    segments = [by_key[segment_key(cluster)] for cluster in found.clusters]
    for customer, position in zip(facts["customer_id"], found.assign_frame(facts), strict=True):
        ids[segments[position]].append(customer)
    return ids


def current() -> Clusters | None:
    """The active clustering, if there is one."""
    artefact = artefacts.active(Artefact.Kind.CLUSTERING)
    return read(artefact) if artefact else None


def read(artefact: Artefact) -> Clusters:
    """The clusters of an artefact; raises ValueError for one that was altered."""
    return _loaded(artefact.pk, artefact.signature)


@lru_cache(maxsize=2)
def _loaded(artefact_id: int, signature: str) -> Clusters:
    """By the signature too: online learning moves the centres of the same artefact."""
    return Clusters.from_artefact(artefacts.read(Artefact.objects.get(pk=artefact_id)))


def rewrite(artefact: Artefact, found: Clusters, metrics: Mapping[str, Any]) -> None:
    """Put changed clusters into their artefact, signed anew, with these metrics beside the others."""
    artefact.data = found.to_artefact()
    artefact.signature = sign(artefacts.PURPOSE, artefact.data).hex()
    artefact.metrics = {**artefact.metrics, **metrics}
    artefact.save(update_fields=["data", "signature", "metrics"])


def as_people_call_them(found: Clusters) -> Clusters:
    """With the names that their segments have now."""
    names = dict(
        Segment.objects.filter(key__in=[segment_key(cluster) for cluster in found.clusters]).values_list("key", "name")
    )
    renamed = [replace(cluster, name=names.get(segment_key(cluster), cluster.name)) for cluster in found.clusters]
    return replace(found, clusters=tuple(renamed))
