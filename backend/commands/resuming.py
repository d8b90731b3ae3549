"""Where a training goes on: a state found, fetched, compared with the options, and put into the trainer's parts."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

from backend.commands.processes import tell
from backend.commands.records import resume_facts
from backend.commands.training_data import TrainingData
from backend.config.configuration import Configuration
from backend.errors import OptionError
from backend.plan.resume import MAY_CHANGE, StateRecord, check_facts, read_state_record
from backend.runs.folder import RunFolder
from backend.training.schedules import fast_forward
from backend.training.state import load_network_tensors, load_state, scheduled_steps
from backend.training.trainer import Trainer
from backend.training.upload import RemoteState, fetch_state


def with_fetched_state(configuration: Configuration, run: RunFolder) -> Configuration:
    """The configuration with a state from Hugging Face replaced by its copy in the run's folder, and its seed."""
    if not configuration.huggingface.resume_from_huggingface:
        return configuration
    folder = fetch_state(RemoteState.parse(configuration.saving.resume or ""), run.path / "resumed")
    seed = configuration.schedule.seed
    if seed is None:
        seed = read_state_record(folder).facts.get("seed", zlib.crc32(run.name.encode()))
    return configuration.changed(resume=str(folder), resume_from_huggingface=False, seed=seed)


def find_start(configuration: Configuration, data: TrainingData) -> StateRecord:
    """Where to go on; the beginning if nothing is resumed. Prints what has changed since.

    Raises OptionError for settings that do not fit the state, and for a state with nothing left to train.
    """
    if not configuration.saving.resume:
        return StateRecord(step=0)
    folder = Path(configuration.saving.resume)
    record = read_state_record(folder)
    if record.step is None:
        record = StateRecord(scheduled_steps(folder))
        tell(f"warning: {folder} does not tell its step; its schedule is at {record.step}")
    for change in check_facts(record.facts, resume_facts(configuration, data), folder=folder):
        tell(f"resume: {change}")
    if record.step >= data.steps.total_steps:
        raise OptionError(
            f"{folder}: is at step {record.step}, and the training has {data.steps.total_steps}",
            hint="raise max_train_steps or max_train_epochs",
            option="resume",
        )
    tell(f"resume: after step {record.step} of {data.steps.total_steps}, from {folder}")
    return record


def resume(configuration: Configuration, trainer: Trainer) -> None:
    """Give the trainer's parts the insides of the state."""
    if not configuration.saving.resume:
        return
    folder = Path(configuration.saving.resume)
    problems = trainer.network.load_state_dict(load_network_tensors(folder))
    if problems:
        raise OptionError(f"{folder}: {problems[0].message}", hint="resume with the same modules", option="resume")
    rates = [(group["lr"], group["initial_lr"]) for group in trainer.optimizer.param_groups]
    fresh = trainer.scheduler.state_dict()
    load_state(folder, trainer.resumable)
    now = json.loads(json.dumps(trainer.facts))
    if any(trainer.start.facts.get(name) != now[name] for name in MAY_CHANGE):
        trainer.scheduler.load_state_dict(fresh)
        for group, (rate, initial_rate) in zip(trainer.optimizer.param_groups, rates, strict=True):
            group["lr"], group["initial_lr"] = rate, initial_rate
        fast_forward(trainer.scheduler, trainer.start.step or 0)
