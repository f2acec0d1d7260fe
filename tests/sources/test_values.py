"""One cell at a time: what it means, and what is said where it means nothing."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from decisioning.sources.values import How, Misfit, reader

BERLIN = ZoneInfo("Europe/Berlin")


def read(value: Any, kind: str = "auto", **how: Any) -> Any:
    return reader(How(kind, **how))(value)


@pytest.mark.parametrize("cell", ["", "  ", "NULL", "null", "\\N", "NaN", "#N/A", None, float("nan")])
def test_missing_is_none(cell: object) -> None:
    assert read(cell) is None


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        ("42", 42),
        ("-3", -3),
        ("4.50", 4.5),
        ("51.18216247002567", 51.18216247002567),
        ("1e-05", 1e-05),
        ("0", 0),
        (" 7 ", 7),
        ("TRUE", True),
        ("false", False),
        # A postcode, a card number, a phone number, a grouped number of either half of the world.
        ("01234", "01234"),
        ("4111111111111111", "4111111111111111"),
        ("+4930123", "+4930123"),
        ("1,234", "1,234"),
        ("1E5", "1E5"),
        ("infinity", "infinity"),
        ("1_000", "1_000"),
    ],
)
def test_a_number_is_one_only_where_it_can_mean_nothing_else(cell: str, meant: object) -> None:
    assert read(cell) == meant
    assert type(read(cell)) is type(meant)


@pytest.mark.parametrize(("cell", "meant"), [("1,5", 1.5), ("1.234,56", 1234.56), ("1.234", 1234), ("1.5", "1.5")])
def test_a_decimal_comma_is_told_by_the_mapping(cell: str, meant: object) -> None:
    assert read(cell, decimal=",") == meant


@pytest.mark.parametrize(
    ("cell", "decimal", "meant"),
    [
        ("1,234,567.5", ".", 1234567.5),
        ("1'234.5", ".", 1234.5),
        ("1 234,5", ",", 1234.5),
        ("1\u202f234,5", ",", 1234.5),
        ("012", ".", 12),
        (".5", ".", 0.5),
        ("1,234.567", ".", 1234.567),
        (Decimal("9.90"), ".", 9.9),
        (True, ".", 1),
    ],
)
def test_a_column_of_numbers_may_be_grouped(cell: object, decimal: str, meant: float) -> None:
    assert read(cell, "number", decimal=decimal) == meant


@pytest.mark.parametrize("cell", ["12,5", "1.5.2", "inf", "1e999", "12 EUR", "9" * 30, "0x1f", [], float("inf")])
def test_what_is_no_number_is_refused_with_the_cure(cell: object) -> None:
    with pytest.raises(Misfit, match="kind"):
        read(cell, "number")


def test_a_point_where_commas_are_decimal_is_not_guessed() -> None:
    with pytest.raises(Misfit, match="decimal sign"):
        read("12.5", "number", decimal=",")


@pytest.mark.parametrize(
    ("cell", "meant"), [(42, "42"), (42.0, "42"), (Decimal("7"), "7"), (b"a-1", "a-1"), ("007", "007"), (4.5, "4.5")]
)
def test_text_keeps_what_identifiers_need(cell: object, meant: str) -> None:
    assert read(cell, "text", typed=True) == meant


@pytest.mark.parametrize("cell", [{"a": 1}, [1], True, b"\xff\xfe"])
def test_what_is_no_text_is_refused(cell: object) -> None:
    with pytest.raises(Misfit):
        read(cell, "text", typed=True)


@pytest.mark.parametrize(
    ("cell", "how", "meant"),
    [
        ("2024-05-31T18:04:00Z", {}, datetime(2024, 5, 31, 18, 4, tzinfo=UTC)),
        ("2024-05-31 18:04:00.5+02", {}, datetime(2024, 5, 31, 16, 4, 0, 500_000, tzinfo=UTC)),
        ("2024-05-31 18:04:00 UTC", {}, datetime(2024, 5, 31, 18, 4, tzinfo=UTC)),
        ("2024-05-31", {"zone": BERLIN}, datetime(2024, 5, 30, 22, tzinfo=UTC)),
        ("20240531", {}, datetime(2024, 5, 31, tzinfo=UTC)),
        ("31.05.2024 18:04", {"format": "%d.%m.%Y %H:%M", "zone": BERLIN}, datetime(2024, 5, 31, 16, 4, tzinfo=UTC)),
        ("1717178640", {}, datetime(2024, 5, 31, 18, 4, tzinfo=UTC)),
        ("1717178640000", {}, datetime(2024, 5, 31, 18, 4, tzinfo=UTC)),
        (1717178640000000, {}, datetime(2024, 5, 31, 18, 4, tzinfo=UTC)),
        ("5", {"format": "epoch_s"}, datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)),
        ("45443.75", {"format": "excel"}, datetime(2024, 5, 31, 18, tzinfo=UTC)),
        ("45443,75", {"format": "excel", "zone": BERLIN}, datetime(2024, 5, 31, 16, tzinfo=UTC)),
        (date(2024, 5, 31), {}, datetime(2024, 5, 31, tzinfo=UTC)),
        (datetime(2024, 5, 31, 18, 4), {"zone": BERLIN}, datetime(2024, 5, 31, 16, 4, tzinfo=UTC)),
        # Clocks were set back at 3:00; the first 2:30 is summer time.
        ("2024-10-27 02:30", {"zone": BERLIN}, datetime(2024, 10, 27, 0, 30, tzinfo=UTC)),
    ],
)
def test_moments_are_read_in_every_usual_form(cell: object, how: dict[str, Any], meant: datetime) -> None:
    assert read(cell, "moment", **how) == meant


@pytest.mark.parametrize(
    ("cell", "cure"),
    [
        ("45443.75", "excel"),
        ("31/05/2024", "format"),
        ("yesterday", "ISO 8601"),
        (True, "not a moment"),
        ("9" * 40, "format"),
    ],
)
def test_an_unclear_moment_is_refused_with_the_cure(cell: object, cure: str) -> None:
    with pytest.raises(Misfit, match=cure):
        read(cell, "moment")


@pytest.mark.parametrize(("cell", "meant"), [("yes", True), ("0", False), ("T", True), (1.0, True), (False, False)])
def test_yes_and_no(cell: object, meant: bool) -> None:
    assert read(cell, "boolean") is meant


def test_a_doubtful_yes_is_refused() -> None:
    with pytest.raises(Misfit, match="true or false"):
        read("perhaps", "boolean")


@pytest.mark.parametrize(
    ("cell", "meant"),
    [("a, b,,c", ["a", "b", "c"]), ("a|b, c", ["a", "b, c"]), ('["a", 1]', ["a", 1]), (["x"], ["x"])],
)
def test_lists(cell: object, meant: list[Any]) -> None:
    assert read(cell, "list") == meant


@pytest.mark.parametrize("cell", ['{"a": 1, "a": 2}', '{"a": NaN}', '"\\u0000"', "[" * 100 + "]" * 100, "{'a': 1}"])
def test_json_is_read_as_strictly_as_at_the_doors(cell: str) -> None:
    with pytest.raises(Misfit, match="not usable as JSON"):
        read(cell, "json")
