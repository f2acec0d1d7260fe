"""A frame of facts and everybody's cluster come in; what sets each cluster apart, fact by fact, comes out.

Effects are Cohen's d (1988): the difference of the means of the cluster and of all other customers in pooled standard
deviations, after a hundredth at both ends is drawn in, so that one giant order is no trait of a thousand people
(Algina, Keselman and Penfield 2005). About 0.2 is small, 0.5 is visible, 0.8 is large.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from decisioning.learning.clusters import Positions
from decisioning.learning.scaling import Floats, numbers_of, signed_log

Profile = dict[str, Any]
LEFT_OUT: Final = frozenset({"customer_id", "segments", "customer_segment"})
TOP: Final = 5  # facts that set a cluster apart
VISIBLE: Final = 0.2  # effects below this are none
ALIKE: Final = 0.7  # facts correlated more than this say the same
SAMPLE: Final = 5_000  # rows on which facts are compared with each other
COMMON: Final = 0.05  # share of the cluster from which a value is typical
FEW: Final = 20  # customers of a cluster who must have the fact
LIFT: Final = 1.2
VALUES, EACH = 12, 3  # typical values of a cluster, and of one fact


def profile_clusters(
    frame: pl.DataFrame, at: Positions, number: int, labels: Mapping[str, str], clustered: Sequence[str] = ()
) -> list[Profile]:
    """One profile a cluster position. `at` is each row's position; `labels` what facts are called.

    Each has `facts` (every number, most distinguishing first: mean, median, share that is not 0 among those who have
    it, the same of all, effect, share known),
    `values` (typical texts: share, share of all, lift), `top` (names of up to five facts that say different things)
    and `beside` (the same among those that say something else than the facts that were `clustered`).
    Columns whose names have a colon are no facts.
    """
    columns = {name: numbers_of(frame[name]) for name in frame.columns if is_number(frame[name])}
    columns = {name: column for name, column in columns.items() if np.isfinite(column).any()}
    found: list[Profile] = [{"facts": [], "values": []} for _ in range(number)]
    for name, column in columns.items():
        for profile, row in zip(found, compared(name, column, at, number, labels), strict=True):
            profile["facts"].append(row)
    alike = likeness(columns)
    for position, values in enumerate(typical(frame, at, number, labels)):
        profile = found[position]
        profile["values"] = values
        profile["facts"].sort(key=lambda row: (-abs(row["effect"]), row["fact"]))
        order = [row["fact"] for row in profile["facts"] if abs(row["effect"]) >= VISIBLE]
        profile["top"] = different(order, alike, ())
        profile["beside"] = different(order, alike, [name for name in clustered if name in columns])
    return found


def is_fact(name: str) -> bool:
    return name not in LEFT_OUT and ":" not in name


def is_number(series: pl.Series) -> bool:
    return is_fact(series.name) and (series.dtype.is_numeric() or series.dtype == pl.Boolean)


def label_of(name: str, labels: Mapping[str, str]) -> str:
    return labels.get(name) or name.replace("_", " ").capitalize()


def compared(name: str, column: Floats, at: Positions, number: int, labels: Mapping[str, str]) -> list[Profile]:
    """One number in each cluster against everybody."""
    known = np.isfinite(column)
    low, high = np.quantile(column[known], [0.01, 0.99])
    drawn_in = np.clip(column, low, high)
    everybody = {
        "mean_all": rounded(column[known].mean()),
        "median_all": rounded(np.median(column[known])),
        "any_all": rounded((column[known] != 0).mean()),
    }
    rows = []
    for position in range(number):
        inside = known & (at == position)
        size = int((at == position).sum())
        values = column[inside]
        rows.append(
            {
                "fact": name,
                "label": label_of(name, labels),
                "mean": rounded(values.mean()) if len(values) else None,
                "median": rounded(np.median(values)) if len(values) else None,
                "any": rounded((values != 0).mean()) if len(values) else None,
                **everybody,
                "effect": cohens_d(drawn_in[inside], drawn_in[known & (at != position)]),
                "known": round(len(values) / max(size, 1), 4),
            }
        )
    return rows


def rounded(value: float) -> float:
    return round(float(value), 6)


def cohens_d(inside: Floats, outside: Floats) -> float:
    """0 where one of the two is too small, or nothing differs."""
    n, m = len(inside), len(outside)
    if n < 2 or m < 2:
        return 0.0
    pooled = np.sqrt(((n - 1) * inside.var(ddof=1) + (m - 1) * outside.var(ddof=1)) / (n + m - 2))
    gap = float(inside.mean() - outside.mean())
    return round(gap / float(pooled), 4) if pooled > 1e-12 else 0.0


def likeness(columns: Mapping[str, Floats]) -> dict[tuple[str, str], float]:
    """The absolute correlation of every two numbers, on logs, unknown ones at the median."""
    names = list(columns)
    if not names:
        return {}
    rows = []
    for column in columns.values():
        part = signed_log(column[:: max(1, len(column) // SAMPLE)])
        middle = np.median(part[np.isfinite(part)]) if np.isfinite(part).any() else 0.0
        rows.append(np.where(np.isfinite(part), part, middle))
    centred = np.array(rows) - np.array(rows).mean(axis=1, keepdims=True)
    lengths = np.maximum(np.linalg.norm(centred, axis=1), 1e-12)
    matrix: npt.NDArray[np.float64] = np.abs(centred @ centred.T) / lengths[:, None] / lengths
    return {(one, other): float(matrix[i, j]) for i, one in enumerate(names) for j, other in enumerate(names)}


def different(ordered: Sequence[str], alike: Mapping[tuple[str, str], float], told: Sequence[str]) -> list[str]:
    """The first few that repeat neither one another nor what is told; halves of a wave tell people nothing."""
    chosen: list[str] = []
    for name in ordered:
        if name.endswith(("_sin", "_cos")) or any(alike[name, other] > ALIKE for other in [*told, *chosen]):
            continue
        chosen.append(name)
        if len(chosen) == TOP:
            break
    return chosen


def typical(frame: pl.DataFrame, at: Positions, number: int, labels: Mapping[str, str]) -> list[list[Profile]]:
    """Texts that are more common in a cluster than elsewhere, most telling first, for each cluster."""
    found: list[list[Profile]] = [[] for _ in range(number)]
    for name in frame.columns:
        if not is_fact(name) or frame[name].dtype not in (pl.String, pl.List(pl.String)):
            continue
        for position, rows in common_values(frame[name], at, number).items():
            found[position] += [{"fact": name, "label": label_of(name, labels), **row} for row in rows]
    return [sorted(rows, key=lambda row: (-telling(row), row["fact"], row["value"]))[:VALUES] for rows in found]


def common_values(series: pl.Series, at: Positions, number: int) -> dict[int, list[Profile]]:
    """For each cluster up to `EACH` values with their share in it, that of all, and the lift.

    Shares are of those who have the fact: else a trait that only regular customers tell would be typical of them
    whatever they say.
    """
    known = np.bincount(at[series.is_not_null().to_numpy()], minlength=number)
    pairs = pl.DataFrame({"at": at, "value": series}).with_row_index("row")
    if isinstance(series.dtype, pl.List):
        pairs = pairs.explode("value", empty_as_null=True, keep_nulls=True).unique(["row", "value"])
    counts = pairs.drop_nulls("value").group_by("at", "value").len().sort("at", "value")
    everywhere = dict(counts.group_by("value").agg(pl.col("len").sum()).iter_rows())
    found: dict[int, list[Profile]] = {}
    for position, value, count in counts.iter_rows():
        share, share_all = count / int(known[position]), everywhere[value] / int(known.sum())
        if known[position] >= FEW and share >= COMMON and share >= LIFT * share_all:
            row = {"value": value, "share": rounded(share), "share_all": rounded(share_all)}
            found.setdefault(position, []).append({**row, "lift": round(share / share_all, 3)})
    return {position: sorted(rows, key=telling, reverse=True)[:EACH] for position, rows in found.items()}


def telling(row: Mapping[str, Any]) -> float:
    """How much a value says about a cluster: its part of the Kullback-Leibler divergence."""
    return float(row["share"] * np.log(row["lift"]))
