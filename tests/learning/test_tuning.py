"""A search of settings keeps to its budget, never loses to the usual settings, and says how it went."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count

import numpy as np
import polars as pl
import pytest

from decisioning.learning.bench import Question
from decisioning.learning.contest import contest
from decisioning.learning.dials import SPACES, TUNABLE, settings_of, usual
from decisioning.learning.family import Scorer, made
from decisioning.learning.folding import Lost, expanding
from decisioning.learning.history import Extras
from decisioning.learning.scorer import Careful, Logistic, Order, Prior, Trees
from decisioning.learning.spending import MEMORY_UP, TIME_UP, Budget, Meter, resident
from decisioning.learning.training import Ingredients, train
from decisioning.learning.tuning import TOO_FEW, TRIALS_UP, Search, Tuning, optuna, quiet, tuned

from .cinema import FILMS, OPENING, slates
from .shop import CROSSES, DAYS, KINDS, OFFERS, START, showings

PARTS = Ingredients(KINDS, CROSSES, OFFERS)
END = START + timedelta(days=DAYS + 10)
SHOP = showings(1200)
# Who ordered much always takes it: that asks for faster trees than the usual, careful ones.
CLEAR = SHOP.with_columns(converted_at=pl.when(pl.col("orders_30d") > 6).then("shown_at"))


def question(kind: type[Scorer] = Logistic) -> Question:
    return Question(END, END, "conversion", kind)


def still(seconds: float = 0.0, now: float = 100.0, most: float = 100.0) -> dict[str, Callable]:
    """A clock that goes on by so much each time it is asked, and a gauge that stands still."""
    ticks = count()
    return {"clock": lambda: next(ticks) * seconds, "memory": lambda: (now, most)}


def search(kind: type[Scorer] = Logistic, *, frame: pl.DataFrame = SHOP, told: list | None = None, **spent) -> Tuning:
    meter = spent.pop("meter", None) or Meter(Budget(trials=spent.pop("trials", 3)), **still(**spent))
    heard: list[tuple[int, int, str]] = [] if told is None else told
    return tuned(frame, frame, PARTS, question(kind), meter, lambda *words: heard.append(words))[1]


def test_folds_teach_by_what_was_settled_and_measure_what_came_later_by_whole_slates() -> None:
    frame = slates(600)
    folds = expanding(frame, frame, Ingredients({}, {}, FILMS), replace(question(Order), objective="click"))
    assert len(folds) == 3
    for fold, later in zip(folds, [*folds[1:], None], strict=True):
        assert fold.taught.at.max() + 3_600_000_000 <= fold.asked.at.min()
        assert not set(fold.taught.groups) & set(fold.asked.groups)
        assert set(np.bincount(fold.asked.groups)) <= {0, 5}
        if later is not None:
            assert len(fold.taught) < len(later.taught)
            assert not set(fold.asked.groups) & set(later.asked.groups)


def test_what_was_settled_at_once_is_on_one_side_of_a_cut_alone() -> None:
    days = SHOP.with_columns(shown_at=pl.col("shown_at").dt.truncate("20d"))
    folds = expanding(days, days.with_columns(closes_at="shown_at", converted_at="shown_at"), PARTS, question())
    assert folds == []
    at_once = days.with_columns(
        closes_at="shown_at", converted_at=pl.when(pl.col("converted_at").is_not_null()).then("shown_at")
    )
    folds = expanding(at_once, at_once, PARTS, question())
    assert len(folds) == 3
    assert all(fold.taught.at.max() < fold.asked.at.min() for fold in folds)


def test_the_same_rows_seed_and_trials_give_the_same_scorer_bit_for_bit() -> None:
    found = [search(Trees, trials=4, frame=CLEAR) for _ in range(2)]
    assert (found[0].stopped, found[0].trials) == (TRIALS_UP, 4)
    assert found[0].settings
    assert replace(found[0], megabytes=0.0) == replace(found[1], megabytes=0.0)
    scorers = [train(CLEAR, PARTS, END, settings=one.settings).to_artefact() for one in found]
    assert scorers[0] == scorers[1]
    assert scorers[0] != train(CLEAR, PARTS, END).to_artefact()


@pytest.mark.parametrize("kind", TUNABLE)
def test_the_first_trial_is_what_a_scorer_does_by_itself(kind: str) -> None:
    study = optuna.create_study()
    study.enqueue_trial(usual(kind))
    proposed = settings_of(kind, study.ask())
    schema = expanding(SHOP, SHOP, PARTS, question())[0].schema
    asked, usually = (made(Scorer.family[kind], schema, **settings) for settings in (proposed, {}))
    if isinstance(asked, Careful):
        asked, usually = asked.inside(), usually.inside()
    assert {**vars(asked), "treatment": None, "kept": None} == {**vars(usually), "treatment": None, "kept": None}


def test_every_setting_is_one_that_the_scorer_has_and_takes() -> None:
    schema = expanding(SHOP, SHOP, PARTS, question())[0].schema
    for kind, dials in SPACES.items():
        for name, dial in dials.items():
            for value in dial.among or (dial.low, dial.high):
                assert getattr(made(Scorer.family[kind], schema, **{name: value}), name) == value


def test_settings_that_are_surely_better_are_taken_and_reach_the_scorer() -> None:
    found = search(Trees, trials=5, frame=CLEAR)
    assert found.settings == found.found != {}
    assert found.best < found.usual
    assert found.gain > 0
    assert "taken" in found.words
    kept = train(SHOP, PARTS, END, settings={"leaves": 3, "trees": 20, "random_cuts": True})
    assert "[num_leaves: 3]" in kept.text_
    assert "[extra_trees: 1]" in kept.text_


def test_what_is_judged_is_taught_with_the_same_settings() -> None:
    split = START + timedelta(days=70)
    asked = replace(question(Trees), split=split, settings={"leaves": 3, "trees": 12})
    scorer = contest(SHOP, SHOP, PARTS, asked).scorer
    assert isinstance(scorer, Trees)
    assert "[num_leaves: 3]" in scorer.text_
    assert scorer.trees_ <= 12


def test_a_winner_that_is_not_surely_better_where_no_trial_has_been_is_not_taken() -> None:
    noise = showings(1200)
    noise = noise.with_columns(converted_at=pl.when(pl.Series(np.arange(1200) % 4 == 0)).then("shown_at"))
    found = search(Trees, trials=6, frame=noise.with_columns(orders_30d=pl.col("orders_30d").shuffle(seed=3)))
    assert (found.found != {}, found.settings) == (True, {})
    assert found.best < found.usual
    assert "not taken" in found.words


def test_losses_of_one_customer_count_as_one() -> None:
    lucky = np.r_[np.full(50, 1.0), np.full(50, -0.6)]
    each, two = np.arange(100), np.repeat([0, 1], 50)
    assert Lost(lucky, each).surely_more(Lost(np.zeros(100), each))
    assert not Lost(lucky, two).surely_more(Lost(np.zeros(100), two))


def test_what_comes_after_what_is_learned_from_is_not_looked_at() -> None:
    log, parts, end = slates(400), Ingredients({}, {}, FILMS, extras=Extras()), OPENING + timedelta(days=30)
    later = pl.col("shown_at") > end
    poisoned = log.with_columns(
        clicked_at=pl.when(later | (pl.col("clicked_at") > end)).then(end).otherwise("clicked_at")
    )
    asked = replace(question(), objective="click", split=end)
    known = log.filter(pl.col("click_closes_at") <= end)
    runs = [tuned(one, known, parts, asked, Meter(Budget(trials=3), **still()))[1] for one in (log, poisoned)]
    assert runs[0] == runs[1]
    assert runs[0].usual is not None


def test_the_winner_meets_the_usual_settings_later_than_any_trial_was_measured() -> None:
    folds = expanding(SHOP, SHOP, PARTS, question())
    looked = Search(folds, question(), Meter(Budget(trials=2), **still()), quiet)
    looked.run()
    assert all(fold.asked.at.max() < looked.last.asked.at.min() for fold in looked.searched)
    assert len(looked.searched) == len(folds) - 1
    assert looked.study.trials[0].params == usual("logistic")


def test_no_trial_is_begun_that_would_not_end_in_time() -> None:
    # Each look at the clock takes a minute, one before a fit and two around it.
    found = search(meter=Meter(Budget(minutes=11, trials=1000), **still(seconds=60.0)))
    assert found.stopped == TIME_UP
    assert 0 < found.trials < 8
    assert found.seconds <= 11 * 60
    assert found.usual is not None


def test_a_search_that_has_time_for_nothing_keeps_the_usual_settings() -> None:
    found = search(meter=Meter(Budget(minutes=0.001, trials=1000), **still(seconds=60.0)))
    assert (found.stopped, found.trials, found.usual, found.settings) == (TIME_UP, 0, None, {})
    assert "the usual settings" in found.words


@pytest.mark.parametrize(("now", "most", "wanted"), [(100.0, 300.0, MEMORY_UP), (100.0, 100.0, TRIALS_UP)])
def test_it_stops_once_the_process_holds_more_than_it_may(now: float, most: float, wanted: str) -> None:
    found = search(meter=Meter(Budget(megabytes=200, trials=2), **still(now=now, most=most)))
    assert (found.stopped, found.trials) == (wanted, 0 if wanted == MEMORY_UP else 2)
    assert found.megabytes == most


def test_a_step_as_greedy_as_the_greediest_is_not_begun_where_it_would_go_beyond() -> None:
    held: Iterator[tuple[float, float]] = iter([(100.0, 100.0), (100.0, 180.0), (130.0, 180.0), (110.0, 180.0)])
    assert Meter(Budget(megabytes=200), **still(now=100.0, most=201.0)).spent() == MEMORY_UP
    meter = Meter(Budget(megabytes=200), clock=lambda: 0.0, memory=lambda: next(held))
    with meter.step():
        pass
    assert meter.widest == 80.0
    assert meter.spent() == MEMORY_UP  # 130 + 80
    assert meter.spent() == ""  # 110 + 80


def test_memory_is_that_of_this_process() -> None:
    before, most = resident()
    block = np.ones(8_000_000)
    now, after = resident()
    assert 0 < before <= most
    assert after >= most
    assert block.nbytes / 2**21 < now - before < 200


def test_it_says_how_far_it_is() -> None:
    heard: list[tuple[int, int, str]] = []
    search(trials=3, told=heard)
    assert [(done, of) for done, of, _ in heard] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert "best log loss so far" in heard[1][2]


def test_orders_are_measured_by_their_slates() -> None:
    frame, parts = slates(400), Ingredients({}, {}, FILMS)
    asked = replace(question(Order), objective="click")
    found = tuned(frame, frame, parts, asked, Meter(Budget(trials=2), **still()))[1]
    assert found.metric == "1 - nDCG@10"
    assert 0 < found.best <= found.usual < 1


@pytest.mark.parametrize(
    ("kind", "objective"), [("forest", "conversion"), ("careful", "conversion"), ("worth", "value")]
)
def test_each_kind_is_searched_by_what_it_says(kind: str, objective: str) -> None:
    frame = SHOP.with_columns(value=pl.col("spend_90d").abs() + 1)
    asked = replace(question(Scorer.family[kind]), objective=objective)
    found = tuned(frame, frame, PARTS, asked, Meter(Budget(trials=2), **still()))[1]
    assert (found.kind, found.trials) == (kind, 2)
    assert found.metric == ("squared error" if objective == "value" else "log loss")
    assert 0 < found.best <= found.usual


def test_what_cannot_be_tuned_is_said() -> None:
    few = tuned(SHOP, SHOP.head(150), PARTS, question(), Meter(Budget(), **still()))
    assert few[0] == {}
    assert few[1].stopped == TOO_FEW
    with pytest.raises(ValueError, match="nothing to tune in 'prior'; take one of trees"):
        search(Prior)
    with pytest.raises(ValueError, match="above 0"):
        Budget(trials=0)


def test_nobody_imports_optuna_who_does_not_search() -> None:
    program = (
        "import sys, decisioning.learning.tuning; print([n for n in ('optuna', 'sqlalchemy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
