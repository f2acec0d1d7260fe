"""The fold: one customer's facts from a state are those from the frame of all events, whatever the order and split."""

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.customers.facts.deriving import derive
from decisioning.customers.facts.folding import fold, merge, prune, traits_of
from decisioning.customers.facts.measures import MINUTES, TABLES, WAVE, WEEKDAYS, mean_wave
from decisioning.customers.facts.state import FoldedEvent, State, pack, schema_of, unpack
from decisioning.customers.facts.vocabulary import Vocabulary
from rules.language import parse
from rules.language.aggregates import AGGREGATES
from rules.language.history import needs
from rules.language.nodes import History
from tests.customers.happenings import (
    NOW,
    ZONES,
    as_stored,
    asked,
    consents_of,
    crowds,
    expected,
    moments,
    streams,
    traits_told,
    vocabularies,
)
from tests.examples import examples

Histories = dict[str, History]
LATER = NOW + timedelta(days=2)
dice = st.randoms(use_true_random=False)
channels = st.lists(st.sampled_from(("email", "push")), unique=True).map(sorted)


def derived(
    state: State, now: datetime, words: Vocabulary, wanted: Mapping[str, History], consents: Sequence[str] = ()
) -> dict[str, str]:
    """The facts as stored, from the state as stored."""
    return as_stored(derive(unpack(pack(state)), now, words, wanted, consents=consents))


def folded_in_parts(stream: list[FoldedEvent], wanted: Histories, chance: random.Random, now: datetime = NOW) -> State:
    """Shuffled, split among three identities, each folded in two steps with a way through the database between."""
    mixed = chance.sample(stream, len(stream))
    states = []
    for part in (mixed[::3], mixed[1::3], mixed[2::3]):
        half = unpack(pack(fold(None, part[: len(part) // 2], wanted, now)))
        states.append(fold(half, part[len(part) // 2 :], wanted, now))
    return merge(states)


@examples(60)
@given(crowds, vocabularies, asked, st.just(NOW) | moments, st.integers(0, 400), channels)
def test_folding_gives_every_fact_that_the_frame_gives(
    crowd: list[list[FoldedEvent]], words: Vocabulary, wanted: Histories, now: datetime, days: int, said: list[str]
) -> None:
    everybody = expected(crowd, now, words, wanted, consents=said)
    for stream, allowed, facts in zip(crowd, consents_of(crowd, said), everybody, strict=True):
        for clock in (now, now - timedelta(days=days)):
            assert derived(fold(None, stream, wanted, clock), now, words, wanted, allowed) == facts


@examples(120)
@given(streams, vocabularies, asked, moments, dice)
def test_neither_order_nor_split_can_show(
    stream: list[FoldedEvent], words: Vocabulary, wanted: Histories, now: datetime, chance: random.Random
) -> None:
    whole = derived(fold(None, stream, wanted, now), now, words, wanted)
    assert derived(folded_in_parts(stream, wanted, chance, now), now, words, wanted) == whole


@examples(120)
@given(streams, streams, vocabularies, asked, moments, st.integers(0, 10**14))
def test_pruning_changes_no_later_answer(
    stream: list[FoldedEvent], late: list[FoldedEvent], words: Vocabulary, wanted: Histories, now: datetime, wait: int
) -> None:
    pruned = prune(fold(None, stream, wanted, now), now, wanted)
    for moment in (now, now + timedelta(days=7), now + timedelta(microseconds=wait)):
        assert derived(pruned, moment, words, wanted) == derived(
            fold(None, stream, wanted, moment), moment, words, wanted
        )
    everything = fold(fold(None, stream, wanted, now), late, wanted, now)
    again = prune(fold(pruned, late, wanted, now), now, wanted)
    assert derived(again, now, words, wanted) == derived(everything, now, words, wanted)


@examples(100)
@given(streams, streams, vocabularies, asked, moments)
def test_pruned_states_merge_like_whole_ones(
    one: list[FoldedEvent], other: list[FoldedEvent], words: Vocabulary, wanted: Histories, now: datetime
) -> None:
    parts = [prune(fold(None, part, wanted, now), now, wanted) for part in (one, other)]
    before = [pack(part) for part in parts]
    merged = merge(parts)
    assert [pack(part) for part in parts] == before
    whole = fold(fold(None, one, wanted, now), other, wanted, now)
    assert derived(prune(merged, now, wanted), now, words, wanted) == derived(whole, now, words, wanted)
    assert merged.events == len(one) + len(other)


@examples(100)
@given(streams, dice)
def test_the_last_told_value_of_a_trait_wins(stream: list[FoldedEvent], chance: random.Random) -> None:
    assert traits_of(folded_in_parts(stream, {}, chance, LATER)) == traits_told(stream)


def event(name: str, days: float, properties: str = "{}", kind: str = "track") -> FoldedEvent:
    return FoldedEvent(f"{name} {days}", kind, name, NOW - timedelta(days=days), properties)


def test_a_state_without_events_has_zero_counts_and_nothing_else() -> None:
    wanted = needs([parse("COUNT(purchase) > 0 AND MAX(purchase.price) > 1")])
    found = derive(State(), NOW, Vocabulary(), wanted)
    assert set(found.values()) == {0}
    assert {"orders", "spend_30d", "visits_7d", "COUNT(purchase)"} <= set(found)
    assert derive(merge([]), NOW, Vocabulary(), wanted) == found


EDGES = [days + micros / 86_400_000_000 for days in (7, 30, 90, 365) for micros in (-1, 0, 1)]


@pytest.mark.parametrize("name", ["Order Completed", "Coupon Redeemed", "Campaign Received", "page"])
def test_every_window_ends_at_the_same_microsecond_in_both_shapes(name: str) -> None:
    for count, days in enumerate(EDGES):
        line = {"department": f"d{count}", "category": f"c{count}", "brand": f"b{count}", "price": 2}
        order = {"total": 4, "discount": 1, "coupons": 3, "content_key": f"k{count}", "products": [line, line]}
        properties = msgspec.json.encode(order).decode()
        stream = [event(name, days, properties)]
        [facts] = expected([stream], NOW, Vocabulary(), {})
        assert derived(fold(None, stream, {}, NOW), NOW, Vocabulary(), {}) == facts
        assert derived(prune(fold(None, stream, {}, NOW), NOW, {}), NOW, Vocabulary(), {}) == facts


def test_lines_of_one_thing_add_up_and_fractions_of_a_cent_count() -> None:
    lines = [{"department": "Dairy", "price": price} for price in (5, 3, 0.00245, 0.00245)]
    order = {"total": 0.00245, "coupon_discount": 0.00005, "products": [*lines, {"department": "Fish", "price": 8}]}
    stream = [event("Order Completed", days, msgspec.json.encode(order).decode()) for days in (1, 2)]
    words = Vocabulary(departments=("Dairy", "Fish"))
    found = derived(fold(None, stream, {}, NOW), NOW, words, {})
    assert [found] == expected([stream], NOW, words, {})
    assert (found["spend"], found["coupon_order_share"]) == ("0.01", "1.0")
    assert (found["favourite_department"], found["share_dairy"]) == ('"Dairy"', "0.500156")


def test_a_share_that_is_rounded_to_nothing_has_no_sign() -> None:
    stream = [event("Order Completed", 1, '{"total": 1e9, "discount": -3}')]
    found = derived(fold(None, stream, {}, NOW), NOW, Vocabulary(), {})
    # Of more than one row: Polars leaves the zero it should add to a column away.
    assert expected([stream, stream], NOW, Vocabulary(), {}) == [found, found]
    assert found["discount_share"] == "0.0"


def test_visits_within_one_quarter_of_an_hour_are_told_apart_by_a_window() -> None:
    evening = NOW.replace(hour=23, minute=45)
    moments = [evening + timedelta(minutes=minutes) for minutes in (0, 2, 7, 11, 14, 15, 21, 90)]
    stream = [FoldedEvent(str(at), "page", "page", at, "{}") for at in moments]
    states = [
        fold(None, stream, {}, NOW),
        fold(None, stream[::-1], {}, NOW),
        fold(None, stream[3:] + stream[:3], {}, NOW),
    ]
    states.append(merge([fold(None, stream[::2], {}, NOW), fold(None, stream[1::2], {}, NOW)]))
    for minutes in range(-1, 100):
        for shift in (0, 7):
            now = evening + timedelta(days=shift, minutes=minutes)
            days = {at.date() for at in moments if now - timedelta(days=7) < at <= now}
            assert [derive(state, now, Vocabulary(), {})["visits_7d"] for state in states] == [len(days)] * 4


def test_of_two_values_told_at_once_the_larger_message_id_wins() -> None:
    one = FoldedEvent("1", "identify", "identify", NOW, '{"city": "Oslo", "age": 5}')
    other = FoldedEvent("2", "identify", "identify", NOW, '{"city": "Rome"}')
    for stream in ([one, other], [other, one]):
        assert traits_of(fold(None, stream, {}, NOW)) == {"city": "Rome", "age": 5}
    assert traits_of(merge([fold(None, [other], {}, NOW), fold(None, [one], {}, NOW)])) == {"city": "Rome", "age": 5}


def test_an_event_ahead_of_the_clock_waits_for_its_time() -> None:
    wanted = needs([parse("COUNT(purchase) > 0 AND LAST(purchase.price) > 1")])
    stream = [event("purchase", 1, '{"price": 5}'), event("purchase", -1, '{"price": 7}')]
    state = prune(fold(None, stream, wanted, NOW), NOW, wanted)
    words = Vocabulary(event_names=("purchase",))
    today, later = derive(state, NOW, words, wanted), derive(state, NOW + timedelta(days=2), words, wanted)
    assert [facts["COUNT(purchase)"] for facts in (today, later)] == [1, 2]
    assert [facts["LAST(purchase.price)"] for facts in (today, later)] == [5.0, 7.0]
    assert [facts["days_since_purchase"] for facts in (today, later)] == [1.0, 1.0]
    assert [facts["visits_7d"] for facts in (today, later)] == [1, 2]


@pytest.mark.parametrize("zone", ZONES)
def test_old_visits_are_thinned_and_still_counted_in_every_zone(zone: str) -> None:
    stream = [event("page", 800 + step / 96, kind="page") for step in range(0, 96 * 12) if step % 7 != 3]
    stream += [event("page", 900 + step * 1.37, kind="page") for step in range(30)]
    state = prune(fold(None, stream, {}, NOW), NOW, {})
    assert (state.starts, state.ends, state.counts) == ([], [], [])
    assert len(state.visited) < 60
    [facts] = expected([stream], NOW, Vocabulary(time_zone=zone), {})
    assert derived(state, NOW, Vocabulary(time_zone=zone), {})["visits"] == facts["visits"]


def test_a_state_stays_small_however_many_events_there_were() -> None:
    order = '{"total": 9.5, "products": [{"department": "Dairy", "category": "Milk", "price": 9.5}]}'
    stream = [
        event("Order Completed" if step % 20 == 0 else "Product Viewed", 400 + step / 10, order) for step in range(5000)
    ]
    wanted = needs([parse('SUM("Order Completed".total) > 0 AND COUNT("Product Viewed") IN LAST 30 DAYS > 0')])
    state = prune(fold(None, stream, wanted, NOW), NOW, wanted)
    facts = derive(state, NOW, Vocabulary(), wanted)
    assert (state.events, facts["orders"], facts["spend"]) == (5000, 250, 2375.0)
    assert facts['SUM("Order Completed".total)'] == 2375.0
    assert len(pack(state)) < 2048


def test_sums_beyond_64_bits_can_be_stored() -> None:
    wanted = needs([parse("SUM(purchase.price) > 0")])
    stream = [event("purchase", days, '{"price": 1e15}') for days in range(1, 30)]
    halves = [unpack(pack(prune(fold(None, part, wanted, NOW), NOW, wanted))) for part in (stream[:9], stream[9:])]
    found = derive(merge(halves), NOW, Vocabulary(), wanted)["SUM(purchase.price)"]
    assert found == derive(fold(None, stream, wanted, NOW), NOW, Vocabulary(), wanted)["SUM(purchase.price)"]
    assert found == pytest.approx(29e15)


def test_traits_too_large_for_a_number_stay_as_they_were_sent() -> None:
    state = fold(None, [event("identify", 1, '{"a": 99999999999999999999999999, "b": "x"}', "identify")], {}, NOW)
    state = fold(unpack(pack(state)), [event("identify", 0, '{"b": "y"}', "identify")], {}, NOW)
    assert traits_of(unpack(pack(state))) == {"a": 99999999999999999999999999, "b": "y"}


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_every_aggregate_of_the_language_is_joined_when_states_merge(aggregate: str) -> None:
    wanted = needs([parse(f"{aggregate} {'purchase' if aggregate == 'DAYS SINCE' else '(purchase.price)'} > 0")])
    stream = [event("purchase", days, f'{{"price": {days % 4 + 1}}}') for days in (1, 2, 3, 4, 6, 9)]
    for parts in ((stream[:3], stream[3:]), (stream[3:], stream[:3]), (stream[1:5], stream[:1] + stream[5:])):
        merged = merge([prune(fold(None, part, wanted, NOW), NOW, wanted) for part in parts])
        assert all(heard.summary and not heard.readings for heard in merged.heard.values())
        whole = derive(fold(None, stream, wanted, NOW), NOW, Vocabulary(), wanted)
        assert derive(merged, NOW, Vocabulary(), wanted) == whole
        assert wanted.keys() <= whole.keys()


def test_a_schema_names_the_histories_and_not_their_order() -> None:
    assert schema_of(["a", "b"]) == schema_of(["b", "a"])
    assert len({schema_of(texts) for texts in ([], ["a"], ["b"], ["a", "b"], ["ab"])}) == 5


def test_what_is_no_state_is_refused() -> None:
    for data in (b"", b"\x00", b"\x92\x01\x02", pack(State())[:-1]):
        with pytest.raises(msgspec.MsgspecError):
            unpack(data)


def test_a_moment_without_a_zone_is_refused() -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(TypeError):
        fold(None, [FoldedEvent("1", "track", "purchase", naive, "{}")], {}, NOW)
    with pytest.raises(TypeError):
        derive(State(), naive, Vocabulary(), {})


@pytest.mark.parametrize("period", [MINUTES, WEEKDAYS])
@pytest.mark.parametrize("half", ["sin", "cos"])
def test_both_shapes_know_the_same_circle(period: int, half: str) -> None:
    steps = pl.DataFrame({"step": range(period)}).with_columns(pl.lit(True).alias("counts"))
    means = steps.group_by("step", maintain_order=True).agg(mean=mean_wave("step", period, half, pl.col("counts")))
    assert means["mean"].to_list() == [wave / WAVE for wave in TABLES[period, half]]
