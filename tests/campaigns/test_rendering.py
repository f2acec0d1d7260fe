"""One message's subject, HTML and plain text, and the reasons for which there is none."""

from datetime import UTC, datetime

import pytest

from campaigns.rendering import LONGEST_SUBJECT, RenderingError, plain_text, render


def test_it_fills_subject_and_body() -> None:
    made = render(
        "Hi {{ customer.name }}",
        "<h1>{{ contents[0].title }}</h1>{% for c in contents %}<li>{{ c.title }}</li>{% endfor %}",
        {"customer": {"name": "Ann"}, "contents": [{"title": "Eco & more"}, {"title": "Tea"}]},
    )
    assert made.subject == "Hi Ann"
    assert made.html == "<h1>Eco &amp; more</h1><li>Eco &amp; more</li><li>Tea</li>"
    assert made.text == "Eco & more\n\n- Eco & more\n- Tea"


def test_a_missing_variable_is_empty_or_its_default() -> None:
    made = render("Hi {{ customer.name | default: 'friend' }}", "[{{ customer.a.b.c }}]{{ contents[7].x }}", {})
    assert (made.subject, made.html) == ("Hi friend", "[]")


def test_values_are_escaped_in_the_body_and_plain_in_the_subject() -> None:
    made = render("{{ customer.name }}", "<p>{{ customer.name }}</p>", {"customer": {"name": "<b>Ann & Bob</b>"}})
    assert made.subject == "<b>Ann & Bob</b>"
    assert made.html == "<p>&lt;b&gt;Ann &amp; Bob&lt;/b&gt;</p>"
    assert made.text == "<b>Ann & Bob</b>"


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\0", "\x1c"])
def test_no_line_break_gets_into_a_subject(line_break: str) -> None:
    made = render("Hi {{ customer.name }}", "x", {"customer": {"name": f"Ann{line_break}Bcc: eve@x.example"}})
    assert made.subject == "Hi Ann Bcc: eve@x.example"


def test_a_long_subject_fits_its_column() -> None:
    assert len(render("{{ customer.name }}", "x", {"customer": {"name": "a" * 5_000}}).subject) == LONGEST_SUBJECT


def test_an_empty_subject_is_an_error_with_its_cure() -> None:
    with pytest.raises(RenderingError, match="give its variables a `default`"):
        render("{{ customer.name }}", "x", {})


def test_a_nul_never_reaches_the_database() -> None:
    assert render("a", "<p>{{ '%00' | url_decode }}b</p>", {}).html == "<p>b</p>"


def test_the_moment_is_the_one_it_is_given() -> None:
    now = datetime(2018, 1, 1, 12, tzinfo=UTC)
    made = render(
        "{{ 'now' | date: '%Y' }}",
        "{{ now | date: '%d %B %Y' }}, {{ 'today' | date: '%H:%M' }}",
        {"now": now},
    )
    assert (made.subject, made.html) == ("2018", "01 January 2018, 12:00")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{{ customer.name", "The body is not a template: line 1: `{{` is never closed"),
        ("{{ customer.name | nofilter }}", "unknown filter 'nofilter'"),
        ("{{ 1 | divided_by: customer.visits }}", "can't divide by 0"),
        ("{% for i in (1..99999) %}{% endfor %}", "may not go past item"),
        ("{{ 'x' | base64_decode }}", "The body cannot be filled"),
        ("{{ '////' | base64_decode }}", "The body cannot be filled: UnicodeDecodeError"),
    ],
)
def test_a_body_that_cannot_be_filled_says_why(body: str, reason: str) -> None:
    with pytest.raises(RenderingError) as caught:
        render("a", body, {"customer": {"visits": 0}})
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<p>a</p>\n\n<p>b  c\n d</p>", "a\n\nb c d"),
        ('<a href="https://x.example/?a=1&amp;b=2">Shop</a> now', "Shop (https://x.example/?a=1&b=2) now"),
        ("<A HREF='/x'>Shop</A><a href='#top'>up</a><a>no</a>", "Shop (/x)upno"),
        ("<head><title>t</title><style>p{}</style></head><body>b<script>1<2</script></body>", "b"),
        ("a<!-- <p>hidden</p> -->b<!-- open", "ab"),
        ("<ul><li>x</li><li>y</li></ul>z", "- x\n- y\n\nz"),
        ("1 &lt; 2 &amp;&nbsp;3 < 4", "1 < 2 & 3 < 4"),
        ("<td>a</td><td>b</td>", "ab"),
        ("", ""),
    ],
)
def test_html_becomes_text(html: str, text: str) -> None:
    assert plain_text(html) == text


def test_broken_html_becomes_text_in_one_pass() -> None:
    for part in ("<a ", "<!--", '<a b="', "</", "<![CDATA[", "<p>"):
        assert isinstance(plain_text(part * 50_000), str)
