"""A small made-up cinema: dice in; films with genres and casts, slates of them, and who clicked what when, out."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from .shop import Offer

OPENING = datetime(2026, 3, 1, 12, tzinfo=UTC)
GENRES = ("comedy", "crime", "drama", "horror")
CAST = ("ann", "bob", "cleo", "dan", "eve")
SLATE = 5
STAMPS = ("shown_at", "closes_at", "click_closes_at", "clicked_at", "converted_at")


def films(number: int = 24) -> list[Offer]:
    """Each with a title of its own, one genre, and some of the cast."""
    rng = np.random.default_rng(11)
    return [
        Offer(
            f"film-{n:02}",
            {
                "title": f"Film {n}",
                "genre": GENRES[n % 4],
                "cast": sorted(rng.choice(CAST, rng.integers(0, 4), replace=False).tolist()),
                "minutes": 80.0 + n,
            },
        )
        for n in range(number)
    ]


FILMS = films()


def slates(number: int = 240, people: int = 30, seed: int = 5, days: float = 40.0) -> pl.DataFrame:
    """What was shown to people who each like one genre; clicks come within the hour, tickets are bought a day later."""
    rng = np.random.default_rng(seed)
    moments = [OPENING + timedelta(days=float(day)) for day in np.sort(rng.random(number) * days)]
    rows = []
    for group, at in enumerate(moments):
        person, device = int(rng.integers(1, people + 1)), ("mobile", "desktop")[int(rng.integers(2))]
        for position, n in enumerate(rng.choice(len(FILMS), SLATE, replace=False).tolist(), 1):
            liked = 0.6 if n % 4 == person % 4 else 0.15
            clicked = at + timedelta(minutes=float(rng.random() * 60)) if rng.random() < liked else None
            bought = at + timedelta(days=1) if clicked and rng.random() < 0.5 else None
            context = f'{{"device": "{device}", "hour": {at.hour}, "weekday": {at.isoweekday()}}}'
            closes = at + timedelta(days=2)
            row = (person, FILMS[n].key, at, closes, at + timedelta(hours=1), clicked, bought, 9.5, group, position)
            rows.append((*row, "{}", context))
    names = ["customer_id", "content_key", *STAMPS, "value", "group", "position", "facts", "context"]
    return pl.DataFrame(rows, names, orient="row").with_columns(pl.col(STAMPS).cast(pl.Datetime("us", "UTC")))
