"""The small transformer of the golden values, and its modules."""

from pathlib import Path

import pytest
import torch

from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.plan.modules import block_linears
from backend.plan.selection import select_modules, trained_modules

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def transformer() -> HunyuanVideoTransformer:
    return load_transformer(GOLDEN / "dit_model.safetensors", device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture
def module_names(transformer) -> list[str]:
    """The modules of the small transformer that are trained by default."""
    return [module.name for module in trained_modules(select_modules(block_linears(transformer.shape)))]
