"""Random snapshots, customers and questions for property tests, and what must never be shown to whom."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from decisioning.engine.eligibility import stock_of
from decisioning.engine.policies import POLICIES
from decisioning.engine.prepare import Prepared, prepare
from decisioning.engine.types import Ask, ContentItem, PlacementItem, Profile, ScorerItem, SnapshotData
from decisioning.learning.bandit import LinearBandit
from rules.language import matches, parse

from .builders import NOW, rule

KEYS = [f"c{n}" for n in range(8)]
TAGS = ["red", "blue", "big"]
HOUR = timedelta(hours=1)
CONDITIONS = ["vip = TRUE", "age >= 18", 'device = "kiosk"', 'IN SEGMENT "gold"', "CHANCE 50%", "vip IS MISSING"]
TARGETS = [*(f'"{key}"' for key in KEYS), *(f'TAGGED "{tag}"' for tag in TAGS), "WHERE price > 5", 'WHERE brand = "a"']
FILTERS = ["price > 3", 'tags = "red"', 'NOT brand = "a"', "value >= 2"]

maybe = st.one_of
share = st.sampled_from([0.0, 0.1, 0.5, 1.0])
# Most contents may be shown: what drops them all tests nothing behind it.
start = st.sampled_from([None, None, None, NOW - 9 * HOUR, NOW, NOW + HOUR])
end = st.sampled_from([None, None, None, NOW + 9 * HOUR, NOW + HOUR, NOW])
stock = st.sampled_from([None, None, None, None, 5, 0])
target = st.sampled_from(TARGETS)
action = maybe(
    st.builds("{} {}".format, st.sampled_from(["SHOW", "HIDE", "ONLY"]), target),
    st.builds("{} {} BY {}".format, st.sampled_from(["BOOST", "BURY"]), target, st.sampled_from([1.5, 2, 10])),
    st.builds("PIN {} AT {}".format, target, st.integers(1, 4)),
    st.sampled_from(["STOP", 'START CAMPAIGN "hello"']),
)
actions = st.lists(action, min_size=1, max_size=3).map(", ".join)
texts = st.builds(
    lambda condition, then, otherwise: f"IF {condition} THEN {then}" + (f" ELSE {otherwise}" if otherwise else ""),
    st.sampled_from(CONDITIONS),
    actions,
    maybe(st.just(""), actions),
)


def contents() -> st.SearchStrategy[ContentItem]:
    return st.builds(
        ContentItem,
        st.sampled_from(KEYS),
        st.just("Name"),
        st.just({}),
        st.builds(
            lambda price, brand, left: {"price": price, "brand": brand} | ({} if left is None else {"stock": left}),
            st.integers(0, 10),
            st.sampled_from("ab"),
            stock,
        ),
        st.lists(st.sampled_from(TAGS), unique=True).map(tuple),
        st.sampled_from([0.0, 1.0, 20.0]),
        st.sampled_from([(), (), (), ("hero",), ("side",)]),
        start,
        end,
        stock,
        st.sampled_from(["", "", "", "", "ads"]),
        st.sampled_from([None, None, None, 1, 2]),
        margin=maybe(st.none(), share),
        boost=st.sampled_from([0.5, 1.0, 3.0]),
        created_at=start,
    )


placements = st.builds(
    PlacementItem,
    st.just("hero"),
    st.just("Hero"),
    st.integers(1, 5),
    st.sampled_from(["", "", "", "", "age >= 18"]),
    st.sampled_from(["click", "conversion", "value"]),
    st.sampled_from(sorted(POLICIES)),
    share,
    defaults=st.sampled_from([(), ("c0",), ("c0", "c1")]),
    temperature=st.sampled_from([0.001, 0.2, 5.0]),
    diversity_attribute=st.sampled_from(["", "", "brand"]),
    diversity_most=st.integers(1, 2),
    diversity_weight=share,
    freshness_half_life_days=st.sampled_from([0.0, 7.0]),
    new_share=share,
    new_showings=st.just(10),
    holdout_share=st.sampled_from([0.0] * 9 + [0.5]),
)
counts = st.dictionaries(st.sampled_from(KEYS), st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=8)


def bandit(seed: int) -> bytes:
    learned = LinearBandit(["age", "hour"])
    for n in range(seed):
        learned.fit([{"age": n, "hour": seed}], [KEYS[(seed + n) % 8]], [float(n % 3 == 0)])
    return learned.to_bytes()


@st.composite
def sites(draw: st.DrawFn, scorer: bytes | None = None) -> Prepared:
    items = draw(st.lists(contents(), min_size=3, max_size=6, unique_by=lambda c: c.key))
    rules = [rule(f"r{n}", text, draw(st.integers(0, 2))) for n, text in enumerate(draw(st.lists(texts, max_size=5)))]
    data = SnapshotData(
        contents=tuple(items),
        placements=(draw(placements),),
        rules=tuple(rules),
        scorer=ScorerItem(3, scorer) if scorer else None,
        priors=draw(st.dictionaries(st.sampled_from(KEYS), st.sampled_from([0.0, 0.02, 0.3]))),
        posteriors={"hero": draw(counts)} if draw(st.booleans()) else {},
        bandits={"hero": bandit(draw(st.integers(0, 5)))} if draw(st.booleans()) else {},
        segment_priors={"gold": {"c1": 0.5}} if draw(st.booleans()) else {},
    )
    return prepare(7, NOW, data)


customers = st.builds(
    Profile,
    st.just(1),
    st.sampled_from(["ann", "bob"]),
    st.just(1),
    st.fixed_dictionaries(
        {},
        optional={
            "vip": st.booleans(),
            "age": st.integers(10, 30),
            "clicks": st.integers(0, 9),
            "consents": st.sampled_from([["ads"], ["email"], "ads"]),
            "clicked_contents": st.lists(st.sampled_from(KEYS), max_size=2),
        },
    ),
    st.sampled_from([(), ("gold",)]),
    st.sampled_from([{}, {}, {"c1": 0.9}]),
)
own = st.lists(contents(), max_size=4, unique_by=lambda c: c.key).map(tuple)
asks = st.builds(
    Ask,
    st.just("hero"),
    maybe(st.none(), st.integers(1, 9)),
    st.one_of(customers, customers, st.none()),
    st.sampled_from([{}, {"device": "kiosk"}]),
    st.sampled_from(["ann", "bob", "anonymous:x"]),
    st.text("abc", max_size=3),
    st.frozensets(st.sampled_from(KEYS), max_size=2),
    st.booleans(),
    candidates=st.integers(0, 3).flatmap(lambda n: own if n == 3 else st.none()),
    filter=st.sampled_from([None] * 8 + FILTERS).map(lambda text: parse(text) if text else None),
    shown=st.dictionaries(st.sampled_from(KEYS), st.lists(st.sampled_from([NOW - HOUR, NOW - 99 * HOUR])), max_size=3),
    taken=st.frozensets(st.sampled_from(KEYS), max_size=1),
    holdout=st.sampled_from([False] * 9 + [True]),
)


def wrongs(content: ContentItem, ask: Ask, consents: Any) -> list[str]:
    """Every reason why this content must not be shown for this question; written apart from what is tested."""
    found = []
    if (content.starts_at and content.starts_at > NOW) or (content.ends_at and content.ends_at <= NOW):
        found.append("dates")
    if stock_of(content) == 0:
        found.append("stock")
    if content.needs_consent and not (isinstance(consents, list) and content.needs_consent in consents):
        found.append("consent")
    recent = [at for at in ask.shown.get(content.key, ()) if at + timedelta(hours=content.cap_hours) > NOW]
    if content.cap_count and len(recent) >= content.cap_count:
        found.append("cap")
    if content.key in ask.exclude | ask.taken:
        found.append("excluded")
    facts = {**content.attributes, "tags": list(content.tags), "value": content.value}
    if ask.filter and not matches(ask.filter, facts, NOW):
        found.append("filter")
    return found
