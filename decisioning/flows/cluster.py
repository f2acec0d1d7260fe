"""Everybody's facts in; clusters found, made segments, and everybody put into theirs, out."""

from dataclasses import asdict
from datetime import datetime

from django.db import transaction

from rules import segments
from rules.models import Segment

from ..customers import profile
from ..learning.clustering import Clustering
from ..models import Artefact
from ..store import artefacts, clusters, profiles


def cluster(now: datetime) -> Artefact:
    """Fit, keep, register and move everybody; raises ValueError when there are too few different customers."""
    facts = profile.stored_frame()
    fitted = Clustering().fit(facts)
    found = fitted.clusters_
    metrics = {
        "number": fitted.number_,
        "comparison": [asdict(candidate) for candidate in fitted.comparison_],
        "clusters": [asdict(one) for one in found.clusters],
    }
    ids = facts["customer_id"].to_list()
    with transaction.atomic():
        artefact = artefacts.keep(Artefact.Kind.CLUSTERING, found.to_artefact(), "", metrics, now)
        clusters.register(found)
        artefacts.activate(artefact)
        segments.move(clusters.assign(facts), ids, now)
        segments.measure(Segment.objects.filter(kind=Segment.Kind.CLUSTER).values_list("pk", flat=True), now)
        profile.touch(ids)
    profiles.publish_all()
    return artefact
