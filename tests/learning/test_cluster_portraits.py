"""What people see of clusters: profiles with effects, stories with rounded numbers, a safe and readable picture."""

import json
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

from decisioning.learning.clustering import Clustering, Options
from decisioning.learning.clusters import UNUSUAL, Cluster
from decisioning.learning.pictures import POINTS, project, svg
from decisioning.learning.profiles import Profile, cohens_d, profile_clusters
from decisioning.learning.stories import advice, different, draft, drafts, habit, readable

from .crowds import QUICK, people

LABELS = {
    "recency_days": "Days since last order",
    "spend_365d": "Spend in 365 days",
    "lines": "Lines an order",
    "share_dairy": "Share of Dairy",
}


def frame() -> pl.DataFrame:
    """The crowd with more about it: a number, a text and a list that differ by group, and columns that are no facts."""
    groups = people()
    dice = np.random.default_rng(3)
    loyal = (groups["group"] == "loyal").to_numpy()
    known = dice.random(groups.height) < 0.5
    department = np.where(loyal & (dice.random(groups.height) < 0.7), "Dairy", "Meat")
    return groups.with_columns(
        lines=pl.Series(np.where(loyal, 12.0, 5.0) + dice.normal(0, 1, groups.height)),
        twin=pl.col("spend_365d") * 2,
        hour_sin=pl.Series(np.where(loyal, 1.0, 0.0)),
        department=pl.when(pl.Series(known)).then(pl.Series(department)),
        likes=pl.Series([["milk", "milk", "tea"] if one else ["tea"] for one in loyal], dtype=pl.List(pl.String)),
        segments=pl.Series([["cluster-1"]] * groups.height),
    ).with_columns(pl.Series("segment:7", loyal))


@pytest.fixture(scope="module")
def fit() -> Clustering:
    return Clustering(Options(algorithms=QUICK, scalings=("log",), numbers=(4,)), LABELS).fit(frame())


@pytest.fixture(scope="module")
def profiles(fit: Clustering) -> list[Profile]:
    return profile_clusters(frame().drop("group"), fit.labels_, fit.number_, LABELS, fit.clusters_.facts)


@pytest.fixture(scope="module")
def loyal(fit: Clustering, profiles: list[Profile]) -> Profile:
    return profiles[[one.name for one in fit.clusters_.clusters].index("Recent frequent big spenders")]


def test_every_number_is_compared_with_everybody(loyal: Profile) -> None:
    rows = {row["fact"]: row for row in loyal["facts"]}
    assert set(rows) == {"recency_days", "orders_365d", "spend_365d", "lines", "twin", "hour_sin"}
    assert rows["lines"]["mean"] == pytest.approx(12, abs=0.3)
    assert rows["lines"]["median_all"] == pytest.approx(5.4, abs=0.5)
    assert rows["lines"]["effect"] > 3
    assert rows["lines"]["label"] == "Lines an order"
    assert rows["orders_365d"]["label"] == "Orders 365d"
    effects = [abs(row["effect"]) for row in loyal["facts"]]
    assert effects == sorted(effects, reverse=True)


def test_the_top_facts_do_not_repeat_one_another(loyal: Profile) -> None:
    assert not {"spend_365d", "twin"} <= set(loyal["top"])
    assert "hour_sin" not in loyal["top"]
    assert not set(loyal["beside"]) & {"recency_days", "orders_365d", "spend_365d", "twin"}


def test_typical_values_are_shares_of_those_who_have_the_fact(loyal: Profile) -> None:
    rows = {(row["fact"], row["value"]): row for row in loyal["values"]}
    dairy = rows["department", "Dairy"]
    assert dairy["share"] == pytest.approx(0.7, abs=0.12)
    assert dairy["lift"] == pytest.approx(4, rel=0.15)
    assert rows["likes", "milk"]["share"] == 1
    assert ("likes", "tea") not in rows
    assert not {fact for fact, _ in rows} & {"segments", "segment:7"}


def test_effects_are_in_pooled_standard_deviations() -> None:
    inside, outside = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    assert cohens_d(inside, outside) == -3
    assert cohens_d(inside[:1], outside) == cohens_d(np.ones(3), np.ones(4)) == 0


def test_profiles_are_json_without_nan(profiles: list[Profile]) -> None:
    assert json.loads(json.dumps(profiles, allow_nan=False)) == profiles


def test_the_story_says_who_how_different_and_what_to_try(fit: Clustering, loyal: Profile) -> None:
    cluster = next(one for one in fit.clusters_.clusters if one.name == "Recent frequent big spenders")
    story = draft(cluster, loyal, LABELS)
    assert story.startswith("25 % of the customers; typically they last ordered 2 days ago, ordered 8")
    assert "spent 4,000 in 365 days" in story or "spent 3,900 in 365 days" in story
    assert "likes “milk” (100 %; everybody 25 %)" in story
    assert story.endswith("Try thanks and early access rather than discounts: they buy anyway.")
    assert 2 <= story.count(". ") + 1 <= 4


def test_stories_of_those_without_a_fact_and_of_the_unusual(profiles: list[Profile]) -> None:
    never = {"facts": [{**profiles[0]["facts"][0], "fact": "recency_days", "median": None, "known": 0.0}]}
    empty = {"values": [], "top": [], "beside": []}
    cluster = Cluster("a-1", UNUSUAL, 0.004, {"recency_days": 0.0}, {"recency_days": 0.0})
    story = draft(cluster, {**never, **empty}, {})
    assert "Less than 1 % of the customers; typically they have no “" in story
    assert "one by one before writing to them" in story


def row(fact: str, median: float, median_all: float = 9.0, **more: float) -> dict[str, object]:
    """What a profile says of one fact in one cluster."""
    figures = {"any": 0.08, "any_all": 0.21, "effect": -0.5, "known": 1.0, "median": median, "median_all": median_all}
    return {"fact": fact, "label": LABELS.get(fact) or fact.replace("_", " ").capitalize(), **figures, **more}


@pytest.mark.parametrize(
    ("fact", "value", "said"),
    [
        ("orders_365d", 0.0, "ordered nothing in 365 days"),
        ("spend_365d", 0.0, ""),
        ("orders_90d", 1.0, "ordered 1 time in 90 days"),
        ("coupon_order_share", 0.171, "used a coupon for 17 % of their orders"),
        ("share_dairy", 0.58, "spent 58 % on Dairy"),
        ("view_share", 0.58, "have 58 % for “View share”"),
        ("discount_share", 0.0, "saved nothing by discounts"),
        ("searches_30d", 0.0, "have 0 for “Searches 30d”"),
    ],
)
def test_what_is_typical_is_said_in_words(fact: str, value: float, said: str) -> None:
    assert habit(row(fact, value), fact) == said


def test_where_most_have_none_it_tells_how_many_have_any() -> None:
    assert different({"visits": row("visits", 0.0, 0.0)}, ["visits"]) == ["visits (8 % have any; everybody 21 %)"]
    assert different({"visits": row("visits", 0.0, 0.0, any=0.21)}, ["visits"]) == []


def test_nobody_stands_out_by_what_most_of_them_lack() -> None:
    rows = {"a": row("a", 2.0, known=0.4), "known_for": row("known_for", 330.0, 360.0, label="Known for (days)")}
    assert different(rows, ["a", "known_for"]) == ["known for (330 days; everybody 360)"]


def test_those_who_look_for_offers_are_not_said_to_need_none() -> None:
    spend = {"spend_365d": 1.0, "orders_365d": 1.0}
    assert "rather than discounts" in advice("Anybody", spend)
    assert "they use offers" in advice("Anybody", {**spend, "coupon_order_share": 1.2})


def test_advice_goes_by_what_a_cluster_has_more_of_than_the_others(profiles: list[Profile]) -> None:
    strong, weak = {"orders_365d": 2.0, "spend_365d": 1.7}, {"orders_365d": 0.7, "spend_365d": 1.0}
    means = dict.fromkeys(strong, 1.0)
    regulars, some = (Cluster(f"a-{n}", "Any", 0.2, means, one) for n, one in enumerate((strong, weak)))
    told = drafts([regulars, some], profiles[:2], LABELS)
    assert told[0].endswith("Try thanks and early access rather than discounts: they buy anyway.")
    assert told[1].endswith("keep a control group to see what works.")


@pytest.mark.parametrize(
    ("value", "text"), [(3306.1, "3,300"), (0.1234, "0.12"), (0, "0"), (2.82, "2.8"), (-47.3, "-47"), (99.6, "100")]
)
def test_numbers_are_rounded_for_reading(value: float, text: str) -> None:
    assert readable(value) == text


def test_the_picture_is_a_sample_with_axes_and_centres(fit: Clustering) -> None:
    picture = project(fit.scaled_, fit.labels_, fit.clusters_, seed=1)
    json.dumps(picture, allow_nan=False)
    assert len(picture["points"]) == min(POINTS, 600)
    assert len(picture["centres"]) == 4
    first, second = picture["axes"]
    assert 1 >= first["explained"] >= second["explained"] >= 0
    assert set(first["loadings"]) == set(fit.clusters_.facts)
    assert picture == project(fit.scaled_, fit.labels_, fit.clusters_, seed=1)


def test_the_svg_is_well_formed_and_escapes_what_people_wrote(fit: Clustering) -> None:
    picture = project(fit.scaled_, fit.labels_, fit.clusters_, seed=1)
    names = ["<script>alert(1)</script>", 'A & "B"', "C", "D"]
    drawn = svg(picture, LABELS, names, alone=True)
    root = ElementTree.fromstring(drawn)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"]
    assert "<script" not in drawn
    texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any("<script>" in text for text in texts)
    assert any("Left to right" in text and "Days since last order" in text for text in texts)


def test_one_fact_gives_one_axis() -> None:
    found = Clustering(Options(("spend_365d",), QUICK, ("log",), (3,))).fit(people())
    picture = project(found.scaled_, found.labels_, found.clusters_, seed=1)
    assert len(picture["axes"]) == 1
    assert {y for _, y, _ in picture["points"]} == {0.0}
    ElementTree.fromstring(svg(picture, {}))
