"""A cluster and its profile come in; two or three sentences a marketer understands come out.

Who they are, how they differ, what to try. They are drafts: people who know their customers write better ones over
them.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from decisioning.learning.clusters import UNUSUAL, Cluster
from decisioning.learning.naming import Effects, direction, outspoken
from decisioning.learning.profiles import Profile

HABITS: Final = (
    # the fact, what is said of its typical value, and of none; the second gap is the fact's window in days
    (r"recency_days", "last ordered {} days ago", "ordered today"),
    (r"orders", "ordered {} times", "have not ordered"),
    (r"orders_(\d+)d", "ordered {} times in {} days", "ordered nothing in {} days"),
    (r"spend", "spent {} in all", ""),
    (r"spend_(\d+)d", "spent {} in {} days", ""),
    (r"visits_(\d+)d", "came on {} of {} days", "did not come in {} days"),
    (r"sessions_(\d+)d", "had {} sessions in {} days", "had no session in {} days"),
    (r"average_order_value", "spent {} an order", "spent nothing on an order"),
    (r"coupon_redemptions_(\d+)d", "redeemed {} coupons in {} days", "redeemed no coupon in {} days"),
    (r"coupon_order_share", "used a coupon for {} of their orders", "used no coupons"),
    (r"discount_share", "saved {} by discounts", "saved nothing by discounts"),
    (r"coupon_discount_share", "saved {} by coupons", "saved nothing by coupons"),
    (r"weekend_order_share", "ordered {} of the time at weekends", "ordered never at weekends"),
    (r"tenure_days", "have been known for {} days", "are known since today"),
)
SHARES: Final = re.compile(r"share_.*|.*_share|.*_rate(_\d+d)?")  # facts that are told in percent
SHARE_OF: Final = "Share of "
ADVICE: Final = (
    # recency, orders, spend and love of offers: 1 high, −1 low, 0 whatever; the first row that fits is told
    (
        (1, 1, 0, 0),
        "Try to win them back soon: they used to order often, so ask what went wrong and make one good offer.",
    ),
    ((1, 0, 1, 0), "Try to win them back soon: they used to spend much, so a personal offer pays."),
    ((1, 0, 0, 0), "Try one dated reason to come back, and write less often to those who do not answer."),
    ((0, 0, 1, 1), "Try coupons for what they do not buy yet: they use offers, and spend much anyway."),
    ((0, 0, 0, 1), "Try coupons that ask for something in return, such as a larger basket: they look for offers."),
    ((0, 1, 1, 0), "Try thanks and early access rather than discounts: they buy anyway."),
    ((0, 1, -1, 0), "Try to make baskets larger: bundles, or free delivery from a sum just above their usual one."),
    ((0, -1, 1, 0), "Try a reason for a visit in between: they spend much when they come."),
    ((-1, -1, 0, 0), "Try to make the next order easy: remind them soon of what goes with the last one."),
    ((-1, 0, 0, 0), "Try what goes with their last order while it is fresh."),
    ((0, -1, 0, 0), "Try a small reason for a second visit, such as what others buy next."),
    ((0, 0, 1, 0), "Try offers from what they buy already; they need no discount."),
)
OTHERWISE: Final = "Try offers from what they buy already, and keep a control group to see what works."
LOOK: Final = "Look at some of them one by one before writing to them: they resemble nobody, each in another way."
WORTH: Final = 0.05  # share who have any at all, in the cluster or of everybody, from which it is worth a sentence
MOST: Final = 3  # facts told in one sentence
MOST_KNOW: Final = 0.5  # share of the cluster who must have a fact for it to be typical of them
CLEAR: Final = 0.3  # effect from which a fact is worth a sentence


def drafts(clusters: Sequence[Cluster], profiles: Sequence[Profile], labels: Mapping[str, str]) -> list[str]:
    """The story of each cluster, advised by what it has more of than the others too."""
    usual = [cluster for cluster in clusters if cluster.name != UNUSUAL]
    spoken = dict(zip((one.key for one in usual), outspoken([one.effects for one in usual]), strict=True))
    pairs = zip(clusters, profiles, strict=True)
    return [draft(one, profile, labels, spoken.get(one.key)) for one, profile in pairs]


def draft(cluster: Cluster, profile: Profile, labels: Mapping[str, str], spoken: Effects | None = None) -> str:
    """The story of one cluster; numbers are rounded for reading. `spoken` are its `outspoken` effects, else all."""
    rows = {row["fact"]: row for row in profile["facts"]}
    told = [text for name in cluster.means if name in rows if (text := habit(rows[name], name))]
    sentences = [f"{share_text(cluster.share)} of the customers; typically they {listed(told)}."] if told else []
    apart = [*different(rows, profile["beside"]), *likes(profile["values"])]
    if apart:
        sentences.append(f"They stand out by {listed(apart[:MOST])}.")
    return " ".join([*sentences, advice(cluster.name, cluster.effects if spoken is None else spoken)])


def share_text(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "Less than 1 %"


def habit(row: Mapping[str, Any], name: str) -> str:
    """What the middle customer of the cluster does; nothing where that goes without saying."""
    if row["median"] is None or row["known"] < MOST_KNOW:
        return f"have no “{row['label']}”"
    value = typical(row, "median")
    for pattern, some, none in HABITS:
        if match := re.fullmatch(pattern, name):
            said = some.format(value, *match.groups()) if row["median"] else none.format(*match.groups())
            return re.sub(r"\b1 (day|time|coupon|session)s\b", r"1 \1", said)
    if name.startswith("share_") and row["label"].startswith(SHARE_OF):
        return f"spent {value} on {row['label'].removeprefix(SHARE_OF)}"
    return f"have {value} for “{row['label']}”"


def typical(row: Mapping[str, Any], kind: str) -> str:
    """A figure of this fact as people say it."""
    value = row[kind]
    return f"{readable(100 * value)} %" if SHARES.fullmatch(row["fact"]) else readable(value)


def different(rows: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """Facts that most of the cluster have, with their typical value against everybody's.

    Where the medians are the same, mostly none, it is told how many have any.
    """
    found = []
    for name in names:
        row = rows[name]
        if abs(row["effect"]) < CLEAR or "score" in name or row["known"] < MOST_KNOW:  # a score of what is told already
            continue
        own, everybody = typical(row, "median"), typical(row, "median_all")
        label, _, unit = plain(row["label"]).removesuffix(")").partition(" (")
        if own != everybody:
            found.append(f"{label} ({own}{unit and f' {unit}'}; everybody {everybody})")
        elif max(row["any"], row["any_all"]) >= WORTH and (some := share_text(row["any"])) != share_text(
            row["any_all"]
        ):
            found.append(f"{label} ({some.lower()} have any; everybody {share_text(row['any_all']).lower()})")
    return found[:2]


def likes(values: Sequence[Mapping[str, Any]]) -> list[str]:
    """The most telling value of a text, with its share."""
    return [
        f"{plain(row['label'])} “{row['value']}” ({share_text(row['share'])}; everybody {share_text(row['share_all'])})"
        for row in values[:1]
    ]


def plain(label: str) -> str:
    """In the middle of a sentence; abbreviations stay as they are."""
    return label if label[:2].isupper() else label[:1].lower() + label[1:]


def advice(name: str, effects: Effects) -> str:
    if name == UNUSUAL:
        return LOOK
    recency, orders, spend = (direction(effects, start) for start in ("recency", "orders", "spend"))
    offers = max(direction(effects, start) for start in ("coupon", "discount"))
    for wanted, text in ADVICE:
        if all(asked in (0, mine) for mine, asked in zip((recency, orders, spend, offers), wanted, strict=True)):
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
