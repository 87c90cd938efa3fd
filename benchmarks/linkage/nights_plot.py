"""Thirty nights as two panels of lines, as SVG text."""

from __future__ import annotations

from typing import Any

from benchmarks.linkage.growth_plot import COLOURS, LEFT, RIGHT, WIDTH, text

HEIGHT, TOP, GAP = 460, 32, 56
PANEL = (HEIGHT - TOP - 2 * GAP) / 2
#: title, series of a night's figures, least and most, unit of the axis
QUALITY = ("pairs of records under one id, beside the truth", ("precision", "recall", "f1"), 0.9, 1.0, 0.02)
HISTORY = ("persons a night", ("split", "merge", "reversal", "uncaused"))
NAMES = {"uncaused": "id changed without cause", "f1": "F1"}


def plot(nights: list[dict[str, Any]]) -> str:
    """The picture; the first night, when everybody is new, has no history."""
    title, counted = HISTORY
    most = max(10, max(night[name] for night in nights for name in counted))
    step = next(s for s in (2, 5, 10, 20, 50, 100, 200, 500, 1000) if most / s <= 6)
    drawn = _panel(nights, TOP, *QUALITY)
    drawn += _panel(nights[1:], TOP + PANEL + GAP, title, counted, 0, step * -(-most // step), step)
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    font = 'font-family="sans-serif" font-size="12" fill="#333"'
    body = "\n".join([f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', *drawn])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>\n{body}\n</svg>\n'


def _panel(
    nights: list[dict[str, Any]],
    top: float,
    title: str,
    names: tuple[str, ...],
    low: float,
    high: float,
    step: float,
) -> list[str]:
    right, floor = WIDTH - RIGHT, top + PANEL
    last = nights[-1]["night"]

    def across(night: int) -> float:
        return LEFT + (right - LEFT) * (night - 1) / max(1, last - 1)

    def up(value: float) -> float:
        return floor - PANEL * (min(max(value, low), high) - low) / (high - low)

    drawn = [text(8, top - 10, title)]
    for i in range(round((high - low) / step) + 1):
        y = up(low + i * step)
        drawn.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#ddd"/>')
        drawn.append(text(LEFT - 8, y + 4, f"{low + i * step:g}", "end"))
    for night in (1, *range(5, last + 1, 5)):
        drawn.append(text(across(night), floor + 18, str(night), "middle"))
    drawn.append(text((LEFT + right) / 2, floor + 34, "night", "middle"))
    for i, (name, colour) in enumerate(zip(names, COLOURS)):
        path = "L".join(f"{across(n['night']):.1f} {up(n[name]):.1f}" for n in nights)
        drawn.append(f'<path d="M{path}" stroke="{colour}" stroke-width="2" fill="none"/>')
        y = top + 12 + 20 * i
        drawn.append(f'<path d="M{right + 12} {y - 4}h16" stroke="{colour}" stroke-width="2"/>')
        drawn.append(text(right + 34, y, NAMES.get(name, name)))
    return drawn
