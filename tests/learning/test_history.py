"""What was known at each moment: nothing of the future, equal to what a live decision sees, and worth something."""

import json
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from decisioning.learning.dataset import known_by, label, schema_for, split_by_time
from decisioning.learning.features import design_matrix, paired_matrix
from decisioning.learning.history import Extras
from decisioning.learning.schema import FeatureSchema
from decisioning.learning.training import Ingredients, backtest, train

from .cinema import FILMS, OPENING, slates

EVERYTHING = Extras(
    ("device", "country", "hour", "weekday"), ("click", "conversion"), likeness=True, associations=True, position=True
)
MIDDLE, END = OPENING + timedelta(days=20), OPENING + timedelta(days=60)


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return slates()


@pytest.fixture(scope="module")
def schema(frame) -> FeatureSchema:
    return schema_for(frame, FILMS, {}, {}, EVERYTHING)


def column(schema: FeatureSchema, rows: np.ndarray, name: str) -> np.ndarray:
    return rows[:, schema.names.index(name)]


def test_there_is_a_column_for_whatever_tells_showings_apart(schema):
    sources = ("context", "likeness", "association", "position")
    told = {source: [column.name for column in schema.of(source)] for source in sources}
    assert told == {
        "context": ["moment_device", "hour_sine", "hour_cosine", "weekday_sine", "weekday_cosine"],
        "likeness": ["likeness", "likeness_cast", "likeness_genre"],
        "association": ["association_people", "association_tastes", "association_together"],
        "position": ["position"],
    }
    rates = [f"{kind}_rate{of}" for kind in ("click", "conversion") for of in ("", "_of_cast", "_of_genre")]
    assert [column.name for column in schema.of("rate")] == [f"{n}{d}" for n in rates for d in ("", "_30d", "_7d")]


def test_not_one_bit_of_a_row_hangs_on_what_came_later(frame, schema):
    moment = frame["shown_at"][600]  # a slate is shown just then: of its own outcomes it must know nothing either
    dice = np.random.default_rng(3)
    later = pl.Series(dice.random(frame.height) < 0.5)
    moved = [
        pl.when(pl.col("shown_at") >= moment)
        .then(pl.when(later).then(pl.col("shown_at") + timedelta(minutes=3)))
        .when((pl.col(name) >= moment) & later)
        .then(pl.col(name) + timedelta(minutes=3))
        .otherwise(name)
        .alias(name)
        for name in ("clicked_at", "converted_at")
    ]
    poisoned = frame.with_columns(moved)
    assert (poisoned["clicked_at"].is_null() != frame["clicked_at"].is_null()).sum() > 100
    before = pl.col("shown_at") <= moment
    clean = label(schema, frame.filter(before), FILMS, log=frame, objective="click")
    other = label(schema, frame.filter(before), FILMS, log=poisoned, objective="click")
    alone = label(schema, frame.filter(before), FILMS, log=known_by(frame, moment), objective="click")
    assert clean.X.tobytes() == other.X.tobytes() == alone.X.tobytes()


def test_what_is_learned_by_a_moment_hangs_on_nothing_later(frame):
    changed = frame.with_columns(
        pl.when(pl.col(name) < MIDDLE).then(name).alias(name) for name in ("clicked_at", "converted_at")
    ).filter(pl.col("shown_at") < MIDDLE)
    parts = Ingredients({}, {}, FILMS, extras=EVERYTHING)
    one, other = (train(rows, parts, MIDDLE, objective="click").to_artefact() for rows in (frame, changed))
    assert one == other


def test_a_click_counts_from_when_it_happened_and_not_from_when_its_content_was_shown(frame, schema):
    click = OPENING + timedelta(minutes=10)
    moments = [OPENING + timedelta(minutes=minute) for minute in (0, 5, 10, 11)]
    rows = frame.head(4).with_columns(
        shown_at=pl.Series(moments, dtype=pl.Datetime("us", "UTC")),
        clicked_at=pl.Series([click, None, None, None], dtype=pl.Datetime("us", "UTC")),
        content_key=pl.lit("film-00"),
        customer_id=pl.Series([1, 2, 3, 1]),
        group=pl.Series([0, 1, 2, 3]),
    )
    found = label(schema, rows, FILMS, objective="click")
    first = schema.columns[schema.names.index("click_rate")]
    start, weight = [1 / (20 + n) for n in (0, 1, 2)] + [2 / 23], first.strengths[0]
    expected = [(s + weight * rate) / (t + weight) for s, t, rate in zip((0, 0, 0, 1), range(4), start, strict=True)]
    assert column(schema, found.X, "click_rate") == pytest.approx(expected, rel=1e-6)
    likeness = column(schema, found.X, "likeness_genre")
    assert np.isnan(likeness[:3]).all()
    assert likeness[3] == 1, "they clicked a film of this genre a minute ago"


def test_a_training_row_of_now_is_the_row_of_a_live_decision(frame, schema):
    now = OPENING + timedelta(days=41)
    people = frame["customer_id"].unique().sort().to_list()
    asked = [(person, film.key) for person in people for film in FILMS]
    context = {"device": "mobile", "hour": now.hour, "weekday": now.isoweekday()}
    rows = pl.DataFrame(asked, ["customer_id", "content_key"], orient="row").with_columns(
        shown_at=pl.lit(now).cast(pl.Datetime("us", "UTC")),
        closes_at=pl.lit(now).cast(pl.Datetime("us", "UTC")),
        converted_at=pl.lit(None, pl.Datetime("us", "UTC")),
        position=pl.lit(1),
        facts=pl.lit("{}"),
        context=pl.lit(json.dumps(context)),
    )
    known = known_by(frame, now)
    learned = schema_for(known, FILMS, {}, {}, EVERYTHING, known, now)
    trained = label(learned, rows, FILMS, log=known)
    stored = FeatureSchema.from_dict(json.loads(json.dumps(learned.to_dict())))
    clicks = {person: last_clicks(frame, person) for person in people}
    single = [design_matrix(stored, {**context, "clicked_contents": clicks[person]}, FILMS) for person in people]
    order = [people.index(person) * len(FILMS) + n for person in people for n in range(len(FILMS))]
    np.testing.assert_array_equal(trained.X, np.vstack(single)[order])
    everybody = [{**context, "clicked_contents": clicks[person]} for person in people]
    np.testing.assert_array_equal(design_matrix(stored, everybody, FILMS), trained.X)
    which = list(range(len(FILMS))) * len(people)
    who = [n // len(FILMS) for n in range(len(which))]
    np.testing.assert_array_equal(paired_matrix(stored, everybody, FILMS, which, who=who), trained.X)


def last_clicks(frame: pl.DataFrame, person: int) -> list[str]:
    """As the fact has it: the newest of each content, ten of them."""
    clicks = frame.filter((pl.col("customer_id") == person) & pl.col("clicked_at").is_not_null())
    last = clicks.group_by("content_key").agg(pl.max("clicked_at")).sort("clicked_at", descending=True)
    return last["content_key"].head(10).to_list()


def test_what_was_recorded_among_the_facts_is_what_counts(frame, schema):
    row = frame.tail(5)
    recorded = row.with_columns(facts=pl.lit('{"clicked_contents": ["film-01"]}'))
    found = label(schema, recorded, FILMS, log=frame)
    genres = np.array([FILMS[int(key[-2:])].attributes["genre"] == "crime" for key in found.contents])
    assert column(schema, found.X, "likeness_genre").tolist() == genres.astype(float).tolist()


def test_everything_is_scored_for_the_first_place_and_learned_where_it_stood(frame, schema):
    rows = label(schema, frame, FILMS)
    assert sorted(set(column(schema, rows.X, "position"))) == [1, 2, 3, 4, 5]
    assert rows.position.tolist() == column(schema, rows.X, "position").tolist()
    assert set(column(schema, design_matrix(schema, {}, FILMS), "position")) == {1}


def test_rows_of_a_slate_stay_together_and_close_together(frame):
    late = frame.with_columns(
        closes_at=pl.when(pl.col("position") == 2).then(END).otherwise("closes_at"),
        click_closes_at=pl.when(pl.col("position") == 2).then(END).otherwise("click_closes_at"),
    )
    rows = label(FeatureSchema([]), late.sample(fraction=1, shuffle=True, seed=1), FILMS)
    assert (np.diff(rows.groups) >= 0).all()
    for objective in ("click", "conversion"):
        assert split_by_time(late, MIDDLE, objective).train.is_empty(), "the second of each slate is open"
        assert not split_by_time(frame, MIDDLE, objective).train.is_empty()
    clicks, tickets = (split_by_time(frame, MIDDLE, objective).train.height for objective in ("click", "conversion"))
    assert clicks > tickets, "a click is settled within the hour"


def test_each_objective_has_its_own_label(frame):
    rows = {kind: label(FeatureSchema([]), frame, FILMS, objective=kind) for kind in ("click", "conversion", "value")}
    assert rows["click"].y.sum() > rows["conversion"].y.sum() > 0
    assert rows["value"].y.dtype == np.float32
    np.testing.assert_array_equal(rows["value"].y, rows["conversion"].y * np.float32(9.5))
    np.testing.assert_array_equal(rows["click"].value, rows["value"].y)
    with pytest.raises(ValueError, match="no objective 'likes'"):
        label(FeatureSchema([]), frame, FILMS, objective="likes")


def test_taste_and_rates_beat_what_the_films_alone_say():
    frame = slates(1200, seed=9)
    split = OPENING + timedelta(days=30)
    found = [
        backtest(frame, Ingredients({}, {}, FILMS, extras=extras), split, baseline="content_minutes", objective="click")
        for extras in (None, EVERYTHING)
    ]
    assert found[1].auc.low > found[0].auc.high


def test_a_content_that_was_never_shown_has_the_rates_of_its_like(schema):
    new = SimpleNamespace(key="film-99", attributes={"genre": "drama", "cast": [], "minutes": 99.0})
    rows = design_matrix(schema, {}, [new, FILMS[2]])
    assert column(schema, rows, "click_rate_of_genre")[0] == column(schema, rows, "click_rate_of_genre")[1]
    assert column(schema, rows, "click_rate")[0] != column(schema, rows, "click_rate")[1]
    assert np.isnan(column(schema, rows, "click_rate_of_cast")[0])
