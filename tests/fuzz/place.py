"""An empty database in; a small site to be called, with the names of everything on it, out."""

from typing import Any

from campaigns.models import Content, Filter, Placement
from decisioning.config import clock
from decisioning.customers.models import Customer, Identity
from decisioning.store import keys, publishing, snapshot
from rules import rulebook
from rules.language.facts import Catalogue, Fact
from rules.models import Membership, Rule, Segment

PLACEMENTS = {"fuzz-hero": "greedy", "fuzz-side": "epsilon", "fuzz-foot": "thompson"}
CONTENTS = ("fuzz-apple", "fuzz-pear", "fuzz-fig", "fuzz-plum")
RULES = {"fuzz-adults": 'IF age >= 18 THEN BOOST "fuzz-apple" BY 2 ELSE HIDE TAGGED "ripe"'}
PEOPLE = ("fuzz-1", "fuzz-2", "fuzz/3 ü")


def furnish() -> dict[str, list[Any]]:
    """Placements, contents, a rule, a filter, segments, customers and a key for each scope; their names."""
    now = clock.now()
    for key, policy in PLACEMENTS.items():
        Placement.objects.create(key=key, name=key, count=2, policy=policy, exploration=0.2)
    for number, key in enumerate(CONTENTS):
        body = {"title": "For {{ customer.key }}", "value": bool(number % 2)}
        attributes = {"price": number, "kind": "fruit"}
        Content.objects.create(key=key, name=key, body=body, attributes=attributes, tags=["ripe"] * (number % 2))
    Filter.objects.create(key="fuzz-cheap", name="Cheap", condition="price <= $most", values="most number")
    members = [_person(key, number) for number, key in enumerate(PEOPLE)]
    for key, kind in (("fuzz-list", "list"), ("fuzz-of-age", "condition")):
        segment = Segment.objects.create(key=key, name=key, kind=kind, condition="age >= 18", refreshed_at=now)
        for one in members:
            Membership.objects.create(segment=segment, customer=one, entered_at=now, entered_how="import")
    for key, text in RULES.items():
        rule = Rule.objects.create(key=key, name=key, text=text)
        rulebook.publish(rule, None, Catalogue(facts={"age": Fact("age", "number")}))
    allowed = [keys.create("fuzz", keys.SCOPES)[1], *(keys.create(scope, [scope])[1] for scope in keys.SCOPES)]
    snapshot.build()
    publishing.publish_all()
    return {
        "placement": list(PLACEMENTS),
        "placements": list(PLACEMENTS),
        "content": list(CONTENTS),
        "candidates": list(CONTENTS),
        "exclude": list(CONTENTS),
        "segment": ["fuzz-list", "fuzz-of-age"],
        "filter": [{"name": "fuzz-cheap", "values": {"most": 2}}],
        "customer_id": [*PEOPLE],
        "customer_ids": [*PEOPLE],
        "targetingKey": [PEOPLE[0], "anonymous:fuzz-a-1"],
        "anonymous_id": ["fuzz-a-1"],
        "value": [*PEOPLE],
        "write_key": allowed[:1],
        "keys": [*allowed, "", "dk_wrong"],
    }


def _person(key: str, number: int) -> Customer:
    facts = {"age": 15 + 10 * number}
    row = Customer.objects.create(key=key, facts=facts, facts_version=1, facts_at=clock.now())
    Identity.objects.create(customer=row, kind="user_id", value=key)
    Identity.objects.create(customer=row, kind="anonymous_id", value=f"fuzz-a-{number + 1}")
    return row
