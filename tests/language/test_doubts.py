"""Names that are most likely misspelt: told with their place and the nearest known name, and never refused."""

import pytest

from rules.language import nodes, parse
from rules.language.doubts import missing_of_the_moment, unseen_properties

SEEN = {"Order Completed": {"total", "products", "basket.size"}, "Quiet": set[str]()}
MOMENT = {"device", "hour"}


def unseen(text: str) -> list[tuple[str, str | None]]:
    return [(one.message, one.hint) for one in unseen_properties(nodes.histories(parse(text)), SEEN)]


@pytest.mark.parametrize(
    ("text", "name", "hint"),
    [
        ('COUNT("Order Completed" WHERE totl > 5) >= 1', "totl", 'Did you mean "total"?'),
        ('DISTINCT("Order Completed".nope) > 1', "nope", "Look it up in the tracking plan."),
        ('COUNT("Order Completed" WHERE total > prduct) > 1', "prduct", 'Did you mean "products"?'),
        (
            'orders > 1 AND NOT COUNT("Order Completed" WHERE NOT sum = 5) > 1',
            "sum",
            "Look it up in the tracking plan.",
        ),
    ],
)
def test_a_property_nobody_has_seen_is_doubtful(text: str, name: str, hint: str) -> None:
    assert unseen(text) == [(f'No "Order Completed" was seen with the property "{name}".', hint)]


@pytest.mark.parametrize(
    "text",
    [
        'COUNT("Order Completed" WHERE total > 5 AND basket.size > 1 AND products.0 = "x") > 1',
        'COUNT("Quiet" WHERE anything = 1) > 1',
        'COUNT("New" WHERE anything = 1) > 1',
        'COUNT("Order Completed") > 1',
    ],
)
def test_what_is_known_or_was_never_looked_at_is_not_doubtful(text: str) -> None:
    assert unseen(text) == []


def test_the_doubt_points_at_the_name() -> None:
    text = 'a > 1\nAND COUNT("Order Completed" WHERE totl > 5) > 1'
    (found,) = unseen_properties(nodes.histories(parse(text)), SEEN)
    assert (found.severity, found.line, found.column) == ("warning", 2, text.splitlines()[1].index("totl") + 1)


def test_facts_of_the_moment_are_missing_in_what_is_asked_of_stored_facts() -> None:
    condition = nodes.condition_of(parse('device = "web" AND orders > hour AND NOT device = "kiosk"'))
    found = list(missing_of_the_moment(condition, MOMENT))
    assert [one.message.split()[0] for one in found] == ["device", "hour"]
    assert {(one.severity, one.hint) for one in found} == {("warning", "Ask for it in the rule itself.")}
    assert list(missing_of_the_moment(condition, set())) == []
