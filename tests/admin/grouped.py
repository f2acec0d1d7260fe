"""240 customers in four groups, searches for clusters among them that are quick, and what their page says."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import redis
from django.test import Client

from decisioning.customers.models import Customer
from decisioning.learning.clustering import Options
from rules.models import Segment

from ..learning.crowds import people

PAGE = "/admin/decisioning/artefact/clustering/"
FAST = Options(algorithms=("k-means",), scalings=("log",), numbers=(3, 4))
OTHER = Options(algorithms=("k-means",), scalings=("quantile",), numbers=(3,))
RFM = {
    "facts": ["recency_days", "orders_365d", "spend_365d"],
    "algorithms": ["k-means", "Ward"],
    "scalings": ["log"],
    "numbers": ["3", "4"],
}
Committing = Callable[[], AbstractContextManager[Any]]


def fill(now: datetime) -> None:
    """Each group has a department of its own."""
    rows = people(60, 3).drop("group").iter_rows(named=True)
    Customer.objects.bulk_create(
        Customer(
            key=f"c-{number}",
            facts={**row, "favourite_department": f"<i>{number // 60}</i>", "segments": []},
            facts_at=now,
        )
        for number, row in enumerate(rows)
    )


def seen(client: Client, path: str = "") -> str:
    answer = client.get(PAGE + path)
    assert answer.status_code == 200
    return answer.content.decode()


def personas() -> list[Segment]:
    return list(Segment.objects.filter(kind=Segment.Kind.CLUSTER, active=True).order_by("-size", "pk"))


def queued(broker: redis.Redis) -> list[tuple[str, Any]]:
    """The tasks that wait for the worker, with their arguments."""
    found = [json.loads(raw) for raw in broker.lrange("later", 0, -1)]
    return [(one["headers"]["task"].rpartition(".")[2], one["headers"]["argsrepr"]) for one in found]
