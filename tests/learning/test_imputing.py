"""One set of checks that every way to fill gaps must pass, and what each is held to by scikit-learn."""

import json
import warnings

import numpy as np
import polars as pl
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  (without it the next line fails)
from sklearn.impute import IterativeImputer, KNNImputer

from decisioning.learning.chaining import fit_chain
from decisioning.learning.hiding import worth
from decisioning.learning.imputing import numbers
from decisioning.learning.neighbours import NEAREST, Nearest
from decisioning.learning.policies import Policy, Treatment
from decisioning.learning.treating import apply, fit, plain_facts

from .crowd import people

GAPS = ("spend", "age", "member", "city")
WAYS = {
    "median": {fact: Policy(missing="median") for fact in GAPS},
    "mode": {fact: Policy(missing="mode") for fact in GAPS},
    "knn": {fact: Policy(missing="knn") for fact in GAPS},
    "mice": {fact: Policy(missing="mice") for fact in GAPS},
    "clip": {"spend": Policy("clip", "iqr", 1.0), "visits": Policy("clip", "z", 2.0)},
    "everything at once": {
        "spend": Policy("clip", "iqr", 1.0, "mice"),
        "age": Policy("flag", "z", 1.0, "median"),
        "member": Policy(missing="knn"),
        "city": Policy("clip", missing="knn"),
        "visits": Policy("clip", "z", 2.0),
    },
}


@pytest.fixture(params=WAYS)
def policies(request: pytest.FixtureRequest) -> dict[str, Policy]:
    return WAYS[request.param]


def filled(policies: dict[str, Policy]) -> list[str]:
    return [fact for fact, policy in policies.items() if policy.missing != "keep"]


def test_the_same_rows_and_seed_give_the_same_bytes(policies: dict[str, Policy]) -> None:
    one, other = (json.dumps(fit(people(), policies, seed=4).to_dict(), sort_keys=True) for _ in range(2))
    assert one == other


def test_the_input_stays_as_it_was(policies: dict[str, Policy]) -> None:
    crowd = people()
    fit(crowd, policies).apply(crowd)
    assert crowd.equals(people())


def test_nothing_is_missing_afterwards_and_what_was_known_stays(policies: dict[str, Policy]) -> None:
    crowd = people()
    done, report = apply(crowd, policies)
    for fact in filled(policies):
        assert done[fact].null_count() == 0
        if policies[fact].outliers != "clip":
            both = pl.DataFrame({"before": crowd[fact], "after": done[fact]}).drop_nulls("before")
            assert both["after"].cast(both["before"].dtype).equals(both["before"], null_equal=True)
    assert {effect.fact: effect.filled for effect in report if effect.filled} == {
        fact: crowd[fact].null_count() for fact in filled(policies)
    }


def test_one_customer_is_treated_as_among_everybody(policies: dict[str, Policy]) -> None:
    crowd = people()
    treatment = fit(crowd, policies)
    everybody = treatment.apply(crowd)[0].to_dicts()
    rows = crowd.to_dicts()
    assert [treatment.one(row) for row in rows] == everybody
    assert treatment.many(rows) == everybody
    lacking = [{name: value for name, value in row.items() if value is not None} for row in rows]
    assert [{**row, **treatment.one(some)} for row, some in zip(rows, lacking, strict=True)] == everybody


def test_stored_and_read_again_it_does_the_same(policies: dict[str, Policy]) -> None:
    treatment = fit(people(), policies)
    again = Treatment.from_dict(json.loads(json.dumps(treatment.to_dict())))
    assert again.apply(people())[0].equals(treatment.apply(people())[0])
    assert again.to_dict() == treatment.to_dict()


def test_columns_may_come_in_any_order_and_with_others_among_them(policies: dict[str, Policy]) -> None:
    crowd = people()
    mixed = crowd.select(*reversed(crowd.columns), pl.lit("x").alias("other"))
    treatment = fit(crowd, policies)
    assert fit(mixed.drop("other"), policies).to_dict() == treatment.to_dict()
    assert treatment.apply(mixed)[0].select(crowd.columns).equals(treatment.apply(crowd)[0])


def test_a_frame_without_the_columns_is_filled_too(policies: dict[str, Policy]) -> None:
    done, _ = fit(people(), policies).apply(pl.DataFrame({"customer_id": [1, 2]}))
    assert all(done[fact].null_count() == 0 for fact in filled(policies))


@pytest.mark.parametrize("how", ["median", "mode", "knn", "mice"])
def test_what_nobody_has_stays_missing_and_is_told(how: str) -> None:
    done, report = apply(people(), {"empty": Policy(missing=how), "never_heard_of": Policy(missing=how)})
    assert done["empty"].null_count() == done.height
    assert all("Nobody has a value" in effect.note and effect.filled == 0 for effect in report)


@pytest.mark.parametrize("how", ["median", "mode", "knn", "mice"])
def test_a_fact_that_is_the_same_for_everybody_is_filled_with_that(how: str) -> None:
    some = people().with_columns(pl.when(pl.col("age") > 40).then("dull").alias("dull"))
    assert apply(some, {"dull": Policy("clip", missing=how)})[0]["dull"].unique().to_list() == [7]


@pytest.mark.parametrize("how", ["median", "mode", "knn", "mice"])
def test_values_are_filled_within_what_was_seen(how: str) -> None:
    crowd = people()
    done, _ = apply(crowd, {"spend": Policy(missing=how)})
    assert done["spend"].min() == crowd["spend"].min()
    assert done["spend"].max() == crowd["spend"].max()


def test_a_text_is_filled_by_its_commonest_value_where_numbers_would_be_computed() -> None:
    for how in ("median", "mice"):
        done, [effect] = apply(people(), {"city": Policy(missing=how)})
        assert "commonest value" in effect.note
        assert done.filter(people()["city"].is_null())["city"].unique().to_list() == ["Bonn"]


def test_a_flag_is_counted_and_changes_nothing() -> None:
    crowd = people()
    treatment = fit(crowd, {"spend": Policy("flag", "iqr", 1.0)})
    done, [effect] = treatment.apply(crowd)
    assert done.equals(crowd)
    assert not treatment
    assert effect.outliers > 0 == effect.clipped
    row = crowd.row(0, named=True)
    assert treatment.one(row) is row


def test_damaged_treatments_are_refused() -> None:
    stored = fit(people(), WAYS["everything at once"]).to_dict()
    cut = json.loads(json.dumps(stored))
    cut["fillers"][1]["learned"] = {"reads": ["visits"]}
    for broken in ({}, {**stored, "fences": [1]}, {**stored, "fillers": [{"name": "unknown"}]}, cut):
        with pytest.raises(ValueError, match="train again"):
            Treatment.from_dict(broken)


def test_the_nearest_are_those_that_scikit_learn_finds() -> None:
    # No two customers alike: of equally near ones either may be taken.
    noise = np.random.default_rng(5).normal(0, 0.3, (300, 2))
    crowd = people(300).with_columns(pl.col("visits") + noise[:, 0], pl.col("orders") + noise[:, 1])
    filler = Nearest.fit(crowd, ["spend", "age"], ["visits", "orders"])
    raw = (numbers(crowd, filler.reads) - filler.moments[0]) / filler.moments[1]
    theirs = KNNImputer(n_neighbors=NEAREST).fit(filler.values).transform(raw) * filler.moments[1] + filler.moments[0]
    ours = filler.fill(crowd)
    for fact in ("spend", "age"):
        np.testing.assert_allclose(ours[fact], theirs[:, filler.reads.index(fact)], rtol=1e-6)


def test_the_chain_comes_to_what_scikit_learn_comes_to() -> None:
    crowd = people()
    filler = fit_chain(crowd, ["spend", "age"], plain_facts(crowd))
    raw = (numbers(crowd, filler.reads) - filler.moments[0]) / filler.moments[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = IterativeImputer(max_iter=10, random_state=0).fit_transform(raw)
    for fact in ("spend", "age"):
        place = filler.reads.index(fact)
        ours = (np.array(filler.fill(crowd)[fact]) - filler.moments[0, place]) / filler.moments[1, place]
        assert np.abs(ours - theirs[:, place]).max() < 0.01


def test_hidden_values_show_what_a_way_is_worth() -> None:
    for how in ("mice", "knn"):
        found = worth(people(), "spend", how)
        assert found is not None and found.better
        assert found.error < 0.3 * found.simplest
    city = worth(people(), "city", "knn")
    assert city is not None and city.better and not city.is_number
    assert worth(people(), "empty", "median") is None
