"""What a training would do, found out without loading weights: modules, parameters, batches, steps, problems."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from backend.config.configuration import Configuration
from backend.config.doubts import find_doubts
from backend.config.network_args import parse_assignments
from backend.config.sample_prompts import check_images, read_prompts
from backend.config.schema import ModelOptions
from backend.config.tracker_file import tracker_settings
from backend.dataset.count import BucketCount, DatasetCount, count_dataset
from backend.errors import DatasetError, InputError, ModelFileError, OptionError, Problem
from backend.plan.block_swap import swapped_blocks
from backend.plan.encoder_files import encoder_problems
from backend.plan.encoder_names import find_encoders
from backend.plan.learning_rates import ScheduleSettings, list_rates, schedule_problems
from backend.plan.memory import MemoryForecast, forecast_memory, optimizer_bytes
from backend.plan.modules import (
    LinearModule,
    TransformerShape,
    block_linears,
    check_in_channels,
    shape_from_header,
)
from backend.plan.network import NetworkPlan, plan_network
from backend.plan.noise_levels import noise_shares
from backend.plan.output_files import check_folder, continues_there, existing_outputs
from backend.plan.resume import read_state_record
from backend.plan.saving import SamplePlan, SavedCount, SavePlan, count_samplings, count_saved
from backend.plan.selection import Decision, ModuleState, lora_name
from backend.plan.sharding import read_sharding
from backend.plan.steps import StepCount, count_steps
from backend.plan.weights_header import read_header, size_of_file
from backend.plan.work import largest_tokens, step_operations

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
    steps yet, and for a schedule of a class of its own, which only torch can tell. up_learning_rates: the same of the
    up matrices, with LoRA+. noise_shares: how large a part of the noise levels lies in each fiftieth of 0 to 1.
    memory: None without a dataset or a network that can be made. operations: of one step of one process.
    state_bytes: of a state folder.
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
    up_learning_rates: tuple[tuple[int, float], ...]
    noise_shares: tuple[float, ...]
    memory: MemoryForecast | None
    operations: float
    saved: SavedCount | None
    samplings: int
    state_bytes: int
    problems: tuple[Problem, ...]

    @property
    def trained(self) -> list[LinearModule]:
        return [decision.module for decision in self.decisions if decision.state is ModuleState.TRAINED]

    @property
    def errors(self) -> list[Problem]:
        """The problems that keep a training from starting."""
        return [problem for problem in self.problems if problem.severity == "error"]

    @property
    def disk_bytes(self) -> int:
        """What lies on the disk when most of it is there, without samples."""
        if self.saved is None:
            return 0
        return self.saved.most_files * self.file_bytes + self.saved.most_states * self.state_bytes

    def record(self) -> dict[str, Any]:
        """The plan as JSON tells it."""
        return {
            "modules": [lora_name(module.name) for module in self.trained],
            "trainable_parameters": self.trainable_parameters,
            "rank": self.rank,
            "scale": self.scale,
            "file_bytes": self.file_bytes,
            "dataset": asdict(self.dataset) if self.dataset else None,
            "steps": vars(self.steps) if self.steps else None,
            "learning_rates": [list(point) for point in self.learning_rates],
            "memory": asdict(self.memory) | {"total": self.memory.total} if self.memory else None,
            "saved": asdict(self.saved) if self.saved else None,
            "samplings": self.samplings,
            "disk_bytes": self.disk_bytes,
            "problems": [vars(problem) for problem in self.problems],
        }


def make_plan(configuration: Configuration, *, on_gpu: bool = True) -> Plan:
    """The plan for a configuration. What keeps it from starting stands in its problems; nothing is raised for it.

    Without a readable transformer file the full-size model is assumed. on_gpu: for the forecast of memory, whether the
    training will run on a GPU.
    """
    problems: list[Problem] = []
    shape = transformer_shape(configuration.model, problems)
    misfits = "error" if not problems else "warning" if problems == [PYTORCH_FILE] else None
    network = plan_network(configuration.network, block_linears(shape), misfits=misfits)
    problems += network.problems
    count = _count_dataset(configuration, problems)
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
    buckets = count.buckets if count else ()
    rates, up_rates = _learning_rates(configuration, steps)
    return Plan(
        shape=shape,
        decisions=network.decisions,
        rank=network.rank,
        scale=network.scale,
        trainable_parameters=network.trainable_parameters,
        file_bytes=network.numbers_in_file * BYTES_PER_NUMBER[configuration.saving.save_precision],
        dataset=count,
        steps=steps,
        learning_rates=rates,
        up_learning_rates=up_rates,
        noise_shares=tuple(noise_shares(configuration.timesteps, latent_sizes=_latent_sizes(buckets))),
        memory=_memory(configuration, shape, network, buckets, on_gpu=on_gpu) if buckets else None,
        operations=step_operations(
            shape,
            network.sizes,
            buckets=buckets,
            micro_batches=configuration.schedule.gradient_accumulation_steps,
            checkpointing=configuration.memory.gradient_checkpointing,
        ),
        saved=count_saved(SavePlan.of(configuration.saving), steps) if steps else None,
        samplings=count_samplings(SamplePlan.of(configuration.sampling), steps) if steps else 0,
        state_bytes=4 * network.trainable_parameters
        + optimizer_bytes(configuration.optimizer.optimizer_type, network.sizes.values()),
        problems=tuple(problems),
    )


def transformer_shape(model: ModelOptions, problems: list[Problem]) -> TransformerShape:
    """The size of the transformer that the file holds, the full size where it cannot be read; the reason is added to
    the problems."""
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


def _count_dataset(configuration: Configuration, problems: list[Problem]) -> DatasetCount | None:
    """The dataset's count, with what is wrong about it among the problems."""
    dataset_config = configuration.dataset.dataset_config
    if dataset_config is None:
        problems.append(Problem("no dataset is chosen", hint="name its file", option="dataset_config"))
        return None
    try:
        count, doubts = count_dataset(Path(dataset_config), encoders=find_encoders(configuration.model))
    except DatasetError as error:
        problems += [replace(problem, option="dataset_config") for problem in error.problems]
        return None
    problems += [Problem(doubt.message, doubt.hint, "dataset_config", "warning") for doubt in doubts]
    if not count.batches:
        problems.append(
            Problem(f"{dataset_config}: nothing to train on", hint="check its folders", option="dataset_config")
        )
    return count


Rates = tuple[tuple[int, float], ...]


def _learning_rates(configuration: Configuration, steps: StepCount | None) -> tuple[Rates, Rates]:
    """The rates of the down matrices, or of all, and those of the up matrices where they have their own."""
    settings = schedule_settings(configuration)
    if steps is None or configuration.schedule.lr_scheduler_type:
        return (), ()
    if schedule_problems(settings, total_steps=steps.total_steps):
        return (), ()
    rate, ratio = configuration.optimizer.learning_rate, configuration.network.loraplus_lr_ratio

    def listed(rate: float) -> Rates:
        return tuple(list_rates(settings, learning_rate=rate, total_steps=steps.total_steps, points=RATE_POINTS))

    return listed(rate), listed(rate * ratio) if ratio else ()


def _latent_sizes(buckets: Sequence[BucketCount]) -> dict[tuple[int, int], float]:
    """Height and width of the latents with how often they are trained; those of 960 x 544 where nothing is known."""
    sizes: dict[tuple[int, int], float] = {}
    for bucket in buckets:
        _, *size = bucket.latent_size
        sizes[size[0], size[1]] = sizes.get((size[0], size[1]), 0) + bucket.items * bucket.repeats
    return sizes or {(68, 120): 1}


def _memory(
    configuration: Configuration,
    shape: TransformerShape,
    network: NetworkPlan,
    buckets: Sequence[BucketCount],
    *,
    on_gpu: bool,
) -> MemoryForecast | None:
    """None where nothing can be swapped, or split, as the options ask: that is among the problems."""
    machines = configuration.machines
    try:
        return forecast_memory(
            configuration.memory,
            shape=shape,
            sizes=network.sizes,
            tokens=largest_tokens(buckets),
            optimizer=configuration.optimizer.optimizer_type,
            dit_dtype=configuration.model.dit_dtype,
            processes=machines.num_processes,
            split_over=machines.num_processes if machines.accelerate_config_file else 1,
            on_gpu=on_gpu,
        )
    except OptionError:
        return None


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
