"""Base weights split over the processes (FSDP, Zhao et al. 2023, arXiv:2304.11277), with the whole LoRA in each."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, OffloadPolicy, fully_shard

from backend.plan.sharding import Sharding


def shard_base_weights(
    transformer: nn.Module,
    blocks: Iterable[nn.Module],
    *,
    trained: Iterable[nn.Parameter],
    device: torch.device,
    sharding: Sharding,
) -> None:
    """Leave each process its share of all weights but the trained ones; a block's are put together when it computes.

    The transformer may lie in main memory: its blocks go to the device one after the other, so no device ever holds
    all. Results stay the same to the last bit. The trained weights are whole in every process, as are their gradients,
    which `average_gradients` exchanges; checkpoints and states are those of a training without sharding.
    """
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    offload = CPUOffloadPolicy() if sharding.offload and device.type != "cpu" else OffloadPolicy()
    ignored = set(trained)
    for block in blocks:
        fully_shard(
            block, mesh=mesh, reshard_after_forward=sharding.reshard, ignored_params=ignored, offload_policy=offload
        )
    fully_shard(transformer, mesh=mesh, ignored_params=ignored, offload_policy=offload)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over all processes; one that a process lacks counts as zeros."""
    trained = list(parameters)
    for parameter in trained:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    flat = torch.cat([parameter.grad.flatten() for parameter in trained])  # one exchange in place of hundreds
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for parameter, mean in zip(trained, flat.split([parameter.numel() for parameter in trained]), strict=True):
        parameter.grad.copy_(mean.view_as(parameter))
