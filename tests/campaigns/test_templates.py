"""What a marketer may save: problems name line, cause and cure, and nothing takes the form down."""

import pytest

from campaigns.templates import LONGEST_TEMPLATE, problems


@pytest.mark.parametrize(
    "template",
    [
        "plain words",
        "{{ customer.name | default: 'friend' }} {{ contents[0].title }} {{ campaign.name }}",
        "{% for content in contents %}{{ forloop.index }}. {{ content.title }}{% endfor %}",
        "{% assign first = contents | first %}{{ first.title | upcase }}",
        "{% if customer.age > 18 and customer.city contains 'o' %}a{% elsif now %}b{% else %}c{% endif %}",
        "{% case customer.tier %}{% when 'gold' %}a{% else %}b{% endcase %}",
        "{% comment %} {% if %} {% endcomment %}{% raw %}{{ not liquid {% endraw %}",
        "{%- for i in (1..3) -%}{{ i }}{%- endfor -%}",
        "{{ now | date: '%d %B' }} {{ unsubscribe_url }}",
        "{{ customer.bought | divided_by: customer.visits }}",
    ],
)
def test_it_accepts(template: str) -> None:
    assert problems(template) == []


@pytest.mark.parametrize(
    ("template", "line", "cause", "cure"),
    [
        ("Hi\n{{ customer.name", 2, "`{{` is never closed", "write `}}`"),
        ("Hi\n\n{% if customer.name", 3, "`{%` is never closed", "write `%}`"),
        ("a\n{% if now %}\nb", 2, "`{% if now %}` is never closed", "write `{% endif %}`"),
        ("{% if now %}\n{% for c in contents %}{% endif %}", 2, "`{% for c in contents %}`", "endfor"),
        ("a\n{% raw %}", 2, "`{% raw %}` is never closed", "write `{% endraw %}`"),
        ("a\n{% endif %}", 2, "unexpected tag `endif`", "open its block first"),
        ("{% assing a = 1 %}", 1, "unexpected tag `assing`", "did you mean `assign`"),
        ("{% include 'footer' %}", 1, "unexpected tag `include`", "remove it"),
        ("a\n{{ customer.name | upcas }}", 2, "no filter `upcas`", "did you mean `upcase`"),
        ("{{ customer.name | safe }}", 1, "no filter `safe`", "remove it"),
        ("a\n\n{{ custmer.name }}", 3, "no variable `custmer`", "did you mean `customer`"),
        ("a\n{% assign x %}", 2, "expected '='", "docs/campaigns.md"),
        ("a\n{{ }}", 2, "expected a primitive expression", "docs/campaigns.md"),
        ("{{ customer.name | replace }}", 1, "missing 1 required positional argument", "docs/campaigns.md"),
        ("{% assign r = (1..5) %}", 1, "a range may stand only in a for loop", "docs/campaigns.md"),
        ("{% for i in (1..9999999) %}{% endfor %}", 1, "may not go past item", "shorter"),
    ],
)
def test_it_names_line_cause_and_cure(template: str, line: int, cause: str, cure: str) -> None:
    [problem] = problems(template)
    assert problem.startswith(f"line {line}: ")
    assert cause in problem and cure in problem


def test_every_unknown_name_is_listed() -> None:
    assert len(problems("{{ a }}\n{{ b | c }}")) == 3


def test_a_subject_is_one_line() -> None:
    assert problems("Hello {{ customer.name }}", subject=True) == []
    assert problems("Hello\nBcc: all@shop.example", subject=True) == [
        "line 1: a subject is one line; remove the line breaks."
    ]


@pytest.mark.parametrize(
    "template",
    [
        "{{" * 90_000,
        "{% if" * 30_000,
        "{% raw %}" * 20_000,
        "{% comment %}" * 10_000,
        "{{" + " " * 4_000 + "}}",
        "{% if" + " " * 4_000 + "%}",
        "{{ customer" + "[customer" * 500 + "]" * 500 + " }}",
        "{% if now" + " and now" * 600 + " %}{% endif %}" + "{{",
        "x" * (LONGEST_TEMPLATE + 1),
    ],
)
def test_text_that_keeps_the_lexer_busy_for_minutes_is_refused_at_once(template: str) -> None:
    assert len(problems(template)) == 1


def test_a_nesting_too_deep_for_the_parser_is_a_problem_and_no_crash() -> None:
    deep = "{% if now" + " and now" * 600 + " %}x{% endif %}"
    assert all(problem.startswith("line 1") for problem in problems(deep))
    assert problems("{% if now %}" * 40 + "{% endif %}" * 40)[0].startswith("line ")
