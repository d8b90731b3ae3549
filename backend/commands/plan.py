"""Show what a training would do: `python -m backend plan --config_file run.toml [--json]`."""

from __future__ import annotations

import json

from backend.config.command_line import make_parser, read_arguments
from backend.config.schema import GROUPS
from backend.errors import OptionError
from backend.gpus import first_gpu
from backend.plan.plan import Plan, make_plan


def main(arguments: list[str]) -> int:
    """Print the plan. Problems of the training are part of it; only options that cannot be read are an error."""
    parser = make_parser("plan", description=__doc__ or "", groups=GROUPS)
    parser.add_argument("--json", action="store_true", default=False, help="print the plan as JSON")
    try:
        configuration, own = read_arguments(parser, arguments)
    except OptionError as error:
        if "--json" in arguments:
            print(json.dumps({"problems": [vars(problem) for problem in error.problems]}, ensure_ascii=False))
        raise
    plan = make_plan(configuration, on_gpu=first_gpu() is not None)
    print(json.dumps(plan.record(), ensure_ascii=False, indent=1) if own.json else format_plan(plan))
    return 0


def format_plan(plan: Plan) -> str:
    """The plan as lines of text."""
    lines = [
        f"modules               {len(plan.trained):,} of {len(plan.decisions):,}",
        f"trainable parameters  {plan.trainable_parameters:,}",
        f"rank, scale           {_or_several(plan.rank)}, {_or_several(plan.scale)}",
        f"LoRA file             {plan.file_bytes / 2**20:,.1f} MiB",
    ]
    if plan.dataset:
        count = plan.dataset
        lines.append(f"dataset               {count.images:,} pictures, {count.windows:,} windows of clips")
        lines.append(f"batches per epoch     {count.batches:,}, {count.items_with_repeats:,} items with repeats")
        lines.append(f"still to be cached    {count.missing:,}")
    if plan.steps:
        lines.append(f"steps                 {plan.steps.total_steps:,} in {plan.steps.epochs:,} epochs")
    if plan.saved:
        lines.append(
            f"saved                 {plan.saved.files:,} LoRA files, {plan.saved.states:,} states, "
            f"{plan.disk_bytes / 2**30:,.2f} GiB at most"
        )
    if plan.memory:
        lines.append(
            f"memory                {plan.memory.total / 2**30:,.1f} GiB on each device, "
            f"{plan.memory.in_cpu_memory / 2**30:,.1f} GiB beside it"
        )
    return "\n".join([*lines, *(f"{problem.severity}: {problem}" for problem in plan.problems)])


def _or_several(number: float | None) -> str:
    return "of each module" if number is None else f"{number:g}"
