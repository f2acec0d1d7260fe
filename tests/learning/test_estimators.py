"""One set of checks that every scorer must pass; a new one joins the list."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from decisioning.console.card import HEIGHT, MARGIN, drawn
from decisioning.learning.card import card
from decisioning.learning.dataset import Labelled, label, schema_for
from decisioning.learning.family import CHANCE, UPLIFT, VALUE
from decisioning.learning.features import design_matrix
from decisioning.learning.schema import FeatureSchema
from decisioning.learning.scorer import (
    Careful,
    Forest,
    Logistic,
    Order,
    Prior,
    Rates,
    SchemaMismatch,
    Scorer,
    TLearner,
    Trees,
    TwoStage,
    Worth,
    XLearner,
)

from .shop import CROSSES, KINDS, OFFERS, showings

Make = Callable[[FeatureSchema], Scorer]
SCORERS: dict[str, Make] = {
    "prior": Prior,
    "rates": Rates,
    "trees": Trees,
    "trees of another size": lambda schema: Trees(schema, trees=20, leaves=15, seed=3),
    "forest": lambda schema: Forest(schema, trees=20),
    "logistic": Logistic,
    "careful": Careful,
    "careful with a line": lambda schema: Careful(schema, inner="logistic"),
    "order": Order,
    "worth": lambda schema: Worth(schema, trees=20),
    "two stages": TwoStage,
    "uplift by differences": lambda schema: XLearner(schema, trees=20, smallest_leaf=20),
    "uplift by two": lambda schema: TLearner(schema, trees=20, smallest_leaf=20),
}
SLATE = 6  # rows that were shown together


@dataclass
class Bench:
    """The shop's rows, ready to fit on; a scorer that was fitted to all of them is kept."""

    frame: pl.DataFrame
    schema: FeatureSchema
    rows: Labelled
    fitted: dict[Make, Scorer] = field(default_factory=dict)

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        return np.arange(len(self.rows)) // SLATE

    def fit(self, make: Make, which: Any = slice(None), X: Any = None, **more: Any) -> Scorer:
        """A new one, with slates, and with values where the scorer is about them."""
        scorer, rows = make(self.schema), self.rows
        more = {"groups": self.groups[which], **more}
        keys = np.array(rows.contents)[which].tolist()
        return scorer.fit(
            rows.X[which] if X is None else X, outcomes(scorer, rows)[which], keys, rows.at[which], **more
        )

    def scorer(self, make: Make) -> Scorer:
        """The one that is kept."""
        if make not in self.fitted:
            self.fitted[make] = self.fit(make)
        return self.fitted[make]

    def said(self, scorer: Scorer, X: Any = None) -> npt.NDArray[np.float64]:
        """Its scores of all rows, or of others for the contents in their order."""
        keys = self.rows.contents if X is None else [offer.key for offer in OFFERS]
        return scorer.score(self.rows.X if X is None else X, self.schema.hash, keys)


def outcomes(scorer: Scorer, rows: Labelled) -> Any:
    """What came of the rows, as money where that is what is learned."""
    return rows.y * 12.5 if scorer.task == VALUE else rows.y


@pytest.fixture(scope="module")
def bench() -> Bench:
    frame = showings()
    schema = schema_for(frame, OFFERS, KINDS, CROSSES)
    return Bench(frame, schema, label(schema, frame, OFFERS))


@pytest.fixture(scope="module", params=SCORERS, ids=str)
def make(request: pytest.FixtureRequest) -> Make:
    return SCORERS[request.param]


def test_each_has_a_card_that_can_be_drawn(bench: Bench, make: Make) -> None:
    scorer, rows = bench.scorer(make), bench.rows
    told = json.loads(json.dumps(card(scorer, replace(rows, y=outcomes(scorer, rows), groups=bench.groups))))
    picture = drawn(told, {})
    assert told["task"] == scorer.task
    assert sum(told["scores"]["counts"]) == len(rows)
    assert len(picture["calibration"]["dots"]) == 10 if scorer.task != UPLIFT else picture["calibration"] is None
    assert any(row["low"] > 0 for row in told["importance"]) == (scorer.kind != "prior")
    for curve in picture["curves"]:
        heights = [dot[part] for dot in curve["dots"] for part in ("low", "y", "high")]
        assert all(0 <= height <= HEIGHT - MARGIN + 0.1 for height in heights)
        assert all(dot["high"] <= dot["low"] for dot in curve["dots"]), "up is less in a picture"
        assert max(heights) - min(heights) > 0.01 * HEIGHT or curve["top"] == curve["bottom"]


def test_the_same_data_and_seed_give_the_same_bytes(bench: Bench, make: Make) -> None:
    assert bench.fit(make).to_artefact() == bench.scorer(make).to_artefact()


def test_the_number_of_threads_changes_nothing(bench: Bench) -> None:
    one, two = (bench.fit(lambda schema, n=n: Trees(schema, trees=5, threads=n)).to_artefact() for n in (1, 2))
    assert one == two


def test_fit_returns_the_scorer_and_leaves_its_input_untouched(bench: Bench, make: Make) -> None:
    rows, scorer = bench.rows, make(bench.schema)
    given = [rows.X.copy(), outcomes(scorer, rows).copy(), rows.at.copy(), bench.groups, np.ones(len(rows))]
    X, y, at, groups, weights = (array.copy() for array in given)
    assert scorer.fit(X, y, rows.contents, at, groups=groups, weights=weights) is scorer
    for before, after in zip(given, (X, y, at, groups, weights), strict=True):
        np.testing.assert_array_equal(after, before)


def test_saved_and_loaded_it_scores_the_same_and_saves_the_same(bench: Bench, make: Make) -> None:
    scorer = bench.scorer(make)
    loaded = Scorer.from_artefact(scorer.to_artefact())
    np.testing.assert_array_equal(bench.said(loaded), bench.said(scorer))
    assert loaded.to_artefact() == scorer.to_artefact()
    assert loaded.priors == scorer.priors
    assert (type(loaded), loaded.task) == (type(scorer), scorer.task)


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_an_artefact_is_strict_json(bench: Bench, make: Make) -> None:
    body = json.loads(bench.scorer(make).to_artefact(), parse_constant=refuse)
    assert body["kind"] == bench.scorer(make).kind


def test_scores_are_what_the_task_says_even_for_rows_with_nothing_known(bench: Bench, make: Make) -> None:
    scorer = bench.scorer(make)
    empty = np.full((len(OFFERS), bench.rows.X.shape[1]), np.nan, np.float32)
    for scores in (bench.said(scorer), bench.said(scorer, empty)):
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()
        assert scorer.task == UPLIFT or (scores > 0).all()
        assert scorer.task != CHANCE or (scores < 1).all()
    assert bench.said(scorer, bench.rows.X[:0]).shape == (0,)


def test_rows_of_another_schema_are_refused(bench: Bench, make: Make) -> None:
    scorer = bench.scorer(make)
    facts = [column for column in bench.schema.columns if column.source == "fact"]
    rest = [column for column in bench.schema.columns if column.source != "fact"]
    other = FeatureSchema([*reversed(facts), *rest])
    reordered = design_matrix(other, bench.frame[:2], OFFERS)
    with pytest.raises(SchemaMismatch, match="its schema"):
        scorer.score(reordered, other.hash)
    with pytest.raises(SchemaMismatch):
        scorer.score(bench.rows.X[:, :-1], bench.schema.hash)


def test_facts_may_come_in_any_order_and_with_others_among_them(bench: Bench, make: Make) -> None:
    scorer = bench.scorer(make)
    row = bench.frame.row(0, named=True)
    mixed = {**dict(reversed(row.items())), "unheard_of": object()}
    assert scorer.score_contents(mixed, OFFERS) == scorer.score_contents(row, OFFERS)


def test_one_customer_scores_as_among_everybody_and_as_their_rows(bench: Bench, make: Make) -> None:
    scorer = bench.scorer(make)
    people = bench.frame[:40]
    everybody = scorer.score_everybody(people.select(reversed(people.columns)), OFFERS)
    assert everybody.shape == (40, len(OFFERS))
    rows = design_matrix(bench.schema, people, OFFERS)
    np.testing.assert_array_equal(bench.said(scorer, rows), everybody.ravel())
    for position, row in enumerate(people.iter_rows(named=True)):
        assert scorer.score_contents(row, OFFERS) == everybody[position].tolist()


def test_what_it_never_saw_is_scored_too(bench: Bench, make: Make) -> None:
    scorer = bench.scorer(make)
    new = type(OFFERS[0])("never shown", {"price": 1e9, "kind": "unheard of", "departments": {"Unheard of": 1.0}})
    told = scorer.score_contents({"age": "unheard of", "orders_30d": float("inf"), "spend_90d": "text"}, [new])
    assert np.isfinite(told).all()


@pytest.mark.parametrize("damage", ["cut", "altered", "other kind", "empty", "no JSON object", "not the schema"])
def test_damaged_artefacts_are_refused(bench: Bench, make: Make, damage: str) -> None:
    data = bench.scorer(make).to_artefact()
    body = json.loads(data)
    body["learned"]["more"] = 1
    broken = {
        "cut": data[: len(data) // 2],
        "altered": json.dumps(body).encode(),
        "other kind": data.replace(b'"kind":"', b'"kind":"un'),
        "empty": b"",
        "no JSON object": b"[]",
        "not the schema": json.dumps({**json.loads(data), "schema": {"columns": [{"name": "a"}]}}).encode(),
    }
    with pytest.raises(ValueError, match="train again"):
        Scorer.from_artefact(broken[damage])


def test_weights_say_how_rows_differ_and_nothing_of_their_scale(bench: Bench, make: Make) -> None:
    weights = np.random.default_rng(2).uniform(0.5, 2.0, len(bench.rows))
    said, again = (bench.said(bench.fit(make, weights=factor * weights)) for factor in (1.0, 2.0))
    # A prior counts showings: twice as many are a little surer.
    np.testing.assert_allclose(said, again, rtol=0.02 if make is Prior else 1e-6, atol=1e-9)
    assert np.abs(said - bench.said(bench.scorer(make))).max() > 1e-6


def test_a_row_without_weight_is_not_there(bench: Bench, make: Make) -> None:
    there = np.arange(len(bench.rows)) // SLATE % 5 != 0
    weighed = bench.fit(make, weights=there * 1.0)
    less = bench.fit(make, there, weights=np.ones(there.sum()))
    np.testing.assert_array_equal(bench.said(weighed), bench.said(less))


def test_endless_numbers_and_constant_columns_harm_nobody(bench: Bench, make: Make) -> None:
    X = bench.rows.X.copy()
    X[:, 0], X[:, 1] = 1.0, np.nan
    X[::7, 2], X[1::7, 2] = np.inf, -np.inf
    scorer = bench.fit(make, X=X)
    odd = np.array([[value] * X.shape[1] for value in (1e30, -1e30, 0.0, np.inf, -np.inf, np.nan)], np.float32)
    assert np.isfinite(bench.said(scorer, odd)).all()


def test_without_both_outcomes_only_a_prior_can_be_had(bench: Bench, make: Make) -> None:
    rows, scorer = bench.rows, make(bench.schema)
    for y in (np.zeros(len(rows), np.int8), np.ones(len(rows), np.int8)):
        if isinstance(scorer, Prior):
            assert 0 < scorer.fit(rows.X, y, rows.contents).rate_ < 1
        else:
            with pytest.raises(ValueError, match=r"use Prior|shown too rarely"):
                scorer.fit(rows.X, y, rows.contents, rows.at, groups=bench.groups)


def test_no_rows_are_refused_with_what_to_do(bench: Bench, make: Make) -> None:
    scorer, none = make(bench.schema), np.empty(0)
    if not isinstance(scorer, Prior):
        with pytest.raises(ValueError, match=r"use Prior|shown too rarely"):
            scorer.fit(bench.rows.X[:0], none.astype(np.int8), (), none, groups=none.astype(np.int64))


def test_rows_in_another_order_teach_the_same_within_a_moment(bench: Bench, make: Make) -> None:
    """Slates in another order, each with its time: what is early stays early. Trees sample rows by their place."""
    scorer = bench.scorer(make)
    slates = np.random.default_rng(4).permutation(len(bench.rows) // SLATE)
    order = (slates[:, None] * SLATE + np.arange(SLATE)).ravel()
    other = bench.said(bench.fit(make, order))
    close = 1e-6 if make in (Prior, Logistic) else 0.15
    assert np.abs(other - bench.said(scorer)).mean() <= close * outcomes(scorer, bench.rows).mean()


def test_changed_attributes_change_the_scores_of_a_content(bench: Bench) -> None:
    scorer, facts = bench.scorer(Trees), {"share_dairy": 0.95, "share_meat": 0.05, "orders_30d": 5.0}
    first = scorer.score_contents(facts, OFFERS[:1])
    offer = type(OFFERS[0])(OFFERS[0].key, {**OFFERS[0].attributes, "departments": {"Dairy": 1.0}})
    assert scorer.score_contents(facts, [offer])[0] > first[0]
    assert scorer.score_contents(facts, OFFERS[:1]) == first


def test_trees_find_what_the_shop_is_made_of_and_the_prior_does_not(bench: Bench) -> None:
    trees = bench.scorer(Trees)
    assert isinstance(trees, Trees)
    assert 10 <= trees.trees_ <= 60
    facts = {"orders_30d": 5.0, "spend_90d": 150.0, "share_dairy": 0.95, "share_meat": 0.05}
    meat, dairy = trees.score_contents(facts, [OFFERS[0], OFFERS[4]])
    assert dairy > 1.2 * meat
    assert len(set(bench.scorer(Prior).score(bench.rows.X, bench.schema.hash))) == 1


def test_priors_are_rates_drawn_towards_the_common_one(bench: Bench) -> None:
    scorer = Prior(bench.schema).fit(bench.rows.X[:22], np.array([1] * 2 + [0] * 20), ["a"] * 2 + ["b"] * 20)
    assert scorer.rate_ == 3 / 24
    assert scorer.priors == {"a": (2 + 20 * 0.125) / 22, "b": (0 + 20 * 0.125) / 40}
    unseen = type(OFFERS[0])("unseen")
    assert scorer.score_contents({}, [unseen]) == [0.125]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_feature_that_may_only_rise_or_fall_does_for_everybody(bench: Bench, sign: int) -> None:
    scorer = bench.fit(lambda schema: Trees(schema, monotone={"spend_90d": sign}))
    place = bench.schema.names.index("spend_90d")
    X = np.repeat(bench.rows.X[:50], 30, axis=0)
    X[:, place] = np.tile(np.linspace(0, 700, 30), 50)
    steps = np.diff(scorer.score(X, bench.schema.hash).reshape(50, 30), axis=1)
    assert (sign * steps >= -1e-12).all()


def test_a_rule_about_a_feature_that_is_none_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="No such features: spent"):
        Trees(bench.schema, monotone={"spent": 1})


def test_an_order_needs_slates_whose_rows_stand_together(bench: Bench) -> None:
    rows = bench.rows
    with pytest.raises(ValueError, match="say which slate"):
        Order(bench.schema).fit(rows.X, rows.y)
    with pytest.raises(ValueError, match="must stand together"):
        Order(bench.schema).fit(rows.X, rows.y, groups=np.arange(len(rows)) % 100)


def test_an_order_puts_what_was_taken_first_within_its_slate(bench: Bench) -> None:
    scores = bench.scorer(Order).score(bench.rows.X, bench.schema.hash).reshape(-1, SLATE)
    taken = bench.rows.y.reshape(-1, SLATE) == 1
    above = scores[:, :, None] > scores[:, None, :]
    pairs = taken[:, :, None] & ~taken[:, None, :]
    assert above[pairs].mean() > 0.65


def test_a_value_below_zero_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="below zero"):
        Worth(bench.schema).fit(bench.rows.X, bench.rows.y - np.float32(2))


def test_values_are_about_as_large_as_they_were(bench: Bench) -> None:
    worth = bench.fit(Worth).score(bench.rows.X, bench.schema.hash)
    assert worth.mean() == pytest.approx(12.5 * bench.rows.y.mean(), rel=0.1)


def test_a_line_is_scored_without_what_fitted_it(bench: Bench) -> None:
    words = (
        "import sys; from decisioning.learning.scorer import Scorer; import numpy as np; "
        "s = Scorer.from_artefact(sys.stdin.buffer.read()); "
        "s.score(np.zeros((1, len(s.schema.columns)), np.float32), s.schema.hash); "
        "assert not {'sklearn', 'lightgbm', 'scipy'} & set(sys.modules)"
    )
    data = bench.scorer(Logistic).to_artefact()
    done = subprocess.run([sys.executable, "-c", words], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
