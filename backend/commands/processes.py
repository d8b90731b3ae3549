"""The processes of a training: how many there are, which one this is, and how accelerate connects them."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch import nn
from torch.optim import Optimizer

from backend.config.configuration import Configuration
from backend.errors import UserError
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.networks.network import Network
from backend.plan.sharding import Sharding, read_sharding
from backend.training.sharding import shard_base_weights
from backend.training.trackers import tracker_kinds

MINUTES_FOR_SAMPLES = 12 * 60
"""How long processes wait for each other where some of them sample; torch's own 10 minutes are too short for clips."""


def is_first_process() -> bool:
    """Whether this process is the one of all machines that saves and logs."""
    return os.environ.get("RANK", "0") == "0"


def process_count() -> int:
    """The processes of all machines, as the launcher tells."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def tell(line: str) -> None:
    """Print a line into the run's log, once for all processes."""
    if is_first_process():
        print(line, flush=True)


def make_accelerator(configuration: Configuration, log_folder: Path | None) -> Accelerator:
    machines = configuration.machines
    handlers = [
        DistributedDataParallelKwargs(
            gradient_as_bucket_view=machines.ddp_gradient_as_bucket_view,
            static_graph=machines.ddp_static_graph,
            find_unused_parameters=bool(configuration.network.module_dropout),
        )
    ]
    if minutes := machines.ddp_timeout or (MINUTES_FOR_SAMPLES if configuration.sampling.sample_prompts else None):
        handlers.append(InitProcessGroupKwargs(timeout=timedelta(minutes=minutes)))
    processes = process_count()
    accelerator = Accelerator(
        # Without a GPU accelerate connects processes only if it is told to use the CPU.
        cpu=processes > 1 and not torch.cuda.is_available(),
        mixed_precision=configuration.memory.mixed_precision,
        log_with=tracker_kinds(configuration.logging.log_with) if log_folder else None,
        project_dir=str(log_folder) if log_folder else None,
        kwargs_handlers=handlers,
    )
    if accelerator.num_processes != processes:
        raise UserError(
            f"{processes} processes were started, but accelerate connects {accelerator.num_processes}",
            hint="train with num_processes 1 on this machine",
        )
    return accelerator


def share_among_processes(
    accelerator: Accelerator,
    transformer: HunyuanVideoTransformer,
    network: Network,
    optimizer: Optimizer,
    *,
    sharding: Sharding | None,
) -> tuple[nn.Module, Optimizer]:
    """Transformer and optimizer as a process trains with them: the base weights split over all, or whole in each."""
    if sharding is None:
        keep_from_exchange(transformer)
        return accelerator.prepare(transformer, optimizer)
    blocks = [*transformer.double_blocks, *transformer.single_blocks]
    device, trained = accelerator.device, network.parameters()
    shard_base_weights(transformer, blocks, trained=trained, device=device, sharding=sharding)
    return transformer, accelerator.prepare(optimizer)


def keep_from_exchange(transformer: nn.Module) -> None:
    """Name what processes need not send each other at the start: all but what is trained is read from the same files.

    For the full-size model that is 26 GB. The attribute is torch's, see DistributedDataParallel.
    """
    tensors = [*transformer.named_parameters(), *transformer.named_buffers()]
    frozen = [name for name, tensor in tensors if not tensor.requires_grad]
    transformer._ddp_params_and_buffers_to_ignore = frozen


def sharding_of(configuration: Configuration) -> Sharding | None:
    path = configuration.machines.accelerate_config_file
    return read_sharding(Path(path)) if path else None
