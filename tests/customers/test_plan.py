"""The tracking plan: types are inferred, locked entries are checked, what does not fit is counted or refused."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from decisioning.customers.intake.letters import item_of
from decisioning.customers.intake.tracking import Checked, check_items
from decisioning.customers.plan.checking import FINE, REFUSE, Entry, Plan, Property, name_of, plan_of, problems
from decisioning.customers.plan.kinds import TYPES, chosen, infer, type_of
from decisioning.customers.plan.observed import merged

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORDER = {
    "total": 42.5,
    "when": "2026-03-01",
    "gift": False,
    "products": [{"price": 40, "name": "Milk"}, {"price": 2.5}],
}


def event(name: str = "Order Completed", type_: str = "track", **properties: object) -> Checked:
    ids = (("user_id", "u-1"),)
    return Checked("m-1", type_, name, ids, json.dumps(properties), "{}", AT)


def agreed(policy: str = "count", **properties: Property) -> Entry:
    return Entry("Order Completed", properties, True, policy)


def codes(found: list) -> list[tuple[str, str]]:
    return [(problem.code, problem.property) for problem in found]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("x", "text"),
        ("", "text"),
        ("2026-03-01", "date"),
        ("2026-03-01T10:00:00+01:00", "date"),
        ("2026-13-01", "text"),
        ("2026", "text"),
        (1, "number"),
        (1.5, "number"),
        (True, "boolean"),
        (None, "any"),
        ([], "any"),
        (["a", "b"], "text_list"),
        ([1, 2.5], "number_list"),
        ([1, "a"], "list"),
        ([True], "list"),
        ([None], "list"),
        ([{"a": 1}], "object_list"),
        ([{"a": 1}, 2], "list"),
        ({}, "object"),
    ],
)
def test_a_value_has_the_type_the_rule_language_would_give_it(value: object, kind: str) -> None:
    assert type_of(value) == kind
    assert TYPES[kind][1](value)


def test_types_are_inferred_one_level_deep() -> None:
    assert infer(ORDER) == {
        "total": "number",
        "when": "date",
        "gift": "boolean",
        "products": "object_list",
        "products.price": "number",
        "products.name": "text",
    }
    assert infer({"a": {"b": {"c": 1}}}) == {"a": "object", "a.b": "object"}


def test_products_that_differ_in_a_type_tell_nothing_of_it_and_a_null_yields() -> None:
    assert infer({"products": [{"price": 1}, {"price": "1"}]})["products.price"] == "any"
    assert infer({"products": [{"price": None}, {"price": 1}]})["products.price"] == "number"
    assert infer({"products": [{"price": 1}, {"price": None}]})["products.price"] == "number"


def test_the_most_frequent_type_is_taken_and_nothing_known_yields_to_anything() -> None:
    assert chosen({"number": 3, "text": 2, "any": 9}) == "number"
    assert chosen({"text": 2, "number": 2}) == "number"
    assert chosen({"any": 1}) == chosen({}) == "any"


def test_an_unlocked_entry_is_not_checked() -> None:
    plan = plan_of([Entry("Order Completed", {"total": Property("number", True)})])
    assert plan.is_open
    assert problems("Order Completed", {"total": "x"}, plan) == []
    assert plan.check(event(total="x")) is FINE


def test_each_way_not_to_fit_is_told_with_its_cure() -> None:
    plan = plan_of([agreed(total=Property("number"), id=Property("text", True))])
    wrong, unknown, missing = problems("Order Completed", {"total": "42,50", "colour": 1}, plan)
    assert (wrong.code, wrong.property) == ("wrong_type", "total")
    assert wrong.message == (
        '"total" of "Order Completed" is "42,50" (text), and the plan says number; send it so, or change the plan.'
    )
    assert (unknown.code, unknown.property) == ("unknown_property", "colour")
    assert "add it there, or stop sending it" in unknown.message
    assert (missing.code, missing.property) == ("missing_property", "id")
    assert "send it with every event" in missing.message


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        ("text", "2026-03-01", True),
        ("date", "soon", False),
        ("number", True, False),
        ("text_list", [], True),
        ("object_list", [], True),
        ("text_list", ["a", None], False),
        ("any", {"a": [1]}, True),
        ("object", [], False),
        ("list", [1, "a"], True),
        ("number", None, True),
    ],
)
def test_a_type_holds_what_it_says(kind: str, value: object, fits: bool) -> None:
    found = problems("Order Completed", {"p": value}, plan_of([agreed(p=Property(kind))]))
    assert (found == []) is fits


def test_products_are_checked_each_and_only_where_the_plan_looks_into_them() -> None:
    plan = plan_of([agreed(products=Property("object_list"), **{"products.price": Property("number", True)})])
    products = [{"price": 1}, {"price": "1"}, {"name": "Milk", "price": None}]
    assert codes(problems("Order Completed", {"products": products}, plan)) == [
        ("wrong_type", "products.price"),
        ("unknown_property", "products.name"),
        ("missing_property", "products.price"),
    ]
    assert problems("Order Completed", {"products": []}, plan) == []
    assert problems("Order Completed", {}, plan) == []
    anything = plan_of([agreed(products=Property("any"))])
    assert problems("Order Completed", {"products": products}, anything) == []


def test_a_flood_of_problems_in_one_event_is_cut() -> None:
    found = problems("Order Completed", {f"p{n}": n for n in range(5_000)}, plan_of([agreed()]))
    assert len(found) == 20
    refusal, counted = plan_of([agreed(REFUSE)]).check(event(**{f"p{n}": n for n in range(50)}))
    assert refusal is not None
    assert (len(counted), refusal.message.count("The plan of")) == (20, 3)


def test_counting_lets_an_event_pass_and_refusing_does_not() -> None:
    for policy, refused in (("count", False), ("refuse", True)):
        why, counted = plan_of([agreed(policy, total=Property("number"))]).check(event(total="x"))
        assert (why is not None, codes(list(counted))) == (refused, [("wrong_type", "total")])


def test_unknown_names_are_welcome_unless_the_default_entry_is_locked() -> None:
    known = Entry("Order Completed")
    assert plan_of([known, Entry("*")]).check(event("Never Heard Of")) is FINE
    plan = plan_of([known, Entry("*", locked=True, policy=REFUSE)])
    why, counted = plan.check(event("Never Heard Of"))
    assert why is not None
    assert (why.code, codes(list(counted))) == ("unknown_event", [("unknown_event", "Never Heard Of")])
    assert plan.check(event("Order Completed")) is FINE


def test_an_event_called_like_the_default_entry_is_an_unknown_one() -> None:
    plan = plan_of([Entry("*", {"a": Property("text")}, locked=True, policy=REFUSE)])
    assert plan.check(event("*"))[0] is not None
    assert plan_of([Entry("*", locked=False)]).check(event("*")) is FINE


def test_pages_are_one_entry_whatever_their_titles_and_never_unknown() -> None:
    assert [name_of("page", "Home"), name_of("identify", "identify"), name_of("track", "page")] == [
        "page",
        "identify",
        "page",
    ]
    plan = plan_of([Entry("*", locked=True, policy=REFUSE), Entry("page", {"url": Property("text")}, True, REFUSE)])
    assert plan.check(event("Home", "page", url="/")) is FINE
    assert plan.check(event("Home", "page", title="Home"))[0] is not None
    assert plan.check(event("Any", "screen")) is FINE


def test_what_a_refused_event_was_can_be_sent_again() -> None:
    items = [
        {"type": "track", "messageId": "a", "userId": "u", "event": "track", "properties": {"total": 1}},
        {"type": "page", "messageId": "b", "anonymousId": "x", "name": "Home", "properties": {"url": "/"}},
        {"type": "identify", "messageId": "c", "userId": 5, "traits": {"email": "A@example.com", "loyalty_id": "L"}},
        {"type": "group", "messageId": "d", "userId": "u", "groupId": "g", "traits": {"size": 3}},
        {"type": "alias", "messageId": "e", "userId": "u", "previousId": "x"},
        {"type": "track", "messageId": "f", "userId": "u", "event": "E", "context": {"device": {"id": "d-1"}}},
        {"type": "screen", "messageId": "g", "anonymousId": "x", "context": {"historical": True, "userAgent": "Bot"}},
    ]
    stamped = [{**item, "timestamp": "2026-02-01T00:00:00Z"} for item in items]
    good, bad = check_items([json.dumps(item).encode() for item in stamped], AT)
    assert bad == []
    again, bad = check_items([item_of(each) for each in good], AT + timedelta(days=3))
    assert bad == []
    for before, after in zip(good, again, strict=True):
        for name in ("message_id", "type", "name", "identifiers", "timestamp", "historical", "bot"):
            assert getattr(before, name) == getattr(after, name)
        assert json.loads(before.properties) == json.loads(after.properties)
        assert json.loads(before.context) == json.loads(after.context)


def test_an_event_told_to_be_a_bots_by_a_header_stays_one() -> None:
    told = Checked("m", "page", "page", (("anonymous_id", "x"),), "{}", "{}", AT, bot=True)
    again, _ = check_items([item_of(told)], AT)
    assert again[0].bot


def test_counts_are_added_and_a_locked_entry_learns_no_property() -> None:
    stored = {"total": {"type": "number", "required": True, "seen": 2, "types": {"number": 2}}}
    counts = {("total", "text"): 3, ("new", "text"): 1}
    unlocked, _ = merged(stored, counts, False)
    assert unlocked["total"] == {"type": "text", "required": True, "seen": 5, "types": {"number": 2, "text": 3}}
    assert unlocked["new"] == {"type": "text", "required": False, "seen": 1, "types": {"text": 1}}
    held, left = merged(stored, counts, True)
    assert (held.keys(), held["total"]["type"], held["total"]["seen"], left) == ({"total"}, "number", 5, 0)
    assert stored["total"]["types"] == {"number": 2}, "what was given is not changed"


def test_an_entry_lists_so_many_properties_and_counts_the_rest() -> None:
    full, left = merged({}, {(f"p{n:03}", "text"): 2 for n in range(250)}, False)
    assert (len(full), left) == (200, 100)
    assert merged({}, {("x" * 201, "text"): 1}, False) == ({}, 1)


def test_an_empty_plan_checks_nothing() -> None:
    assert Plan().is_open
    assert Plan().check(event("Anything", a=1)) is FINE
