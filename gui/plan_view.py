"""The plan beside the form, as HTML: what is wrong, what will be trained, how long, with how much memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape

from backend.config.configuration import Configuration
from backend.dataset.count import BucketCount, DatasetCount
from backend.plan.plan import Plan
from backend.runs.experience import Experience
from gui.memory_view import format_memory
from gui.plan_plots import format_plots
from gui.problem_notes import format_problems
from gui.texts import Texts
from gui.units import format_bytes, format_duration, format_seconds


@dataclass(frozen=True)
class Surroundings:
    """What the plan is held against. disk_free: bytes in the folder of the files.

    gpu, machine: name and bytes of a GPU, None without, and of the machine's own memory.
    """

    experience: Experience = field(default_factory=Experience)
    disk_free: int | None = None
    gpu: tuple[str, int] | None = None
    machine: tuple[str, int] | None = None
    folder: str = ""

    @property
    def device(self) -> tuple[str, int] | None:
        """Name and bytes of the device that a training runs on, as far as anything tells."""
        if self.gpu:
            return self.gpu
        known = self.experience
        return (known.device, known.total_bytes) if known.total_bytes else self.machine

    @property
    def on_gpu(self) -> bool:
        """Whether a training will run on a GPU: there is one, or the last training here has run on one."""
        return self.gpu is not None or self.experience.on_gpu


Row = tuple[str, str]


def format_plan(plan: Plan, configuration: Configuration, around: Surroundings, texts: Texts) -> str:
    """The plan's problems, numbers, forecast and plots."""
    rows = [*_network_rows(plan, configuration, texts), *_dataset_rows(plan.dataset, texts)]
    rows += [*_step_rows(plan, configuration, texts), *_time_rows(plan, around.experience, texts)]
    rows += _saving_rows(plan, around.disk_free, texts)
    table = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in rows)
    return (
        f"{format_problems(plan.problems, texts)}<dl class='loom-plan'>{table}</dl>"
        f"{_bucket_table(plan.dataset.buckets, texts) if plan.dataset else ''}"
        f"{format_memory(plan, configuration, around.experience, around.device, texts)}"
        f"{format_plots(plan, texts)}"
    )


def _network_rows(plan: Plan, configuration: Configuration, texts: Texts) -> Iterable[Row]:
    if plan.decisions:  # with an invalid pattern nothing is decided
        counts = texts("plan.values.of", part=f"{len(plan.trained):,}", whole=f"{len(plan.decisions):,}")
        yield texts("plan.rows.modules"), counts
        yield texts("plan.rows.parameters"), f"{plan.trainable_parameters:,}"
        label = texts("plan.rows.file", precision=configuration.saving.save_precision)
        yield label, format_bytes(plan.file_bytes)
    yield texts("plan.rows.scale"), texts("plan.several") if plan.scale is None else f"{plan.scale:.4g}"


def _dataset_rows(count: DatasetCount | None, texts: Texts) -> Iterable[Row]:
    if count is None:
        return
    parts = [
        texts.count(f"plan.items.{kind}", number)
        for kind, number in (("pictures", count.images), ("windows", count.windows))
        if number
    ]
    yield texts("plan.rows.items"), " · ".join(parts) or "0"
    yield texts("plan.rows.repeated"), f"{count.items_with_repeats:,}"
    yield texts("plan.rows.buckets"), f"{len(count.buckets):,}"
    yield texts("plan.rows.batches"), f"{count.batches:,}"
    if count.missing:
        yield texts("plan.rows.missing"), texts("plan.values.missing", count=f"{count.missing:,}")


def _step_rows(plan: Plan, configuration: Configuration, texts: Texts) -> Iterable[Row]:
    steps, processes = plan.steps, configuration.machines.num_processes
    if steps is None:
        return
    together = f"{steps.micro_batches_per_step:,}"
    if processes > 1:
        together = texts("plan.values.processes", count=together, processes=f"{processes:,}")
    yield texts("plan.rows.batches_per_step"), together
    yield texts("plan.rows.steps_per_epoch"), f"{steps.steps_per_epoch:,}"
    total = f"<b>{steps.total_steps:,}</b>"
    yield texts("plan.rows.steps"), texts("plan.values.epochs", steps=total, epochs=f"{steps.epochs:,}")


def _time_rows(plan: Plan, experience: Experience, texts: Texts) -> Iterable[Row]:
    if plan.steps is None:
        return
    seconds = experience.seconds_for(plan.operations)
    if seconds is None:
        yield texts("plan.rows.time"), f"<span class='loom-muted'>{escape(texts('plan.values.time_unknown'))}</span>"
        return
    yield texts("plan.rows.time_per_step"), texts("plan.values.about", value=f"{format_seconds(seconds)} s")
    total = format_duration(seconds * plan.steps.total_steps)
    yield texts("plan.rows.time"), texts("plan.values.about", value=total)


def _saving_rows(plan: Plan, free: int | None, texts: Texts) -> Iterable[Row]:
    if plan.saved is None:
        return
    yield texts("plan.rows.files"), f"{plan.saved.files:,}"
    if plan.saved.states:
        yield texts("plan.rows.states"), f"{plan.saved.states:,} × {format_bytes(plan.state_bytes)}"
    if plan.samplings:
        yield texts("plan.rows.samples"), f"{plan.samplings:,}"
    needed = format_bytes(plan.disk_bytes)
    told = needed if free is None else texts("plan.values.free", needed=needed, free=format_bytes(free))
    yield texts("plan.rows.disk"), told


def _bucket_table(buckets: Iterable[BucketCount], texts: Texts) -> str:
    """The buckets, folded away."""
    picture = escape(texts("plan.buckets.picture"))
    rows = "".join(
        f"<tr><td>{bucket.width} × {bucket.height}</td><td>{bucket.frames or picture}</td>"
        f"<td>{bucket.items:,} × {bucket.repeats:,}</td><td>{bucket.batches:,}</td></tr>"
        for bucket in buckets
    )
    heads = "".join(
        f"<th scope='col'>{escape(texts(f'plan.buckets.{name}'))}</th>"
        for name in ("size", "frames", "items", "batches")
    )
    return (
        f"<details class='loom-buckets'><summary>{escape(texts('plan.buckets.caption'))}</summary>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></details>"
    )
