"""What a customer did, with which device and where, comes in; a formula for each fact about it comes out."""

from collections.abc import Iterator

import polars as pl

from decisioning.customers.facts.contexts import DEVICES, UNITS, Where
from decisioning.customers.facts.formulas import BuiltIn, One, Source, number
from decisioning.customers.facts.measures import WINDOWS, days, days_of, ratio, ratio_of, within
from decisioning.customers.facts.moving import Ageing, When, leaving, leaving_days, stepping, summed
from decisioning.customers.facts.seen import MINUTE, Seen
from decisioning.customers.facts.state import moment_text


def visit_ends(seen: Seen) -> list[int]:
    return seen.visit_ends


def session_ends(seen: Seen) -> list[int]:
    return seen.session_ends


def visits_in(days: int | None) -> One:
    return lambda seen: seen.visits[days]


def activity_facts() -> Iterator[BuiltIn]:
    """How often and how long ago the customer was here at all."""
    source = Source.DAYS
    text = "Days with any activity of the customer."
    yield number("visits", "Visits", text, source, pl.len().cast(pl.Int64), visits_in(None), 0)
    for span in WINDOWS:
        label, text = f"Visits in {span} days", f"Days with activity in the last {span}."
        how, when = within(span).sum(), summed(visit_ends, span)
        yield number(f"visits_{span}d", label, text, source, how, visits_in(span), 0, when)
    tenure = days(pl.col("first_age").max())
    text = "Days since the first activity."
    yield number(
        "tenure_days", "Known for (days)", text, source, tenure, _tenure, when=Ageing(lambda seen: seen.state.first)
    )


def _tenure(seen: Seen) -> float | None:
    first = seen.state.first
    return None if first is None else days_of(seen.now - first)


# -- sessions


def sessions_in(days: int) -> One:
    return lambda seen: seen.sessions[days]


def session_facts() -> Iterator[BuiltIn]:
    """How often the customer came, stayed and did; a session ends after half an hour without activity."""
    source, quarter = Source.SESSIONS, within(90)
    for span in WINDOWS:
        label, text = f"Sessions in {span} days", f"Sessions that ended in the last {span} days."
        how, when = within(span).sum(), summed(session_ends, span)
        yield number(f"sessions_{span}d", label, text, source, how, sessions_in(span), 0, when)
    text = "Mean length of the sessions of the last 90 days; missing without one."
    how = ratio(pl.col("length").filter(quarter).sum(), quarter.sum().cast(pl.Int64) * MINUTE)
    when = stepping(_length, leaving(session_ends, 90))
    yield number("session_minutes", "Minutes a session", text, source, how, _length, when=when)
    text = "Mean number of events in the sessions of the last 90 days; missing without one."
    how = ratio(pl.col("events").filter(quarter).sum(), quarter.sum())
    when = stepping(_depth, leaving(session_ends, 90))
    yield number("session_events", "Events a session", text, source, how, _depth, when=when)
    text = "When the last session ended: the last activity."
    last = pl.col("end").max()
    yield BuiltIn(
        "last_session_at", "date", "Last session", text, source, last, lambda seen: moment_text(seen.state.last)
    )


def _length(seen: Seen) -> float | None:
    number, length, _ = seen.stays
    return ratio_of(length, number * MINUTE)


def _depth(seen: Seen) -> float | None:
    number, _, events = seen.stays
    return ratio_of(events, number)


# -- devices and places


def device_facts() -> Iterator[BuiltIn]:
    """What the customer uses."""
    for name, label in (("device", "device"), ("os", "operating system"), ("browser", "browser")):
        text = f"The {label} of the last activity that told one."
        yield _last(name, f"last_{name}", f"Last {label}", text, DEVICES if name == "device" else ())
    text = "Different devices, told apart by kind and operating system, in the last 30 days (UTC)."
    when = stepping(_systems, leaving_days(lambda seen: [mine[-1:] for mine in seen.state.devices.values()], 30))
    how = pl.col("systems").sum()
    yield number("devices_30d", "Devices in 30 days", text, Source.DEVICES, how, _systems, 0, when)
    text = "The kind of device on most days of the last 90; of two on as many the first by name."
    when = stepping(Seen.usual_device, leaving_days(lambda seen: seen.state.devices.values(), 90))
    yield _usual("device", Source.DEVICES, text, Seen.usual_device, when, DEVICES)


def place_facts() -> Iterator[BuiltIn]:
    """Where the customer is, as the events told."""
    for name in ("country", "region", "city"):
        text = f"The {name} of the last activity that told a place; missing when it told none."
        yield _last(name, f"last_{name}", f"Last {name}", text)
    text = "The country on most days of the last 90; of two on as many the first by name."
    when = stepping(Seen.usual_country, leaving_days(lambda seen: seen.state.countries.values(), 90))
    yield _usual("country", Source.COUNTRIES, text, Seen.usual_country, when)
    for name, label in (("locale", "language"), ("time_zone", "time zone")):
        yield _last(name, f"last_{name}", f"Last {label}", f"The {label} of the last activity that told one.")


def _last(column: str, name: str, label: str, text: str, values: tuple[str, ...] = ()) -> BuiltIn:
    place = Where._fields.index(column)
    number, unit = next((number, unit) for number, unit in enumerate(UNITS) if unit.start <= place < unit.stop)
    within_unit, how = place - unit.start, pl.col(column).first()

    def one(seen: Seen) -> str | None:
        return seen.told(number, within_unit)

    return BuiltIn(name, "text", label, text, Source.PLACES, how, one, values=values)


def _usual(column: str, source: Source, text: str, one: One, when: When, values: tuple[str, ...] = ()) -> BuiltIn:
    how = pl.col(column).sort_by(["days", column], descending=[True, False]).first()
    name = f"usual_{column}"
    return BuiltIn(name, "text", f"Usual {column}", text, source, how, one, when=when, values=values)


def _systems(seen: Seen) -> int:
    return seen.systems(30)
