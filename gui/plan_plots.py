"""The plan's small plots, as containers with their data; gui/assets/plan_plots.js draws them."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from backend.plan.plan import Plan
from gui.texts import Texts


def format_plots(plan: Plan, texts: Texts) -> str:
    """The learning rate over the steps, and the distribution of noise levels."""
    plots = [_noise_plot(plan, texts)]
    if plan.learning_rates:
        plots.insert(0, _rate_plot(plan, texts))
    return "".join(plots)


def _rate_plot(plan: Plan, texts: Texts) -> str:
    """With LoRA+ two lines, each with its name."""
    names = [texts("plan.plots.rate_down"), texts("plan.plots.rate_up")] if plan.up_learning_rates else [""]
    groups = [plan.learning_rates, *([plan.up_learning_rates] if plan.up_learning_rates else [])]
    lines = [{"name": name, "values": [rate for _, rate in group]} for name, group in zip(names, groups, strict=True)]
    steps = [step for step, _ in plan.learning_rates]
    rates = lines[0]["values"]
    summary = texts(
        "plan.plots.rate_summary",
        steps=f"{steps[-1]:,}",
        start=f"{rates[0]:.2g}",
        end=f"{rates[-1]:.2g}",
        highest=f"{max(max(line['values']) for line in lines):.2g}",
    )
    return _container(texts("plan.plots.rate"), {"kind": "rate", "steps": steps, "lines": lines}, summary)


def _noise_plot(plan: Plan, texts: Texts) -> str:
    shares, below = plan.noise_shares, 0.0
    bins = len(shares)
    median = next((index for index in range(bins) if (below := below + shares[index]) >= 0.5), bins - 1)
    mode = max(range(bins), key=lambda index: shares[index])
    summary = texts(
        "plan.plots.noise_summary", median=f"{median * 1000 // bins}", mode=f"{(2 * mode + 1) * 500 // bins}"
    )
    return _container(texts("plan.plots.noise"), {"kind": "noise", "shares": list(shares)}, summary)


def _container(title: str, data: dict[str, Any], summary: str) -> str:
    return (
        f"<figure class='loom-small-plot'><figcaption>{escape(title)}</figcaption>"
        f"<div role='img' aria-label='{escape(summary)}' data-plot='{escape(json.dumps(data))}'></div></figure>"
    )
