"""Clustering through the database: compared, adopted, refitted, watched and kept up to date."""

import json
from datetime import timedelta
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from decisioning.customers import profile
from decisioning.customers.models import Customer
from decisioning.flows import cluster as flow
from decisioning.learning.clustering import Options
from decisioning.learning.clusters import Clusters
from decisioning.learning.pictures import svg
from decisioning.models import Artefact
from decisioning.store import artefacts, clusters, publishing
from rules.models import Membership, Segment

from ..learning.crowds import GROUPS, people

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
FAST = Options(algorithms=("k-means",), scalings=("log",), numbers=(3, 4))


def fill(now, each=60, seed=3, groups=None) -> None:
    """Customers with facts as a refresh would have written them."""
    Customer.objects.all().delete()
    rows = people(each, seed, groups).iter_rows(named=True)
    Customer.objects.bulk_create(
        Customer(key=f"c-{number}", facts={**row, "segments": []}, facts_at=now) for number, row in enumerate(rows)
    )


@pytest.fixture
def shop(db, now):
    fill(now)


def current() -> dict[str, str]:
    """The cluster segment of everybody, by customer."""
    rows = Membership.objects.filter(left_at__isnull=True, segment__kind="cluster", segment__active=True)
    return dict(rows.values_list("customer__key", "segment__key"))


def test_a_comparison_is_kept_whole_and_changes_nothing(shop, now):
    found = flow.compare(now, FAST)
    found.refresh_from_db()
    metrics = found.metrics
    assert not found.active
    assert not Segment.objects.exists()
    assert metrics["number"] == len(metrics["clusters"]) == 4
    assert (metrics["customers"], metrics["format"], metrics["adopted_at"]) == (240, 2, None)
    assert [one["chosen"] for one in metrics["comparison"]] == [True, False]
    assert metrics["chosen"] in metrics["comparison"]
    assert metrics["alone"] in metrics["comparison"]
    assert metrics["kept"] == {
        "former": None,
        "labels": None,
        "carried": {},
        "new": [one["key"] for one in metrics["clusters"]],
        "gone": [],
    }
    for one in metrics["clusters"]:
        assert one["story"] and one["name"] == one["drafted_name"]
        assert {"facts", "values", "top", "beside"} <= one["profile"].keys()
    assert "<svg" in svg(metrics["picture"], metrics["labels"])
    json.dumps(metrics, allow_nan=False)


def test_adopting_makes_segments_with_stories_and_moves_everybody_with_the_reason(shop, now):
    found = flow.adopt(flow.compare(now, FAST).pk, now)
    rows = Segment.objects.filter(kind="cluster", active=True)
    assert found.active
    assert found.metrics["adopted_at"] == now.isoformat()
    assert rows.count() == 4
    assert all(row.story for row in rows)
    assert len(current()) == 240
    assert sum(rows.values_list("size", flat=True)) == 240
    stays = Membership.objects.filter(left_at__isnull=True)
    assert set(stays.values_list("entered_how", "entered_by")) == {("clustering", str(found))}


def test_a_refit_keeps_keys_and_what_people_wrote(shop, now):
    flow.cluster(now, FAST)
    before = current()
    mine = Segment.objects.filter(kind="cluster").order_by("key").first()
    Segment.objects.filter(pk=mine.pk).update(name="Our regulars", story="They know us.", edited_at=now)
    fill_more = people(20, 8, {"loyal": GROUPS["loyal"]}).iter_rows(named=True)
    Customer.objects.bulk_create(Customer(key=f"n-{n}", facts=row, facts_at=now) for n, row in enumerate(fill_more))
    later = now + timedelta(days=1)
    again = flow.cluster(later, FAST)
    after = current()
    mine.refresh_from_db()
    assert (mine.name, mine.story) == ("Our regulars", "They know us.")
    assert set(after.values()) == set(before.values())
    assert again.metrics["kept"]["labels"] > 0.94
    assert again.metrics["kept"]["former"] == Artefact.objects.exclude(pk=again.pk).get().pk
    assert "Our regulars" in [one["name"] for one in again.metrics["clusters"]]
    stayed = [customer for customer in before if before[customer] == after[customer]]
    assert len(stayed) / len(before) > 0.94
    assert len(after) == 260


def test_clusters_that_are_no_more_are_switched_off_and_their_members_leave(shop, now):
    flow.cluster(now, FAST)
    four = set(current().values())
    flow.cluster(now, Options(algorithms=("k-means",), scalings=("quantile",), numbers=(3,)))
    active = set(Segment.objects.filter(kind="cluster", active=True).values_list("key", flat=True))
    assert len(active) == 3
    assert set(current().values()) == active
    off = Segment.objects.filter(kind="cluster", active=False)
    assert {row.key for row in off} == four - active
    assert not Membership.objects.filter(segment__in=off, left_at__isnull=True).exists()
    assert Membership.objects.filter(segment__in=off, left_how="clustering").exists()


def test_a_comparison_adopted_after_another_takes_the_keys_of_that_one(shop, now):
    first, second = flow.compare(now, FAST), flow.compare(now, Options(("recency_days", "spend_365d"), ("k-means",)))
    flow.adopt(first.pk, now)
    before = current()
    adopted = flow.adopt(second.pk, now)
    kept = adopted.metrics["kept"]
    assert kept["former"] == first.pk
    assert kept["labels"] > 0.5
    assert set(kept["carried"]) <= set(clusters.read(Artefact.objects.get(pk=first.pk)).keys)
    same = [customer for customer, segment in current().items() if segment == before[customer]]
    assert len(same) / len(before) == pytest.approx(kept["labels"], abs=1e-6)


def test_a_former_clustering_can_be_adopted_again(shop, now):
    first = flow.cluster(now, FAST)
    before = current()
    flow.cluster(now, Options(algorithms=("k-means",), scalings=("quantile",), numbers=(3,)))
    flow.adopt(first.pk, now)
    assert current() == before
    assert artefacts.active("clustering").pk == first.pk


def change(facts: dict[str, float], number: int) -> None:
    """Give some customers other facts, as handling their events does."""
    ids = list(Customer.objects.order_by("pk").values_list("pk", flat=True)[:number])
    Customer.objects.filter(pk__in=ids).update(facts=facts)
    profile.touch(ids)
    publishing.publish(ids)


def test_drift_is_watched_and_kept(shop, now):
    assert flow.watch(now) is None
    flow.cluster(now, FAST)
    assert flow.watch(now)["verdict"] == "steady"
    change({"recency_days": 300, "orders_365d": 1, "spend_365d": 20}, 150)
    report = flow.watch(now)
    assert report["verdict"] == "refit"
    assert any("“Spend in 365 days” has moved" in reason for reason in report["reasons"])
    stored = artefacts.active("clustering").metrics["drift"]
    assert stored == json.loads(json.dumps(report))


def test_a_fact_that_is_no_more_asks_for_a_refit(shop, now):
    flow.cluster(now, FAST)
    change({"recency_days": 3, "orders_365d": 2}, 1000)
    assert flow.watch(now)["verdict"] == "refit"
    with pytest.raises(ValueError, match="lacks the facts spend_365d"):
        flow.cluster(now, FAST)


def test_changed_customers_move_the_centres_of_the_active_clustering(shop, now):
    assert flow.keep_learning([], now) == 0
    ids = list(Customer.objects.order_by("pk").values_list("pk", flat=True)[:30])
    assert flow.keep_learning(ids, now) == 0, "there is no clustering yet"
    found = flow.cluster(now, FAST)
    known = clusters.current()
    Customer.objects.filter(pk__in=ids).update(facts={"recency_days": 1, "orders_365d": 110, "spend_365d": 6000})
    for _ in range(2):
        assert flow.keep_learning(ids, now) == 30
    learned = clusters.current()
    assert learned.keys == known.keys
    assert not np.allclose(learned.centres, known.centres)
    assert learned.anchors == known.anchors
    found.refresh_from_db()
    assert Clusters.from_artefact(artefacts.read(found)) == learned, "the bytes are signed anew"
    online = found.metrics["online"]
    assert (online["steps"], online["customers"], online["held"]) == (2, 60, 0)
    assert 0 < online["moved"] < 0.5


def test_customers_without_any_of_the_facts_are_learned_from_too(shop, now):
    flow.cluster(now, FAST)
    newcomer = Customer.objects.create(key="new", facts={"visits": 1}, facts_at=now)
    assert flow.keep_learning([newcomer.pk], now) == 1


def test_it_says_what_to_do_when_it_cannot(now):
    with pytest.raises(ValueError, match="Nobody has facts to cluster on; import"):
        flow.compare(now, FAST)
    with pytest.raises(ValueError, match="no clustering 77; compare again"):
        flow.adopt(77, now)


def test_an_altered_clustering_is_not_adopted(shop, now):
    found = flow.compare(now, FAST)
    Artefact.objects.filter(pk=found.pk).update(data=bytes(found.data).replace(b"c", b"d"))
    with pytest.raises(artefacts.Tampered, match="was altered"):
        flow.adopt(found.pk, now)
    assert not Segment.objects.exists()
    assert artefacts.active("clustering") is None


def said(*words: str) -> str:
    out = StringIO()
    call_command("learn", *words, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_the_command_compares_adopts_and_watches(shop):
    asked = ("--algorithms", "k-means", "--scalings", "log", "--numbers", "3,4")
    told = said("compare", *asked)
    assert "not used" in told and "of 2 candidates for 240 customers" in told
    number = Artefact.objects.get().pk
    assert "(active)" in said("adopt", "--artefact", str(number))
    assert "100% of the customers keep their cluster" in said("cluster", *asked)
    assert said("watch").startswith("steady")


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (("adopt",), "Add --artefact"),
        (("watch",), "run `manage.py learn cluster` first"),
        (("compare", "--algorithms", "magic"), "take some of k-means"),
    ],
    ids=str,
)
def test_the_command_tells_the_cure(shop, words, cure):
    with pytest.raises(CommandError, match=cure):
        said(*words)
