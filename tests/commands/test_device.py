"""What options need of the machine is told before a model is loaded."""

from __future__ import annotations

import sys

import pytest
import torch
from torch._inductor import config as inductor_config

from backend.commands.device import attention_kernel, check_device, set_up_device, training_device
from backend.commands.model import compile_model, load_model
from backend.config.configuration import Configuration
from backend.errors import OptionError
from backend.models.hunyuan_video.attention import sdpa
from tests.models.hunyuan_video.swapping_model import SHAPE, add_network, all_equal, train, write_model


def problems_on(device, **options):
    with pytest.raises(OptionError) as raised:
        check_device(Configuration.from_values(options), torch.device(device))
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("device", "options", "message"),
    [
        (
            "cpu",
            {"mixed_precision": "fp16"},
            "mixed_precision is fp16, which needs a GPU, but the training runs on the CPU (choose no, or bf16)",
        ),
        (
            "cpu",
            {"blocks_to_swap": 20},
            "blocks_to_swap is 20, but the training runs on the CPU, which computes in CPU memory, where swapped "
            "blocks would lie (leave it empty)",
        ),
        (
            "mps",
            {"blocks_to_swap": 20, "mixed_precision": "fp16"},
            "blocks_to_swap is 20, but the training runs on Apple's GPU, which computes in CPU memory, where swapped "
            "blocks would lie (leave it empty)",
        ),
        (
            "mps",
            {"fp8_scaled": True, "mixed_precision": "fp16"},
            "fp8_scaled is on, but Apple's GPU has no floating point numbers of 8 bits (switch it off)",
        ),
        (
            "cpu",
            {"flash_attn": True},
            "flash_attn is on, which needs an NVIDIA GPU, but the training runs on the CPU (choose sdpa)",
        ),
        (
            "cpu",
            {"compile": True, "compile_backend": "nothing"},
            "compile_backend is nothing, which this PyTorch does not have (choose one of cudagraphs, inductor, "
            "openxla, tvm)",
        ),
        (
            "cpu",
            {"dynamo_backend": "AOT_TS_NVFUSER"},
            "dynamo_backend is aot_ts_nvfuser, which this PyTorch does not have (choose one of cudagraphs, inductor, "
            "openxla, tvm)",
        ),
    ],
)
def test_what_the_device_does_not_have_is_told_with_the_way_out(device, options, message):
    assert problems_on(device, **options) == [message]


def test_several_things_that_the_device_does_not_have_are_told_at_once():
    found = problems_on("cpu", mixed_precision="fp16", xformers=True, blocks_to_swap=2)
    assert len(found) == 3


@pytest.mark.skipif(torch.version.cuda is not None, reason="xformers may be installed")
def test_a_library_that_is_not_installed_is_named_with_the_line_that_installs_it():
    (problem,) = problems_on("cuda", xformers=True)
    assert problem.startswith("xformers is on, but the library xformers cannot be imported: ")
    assert problem.endswith("(install it: pip install xformers)")
    with pytest.raises(OptionError, match="pip install flash-attn --no-build-isolation"):
        attention_kernel(Configuration.from_values({"flash_attn": True}).memory)


def test_inductor_without_a_compiler_is_told():
    with inductor_config.patch({"cpp.cxx": ("no-such-compiler",)}):  # pytest's monkeypatch takes the setting away
        (problem,) = problems_on("cpu", compile=True)
    assert problem.startswith("compile_backend is inductor, which needs a C++ compiler: ")


def test_the_defaults_run_anywhere():
    for device in ("cpu", "cuda"):
        check_device(Configuration(), torch.device(device))


def test_several_processes_without_cuda_meet_on_the_cpu():
    kinds = {training_device(1).type, training_device(2).type}
    assert kinds == {"cuda"} if torch.cuda.is_available() else training_device(2).type == "cpu"


@pytest.mark.parametrize(
    ("option", "module", "function"),
    [("flash_attn", "flash_attn", "flash_attn_func"), ("xformers", "xformers.ops", "memory_efficient_attention")],
)
def test_the_chosen_attention_is_the_librarys(tmp_path, monkeypatch, option, module, function):
    """A library that is installed in its place counts how often it is called."""
    path = tmp_path.joinpath(*module.split("."))
    path.mkdir(parents=True)
    (path / "__init__.py").write_text(
        "import torch\n"
        "calls = []\n"
        f"def {function}(q, k, v):\n"
        "    calls.append(tuple(q.shape))\n"
        "    q, k, v = (x.transpose(1, 2) for x in (q, k, v))\n"
        "    return torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    options = {
        "dit": str(write_model(tmp_path / "model.safetensors")),
        "mixed_precision": "no",
        "dit_dtype": "bfloat16",
    }
    results = []
    for more in ({}, {option: True}):
        model = load_model(Configuration.from_values(options | more), device=torch.device("cpu"))
        assert (model.double_blocks[0].kernel is sdpa) == (not more)
        results.append(train(model, add_network(model), steps=1))
    assert all_equal(*results)
    calls = sys.modules[module].calls
    for name in [name for name in sys.modules if name.split(".")[0] == module.split(".")[0]]:
        monkeypatch.delitem(sys.modules, name)
    # Items of 6 image tokens and 3 or 5 words, each by itself, in every block but not in the refiner.
    assert calls == [(1, 6 + 3, 2, 32), (1, 6 + 5, 2, 32)] * 9


def test_blocks_are_swapped_inputs_kept_and_weights_held_as_the_options_say(tmp_path):
    options = {"dit": str(write_model(tmp_path / "model.safetensors")), "mixed_precision": "no"}
    memory = {
        "blocks_to_swap": 4, "block_swap_ring_size": 3, "img_in_txt_in_offloading": True,
        "gradient_checkpointing": True, "gradient_checkpointing_cpu_offload": True,
    }  # fmt: skip
    results = []
    for more in ({}, memory):
        model = load_model(Configuration.from_values(options | more), device=torch.device("cpu"))
        results.append(train(model, add_network(model)))
    assert all_equal(*results)
    assert len(model.weight_ring.in_cpu_memory()) == 1 + 2 + 5
    assert model.gradient_checkpointing and model.input_copies is not None


@pytest.mark.parametrize(("precision", "dtype"), [("no", "float32"), ("fp16", "float16"), ("bf16", "bfloat16")])
def test_weights_are_held_in_what_mixed_precision_computes_in(tmp_path, precision, dtype):
    options = {"dit": str(write_model(tmp_path / "model.safetensors")), "mixed_precision": precision}
    model = load_model(Configuration.from_values(options), device=torch.device("cpu"))
    assert {parameter.dtype for parameter in model.parameters()} == {getattr(torch, dtype)}
    assert model.shape == SHAPE


def test_more_blocks_to_swap_than_there_are_end_before_the_weights_are_read(tmp_path):
    options = {"dit": str(write_model(tmp_path / "model.safetensors")), "blocks_to_swap": 6}
    with pytest.raises(OptionError, match="at most 4 can be swapped"):
        load_model(Configuration.from_values(options), device=torch.device("cpu"))


@pytest.fixture
def cuda_settings():
    """What is set of CUDA's arithmetic, as it is now; put back at the end. pytest's monkeypatch cannot do that."""

    def found():
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark

    before = found()
    yield found
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before


def test_cudas_arithmetic_is_set_as_the_options_say(cuda_settings):
    before = cuda_settings()
    set_up_device(Configuration())
    assert cuda_settings() == before
    set_up_device(Configuration.from_values({"cuda_allow_tf32": True, "cuda_cudnn_benchmark": True}))
    assert cuda_settings() == (True, True, True)


def test_blocks_are_compiled_as_the_options_say(tmp_path):
    """A backend of our own sees what torch gives it to compile."""
    seen = []

    def backend(graph, inputs):
        seen.extend(isinstance(each, torch.SymInt) for each in inputs)
        return graph.forward

    torch._dynamo.register_backend(backend, name="seen_by_a_test", tags=("debug",))
    options = {"compile": True, "compile_backend": "seen_by_a_test", "compile_dynamic": "false"}
    path = write_model(tmp_path / "model.safetensors")
    configuration = Configuration.from_values({"dit": str(path), "mixed_precision": "no", **options})
    with torch._dynamo.config.patch(recompile_limit=8):
        model = load_model(configuration, device=torch.device("cpu"))
        compile_model(configuration.changed(compile_cache_size_limit=33), model)
        assert torch._dynamo.config.recompile_limit == 33
        train(model, add_network(model), steps=1)
    assert seen and not any(seen)
