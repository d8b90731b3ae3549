"""The data of a training: what is cached of its datasets, the steps that it makes, and the batches of each epoch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from backend.config.configuration import Configuration
from backend.config.dataset import read_dataset_file
from backend.dataset.batches import BucketGroup, count_batches, epoch_batches, group_into_buckets
from backend.dataset.cached import CachedItem
from backend.dataset.training_items import find_training_items
from backend.errors import DatasetError, OptionError
from backend.plan.encoder_names import find_encoders
from backend.plan.steps import StepCount, count_steps
from backend.training.batches import TrainingBatch, read_batches
from backend.training.dataset_record import dataset_record
from backend.training.stratified import stratified_uniforms


@dataclass(frozen=True)
class TrainingData:
    """The cached items of all datasets, and the steps that they make. workers: threads that read batches."""

    groups: Sequence[BucketGroup[CachedItem]]
    steps: StepCount
    seed: int
    workers: int
    records: Sequence[dict[str, Any]]

    @property
    def items_with_repeats(self) -> int:
        return sum(len(group.items) * group.num_repeats for group in self.groups)

    @property
    def facts(self) -> dict[str, Any]:
        """What must be the same for a training to go on: the fingerprint is that of all items in their groups."""
        shapes = [
            (group.dataset_number, group.bucket, group.frame_count, group.num_repeats, group.batch_size)
            for group in self.groups
        ]
        names = [item.latent_path.name for group in self.groups for item in group.items]
        digest = hashlib.sha256(json.dumps([shapes, names]).encode()).hexdigest()
        batches = self.steps.batches_per_epoch
        return {"items": self.items_with_repeats, "batches_per_epoch": batches, "fingerprint": digest[:16]}

    def epoch(self, epoch: int, indices: Sequence[int]) -> Iterator[TrainingBatch]:
        """The batches at these places of an epoch, which counts from 1, as tensors."""
        batches = epoch_batches(self.groups, seed=self.seed, epoch=epoch)
        return read_batches((batches[index] for index in indices), workers=self.workers)

    def stratified(self, strata: int | None) -> Callable[[int], Sequence[Tensor]] | None:
        """`uniforms` for these strata; None where each noise level is drawn by itself."""
        return partial(self.uniforms, strata=strata) if strata and strata > 1 else None

    def uniforms(self, epoch: int, *, strata: int) -> Sequence[Tensor]:
        """For each batch of an epoch, which counts from 1, the uniform numbers that its noise levels come from."""
        sizes = [len(batch.items) for batch in epoch_batches(self.groups, seed=self.seed, epoch=epoch)]
        return stratified_uniforms(sizes, strata=strata, seed=self.seed, epoch=epoch)


def load_data(configuration: Configuration, *, seed: int, processes: int = 1, tell: bool = True) -> TrainingData:
    """What is cached of the dataset. Raises DatasetError if nothing can be trained on. tell: print what is left out."""
    if configuration.dataset.dataset_config is None:
        raise OptionError("no dataset is chosen", hint="name its file", option="dataset_config")
    file = read_dataset_file(Path(configuration.dataset.dataset_config))
    training = find_training_items(file.datasets, encoders=find_encoders(configuration.model))
    problems = [problem for each in training for problem in (*each.problems, *each.missing_problems())]
    for problem in problems if tell else ():
        print(f"{problem.severity}: {problem}", flush=True)
    groups = group_into_buckets(file.datasets, [each.ready for each in training])
    if not groups:
        message = f"{configuration.dataset.dataset_config}: nothing of it can be trained on"
        raise DatasetError(message, hint="see the lines above; cache it again", cause="empty_dataset")
    schedule = configuration.schedule
    steps = count_steps(
        count_batches(groups),
        accumulation=schedule.gradient_accumulation_steps,
        max_train_steps=schedule.max_train_steps,
        max_train_epochs=schedule.max_train_epochs,
        processes=processes,
    )
    return TrainingData(
        groups=groups,
        steps=steps,
        seed=seed,
        workers=min(configuration.dataset.max_data_loader_n_workers, os.cpu_count() or 1),
        records=[dataset_record(dataset) for dataset in file.datasets],
    )
