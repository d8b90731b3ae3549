"""Tables and plot of what benchmarks/loraplus.py has measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from benchmarks.line_chart import Chart, Line, svg

LINE_COLOURS = ("#4a5568", "#2b6cb0", "#c05621", "#2f855a", "#805ad5")

MOST = 0.9
"""The part of plain LoRA's gain that is compared first: near the whole of it curves are flat, and wobble by 0.002."""

Kind = tuple[float, float]
"""The learning rate and the ratio of a training; seeds differ within a kind."""


@dataclass(frozen=True)
class Figures:
    """What loraplus.json holds. learning_rate: the demo's. every: steps between two losses of a curve.

    curves: of each training its case and "losses", at step 0 and at every measured step. The first is of plain LoRA at
    the demo's learning rate.
    """

    learning_rate: float
    steps: int
    every: int
    curves: Sequence[dict[str, Any]]

    def by_kind(self) -> dict[Kind, list[list[float]]]:
        """The losses of all seeds of each kind."""
        found: dict[Kind, list[list[float]]] = {}
        for curve in self.curves:
            found.setdefault((curve["learning_rate"], curve["ratio"]), []).append(curve["losses"])
        return found

    def level(self, part: float) -> float:
        """The loss at this part of the way from the start to where plain LoRA ends at the demo's learning rate.

        That end is the mean over the seeds.
        """
        plain = self.by_kind()[self.learning_rate, 1]
        start, end = (mean(losses[index] for losses in plain) for index in (0, -1))
        return start + part * (end - start)

    def first_step(self, losses: Sequence[float], level: float) -> int | None:
        """The first measured step at which the loss is as low as the level."""
        return next((index * self.every for index, loss in enumerate(losses) if loss <= level), None)


def table(figures: Figures) -> str:
    """Markdown: a line for each kind with means over the seeds, and in brackets their ranges."""
    levels = figures.level(MOST), figures.level(1)
    head = ["learning rate", "ratio", *(f"steps to {level:.3f}" for level in levels), "lowest loss", "loss at the end"]
    rows = []
    for (rate, ratio), seeds in figures.by_kind().items():
        steps = [_steps([figures.first_step(losses, level) for losses in seeds]) for level in levels]
        losses = [_losses([min(losses) for losses in seeds]), _losses([losses[-1] for losses in seeds])]
        rows.append([f"{rate:g}", f"{ratio:g}", *steps, *losses])
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plot(figures: Figures) -> str:
    """An SVG: losses over the steps, of all ratios at the demo's learning rate, and of plain LoRA at all rates."""
    same_rate = {
        f"ratio {ratio:g}": (rate, ratio) for rate, ratio in figures.by_kind() if rate == figures.learning_rate
    }
    plain = {f"rate {rate:g}": (rate, ratio) for rate, ratio in sorted(figures.by_kind()) if ratio == 1}
    return svg(
        [
            _chart(figures, same_rate, title=f"LoRA+ at the learning rate {figures.learning_rate:g}"),
            _chart(figures, plain, title="Plain LoRA (ratio 1)"),
        ]
    )


def _chart(figures: Figures, kinds: Mapping[str, Kind], *, title: str) -> Chart:
    """kinds: what to draw, by what it is called."""
    lines = []
    for (label, kind), colour in zip(kinds.items(), LINE_COLOURS, strict=False):
        seeds = list(zip(*figures.by_kind()[kind], strict=True))
        points = [(index * figures.every, mean(losses)) for index, losses in enumerate(seeds)]
        lines.append(Line(label, colour, points, [(min(losses), max(losses)) for losses in seeds]))
    return Chart(
        title=title,
        x_label="step",
        y_label="held-out loss, mean and range of the seeds",
        x_ticks={step: str(step) for step in (figures.steps * quarter // 4 for quarter in range(5))},
        y_ticks={part / 50: f"{part / 50:.2f}" for part in range(5, 13)},
        lines=lines,
        levels={f"{figures.level(MOST):.3f}": figures.level(MOST)},
    )


def _steps(steps: Sequence[int | None]) -> str:
    """The mean with the range; where a seed never came there, how many did, and when."""
    there = [each for each in steps if each is not None]
    if len(there) == len(steps):
        return f"{mean(there):.0f} ({min(there)} to {max(there)})"
    return f"{len(there)} of {len(steps)} seeds" + (f" ({', '.join(map(str, sorted(there)))})" if there else "")


def _losses(losses: Sequence[float]) -> str:
    return f"{mean(losses):.4f} ({min(losses):.4f} to {max(losses):.4f})"
