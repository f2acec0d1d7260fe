"""Training with a search of settings before it, and training by too few clicks, as a person asks for them."""

import re
from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from decisioning.learning.scorer import Prior, Scorer
from decisioning.models import Artefact, Decision, Outcome
from decisioning.store import artefacts

from .shops import open_shop, show

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]


@pytest.fixture
def shop(now: datetime) -> None:
    """Customers who each saw two contents, at random, and took both where they had ordered much, else none."""
    show(open_shop(now, lambda n: {"orders_365d": n % 20, "recency_days": n % 9}), now)
    Outcome.objects.filter(kind="conversion").delete()
    taken = [row for row in Decision.objects.all() if row.facts["orders_365d"] > 12]
    Outcome.objects.bulk_create(
        Outcome(decision_id=row.id, content=key, kind=kind, at=row.at, message_id=f"{kind}-{row.id}{key}")
        for row in taken
        for kind in ("click", "conversion")
        for key in "ab"
    )
    items = [{"key": key, "rank": rank, "score": None, "propensity": 0.5} for rank, key in enumerate("ab", 1)]
    Decision.objects.update(policy="random", items=items)


def trained(now: datetime, *words: str) -> tuple[Artefact, str]:
    said = StringIO()
    call_command("learn", "train", "--placement", "mail", "--as-of", now.isoformat(), *words, stdout=said)
    return Artefact.objects.latest("pk"), said.getvalue()


def test_settings_that_were_searched_for_are_learned_with_and_told(shop, now):
    found, said = trained(now, "--scorer", "trees", "--tune", "60", "--trials", "4", "--memory", "65536")
    tuning = found.metrics["tuning"]
    assert (tuning["kind"], tuning["trials"], tuning["stopped"]) == ("trees", 4, "the trials are used up")
    assert tuning["best"] < tuning["usual"]
    assert tuning["gain"] > 0
    scorer = Scorer.from_artefact(artefacts.read(found))
    assert f"[num_leaves: {tuning['settings']['leaves']}]" in scorer.learned()["text"]
    assert f"[min_data_in_leaf: {tuning['settings']['smallest_leaf']}]" in scorer.learned()["text"]
    assert re.search(rf"^tuning +{re.escape(tuning['words'])}$", said, re.MULTILINE)


def test_without_a_budget_nothing_is_searched(shop, now):
    found, said = trained(now, "--scorer", "logistic")
    assert "tuning" not in found.metrics
    assert "tuning" not in said
    with pytest.raises(CommandError, match="above 0"):
        trained(now, "--tune", "0")
    with pytest.raises(CommandError, match="nothing to tune in 'prior'"):
        trained(now, "--scorer", "prior", "--trials", "1")


def test_a_policy_trained_by_twenty_clicks_is_refused_for_lack_of_data(shop, now):
    # What was shown lately may still be clicked.
    clicks = Outcome.objects.filter(kind="click", at__lt=now - timedelta(days=8)).order_by("at", "message_id")
    found = list(clicks.values_list("pk", flat=True))
    kept = found[:: len(found) // 20][:20]
    Outcome.objects.filter(kind="click").exclude(pk__in=kept).delete()
    scorer, said = trained(now, "--objective", "click")
    assert (scorer.active, scorer.metrics["conversions"]) == (False, 20)
    assert isinstance(Scorer.from_artefact(artefacts.read(scorer)), Prior)
    judged = scorer.metrics["backtest"]["tested_outcomes"]
    assert f"not enough data: {judged} outcomes judged by, about {30 - judged} more are needed" in said
    learned, more = re.findall(r"not enough data: (\d+) outcomes learned from, about (\d+) more are needed", said)[0]
    assert int(learned) + int(more) == 30
    assert said.strip().splitlines()[-1].startswith("keep the best constant choice: not enough data")
