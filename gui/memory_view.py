"""The forecast of memory as HTML: a bar of its parts, what they are, and what the forecast assumes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from backend.config.configuration import Configuration
from backend.plan.memory import OPTIMIZER_BYTES, MemoryForecast, is_known_optimizer
from backend.plan.plan import Plan
from backend.runs.experience import Experience
from gui.texts import Texts
from gui.units import format_bytes

PARTS = ("weights", "network", "gradients", "optimizer", "activations", "reserve", "beyond")
"""As `MemoryForecast` has them, and what earlier runs needed beyond it."""


def format_memory(
    plan: Plan, configuration: Configuration, experience: Experience, device: tuple[str, int] | None, texts: Texts
) -> str:
    """The forecast. device: name and bytes of what it is held against, None where that is not known."""
    title = escape(texts("plan.memory.title"))
    forecast = plan.memory
    if forecast is None:
        why = "unsolved" if plan.dataset and plan.dataset.buckets else "unknown"
        return f"<section class='loom-memory'><h3>{title}</h3><p>{escape(texts(f'plan.memory.{why}'))}</p></section>"
    needed, sizes = corrected_bytes(forecast, experience), _sizes(forecast, experience)
    whole = device[1] if device else needed
    told = format_bytes(needed)
    if device:
        told = texts("plan.memory.of", needed=told, total=format_bytes(whole))
    return (
        f"<section class='loom-memory'><h3>{title} · <b>{escape(told)}</b></h3>"
        f"{_bar(sizes, whole=max(whole, sum(sizes.values())))}{_legend(sizes, configuration, texts)}"
        f"{_in_cpu_memory(forecast, texts)}"
        f"<details><summary>{escape(texts('plan.memory.assumptions'))}</summary><ul>"
        + "".join(f"<li>{escape(line)}</li>" for line in _assumptions(plan, configuration, experience, texts))
        + "</ul></details></section>"
    )


def corrected_bytes(forecast: MemoryForecast, experience: Experience) -> int:
    """The forecast as earlier runs on this machine correct it."""
    return forecast.total + (experience.bytes_beyond(forecast.total) or 0)


def _sizes(forecast: MemoryForecast, experience: Experience) -> dict[str, int]:
    """Bytes of each part; without CUDA where there is none, and without a correction that makes it less."""
    sizes = {part: getattr(forecast, part) for part in PARTS[:-1] if part != "reserve" or forecast.reserve}
    beyond = experience.bytes_beyond(forecast.total) or 0
    return {**sizes, "beyond": beyond} if beyond > 0 else sizes


def _bar(sizes: Mapping[str, int], *, whole: int) -> str:
    """The parts by their size; the line below tells the same in words."""
    pieces = "".join(
        f"<span class='loom-memory-{part}' style='width: {size / whole * 100:.2f}%'></span>"
        for part, size in sizes.items()
    )
    return f"<div class='loom-memory-bar' aria-hidden='true'>{pieces}</div>"


def _legend(sizes: Mapping[str, int], configuration: Configuration, texts: Texts) -> str:
    labels = {part: texts(f"plan.memory.{part}", dtype=_dtype(configuration)) for part in PARTS}
    entries = "".join(
        f"<li><i class='loom-swatch loom-memory-{part}' aria-hidden='true'></i>{escape(labels[part])} "
        f"{format_bytes(size)}</li>"
        for part, size in sizes.items()
    )
    return f"<ul class='loom-memory-legend'>{entries}</ul>"


def _dtype(configuration: Configuration) -> str:
    memory = configuration.memory
    if memory.fp8_base or memory.fp8_scaled:
        return "fp8"
    full = configuration.model.dit_dtype or {"no": "float32"}.get(memory.mixed_precision, memory.mixed_precision)
    return {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}.get(full, full)


def _in_cpu_memory(forecast: MemoryForecast, texts: Texts) -> str:
    if not forecast.in_cpu_memory:
        return ""
    return f"<p>{escape(texts('plan.memory.in_cpu', size=format_bytes(forecast.in_cpu_memory)))}</p>"


def _assumptions(plan: Plan, configuration: Configuration, experience: Experience, texts: Texts) -> Iterable[str]:
    assert plan.memory is not None
    yield texts("plan.memory.tokens", tokens=f"{plan.memory.tokens:,}")
    yield texts("plan.memory.checkpointed" if configuration.memory.gradient_checkpointing else "plan.memory.kept")
    name = configuration.optimizer.optimizer_type
    short = name.rpartition(".")[2].lower()
    if not is_known_optimizer(name):
        yield texts("plan.memory.optimizer_unknown", optimizer=name)
    elif short in OPTIMIZER_BYTES:
        yield texts("plan.memory.optimizer_known", optimizer=name, size=OPTIMIZER_BYTES[short])
    if plan.samplings:
        yield texts("plan.memory.sampling")
    if plan.memory.reserve:
        yield texts("plan.memory.reserve_text", size=format_bytes(plan.memory.reserve))
    else:
        yield texts("plan.memory.no_gpu")
    beyond = experience.bytes_beyond(plan.memory.total)
    if beyond is None:
        yield texts("plan.memory.uncorrected")
    else:
        size = f"{'−' if beyond < 0 else '+'} {format_bytes(abs(beyond))}"
        yield texts.count("plan.memory.corrected", experience.runs, size=size, device=experience.device)
