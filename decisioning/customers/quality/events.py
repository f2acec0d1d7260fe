"""The event log in; what is wrong with each event, in words, out.

Of each event: how many, what came twice, late or from the future, silences and jumps, what did not fit the plan, and
what its properties hold.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.timezone import localtime

from . import log
from .contents import check_properties, columns_of
from .findings import LOOK, MEND, NOTHING, Example, Finding, Report, amount, many, percent
from .rhythm import Calendar, Counts, Gap, calendar, gaps, jumps

DAYS: Final = 91
PLAN_DAYS: Final = 7
SAMPLED: Final = 300_000  # events whose properties are looked into, all names together
EACH: Final = 5_000
MOST_NAMES: Final = 300
MUCH: Final = 0.01
TOLD: Final = 3
Tell = Callable[[int, int, str], None]


def check_events(now: datetime, tell: Tell = lambda done, of, what: None) -> list[Report]:
    """A report for each event in the log, the most frequent first; `now` is the product's time.

    `tell(done, of, what)` is called before each step.
    """
    tell(0, 1, "counting events")
    after, when = log.cut(), calendar(now, DAYS, settings.FACTS_TIME_ZONE)
    counted = log.counts(after, when.start, now)
    names = sorted(counted, key=lambda name: (-counted[name].total, name))
    steps = len(names) + 2
    tell(1, steps, "looking for duplicates")
    twice, unfit = log.duplicates(after), log.unfit(now - timedelta(days=PLAN_DAYS - 1))
    most = min(EACH, SAMPLED // max(1, min(len(names), MOST_NAMES)))
    reports = []
    for place, name in enumerate(names):
        tell(place + 2, steps, name)
        known, mine = counted[name], when.counted(counted[name].hours)
        found = [
            *_doubles(known, twice.get(name, log.Twice(0, []))),
            *_clocks(known),
            *_rhythm(mine, when),
            *_plan(unfit.get(name, [])),
        ]
        looked = 0
        if place < MOST_NAMES:
            rows = list(log.sample(name, after, most))
            looked = len(rows)
            found += check_properties(name, columns_of(rows))
        reports.append(Report("event", name, _figures(known, twice.get(name), mine, when, looked), found))
    unknown = [*_plan(unfit.get("*", []))]
    return [*reports, *([Report("event", "*", {"total": 0}, unknown)] if unknown else [])]


def _figures(
    known: log.Counted, twice: log.Twice | None, counts: Counts, when: Calendar, looked: int
) -> dict[str, Any]:
    first = int(when.days[0]) if when.size else 0
    days = [0] * (int(when.days[-1]) - first + 1 if when.size else 0)
    for number, count in zip(when.days.tolist(), counts.tolist(), strict=True):
        days[number - first] += int(count)
    return {
        "total": known.total,
        "bots": known.bots,
        "historical": known.historical,
        "late": known.late,
        "ahead": known.ahead,
        "duplicates": twice.more if twice else 0,
        "first": known.first.isoformat() if known.first else None,
        "last": known.last.isoformat() if known.last else None,
        "days": days,
        "looked": looked,
    }


def _doubles(known: log.Counted, twice: log.Twice) -> Iterator[Finding]:
    if twice.more:
        share = twice.more / known.total
        says = f"{many(twice.more, 'event')} ({percent(share)}) {'says' if twice.more == 1 else 'say'}"
        told = f"{says} what another of the same customer and second says, under a message id of its own."
        cure = "Give the same messageId when an event is sent again: then it is dropped at the door."
        examples = [Example("one of two", event=event) for event in twice.examples]
        yield Finding("duplicates", MEND if share > MUCH else LOOK, told, cure, twice.more, examples)


def _clocks(known: log.Counted) -> Iterator[Finding]:
    if known.ahead:
        told = f"{many(known.ahead, 'event')} happened later than {'it' if known.ahead == 1 else 'they'} arrived."
        cure = "The sender's clock or time zone is wrong; send sentAt too, then the clock is corrected."
        severity = MEND if known.ahead > MUCH * known.total else LOOK
        yield Finding("future", severity, told, cure, known.ahead, [Example("the newest", event=known.ahead_example)])
    if known.late:
        share = known.late / known.total
        told = f"{many(known.late, 'event')} ({percent(share)}) arrived more than a day after they happened."
        cure = "Facts are corrected when they come, decisions made meanwhile are not. Look at the sender's queue."
        severity = LOOK if share > MUCH else NOTHING
        yield Finding("late", severity, told, cure, known.late, [Example("the newest", event=known.late_example)])


def _rhythm(counts: Counts, when: Calendar) -> Iterator[Finding]:
    silent = gaps(counts, when)
    for gap in silent[:TOLD]:
        told = f"{_span(gap, when.zone)}; about {amount(round(gap.expected))} were to be expected."
        cure = "See whether the sender stopped or was changed." if gap.ongoing else "Ask the sender for what is lost."
        yield Finding("gap", MEND if gap.ongoing else LOOK, told, cure, round(gap.expected))
    if len(silent) > TOLD:
        yield Finding("gaps", LOOK, f"There are {len(silent) - TOLD} shorter silences.", count=len(silent) - TOLD)
    for jump in jumps(counts, when)[-TOLD:]:
        told = f"On {jump.day:%-d %b %Y} there were {jump.came:,}, where {amount(round(jump.usual))} are usual."
        cure = "A campaign or a bot may explain it, a change at the sender too."
        yield Finding("volume", LOOK, told, cure, jump.came)


def _span(gap: Gap, zone: str) -> str:
    start, end = (localtime(moment, ZoneInfo(zone)) for moment in (gap.start, gap.end))
    if gap.ongoing:
        return f"None has come since {start:%-d %b %Y, %H:%M}"
    return f"None came from {start:%-d %b %Y, %H:%M} to {end:%-d %b, %H:%M}"


def _plan(found: list[log.Unfit]) -> Iterator[Finding]:
    for each in found[:TOLD]:
        where = f" “{each.property}”" if each.property else ""
        refused = f", {each.refused:,} of them refused" if each.refused else ""
        times = f"{many(each.times, 'time')} in {PLAN_DAYS} days{refused}"
        told = f"{each.code.replace('_', ' ').capitalize()}{where}: {times}."
        yield Finding("plan", MEND if each.refused else LOOK, f"{told} {each.example}".strip(), count=each.times)
    if len(found) > TOLD:
        more = f"There are {len(found) - TOLD} other problems with the tracking plan."
        yield Finding("plan", LOOK, more, "See the event's entry in the tracking plan.", len(found) - TOLD)
