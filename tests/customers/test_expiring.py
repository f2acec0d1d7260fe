"""When facts move by themselves: nothing asked changes before the moment that is told, and something does at it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import inf, nextafter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.customers.facts.asking import age, day, than, thresholds
from decisioning.customers.facts.catalogue import built_in_facts
from decisioning.customers.facts.deriving import derive
from decisioning.customers.facts.expiring import next_change
from decisioning.customers.facts.folding import fold, prune
from decisioning.customers.facts.moving import MOST_TRIES, class_of
from decisioning.customers.facts.state import FoldedEvent, State
from decisioning.customers.facts.vocabulary import Vocabulary
from rules.language import matches, nodes, parse
from rules.language.history import needs
from rules.language.values import DAY, Relative, Span
from tests.customers.happenings import MICROSECOND, NOW, moments, streams, vocabularies
from tests.examples import examples
from tests.language.strategies import history_tests

WORDS = Vocabulary(event_names=("Order Completed", "Product Viewed", "page"))
PLAIN = {fact.name: fact.type for fact in built_in_facts(WORDS)}
FAR = timedelta(days=900)

# -- conditions on facts

_spans = st.builds(Span, st.sampled_from((1, 2, 7, 30, 1440)), st.sampled_from(("MINUTE", "HOUR", "DAY")))
_clocks = st.one_of(
    st.sampled_from([Relative("NOW"), Relative("TODAY")]),
    st.builds(Relative, st.sampled_from(("AGO", "AHEAD")), _spans),
)
_numbers = st.sampled_from(
    (-1, 0, 1, 2, 3, 0.5, 4.99, 7, 24, 29.9999995, 30, 30.000001, 89.5, 366, 1e9, 2**70, -(10**400))
)
_ordered = st.sampled_from(("=", "<", "<=", ">", ">="))
_named = {
    kind: st.sampled_from([nodes.Named(name) for name, one in PLAIN.items() if one == kind])
    for kind in ("number", "text", "date", "text_list")
}
_yes = st.booleans()
_number_tests = st.one_of(
    st.builds(nodes.Test, _named["number"], _ordered, _numbers, st.just(False)),
    st.builds(nodes.Test, _named["number"], _ordered, _numbers, st.just(False)),
    st.builds(nodes.Test, _named["number"], st.just("BETWEEN"), st.tuples(_numbers, _numbers), _yes),
    st.builds(nodes.Test, _named["number"], st.just("IN"), st.lists(_numbers, min_size=1, max_size=3).map(tuple), _yes),
    st.builds(nodes.Test, _named["number"], st.just("IS MISSING"), st.none(), _yes),
)
_date_tests = st.one_of(
    st.builds(nodes.Test, _named["date"], st.one_of(_ordered, st.sampled_from(("BEFORE", "AFTER", "ON"))), _clocks),
    st.builds(nodes.Test, _named["date"], st.sampled_from(("WITHIN LAST", "WITHIN NEXT")), _spans),
)
_text_tests = st.one_of(
    st.builds(nodes.Test, _named["text"], _ordered, st.sampled_from(("Dairy", "mobile", "at risk", ""))),
    st.builds(nodes.Test, _named["text_list"], st.just("CONTAINS"), st.sampled_from(("Dairy", "tea"))),
    st.builds(nodes.Test, st.one_of(_named["text"], _named["text_list"]), st.just("IS MISSING"), st.none(), _yes),
)
_tests = st.one_of(_number_tests, _number_tests, _number_tests, _date_tests, _text_tests, history_tests)
_pairs = st.one_of(
    st.builds(nodes.Test, _named["number"], _ordered, _named["number"]),
    st.builds(nodes.Test, _named["date"], _ordered, _named["date"]),
    st.builds(nodes.Test, _named["text"], st.just("="), _named["text"]),
)


def answers(conditions: list[nodes.Condition], facts: Mapping[str, Any], now: datetime) -> list[bool]:
    return [matches(condition, facts, now) for condition in conditions]


def looked_at(stream: list[FoldedEvent], now: datetime, until: datetime) -> list[datetime]:
    """Moments strictly between at which a window, an hour or a day could end, and some that stand for all others."""
    found = {now + MICROSECOND, until - MICROSECOND, now + (until - now) / 2, now + (until - now) / 7}
    for event in stream:
        hour = event.timestamp.replace(minute=0, second=0, microsecond=0)
        for at in (event.timestamp, hour, hour.replace(hour=0)):
            found |= {
                at + timedelta(days=days) + shift * MICROSECOND for days in (0, 1, 7, 30, 90, 365) for shift in (0, 1)
            }
    return sorted(at for at in found if now < at < until)[:60]


@examples(100)
@given(
    streams, st.lists(st.one_of(_tests, _tests, _pairs), min_size=1, max_size=4), vocabularies, st.just(NOW) | moments
)
def test_nothing_that_is_asked_changes_before_the_moment(
    stream: list[FoldedEvent], conditions: list[nodes.Condition], words: Vocabulary, now: datetime
) -> None:
    wanted = needs(conditions)
    state = prune(fold(None, stream, wanted, now), now, wanted)
    moment = next_change(state, now, words, wanted, thresholds(conditions))
    assert moment is None or moment > now
    before = answers(conditions, derive(state, now, words, wanted), now)
    for at in looked_at(stream, now, moment or now + FAR):
        assert answers(conditions, derive(state, at, words, wanted), at) == before, (at, moment)


@examples(100)
@given(streams, st.lists(_tests, min_size=1, max_size=3), vocabularies, st.just(NOW) | moments)
def test_something_that_is_asked_changes_at_the_moment(
    stream: list[FoldedEvent], conditions: list[nodes.Condition], words: Vocabulary, now: datetime
) -> None:
    stream = stream[: MOST_TRIES // 2]
    wanted, asked = needs(conditions), thresholds(conditions)
    state = prune(fold(None, stream, wanted, now), now, wanted)
    moment = next_change(state, now, words, wanted, asked)
    if moment is None or any(event.timestamp == moment for event in state.ahead):
        return
    earlier, later = (derive(state, at, words, wanted) for at in (now, moment))
    moved = [
        name for name, cuts in asked.items() if class_of(earlier.get(name), cuts) != class_of(later.get(name), cuts)
    ]
    assert moved or dated(asked, later, moment)


def dated(asked: Mapping[str, tuple[float, ...]], facts: Mapping[str, Any], now: datetime) -> bool:
    """Whether a date is just now as old as it is asked to be."""
    for key, cuts in asked.items():
        _, kind, name = key.split("\0") if key.startswith("\0") else ("", "", key)
        if kind and isinstance(facts.get(name), str):
            start = datetime.fromisoformat(facts[name])
            start = start if kind == "age" else start.replace(hour=0, minute=0, second=0, microsecond=0)
            if any(start + timedelta(microseconds=int(cut)) == now for cut in cuts):
                return True
    return False


# -- what is asked


def test_numbers_are_cut_where_an_answer_changes() -> None:
    found = [parse("orders_30d >= 3 AND spend_7d > 5 OR NOT visits_7d = 2"), parse("IF orders_30d IN (3, 9) THEN STOP")]
    above = {number: nextafter(number, inf) for number in (2.0, 3.0, 5.0, 9.0)}
    assert thresholds(found) == {
        "orders_30d": (3.0, above[3.0], 9.0, above[9.0]),
        "spend_7d": (above[5.0],),
        "visits_7d": (2.0, above[2.0]),
    }


def test_texts_and_other_facts_are_asked_about_every_change() -> None:
    asked = thresholds([parse('favourite_brand = "A" AND recency_days < days_between_orders AND spend IS MISSING')])
    names = ("favourite_brand", "recency_days", "days_between_orders", than("recency_days", "days_between_orders"))
    assert asked == {**dict.fromkeys(names, ()), "spend": (-inf,)}
    both = thresholds([parse("spend_7d > 1"), parse("spend_7d > spend_30d")])
    assert both["spend_7d"] == ()


def test_dates_are_asked_how_old_they_come_to_be() -> None:
    asked = thresholds([parse("last_order_at WITHIN LAST 2 DAYS OR first_order_at BEFORE TODAY")])
    assert asked[age("last_order_at")] == (0.0, 2.0 * DAY + 1)
    assert asked[day("first_order_at")] == (0.0, float(DAY))


# -- single facts


def bought(days: float, total: float = 10) -> FoldedEvent:
    at = NOW - timedelta(days=days)
    return FoldedEvent(f"o-{days}", "track", "Order Completed", at, f'{{"total": {total}}}')


def change(text: str, *events: FoldedEvent, words: Vocabulary = WORDS) -> float | None:
    """Days until the condition may answer otherwise."""
    wanted: Mapping[str, nodes.History] = needs([parse(text)])
    state = fold(None, events, wanted, NOW)
    moment = next_change(state, NOW, words, wanted, thresholds([parse(text)]))
    return None if moment is None else (moment - NOW) / timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("orders_30d >= 1", 25),
        ("orders_30d >= 2", 20),
        ("orders_30d > 5", None),
        ("orders > 1", None),
        ("spend_30d > 9.5", 25),
        ("spend_30d > 19.99", 20),
        ("recency_days >= 30", 25 - 0.0432 / 86400),
        ("recency_days > 2", None),
        ("recency_days IS MISSING", None),
        ("last_order_at WITHIN LAST 10 DAYS", 5 + 1 / DAY),
        ("last_order_at AFTER 10 DAYS AGO", 5),
        ("visits_7d > 0", 2),
        ("sessions_7d > 0", 2),
        ('COUNT("Order Completed") IN LAST 7 DAYS >= 1', 2 + 1 / DAY),
        ('COUNT("Order Completed") >= 1', None),
        ('DAYS SINCE "Order Completed" >= 10', 5),
        ('segments = "somewhere" AND CHANCE 10%', None),
    ],
)
def test_the_moment_is_when_the_window_ends_that_decides(text: str, days: float | None) -> None:
    found = change(text, bought(5), bought(10), bought(40))
    assert found is None if days is None else found == pytest.approx(days, abs=1e-12)


def test_scores_change_when_an_edge_is_passed() -> None:
    words = Vocabulary(recency=(1.0, 7.0, 30.0, 90.0), frequency=(0.0, 1.0, 2.0, 3.0), monetary=(1.0, 2.0, 3.0, 4.0))
    assert change("recency_score <= 3", bought(5), words=words) == pytest.approx(2 + 0.0432 / 86400, abs=1e-12)
    assert change('rfm_segment = "loyal"', bought(5), words=words) == pytest.approx(25 + 0.0432 / 86400, abs=1e-12)
    assert change("recency_score < 2", bought(5), words=words) == pytest.approx(85 + 0.0432 / 86400, abs=1e-12)


def test_an_event_ahead_of_the_clock_is_a_change_at_its_time() -> None:
    assert change("orders_30d > 0", bought(-0.5)) == 0.5
    assert change("favourite_brand IS MISSING", bought(-0.5), bought(3)) == 0.5


def test_a_basket_that_is_left_alone_is_told_by_the_hour() -> None:
    added = FoldedEvent("a", "track", "Product Added", NOW - timedelta(hours=1), '{"product_id": "p", "price": 3}')
    assert change("basket_abandoned_hours >= 24", added) == pytest.approx(23 / 24, abs=1e-6)
    assert change("basket_products > 0", added) == pytest.approx(30 - 1 / 24)
    started = FoldedEvent("c", "track", "Checkout Started", NOW - timedelta(hours=1), "{}")
    assert change("checkouts_abandoned_90d = 0", started) == pytest.approx(23 / 24)


def test_what_is_compared_with_another_fact_changes_when_it_passes_it() -> None:
    assert change("recency_days > days_between_orders", bought(2), bought(9)) == pytest.approx(5, abs=1e-6)
    assert change("recency_days < tenure_days", bought(2), bought(9)) is None


def test_a_customer_of_whom_nothing_is_known_never_changes() -> None:
    everything = [nodes.Test(nodes.Named(name), "IS MISSING") for name in PLAIN]
    asked = thresholds([nodes.All(tuple(everything))])
    assert next_change(State(), NOW, WORDS, {}, asked) is None
    assert next_change(State(), NOW, WORDS, {}, {}) is None
