"""What a run occupies while it goes on, and so which runs may go on at once."""

from __future__ import annotations

from backend.runs.folder import RunFolder, list_runs

CPU_KINDS = ("lora",)
"""Kinds of jobs that leave the GPUs alone: tools that read LoRA files, compute a little, and write others."""


def needs_gpu(run: RunFolder) -> bool:
    """Whether the run computes on GPUs, or on the CPU where there are none."""
    job = run.job()
    return job is not None and job.kind not in CPU_KINDS


def exclude_each_other(one: RunFolder, other: RunFolder) -> bool:
    """Whether the two may not go on at once.

    A run keeps to the GPUs that its job names, and needs all of them if it names none; without GPUs they share the CPU
    by the same rule. What needs no GPU goes on beside these, but only one at a time.
    """
    job, other_job = one.job(), other.job()
    if job is None or other_job is None or needs_gpu(one) != needs_gpu(other):
        return False
    return not job.devices or not other_job.devices or not set(job.devices).isdisjoint(other_job.devices)


def occupies(run: RunFolder) -> bool:
    """Whether the run has what it needs now: its process lives, or the command in the foreground that will start it."""
    process, job = run.process(), run.job()
    if process is not None:
        return process.is_alive()
    is_about_to_start = job is not None and job.owner is not None and job.owner.is_alive()
    return is_about_to_start and run.exit_record() is None


def runs_in_its_way(run: RunFolder) -> list[RunFolder]:
    """The other runs of the workspace that occupy now what this one needs, the one submitted last first."""
    others = (other for other in list_runs(run.workspace) if other != run)
    return [other for other in others if exclude_each_other(run, other) and occupies(other)]
