"""Comes in: a word, run with the product's settings. Goes out: a product made ready, fed, or written down as it is.

python -m tests.fault.inside prepare                 a key, segments, a rule, campaigns, a snapshot
python -m tests.fault.inside feed FILE NOW           events of a file, handled in order, without doors or kills
python -m tests.fault.inside write FILE NOW          everybody's facts anew at NOW; what there is, as JSON lines
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command
from django.db import connection, transaction

django.setup()

from campaigns.models import Campaign, Content, Message, Placement  # noqa: E402
from decisioning.config import clock  # noqa: E402
from decisioning.customers.models import Customer, DeadLetter, Event, Identity, Link, Merge, Pending, State  # noqa: E402
from decisioning.flows.react import react, settle_merges  # noqa: E402
from decisioning.flows.refresh import refresh_all  # noqa: E402
from decisioning.flows.take import take_items  # noqa: E402
from decisioning.store import catalogue, keys, snapshot  # noqa: E402
from rules import rulebook  # noqa: E402
from rules.models import Membership, Rule, Segment  # noqa: E402

SEGMENTS = {
    "buyers": "orders_30d >= 1",
    "spenders": "spend_90d >= 100",
    "berliners": 'city = "Berlin"',
    "payers": 'plan = "paid" AND orders >= 1',
    "dairy-lovers": 'favourite_department = "Dairy"',
    "viewers": 'COUNT("Product Viewed" WHERE price >= 20) IN LAST 30 DAYS >= 3',
    "new-buyers": "orders_7d >= 1 AND orders_90d = orders_7d",
    "lapsed": "orders >= 1 AND NOT orders_30d >= 1",
    "best": "spend_30d > 500 AND orders_30d >= 3",
    "homely": 'favourite_department IN ("Household", "Bakery") AND average_order_value > 20',
}
Line = tuple[str, str, Any]


def prepare() -> dict[str, Any]:
    """Migrate; two campaigns, ten segments known for everybody (nobody), a rule, a placement, a key."""
    call_command("migrate", verbosity=0)
    now = clock.now()
    for key, condition in SEGMENTS.items():
        Segment.objects.create(key=key, name=key, condition=condition)
    # The day before: what anybody is found in from now on is an entry.
    refresh_all(now - timedelta(days=1))
    message = {"subject": "s", "body": "b"}
    Campaign.objects.create(key="thanks", name="Thanks", trigger="event", event_name="Order Completed", **message)
    entered = Segment.objects.get(key="buyers")
    Campaign.objects.create(key="hello", name="Hello", trigger="segment", segment=entered, **message)
    seen = Placement.objects.create(key="seen", name="Seen", policy="greedy", exploration=0)
    Content.objects.create(key="default", name="Default").default_for.set([seen])
    Content.objects.create(key="seen-it", name="Seen it", tags=["seen"])
    rule = Rule.objects.create(key="seen", name="Seen", text='IF NOT COUNT("Probe Sent") >= 1 THEN HIDE TAGGED "seen"')
    words = catalogue.current()
    rulebook.publish(rule, None, replace(words, events={**words.events, "Probe Sent": None}))
    _, whole = keys.create("fault", keys.SCOPES)
    snapshot.build()
    return {"key": whole}


def feed(path: Path, now: datetime) -> dict[str, Any]:
    """Take the lines of a file in their order, a thousand at a time, each thousand handled before the next."""
    added = 0
    with path.open("rb") as lines:
        while some := list(islice(lines, 1000)):
            added += take_items(some, "clean", now).added
            while react(now, 1000).events:
                pass
    with transaction.atomic():
        settle_merges(now)
    return {"added": added}


def write(path: Path, now: datetime) -> dict[str, Any]:
    """Derive everybody at `now` and write down what a clean run and a disturbed one must have in common."""
    refresh_all(now)
    with path.open("w") as out:
        for line in _lines():
            out.write(json.dumps(line, sort_keys=True, default=str) + "\n")
    letters = DeadLetter.objects.values_list("stage", "code", "times")
    return {
        "events": Event.objects.count(),
        "ids": Event.objects.values("message_id").distinct().count(),
        "pending": Pending.objects.filter(problem="").count(),
        "set_aside": Pending.objects.exclude(problem="").count(),
        "unjudged": Link.objects.filter(code="").count(),
        "merges": Merge.objects.filter(undone_at__isnull=True).count(),
        "letters": Counter(f"{stage}:{code}" for stage, code, _ in letters),
        "refusals": sum(times for _, _, times in letters),
    }


def _lines() -> Iterator[Line]:
    alive = Customer.objects.filter(merged_into__isnull=True)
    keys_of = dict(Customer.objects.values_list("pk", "key"))
    yield from (("event", message_id, 1) for message_id in _column("SELECT message_id FROM customers_event"))
    yield from (("facts", row.key, row.facts) for row in alive.iterator())
    yield from (("traits", row.key, row.traits) for row in alive.iterator())
    yield from (("unit", row.key, row.unit or row.key) for row in alive.iterator())
    for kind, value, pk, first_at in Identity.objects.values_list("kind", "value", "customer_id", "first_at"):
        yield "identity", f"{kind} {value}", keys_of[pk]
        yield "first seen", f"{kind} {value}", first_at
    stays = Membership.objects.filter(left_at__isnull=True)
    for segment, pk in stays.values_list("segment__key", "customer_id"):
        yield "stay", f"{segment} {keys_of[pk]}", 1
    for state in State.objects.select_related("identity").iterator():
        yield "counted", f"{state.identity.kind} {state.identity.value}", state.events
    yield from _evidence()
    thanks = Message.objects.filter(campaign__key="thanks").values_list("trigger_key", flat=True)
    yield from (("message", key, times) for key, times in Counter(thanks.iterator()).items())
    for code, body in DeadLetter.objects.filter(stage="intake").values_list("code", "body").iterator():
        yield "letter", f"{code} {bytes(body).decode(errors='backslashreplace')}", 1


def _evidence() -> Iterator[Line]:
    for link in Link.objects.select_related("one", "other").iterator():
        ends = sorted((f"{link.one.kind} {link.one.value}", f"{link.other.kind} {link.other.value}"))
        told = [link.at, link.message_id, link.followed, link.code]
        yield "verdict", f"{' – '.join(ends)} {link.how}", told


def _column(statement: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [value for (value,) in cursor.fetchall()]


def main(words: list[str]) -> dict[str, Any]:
    """Do one of the three."""
    if words[0] == "prepare":
        return prepare()
    return {"feed": feed, "write": write}[words[0]](Path(words[1]), datetime.fromisoformat(words[2]))


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
