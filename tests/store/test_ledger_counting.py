"""What the ledger adds up to: each row once, in whatever order, however often it is sent, whoever is killed."""

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from campaigns.models import Placement
from decisioning.models import Decision, DroppedMonth, Outcome, Statistic, Tally, Traffic, Uncounted, UncountedOutcome
from decisioning.store import statistics
from decisioning.store.copying import copy_in
from decisioning.store.counting import PATIENCE, count_new, give_up
from decisioning.store.recounting import rebuild
from decisioning.store.sampling import thin
from tests.examples import examples

from ..conftest import NOW

COLUMNS = ("placement", "content", "part", "name", "day", *statistics.COUNTS)
MADE = datetime(2026, 3, 31, 23, 0, tzinfo=UTC)


def decision(number: int, contents: str = "ab", at: datetime = NOW, **words: Any) -> Decision:
    """A row of the ledger; its id is of version 7."""
    made = int((MADE + timedelta(seconds=number)).timestamp() * 1000)
    named: dict[str, Any] = {"placement": "hero", "rung": "full", "reason": "RANKED", "policy": "greedy"} | words
    items = [{"key": key, "rank": rank, "reasons": ["why"]} for rank, key in enumerate(contents, 1)]
    return Decision(id=UUID(int=made << 80 | 7 << 76 | 2 << 62 | number), at=at, items=items, **named)


def outcome(of: Decision, kind: str, name: str, content: str = "a", value: float = 0.0) -> Outcome:
    return Outcome(decision_id=of.pk, content=content, kind=kind, value=value, at=NOW, message_id=name)


def count_all() -> None:
    while count_new():
        pass


def held() -> set[tuple[Any, ...]]:
    """The statistics, without rows that say nothing."""
    return set(Statistic.objects.values_list(*COLUMNS))


def traffic() -> set[tuple[Any, ...]]:
    return set(Traffic.objects.values_list("hour", "placement", "source", "rung", "reason", "decisions", "whole"))


def row(content: str = "a", part: str = "all", name: str = "") -> tuple[Any, ...]:
    return Statistic.objects.values_list(*statistics.COUNTS).get(content=content, part=part, name=name)


def test_a_decision_counts_for_its_contents_segments_matched_rules_and_arms(db):
    told = {
        "segments": ["eco", "loyal"],
        "rules": [{"key": "one", "matched": True}, {"key": "two", "matched": False}],
        "arms": ["summer/b"],
    }
    copy_in([decision(1, "ab", explanation=told)])
    count_all()
    assert {(part, name, content) for _, content, part, name, *_ in held()} == {
        (part, name, content)
        for part, name in (("all", ""), ("segment", "eco"), ("segment", "loyal"), ("rule", "one"), ("arm", "summer/b"))
        for content in "ab"
    }
    assert row("b", "segment", "loyal") == (1, 0, 0, 0, 0, 0)
    assert traffic() == {(NOW.replace(minute=0), "hero", "api", "full", "RANKED", 1, 1)}


def test_the_first_outcome_of_a_kind_counts_and_every_conversions_value(db):
    made = decision(1)
    copy_in([made])
    for number, kind in enumerate(["impression", "impression", "click", "click", "conversion", "conversion"]):
        outcome(made, kind, f"m{number}", value=2.5).save()
        count_all()
    assert row("a") == (1, 1, 1, 1, 1, Decimal(5))
    assert row("b") == (1, 0, 0, 0, 0, 0)


def test_a_click_without_an_impression_was_shown(db):
    made = decision(1)
    copy_in([made])
    outcome(made, "click", "m").save()
    count_all()
    assert row("a") == (1, 0, 1, 1, 0, 0)


def test_an_outcome_waits_for_its_decision(db):
    made = decision(1)
    outcome(made, "click", "m").save()
    count_all()
    assert (held(), UncountedOutcome.objects.count()) == (set(), 1)
    copy_in([made])
    count_all()
    assert row("a") == (1, 0, 1, 1, 0, 0)
    assert (UncountedOutcome.objects.count(), Uncounted.objects.count()) == (0, 0)


def test_an_outcome_whose_decision_never_comes_is_given_up_and_said(db):
    made = decision(1)
    outcome(made, "click", "m").save()
    early, late = MADE + PATIENCE, MADE + PATIENCE + timedelta(seconds=2)
    assert give_up(NOW + timedelta(days=1), early) == 0, "its decision's process may still write it"
    assert give_up(NOW, late) == 0, "it has only just come"
    assert give_up(NOW + PATIENCE + timedelta(seconds=1), late) == 1
    assert (UncountedOutcome.objects.count(), Tally.objects.get(what="outcomes", name="lost").count) == (0, 1)


def test_an_outcome_of_a_month_that_was_dropped_is_told_from_one_that_was_never_written(db):
    outcome(decision(0), "click", "of-a-dropped-month").save()
    outcome(decision(90_000), "click", "of-a-kept-month").save()
    DroppedMonth.objects.create(month=MADE.date().replace(day=1), rows=5)
    assert give_up(NOW + timedelta(days=1), MADE + timedelta(days=3)) == 2
    assert dict(Tally.objects.values_list("name", "count")) == {"expired": 1, "lost": 1}


def test_a_decision_that_comes_after_its_outcome_was_given_up_is_counted_with_it(db):
    made = decision(1)
    outcome(made, "click", "m").save()
    give_up(NOW + timedelta(days=1), MADE + timedelta(days=1))
    copy_in([made])
    count_all()
    assert row("a") == (1, 0, 1, 1, 0, 0)


def test_what_was_fetched_ahead_counts_when_it_is_seen(db):
    made = decision(1, asked={"mode": "prefetch"})
    thin(made)
    copy_in([made])
    count_all()
    assert held() == set()
    outcome(made, "impression", "m").save()
    count_all()
    assert row("a") == (1, 1, 1, 0, 0, 0)
    before = held()
    rebuild()
    assert held() == before


def test_odd_rows_count_as_far_as_they_can_be_read(db):
    odd = decision(1)
    odd.items = {"key": "a"}
    told = {"segments": "eco", "rules": [3, {"key": None, "matched": True}]}
    copy_in([odd, decision(3, "a", explanation=told)])
    outcome(decision(3), "conversion", "m", value=1e300).save()
    count_all()
    assert row("a") == (1, 0, 1, 0, 1, Decimal(10**12))
    assert Traffic.objects.get().decisions == 2


class Rolled(Exception):
    """Ends an example and takes back what it did."""


@contextmanager
def taken_back() -> Iterator[None]:
    """Nothing of the block stays in the database."""
    try:
        with transaction.atomic():
            yield
            raise Rolled
    except Rolled:
        pass


KINDS = ("impression", "click", "conversion", "value")


def in_time(one: Decision, what: str, at: datetime) -> bool:
    hours = (at - one.at) / timedelta(hours=1)
    return hours >= -1 / 12 and (one.windows is None or hours <= one.windows[KINDS.index(what)])


def shop(dice: random.Random) -> tuple[list[Decision], list[Outcome]]:
    """Some decisions on three days, and outcomes of them and of some that are never written."""
    made = []
    for number in range(dice.randint(1, 12)):
        told = {
            "segments": dice.sample(["eco", "loyal", "new"], dice.randint(0, 3)),
            "rules": [{"key": key, "matched": dice.random() < 0.5} for key in ("one", "two")],
        }
        mode = dice.choice(["execute", "prefetch"])
        where, source = dice.choice(["hero", "side"]), dice.choice(["api", "campaign", "import"])
        at = NOW + timedelta(hours=dice.randint(-30, 30))
        contents = "".join(dice.sample("abc", dice.randint(0, 3)))
        windows = dice.choice([None, [dice.choice([0, 5, 20, 60]) for _ in KINDS]])
        words = {"explanation": told, "asked": {"mode": mode}, "placement": where, "source": source, "windows": windows}
        one = decision(number, contents, at, rung=dice.choice(["full", "rules"]), **words)
        if dice.random() < 0.3:
            thin(one)
        made.append(one)
    kinds = ["impression", "click", "conversion"]
    outcomes = [
        outcome(dice.choice(made), dice.choice(kinds), f"m{number}", dice.choice("abc"), dice.randint(0, 9) / 10)
        for number in range(dice.randint(0, 30))
    ]
    return made, outcomes


def expected(made: list[Decision], outcomes: list[Outcome]) -> set[tuple[Any, ...]]:
    """The statistics, counted in Python one by one."""
    found: dict[tuple[Any, ...], Counter[str]] = {}
    for one in made:
        told = one.explanation
        parts = [("all", ""), *(("segment", key) for key in told["segments"])]
        parts += [("rule", rule["key"]) for rule in told["rules"] if rule["matched"]]
        mine = [each for each in outcomes if each.decision_id == one.pk and in_time(one, each.kind, each.at)]
        prefetched = one.asked.get("mode") == "prefetch"
        for content in {item["key"] for item in one.items} | {each.content for each in mine}:
            here = [each for each in mine if each.content == content]
            kinds = {each.kind for each in here}
            chosen = content in {item["key"] for item in one.items}
            sums = Counter(
                decisions=bool(here) if prefetched else chosen,
                impressions="impression" in kinds,
                shown=bool(here),
                clicks="click" in kinds,
                conversions="conversion" in kinds,
            )
            worth = [each.value for each in here if each.kind == "conversion" and in_time(one, "value", each.at)]
            sums["value"] = sum((Decimal(str(value)) for value in worth), Decimal(0))
            if here or (chosen and not prefetched):
                for part in parts:
                    key = (one.placement, content, *part, one.at.date())
                    found.setdefault(key, Counter()).update(sums)
    return {(*key, *(sums[name] for name in statistics.COUNTS)) for key, sums in found.items()}


@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_increments_in_any_order_are_what_counting_anew_gives(db, seed: int):
    dice = random.Random(seed)
    with taken_back():
        made, outcomes = shop(dice)
        steps: list[Any] = [lambda one=one: copy_in([one]) for one in made * 2]
        steps += [lambda one=one: Outcome.objects.bulk_create([one], ignore_conflicts=True) for one in outcomes]
        steps += [count_new] * 6 + [rebuild] * dice.randint(0, 2)
        steps += [lambda: give_up(NOW + timedelta(days=1), MADE + timedelta(days=1))] * dice.randint(0, 2)
        dice.shuffle(steps)
        for step in steps:
            step()
        count_all()
        counted, seen = held(), traffic()
        assert counted == expected(made, outcomes)
        assert sum(row[5] for row in seen) == len(made)
        rebuild()
        assert (held(), traffic()) == (counted, seen)
        count_all()
        assert (held(), traffic()) == (counted, seen), "counting anew left something to be counted again"


def test_days_of_a_dropped_month_stay_as_they_were_counted(db):
    old, new = decision(1, at=NOW - timedelta(days=40)), decision(2)
    copy_in([old, new])
    count_all()
    before = held(), traffic()
    DroppedMonth.objects.create(month=NOW.date().replace(day=1), rows=1, last_day=old.at.date())
    Decision.objects.filter(pk=old.pk).delete()
    rebuild()
    assert (held(), traffic()) == before


def test_only_one_counts_at_a_time(transactional_db):
    copy_in([decision(1)])
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(7011972)")
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(_elsewhere).result() == 0
    assert count_new() == 1


def _elsewhere() -> int:
    try:
        return count_new()
    finally:
        connection.close()


def test_posteriors_follow_the_placements_objective(db):
    Placement.objects.create(key="hero", name="Hero", objective="conversion")
    made = [decision(number) for number in range(10)]
    copy_in(made)
    for number, one in enumerate(made[:6]):
        outcome(one, "impression", f"i{number}").save()
    outcome(made[0], "click", "c0").save()
    outcome(made[1], "conversion", "v0", value=4).save()
    outcome(made[7], "conversion", "v1", value=2).save()
    count_all()
    assert statistics.posteriors() == {"hero": {"a": (2, 5), "b": (0, 0)}}
    Placement.objects.update(objective="click")
    assert statistics.posteriors()["hero"]["a"] == (1, 6)
    assert statistics.posteriors(since=NOW.date() + timedelta(days=1)) == {}


def test_where_nobody_tells_what_was_seen_whatever_was_chosen_is_a_trial(db):
    copy_in([decision(number, placement="mail") for number in range(4)])
    outcome(decision(1), "click", "c").save()
    Placement.objects.create(key="mail", name="Mail", objective="conversion")
    count_all()
    assert statistics.posteriors() == {"mail": {"a": (0, 4), "b": (0, 4)}}


def test_rates_of_segments_have_their_own_trials_and_worth(db):
    rows = [decision(number, "a", explanation={"segments": ["eco"] if number < 2 else []}) for number in range(4)]
    copy_in(rows)
    for number, one in enumerate(rows):
        outcome(one, "impression", f"i{number}").save()
    outcome(rows[0], "conversion", "v", value=3).save()
    count_all()
    assert statistics.group_rates(Statistic.Part.SEGMENT) == {"hero": {"eco": {"a": statistics.Rate(2, 1, 3.0)}}}
    assert [statistics.group_rates(part) for part in (Statistic.Part.RULE, Statistic.Part.ARM)] == [{}, {}]


def test_shares_of_rungs_leave_imports_out(db):
    ours = [decision(1), decision(2), decision(3, rung="rules", placement="side"), decision(4, rung="rules")]
    copy_in([*ours, decision(5, source="import", rung="default")])
    count_all()
    found = statistics.rung_shares(NOW)
    assert {rung: (one.decisions, one.share) for rung, one in found.items()} == {"full": (2, 0.5), "rules": (2, 0.5)}
    assert statistics.rung_shares(NOW, placement="side")["rules"].share == 1
    assert statistics.rung_shares(NOW + timedelta(hours=1)) == {}
