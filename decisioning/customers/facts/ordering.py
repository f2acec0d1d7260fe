"""The properties of an order come in; what a state keeps of it comes out, with names as numbers."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from decisioning.customers.facts.measures import believed, units_of
from decisioning.customers.facts.properties import Line, read_order
from decisioning.customers.facts.state import Bought

Row = tuple[int, int, int, int]


def bought(properties: str, at: int, words: list[str]) -> Bought:
    """The order at that time (microseconds); names that are new are added to `words`."""
    order = read_order(properties)
    known = (believed(amount) for amount in (order.total, order.revenue, order.value))
    total = next((amount for amount in known if amount is not None), None)
    lines = order.products or ()
    return Bought(
        at,
        units_of(total),
        units_of(order.discount),
        units_of(order.coupon_discount),
        len(lines),
        _rows(lines, words),
    )


def _rows(lines: Sequence[Line], words: list[str]) -> list[Row]:
    """What was paid for what; lines of the same things as one, lines of nothing known left out."""
    paid: dict[tuple[str | None, str | None, str | None], int] = {}
    for line in lines:
        things = (line.department, line.category, line.brand)
        paid[things] = paid.get(things, 0) + _amount(line)
    paid.pop((None, None, None), None)
    numbers = _Numbers(words)
    return [
        (numbers[department], numbers[category], numbers[brand], amount)
        for (department, category, brand), amount in paid.items()
    ]


def _amount(line: Line) -> int:
    """A missing quantity is one, a missing price is nothing paid."""
    price, quantity = believed(line.price), believed(line.quantity)
    return units_of((0.0 if price is None else price) * (1.0 if quantity is None else quantity))


class _Numbers(dict[str | None, int]):
    """The position of each word in the list, at the end of which a new one is put; −1 for none."""

    def __init__(self, words: list[str]) -> None:
        super().__init__(zip(words, range(len(words)), strict=True))
        self.words = words
        self[None] = -1

    def __missing__(self, word: str) -> int:
        self.words.append(word)
        self[word] = len(self.words) - 1
        return self[word]


def renumbered(orders: Iterable[Bought], words: Sequence[str], others: list[str]) -> list[Bought]:
    """Copies of the orders, with what they name in `words` put into `others`."""
    numbers, named = _Numbers(others), [*words, None]  # −1 is the last one
    return [
        replace(
            order,
            lines=[
                (numbers[named[department]], numbers[named[category]], numbers[named[brand]], amount)
                for department, category, brand, amount in order.lines
            ],
        )
        for order in orders
    ]


def tidied(orders: Iterable[Bought], words: Sequence[str]) -> tuple[list[Bought], list[str]]:
    """The orders and the words, without those that no order names."""
    kept: list[str] = []
    return renumbered(orders, words, kept), kept
