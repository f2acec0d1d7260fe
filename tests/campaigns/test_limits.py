"""Templates that try to hang or fill the process: each ends at once with an error, within the meter."""

import tracemalloc
from contextlib import suppress

import pytest
from liquid.exceptions import LiquidError, ResourceLimitError

from campaigns.limits import OUTPUT_BYTES, WORK
from campaigns.rendering import RenderingError, render
from campaigns.templates import HTML, TemplateProblem, parse

BIG = "x" * 10_000


def fill(template: str, **variables: object) -> str:
    return parse(template, True).render(variables)


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in (1..3000000) %}{% endfor %}",
        "{% for i in (1..3000000) offset: 2999998 %}{% endfor %}",
        "{% for i in (1..3000000) reversed %}{% endfor %}",
        "{% tablerow i in (1..3000000) offset: 2999990 %}{% endtablerow %}",
        "{% for i in (1..1000) %}{% for j in (1..1000) %}{% endfor %}{% endfor %}",
        "{% for i in (1..2000) %}{% endfor %}" * 6,
        "{% for i in (1..2000) %}{{ big }}{% endfor %}",
        "{% for i in (1..2000) %}{% capture x %}{{ big }}{% endcapture %}{% endfor %}",
        "{% for i in (1..2000) %}{% ifchanged %}{{ big }}{% endifchanged %}{% endfor %}",
        "{% assign a = big %}{% for i in (1..99) %}{% assign a = a | append: a %}{% endfor %}",
        "{% assign a = big %}{% for i in (1..99) %}{% assign a = a | prepend: a %}{% endfor %}",
        "{{ big | replace: 'x', big | size }}",
        "{{ big | replace: '', big | size }}",
        "{{ big | split: '' | join: big | size }}",
        "{{ big | split: '' | uniq | size }}",
        "{% assign l = big | split: '' %}{% for i in (1..99) %}{% assign l = l | concat: l %}{% endfor %}",
        "{% for i in (1..2000) %}{{ big | upcase | size }}{% endfor %}",
    ],
)
def test_it_stops_what_runs_away(template: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ResourceLimitError):
            fill(template, big=BIG)
        # Fifty times the meter is far below what any of these would make without it.
        assert tracemalloc.get_traced_memory()[1] < 50 * WORK
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "template",
    [
        "{% if (1..3000000) contains 'x' %}{% endif %}",
        "{% assign r = (1..3000000) %}{% if r contains 'x' %}{% endif %}",
        "{{ (1..3000000) | join: ',' }}",
        "{{ customer.name | default: (1..3000000) }}",
        "{% for c in contents limit: (1..9) %}{% endfor %}",
        "{% cycle (1..3000000) %}",
        "{% echo (1..3000000) | reverse %}",
        "{% case (1..9) %}{% when 1 %}{% endcase %}",
    ],
)
def test_a_range_stands_only_in_a_loop(template: str) -> None:
    with pytest.raises(TemplateProblem, match="a range may stand only in a for loop"):
        parse(template, True)


def test_whole_numbers_stay_short() -> None:
    with pytest.raises(LiquidError, match="too long"):
        fill("{% assign a = 9 %}{% for i in (1..60) %}{% assign a = a | times: a %}{% endfor %}")
    assert fill("{{ 9 | times: 9 }}") == "81"


def test_dates_stay_short() -> None:
    with pytest.raises(LiquidError, match="at most"):
        fill("{{ now | date: big }}", now="2018-01-01", big="%Y" * 60)
    with pytest.raises(LiquidError, match="at most"):
        fill("{{ big | date: '%Y' }}", big=BIG)


def test_broken_html_is_stripped_in_one_pass() -> None:
    text = fill("{{ name | strip_html }}", name="<b>Ann</b> <!-- no --> & <a " + "<a " * 5_000)
    assert text.startswith("Ann  no  &amp; &lt;a")


def test_a_rendering_has_its_own_meter() -> None:
    template = "{{ big | upcase }}" * 20
    assert [len(fill(template, big=BIG)) for _ in range(3)] == [200_000] * 3


def test_an_ordinary_newsletter_is_far_from_the_limits() -> None:
    row = '<tr><td style="padding:8px">{{ c.title | escape | truncate: 60 }}</td><td>{{ c.price }}</td></tr>'
    body = "<table>{% for c in contents %}" + row + "{% endfor %}</table>" + "<p>words</p>" * 5_000
    contents = [{"title": "Carrots & peas " * 10, "price": 1.5}] * 100
    text = parse(body, True).render(contents=contents)
    assert len(text) < OUTPUT_BYTES and text.count("<tr>") == 100


def test_nothing_of_python_is_reachable() -> None:
    for path in (
        "customer.__class__",
        "customer['__class__']",
        "customer.keys",
        "now.year",
        "customer.name.upper",
    ):
        assert fill("[{{ " + path + " }}]", customer={"name": "Ann"}) == "[]"


@pytest.mark.parametrize("name", sorted(HTML.filters))
def test_no_filter_lets_a_customers_html_through(name: str) -> None:
    evil = "<script>alert(1)</script>"
    variables = {"customer": {"name": evil}, "contents": [{"title": evil}], "list": [evil, evil]}
    inputs = ("customer.name", "'x'", "list", "contents", "'<b>'", "'%3Cscript%3E'", "'PHNjcmlwdD4='")
    for left in inputs:
        for arguments in ("", ": customer.name", ": 'x', customer.name", ": customer.name, 'x'", ": 'title'"):
            template = "{{ " + f"{left} | {name}{arguments}" + " }}"
            with suppress(RenderingError):
                assert "<script" not in render("x", template, variables).html
