"""From the ledger and the event log to candidate lists in use: what is learned, kept, handed on and drawn from."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from uuid_utils.compat import uuid7

from campaigns.models import Content, Placement
from decisioning import tasks
from decisioning.customers.models import Customer, Event, Identity
from decisioning.engine.candidates import NO_LISTS
from decisioning.engine.types import RecallItem
from decisioning.flows import promote, recall, rerun, spawning
from decisioning.learning import recalling
from decisioning.learning.recall import LISTS, Recall
from decisioning.learning.touches import ADDED, BOUGHT, CLICKED, VIEWED
from decisioning.models import Artefact, Decision, Outcome
from decisioning.store import artefacts, candidates, snapshot
from rules.models import Membership, Segment

from .conftest import Site

ORDER = "Order Completed"


def happened(who: Customer, name: str, at: datetime, **properties: Any) -> None:
    identity, _ = Identity.objects.get_or_create(customer=who, kind="user_id", value=who.key)
    Event.objects.create(
        id=uuid7(),
        message_id=str(uuid7()),
        identity=identity,
        type="track",
        name=name,
        properties=properties,
        timestamp=at,
        received_at=at,
    )


def line(product: str) -> dict[str, str]:
    return {"product_id": product}


@pytest.fixture
def range_of(site: Site, now: datetime) -> dict[str, Content]:
    """Shoes, socks and pans: whoever buys trail shoes (the product 77) buys socks with them."""
    worth = {"trail": 50.0, "road": 90.0, "socks": 9.0, "pan": 30.0, "pot": 40.0, "tights": 12.0}
    kinds = {"trail": "shoe", "road": "shoe", "socks": "sock", "pan": "kitchen", "pot": "kitchen", "tights": "sock"}
    found = {
        key: Content.objects.create(key=key, name=key.title(), value=value, attributes={"kind": kinds[key]})
        for key, value in worth.items()
    }
    found["trail"].attributes["product_id"] = 77
    found["trail"].save()
    for number in range(8):
        person = Customer.objects.create(key=f"p-{number}", facts={"likes": "Kitchen"}, facts_at=now)
        basket = [line("77"), line("socks")] if number < 4 else [line("pan"), line("pot")]
        happened(person, ORDER, now - timedelta(days=3, hours=number), products=basket)
    return found


def micros(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


def drawing(*lists: str) -> None:
    Placement.objects.filter(key="hero").update(candidate_lists=list(lists))


def test_the_lists_of_the_admin_are_those_that_there_are():
    assert tuple(Placement.CandidateList.values) == LISTS


def test_touches_are_read_from_events_and_outcomes(range_of, now):
    person = Customer.objects.get(key="p-0")
    at = now - timedelta(hours=5)
    happened(person, "Product Viewed", at, product_id="pan")
    happened(person, "Product Added", at, sku="pot")
    happened(person, "Product Viewed", at, product_id="unknown")
    happened(person, "Product Viewed", now + timedelta(seconds=1), product_id="road")
    happened(person, "Product Viewed", now - timedelta(days=400), product_id="road")
    happened(person, "Product Viewed", at, products="odd")
    other = Customer.objects.create(key="merged", merged_into=person)
    row = Decision.objects.create(
        id=uuid7(), at=at, customer_id=other.pk, placement="hero", source="api", context={"device": {"type": "tv"}}
    )
    for kind in ("impression", "click", "conversion"):
        Outcome.objects.create(decision_id=row.pk, content="socks", kind=kind, at=at, message_id=kind)
    late = now + timedelta(seconds=1)
    Outcome.objects.create(decision_id=row.pk, content="tights", kind="click", at=late, message_id="late")
    contents = list(Content.objects.filter(active=True).order_by("key"))
    keys = [content.key for content in contents]
    found = recall.touched(contents, now)
    mine = found.customers == person.pk
    told = sorted(zip([keys[n] for n in found.contents[mine]], found.kinds[mine].tolist(), strict=True))
    assert told == [
        ("pan", VIEWED),
        ("pot", ADDED),
        *(("socks", kind) for kind in (CLICKED, BOUGHT, BOUGHT)),
        ("trail", BOUGHT),
    ]
    assert found.at.max() == micros(at)
    assert len({*found.baskets[found.baskets >= 0].tolist()}) == 8
    assert found.names == ("device=tv", "hours=6-11")
    assert found.contents[found.rows[found.groups == 0]].tolist() == [keys.index("socks")] * 2


def test_groups_are_segments_the_customer_is_in_by_then(range_of, now):
    vip = Segment.objects.create(key="vip", name="VIP", active=True)
    stays = (("p-0", -2, None), ("p-1", -2, -1), ("p-2", 1, None))
    for key, entered, left in stays:
        Membership.objects.create(
            segment=vip,
            customer=Customer.objects.get(key=key),
            entered_at=now + timedelta(hours=entered),
            left_at=None if left is None else now + timedelta(hours=left),
        )
    found = recall.touched(list(Content.objects.order_by("key")), now)
    assert found.names == ("vip",)
    assert set(found.customers[found.rows].tolist()) == {Customer.objects.get(key="p-0").pk}


def test_what_comes_after_the_moment_is_not_learned(range_of, now):
    before = bytes(recall.learn(now - timedelta(days=1)).data)
    for number in range(9):
        person = Customer.objects.get(key=f"p-{number % 8}")
        happened(person, ORDER, now - timedelta(hours=number), products=[line("77"), line("pan"), line("road")])
    assert bytes(recall.learn(now - timedelta(days=1)).data) == before
    assert bytes(recall.learn(now).data) != before


def test_lists_are_kept_signed_put_to_work_and_drawn_from(site, range_of, now):
    drawing("together")
    site.publish()
    assert NO_LISTS in site.decide()["degraded"]
    artefact = recall.learn(now)
    assert artefact.active
    assert artefact.metrics["contents"] == 9
    assert artefact.metrics["touches"] == 16
    assert artefact.metrics["answers"] == ["likes"]
    site.publish()
    asked = [{"key": "hero", "n": 8}]
    answer = site.decide(context={"basket": ["77"]}, placements=asked)["placements"][0]
    reasons = {item["id"]: item["reasons"] for item in answer["items"]}
    assert "others who bought Trail also bought this" in reasons["socks"]
    assert answer["basis"].endswith("7 of 8 contents by lists: together")


def test_a_decision_is_replayed_with_the_lists_of_then(site, range_of, now, flush):
    drawing("together", "popular")
    recall.learn(now)
    site.publish()
    site.decide(context={"basket": ["77"]})
    flush(site)
    row = Decision.objects.order_by("-at").first()
    for number in range(8):
        basket = [line("77"), line("pan")]
        happened(Customer.objects.get(key=f"p-{number}"), ORDER, now - timedelta(hours=number), products=basket)
    recall.learn(now)
    site.publish()
    assert rerun.once_more(row).resolution is not None


def test_tampered_lists_are_refused(range_of, now):
    artefact = recall.learn(now)
    Artefact.objects.filter(pk=artefact.pk).update(data=b"other")
    with pytest.raises(artefacts.Tampered):
        artefacts.activate(Artefact.objects.get(pk=artefact.pk))


def test_altered_lists_stay_out_and_hold_up_nothing(site, range_of, now, clean_redis):
    drawing("popular")
    artefact = recall.learn(now)
    clean_redis.flushdb()
    Artefact.objects.filter(pk=artefact.pk).update(data=b"other")
    candidates.keep_announced()
    site.publish()
    assert site.holder.current.data.recall is not None
    assert site.holder.current.recall is None
    assert clean_redis.keys("recall:*") == []


def test_a_process_takes_lists_from_redis_and_starts_from_disk(site, range_of, now, monkeypatch, tmp_path):
    drawing("popular")
    monkeypatch.setattr(candidates, "PIECE_BYTES", 100)
    artefact = recall.learn(now)
    site.publish()
    assert site.holder.current.recall.to_artefact() == bytes(artefact.data)
    snapshot.patient().flushdb()
    other = snapshot.Holder(site.holder.directory, snapshot.patient())
    other._load_disk()
    assert other.current.recall.to_artefact() == bytes(artefact.data)


def put(path: Path, data: bytes) -> None:
    """Another file in its place: this process may still read the former one."""
    path.unlink()
    path.write_bytes(data)


def test_other_lists_than_the_snapshot_names_are_not_taken(site, range_of, now, clean_redis):
    drawing("popular")
    artefact = recall.learn(now)
    other = replace(Recall.from_artefact(bytes(artefact.data)), facts=("other",)).to_artefact()
    site.publish()
    for path in site.holder.directory.glob("recall-*.bin"):
        put(path, other)
    again = snapshot.Holder(site.holder.directory, snapshot.patient())
    again._load_disk()
    assert again.current.recall.to_artefact() == bytes(artefact.data)
    clean_redis.flushdb()
    for path in site.holder.directory.glob("recall-*.bin"):
        put(path, other)
    again = snapshot.Holder(site.holder.directory, snapshot.patient())
    again._load_disk()
    assert again.current.recall is None


def test_lists_that_come_late_are_taken_when_they_are_there(site, range_of, now, clean_redis):
    drawing("popular")
    artefact = recall.learn(now)
    clean_redis.delete(candidates.PIECES.format(artefact.pk))
    for path in site.holder.directory.glob("recall-*.bin"):
        path.unlink()
    with pytest.MonkeyPatch.context() as away:
        away.setattr(candidates, "announce", lambda item: False)
        site.publish()
    assert site.holder.current.recall is None
    assert NO_LISTS in site.decide()["degraded"]
    candidates.keep_announced()
    site.holder.poll()
    assert site.holder.current.recall is not None


@pytest.mark.parametrize("piece", [b"", b"half"])
def test_damaged_pieces_are_no_lists(site, range_of, now, clean_redis, piece):
    drawing("popular")
    artefact = recall.learn(now)
    clean_redis.set(candidates.PIECE.format(artefact.pk, 0), piece)
    site.publish()
    assert site.holder.current.recall is None
    assert not list(site.holder.directory.glob("recall-*.bin"))


def test_lists_are_in_a_snapshot_only_where_somebody_draws_from_them(site, range_of, now):
    recall.learn(now)
    site.publish()
    assert site.holder.current.data.recall is None
    assert not recall.wanted()
    drawing("popular")
    site.publish()
    assert site.holder.current.data.recall is not None
    assert recall.wanted()
    Content.objects.update(active=False)
    assert not recall.wanted()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, now: datetime) -> list[str]:
    """What the worker started in processes of its own; while one runs another task comes."""
    found: list[str] = []

    def started(verb: str, words: dict[str, str]) -> None:
        found.append(verb)
        tasks.learn_recall()

    monkeypatch.setattr(spawning, "in_own_process", started)
    monkeypatch.setattr(tasks.connection, "close", lambda: None)
    monkeypatch.setattr(tasks.clock, "now", lambda: now)
    return found


def test_the_worker_learns_in_one_process_of_its_own_and_only_where_lists_are_wanted(range_of, asked):
    tasks.learn_recall()
    assert asked == []
    drawing("popular")
    tasks.learn_recall()
    assert asked == ["recall"]


def test_lists_are_learned_anew_after_a_day_and_sooner_when_many_contents_came(range_of, now):
    drawing("popular")
    assert recall.due(now)
    recall.learn(now)
    assert not recall.due(now + timedelta(hours=23))
    assert recall.due(now + timedelta(days=1))
    Content.objects.bulk_create(Content(key=f"new-{number}", name="New") for number in range(50))
    assert not recall.due(now + timedelta(hours=2))
    Content.objects.create(key="one-more", name="One more")
    assert recall.due(now + timedelta(hours=2))
    assert not recall.due(now + timedelta(minutes=59))


def test_former_lists_are_kept_for_replays_but_not_all(range_of, now, monkeypatch):
    monkeypatch.setattr(recall, "KEPT", 1)
    made = [recall.learn(now).pk for _ in range(3)]
    assert list(Artefact.objects.filter(kind="recall").order_by("pk").values_list("pk", flat=True)) == made[1:]
    assert Artefact.objects.get(kind="recall", active=True).pk == made[2]


def test_the_command_tells_what_it_learned(range_of, now, capsys):
    call_command("learn", "recall", as_of=now)
    told = capsys.readouterr().out
    assert "9 contents, 16 touches of 8 customers" in told


def test_without_contents_there_is_nothing_to_choose_from(db, now):
    with pytest.raises(ValueError, match="no active contents"):
        recall.learn(now)


def test_refused_lists_are_kept_and_those_of_before_stay_in_use(site, range_of, now, clean_redis, monkeypatch, caplog):
    first = recall.learn(now)
    monkeypatch.setattr(recalling.Trial, "refusal", "they find less")
    second = recall.learn(now + timedelta(days=1))
    assert (Artefact.objects.get(active=True).pk, second.active) == (first.pk, False)
    assert second.metrics["refused"] == "they find less"
    assert "they find less" in caplog.text
    assert not recall.due(now + timedelta(days=1, hours=1)), "it is not tried again at once"


def test_lists_go_back_to_their_former_ones(site, range_of, now, clean_redis):
    first, second = recall.learn(now), recall.learn(now + timedelta(days=1))
    assert Artefact.objects.get(active=True) == second
    assert promote.rollback(Artefact.Kind.RECALL) == first
    assert candidates.announce(RecallItem(first.pk, first.schema_hash))
    with pytest.raises(ValueError, match="no former recall"):
        promote.rollback(Artefact.Kind.RECALL)
