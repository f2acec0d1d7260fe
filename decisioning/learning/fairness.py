"""Scores, outcomes and a sensitive attribute of each customer come in; how evenly the groups fare, comes out.

Selected are the rows with the best scores, a share of all (`share`): those who would be reached if there were room for
so many. Disparate impact is the smallest group's selection rate over the greatest's; below 0.8 it is taken as evidence
of adverse impact (the four-fifths rule; US Uniform Guidelines on Employee Selection Procedures, 1978, § 4D). Equal
opportunity is the difference between the shares of those with the outcome who are selected (Hardt, Price, Srebro 2016).
Exposure is how contents are spread among those selected.

Which two groups are compared is chosen on all rows, and then held fixed while customers are resampled.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.evaluation import Estimate
from decisioning.learning.resampling import Floats, Ints, Sums

SHARE: Final = 0.2
FEWEST: Final = 50  # customers; of a smaller group nothing is said
BANDS: Final = 4
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Group:
    """One value of the attribute: shares in [0, 1]; `exposure` {content: its share of the group's selected rows}.

    `reached` is the share selected of those with the outcome; None without any.
    """

    name: str
    customers: int
    rows: int
    selected: float
    reached: float | None
    exposure: dict[str, float]


@dataclass(frozen=True, slots=True)
class Audit:
    """One attribute. `impact` in [0, 1], 1 is even; `opportunity` in [0, 1], 0 is even; None where nobody can tell.

    `exposure_gap` in [0, 1]: the greatest total variation distance between a group's exposure and everybody's.
    """

    attribute: str
    groups: tuple[Group, ...]
    impact: Estimate | None
    opportunity: Estimate | None
    exposure_gap: float
    left_out: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def audit(
    attribute: str,
    values: Sequence[object],
    scores: npt.ArrayLike,
    y: npt.ArrayLike,
    customers: Ints,
    rng: np.random.Generator,
    contents: Sequence[str] = (),
    share: float = SHARE,
) -> Audit:
    """Compare the groups that an attribute makes of the rows; `values` is each row's, None is a group of its own.

    Numbers are cut into fourths. Groups of fewer than 50 customers are left out, and named.
    """
    names = np.array(grouped(values))
    chosen, good = selected(scores, share), np.asarray(y, np.float64) > 0
    found, left_out = [], []
    for name in sorted(set(names.tolist())):
        mine = names == name
        if len(np.unique(customers[mine])) < FEWEST:
            left_out.append(name)
        else:
            found.append(_group(name, mine, chosen, good, customers, contents))
    everybody = _exposure(chosen, contents)
    gaps = [_distance(group.exposure, everybody) for group in found]
    impact, opportunity = _compared(found, names, chosen, good, customers, rng)
    return Audit(attribute, tuple(found), impact, opportunity, max(gaps, default=0.0), tuple(left_out))


def selected(scores: npt.ArrayLike, share: float) -> npt.NDArray[np.bool_]:
    """The best rows, that share of all; of equals at the border all or none, whichever comes nearer to the share."""
    values = np.asarray(scores, np.float64)
    if not len(values):
        return np.empty(0, bool)
    border = np.quantile(values, 1 - share)
    least, most = values > border, values >= border
    return most if abs(most.mean() - share) <= abs(least.mean() - share) or not least.any() else least


def grouped(values: Sequence[object]) -> list[str]:
    """Names of groups: texts as they are, numbers by fourths, nothing as "unknown"."""
    numbers = np.array([float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool) and v == v])
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, BANDS + 1)[1:-1])) if len(numbers) else numbers
    return [_name(value, edges) for value in values]


def _name(value: object, edges: Floats) -> str:
    if value is None or value != value:
        return UNKNOWN
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    place = int(np.searchsorted(edges, value, side="left"))
    if place == len(edges):
        return f"over {edges[-1]:g}"
    return f"up to {edges[place]:g}"


def _group(
    name: str,
    mine: npt.NDArray[np.bool_],
    chosen: npt.NDArray[np.bool_],
    good: npt.NDArray[np.bool_],
    customers: Ints,
    contents: Sequence[str],
) -> Group:
    hits = mine & good
    reached = float(chosen[hits].mean()) if hits.any() else None
    number = len(np.unique(customers[mine]))
    return Group(name, number, int(mine.sum()), float(chosen[mine].mean()), reached, _exposure(chosen & mine, contents))


def _exposure(chosen: npt.NDArray[np.bool_], contents: Sequence[str]) -> dict[str, float]:
    if not len(contents) or not chosen.any():
        return {}
    keys, counts = np.unique(np.asarray(contents)[chosen], return_counts=True)
    return {str(key): float(count / chosen.sum()) for key, count in zip(keys, counts, strict=True)}


def _distance(one: dict[str, float], other: dict[str, float]) -> float:
    """Total variation: half the sum of absolute differences."""
    return sum(abs(one.get(key, 0.0) - other.get(key, 0.0)) for key in {*one, *other}) / 2 if one else 0.0


def _compared(
    groups: Sequence[Group],
    names: npt.NDArray[np.str_],
    chosen: npt.NDArray[np.bool_],
    good: npt.NDArray[np.bool_],
    customers: Ints,
    rng: np.random.Generator,
) -> tuple[Estimate | None, Estimate | None]:
    """The two figures, each of the two groups that are farthest apart by it."""
    impact = opportunity = None
    if len(groups) > 1:
        low, high = _ends([(group.selected, group.name) for group in groups])
        impact = _pair(names, low, high, chosen, np.ones(len(names), bool), customers, rng)[0]
    known = [(group.reached, group.name) for group in groups if group.reached is not None]
    if len(known) > 1:
        low, high = _ends(known)
        opportunity = _pair(names, low, high, chosen, good, customers, rng)[1]
    return impact, opportunity


def _ends(rates: Sequence[tuple[float, str]]) -> tuple[str, str]:
    return min(rates)[1], max(rates)[1]


def _pair(
    names: npt.NDArray[np.str_],
    low: str,
    high: str,
    chosen: npt.NDArray[np.bool_],
    among: npt.NDArray[np.bool_],
    customers: Ints,
    rng: np.random.Generator,
) -> tuple[Estimate, Estimate]:
    """Ratio and difference of two groups' rates of being selected, among some rows."""
    rows = [among & (names == name) for name in (low, high)]
    sums = Sums([column for mine in rows for column in (chosen & mine, mine)], customers, rng)

    def rates(drawn: Floats) -> tuple[Floats, Floats]:
        return drawn[:, 0] / drawn[:, 1], drawn[:, 2] / drawn[:, 3]

    def quotient(drawn: Floats) -> Floats:
        lower, upper = rates(drawn)
        return np.where(upper > 0, lower / upper, 1.0)

    return sums.interval(quotient), sums.interval(lambda drawn: rates(drawn)[1] - rates(drawn)[0])
