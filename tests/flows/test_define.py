"""Trying a formula on a few customers gives what publishing it would; a new meaning takes the former values away."""

from datetime import timedelta
from typing import Any

import pytest

from decisioning.customers import profile
from decisioning.customers.facts import defining
from decisioning.customers.facts.custom import Custom
from decisioning.customers.intake.ingest import store
from decisioning.customers.models import Customer, CustomFact, Pending
from decisioning.flows.define import blank, preview, renew, sample
from decisioning.flows.react import react
from decisioning.flows.refresh import refresh_all
from decisioning.store import catalogue, connection, profiles, publishing
from decisioning.store.limiting import OutOfTime
from rules.language.formulas import parse_formula
from rules.models import Segment

from ..customers.test_ingest import checked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]


def bought(message_id: str, user: str, at: Any, category: str = "Eco") -> Any:
    properties = f'{{"category": "{category}", "price": 4.5}}'
    return checked(message_id, at, user, name="purchase", properties=properties)


@pytest.fixture
def shoppers(now: Any) -> dict[str, int]:
    """Two bought something, one of them twice, once long ago; one is only known."""
    day = timedelta(days=1)
    store(
        [bought("m-1", "ann", now - day), bought("m-2", "ann", now - 60 * day), bought("m-3", "ben", now, "Fuel")], now
    )
    store([checked("m-4", now, "cleo", name="page", properties="{}")], now)
    while react(now).events:
        pass
    return dict(Customer.objects.values_list("key", "pk"))


def custom(text: str, type_: str = "number") -> Custom:
    return Custom("tried", type_, parse_formula(text))


@pytest.mark.parametrize(
    ("text", "type_", "expected"),
    [
        ('COUNT(purchase WHERE category = "Eco") IN LAST 30 DAYS', "number", {"ann": 1, "ben": 0, "cleo": 0}),
        ("COUNT(purchase)", "number", {"ann": 2, "ben": 1, "cleo": 0}),
        ("LAST(purchase.category)", "text", {"ann": "Eco", "ben": "Fuel", "cleo": None}),
        ("SUM(purchase.price) / COUNT(purchase)", "number", {"ann": 4.5, "ben": 4.5, "cleo": None}),
        ("visits_7d * 10 + COUNT(purchase)", "number", {"ann": 12.0, "ben": 11.0, "cleo": 10.0}),
    ],
)
def test_a_preview_computes_from_the_log(
    now: Any, shoppers: dict[str, int], text: str, type_: str, expected: dict[str, Any]
) -> None:
    found = preview(custom(text, type_), sorted(shoppers.values()), now)
    assert {key: found.values[pk] for key, pk in shoppers.items()} == expected
    has = sum(value is not None for value in expected.values())
    assert (found.described.customers, found.described.coverage) == (3, pytest.approx(has / 3))


def test_a_preview_of_a_history_that_is_stored_already_does_not_meet_itself(now: Any, shoppers: dict[str, int]) -> None:
    Customer.objects.filter(key="ann").update(facts={"COUNT(purchase)": 99})
    assert preview(custom("COUNT(purchase)"), [shoppers["ann"]], now).values == {shoppers["ann"]: 2}


def test_events_that_wait_and_bots_do_not_count(now: Any, shoppers: dict[str, int]) -> None:
    store([bought("m-5", "ann", now)], now)
    assert Pending.objects.count() == 1
    assert preview(custom("COUNT(purchase)"), [shoppers["ann"]], now).values == {shoppers["ann"]: 2}


def test_a_preview_that_would_take_too_long_stops(now: Any, shoppers: dict[str, int]) -> None:
    with pytest.raises(OutOfTime):
        preview(custom("COUNT(purchase)"), sorted(shoppers.values()), now, seconds=0)


def test_a_preview_of_nobody_has_no_values(now: Any) -> None:
    found = preview(custom("COUNT(purchase)"), [], now)
    assert (found.values, found.described.customers) == ({}, 0)


def test_a_sample_is_spread_over_all_customers_with_facts(now: Any) -> None:
    rows = [Customer(key=f"c-{number}", facts={}, facts_at=now if number % 2 else None) for number in range(400)]
    Customer.objects.bulk_create(rows)
    with_facts = list(Customer.objects.filter(facts_at__isnull=False).order_by("pk").values_list("pk", flat=True))
    found = sample(50)
    assert set(found) <= set(with_facts)
    assert 40 <= len(found) <= 50
    assert found[0] == with_facts[0]
    assert found[-1] > with_facts[180]
    assert sample(50) == found
    assert sample(10_000) == with_facts


def test_a_new_meaning_takes_away_what_was_computed_before(now: Any, shoppers: dict[str, int]) -> None:
    hour = timedelta(hours=1)
    Customer.objects.update(facts={"eco": 7, "orders": 1}, facts_version=5)
    Customer.objects.filter(key="ben").update(facts_at=now + 2 * hour)  # computed with the new meaning already
    publishing.publish_all()
    fact = CustomFact.objects.create(
        name="eco", label="Eco", text="x", published_text="COUNT(purchase)", type="number", published_at=now + hour
    )
    assert renew(fact.pk) == 2
    assert renew(fact.pk) == 0
    facts = dict(Customer.objects.values_list("key", "facts"))
    assert facts == {"ann": {"orders": 1}, "ben": {"eco": 7, "orders": 1}, "cleo": {"orders": 1}}
    held = profiles.Profiles(connection.patient()).find("customer_id", "ann", "x").profile
    assert (held.facts, held.version) == ({"orders": 1}, 6)


def test_a_draft_takes_nothing_away(now: Any, shoppers: dict[str, int]) -> None:
    Customer.objects.update(facts={"eco": 7})
    assert renew(CustomFact.objects.create(name="eco", label="Eco", text="x").pk) == 0
    assert renew(10**9) == 0
    assert blank("nothing", now) == 0


# -- published


def published(text: str, at: Any) -> CustomFact:
    """Published at this moment, as the admin does it."""
    row, _ = CustomFact.objects.update_or_create(name="mine", defaults={"label": "Mine", "text": text})
    found = defining.find(text, row.name, catalogue.for_formulas())
    assert defining.publish(row, None, at, found, "", [])
    row.refresh_from_db()
    return row


def mine() -> dict[str, Any]:
    return {key: facts.get("mine") for key, facts in Customer.objects.values_list("key", "facts")}


def test_a_published_fact_is_had_at_once_by_who_comes_and_by_everybody_after_a_refresh(
    now: Any, shoppers: dict[str, int]
) -> None:
    refresh_all(now)
    row = published("SUM(purchase.price) / COUNT(purchase)", now)
    store([bought("m-9", "ben", now)], now)
    react(now)
    assert mine() == {"ann": None, "ben": 4.5, "cleo": None}
    assert profile.missing_histories() >= {"mine = SUM(purchase.price) / COUNT(purchase)"}
    assert not defining.is_computed(row)
    refresh_all(now)
    assert mine() == {"ann": 4.5, "ben": 4.5, "cleo": None}
    assert (defining.is_computed(row), profile.missing_histories()) == (True, set())
    assert "COUNT(purchase)" not in Customer.objects.get(key="ann").facts


def test_a_fact_of_another_meaning_is_missing_and_never_of_the_former_one(now: Any, shoppers: dict[str, int]) -> None:
    published("COUNT(purchase)", now)
    refresh_all(now)
    assert mine() == {"ann": 2, "ben": 1, "cleo": 0}
    later = now + timedelta(hours=1)
    row = published("COUNT(purchase) * 100", later)
    renew(row.pk)
    assert mine() == {"ann": None, "ben": None, "cleo": None}
    refresh_all(later)
    assert mine() == {"ann": 200.0, "ben": 100.0, "cleo": 0.0}


def test_a_withdrawn_fact_leaves_with_the_next_refresh(now: Any, shoppers: dict[str, int]) -> None:
    row = published("COUNT(purchase)", now)
    refresh_all(now)
    defining.withdraw(row)
    refresh_all(now)
    assert mine() == {"ann": None, "ben": None, "cleo": None}


def test_a_segment_may_ask_for_a_custom_fact(now: Any, shoppers: dict[str, int]) -> None:
    published("COUNT(purchase) * 2", now)
    refresh_all(now)
    segment = Segment.objects.create(key="two", name="Two", condition="mine >= 4")
    refresh_all(now)
    assert list(segment.memberships.values_list("customer__key", flat=True)) == ["ann"]
