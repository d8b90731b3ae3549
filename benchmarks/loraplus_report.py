"""Tables and plot of what benchmarks/loraplus.py has measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from benchmarks.line_chart import Chart, Line, svg

LINE_COLOURS = ("#4a5568", "#2b6cb0", "#c05621", "#2f855a", "#805ad5")

MOST = 0.9
"""The part of plain LoRA's gain that the steps to are compared; its last tenth takes as long and is lost in noise."""

Curve = Sequence[float]
"""Held-out losses of one training, at step 0 and at every measured step."""


@dataclass(frozen=True)
class Figures:
    """What loraplus.json holds. learning_rate: the demo's. every: steps between two losses of a curve."""

    learning_rate: float
    steps: int
    every: int
    curves: Sequence[dict[str, Any]]

    @property
    def ratios(self) -> list[float]:
        return sorted({curve["ratio"] for curve in self.curves})

    @property
    def rates(self) -> list[float]:
        return sorted({curve["learning_rate"] for curve in self.curves})

    def losses(self, rate: float, ratio: float) -> list[Curve]:
        """The curves of all seeds."""
        return [each["losses"] for each in self.curves if (each["learning_rate"], each["ratio"]) == (rate, ratio)]

    def level(self, part: float) -> float:
        """The loss at this part of the way from the start to where plain LoRA ends at the demo's learning rate.

        That end is the mean over the seeds.
        """
        plain = self.losses(self.learning_rate, 1)
        start, end = (mean(curve[index] for curve in plain) for index in (0, -1))
        return start + part * (end - start)

    def first_steps(self, rate: float, ratio: float, level: float) -> list[int | None]:
        """For each seed the first measured step at which the loss is as low as the level."""
        return [
            next((index * self.every for index, loss in enumerate(curve) if loss <= level), None)
            for curve in self.losses(rate, ratio)
        ]


def tables(figures: Figures) -> str:
    """Markdown: the ratios at the demo's learning rate; then steps and lowest losses at every rate."""
    return "\n".join(
        [
            _table_of_ratios(figures),
            f"Steps to {figures.level(MOST):.3f} at each learning rate:\n",
            _table_of_rates(figures, lambda rate, ratio: _steps(figures.first_steps(rate, ratio, figures.level(MOST)))),
            "The lowest loss at each learning rate:\n",
            _table_of_rates(figures, lambda rate, ratio: _losses([min(each) for each in figures.losses(rate, ratio)])),
        ]
    )


def _table_of_ratios(figures: Figures) -> str:
    most, end, rate = figures.level(MOST), figures.level(1), figures.learning_rate
    rows = []
    for ratio in figures.ratios:
        curves = figures.losses(rate, ratio)
        steps = [_steps(figures.first_steps(rate, ratio, level)) for level in (most, end)]
        losses = [_losses([min(curve) for curve in curves]), _losses([curve[-1] for curve in curves])]
        rows.append([f"{ratio:g}", *steps, *losses])
    return _table(["ratio", f"steps to {most:.3f}", f"steps to {end:.3f}", "lowest loss", "loss at the end"], rows)


def _table_of_rates(figures: Figures, cell: Callable[[float, float], str]) -> str:
    """cell: what stands there for a learning rate and a ratio."""
    rows = [[f"{rate:g}", *(cell(rate, ratio) for ratio in figures.ratios)] for rate in figures.rates]
    return _table(["learning rate", *(f"ratio {ratio:g}" for ratio in figures.ratios)], rows)


def plot(figures: Figures) -> str:
    """An SVG: the loss over the steps at the demo's learning rate; the steps that its level takes at every rate."""
    return svg([_loss_chart(figures), _steps_chart(figures)])


def _loss_chart(figures: Figures) -> Chart:
    lines = []
    for ratio, colour in zip(figures.ratios, LINE_COLOURS, strict=False):
        seeds = list(zip(*figures.losses(figures.learning_rate, ratio), strict=True))
        points = [(index * figures.every, mean(losses)) for index, losses in enumerate(seeds)]
        band = [(min(losses), max(losses)) for losses in seeds]
        lines.append(Line(f"ratio {ratio:g}", colour, points, band))
    return Chart(
        title=f"Held-out loss, learning rate {figures.learning_rate:g}",
        x_label="step",
        y_label="loss, mean and range of the seeds",
        x_ticks={step: str(step) for step in _quarters(figures.steps)},
        y_ticks={part / 50: f"{part / 50:.2f}" for part in range(5, 13)},
        lines=lines,
        levels={f"{figures.level(MOST):.3f}": figures.level(MOST)},
    )


def _steps_chart(figures: Figures) -> Chart:
    """Rates stand at equal distances, as their logarithms do. A rate with a seed that misses the level has no point."""
    lines = []
    for ratio, colour in zip(figures.ratios, LINE_COLOURS, strict=False):
        steps = [figures.first_steps(rate, ratio, figures.level(MOST)) for rate in figures.rates]
        points = [(index, mean(each)) for index, each in enumerate(steps, 1) if None not in each]
        lines.append(Line(f"ratio {ratio:g}", colour, points, marked=True))
    return Chart(
        title=f"Steps to a held-out loss of {figures.level(MOST):.3f}",
        x_label="learning rate",
        y_label="steps, mean of the seeds",
        x_ticks=dict(enumerate(["", *(f"{rate:g}" for rate in figures.rates), ""])),
        y_ticks={step: str(step) for step in _quarters(figures.steps)},
        lines=lines,
        levels={},
    )


def _quarters(steps: int) -> list[int]:
    return [steps * quarter // 4 for quarter in range(5)]


def _steps(steps: Sequence[int | None]) -> str:
    """The mean with the range; where a seed never came there, how many did, and when."""
    there = [each for each in steps if each is not None]
    if len(there) == len(steps):
        return f"{mean(there):.0f} ({min(there)} to {max(there)})"
    return f"{len(there)} of {len(steps)} seeds" + (f" ({', '.join(map(str, sorted(there)))})" if there else "")


def _losses(losses: Sequence[float]) -> str:
    return f"{mean(losses):.4f} ({min(losses):.4f} to {max(losses):.4f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
