"""Where events happened, in tables or one by one, comes in; the device and place last told and the usual ones come out.

Days are whole days in UTC: a day is in a window of n days when it is today or one of the n − 1 days before.
"""

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import polars as pl

from decisioning.customers.facts.contexts import UNITS, Where, read_context
from decisioning.customers.facts.measures import DAY
from decisioning.customers.facts.state import Sight, State

LASTING: Final = 90
"""For how many days devices and countries are kept."""
Told = tuple[tuple[tuple[int, tuple[str, ...]], ...], str, str]

# -- for one customer


@lru_cache(maxsize=4096)
def told_by(context: str) -> Told:
    """The units of `contexts.UNITS` that a context tells, by their number; the device with its system; the country."""
    where = read_context(context)
    told = [tuple(where)[unit] for unit in UNITS]
    units = tuple((number, values) for number, values in enumerate(told) if any(values))
    return units, f"{where.device}\n{where.os}" if where.device else "", where.country


def see(state: State, context: str, at: int) -> None:
    """Keep where something was done."""
    units, device, country = told_by(context)
    for number, values in units:
        _tell(state.sights, number, (at, values))
    if device:
        _be_there(state.devices, device, at // DAY)
    if country:
        _be_there(state.countries, country, at // DAY)


def _tell(sights: dict[int, Sight], number: int, sight: Sight) -> None:
    """The later one stays; of two told at once the one that sorts last."""
    mine = sights.get(number)
    if mine is None or sight > mine:
        sights[number] = sight


def _be_there(days: dict[str, list[int]], name: str, day: int) -> None:
    mine = days.get(name)
    if mine is None:
        days[name] = [day]
    elif mine[-1] < day:
        mine.append(day)
    elif day not in mine:
        insort(mine, day)


def join(whole: State, state: State) -> None:
    """Add where another state's events happened."""
    for number, sight in state.sights.items():
        _tell(whole.sights, number, sight)
    _add(whole.devices, state.devices)
    _add(whole.countries, state.countries)


def _add(days: dict[str, list[int]], others: Mapping[str, list[int]]) -> None:
    for name, other in others.items():
        days[name] = sorted({*days.get(name, ()), *other})


def forget(days: dict[str, list[int]], now: int) -> None:
    """Drop days that have left the windows."""
    limit = now // DAY - LASTING
    for name in [name for name, mine in days.items() if mine[0] <= limit]:
        del days[name][: bisect_right(days[name], limit)]
        if not days[name]:
            del days[name]


def usual(days: Mapping[str, Sequence[int]], now: int) -> str | None:
    """The name with most days; of two with as many the first by name."""
    limit = now // DAY - LASTING
    best, most = None, 0
    for name, mine in days.items():
        number = len(mine) - bisect_right(mine, limit)
        if number > most or (number == most and best is not None and name < best):
            best, most = name, number
    return best


def by_kind(devices: Mapping[str, list[int]]) -> dict[str, list[int]]:
    """Days with each kind of device, whatever its system, rising."""
    found: dict[str, list[int]] = {}
    for name, days in devices.items():
        kind = name.partition("\n")[0]
        found[kind] = sorted({*found[kind], *days}) if kind in found else days
    return found


# -- for everybody


def read_contexts(texts: Sequence[str | None]) -> pl.DataFrame:
    """A column for each part of `Where`, a row a text; null for what is not told."""
    found = [read_context(text or "{}") for text in texts]
    columns = zip(*found, strict=True) if found else [[] for _ in Where._fields]
    frame = pl.DataFrame(
        dict(zip(Where._fields, map(list, columns), strict=True)), dict.fromkeys(Where._fields, pl.String)
    )
    return frame.with_columns(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in Where._fields)


def last_told(contexts: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """A row a customer with what was last told of these columns, unit by unit.

    Of `contexts` age is asked, beside what `history.Prepared` says.
    """
    frame = contexts.select("customer_id").unique()
    for unit in UNITS:
        names = list(Where._fields[unit])
        if not set(names) & set(columns):
            continue
        known = contexts.filter(pl.any_horizontal(pl.col(names).is_not_null()))
        latest = known.group_by("customer_id").agg(latest=pl.col("age").min())
        rows = known.join(latest, on="customer_id").filter(pl.col("age") == pl.col("latest"))
        rows = rows.select("customer_id", *names).sort(names, nulls_last=False)
        frame = frame.join(rows.unique("customer_id", keep="last", maintain_order=True), on="customer_id", how="left")
    return frame


def days_with(contexts: pl.DataFrame, name: str) -> pl.DataFrame:
    """A row a customer and value of `device` or `country`: on how many days, and systems met in the last 30.

    Of `contexts` day_age is asked: whole days (UTC) before today.
    """
    rows = contexts.filter((pl.col("day_age") < LASTING) & pl.col(name).is_not_null())
    systems = pl.col("os").filter(pl.col("day_age") < 30).n_unique().cast(pl.Int64)
    days = pl.col("day_age").n_unique().cast(pl.Int64)
    return rows.group_by("customer_id", name).agg(days=days, **({"systems": systems} if name == "device" else {}))
