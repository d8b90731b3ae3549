"""What a training would do, found out without loading weights: modules, parameters, batches, steps, problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from backend.config.configuration import Configuration
from backend.config.doubts import find_doubts
from backend.config.network_args import parse_assignments
from backend.config.sample_prompts import check_images, read_prompts
from backend.config.schema import ModelOptions
from backend.config.tracker_file import tracker_settings
from backend.dataset.count import DatasetCount, count_dataset
from backend.errors import DatasetError, InputError, ModelFileError, OptionError, Problem
from backend.plan.block_swap import swapped_blocks
from backend.plan.encoder_files import encoder_problems
from backend.plan.learning_rates import ScheduleSettings, list_rates, schedule_problems
from backend.plan.modules import (
    LinearModule,
    TransformerShape,
    block_linears,
    check_in_channels,
    shape_from_header,
)
from backend.plan.network import plan_network
from backend.plan.output_files import check_folder, continues_there, existing_outputs
from backend.plan.resume import read_state_record
from backend.plan.selection import Decision, ModuleState, lora_name
from backend.plan.sharding import read_sharding
from backend.plan.steps import StepCount, count_steps
from backend.plan.weights_header import read_header, size_of_file

PYTORCH_FILE = Problem(
    "the size of the transformer is read when the training starts",
    hint="the numbers are those of the full-size model; of a .safetensors file they would be exact",
    option="dit",
    severity="warning",
)
RATE_POINTS = 200
BYTES_PER_NUMBER = {"float": 4, "fp32": 4, "fp16": 2, "bf16": 2}


@dataclass(frozen=True)
class Plan:
    """What a training would do. decisions: one for each Linear of the blocks, in model order.

    rank, scale: None where they differ between modules, or only the start weights tell. file_bytes: of the tensors.
    learning_rates: steps, from 1, with the rate of each; at most 200 of them, evenly spread. Empty where there are no
    steps yet, and for a schedule of a class of its own, which only torch can tell.
    """

    shape: TransformerShape
    decisions: tuple[Decision, ...]
    rank: int | None
    scale: float | None
    trainable_parameters: int
    file_bytes: int
    dataset: DatasetCount | None
    steps: StepCount | None
    learning_rates: tuple[tuple[int, float], ...]
    problems: tuple[Problem, ...]

    @property
    def trained(self) -> list[LinearModule]:
        return [decision.module for decision in self.decisions if decision.state is ModuleState.TRAINED]

    @property
    def errors(self) -> list[Problem]:
        """The problems that keep a training from starting."""
        return [problem for problem in self.problems if problem.severity == "error"]

    def record(self) -> dict[str, Any]:
        """The plan as JSON tells it."""
        return {
            "modules": [lora_name(module.name) for module in self.trained],
            "trainable_parameters": self.trainable_parameters,
            "rank": self.rank,
            "scale": self.scale,
            "file_bytes": self.file_bytes,
            "dataset": vars(self.dataset) if self.dataset else None,
            "steps": vars(self.steps) if self.steps else None,
            "learning_rates": [list(point) for point in self.learning_rates],
            "problems": [vars(problem) for problem in self.problems],
        }


def make_plan(configuration: Configuration) -> Plan:
    """The plan for a configuration. What keeps it from starting stands in its problems; nothing is raised for it.

    Without a readable transformer file the full-size model is assumed.
    """
    problems: list[Problem] = []
    shape = _shape(configuration.model, problems)
    misfits = "error" if not problems else "warning" if problems == [PYTORCH_FILE] else None
    network = plan_network(configuration.network, block_linears(shape), misfits=misfits)
    problems += network.problems
    count = _count_dataset(configuration.dataset.dataset_config, problems)
    must_cache = count is not None and count.missing > 0
    problems += encoder_problems(configuration.model, severity="error" if must_cache else "warning")
    steps = _steps(configuration, count)
    problems += _existing_output(configuration)
    problems += find_doubts(configuration)
    problems += _input_problems(configuration, shape)
    if not configuration.schedule.lr_scheduler_type:
        problems += schedule_problems(
            schedule_settings(configuration), total_steps=steps.total_steps if steps else None
        )
    return Plan(
        shape=shape,
        decisions=network.decisions,
        rank=network.rank,
        scale=network.scale,
        trainable_parameters=network.trainable_parameters,
        file_bytes=network.numbers_in_file * BYTES_PER_NUMBER[configuration.saving.save_precision],
        dataset=count,
        steps=steps,
        learning_rates=_learning_rates(configuration, steps),
        problems=tuple(problems),
    )


def _shape(model: ModelOptions, problems: list[Problem]) -> TransformerShape:
    if model.dit is None:
        problems.append(Problem("no transformer is chosen", hint="name its weights file", option="dit"))
        return TransformerShape.full_size()
    path = Path(model.dit)
    try:
        if path.suffix == ".safetensors":
            tensors, _ = read_header(path)
            shape = shape_from_header({name: tensor.shape for name, tensor in tensors.items()}, path=path)
            check_in_channels(shape, model.dit_in_channels, path=path)
            return shape
        size_of_file(path)
        problems.append(PYTORCH_FILE)
    except ModelFileError as error:
        problems += [replace(problem, option=problem.option or "dit") for problem in error.problems]
    return TransformerShape.full_size()


def _count_dataset(dataset_config: str | None, problems: list[Problem]) -> DatasetCount | None:
    """The dataset's count, with what is wrong about it among the problems."""
    if dataset_config is None:
        problems.append(Problem("no dataset is chosen", hint="name its file", option="dataset_config"))
        return None
    try:
        count, doubts = count_dataset(Path(dataset_config))
    except DatasetError as error:
        problems += [replace(problem, option="dataset_config") for problem in error.problems]
        return None
    problems += [Problem(doubt.message, doubt.hint, "dataset_config", "warning") for doubt in doubts]
    if not count.batches:
        problems.append(
            Problem(f"{dataset_config}: nothing to train on", hint="check its folders", option="dataset_config")
        )
    return count


def _learning_rates(configuration: Configuration, steps: StepCount | None) -> tuple[tuple[int, float], ...]:
    settings = schedule_settings(configuration)
    if steps is None or configuration.schedule.lr_scheduler_type:
        return ()
    if schedule_problems(settings, total_steps=steps.total_steps):
        return ()
    rate = configuration.optimizer.learning_rate
    return tuple(list_rates(settings, learning_rate=rate, total_steps=steps.total_steps, points=RATE_POINTS))


def schedule_settings(configuration: Configuration) -> ScheduleSettings:
    """How the learning rate changes. Raises OptionError for arguments that cannot be read."""
    schedule = configuration.schedule
    named = {name: getattr(schedule, name) for name in ScheduleSettings.__dataclass_fields__}
    arguments = parse_assignments(schedule.lr_scheduler_args, option="lr_scheduler_args")
    return ScheduleSettings(**{**named, "lr_scheduler_args": arguments})


def check_outputs(configuration: Configuration) -> None:
    """Raise OptionError if the training would write over files and was not asked to."""
    if problems := _existing_output(configuration):
        raise OptionError.of(problems)


def _existing_output(configuration: Configuration) -> list[Problem]:
    """Files that would be overwritten. Without an output folder each run has its own."""
    saving = configuration.saving
    if saving.output_dir is None or saving.overwrite:
        return []
    folder = Path(saving.output_dir)
    found = existing_outputs(folder, saving.output_name)
    if not found or continues_there(saving.resume, folder, saving.output_name):
        return []
    more = f", and {len(found) - 1} more of that name" if len(found) > 1 else ""
    hint = "choose another output_name or output_dir, or switch overwrite on"
    return [Problem(f"{found[-1]}: exists already{more}", hint=hint, option="output_name")]


def _input_problems(configuration: Configuration, shape: TransformerShape) -> list[Problem]:
    """What is wrong with the files that the options name, and with what they ask of this transformer."""
    memory, machines, saving = configuration.memory, configuration.machines, configuration.saving
    problems = _raised(partial(swapped_blocks, shape, memory.blocks_to_swap or 0))
    if machines.accelerate_config_file:
        problems += _raised(partial(read_sharding, Path(machines.accelerate_config_file)))
    if prompts := configuration.sampling.sample_prompts:
        problems += _raised(partial(_check_prompts, Path(prompts)))
    if saving.resume and not configuration.huggingface.resume_from_huggingface:
        problems += _raised(partial(read_state_record, Path(saving.resume)))
    return problems + _output_problems(configuration)


def _output_problems(configuration: Configuration) -> list[Problem]:
    """What keeps files and logs from being written where the options say."""
    problems, logging = [], configuration.logging
    for name, folder in (("output_dir", configuration.saving.output_dir), ("logging_dir", logging.logging_dir)):
        if folder:
            problems += _raised(partial(check_folder, Path(folder), option=name))
    if file := logging.log_tracker_config:
        found = _raised(partial(tracker_settings, Path(file), wandb_run_name=None))
        problems += [replace(problem, option="log_tracker_config") for problem in found]
    return problems


def _check_prompts(path: Path) -> None:
    if problems := check_images(read_prompts(path), needed=False):
        raise OptionError.of(problems)


def _raised(check: Callable[[], object]) -> list[Problem]:
    """The problems of what the check raises, [] if it raises nothing."""
    try:
        check()
    except InputError as error:
        return list(error.problems)
    return []


def _steps(configuration: Configuration, count: DatasetCount | None) -> StepCount | None:
    if count is None or not count.batches:
        return None
    schedule = configuration.schedule
    return count_steps(
        count.batches,
        accumulation=schedule.gradient_accumulation_steps,
        max_train_steps=schedule.max_train_steps,
        max_train_epochs=schedule.max_train_epochs,
        processes=configuration.machines.num_processes,
    )
