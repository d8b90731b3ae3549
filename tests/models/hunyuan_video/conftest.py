"""The transformer with blocks to swap; what other tests of this folder call so, they make themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from tests.models.hunyuan_video.swapping_model import write_model


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("swapping") / "model.safetensors")


@pytest.fixture
def model(weights_file: Path) -> HunyuanVideoTransformer:
    return load_transformer(weights_file)
