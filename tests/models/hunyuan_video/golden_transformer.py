"""The small transformer and the cases that the reference implementation gives for it, from tests/golden."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer

GOLDEN = Path(__file__).parents[2] / "golden"
MODEL_FILE = GOLDEN / "dit_model.safetensors"
CASES = ("dit_b1", "dit_b2", "dit_img1")


class LoRA(nn.Module):
    """A Linear plus scale * up(down(x)), as plain as can be."""

    def __init__(self, base: nn.Linear, down: Tensor, up: Tensor, scale: float) -> None:
        super().__init__()
        self.base, self.scale = base, scale
        self.down, self.up = nn.Parameter(down), nn.Parameter(up)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + (x @ self.down.T @ self.up.T) * self.scale


def load_case(name: str) -> dict[str, Tensor]:
    return load_file(GOLDEN / f"{name}.safetensors")


def small_transformer() -> HunyuanVideoTransformer:
    return load_transformer(MODEL_FILE, device="cpu", dtype=torch.float32)


def predict(model: HunyuanVideoTransformer, case: dict[str, Tensor], **changed: Tensor) -> Tensor:
    inputs = {
        "x": case["in.x"],
        "timestep": case["in.timestep"],
        "text_states": case["in.text_states"],
        "text_mask": case["in.text_mask"],
        "pooled_text": case["in.text_states_2"],
        "guidance": case["in.guidance"],
    }
    return model(**(inputs | changed))


def feed_reference_features(model: HunyuanVideoTransformer, case: dict[str, Tensor]) -> None:
    """Give `guidance_in` the reference's own sinusoid of the guidance.

    Its exp() is one unit in the last place off for three of the 128 frequencies, which a guidance of 6000 magnifies to
    2e-4 in the features; what comes after is then compared at full precision.
    """
    table = load_case("timestep_embedding")
    rows = [(table["t"] == guidance).nonzero().flatten() for guidance in case["in.guidance"]]
    if all(len(row) == 1 for row in rows):
        model.guidance_in.register_forward_pre_hook(lambda module, args: table["emb256"][torch.cat(rows)])


def add_lora(model: HunyuanVideoTransformer, case: dict[str, Tensor]) -> dict[str, LoRA]:
    """Wrap the modules that the case has a LoRA for. Returns the LoRAs by their name in the file."""
    loras = {}
    for path in [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]:
        name = "lora_unet_" + path.replace(".", "_")
        if f"lora.{name}.alpha" in case:
            down, up = case[f"lora.{name}.lora_down.weight"], case[f"lora.{name}.lora_up.weight"]
            scale = case[f"lora.{name}.alpha"].item() / len(down)
            loras[name] = LoRA(model.get_submodule(path), down.clone(), up.clone(), scale)
            model.set_submodule(path, loras[name])
    return loras


def relative_error(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest magnitude."""
    return ((found - expected).abs().max() / expected.abs().max()).item()
