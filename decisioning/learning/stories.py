"""A cluster and its profile come in; two or three sentences a marketer understands come out.

Who they are, how they differ, what to try. They are drafts: people who know their customers write better ones over
them.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from decisioning.learning.clusters import UNUSUAL, Cluster
from decisioning.learning.naming import direction
from decisioning.learning.profiles import Profile

HABITS: Final = (
    # the fact, what is said of its typical value; the second gap is the fact's window in days
    (r"recency_days", "last ordered {} days ago"),
    (r"orders_(\d+)d", "ordered {} times in {} days"),
    (r"spend_(\d+)d", "spent {} in {} days"),
    (r"visits_(\d+)d", "came on {} of {} days"),
    (r"average_order_value", "spent {} an order"),
    (r"coupon_redemptions_(\d+)d", "redeemed {} coupons in {} days"),
    (r"tenure_days", "have been known for {} days"),
)
ADVICE: Final = (
    # recency, orders and spend: 1 high, −1 low, 0 whatever; the first row that fits is told
    ((1, 1, 0), "Try to win them back soon: they used to order often, so ask what went wrong and make one good offer."),
    ((1, 0, 1), "Try to win them back soon: they used to spend much, so a personal offer pays."),
    ((1, 0, 0), "Try one dated reason to come back, and write less often to those who do not answer."),
    ((0, 1, 1), "Try thanks and early access rather than discounts: they buy anyway."),
    ((0, 1, -1), "Try to make baskets larger: bundles, or free delivery from a sum just above their usual one."),
    ((0, -1, 1), "Try a reason for a visit in between: they spend much when they come."),
    ((-1, -1, 0), "Try to make the next order easy: remind them soon of what goes with the last one."),
    ((-1, 0, 0), "Try what goes with their last order while it is fresh."),
    ((0, -1, 0), "Try a small reason for a second visit, such as what others buy next."),
    ((0, 0, 1), "Try offers from what they buy already; they need no discount."),
)
OTHERWISE: Final = "Try offers from what they buy already, and keep a control group to see what works."
LOOK: Final = "Look at some of them one by one before writing to them: they resemble nobody, each in another way."
MOST: Final = 3  # facts told in one sentence
CLEAR: Final = 0.3  # effect from which a fact is worth a sentence


def draft(cluster: Cluster, profile: Profile, labels: Mapping[str, str]) -> str:
    """The story of one cluster; numbers are rounded for reading."""
    rows = {row["fact"]: row for row in profile["facts"]}
    told = [habit(rows[name], name) for name in cluster.means if name in rows]
    sentences = [f"{share_text(cluster.share)} of the customers; typically they {listed(told)}."] if told else []
    apart = [*different(rows, profile["beside"]), *likes(profile["values"])]
    if apart:
        sentences.append(f"They stand out by {listed(apart[:MOST])}.")
    return " ".join([*sentences, advice(cluster)])


def share_text(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "Less than 1 %"


def habit(row: Mapping[str, Any], name: str) -> str:
    """What the middle customer of the cluster does."""
    if row["median"] is None or row["known"] < 0.5:
        return f"have no “{row['label']}”"
    value = readable(row["median"])
    for pattern, text in HABITS:
        match = re.fullmatch(pattern, name)
        if match:
            said = text.format(value, *match.groups())
            return re.sub(r"\b1 (day|time|coupon)s\b", r"1 \1", said)
    return f"have {value} for “{row['label']}”"


def different(rows: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """Facts with their typical value against everybody's; means where the medians are the same."""
    found = []
    for name in names:
        row = rows[name]
        if abs(row["effect"]) < CLEAR or "score" in name:  # a score of what is told already
            continue
        kind = "median" if row["median"] != row["median_all"] else "mean"
        own, everybody = readable(row[kind]), readable(row[f"{kind}_all"])
        if own != everybody:
            found.append(f"{plain(row['label'])} ({own}; everybody {everybody})")
    return found[:2]


def likes(values: Sequence[Mapping[str, Any]]) -> list[str]:
    """The most telling value of a text, with its share."""
    return [
        f"{plain(row['label'])} {row['value']} ({share_text(row['share'])}; everybody {share_text(row['share_all'])})"
        for row in values[:1]
    ]


def plain(label: str) -> str:
    """In the middle of a sentence; abbreviations stay as they are."""
    return label if label[:2].isupper() else label[:1].lower() + label[1:]


def advice(cluster: Cluster) -> str:
    if cluster.name == UNUSUAL:
        return LOOK
    own = tuple(direction(cluster.effects, start) for start in ("recency", "orders", "spend"))
    for wanted, text in ADVICE:
        if all(mine == asked for mine, asked in zip(own, wanted, strict=True) if asked):
            return text
    return OTHERWISE


def listed(parts: Sequence[str]) -> str:
    """a, b and c"""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def readable(value: float) -> str:
    """Two digits are enough to remember: 3306 is 3,300, 0.1234 is 0.12."""
    if not value:
        return "0"
    short = round(value, 1 - math.floor(math.log10(abs(value))))
    return f"{short:,.0f}" if abs(short) >= 10 else f"{short:g}"
