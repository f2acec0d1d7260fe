"""A shop with one row of everything, made through the product's own parts."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
from uuid_utils.compat import uuid7

from campaigns.models import Campaign, Content, Message, Placement
from decisioning.customers.models import Consent, Customer, Event, Identity
from decisioning.learning.schema import Column, FeatureSchema
from decisioning.learning.scorer import Prior
from decisioning.models import Change, Decision, Outcome
from decisioning.store import artefacts, catalogue, keys
from rules import rulebook
from rules.models import Membership, Rule, Segment

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
# What the form of a segment sends of its reactions when it has none.
NO_REACTIONS = {"reactions-TOTAL_FORMS": "0", "reactions-INITIAL_FORMS": "0"}
TEXT = 'IF device = "kiosk" THEN SHOW "eco-banner"'


def open_shop() -> dict[str, Any]:
    """One row of every model the admin shows, by the name of its page."""
    # Tests that commit empty every table afterwards, this row of the first migration too.
    Change.objects.get_or_create(defaults={"number": 0, "built": -1})
    home = Placement.objects.create(key="home", name="Home page")
    eco = Content.objects.create(key="eco-banner", name="Eco <b>banner</b>", tags=["eco"], attributes={"margin": 0.4})
    fuel = Content.objects.create(key="fuel-coupon", name="Fuel coupon")
    segment = Segment.objects.create(key="kiosk-users", name="Kiosk users", condition='device = "kiosk"', size=1)
    customer = Customer.objects.create(key="hh-1", traits={"age": "35-44"}, facts={"orders_30d": 3}, facts_at=NOW)
    Identity.objects.create(customer=customer, kind="email", value="hh-1@example.com")
    known = Identity.objects.create(customer=customer, home=customer, kind="user_id", value=customer.key, first_at=NOW)
    Consent.objects.create(customer=customer, channel="email", granted=True, at=NOW, source="test")
    Membership.objects.create(segment=segment, customer=customer, entered_at=NOW)
    Event.objects.create(
        id=uuid7(),
        message_id="e1",
        identity=known,
        type="track",
        name="Order Completed",
        timestamp=NOW,
        received_at=NOW,
    )
    rule = Rule.objects.create(key="eco", name="Eco first", text=TEXT)
    rulebook.publish(rule, None, catalogue.current())
    campaign = Campaign.objects.create(
        key="welcome",
        name="Welcome",
        trigger="event",
        event_name="Order Completed",
        subject="Hello",
        body="<p>Hi</p>",
    )
    decision = Decision.objects.create(**a_decision(customer))
    Outcome.objects.create(decision_id=decision.pk, content=eco.key, kind="click", at=NOW, message_id="o1")
    message = Message.objects.create(
        campaign=campaign,
        customer=customer,
        trigger_key="e1",
        state="unknown",
        decision_id=decision.pk,
        body="<p>Hi</p><script>alert(1)</script>",
    )
    metrics = {"auc": 0.8123, "by": {"split": "2017-08-01"}}
    scorer = artefacts.keep("scorer", a_scorer(), "0" * 64, metrics, NOW)
    key, _ = keys.create("Shop", ["decide"])
    return {
        "campaigns_placement": home,
        "campaigns_content": fuel,
        "campaigns_campaign": campaign,
        "campaigns_message": message,
        "customers_customer": customer,
        "decisioning_apikey": key,
        "decisioning_artefact": scorer,
        "decisioning_decision": decision,
        "rules_rule": rule,
        "rules_segment": segment,
    }


def a_scorer() -> bytes:
    """The best constant, learned from four showings."""
    schema = FeatureSchema([Column("orders_30d", "fact", "orders_30d")])
    rows, converted = np.zeros((4, 1), np.float32), np.array([0, 1, 0, 0], np.int8)
    return Prior(schema).fit(rows, converted, ["eco-banner"] * 2 + ["fuel-coupon"] * 2).to_artefact()


def a_decision(customer: Customer, **changes: Any) -> dict[str, Any]:
    """A row of the ledger in the shape the decide flow writes."""
    row = {
        "id": UUID(int=7),
        "at": NOW,
        "customer_id": customer.pk,
        "customer_key": customer.key,
        "placement": "home",
        "snapshot": 1,
        "scorer": 1,
        "rung": "full",
        "reason": "TARGETING_MATCH",
        "policy": "epsilon",
        "items": [
            {
                "key": "eco-banner",
                "rank": 1,
                "score": 0.3125,
                "propensity": 0.95,
                "reasons": ["shown by rule eco"],
            }
        ],
        "explanation": {
            "rules": [
                {"key": "eco", "revision": 1, "matched": True, "effects": ["SHOW eco-banner"]},
                {
                    "key": "gone",
                    "revision": 4,
                    "matched": False,
                    "overruled": ["SHOW: an earlier rule already chose"],
                },
            ],
            "dropped": {"fuel-coupon": "outside its dates"},
            "segments": ["kiosk-users"],
        },
        "facts": {"orders_30d": 3},
        "context": {"device": "kiosk"},
    }
    return row | changes
