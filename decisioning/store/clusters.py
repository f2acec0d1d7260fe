"""The active clustering and the segments that stand for its clusters."""

from functools import lru_cache

import polars as pl

from rules.models import Segment

from ..learning.clusters import Cluster, Clusters
from ..models import Artefact
from . import artefacts


def segment_key(cluster: Cluster) -> str:
    """The key of a cluster's segment; the prefix keeps it apart from keys that people choose."""
    return f"cluster-{cluster.key}"[:100]


def register(found: Clusters) -> None:
    """One segment a cluster; segments of clusters that are no more are switched off, with their history kept."""
    keys = [segment_key(cluster) for cluster in found.clusters]
    for cluster, key in zip(found.clusters, keys, strict=True):
        means = ", ".join(f"{name} {value:,.1f}" for name, value in cluster.means.items())
        Segment.objects.update_or_create(
            key=key,
            defaults={
                "name": cluster.name,
                "kind": Segment.Kind.CLUSTER,
                "description": f"{cluster.share:.0%} of the customers. On average: {means}.",
                "active": True,
            },
        )
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
    return _loaded(artefact.pk) if artefact else None


@lru_cache(maxsize=2)
def _loaded(artefact_id: int) -> Clusters:
    return Clusters.from_artefact(artefacts.read(Artefact.objects.get(pk=artefact_id)))
