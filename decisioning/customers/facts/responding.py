"""What a customer allows, is shown and sent, and does with it comes in; a formula for each fact about it comes out."""

from collections.abc import Iterator
from operator import methodcaller

import polars as pl

from decisioning.customers.facts import events
from decisioning.customers.facts.browsing import counted
from decisioning.customers.facts.formulas import BuiltIn, One, Source, days_since, number, since
from decisioning.customers.facts.measures import DAY, YEAR, days, ratio, ratio_of, within
from decisioning.customers.facts.moving import Ageing, leaving, leaving_hours, stepping, summed
from decisioning.customers.facts.seen import Seen

CLICKS = 10  # of a list of the newest


def coupon_facts() -> Iterator[BuiltIn]:
    """How the customer responds to campaigns and coupons."""
    source = Source.REDEMPTIONS
    for span in (90, YEAR):
        used = pl.col("coupons").filter(within(span)).sum()
        name, label = f"coupon_redemptions_{span}d", f"Coupons in {span} days"
        text, when = f"Coupons redeemed in the last {span} days.", summed(_redeemed, span, _coupons)
        yield number(name, label, text, source, used, methodcaller("coupons", span), 0, when)
        text = f"Campaigns received in the last {span} days."
        yield counted(f"campaigns_received_{span}d", f"Campaigns in {span} days", text, events.RECEIVED, span)
    answered = pl.col("content_key").filter(within(YEAR)).drop_nulls().n_unique().cast(pl.Int64)
    label, text = "Campaigns redeemed in 365 days", "Different campaigns with a redemption in the last 365 days."
    one: One = methodcaller("answered", YEAR)
    when = stepping(one, leaving(_redeemed, YEAR))
    yield number("campaigns_redeemed_365d", label, text, source, answered, one, 0, when)
    how = days(pl.col("age").filter(pl.col("name") == events.REDEEMED).min())
    label, text = "Days since redemption", "Days since the last redemption; missing without one."
    one, when = days_since(events.REDEEMED), Ageing(since(events.REDEEMED))
    yield number("days_since_redemption", label, text, Source.NAMES, how, one, when=when)


def _redeemed(seen: Seen) -> list[int]:
    return [row.at for row in seen.state.redeemed]


def _coupons(seen: Seen) -> list[int]:
    return [row.coupons for row in seen.state.redeemed]


def content_facts() -> Iterator[BuiltIn]:
    """What the customer does with the contents that decisions show."""
    for span in (30, 90):
        label, text = f"Contents viewed in {span} days", f"Contents shown to the customer in the last {span} days."
        yield counted(f"contents_viewed_{span}d", label, text, events.SHOWN, span)
        label, text = f"Contents clicked in {span} days", f"Clicks on contents in the last {span} days."
        yield counted(f"contents_clicked_{span}d", label, text, events.CLICKED, span)
    text = "Clicks on contents for each content shown, last 90 days; missing when none was shown."
    how = ratio(pl.col("contents_clicked_90d"), pl.col("contents_viewed_90d"))
    when = stepping(_click_rate, leaving_hours(_contents, 90))
    yield number("content_click_rate_90d", "Content click rate", text, Source.FACTS, how, _click_rate, when=when)
    text = "Conversions that contents led to in the last 90 days."
    yield counted("content_conversions_90d", "Content conversions in 90 days", text, events.CONVERTED, 90)

    text = f"The {CLICKS} contents (keys) clicked last in the last 90 days, the newest first."
    how = pl.col("content").sort_by(["age", "content"]).head(CLICKS)
    when = stepping(_clicked, leaving(lambda seen: sorted(seen.state.clicked.values()), 90))
    label, source = "Contents clicked last", Source.CLICKS
    yield BuiltIn("clicked_contents", "text_list", label, text, source, how, _clicked, when=when)


def _clicked(seen: Seen) -> list[str] | None:
    limit = seen.now - 90 * DAY
    return [key for _, key in sorted([(-at, key) for key, at in seen.state.clicked.items() if at > limit])] or None


def _contents(seen: Seen) -> list[list[int]]:
    return [seen.state.counted.get(name, []) for name in (events.SHOWN, events.CLICKED)]


def _click_rate(seen: Seen) -> float | None:
    return ratio_of(seen.number(events.CLICKED, 90), seen.number(events.SHOWN, 90))


def message_facts() -> Iterator[BuiltIn]:
    """How many messages the customer gets and follows."""
    for span in (7, 30, 90):
        label, text = f"Messages in {span} days", f"Messages sent to the customer in the last {span} days."
        yield counted(f"messages_sent_{span}d", label, text, events.SENT, span)
    text = "Messages opened in the last 90 days, as far as the channel tells."
    yield counted("messages_opened_90d", "Messages opened in 90 days", text, events.OPENED, 90)
    text = "Clicks on links in messages in the last 90 days."
    yield counted("messages_clicked_90d", "Messages clicked in 90 days", text, events.FOLLOWED, 90)
    text = "Days since a message was last sent; missing when none was."
    how = days(pl.col("age").filter(pl.col("name") == events.SENT).min())
    one, when = days_since(events.SENT), Ageing(since(events.SENT))
    yield number("days_since_message", "Days since message", text, Source.NAMES, how, one, when=when)


def consent_facts() -> Iterator[BuiltIn]:
    """What the customer allows."""
    text = "Channels the customer consented to, by the last word of all who are one with them; missing without any."
    how = pl.col("allowed")
    yield BuiltIn("consents", "text_list", "Consents", text, Source.CONSENTS, how, _consents)


def _consents(seen: Seen) -> list[str] | None:
    return list(seen.consents) or None
