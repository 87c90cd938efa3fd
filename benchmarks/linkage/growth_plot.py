"""Points and fitted lines on logarithmic axes, as SVG text."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 230, 24, 48
COLOURS = ("#1f5fa8", "#7fb0e0", "#b3541e", "#e3a878")
TICKS = (1, 2, 5)


@dataclass(frozen=True)
class Line:
    """A named series of (records, seconds), and the exponent fitted to it."""

    name: str
    points: list[tuple[float, float]]
    exponent: float


@dataclass(frozen=True)
class _Axes:
    """From records and seconds to places in the picture."""

    low: np.ndarray
    high: np.ndarray

    def place(self, records: float, seconds: float) -> tuple[float, float]:
        share = (np.log([records, seconds]) - np.log(self.low)) / (np.log(self.high) - np.log(self.low))
        across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + float(share[0]) * across, HEIGHT - BOTTOM - float(share[1]) * up

    def ticks(self, axis: int) -> list[float]:
        tens = 10.0 ** np.arange(-3, 9)
        steps = (1, 3) if axis == 0 else TICKS
        every = [float(t * s) for t in tens for s in steps]
        return [t for t in every if self.low[axis] <= t <= self.high[axis]]


def plot(lines: list[Line]) -> str:
    """The picture; text in the reader's sans-serif."""
    points = np.array([p for line in lines for p in line.points], dtype=float)
    axes = _Axes(points.min(axis=0) / [1.3, 1.5], points.max(axis=0) * [1.3, 1.5])
    drawn = [*_grid(axes)]
    for i, (line, colour) in enumerate(zip(lines, COLOURS)):
        drawn += _series(axes, line, colour, i)
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    font = 'font-family="sans-serif" font-size="12" fill="#333"'
    background = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    body = "\n".join([background, *drawn])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>\n{body}\n</svg>\n'


def _grid(axes: _Axes) -> list[str]:
    drawn, floor, ceiling = [], HEIGHT - BOTTOM, TOP
    for records in axes.ticks(0):
        x, _ = axes.place(records, float(axes.low[1]))
        drawn.append(f'<path d="M{x:.1f} {ceiling}V{floor}" stroke="#ddd"/>')
        drawn.append(text(x, floor + 18, f"{records:,.0f}", "middle"))
    for seconds in axes.ticks(1):
        _, y = axes.place(float(axes.low[0]), seconds)
        drawn.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        drawn.append(text(LEFT - 8, y + 4, f"{seconds:g}", "end"))
    drawn.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "records in both files", "middle"))
    return [*drawn, text(8, 16, "seconds, from identifiers to persons")]


def _series(axes: _Axes, line: Line, colour: str, number: int) -> list[str]:
    """Points, the fitted line through their logarithms' means, and a line of the legend."""
    records, seconds = np.array(line.points, dtype=float).T
    middle = np.log(records).mean(), np.log(seconds).mean()
    fitted = [float(np.exp(middle[1] + line.exponent * (np.log(r) - middle[0]))) for r in records]
    ends = [axes.place(records[i], fitted[i]) for i in (0, -1)]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in ends)
    y = TOP + 12 + 20 * number
    return [
        f'<path d="M{path}" stroke="{colour}" fill="none"/>',
        *(
            f'<circle cx="{x:.1f}" cy="{y_:.1f}" r="4" fill="{colour}"/>'
            for x, y_ in (axes.place(*p) for p in line.points)
        ),
        f'<circle cx="{WIDTH - RIGHT + 16}" cy="{y - 4}" r="4" fill="{colour}"/>',
        text(WIDTH - RIGHT + 26, y, f"{line.name}: exponent {line.exponent:.2f}"),
    ]


def text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
