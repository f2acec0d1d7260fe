"""From the ledger to a scorer in use: what is learned, what is refused, who is scored again."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from campaigns.models import Placement
from decisioning.customers.models import Customer
from decisioning.flows import learn, promote, score, spawning
from decisioning.flows.cluster import cluster
from decisioning.flows.history import import_impressions
from decisioning.learning.clustering import Options
from decisioning.models import Artefact, Decision, Outcome, Score
from decisioning.store import connection, profiles, publishing
from rules.models import Membership, Segment

from .shops import open_shop, show

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
TERMS = learn.Terms(placement="mail")
QUICK = Options(algorithms=("k-means",), scalings=("log",))


@pytest.fixture
def shop(now: datetime) -> list[Customer]:
    """Customers whose orders range from 0 to 19, and grow with their generation."""

    def facts(n: int) -> dict[str, object]:
        generation = "old" if n % 20 > 9 else "young"
        return {
            "orders_365d": n % 20,
            "spend_365d": 7.0 * (n % 20),
            "recency_days": n % 9,
            "generation": generation,
        }

    return open_shop(now, facts)


def checks(scorer: Artefact) -> dict[str, bool]:
    """{check of the gate: whether it held}"""
    return {check["name"]: check["passed"] for check in scorer.metrics["gate"]["checks"]}


def test_a_scorer_that_has_learned_something_is_put_to_work(shop, now):
    show(shop, now)
    scorer = learn.train_scorer(now, TERMS)
    assert scorer.active
    assert scorer.metrics["auc_low"] > 0.6
    assert scorer.metrics["rows"] == 1600
    assert scorer.metrics["backtest"]["tested_rows"] > 0
    assert scorer.metrics["gate"]["promoted"]
    assert {"AUC against the best constant choice", "calibration", "latency"} <= checks(scorer).keys()
    assert (scorer.since, scorer.parent, scorer.former) == (learn.showings(now)["shown_at"].min(), None, None)
    assert len(scorer.golden["scores"]) == learn.GOLDEN_ROWS + 1
    card = scorer.metrics["card"]
    assert card["rows"] == scorer.metrics["backtest"]["tested_rows"]
    assert card["importance"][0]["name"] in {"orders_365d", "spend_365d"}


def test_a_scorer_taught_by_twenty_outcomes_is_refused_for_lack_of_data(shop, now):
    show(shop, now)
    found = list(Outcome.objects.filter(kind="conversion").order_by("at", "message_id").values_list("pk", flat=True))
    kept = found[:: len(found) // 20][:20]
    Outcome.objects.filter(kind="conversion").exclude(pk__in=kept).delete()
    scorer = learn.train_scorer(now, TERMS)
    assert (scorer.active, scorer.metrics["conversions"]) == (False, 20)
    assert "not enough data" in scorer.metrics["refused"]


def test_a_scorer_no_better_than_chance_is_kept_but_not_used(shop, now):
    show(shop, now, follows_orders=False)
    scorer = learn.train_scorer(now, TERMS)
    assert not scorer.active
    assert scorer.metrics["refused"].startswith("keep the best constant choice: ")
    assert not checks(scorer)["AUC against the best constant choice"]


def test_a_challenger_that_is_no_better_than_the_champion_is_refused_until_a_person_says_why(shop, now):
    show(shop, now)
    champion = learn.train_scorer(now - timedelta(days=12), TERMS)
    challenger = learn.train_scorer(now, TERMS)
    assert (champion.active, challenger.active, challenger.parent_id) == (True, False, champion.pk)
    assert challenger.metrics["refused"].startswith("keep the champion: ")
    assert not checks(challenger)["AUC against the champion"]
    for number, note, said in ((challenger.pk, " ", "Say why"), (0, "because", "no scorer 0")):
        with pytest.raises(ValueError, match=said):
            promote.promote(number, note)
    assert promote.promote(challenger.pk, "the shop has a new range").active
    assert Artefact.objects.get(active=True).note == "the shop has a new range"
    assert promote.rollback().pk == champion.pk
    assert Artefact.objects.get(kind="scorer", active=True).pk == champion.pk
    with pytest.raises(ValueError, match="no former scorer"):
        promote.rollback()


def test_a_scorer_that_knows_contents_by_name_is_told_them_when_it_is_judged(shop, now):
    show(shop, now)
    kept = learn.train_scorer(now, learn.Terms(placement="mail", scorer="uplift-t"))
    assert kept.metrics["scorer"] == "uplift-t (uplift)"
    assert not kept.active
    assert "nothing tells whether it is better" in kept.metrics["refused"]


def test_money_is_learned_as_money_where_nobody_says_otherwise(shop, now):
    show(shop, now)
    Outcome.objects.filter(kind="conversion").update(value=12.5)
    Placement.objects.update(objective="value")
    scorer = learn.train_scorer(now, TERMS)
    assert scorer.metrics["scorer"] == "worth (value)" and scorer.metrics["objective"] == "value"
    assert "squared error against the best constant choice" in checks(scorer)


def test_a_sensitive_fact_that_nobody_has_stops_the_promotion(shop, now, settings):
    settings.SENSITIVE_FACTS = ["generatoin"]
    show(shop, now)
    scorer = learn.train_scorer(now, TERMS)
    assert not scorer.active
    assert "has the fact generatoin; see how it is written in SENSITIVE_FACTS" in scorer.metrics["refused"]


def test_a_young_log_with_long_windows_can_be_learned_from(shop, now):
    Placement.objects.update(window_hours=24 * 14)
    show(shop, now)
    metrics = learn.train_scorer(now, TERMS).metrics["backtest"]
    assert metrics["trained_rows"] > 100 and metrics["tested_rows"] > 100


def test_groups_of_a_sensitive_fact_must_fare_alike(shop, now, settings):
    settings.SENSITIVE_FACTS = ["generation"]
    show(shop, now)
    scorer = learn.train_scorer(now, TERMS)
    assert not scorer.active
    assert "disparate impact by generation is 0.0000" in scorer.metrics["refused"]


def test_what_cannot_be_learned_is_named(shop, now):
    show(shop, now)
    with pytest.raises(ValueError, match=r"no scorer 'magic'; take one of .*prior"):
        learn.train_scorer(now, learn.Terms(scorer="magic"))
    with pytest.raises(ValueError, match="trees learns the task 'chance', not 'order'"):
        learn.train_scorer(now, learn.Terms(scorer="trees", task="order"))
    with pytest.raises(ValueError, match="cannot be held against money: say --task value"):
        learn.train_scorer(now, learn.Terms(scorer="trees", objective="value"))
    with pytest.raises(ValueError, match="the ledger has mail"):
        learn.train_scorer(now, learn.Terms(placement="shelf"))
    with pytest.raises(ValueError, match="Nothing was shown from"):
        learn.train_scorer(now, learn.Terms(split=now))


def test_an_empty_ledger_is_a_clear_error(now):
    with pytest.raises(ValueError, match="send impressions and conversions first"):
        learn.train_scorer(now, TERMS)


def test_what_was_never_seen_teaches_nothing(shop, now):
    show(shop, now)
    Outcome.objects.filter(content="b").delete()
    assert set(learn.showings(now)["content_key"]) == {"a"}


def test_a_showing_whose_window_is_open_is_not_counted_yet(shop, now):
    show(shop, now)
    assert learn.train_scorer(now - timedelta(days=20), TERMS).metrics["rows"] < 1600


def test_nothing_that_happened_after_the_moment_is_seen(shop, now):
    show(shop, now)
    early = now - timedelta(days=20)
    assert learn.showings(early)["shown_at"].max() <= early


def test_everybody_is_scored_once_and_again_only_when_facts_are_newer(shop, now):
    show(shop, now)
    learn.train_scorer(now, TERMS)
    assert [score.score_pending(250) for _ in range(3)] == [250, 150, 0]
    few, many = (Score.objects.get(customer__key=key).by_content["a"] for key in ("c-1", "c-19"))
    assert many > few + 0.3
    publishing.publish([Customer.objects.get(key="c-19").pk])
    profile = profiles.Profiles(connection.patient()).find("customer_id", "c-19", "x").profile
    assert (profile.scores["a"], profile.scorer) == (many, Artefact.objects.get(active=True, kind="scorer").pk)
    Customer.objects.filter(key="c-1").update(facts_at=now + timedelta(minutes=1))
    assert score.score_pending() == 1


def test_a_new_scorer_makes_everybody_be_scored_again(shop, now):
    show(shop, now)
    learn.train_scorer(now, TERMS)
    while score.score_pending():
        pass
    newer = learn.train_scorer(now + timedelta(seconds=1), TERMS)
    assert "not enough data: 0 outcomes since the champion was trained" in newer.metrics["refused"]
    promote.promote(newer.pk, "the same rows, a second later")
    while score.score_pending():
        pass
    assert set(Score.objects.values_list("artefact_id", flat=True)) == {newer.pk}
    assert Artefact.objects.filter(kind="scorer", active=True).get() == newer


def test_without_a_scorer_nobody_is_scored(shop, now):
    assert score.score_pending() == 0


def test_clusters_become_segments_with_everybody_in_one(shop, now):
    found = cluster(now, QUICK)
    assert found.active
    names = Segment.objects.filter(kind="cluster", active=True)
    assert names.count() == found.metrics["number"]
    assert Membership.objects.filter(left_at__isnull=True, segment__in=names).count() == 400
    assert sum(names.values_list("size", flat=True)) == 400


def test_clustering_again_keeps_one_cluster_a_customer(shop, now):
    cluster(now, QUICK)
    Customer.objects.filter(key__in=["c-1", "c-2"]).update(
        facts={"orders_365d": 500, "spend_365d": 9e4, "recency_days": 0}
    )
    cluster(now + timedelta(hours=1), QUICK)
    stays = Membership.objects.filter(left_at__isnull=True, segment__kind="cluster")
    assert stays.count() == stays.values("customer").distinct().count() == 400


def test_imported_impressions_carry_the_facts_of_their_day_and_add_nothing_twice(shop, now):
    shown = now - timedelta(days=10)
    frame = pl.DataFrame(
        {
            "customer_key": ["c-1", "c-2", "nobody"],
            "content_key": ["a", "b", "a"],
            "shown_at": [shown] * 3,
            "closes_at": [shown + timedelta(days=5)] * 3,
            "converted_at": [shown + timedelta(days=1), None, None],
        }
    )
    for _ in range(2):
        assert import_impressions(frame, "mail", lambda more: None) == 2
    assert (Decision.objects.count(), Outcome.objects.count()) == (2, 3)
    assert Decision.objects.get(customer_key="c-1").facts["orders_365d"] == 0, "the log is empty before that day"


def test_a_process_of_its_own_that_fails_tells_its_last_words_and_lives_meanwhile(monkeypatch):
    monkeypatch.setattr(spawning, "TELL_SECONDS", 0.05)
    signs: list[str] = []
    with pytest.raises(RuntimeError, match="invalid choice: 'guess'"):
        spawning.in_own_process("guess", {}, lambda: signs.append("alive"))
    assert signs, "whoever waits is told that it lives"
