"""What the ledger says was shown: what counts as seen, when it is settled, and everything a training row is made of."""

import json
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from campaigns.models import Content, Placement
from decisioning.customers.models import Customer
from decisioning.flows.showings import ingredients, showings
from decisioning.learning.dataset import label, schema_for
from decisioning.models import Decision, Outcome

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
HOUR = timedelta(hours=1)


@pytest.fixture
def person(now: datetime) -> Customer:
    return Customer.objects.create(key="c-1", facts={"orders_365d": 3}, facts_at=now)


def decide(number: int, at: datetime, customer: Customer, placement: str = "home", **more) -> Decision:
    items = [{"key": key, "rank": rank, "propensity": 0.5 / rank} for rank, key in enumerate("ab", 1)]
    row = {"rung": "full", "reason": "RANKED", "policy": "greedy", "items": items, "facts": customer.facts}
    context = {"device": {"type": "mobile"}}
    return Decision.objects.create(
        id=UUID(int=number), at=at, customer_id=customer.pk, placement=placement, context=context, **{**row, **more}
    )


def follow(decision: Decision, kind: str, content: str, after: timedelta, value: float = 0.0) -> None:
    Outcome.objects.create(
        decision_id=decision.pk,
        content=content,
        kind=kind,
        value=value,
        at=decision.at + after,
        message_id=f"{decision.pk}{kind}{content}{after}",
    )


def test_a_row_holds_everything_a_training_row_is_made_of(person, now):
    made = decide(1, now - 50 * HOUR, person, windows=[1, 2, 3, 4])
    follow(made, "impression", "b", HOUR / 2)
    follow(made, "click", "b", HOUR)
    follow(made, "conversion", "b", 2 * HOUR, 7.5)
    follow(made, "conversion", "b", 2.5 * HOUR, 1.5)
    (row,) = showings(now).to_dicts()
    assert (row["customer_id"], row["content_key"], row["placement"]) == (person.pk, "b", "home")
    assert (row["position"], row["propensity"], row["value"]) == (2, 0.25, 9.0)
    lags = {
        name: row[name] - row["shown_at"] for name in ("click_closes_at", "closes_at", "clicked_at", "converted_at")
    }
    assert lags == {"click_closes_at": 2 * HOUR, "closes_at": 3 * HOUR, "clicked_at": HOUR, "converted_at": 2 * HOUR}
    assert json.loads(row["facts"]) == {"orders_365d": 3}
    told = {"device": "mobile", "hour": made.at.hour, "weekday": made.at.isoweekday()}
    assert json.loads(row["context"]) == told


def test_what_counts_as_shown_hangs_on_whether_a_placement_tells_what_was_seen(person, now):
    follow(decide(1, now - 50 * HOUR, person, "telling"), "impression", "a", HOUR)
    decide(2, now - 49 * HOUR, person, "telling")
    follow(decide(3, now - 50 * HOUR, person, "silent"), "click", "a", HOUR)
    imported = decide(4, now - 50 * HOUR, person, "log", source=Decision.Source.IMPORT)
    follow(imported, "impression", "a", HOUR)
    decide(5, now - 50 * HOUR, person, "log")
    found = showings(now).group_by("placement", "group", maintain_order=True).agg("content_key").to_dicts()
    seen = sorted((row["placement"], "".join(row["content_key"])) for row in found)
    assert seen == [("log", "ab"), ("log", "ab"), ("silent", "ab"), ("telling", "a")]


def test_a_log_without_windows_is_settled_as_late_as_anything_ever_followed_there(person, now):
    Placement.objects.create(key="slow", name="Slow", window_hours=5, click_hours=4)
    for number, (placement, lag) in enumerate((("log", 2 * HOUR), ("log", HOUR), ("slow", 40 * HOUR)), 1):
        imported = decide(number, now - 90 * HOUR, person, placement, source=Decision.Source.IMPORT)
        follow(imported, "click", "a", lag)
    decide(4, now - 90 * HOUR, person, "slow")
    rows = showings(now)
    closing = {
        (row["placement"], row["click_closes_at"] - row["shown_at"], row["closes_at"] - row["shown_at"])
        for row in rows.to_dicts()
    }
    assert closing == {("log", 2 * HOUR, 2 * HOUR), ("slow", 4 * HOUR, 5 * HOUR)}


def test_what_came_after_the_moment_is_not_read(person, now):
    made = decide(1, now - HOUR, person)
    follow(made, "click", "a", HOUR / 2)
    assert showings(now)["clicked_at"].count() == 1
    assert showings(now - HOUR * 0.75)["clicked_at"].count() == 0
    assert showings(now - 2 * HOUR).is_empty()


def test_rows_carry_their_slate_into_training(person, now):
    for key in "ab":
        Content.objects.create(key=key, name=key, attributes={"genre": key})
    for number in range(1, 4):
        follow(decide(number, now - number * HOUR, person), "click", "a", timedelta(minutes=1))
    frame = showings(now)
    parts = ingredients(frame)
    schema = schema_for(frame, parts.contents, parts.kinds, parts.crosses, parts.extras)
    rows = label(schema, frame, parts.contents, objective="click")
    assert rows.contents == ("a", "b") * 3
    assert rows.y.tolist() == [1, 0] * 3
    assert rows.groups.tolist() == [3, 3, 2, 2, 1, 1], "the earliest first"
    assert rows.position.tolist() == [1, 2] * 3
    assert "position" in schema.names


def test_what_a_merged_customer_saw_is_its_successors(person, now):
    other = Customer.objects.create(key="c-2", merged_into=person)
    follow(decide(1, now - HOUR, other), "click", "a", timedelta(minutes=1))
    assert set(showings(now)["customer_id"]) == {person.pk}


def test_facts_that_only_an_imported_log_knows_are_learned_from(person, now):
    """Those of our own decisions are the catalogue's: what it does not know any more, customers do not have."""
    odd = {"newbie": True, "town": "Ulm", "orders": 4, "same": 1, "mixed": "a", "list": [1], "orders_365d": 3}
    even = {"newbie": False, "town": "Bonn", "orders": 9, "same": 1, "mixed": 2, "list": [2], "orders_365d": 4}
    for number, facts in enumerate((odd, even), 1):
        decide(number, now - number * HOUR, person, facts=facts, source="import")
        decide(number + 10, now - number * HOUR, person, facts={"forgotten": number})
    kinds = ingredients(showings(now)).kinds
    assert (kinds["newbie"], kinds["town"], kinds["orders_365d"]) == ("number", "category", "number")
    assert not kinds.keys() & {"orders", "same", "mixed", "list", "forgotten"}
