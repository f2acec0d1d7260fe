"""`manage.py smoke`: the whole loop once against a running system; a table for people, one JSON line for machines.

Asks for decisions over HTTP, sends outcomes and events back, waits for both campaigns' mail, retrains in the worker,
and exits 1 when any answer, count or figure is not what it has to be.
"""

import json
import random
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from campaigns.models import Campaign, Message, Placement
from campaigns.models.windows import usual, windows_of
from decisioning.config import clock
from decisioning.customers.models import Customer
from decisioning.models import Artefact, Decision, Outcome, Score
from decisioning.store import catalogue, snapshot
from decisioning.tasks import train_scorer
from rules import rulebook
from rules.models import Rule, Segment
from tools.demo.showcase import TRAINING

from .load_demo import ACCESS

PEOPLE = 200
SEED = 20180101
PATIENCE = 60.0
# A proxy meant for the outside must not be asked for our own machine.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Wrong(RuntimeError):
    """Something came out other than it must."""


class Api:
    """The product as a client sees it."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key

    def post(self, path: str, body: dict[str, Any], expect: int = 200) -> dict[str, Any]:
        """Post JSON; the answer's JSON, or Wrong when the status is another."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode(), headers)  # noqa: S310
        try:
            with DIRECT.open(request, timeout=10) as response:
                status, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        must(status == expect, f"{path} answered {status}, not {expect}: {text[:300]!r}")
        return dict(json.loads(text))


def must(condition: bool, message: str) -> None:
    """Raise Wrong with the message unless the condition holds."""
    if not condition:
        raise Wrong(message)


def until(label: str, done: Callable[[], bool]) -> None:
    """Wait for something the worker does."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        must(time.monotonic() < deadline, f"{label}: not within {PATIENCE:.0f} s")
        time.sleep(0.2)


class Command(BaseCommand):
    """Run the loop."""

    help = "Run the whole loop once against the running demo and check what comes out."

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        access = json.loads((settings.STATE_DIR / ACCESS).read_text())
        api = Api(settings.PUBLIC_URL, access["key"])
        try:
            figures = run(api)
        except Wrong as wrong:
            self.stderr.write(f"wrong: {wrong}")
            sys.exit(1)
        figures["seconds"] = round(time.monotonic() - started, 1)
        self.table(figures)
        self.stdout.write(json.dumps({"smoke": figures}))

    def table(self, figures: dict[str, Any]) -> None:
        """Two columns, aligned."""
        for name, value in figures.items():
            shown = f"{value:.4f}" if isinstance(value, float) else str(value)
            self.stdout.write(f"  {name.replace('_', ' '):<44} {shown:>16}")


def run(api: Api) -> dict[str, Any]:
    """The loop; the figures that the table and the JSON line show."""
    dice = random.Random(SEED)  # noqa: S311  (a repeatable choice, not a secret)
    before = scorer()
    check_errors(api)
    people = dice.sample(sorted(Customer.objects.filter(key__startswith="hh-").values_list("key", flat=True)), PEOPLE)
    answers = [ask(api, person) for person in people]
    hits = sum(ask(api, person)["cache"] == "hit" for person in people[-20:])
    must(hits > 0, "no identical request was answered from the cache")
    live = publish_a_rule(api, people[0])
    outcomes = respond(api, answers, dice)
    until("ledger", lambda: Decision.objects.filter(source="api").count() >= PEOPLE)
    sent = trigger(api, people)
    after = retrain(before)
    metrics = after.metrics
    must(metrics["auc"] >= 0.77, f"AUC {metrics['auc']:.4f} is below 0.77")
    must(metrics["auc"] > metrics["auc_baseline"], "the scorer does not beat previous redemptions alone")
    return {
        "auc": metrics["auc"],
        "auc_low": metrics["auc_low"],
        "auc_high": metrics["auc_high"],
        "auc_baseline": metrics["auc_baseline"],
        "base_rate": metrics["base_rate"],
        "training_rows_before": before.metrics["rows"],
        "training_rows_after": metrics["rows"],
        "scorer_before": before.pk,
        "scorer_after": after.pk,
        "scores_changed": changed(api, people[:20], answers[:20]),
        "decisions": Decision.objects.filter(source="api").count(),
        "cache_hits": hits,
        "outcomes": outcomes,
        "sent": sent,
        "publish_seconds": live,
    }


def scorer() -> Artefact:
    """The active scorer."""
    return Artefact.objects.get(kind=Artefact.Kind.SCORER, active=True)


def ask(api: Api, person: str) -> dict[str, Any]:
    """One decision, checked for what every decision must carry."""
    answer = api.post(
        "/v1/decide", {"customer_id": person, "placements": ["home-hero"], "request_id": f"smoke-{person}"}
    )
    decision = answer
    placement = decision["placements"][0]
    must(decision["rung"] == "full", f"{person}: rung {decision['rung']}, degraded {decision['degraded']}")
    must(bool(decision["snapshot"]) and bool(decision["scorer"]), f"{person}: snapshot or scorer is not named")
    must(len(placement["items"]) == 3, f"{person}: {len(placement['items'])} items instead of 3")
    must(all(0 < item["propensity"] <= 1 for item in placement["items"]), f"{person}: a propensity is out of (0, 1]")
    return answer


def publish_a_rule(api: Api, person: str) -> float:
    """Publish a rule that hides what this customer sees first; the seconds until it shows. Then take it back."""
    first = best(api, person)
    text = f'IF customer_id = "{person}" THEN HIDE "{first}"'
    rule, _ = Rule.objects.update_or_create(key="smoke-rule", defaults={"name": "Smoke", "text": text, "active": True})
    started = time.monotonic()
    rulebook.publish(rule, None, catalogue.current())
    snapshot.build()
    until("a published rule", lambda: best(api, person) != first)
    seconds = time.monotonic() - started
    must(seconds < 2, f"a published rule took {seconds:.1f} s to change the answer")
    Rule.objects.filter(pk=rule.pk).update(active=False)
    snapshot.build()
    until("a rule taken back", lambda: best(api, person) == first)
    return round(seconds, 2)


def best(api: Api, person: str) -> str:
    """What the checkout shows this customer."""
    answer = api.post("/v1/decide", {"customer_id": person, "placements": ["checkout"]})
    return str(answer["placements"][0]["items"][0]["id"])


def check_errors(api: Api) -> None:
    """What a client gets wrong is told, and changes nothing."""
    count = Decision.objects.count()
    api.post("/v1/decide", {"customer_id": "nobody", "placements": ["home-hero"]}, expect=404)
    api.post("/v1/decide", {"customer_id": "hh-1", "placements": ["home-herro"]}, expect=404)
    api.post("/v1/decide", {"customer_id": "hh-1"}, expect=400)
    api.post("/v1/outcomes", {"token": "forged", "type": "click", "message_id": "smoke-forged"}, expect=400)
    Api(api.url, "dk_00000000_wrong").post(
        "/v1/decide", {"customer_id": "hh-1", "placements": ["home-hero"]}, expect=401
    )
    must(Decision.objects.count() == count, "a refused request left a decision")


def respond(api: Api, answers: list[dict[str, Any]], dice: random.Random) -> int:
    """Send outcomes: everybody sees their three coupons, some redeem one, more often where the score is high."""
    rows: list[dict[str, Any]] = []
    for answer in answers:
        for item in answer["placements"][0]["items"]:
            name = f"smoke-{answer['placements'][0]['decision_id']}-{item['id']}"
            rows.append({"token": item["token"], "type": "impression", "message_id": f"{name}-seen"})
            if dice.random() < 2 * item["score"]:
                rows.append({"token": item["token"], "type": "conversion", "value": 1, "message_id": f"{name}-used"})
    before = Outcome.objects.count()
    for row in rows:
        api.post("/v1/outcomes", row)
    api.post("/v1/outcomes", rows[0])
    must(Outcome.objects.count() == before + len(rows), "outcomes were lost or counted twice")
    return len(rows)


def trigger(api: Api, people: list[str]) -> int:
    """An order for one who may be mailed, and redemptions that make a coupon lover; both campaigns must send."""
    allowed = Customer.objects.filter(key__in=people, consents__granted=True).order_by("key")
    lovers = Segment.objects.get(key="coupon-lovers")
    buyer = allowed.filter(facts__orders_365d__gte=1).first()
    newcomer = allowed.exclude(memberships__segment=lovers).last()
    must(buyer is not None and newcomer is not None, "nobody in the sample may be mailed")
    assert buyer is not None and newcomer is not None
    run_id = f"smoke-{time.time_ns()}"
    order = {"total": 30.0, "products": [{"department": "PRODUCE", "price": 30.0, "quantity": 1}]}
    for event in list(tracked(run_id, buyer.key, "Order Completed", [order])):
        api.post("/v1/track", event)
        api.post("/v1/track", event)
    redemptions = [{"content_key": "coupon-13", "coupons": 1} for _ in range(4)]
    api.post("/v1/batch", {"batch": list(tracked(run_id, newcomer.key, "Coupon Redeemed", redemptions))})
    for key, person in (("thank-you", buyer), ("welcome-coupon-lovers", newcomer)):
        until(f"campaign {key}", lambda key=key, person=person: _sent(key, person, run_id) >= 1)  # type: ignore[misc]
        must(_sent(key, person, run_id) == 1, f"campaign {key} sent more than one message to {person.key}")
    sent = Message.objects.filter(state=Message.State.SENT)
    mails = len(list(Path(settings.MAIL_DIR).glob("*.eml")))
    must(mails == sent.count(), f"{sent.count()} messages are marked sent, the mail server has {mails}")
    must(Campaign.objects.filter(messages__in=sent).distinct().count() >= 2, "not both campaigns sent")
    return sent.count()


def tracked(run_id: str, person: str, event: str, all_properties: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Track events in Segment's shape."""
    for number, properties in enumerate(all_properties):
        yield {
            "type": "track",
            "messageId": f"{run_id}-{person}-{event}-{number}",
            "userId": person,
            "event": event,
            "properties": properties,
        }


def _sent(key: str, person: Customer, run_id: str) -> int:
    found = Message.objects.filter(campaign__key=key, customer=person, state=Message.State.SENT)
    return (found.filter(trigger_key__startswith=run_id) if key == "thank-you" else found).count()


def retrain(before: Artefact) -> Artefact:
    """Train again in the worker, on a ledger that now holds today's outcomes; wait for its scores."""
    # As it will be when the windows of today's impressions have closed.
    window = windows_of(Placement.objects.get(key="home-hero"), usual())[2]
    later = clock.now() + timedelta(hours=window, minutes=1)
    train_scorer.delay(**TRAINING, as_of=later.isoformat())
    until("training", lambda: Artefact.objects.filter(kind=Artefact.Kind.SCORER, pk__gt=before.pk).exists())
    newest = Artefact.objects.filter(kind=Artefact.Kind.SCORER).latest("pk")
    must(newest.metrics["rows"] > before.metrics["rows"], "today's outcomes are not in the training set")
    if newest.active:
        people = Customer.objects.filter(facts_at__isnull=False).count()
        until("scores", lambda: Score.objects.filter(artefact=newest).count() >= people)
    return newest


def changed(api: Api, people: list[str], answers: list[dict[str, Any]]) -> int:
    """For how many of these customers the new snapshot gives other scores."""
    until("new snapshot", lambda: _snapshot(api, people[0]) > answers[0]["snapshot"])
    return sum(
        ask(api, person)["placements"][0]["items"] != answer["placements"][0]["items"]
        for person, answer in zip(people, answers, strict=True)
    )


def _snapshot(api: Api, person: str) -> int:
    return int(ask(api, person)["snapshot"])
