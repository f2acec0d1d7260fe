"""Distributions: every customer is in one bar, shares are true, nobody can be told from them, and rows are kept."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.customers.facts.distributions import COMMON, FEWEST, MOST_BARS, Described, described
from decisioning.customers.models import Customer, CustomFact, Distribution, FactVocabulary
from decisioning.flows.describe import describe, describe_moments, describe_scores
from decisioning.models import Artefact, Decision, Score
from decisioning.store import scores

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
numbers = st.one_of(
    st.none(),
    st.integers(-5, 30).map(float),
    st.floats(-1e9, 1e9),
    st.floats(0, 1e15),
    st.sampled_from((0.0, 1e-12, 1e15, 0.1, 0.3, math.nan, math.inf)),
)


def of(values: list[Any], told: str | None = None, **more: Any) -> Described:
    return described(pl.Series("x", values, **more), told)


@given(st.lists(numbers, max_size=60))
def test_every_number_is_in_one_of_a_few_bars(values: list[float | None]) -> None:
    found = of(values, dtype=pl.Float64)
    known = [value for value in values if value is not None and math.isfinite(value)]
    assert found.customers == len(values)
    assert found.coverage == pytest.approx(len(known) / len(values) if values else 0)
    bars = found.figures.get("bars", [])
    assert sum(count for *_, count in bars) == len(known)
    assert len(bars) <= MOST_BARS + 1
    assert [low for low, *_ in bars] == sorted(low for low, *_ in bars)
    assert json.loads(json.dumps(found.figures)) == json.loads(json.dumps(found.figures, allow_nan=False))


@given(st.lists(st.integers(0, 5), min_size=1))
def test_few_whole_numbers_have_a_bar_each(values: list[int]) -> None:
    figures = of(values, dtype=pl.Int64).figures
    assert figures["scale"] == "values"
    assert [tuple(bar) for bar in figures["bars"]] == [
        (value, value, values.count(value)) for value in sorted(set(values))
    ]


def test_figures_are_those_of_the_textbook() -> None:
    figures = of(list(range(101))).figures
    assert figures["quantiles"] == {"5": 5, "25": 25, "50": 50, "75": 75, "95": 95}
    assert (figures["min"], figures["max"], figures["mean"], figures["distinct"]) == (0, 100, 50, 101)
    assert figures["sd"] == pytest.approx(29.1548, abs=1e-4)
    assert figures["scale"] == "linear"
    assert [low for low, *_ in figures["bars"]] == [10 * step for step in range(11)]


def test_money_that_few_spend_much_of_is_drawn_on_a_logarithmic_scale_with_nothing_apart() -> None:
    figures = of([0.0] * 50 + [1.5 * 2**step for step in range(15)]).figures
    assert figures["scale"] == "log"
    assert figures["bars"][0][0] == 0
    assert figures["bars"][0][2] == 50
    lows = [low for low, *_ in figures["bars"]][1:]
    assert all(float(f"{low:.0e}") == low for low in lows)


def test_texts_by_their_commonest_values() -> None:
    found = of(["b", "a", "a", None])
    assert (found.type, found.coverage) == ("text", 0.75)
    assert found.figures == {"distinct": 2, "common": [["a", 2], ["b", 1]], "other": 0}


def test_values_that_next_to_nobody_shares_are_not_told() -> None:
    names = [f"{number}@example.com" for number in range(COMMON + 1)]
    common = ["Rome"] * FEWEST
    figures = of(names + common).figures
    assert (figures["common"], figures["other"]) == ([["Rome", FEWEST]], COMMON + 1)
    assert of(names).figures["common"] == []


def test_truth_values_dates_and_lists() -> None:
    assert of([True, False, True, None]).figures == {"true": 2, "false": 1}
    texts = ["2026-01-05T10:00:00Z", "2026-01-31", "2026-03-01T00:30:00+02:00", "soon"]
    dates = of(texts, "date")
    assert (dates.type, dates.coverage) == ("date", 0.75)
    assert (dates.figures["by"], dates.figures["bars"]) == ("month", [["2026-01", 2], ["2026-02", 1]])
    years = of([datetime(year, 6, 1, tzinfo=UTC) for year in range(2000, 2026)]).figures
    assert (years["by"], len(years["bars"])) == ("year", 26)
    lists = of([["tea", "milk"], ["tea", "tea"], [], None])
    assert (lists.type, lists.figures["common"]) == ("text_list", [["tea", 2], ["milk", 1]])
    assert (lists.figures["empty"], lists.coverage) == (1, 0.75)


@pytest.mark.parametrize("dtype", [pl.Float64, pl.String, pl.Boolean, pl.Datetime("us", "UTC"), pl.List(pl.String)])
def test_what_nobody_has_is_an_answer(dtype: Any) -> None:
    for values in ([], [None, None]):
        found = of(values, dtype=dtype)
        assert (found.coverage, found.customers, found.figures) == (0.0, len(values), {})


# -- rows


@pytest.mark.django_db
def test_rows_are_renewed_and_those_of_facts_that_are_gone_are_forgotten() -> None:
    frame = pl.DataFrame({"customer_id": [1, 2], "orders": [1, 3], "left_over": [1, 1]})
    describe(frame, NOW)
    assert Distribution.objects.get(name="orders").figures["mean"] == 2
    assert Distribution.objects.get(name="spend_30d").coverage == 0  # in no column: nobody has it
    describe(frame.drop("left_over").with_columns(orders=pl.Series([1, None])), NOW + timedelta(hours=1))
    assert not Distribution.objects.filter(name="left_over").exists()
    row = Distribution.objects.get(name="orders")
    assert (row.coverage, row.customers, row.at) == (0.5, 2, NOW + timedelta(hours=1))


@pytest.mark.django_db
def test_the_catalogue_tells_which_texts_are_dates_and_names_custom_facts() -> None:
    FactVocabulary.objects.create(data={"event_names": ["purchase"]}, learned_at=NOW)
    CustomFact.objects.create(name="eco", label="Eco", text="x", published_text="COUNT(purchase)", type="number")
    describe(pl.DataFrame({"customer_id": [1], "last_order_at": ["2026-02-01T00:00:00Z"]}), NOW)
    assert Distribution.objects.get(name="last_order_at").type == "date"
    assert Distribution.objects.get(name="eco").coverage == 0


@pytest.mark.django_db
def test_requests_and_scores_have_rows_beside_those_of_facts() -> None:
    describe(pl.DataFrame({"customer_id": [1], "device": ["a trait"]}), NOW)
    for number in range(3):
        Decision.objects.create(
            id=f"00000000-0000-0000-0000-{number:012}", at=NOW, placement="home", rung="full", items=[],
            context={"device": {"type": "mobile"}} if number else {},
        )  # fmt: skip
    assert describe_moments(NOW) > 0
    assert Distribution.objects.get(name="context device").coverage == pytest.approx(2 / 3)
    artefact = Artefact.objects.create(kind="scorer", data=b"", trained_at=NOW)
    contents = scores.contents_of(["eco"])
    for number in range(3):
        customer = Customer.objects.create(key=str(number))
        Score.objects.create(customer=customer, artefact=artefact, contents=contents, values=[0.1 * number], at=NOW)
    assert describe_scores(NOW) == 1
    assert Distribution.objects.get(name="score eco").figures["max"] == 0.2
    describe(pl.DataFrame({"customer_id": [1]}), NOW)
    assert set(Distribution.objects.filter(name__contains=" ").values_list("name", flat=True)) >= {
        "context device",
        "score eco",
    }
    assert Distribution.objects.filter(name="device").count() == 0
