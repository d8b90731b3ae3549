"""Loading takes the memory of what is loaded, and hardly more."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.plan.modules import TransformerShape

PROJECT = Path(__file__).parents[3]
SHAPE = TransformerShape(
    hidden_size=2048, heads=16, double_blocks=3, single_blocks=6, mlp_hidden=8192, in_channels=16, text_width=256,
    pooled_width=64,
)  # fmt: skip

LOAD = """
import json, sys, psutil, torch
from pathlib import Path
from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.plan.block_swap import BlockSwap
swap = BlockSwap(int(sys.argv[3]), slots=1)
before = psutil.Process().memory_info().rss
model = load_transformer(Path(sys.argv[1]), dtype=getattr(torch, sys.argv[2]), swap=swap)
for parameter in model.parameters():
    parameter.data.view(torch.uint8).flatten()[::4096].sum()  # what is mapped counts once it is used
# ru_maxrss would still tell the peak of the process that started this one
peak = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
loaded = sum(t.nbytes for t in (*model.parameters(), *model.buffers()))  # the place for swapped blocks is empty still
print(json.dumps({"peak": peak - before, "loaded": loaded}))
"""


@pytest.fixture(scope="module", params=["safetensors", "pt"])
def weights_file(request, tmp_path_factory):
    """A file of about 2 GB in bfloat16."""
    with torch.device("meta"):
        names = HunyuanVideoTransformer(SHAPE).state_dict()
    tensors = {name: torch.zeros(tensor.shape, dtype=torch.bfloat16) for name, tensor in names.items()}
    path = tmp_path_factory.mktemp("large") / f"model.{request.param}"
    save_file(tensors, path) if request.param == "safetensors" else torch.save({"module": tensors}, path)
    assert 1.8e9 < path.stat().st_size < 2.2e9
    yield path
    path.unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read the way of Linux")
@pytest.mark.parametrize(("dtype", "blocks_to_swap"), [("bfloat16", 0), ("float32", 0), ("bfloat16", 4)])
def test_peak_memory_stays_under_1_1_times_the_loaded_weights(weights_file, dtype, blocks_to_swap):
    command = [sys.executable, "-c", LOAD, str(weights_file), dtype, str(blocks_to_swap)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert 0.9 * measured["loaded"] < measured["peak"] < 1.1 * measured["loaded"]
