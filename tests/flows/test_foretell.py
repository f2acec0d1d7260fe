"""From the log to a fact: who leaves, who buys again and what they spend is told to everybody, and segments follow."""

from datetime import timedelta
from io import StringIO
from random import Random

import pytest
from django.core.management import CommandError, call_command

from decisioning import tasks
from decisioning.console.card import drawn
from decisioning.customers.intake.ingest import store
from decisioning.customers.models import Customer, Event
from decisioning.flows import foretell, learn, spawning
from decisioning.flows.react import react
from decisioning.flows.refresh import refresh_all
from decisioning.learning.targets import TARGETS
from decisioning.models import Artefact
from decisioning.store import runs
from rules.models import Membership, Segment

from ..customers.test_ingest import checked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
DAY = timedelta(days=1)
PEOPLE, WEEKS = 300, 10


def orders_of(n: int, now) -> list:
    """Half of them buy in nine weeks of ten; the others in one of five, and may stay away."""
    eager, dice = n % 2 == 0, Random(n)
    weeks = [week for week in range(1, WEEKS + 1) if dice.random() < (0.9 if eager else 0.3)] or [1]
    total = 30.0 if eager else 5.0
    return [
        checked(
            f"{n}-{week}",
            now - timedelta(weeks=week) + timedelta(hours=1 + n % 22),
            f"u-{n}",
            name="Order Completed",
            properties=f'{{"total": {total}, "products": [{{"department": "Produce", "price": {total}}}]}}',
        )
        for week in weeks
    ]


@pytest.fixture
def shop(now):
    """A log of ten weeks, and everybody's facts."""
    store([event for n in range(PEOPLE) for event in orders_of(n, now)], now)
    settle(now)


def settle(now) -> None:
    """Everything that came in is in facts and segments."""
    while react(now).events:
        pass
    refresh_all(now)


def everybody(now, *words: str) -> list[str]:
    return foretell.foretell(now, foretell.asked(words or ("churn:14", "repurchase:14", "value:14")), learn.quiet)


def facts() -> dict[str, dict]:
    return dict(Customer.objects.values_list("key", "facts"))


def test_what_is_foretold_becomes_facts_and_segments_follow(shop, now):
    lines = everybody(now)
    assert [line.split(":")[0] for line in lines[:3]] == ["churn", "repurchase", "value"]
    assert all("promote: all" in line for line in lines[:3]), lines
    assert lines[3] == f"{PEOPLE} customers were told something new"
    cards = {one.kind: drawn(one.metrics["card"], {}) for one in Artefact.objects.filter(active=True)}
    assert all(card["importance"][0]["surely"] and card["curves"] for card in cards.values())
    assert cards["churn"]["words"]["score"] == "chance" and cards["value"]["words"]["score"] == "money"
    assert all(len(card["calibration"]["dots"]) == 10 for card in cards.values())
    Segment.objects.create(key="leaving", name="Leaving", condition="churn_risk > 0.3")
    settle(now + timedelta(minutes=1))
    found = facts()
    eager, other = found["u-0"], found["u-1"]
    assert eager["churn_risk"] < 0.2 < 0.5 < eager["repurchase_chance"]
    assert eager["foretold_value"] > 30 > 20 > other["foretold_value"] > 0
    risky = {key for key, one in found.items() if one.get("churn_risk", 0) > 0.3}
    inside = Membership.objects.filter(left_at__isnull=True, segment__key="leaving")
    assert {one.customer.key for one in inside} == risky and risky
    assert all(int(key.split("-")[1]) % 2 for key in risky)


def test_the_same_is_not_told_twice_and_who_left_long_ago_is_told_that_nothing_is_known(shop, now):
    everybody(now)
    settle(now + timedelta(minutes=1))
    number = Event.objects.count()
    assert everybody(now + timedelta(minutes=2))[-1] == "0 customers were told something new"
    assert Event.objects.count() == number
    later = now + timedelta(days=60)
    at_risk = sum("churn_risk" in one for one in facts().values())
    assert foretell.tell_everybody(later) == at_risk > 100
    settle(later)
    found = facts()["u-0"]
    assert "churn_risk" not in found and found["repurchase_chance"] > 0


def test_a_model_is_kept_for_a_week_and_learned_anew_after_it_or_for_another_horizon(shop, now):
    first = everybody(now, "repurchase:14")
    assert "stays" in everybody(now + timedelta(days=1), "repurchase:14")[0]
    assert "stays" not in everybody(now + timedelta(days=1), "repurchase:21")[0]
    assert "stays" not in everybody(now + timedelta(days=9), "repurchase:21")[0]
    assert "repurchase" in first[0] and Artefact.objects.filter(kind="repurchase").count() == 3


def test_the_future_changes_nothing(shop, now):
    earlier = now - timedelta(weeks=3)
    rows = foretell.rows_of(
        earlier, foretell.asked(["repurchase:14"])[0], {"orders_30d": "number", "rfm_score": "number"}
    )
    poison = [checked(f"p-{n}", now - timedelta(days=n % 20), f"u-{n}", name="Order Completed") for n in range(PEOPLE)]
    store(poison, now)
    settle(now)
    again = foretell.rows_of(
        earlier, foretell.asked(["repurchase:14"])[0], {"orders_30d": "number", "rfm_score": "number"}
    )
    assert len(rows) > 300 and rows.frame.equals(again.frame) and (rows.y == again.y).all()


def test_of_many_customers_an_even_sample_teaches(shop, now, monkeypatch):
    every = foretell._sampled()
    monkeypatch.setattr(foretell, "CUSTOMERS", 30)
    some = foretell._sampled()
    assert len(every) == PEOPLE and len(some) == 30 and set(some) < set(every) and some == foretell._sampled()


def test_too_little_stops_nothing_else_and_says_what_is_missing(shop, now):
    lines = everybody(now, "churn:60", "repurchase:14")
    assert "The log covers 69 days" in lines[0] and "it must cover 180" in lines[0]
    assert "promote" in lines[1]
    assert not Artefact.objects.filter(kind="churn").exists()


def test_an_empty_log_is_told_with_the_cure(now):
    assert everybody(now, "churn:14") == [
        "churn: The log holds no events yet that were dealt with; send or import some, then foretell.",
        "0 customers were told something new",
    ]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("weather", "take one of churn, repurchase, value"),
        ("churn:30,churn:60", "churn is asked for twice"),
        ("churn:0", "from 1 to 730"),
        ("churn:x", "from 1 to 730"),
    ],
)
def test_what_cannot_be_foretold_is_refused(word, said):
    with pytest.raises(CommandError, match=said):
        call_command("learn", "foretell", "--target", word)


def test_the_command_tells_and_writes_the_run_down(shop, now, monkeypatch):
    monkeypatch.setattr(tasks.refresh_everything, "apply_async", lambda countdown: None)
    told = StringIO()
    call_command("learn", "foretell", "--target", "repurchase:14", "--as-of", now.isoformat(), stdout=told)
    assert "customers were told something new" in told.getvalue()
    run = runs.newest("foretell")
    assert (run.state, run.step, run.steps) == ("done", 2, 2)


def test_facts_are_computed_anew_for_a_trait_that_nobody_had(shop, now, monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr(tasks.refresh_everything, "apply_async", lambda countdown: asked.append(countdown))

    def told(moment) -> str:
        words = StringIO()
        call_command("learn", "foretell", "--target", "repurchase:14", "--as-of", moment.isoformat(), stdout=words)
        return words.getvalue()

    assert "facts are computed anew in 60 seconds" in told(now)
    assert asked == [60]
    settle(now + timedelta(minutes=1))
    assert "computed anew" not in told(now + timedelta(minutes=2))
    assert len(asked) == 1


def test_the_worker_foretells_in_a_process_of_its_own_unless_nothing_is_to_be_foretold(monkeypatch, settings):
    asked: list[str] = []
    monkeypatch.setattr(tasks.connection, "close", lambda: None)
    monkeypatch.setattr(spawning, "in_own_process", lambda verb, words: asked.append(verb))
    tasks.foretell_customers()
    settings.FORETOLD = []
    tasks.foretell_customers()
    assert asked == ["foretell"]


def test_nobody_is_told_to_be_certain():
    assert [foretell.told_as(TARGETS["churn"], value) for value in (0.0, 0.004, 0.5, 1.0)] == [0.01, 0.01, 0.5, 0.99]
    assert foretell.told_as(TARGETS["value"], 0.0) == 0.0


@pytest.mark.parametrize(
    ("name", "last", "now_known", "told"),
    [
        ("churn", None, None, False),
        ("churn", None, 0.5, True),
        ("churn", 0.5, None, True),
        ("churn", 0.5, 0.51, False),
        ("churn", 0.5, 0.52, True),
        ("value", 100.0, 104.9, False),
        ("value", 100.0, 105.0, True),
        ("value", 0.0, 0.04, False),
    ],
)
def test_only_what_differs_enough_is_told(name, last, now_known, told):
    assert foretell.differs(TARGETS[name], last, now_known) == told
