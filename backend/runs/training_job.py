"""A training as a run: checked, made complete and absolute, written to its folder, and put into the queue."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.config.configuration import Configuration, all_options
from backend.config.dataset import read_dataset_file, write_dataset_file
from backend.config.schema import MemoryOptions
from backend.config.toml_file import write_configuration
from backend.errors import OptionError, Problem
from backend.plan.plan import make_plan
from backend.plan.resume import read_state_record
from backend.runs.folder import Job, RunFolder, create_run_folder, submit

TRAINER_MODULE = "backend.commands.train"
LAUNCHER_MODULE = "backend.commands.launch"
FILE_OPTIONS = ("dit", "dataset_config", "vae", "text_encoder1", "text_encoder2", "sample_prompts")
"""The options whose files another run may make first."""

NEUTRAL_ACCELERATE_CONFIG = Path(__file__).with_name("accelerate.yaml")


def submit_training(
    configuration: Configuration,
    *,
    workspace: Path,
    foreground: bool = False,
    needs: Sequence[RunFolder] = (),
    held: bool = False,
) -> RunFolder:
    """Check the training, make its run folder and put it into the queue.

    needs: runs that must finish first, such as the caching of the dataset; what they will make may be missing still.
    held: it waits until it is released. A seed is drawn where none is given.
    Raises OptionError with every problem that keeps it from starting; then no folder is made.
    """
    check_training(configuration, files_may_be_missing=bool(needs))
    run = create_run_folder(workspace, configuration.saving.output_name)
    complete = complete_configuration(configuration, run=run, workspace=workspace)
    if _copy_dataset_file(complete.dataset.dataset_config, run):
        complete = complete.changed(dataset_config=str(run.dataset_file))
    write_configuration(run.given_file, configuration, title=f"As given to LoRA Loom run {run.name}")
    write_configuration(run.config_file, complete, title=f"LoRA Loom run {run.name}")
    job = Job(
        kind="train",
        name=complete.saving.output_name,
        arguments=tuple(launch_arguments(run.config_file, complete)),
        needs=tuple(needed.name for needed in needs),
        foreground=foreground,
        devices=tuple(gpu.strip() for gpu in (complete.machines.gpu_ids or "").split(",") if gpu.strip().isdigit()),
    )
    submit(run, job, held=held)
    return run


def check_training(configuration: Configuration, *, files_may_be_missing: bool = False) -> None:
    """Raise OptionError with every problem that keeps the training from starting.

    files_may_be_missing: another run will make models, dataset and caches before this one starts.
    """
    plan = make_plan(configuration)
    problems = plan.errors
    if files_may_be_missing:
        problems = [problem for problem in problems if problem.option not in FILE_OPTIONS]
    elif plan.dataset and plan.dataset.missing:
        problems.append(
            Problem(
                f"{plan.dataset.missing} of the dataset's items are not cached: {_listed(plan.dataset.missing_names)}",
                hint="run cache_latents and cache_text_encoder_outputs; replace or remove what they cannot read",
                option="dataset_config",
            )
        )
    if problems:
        raise OptionError.of(problems)


def _listed(names: Sequence[str]) -> str:
    """The first few of them."""
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def complete_configuration(configuration: Configuration, *, run: RunFolder, workspace: Path) -> Configuration:
    """The configuration with absolute paths, a seed, and the places of its files filled in.

    A resumed training has the seed of its state.
    """
    return configuration.changed(
        **{
            "output_dir": str(run.checkpoints),
            "logging_dir": str(workspace.absolute() / "logs"),
            **absolute_paths(configuration),
            "seed": _seed(configuration),
        }
    )


def _seed(configuration: Configuration) -> int | None:
    """The seed of the training; None where it stands in a state that is still to be fetched."""
    seed = configuration.schedule.seed
    if configuration.huggingface.resume_from_huggingface:
        return seed
    if seed is None and configuration.saving.resume:
        seed = read_state_record(Path(configuration.saving.resume)).facts.get("seed")
    return random.SystemRandom().randrange(2**32) if seed is None else seed


def absolute_paths(configuration: Configuration) -> dict[str, Any]:
    """The options that are paths on this machine and have a value, made absolute."""
    values = configuration.values()
    if configuration.huggingface.resume_from_huggingface:
        del values["resume"]
    return {
        name: [_absolute(path) for path in values[name]] if declared.kind == "list" else _absolute(values[name])
        for name, declared in all_options().items()
        if declared.path and values.get(name) is not None
    }


def _absolute(path: str) -> str:
    return str(Path(path).absolute())


def launch_arguments(config_file: Path, configuration: Configuration) -> list[str]:
    """What follows the Python interpreter: accelerate's launcher with everything stated, and the trainer."""
    machines = configuration.machines
    threads = machines.num_cpu_threads_per_process
    per_machine = max(1, machines.num_processes // machines.num_machines)
    threads = threads or max(1, (os.cpu_count() or 1) // per_machine)  # accelerate's own default of 1 starves a CPU
    # Port 0 is any free one, which only processes of one machine can agree on.
    port = machines.main_process_port or (29500 if machines.num_machines > 1 else 0)
    return [
        *("-m", LAUNCHER_MODULE, "--config_file", str(NEUTRAL_ACCELERATE_CONFIG)),
        *("--num_processes", str(machines.num_processes), "--num_machines", str(machines.num_machines)),
        *("--machine_rank", str(machines.machine_rank), "--gpu_ids", machines.gpu_ids or "all"),
        *(("--main_process_ip", machines.main_process_ip) if machines.main_process_ip else ()),
        *("--main_process_port", str(port)),
        *(("--multi_gpu",) if machines.num_processes > 1 else ()),
        *_dynamo_arguments(configuration.memory),
        *("--mixed_precision", configuration.memory.mixed_precision),
        *("--num_cpu_threads_per_process", str(threads)),
        *("-m", TRAINER_MODULE, "--config_file", str(config_file)),
    ]


def _dynamo_arguments(memory: MemoryOptions) -> list[str]:
    """What accelerate is to compile; for any size, for else each length of a caption would be compiled anew."""
    chosen = ["--dynamo_backend", memory.dynamo_backend.lower(), "--dynamo_mode", memory.dynamo_mode]
    return chosen if memory.dynamo_backend == "NO" else [*chosen, "--dynamo_use_dynamic"]


def _copy_dataset_file(dataset_config: str | None, run: RunFolder) -> bool:
    """Keep the dataset file as it is now, with absolute folders; says whether there was one to keep."""
    if dataset_config is None or not Path(dataset_config).is_file():
        return False  # a run that this one needs will make it
    write_dataset_file(run.dataset_file, read_dataset_file(Path(dataset_config)).absolute())
    return True
