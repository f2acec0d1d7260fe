"""What a scorer, a policy or a draft is worth by the ledger: found where the log explored, and else refused."""

import json
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from random import Random
from uuid import UUID

import polars as pl
import pytest
from django.core.management import CommandError, call_command

from campaigns.models import Content, Placement
from decisioning.customers.models import Customer
from decisioning.flows import evaluate, learn
from decisioning.flows.evaluate import Asked
from decisioning.models import Decision, Outcome
from rules.models import Rule

from .shops import open_shop, show

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
RATES = {"a": 0.2, "b": 0.5}
SHOWN = 600


@pytest.fixture
def log(now: datetime) -> list[Decision]:
    """A month in which either content was shown at random: `b` converts more often, and brings 10 each time."""
    dice = Random(9)
    people = open_shop(now, lambda n: {"orders_365d": n % 20})
    Placement.objects.update(policy="epsilon", exploration=1.0)
    rows, outcomes = [], []
    for number in range(SHOWN):
        at, key = now - timedelta(days=2, hours=number), "ab"[dice.random() < 0.5]
        rows.append(shown(number, at, people[number % len(people)], key))
        if dice.random() < RATES[key]:
            found = Outcome(decision_id=rows[-1].id, content=key, kind="conversion", at=at + timedelta(hours=1))
            found.value, found.message_id = 10.0, f"c-{number}"
            outcomes.append(found)
    Outcome.objects.bulk_create(outcomes)
    return Decision.objects.bulk_create(rows)


def shown(number: int, at: datetime, person: Customer, key: str) -> Decision:
    return Decision(
        id=UUID(int=number + 1),
        at=at,
        customer_id=person.pk,
        customer_key=person.key,
        request_id=f"r-{number}",
        placement="mail",
        rung="rules",
        reason="RANKED",
        policy="epsilon",
        facts=person.facts,
        items=[{"key": key, "rank": 1, "score": None, "propensity": 0.5}],
        windows=[24.0] * 4,
    )


def figures(found: evaluate.Evaluation) -> dict[str, evaluate.Line]:
    return {line.metric: line for line in found.lines}


def holds(line: evaluate.Line, truth: float) -> bool:
    return line.low is not None and line.high is not None and line.low <= truth <= line.high


def test_a_constant_earns_what_its_content_does(log, now):
    found = figures(evaluate.evaluate(now, Asked("mail", policy="constant:b")))
    assert all(holds(found[name], RATES["b"]) for name in ("ips", "snips", "dr"))
    assert found["logged"].value == pytest.approx(Outcome.objects.count() / SHOWN)
    assert found["gain over what was shown"].low > 0
    assert found["gain over the best constant choice"].value == pytest.approx(0.0)
    worse = figures(evaluate.evaluate(now, Asked("mail", policy="constant:a")))
    assert worse["gain over the best constant choice"].high < 0


def test_money_is_counted_where_it_is_the_objective_and_only_within_its_window(log, now):
    Outcome.objects.filter(content="a").update(at=now)
    found = figures(evaluate.evaluate(now, Asked("mail", objective="value", policy="constant:b")))
    assert holds(found["snips"], 10 * RATES["b"])
    assert figures(evaluate.evaluate(now, Asked("mail", objective="value", policy="constant:a")))["snips"].value == 0


def test_a_draft_is_judged_before_anybody_sees_it(log, now):
    rule = Rule.objects.create(key="best", name="Best", text='IF orders_365d >= 0 THEN ONLY "b"')
    found = evaluate.evaluate(now, Asked("mail", draft="best"))
    lines = figures(found)
    # The placement explores always, but never beyond what a rule leaves.
    assert lines["snips"].value == figures(evaluate.evaluate(now, Asked("mail", policy="constant:b")))["snips"].value
    assert lines["gain over the current rules"].low > 0
    assert Rule.objects.get().published is None
    rule.text = "IF orders_365d >= THEN"
    rule.save()
    with pytest.raises(ValueError, match="draft cannot be used: rule best"):
        evaluate.evaluate(now, Asked("mail", draft="best"))


def test_the_current_policy_is_worth_what_it_logged(log, now):
    lines = figures(evaluate.evaluate(now, Asked("mail", policy="current")))
    assert lines["ips"].value == pytest.approx(lines["logged"].value)
    assert lines["mean weight"].value == pytest.approx(1.0)
    assert lines["gain over what was shown"].value == pytest.approx(0.0, abs=0.01)


def test_chances_from_elsewhere_are_judged_by_either_id(log, now, tmp_path: Path):
    path = tmp_path / "policy.csv"
    ids = [str(row.pk) if number % 2 else row.request_id for number, row in enumerate(log)]
    pl.DataFrame({"decision": ids, "content": "b", "chance": 1.0}).write_csv(path)
    found = figures(evaluate.evaluate(now, Asked("mail", policy=str(path))))
    assert found["snips"] == figures(evaluate.evaluate(now, Asked("mail", policy="constant:b")))["snips"]
    pl.DataFrame({"decision": ids, "chance": 1.0}).write_csv(path)
    with pytest.raises(ValueError, match="lacks content"):
        evaluate.evaluate(now, Asked("mail", policy=str(path)))


def test_too_little_and_too_narrow_a_log_is_told(log, now):
    few = evaluate.evaluate(now, Asked("mail", since=log[39].at, policy="constant:b"))
    assert few.notes[0].startswith("not enough data: about ")
    assert figures(few)["more decisions needed"].value > 0
    Decision.objects.update(items=[{"key": "a", "rank": 1, "score": None, "propensity": 1.0}])
    narrow = evaluate.evaluate(now, Asked("mail", policy="constant:b"))
    assert "no chance of showing about 100% of what this policy would show" in narrow.notes[0]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked("shelf", policy="current"), "Nothing was decided in the placement 'shelf'"),
        (Asked("mail", policy="constant:zzz"), "There is no content 'zzz'"),
        (Asked("mail", policy="guess"), "guess is no policy: say current, constant:KEY, or a file"),
        (Asked("mail", draft="none"), "There is no rule 'none'"),
        (Asked("mail"), "No scorer is in use; train one"),
        (Asked("mail", artefact=0), "There is no scorer 0"),
    ],
)
def test_what_there_is_not_is_told_with_the_cure(log, now, asked, said):
    with pytest.raises(ValueError, match=said):
        evaluate.evaluate(now, asked)


def test_a_scorer_is_judged_on_what_it_has_not_learned_from(now):
    people = open_shop(now, lambda n: {"orders_365d": n % 20, "spend_365d": 7.0 * (n % 20), "recency_days": n % 9})
    show(people, now)
    scorer = learn.train_scorer(now - timedelta(days=15), learn.Terms(placement="mail"))
    told = StringIO()
    call_command("learn", "evaluate", "--placement", "mail", "--as-of", now.isoformat(), stdout=told)
    lines = [json.loads(line) for line in told.getvalue().splitlines() if line.startswith("{")]
    assert {line["learn"] for line in lines} == {f"scorer {scorer.pk}"}
    found = {line["metric"]: line for line in lines}
    assert found["auc"]["baseline"] < 0.6 < found["auc"]["low"] < found["auc"]["value"] < found["auc"]["high"]
    assert {"log_loss", "ece", "auc gain", "psi of scores"} <= found.keys()
    told = StringIO()
    earlier = (now - timedelta(days=25)).isoformat()
    call_command("learn", "evaluate", "--since", earlier, "--as-of", now.isoformat(), stdout=told)
    assert "of these showings taught it, and flatter it" in told.getvalue()
    with pytest.raises(CommandError, match="name another moment with --since"):
        call_command("learn", "evaluate", "--since", (now + timedelta(days=1)).isoformat(), "--as-of", now.isoformat())


def test_a_scorer_is_judged_as_a_policy_where_the_log_explored(log, now):
    assert Content.objects.count() == 2
    found = learn.train_scorer(now, learn.Terms(placement="mail"))
    checks = {check["name"] for check in found.metrics["gate"]["checks"]}
    assert "value by the log against the best constant choice" in checks
    assert not found.active, "the best content is the same for everybody"
    assert found.metrics["refused"].startswith("keep the best constant choice: ")
