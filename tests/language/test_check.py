"""What `check` says about names, types, actions and logic."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.language import check, matches, parse
from rules.language.check import Problem
from rules.language.facts import Catalogue, Fact, built_in
from rules.language.nodes import Condition
from rules.language.prove import always, covers, never
from tests.examples import examples
from tests.language.people import facts_for
from tests.language.strategies import NOW, conditions

FACTS = {
    fact.name: fact
    for fact in (
        Fact("age", "number"),
        Fact("city", "text", values=("Berlin", "Paris")),
        Fact("name", "text"),
        Fact("vip", "boolean"),
        Fact("signup", "date"),
        Fact("app", "version"),
        Fact("tags", "text_list"),
        Fact("sizes", "number_list"),
    )
}
CATALOGUE = Catalogue(
    facts={**built_in(), **FACTS},
    segments={"eco", "vip"},
    contents={"eco-banner", "sale"},
    tags={"eco"},
    campaigns={"welcome"},
    events={"purchase": {"price": Fact("price", "number"), "category": Fact("category", "text")}, "view": None},
    attributes={"price": Fact("price", "number"), "kind": Fact("kind", "text")},
)


def problems(text: str) -> list[Problem]:
    return check(parse(text), CATALOGUE)


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("agee > 3", 1, 'There is no fact "agee".', 'Did you mean "age"?'),
        ("AGE > 3", 1, 'There is no fact "AGE".', 'Did you mean "age"?'),
        ("city = Berlin", 8, 'There is no fact "Berlin".', 'For the text write "Berlin".'),
        ("age > agee", 7, 'There is no fact "agee".', 'Did you mean "age"?'),
        ('IN SEGMENT "ecoo"', 12, 'There is no segment "ecoo".', 'Did you mean "eco"?'),
        ('customer_segment = "vipp"', 20, 'There is no segment "vipp".', 'Did you mean "vip"?'),
        ('segments IN ("eco", "vipp")', 14, 'There is no segment "vipp".', 'Did you mean "vip"?'),
        ("COUNT(purchas) > 1", 1, 'There is no event "purchas".', 'Did you mean "purchase"?'),
        ("SUM(purchase.prices) > 1", 1, 'There is no property of purchase "prices".', 'Did you mean "price"?'),
        ("COUNT(purchase WHERE pricy > 5) > 1", 22, 'There is no property "pricy".', 'Did you mean "price"?'),
        ("SUM(purchase.category) > 1", 1, "category is a text; SUM needs a number.", "Take COUNT"),
        ("COUNT(purchase WHERE category = 5) > 1", 33, "category is a text; 5 is a number.", 'in quotes: "5"'),
        ('COUNT(view WHERE anything = 1) = "3"', 34, 'is a number; "3" is a text.', "Write 3 without quotes."),
        ("LAST(purchase.category) > 5", 27, "is a text; 5 is a number.", 'Write it in quotes: "5".'),
        ('age CONTAINS "x"', 1, "age is a number; CONTAINS does not ask about that.", "Take one of =, <"),
        ('tags > "a"', 1, "tags is a list of texts; > does not ask about that.", "CONTAINS"),
        ("vip > TRUE", 1, "vip is TRUE or FALSE; > does not ask about that.", "Take one of =, IN"),
        ('age = "5"', 7, 'age is a number; "5" is a text.', "Write 5 without quotes."),
        ("name = 5", 8, "name is a text; 5 is a number.", 'Write it in quotes: "5".'),
        ('vip = "yes"', 7, 'vip is TRUE or FALSE; "yes" is a text.', "Write TRUE."),
        ("vip = 0", 7, "vip is TRUE or FALSE; 0 is a number.", "Write FALSE."),
        ('signup > "2024-01-01"', 10, "signup is a date;", "Write 2024-01-01 without quotes."),
        ("signup > 5", 10, "signup is a date; 5 is a number.", "30 DAYS AGO"),
        ("app >= 2.1", 8, "app is a version; 2.1 is a number.", 'Write VERSION "2.1".'),
        ('app = "2.1.0"', 7, "app is a version;", 'Write VERSION "2.1.0".'),
        ("tags = 5", 8, "tags is a list of texts; 5 is a number.", 'Write it in quotes: "5".'),
        ('sizes CONTAINS "5"', 16, "sizes is a list of numbers;", "Write 5 without quotes."),
        ("age = name", 7, "age is a number; name is a text.", "Compare it with a number."),
        ("app < app", 7, "app and app are each a version; < takes two facts as texts.", "VERSION"),
        ("app IN (app, 2.1.0)", 9, "are each a version; IN takes two facts as texts.", "VERSION"),
        ("signup = signup", 10, "signup and signup are each a date; = takes", "BEFORE, AFTER or ON"),
        ("city = null", 8, 'There is no fact "null".', "use IS MISSING"),
        ("age != NaN", 8, 'There is no fact "NaN".', "use IS MISSING"),
        ("age = 5 IGNORING CASE", 1, "only texts have a case to ignore.", "Leave out IGNORING CASE."),
        ('age BETWEEN 1 AND "2"', 13, 'age is a number; "2" is a text.', "Write 2 without quotes."),
        ('IF vip = TRUE THEN SHOW "eco-baner"', 25, 'There is no content "eco-baner".', '"eco-banner"'),
        ('IF vip = TRUE THEN HIDE TAGGED "ecoo"', 32, 'There is no tag "ecoo".', 'Did you mean "eco"?'),
        ('IF vip = TRUE THEN STOP ELSE START CAMPAIGN "welcom"', 30, "There is no campaign", '"welcome"'),
        ("IF vip = TRUE THEN HIDE WHERE pric > 3", 31, 'There is no attribute "pric".', '"price"'),
        ('IF vip = TRUE THEN HIDE WHERE price = "3"', 39, "price is a number;", "Write 3 without quotes."),
        ("IF vip = TRUE THEN HIDE WHERE CHANCE 5%", 31, "WHERE asks about contents", "Put it behind IF."),
        ("IF vip = TRUE THEN HIDE WHERE COUNT(view) > 1", 31, "WHERE asks about contents", "Put it behind IF."),
    ],
)  # fmt: skip
def test_it_refuses_what_cannot_be_meant(text: str, column: int, message: str, hint: str) -> None:
    found = [problem for problem in problems(text) if problem.severity == "error"]
    assert len(found) == 1
    assert found[0].column == column
    assert message in found[0].message
    assert hint in (found[0].hint or "")
    assert found[0].end_column > found[0].column


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age > 30 AND age < 20", "age > 30 and age < 20 are never true together."),
        ("age BETWEEN 5 AND 3", "age BETWEEN 5 AND 3 is never true."),
        ('city = "Berlin" AND city = "Paris"', "are never true together."),
        ('city = "Berlin" AND NOT city IN ("Paris", "Berlin")', "are never true together."),
        ('tags = "a" AND tags != "a"', "are never true together."),
        ("vip = TRUE AND vip = FALSE", "are never true together."),
        ("age > 3 AND age IS MISSING", "are never true together."),
        ("CHANCE 10% AND NOT CHANCE 20%", "are never true together."),
        ("CHANCE 0%", "CHANCE 0% is never true."),
        ("signup ON 2024-01-01 AND signup > 2024-01-02", "are never true together."),
        ("signup WITHIN LAST 3 DAYS AND signup < 5 DAYS AGO", "are never true together."),
        ('(age > 5 AND city = "Paris" OR age > 7) AND age < 3', "never true"),
        ("age = 1 OR NOT age = 1", "true for everybody"),
        ("age IS MISSING OR age IS PRESENT", "true for everybody"),
        ('city = "Berln"', 'city is not known to be "Berln".'),
        ('IF age > 3 THEN SHOW "sale", HIDE "sale"', "contradict each other"),
        ('IF age > 3 THEN BOOST TAGGED "eco" BY 2, BURY TAGGED "eco" BY 2', "contradict each other"),
        ('IF age > 3 THEN PIN "sale" AT 1, PIN "eco-banner" AT 1', "want the same position"),
        ('IF age > 3 THEN ONLY "sale", ONLY "eco-banner"', "leave nothing"),
        ('IF age > 3 THEN SHOW "sale", SHOW "sale"', "said twice"),
        ("IF age > 3 THEN STOP ELSE STOP", "THEN and ELSE say the same"),
    ],
)
def test_it_warns_of_what_can_hardly_be_meant(text: str, message: str) -> None:
    found = problems(text)
    assert [problem.severity for problem in found] == ["warning"]
    assert message in found[0].message


@pytest.mark.parametrize(
    "text",
    [
        "age > 3",
        'tags = "a" AND tags = "b"',
        "CHANCE 20% AND NOT CHANCE 10%",
        'CHANCE 20% FOR "a" AND NOT CHANCE 30% FOR "b"',
        "age != 5 OR age = 5",
        "signup WITHIN LAST 3 DAYS AND signup < 1 DAY AGO",
        'city = "BERLIN" IGNORING CASE',
        'LAST(view.anything) = 5 AND COUNT(view.anything) > 1',
        "app >= 2.1.0 AND sizes CONTAINS 5 AND age < COUNT",
        'IF IN SEGMENT "eco" THEN SHOW "sale", BOOST TAGGED "eco" BY 2, START CAMPAIGN "welcome" ELSE STOP',
        'IF customer_segment = "eco" AND recent_purchase_in_category = "x" THEN HIDE WHERE kind = "toy"',
    ],
)  # fmt: skip
def test_it_has_nothing_to_say_about_good_ones(text: str) -> None:
    catalogue = Catalogue(
        facts={**CATALOGUE.facts, "COUNT": Fact("COUNT", "number")},
        segments=CATALOGUE.segments, contents=CATALOGUE.contents, tags=CATALOGUE.tags,
        campaigns=CATALOGUE.campaigns, events=CATALOGUE.events, attributes=CATALOGUE.attributes,
    )  # fmt: skip
    assert check(parse(text), catalogue) == []


def test_what_the_catalogue_does_not_list_is_not_checked() -> None:
    node = parse(
        'IF IN SEGMENT "x" AND COUNT(y) > 1 THEN SHOW "z", HIDE TAGGED "t", START CAMPAIGN "c", HIDE WHERE w = 1'
    )
    assert check(node, Catalogue()) == []


def test_it_finds_facts_that_no_customer_has() -> None:
    frame = pl.DataFrame({"age": [1, 2], "name": pl.Series([None, None], dtype=pl.String)})
    found = check(parse('age > 1 AND name = "x" AND COUNT(view) > 1'), CATALOGUE, frame)
    assert [problem.message for problem in found] == [
        "None of the 2 customers has name.",
        "None of the 2 customers has COUNT(view).",
    ]


def test_problems_come_in_the_order_of_the_text_with_their_lines() -> None:
    found = problems('IF agee > 1\n  AND citty = "x"\nTHEN SHOW "nothing"')
    assert [(problem.line, problem.column) for problem in found] == [(1, 4), (2, 7), (3, 11)]


def test_a_fact_of_no_known_type_is_refused() -> None:
    with pytest.raises(ValueError, match="take one of text, number"):
        Fact("x", "string")


@examples(300)
@given(st.data(), conditions, conditions)
def test_nothing_is_proved_that_is_not_so(data: st.DataObject, one: Condition, other: Condition) -> None:
    facts = data.draw(facts_for([one, other]))
    holds, holds_other = matches(one, facts, NOW), matches(other, facts, NOW)
    assert not (never(one) and holds)
    assert not (always(one) and not holds)
    assert not (covers(one, other) and holds_other and not holds)
