"""One optimizer step, above all with the loss scaling of fp16."""

from __future__ import annotations

import math

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from torch.nn.functional import mse_loss
from torch.optim.lr_scheduler import LambdaLR

from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.networks.lora import create_lora
from backend.plan.modules import block_linears
from backend.training.step import optimizer_step
from tests.models.hunyuan_video.golden_transformer import GOLDEN, MODEL_FILE
from tests.networks.test_lora import part, predict


@pytest.fixture
def accelerator():
    """One that scales losses as on a GPU. Left to itself accelerate does so there only."""
    AcceleratorState._reset_state(True)
    accelerator = Accelerator(cpu=True, mixed_precision="fp16")
    accelerator.native_amp, accelerator.scaler = True, torch.amp.GradScaler("cpu", init_scale=2.0**10)
    yield accelerator
    AcceleratorState._reset_state(True)


def lora_on(dtype):
    """The golden model with its LoRA, and its golden inputs."""
    golden = load_file(GOLDEN / "dit_b1.safetensors")
    model = load_transformer(MODEL_FILE, dtype=dtype)
    names = [module.name for module in block_linears(model.shape) if "mod" not in module.name]
    network = create_lora(model, names, rank=4, alpha=2.0)
    network.load_state_dict(part(golden, "lora."))
    return model, network, golden


def step(accelerator, network, losses, *, max_grad_norm=1.0):
    """One step of gradient descent at rate 1 over two accumulated losses."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    scheduler = LambdaLR(optimizer, lambda step: 1.0)
    return optimizer_step(
        losses,
        accelerator=accelerator,
        optimizer=accelerator.prepare(optimizer),
        scheduler=scheduler,
        parameters=network.parameters(),
        accumulation=2,
        max_grad_norm=max_grad_norm,
    )


@pytest.mark.parametrize("max_grad_norm", [0.0, 0.1])
def test_a_step_in_fp16_is_the_step_in_float32_to_its_precision(accelerator, max_grad_norm):
    model, network, golden = lora_on(torch.float16)
    before = [parameter.detach().clone() for parameter in network.parameters()]

    def losses():
        for weight in (1.0, 1.0):
            with torch.autocast("cpu", dtype=torch.float16):
                loss = mse_loss(predict(model, golden).float(), golden["in.target"])
            yield loss, weight

    result = step(accelerator, network, losses(), max_grad_norm=max_grad_norm)
    expected = part(golden, "grad.")
    norm = math.sqrt(sum(float(tensor.square().sum()) for tensor in expected.values()))
    assert result.gradient_norm == pytest.approx(norm, rel=0.01)
    assert result.losses.tolist() == pytest.approx([golden["lora_loss"].item()] * 2, rel=0.01)
    limit = max_grad_norm / norm if max_grad_norm else 1.0
    for old, (name, parameter) in zip(before, network.named_parameters(), strict=True):
        change = old - parameter.detach()
        assert (change - limit * expected[name]).norm() < 0.03 * limit * expected[name].norm(), name
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_a_step_that_overflows_in_fp16_changes_nothing_and_halves_the_scale(accelerator):
    _, network, _ = lora_on(torch.float32)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    loss = sum(parameter.sum() for parameter in network.parameters()) * 1e38
    result = step(accelerator, network, [(loss, 1.0)])
    assert not math.isfinite(result.gradient_norm)
    assert all(map(torch.equal, before, network.parameters()))
    assert accelerator.scaler.get_scale() == 2.0**9
