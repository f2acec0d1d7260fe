"""Each fact is told what is wrong with it, in words, with customers to look at; a sound one is told nothing."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from decisioning.customers.facts.catalogue import built_in_facts, catalogue_facts
from decisioning.customers.facts.vocabulary import Vocabulary
from decisioning.customers.quality.bounds import bounds_of, may_lie_ahead
from decisioning.customers.quality.facts import Known, check_facts, copies_in
from decisioning.customers.quality.findings import LOOK, MEND, NOTHING, Finding, Report, amount, percent
from decisioning.learning.policies import Policy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROWS = 500
WORDS = Vocabulary(departments=("Dairy",), traits=(("age", "number"), ("born", "text"), ("city", "text")))


def frame(**columns: Any) -> pl.DataFrame:
    """Customers 1 to 500 with these facts."""
    return pl.DataFrame({"customer_id": range(1, ROWS + 1), **columns}, strict=False)


def known(**changes: Any) -> Known:
    built_in = {fact.name: fact for fact in built_in_facts(WORDS)}
    return Known(**({"now": NOW, "facts": catalogue_facts(WORDS), "built_in": built_in} | changes))


def report(name: str, facts: pl.DataFrame, **changes: Any) -> Report:
    return next(one for one in check_facts(facts, known(**changes)) if one.name == name)


def finding(name: str, code: str, facts: pl.DataFrame, **changes: Any) -> Finding:
    return next(one for one in report(name, facts, **changes).findings if one.code == code)


def codes(name: str, facts: pl.DataFrame, **changes: Any) -> set[str]:
    return {one.code for one in report(name, facts, **changes).findings}


SPEND = np.random.default_rng(1).gamma(3.0, 20.0, ROWS)


def test_a_sound_fact_is_told_nothing_and_is_measured() -> None:
    found = report("spend_30d", frame(spend_30d=np.random.default_rng(2).normal(100, 9, ROWS)))
    assert found.findings == []
    assert found.severity == NOTHING
    assert (found.figures["coverage"], found.figures["distinct"], found.figures["type"]) == (1.0, ROWS, "number")
    assert sum(found.figures["bars"]) == ROWS
    assert abs(found.figures["mean"] - 100) < 2
    assert abs(found.figures["skewness"]) < 0.5


def test_every_fact_of_the_catalogue_has_a_report_and_so_have_others() -> None:
    reports = check_facts(frame(spend_30d=SPEND, **{"COUNT(x)": range(ROWS)}), known())
    assert {one.name for one in reports} == {*catalogue_facts(WORDS), "COUNT(x)"}
    assert [one.name for one in reports] == sorted(one.name for one in reports)
    assert {one.kind for one in reports} == {"fact"}


def test_what_nobody_has_is_told() -> None:
    found = finding("orders", "nobody", frame(spend_30d=SPEND))
    assert (found.severity, found.count) == (NOTHING, ROWS)
    assert finding("custom", "nobody", frame(custom=[None] * ROWS)).severity == LOOK
    assert report("orders", frame(spend_30d=SPEND)).figures["coverage"] == 0


def test_a_rare_fact_and_one_that_is_the_same_for_everybody_are_told() -> None:
    facts = frame(spend_30d=[5.0] * 3 + [None] * (ROWS - 3), orders=[2] * ROWS, city=["Bonn"] * ROWS)
    assert finding("spend_30d", "rare", facts).text == "Only 3 customers of 500 (0.6 %) have it."
    assert finding("orders", "constant", facts).text.endswith("who has it: 2.")
    assert finding("city", "constant", facts).text.endswith("who has it: Bonn.")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("orders_30d", -1.0),
        ("share_dairy", 1.2),
        ("hour_sin", -1.5),
        ("rfm_score", 16.0),
        ("age", 480.0),
        ("recency_days", -3.0),
        ('COUNT("Order Completed") IN LAST 30 DAYS', -2.0),
    ],
)
def test_values_that_cannot_be_are_to_be_mended_and_shown(name: str, wrong: float) -> None:
    low = 3.0 if name == "rfm_score" else 0.0
    facts = frame(**{name: [low + n % 2 for n in range(ROWS - 1)] + [wrong]})
    found = finding(name, "impossible", facts)
    assert found.severity == MEND
    assert found.text.startswith("1 customer has a value that cannot be")
    assert [(one.customer, one.said) for one in found.examples] == [(ROWS, amount(wrong))]


def test_what_may_be_below_nothing_is_let_be() -> None:
    built_in = {fact.name: fact for fact in built_in_facts(WORDS)}
    assert bounds_of("spend_trend", built_in["spend_trend"]) is None
    assert bounds_of("balance", None) is None
    assert "impossible" not in codes("balance", frame(balance=-SPEND))


def test_outliers_are_counted_both_ways_and_the_furthest_are_shown() -> None:
    facts = frame(spend_30d=[*SPEND[:-2], 90_000.0, 70_000.0])
    found, figures = finding("spend_30d", "outliers", facts), report("spend_30d", facts).figures
    assert found.severity == LOOK
    assert [one.customer for one in found.examples][:2] == [ROWS - 1, ROWS]
    assert figures["iqr"]["outliers"] == found.count >= 2
    assert figures["z"]["outliers"] == 2
    assert "interquartile ranges" in found.text
    assert "skewed" in codes("spend_30d", facts)


def test_a_long_tail_alone_is_only_worth_knowing() -> None:
    facts = frame(spend_30d=np.random.default_rng(3).lognormal(3, 0.9, ROWS))
    assert finding("spend_30d", "outliers", facts).severity == NOTHING


def test_a_policy_decides_where_the_fence_is_and_a_clipped_fact_needs_no_look() -> None:
    facts = frame(spend_30d=[*SPEND[:-1], 90_000.0])
    wide = finding("spend_30d", "outliers", facts, policies={"spend_30d": Policy("flag", "z", 2.0)})
    assert "2 standard deviations" in wide.text
    clipped = finding("spend_30d", "outliers", facts, policies={"spend_30d": Policy("clip", "iqr", 1.5)})
    assert (clipped.severity, clipped.cure) == (NOTHING, "")
    assert "learning sees them clipped" in clipped.text


def test_dates_ahead_are_told_where_they_cannot_be() -> None:
    dates = ["1990-05-01"] * (ROWS - 1) + ["2031-01-05"]
    found = finding("born", "future_date", frame(born=dates))
    assert (found.severity, found.count, found.examples[0].customer) == (MEND, 1, ROWS)
    assert may_lie_ahead("card_expires_at")
    assert "future_date" not in codes("valid_until", frame(valid_until=dates))
    assert codes("city", frame(city=["Bonn", "Ulm"] * 250)) == set()


def test_facts_that_say_the_same_are_named() -> None:
    facts = frame(spend_30d=SPEND, cents=SPEND * 100, other=SPEND[::-1], city=["Bonn", "Ulm", "Trier", None] * 125)
    facts = facts.with_columns(pl.col("city").alias("town"))
    assert "“cents”" in finding("spend_30d", "copy", facts).text
    assert copies_in(facts) == {"spend_30d": ["cents"], "cents": ["spend_30d"], "city": ["town"], "town": ["city"]}


def test_nobody_and_odd_types_break_nothing() -> None:
    assert all(one.figures["customers"] == 0 and not one.findings for one in check_facts(frame().head(0), known()))
    odd = frame(flags=[True, None] * 250, lists=[["a", "b"], []] * 250, empty=[None] * ROWS)
    reports = {one.name: one for one in check_facts(odd, known(facts={}, built_in={}))}
    assert reports["flags"].figures["words"] == [["true", 250]]
    assert reports["lists"].figures["words"][0][1] == 250
    assert {one.code for one in reports["empty"].findings} == {"nobody"}


def test_each_step_is_told() -> None:
    seen: list[tuple[int, int, str]] = []
    check_facts(frame(a=SPEND, b=SPEND), known(facts={}, built_in={}), lambda *step: seen.append(step))
    assert seen == [(0, 2, "a"), (1, 2, "b")]


def test_numbers_and_shares_are_written_for_people() -> None:
    assert [amount(value) for value in (3.0, 1234.5, 0.12345, 98765.4)] == ["3", "1,234", "0.1235", "98,765"]
    assert [percent(share) for share in (0.0, 0.0001, 0.012, 0.5)] == ["0 %", "less than 0.1 %", "1.2 %", "50 %"]
