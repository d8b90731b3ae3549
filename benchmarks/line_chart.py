"""Line charts side by side as one SVG picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 18, 40, 48
"""Margins around the area that lines are drawn in, pixels."""


@dataclass(frozen=True)
class Line:
    """Points (x, y) joined in their order. band: the lowest and highest y at each x, drawn as a light area."""

    label: str
    colour: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """One chart. Ticks map a place on an axis to its text; the outermost ones are the ends of the axis.

    levels: y of dashed lines across the chart, by what they mean.
    """

    title: str
    x_label: str
    y_label: str
    x_ticks: Mapping[float, str]
    y_ticks: Mapping[float, str]
    lines: Sequence[Line]
    levels: Mapping[str, float]

    def x(self, value: float) -> float:
        low, high = min(self.x_ticks), max(self.x_ticks)
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = min(self.y_ticks), max(self.y_ticks)
        return TOP + (high - min(max(value, low), high)) / (high - low) * (HEIGHT - TOP - BOTTOM)


def svg(charts: Sequence[Chart]) -> str:
    """The picture, white behind, so that it can be read on a dark page."""
    size = f"{WIDTH * len(charts)} {HEIGHT}"
    drawn = "\n".join(
        f'<g transform="translate({WIDTH * index} 0)">\n' + "\n".join(_elements(chart)) + "\n</g>"
        for index, chart in enumerate(charts)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{drawn}\n</svg>\n'
    )


def _elements(chart: Chart) -> Iterator[str]:
    yield from _axes(chart)
    for text, value in chart.levels.items():
        y = chart.y(value)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#777" stroke-dasharray="4 3"/>'
        yield _text(WIDTH - RIGHT, y - 4, text, anchor="end", colour="#555")
    for line in chart.lines:
        yield from _line(chart, line)
    for index, line in enumerate(chart.lines):
        yield _text(WIDTH - RIGHT, TOP + 14 * (index + 1), line.label, anchor="end", colour=line.colour, bold=True)


def _axes(chart: Chart) -> Iterator[str]:
    bottom, middle = HEIGHT - BOTTOM, (TOP + HEIGHT - BOTTOM) / 2
    yield _text(LEFT, 20, chart.title, bold=True)
    yield f'<path d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}" fill="none" stroke="#333"/>'
    for value, text in chart.x_ticks.items():
        yield _text(chart.x(value), bottom + 16, text, anchor="middle")
    for value, text in chart.y_ticks.items():
        yield f'<path d="M{LEFT} {chart.y(value):.1f}H{WIDTH - RIGHT}" stroke="#eee"/>'
        yield _text(LEFT - 6, chart.y(value) + 4, text, anchor="end")
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, chart.x_label, anchor="middle")
    yield f'<g transform="translate(14 {middle}) rotate(-90)">{_text(0, 0, chart.y_label, anchor="middle")}</g>'


def _line(chart: Chart, line: Line) -> Iterator[str]:
    places = [(chart.x(x), chart.y(y)) for x, y in line.points]
    lower = [(x, chart.y(low)) for (x, _), (low, _) in zip(places, line.band, strict=True)]
    upper = [(x, chart.y(high)) for (x, _), (_, high) in zip(places, line.band, strict=True)]
    yield f'<polygon points="{_points(lower + upper[::-1])}" fill="{line.colour}" opacity="0.18"/>'
    yield f'<polyline points="{_points(places)}" fill="none" stroke="{line.colour}" stroke-width="1.8"/>'


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = "#222", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>{escape(text)}</text>'
