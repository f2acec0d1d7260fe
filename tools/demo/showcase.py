"""What the demo shows beside its data: placements, segments, rules and campaigns, as a marketer would write them."""

from typing import Any, Final

PLACEMENTS: Final[list[dict[str, Any]]] = [
    {"key": "home-hero", "name": "Home page, top", "count": 3, "policy": "epsilon", "exploration": 0.1},
    {"key": "checkout", "name": "Checkout, one coupon", "count": 1, "policy": "greedy", "exploration": 0.0},
    {
        "key": "coupon-mail",
        "name": "Coupons in an e-mail",
        "count": 2,
        "policy": "greedy",
        "exploration": 0.0,
    },
    {"key": "mailer", "name": "Printed mailer of 2017", "count": 1, "policy": "greedy", "exploration": 0.0},
]

# Scorers are judged on the coupons of 2017: learned from campaigns over before August, tested on those from then on,
# against the one fact that says most by itself.
TRAINING: Final[dict[str, str]] = {
    "split": "2017-08-01T00:00:00+00:00",
    "placement": "mailer",
    "baseline": "coupon_redemptions_365d",
    # The log starts with 2017: what was shown before it has no facts.
    "since": "2017-01-01T00:00:00+00:00",
}

# Shown where nothing else may be.
DEFAULT_CONTENT: Final[dict[str, Any]] = {
    "key": "welcome",
    "name": "Welcome banner",
    "body": {"title": "Welcome", "text": "See this week's offers."},
    "attributes": {},
    "tags": ["banner"],
}

SEGMENTS: Final[list[dict[str, str]]] = [
    {
        "key": "lapsing",
        "name": "Lapsing shoppers",
        "condition": "recency_days > 21 AND orders_365d >= 10",
        "description": "Used to come often, and have stayed away for three weeks.",
    },
    {
        "key": "coupon-lovers",
        "name": "Coupon lovers",
        "condition": "coupon_redemptions_365d >= 3",
        "description": "Redeemed at least three coupons within a year.",
    },
    {
        "key": "big-baskets",
        "name": "Big baskets",
        "condition": "average_order_value > 60 AND orders_90d >= 3",
        "description": "Spend much at a time, and still come.",
    },
    {
        "key": "produce-fans",
        "name": "Produce fans",
        "condition": "share_produce >= 0.15 AND orders_365d >= 5",
        "description": "A sixth of what they spend goes to fruit and vegetables.",
    },
]

RULES: Final[list[dict[str, Any]]] = [
    {
        "key": "win-back",
        "name": "Win back lapsing shoppers with the broadest coupons",
        "priority": 100,
        "text": 'IF IN SEGMENT "lapsing" AND NOT IN SEGMENT "coupon-lovers"\nTHEN BOOST WHERE campaign_type = "A" BY 2',
        "placements": ["home-hero", "coupon-mail"],
    },
    {
        "key": "healthy-first",
        "name": "Nutrition coupons first for those who buy fruit and vegetables",
        "priority": 50,
        "text": 'IF customer_segment = "Produce fans"\n'
        'THEN BOOST TAGGED "nutrition" BY 1.5\n'
        'ELSE BURY TAGGED "nutrition" BY 1.2',
        "placements": [],
    },
    {
        "key": "no-cosmetics-on-kiosk",
        "name": "No cosmetics on kiosk screens",
        "priority": 40,
        "text": 'IF device = "kiosk" THEN HIDE TAGGED "cosmetics"',
        "placements": [],
    },
    {
        "key": "coupons-only-at-checkout",
        "name": "Only coupons at the checkout",
        "priority": 10,
        "text": 'IF orders_365d >= 0 OR orders_365d IS MISSING THEN ONLY TAGGED "coupon"',
        "placements": ["checkout"],
    },
]

MAIL: Final = """<p>Hello,</p>
<p>{{ greeting }}</p>
<ul>{% for content in contents %}<li><strong>{{ content.title }}</strong>: {{ content.text }}</li>{% endfor %}</ul>"""

CAMPAIGNS: Final[list[dict[str, Any]]] = [
    {
        "key": "thank-you",
        "name": "Thanks for your order",
        "trigger": "event",
        "event_name": "Order Completed",
        "audience": "orders_365d >= 1",
        "placement": "coupon-mail",
        "subject": "Thank you: {{ contents[0].title | default: 'something for your next visit' }}",
        "body": MAIL.replace("{{ greeting }}", "Thank you for your order. For your next visit:"),
    },
    {
        "key": "welcome-coupon-lovers",
        "name": "Welcome among the coupon lovers",
        "trigger": "segment",
        "segment": "coupon-lovers",
        "audience": "",
        "placement": "coupon-mail",
        "subject": "More coupons for you",
        "body": MAIL.replace("{{ greeting }}", "You make good use of coupons. These may suit you:"),
    },
]
