"""Customers as coordinates with their clusters come in; a flat picture comes out, as plain data and as SVG.

The two axes are the principal components (Pearson 1901) of the coordinates that were clustered: the directions in which
customers differ most. How much of all difference they show, and which facts they are made of, is part of the picture.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Final

import numpy as np

from decisioning.learning.clusters import Clusters, Positions
from decisioning.learning.later import Later
from decisioning.learning.scaling import Floats

decomposition = Later("sklearn.decomposition")
Picture = dict[str, Any]
Scale = Callable[[float], float]
POINTS: Final = 600
WIDTH, HEIGHT, MARGIN, LINE = 640, 420, 36, 18
FOLLOW: Final = "<style>svg{color:#222}@media(prefers-color-scheme:dark){svg{color:#ddd}}</style>"
# Told apart on white and on black, and by most who see fewer colours; numbers at the centres serve the rest.
COLOURS: Final = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#9c755f", "#17a2b8", "#d4a017", "#8a8a8a")


def project(scaled: Floats, at: Positions, clusters: Clusters, seed: int) -> Picture:
    """`points` [x, y, position] of a sample, `centres` likewise, `axes` with explained share and loadings, `names`."""
    pca = decomposition.PCA(n_components=min(2, scaled.shape[1]), random_state=seed).fit(scaled)
    rows = np.random.default_rng(seed).permutation(len(scaled))[:POINTS]
    return {
        "points": placed(pca.transform(scaled[rows]), at[rows]),
        "centres": placed(pca.transform(np.array(clusters.centres)), np.array(clusters.owners)),
        "axes": [
            {
                "explained": round(float(share), 4),
                "loadings": {name: round(float(part), 4) for name, part in zip(clusters.facts, parts, strict=True)},
            }
            for share, parts in zip(np.nan_to_num(pca.explained_variance_ratio_), pca.components_, strict=True)
        ],
        "names": [cluster.name for cluster in clusters.clusters],
    }


def placed(flat: Floats, at: Positions) -> list[list[float]]:
    """With y 0 where there is one axis only."""
    second = flat[:, 1] if flat.shape[1] > 1 else np.zeros(len(flat))
    return [
        [round(float(x), 3), round(float(y), 3), int(place)] for x, y, place in zip(flat[:, 0], second, at, strict=True)
    ]


def svg(picture: Picture, labels: Mapping[str, str], names: Sequence[str] | None = None, alone: bool = False) -> str:
    """The picture as an accessible SVG element that takes the colour of the text around it.

    `names` may replace the drafted ones. `alone` makes a file of it that follows the reader's dark mode by itself.
    """
    called = list(names or picture["names"])
    legend = HEIGHT + 2 * LINE
    height = legend + LINE * len(called) + LINE
    title = f"{len(picture['points'])} customers in {len(called)} clusters, on the two axes in which they differ most"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' aria-label="{escape(title)}" font-family="sans-serif" font-size="12" fill="currentColor">',
        f"<title>{escape(title)}</title>",
        FOLLOW if alone else "",
        f'<rect x="1" y="1" width="{WIDTH - 2}" height="{HEIGHT - 2}" fill="none" stroke="currentColor"/>',
        *drawn(picture),
        *[
            f'<text x="{MARGIN / 2:.0f}" y="{HEIGHT + LINE * (row + 1) - 3}">'
            f"{escape(caption(row, axis, labels))}</text>"
            for row, axis in enumerate(picture["axes"])
        ],
        *[entry(place, name, legend + LINE * (place + 1)) for place, name in enumerate(called)],
        "</svg>",
    ]
    return "\n".join(part for part in parts if part)


def drawn(picture: Picture) -> list[str]:
    """Points first, then centres with their numbers above them."""
    x, y = scale_of([*picture["points"], *picture["centres"]])
    dots = [
        "".join([f'<g fill="{colour(place)}" opacity="0.75">', *spots, "</g>"])
        for place, spots in grouped(picture["points"], x, y).items()
    ]
    marks = [
        f'<g><circle cx="{x(one[0]):.1f}" cy="{y(one[1]):.1f}" r="9" fill="{colour(one[2])}" stroke="currentColor"/>'
        f'<text x="{x(one[0]):.1f}" y="{y(one[1]) + 4:.1f}" text-anchor="middle" fill="#fff" font-weight="bold">'
        f"{one[2] + 1}</text></g>"
        for one in picture["centres"]
    ]
    return [*dots, *marks]


def grouped(points: Sequence[Sequence[float]], x: Scale, y: Scale) -> dict[int, list[str]]:
    """A small circle for each point, by cluster."""
    found: dict[int, list[str]] = {}
    for point in points:
        spot = f'<circle cx="{x(point[0]):.0f}" cy="{y(point[1]):.0f}" r="2.5"/>'
        found.setdefault(int(point[2]), []).append(spot)
    return dict(sorted(found.items()))


def scale_of(points: Sequence[Sequence[float]]) -> tuple[Scale, Scale]:
    """Functions from the picture's units to places on the paper; y grows upwards."""
    spans = []
    for axis in (0, 1):
        values = [point[axis] for point in points]
        low, high = min(values), max(values)
        spans.append((low, (high - low) or 1.0))
    (left, wide), (low, tall) = spans
    return (
        lambda value: MARGIN + (value - left) / wide * (WIDTH - 2 * MARGIN),
        lambda value: HEIGHT - MARGIN - (value - low) / tall * (HEIGHT - 2 * MARGIN),
    )


def colour(place: float) -> str:
    return COLOURS[int(place) % len(COLOURS)]


def caption(row: int, axis: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """What an axis is made of: the three facts that weigh most, with their direction."""
    heavy = sorted(axis["loadings"].items(), key=lambda pair: -abs(pair[1]))[:3]
    parts = ", ".join(f"{'+' if part >= 0 else '−'} {labels.get(name) or name}" for name, part in heavy)
    way = ("Left to right", "Bottom to top")[row]
    return f"{way} ({100 * axis['explained']:.0f} % of all difference): {parts}"


def entry(place: int, name: str, y: int) -> str:
    """One line of the legend."""
    return (
        f'<circle cx="{MARGIN / 2 + 6:.0f}" cy="{y - 4}" r="6" fill="{colour(place)}"/>'
        f'<text x="{MARGIN}" y="{y}">{place + 1}  {escape(name)}</text>'
    )
