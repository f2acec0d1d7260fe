"""Comes in: nothing. Goes out: hypothesis strategies for streams of events full of edges, and what facts they give."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import polars as pl
from hypothesis import strategies as st
from msgspec.structs import astuple

from decisioning.customers.facts.custom import NONE, Customs, with_customs
from decisioning.customers.facts.frame import facts_frame
from decisioning.customers.facts.properties import read_object
from decisioning.customers.facts.state import FoldedEvent, micros_of
from decisioning.customers.facts.vocabulary import Vocabulary
from rules.language import parse
from rules.language.columns import from_frame
from rules.language.history import columns, needs
from rules.language.nodes import History
from rules.language.printer import operand_text
from tests.language.strategies import histories as any_histories

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # minutes after the clocks changed in most of Europe
MICROSECOND = timedelta(microseconds=1)

# -- moments: the edges of windows, of days, of quarters of an hour and of clock changes, to the microsecond

_edges = st.sampled_from((0, 1, 2, 7, 30, 90, 365, 366, 400, 800)).map(lambda days: NOW - timedelta(days=days))
_clock_changes = st.sampled_from(
    [
        datetime(2025, 10, 26, 1, tzinfo=UTC),
        datetime(2026, 3, 8, 7, tzinfo=UTC),
        datetime(2026, 3, 28, 18, 15, tzinfo=UTC),
        datetime(2026, 3, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 29, tzinfo=UTC),
        datetime(2025, 4, 5, 15, tzinfo=UTC),
        datetime(2024, 2, 29, 12, 0, 27, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
    ]
)
_shifts = st.sampled_from((0, 0, 0, 1, -1, 27_000_000, -27_000_000, 43_200, 899_999_999, 900_000_000, -10_000_000_000))
moments = st.builds(lambda at, shift: at + shift * MICROSECOND, _edges | _clock_changes, _shifts).filter(
    lambda at: at.year >= 1970
)
times = st.one_of(moments, moments, st.integers(0, 500 * 86_400_000_000).map(lambda micros: NOW - micros * MICROSECOND))

# -- properties: mostly as they should be, sometimes as nobody would expect

_amounts = st.sampled_from(
    (0, 1, 4.99, 12.5, 0.1, 0.2, 0.005, 0.015, 1.005, -3, 1e9, 1e9 + 1, 1e18, -1e300, 10**30, 0.00005, 1 / 3)
)
_odd = st.sampled_from((None, True, "12", "", [], {}, [1], {"a": 1}, "naïve ☕", "é", "\U0001f642"))
_things = st.sampled_from(("Dairy", "Fresh Produce", "Größe", "größe", "Z", "a", "", "茶", "\U0001f642", "\uffee"))
_thing = st.one_of(_things, _things, _things, _odd)
_amount = st.one_of(_amounts, _amounts, _odd)
_line = st.fixed_dictionaries(
    {}, optional={"department": _thing, "category": _thing, "brand": _thing, "price": _amount, "quantity": _amount}
)
_lines = st.lists(st.one_of(_line, _line, _line, _odd), max_size=4).map(lambda lines: lines + lines[:1])
_order = st.fixed_dictionaries(
    {"products": _lines | _lines | _odd},
    optional=dict.fromkeys(("total", "revenue", "value", "discount", "coupon_discount"), _amount),
)
_redemption = st.fixed_dictionaries({}, optional={"coupons": _amount, "content_key": _thing})
_others = st.dictionaries(st.sampled_from(("price", "category", "a", "item", "shipping cost")), _amount | _thing)
_traits = st.dictionaries(
    st.sampled_from(("city", "member", "children", "likes", "spend", "other")),
    st.one_of(st.sampled_from(("Rome", "", True, False, 2, 2.5, 10**30, ["tea", 5], [], None, {"a": {}})), _odd),
    max_size=4,
)
_broken = st.sampled_from(
    ("not json", "[1]", '"text"', "null", "5", "{", '{"total": 1e999}', '{"total": %s}' % ("9" * 400), "")
)


def _as_text(objects: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return st.one_of(*[objects.map(lambda one: json.dumps(one, ensure_ascii=False))] * 5, _broken)


_pieces = st.one_of(st.sampled_from((1, 2, 0, 0.5, -1, 3, 1000, 1e9)), _odd)
_product = st.one_of(st.sampled_from(("p1", "p1", "p2", 7, " p1 ", "")), _odd)
_item = st.fixed_dictionaries(
    {"product_id": _product}, optional={"sku": _product, "name": _thing, "quantity": _pieces, "price": _amount}
)
_cart = st.fixed_dictionaries({}, optional={"products": st.lists(st.one_of(_item, _item, _odd), max_size=3) | _odd})
_query = st.fixed_dictionaries(
    {}, optional={"query": st.one_of(st.sampled_from(("Tea", " tea ", "oat  MILK", "x" * 150)), _odd)}
)
_look = st.fixed_dictionaries({}, optional={"category": _thing})
_contents = st.sampled_from((*map(str, range(14)), "x" * 100, "x" * 101, ""))
_click = st.fixed_dictionaries({}, optional={"content": st.one_of(_contents, _contents, _contents, _odd)})

# -- contexts: few, so that they meet again, and some that nobody would expect

AGENTS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5"
    " Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "nothing that is known",
)
_words = st.sampled_from(("ios", "Desktop", "tv", "", "Android", "Größe", "iPhone OS", "z", "A"))
_word = st.one_of(_words, _words, _words, _odd)
_place = st.fixed_dictionaries({}, optional=dict.fromkeys(("country", "region", "city"), _word))
_context = st.fixed_dictionaries(
    {},
    optional={
        "device": st.one_of(st.fixed_dictionaries({}, optional={"type": _word, "model": _word}), _odd),
        "os": st.one_of(st.fixed_dictionaries({}, optional={"name": _word}), _odd),
        "userAgent": st.one_of(st.sampled_from(AGENTS), st.sampled_from(AGENTS), _odd),
        "location": st.one_of(_place, _place, _odd),
        "timezone": _word,
        "locale": _word,
    },
)
contexts = st.one_of(st.just("{}"), _as_text(_context))

# -- events: type, name and properties

_KINDS = (
    ("track", "Order Completed", _as_text(_order)),
    ("track", "Order Completed", _as_text(_order)),
    ("track", "Coupon Redeemed", _as_text(_redemption)),
    ("track", "Campaign Received", _as_text(_others)),
    ("identify", "identify", _as_text(_traits)),
    ("identify", "identify", _as_text(_traits)),
    ("track", "purchase", _as_text(_others)),
    ("track", "Product Viewed", _as_text(_look)),
    ("track", "Product Viewed", _as_text(_look)),
    ("track", "Product Added", _as_text(_item)),
    ("track", "Product Added", _as_text(_item)),
    ("track", "Product Removed", _as_text(_item)),
    ("track", "Cart Viewed", _as_text(_cart)),
    ("track", "Checkout Started", _as_text(_cart)),
    ("track", "Products Searched", _as_text(_query)),
    ("track", "Products Searched", _as_text(_query)),
    ("track", "Content Viewed", _as_text(_others)),
    ("track", "Content Clicked", _as_text(_click)),
    ("track", "Content Clicked", _as_text(_click)),
    ("track", "Content Converted", _as_text(_others)),
    ("track", "Message Sent", _as_text(_others)),
    ("track", "Message Opened", _as_text(_others)),
    ("track", "Message Clicked", _as_text(_others)),
    ("page", "Größe", _as_text(_others)),
    ("page", "Order Completed", _as_text(_order)),
    ("track", "sum", _as_text(_others)),
    ("alias", "alias", _as_text(_others)),
    ("group", "group", _as_text(_traits)),
    ("track", "Email Delivered", _as_text(_others)),
)


@st.composite
def happenings(
    draw: st.DrawFn, kinds: tuple[Any, ...] = _KINDS, when: st.SearchStrategy[datetime] = times
) -> FoldedEvent:
    """One event of any of these kinds."""
    kind, name, properties = draw(st.sampled_from(kinds))
    return FoldedEvent(draw(st.integers(0, 10**9).map(str)), kind, name, draw(when), draw(properties), draw(contexts))


@st.composite
def visits(draw: st.DrawFn) -> list[FoldedEvent]:
    """A few events close to one another: sessions that are bridged, baskets that are filled, checkouts and orders."""
    start = draw(times)
    steps = st.sampled_from((0, 1, 60, 600, 1799, 1800, 1801, 86_399, 86_400, 86_401))
    near = steps.map(lambda seconds: start + timedelta(seconds=seconds))
    return draw(st.lists(happenings(_BASKET_KINDS, near), min_size=2, max_size=8))


def _alone(event: FoldedEvent) -> list[FoldedEvent]:
    return [event]


_BASKET_KINDS = tuple(kind for kind in _KINDS if kind[1].split()[0] in ("Product", "Cart", "Checkout", "Order"))
events = happenings()


def _each_once(parts: list[list[FoldedEvent]]) -> list[FoldedEvent]:
    return list({event.message_id: event for part in parts for event in part}.values())


streams = st.lists(st.one_of(events.map(_alone), events.map(_alone), events.map(_alone), visits()), max_size=12).map(
    _each_once
)
crowds = st.lists(streams, min_size=4, max_size=8)

# -- vocabularies and histories

ZONES = ("UTC", "Europe/Rome", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia")
TRAITS = (("city", "text"), ("member", "boolean"), ("children", "number"), ("likes", "text_list"), ("spend", "number"))
vocabularies = st.builds(
    Vocabulary,
    departments=st.sampled_from(((), ("Dairy", "Fresh Produce"), ("Größe", "Z", "", "Dairy"))),
    traits=st.sampled_from(((), TRAITS, (("city", "number"), ("member", "text")))),
    event_names=st.sampled_from(((), ("Order Completed", "Product Viewed"), ("Größe", "identify", "nothing"))),
    recency=st.sampled_from(((), (1.0, 7.0, 30.0, 90.0), (0.0003125, 2.5, 2.5, 800.0))),
    frequency=st.sampled_from(((), (0.0, 1.0, 2.0, 3.0))),
    monetary=st.sampled_from(((), (0.0, 4.99, 12.51, 1e9))),
    frequency_30d=st.sampled_from(((), (1.0, 1.0, 2.0, 3.0))),
    monetary_90d=st.sampled_from(((), (0.0, 4.99, 12.51, 1e9))),
    time_zone=st.sampled_from(ZONES),
)
FIXED = needs(
    parse(f"{text} > 0")
    for text in (
        'COUNT("Order Completed")',
        'SUM("Order Completed".total) IN LAST 30 DAYS',
        'SUM("Order Completed".total)',
        'AVG(purchase.price WHERE category = "Z")',
        "DISTINCT(purchase.category)",
        "DAYS SINCE purchase",
    )
)


@st.composite
def askings(draw: st.DrawFn) -> dict[str, History]:
    """The fixed histories and a few of any kind."""
    return FIXED | needs_of(draw(st.lists(any_histories, max_size=3)))


asked = askings()


# -- the facts that are expected


def needs_of(found: list[History]) -> dict[str, History]:
    """Histories by their canonical text."""
    return {operand_text(one): one for one in found}


def traits_told(stream: list[FoldedEvent]) -> dict[str, Any]:
    """The traits, by going through the stream in order of time."""
    traits: dict[str, Any] = {}
    for event in sorted(stream, key=lambda one: (one.timestamp, one.message_id)):
        if event.type == "identify":
            traits |= read_object(event.properties)
    return traits


def frame_of(crowd: list[list[FoldedEvent]]) -> pl.DataFrame:
    """The log of everybody; customers are numbered from 0."""
    rows = [
        (customer, f"{customer}/{event.message_id}", *astuple(event)[1:])
        for customer, stream in enumerate(crowd)
        for event in stream
    ]
    schema = {"customer_id": pl.Int64, "message_id": pl.String, "type": pl.String, "name": pl.String}
    rest = {"timestamp": pl.Datetime("us", "UTC"), "properties": pl.String, "context": pl.String}
    return pl.DataFrame(rows, schema=schema | rest, orient="row")


def expected(
    crowd: list[list[FoldedEvent]],
    now: datetime,
    words: Vocabulary,
    wanted: dict[str, History],
    customs: Customs = NONE,
    consents: Sequence[str] = (),
) -> list[dict[str, str]]:
    """The facts of each customer from the frame of all events, each as the JSON text that is stored.

    Every other customer allows the channels of `consents`.
    """
    log = frame_of(crowd)
    told = [traits_told([event for event in stream if event.timestamp <= now]) for stream in crowd]
    traits = [msgspec.json.encode(one).decode() for one in told]
    people = pl.DataFrame(
        {"customer_id": range(len(crowd)), "traits": traits, "consents": consents_of(crowd, consents)},
        {"customer_id": pl.Int64, "traits": pl.String, "consents": pl.List(pl.String)},
    )
    facts = facts_frame(log, people, now, words)
    known = log.filter(pl.col("timestamp") <= now)
    heard = columns(wanted, known, micros_of(now), facts["customer_id"])
    whole = with_customs(facts.hstack(heard.drop("customer_id")), customs)
    rows = whole.drop("customer_id").iter_rows(named=True)
    return [as_stored({name: from_frame(value) for name, value in row.items()}) for row in rows]


def consents_of(crowd: Sequence[object], consents: Sequence[str]) -> list[Sequence[str]]:
    """What each allows: every other one `consents`, the others nothing."""
    return [consents if number % 2 else () for number in range(len(crowd))]


def as_stored(facts: dict[str, Any]) -> dict[str, str]:
    """JSON texts, so that 1 and 1.0 differ; missing facts left out."""
    return {name: msgspec.json.encode(value).decode() for name, value in facts.items() if value is not None}
