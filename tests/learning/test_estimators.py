"""One set of checks that every scorer must pass; a new one joins the list."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from decisioning.learning.dataset import Labelled, label, schema_for
from decisioning.learning.features import design_matrix
from decisioning.learning.schema import FeatureSchema
from decisioning.learning.scorer import Prior, SchemaMismatch, Scorer, Trees

from .shop import CROSSES, KINDS, OFFERS, showings

SCORERS: dict[str, Callable[[FeatureSchema], Scorer]] = {
    "prior": Prior,
    "trees": Trees,
    "trees of another size": lambda schema: Trees(schema, trees=20, leaves=15, seed=3),
}


@dataclass
class Bench:
    """The shop's rows, ready to fit on."""

    frame: pl.DataFrame
    schema: FeatureSchema
    rows: Labelled

    def fit(self, make: Callable[[FeatureSchema], Scorer]) -> Scorer:
        return make(self.schema).fit(self.rows.X, self.rows.y, self.rows.contents, self.rows.at)


@pytest.fixture(scope="module")
def bench() -> Bench:
    frame = showings()
    schema = schema_for(frame, OFFERS, KINDS, CROSSES)
    return Bench(frame, schema, label(schema, frame, OFFERS))


@pytest.fixture(scope="module", params=SCORERS, ids=str)
def make(request: pytest.FixtureRequest) -> Callable[[FeatureSchema], Scorer]:
    return SCORERS[request.param]


def test_the_same_data_and_seed_give_the_same_bytes(bench: Bench, make: Callable[[FeatureSchema], Scorer]) -> None:
    assert bench.fit(make).to_artefact() == bench.fit(make).to_artefact()


def test_fit_returns_the_scorer_and_leaves_its_input_untouched(
    bench: Bench, make: Callable[[FeatureSchema], Scorer]
) -> None:
    X, y = bench.rows.X.copy(), bench.rows.y.copy()
    scorer = make(bench.schema)
    assert scorer.fit(bench.rows.X, bench.rows.y, bench.rows.contents, bench.rows.at) is scorer
    np.testing.assert_array_equal(bench.rows.X, X)
    np.testing.assert_array_equal(bench.rows.y, y)


def test_saved_and_loaded_it_scores_the_same_and_saves_the_same(
    bench: Bench, make: Callable[[FeatureSchema], Scorer]
) -> None:
    scorer = bench.fit(make)
    loaded = Scorer.from_artefact(scorer.to_artefact())
    expected = scorer.score(bench.rows.X, bench.schema.hash)
    np.testing.assert_array_equal(loaded.score(bench.rows.X, loaded.schema.hash), expected)
    assert loaded.to_artefact() == scorer.to_artefact()
    assert loaded.priors == scorer.priors


def test_scores_are_chances_even_for_rows_with_nothing_known(
    bench: Bench, make: Callable[[FeatureSchema], Scorer]
) -> None:
    scorer = bench.fit(make)
    empty = np.full((2, bench.rows.X.shape[1]), np.nan, np.float32)
    chances = scorer.score(np.vstack([bench.rows.X, empty]), bench.schema.hash)
    assert ((chances > 0) & (chances < 1)).all()
    assert scorer.score(bench.rows.X[:0], bench.schema.hash).shape == (0,)


def test_rows_of_another_schema_are_refused(bench: Bench, make: Callable[[FeatureSchema], Scorer]) -> None:
    scorer = bench.fit(make)
    facts = [column for column in bench.schema.columns if column.source == "fact"]
    rest = [column for column in bench.schema.columns if column.source != "fact"]
    other = FeatureSchema([*reversed(facts), *rest])
    reordered = design_matrix(other, bench.frame[:2], OFFERS)
    with pytest.raises(SchemaMismatch, match="its schema"):
        scorer.score(reordered, other.hash)
    with pytest.raises(SchemaMismatch):
        scorer.score(bench.rows.X[:, :-1], bench.schema.hash)


def test_facts_may_come_in_any_order_and_with_others_among_them(
    bench: Bench, make: Callable[[FeatureSchema], Scorer]
) -> None:
    scorer = bench.fit(make)
    row = bench.frame.row(0, named=True)
    mixed = {**dict(reversed(row.items())), "unheard_of": object()}
    assert scorer.score_contents(mixed, OFFERS) == scorer.score_contents(row, OFFERS)


def test_one_customer_scores_as_among_everybody(bench: Bench, make: Callable[[FeatureSchema], Scorer]) -> None:
    scorer = bench.fit(make)
    people = bench.frame[:40]
    everybody = scorer.score_everybody(people.select(reversed(people.columns)), OFFERS)
    assert everybody.shape == (40, len(OFFERS))
    for position, row in enumerate(people.iter_rows(named=True)):
        assert scorer.score_contents(row, OFFERS) == everybody[position].tolist()


def test_changed_attributes_change_the_scores_of_a_content(bench: Bench) -> None:
    scorer, facts = bench.fit(Trees), {"share_dairy": 0.95, "share_meat": 0.05, "orders_30d": 5.0}
    first = scorer.score_contents(facts, OFFERS[:1])
    offer = type(OFFERS[0])(OFFERS[0].key, {**OFFERS[0].attributes, "departments": {"Dairy": 1.0}})
    assert scorer.score_contents(facts, [offer])[0] > first[0]
    assert scorer.score_contents(facts, OFFERS[:1]) == first


@pytest.mark.parametrize("damage", ["cut", "altered", "other kind", "empty", "no JSON object", "not the schema"])
def test_damaged_artefacts_are_refused(bench: Bench, make: Callable[[FeatureSchema], Scorer], damage: str) -> None:
    data = bench.fit(make).to_artefact()
    body = json.loads(data)
    body["learned"]["text"] = body["learned"].get("text", "")[:-100] + "x"
    broken = {
        "cut": data[: len(data) // 2],
        "altered": json.dumps(body).encode(),
        "other kind": data.replace(b'"kind":"', b'"kind":"un', 1),
        "empty": b"",
        "no JSON object": b"[]",
        "not the schema": json.dumps({**json.loads(data), "schema": {"columns": [{"name": "a"}]}}).encode(),
    }
    with pytest.raises(ValueError, match="train again"):
        Scorer.from_artefact(broken[damage])


def test_trees_find_what_the_shop_is_made_of_and_the_prior_does_not(bench: Bench) -> None:
    trees = bench.fit(Trees)
    assert isinstance(trees, Trees)
    assert 10 <= trees.trees_ <= 60
    facts = {"orders_30d": 5.0, "spend_90d": 150.0, "share_dairy": 0.95, "share_meat": 0.05}
    meat, dairy = trees.score_contents(facts, [OFFERS[0], OFFERS[4]])
    assert dairy > 1.2 * meat
    assert len(set(bench.fit(Prior).score(bench.rows.X, bench.schema.hash))) == 1


def test_priors_are_rates_drawn_towards_the_common_one(bench: Bench) -> None:
    scorer = Prior(bench.schema).fit(bench.rows.X[:22], np.array([1] * 2 + [0] * 20), ["a"] * 2 + ["b"] * 20)
    assert scorer.rate_ == 3 / 24
    assert scorer.priors == {"a": (2 + 20 * 0.125) / 22, "b": (0 + 20 * 0.125) / 40}
    unseen = type(OFFERS[0])("unseen")
    assert scorer.score_contents({}, [unseen]) == [0.125]


def test_trees_need_both_outcomes(bench: Bench) -> None:
    with pytest.raises(ValueError, match="use Prior"):
        Trees(bench.schema).fit(bench.rows.X, np.zeros(len(bench.rows), np.int8))
