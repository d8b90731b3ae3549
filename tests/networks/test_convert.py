"""LoRA files from naming to naming: the reference's values, and diffusers' own loader."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from backend.errors import ModelFileError
from backend.networks.convert import convert, naming_of, read_modules, true_metadata
from backend.networks.files import load_lora
from tests.models.hunyuan_video.golden_transformer import load_case, relative_error, small_transformer
from tests.models.hunyuan_video.test_against_diffusers import to_diffusers

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def native():
    return load_file(GOLDEN / "lora_default.safetensors")


def changes(tensors):
    """What each module adds to its weight."""
    found = {}
    for module, parts in read_modules(tensors).items():
        down, up = parts["lora_down.weight"].double(), parts["lora_up.weight"].double()
        found[module] = up @ down * (float(parts.get("alpha", len(down))) / len(down))
    return found


def assert_the_same_changes(found, expected, *, relative=1e-6):
    assert found.keys() == expected.keys()
    for module, change in expected.items():
        assert (found[module] - change).norm() <= relative * change.norm(), module


def test_comfyuis_naming_is_what_the_reference_writes(native):
    found, expected = convert(native, "comfyui"), load_file(GOLDEN / "lora_other.safetensors")
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-6, atol=0)


def test_and_back_it_is_what_the_reference_reads(native):
    found = convert(load_file(GOLDEN / "lora_other.safetensors"), "default")
    expected = load_file(GOLDEN / "lora_roundtrip.safetensors")
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        torch.testing.assert_close(found[name], tensor, rtol=1e-6, atol=0)


@pytest.mark.parametrize("through", [("comfyui",), ("diffusers",), ("diffusers", "comfyui", "diffusers")])
def test_every_way_round_adds_the_same_to_the_weights(native, through):
    tensors = native
    for naming in (*through, "default"):
        tensors = convert(tensors, naming)
        assert naming_of(list(tensors)) == naming
    assert tensors.keys() == native.keys()
    assert_the_same_changes(changes(tensors), changes(native))


def test_queries_keys_and_values_of_other_origin_are_joined_with_the_sum_of_their_ranks(native):
    theirs = convert(native, "diffusers")
    name = "transformer.transformer_blocks.0.attn.to_k.lora_A.weight"
    other = torch.randn(3, theirs[name].shape[1], generator=torch.Generator().manual_seed(0))
    wide = torch.randn(theirs[name.replace("lora_A", "lora_B")].shape[0], 3, generator=torch.Generator().manual_seed(1))
    theirs |= {name: other, name.replace("lora_A", "lora_B"): wide}
    joined = convert(theirs, "default")["lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight"]
    assert len(joined) == 4 + 3 + 4
    change = changes(convert(theirs, "default"))["double_blocks.0.img_attn_qkv"]
    width = change.shape[1]
    expected = changes(native)["double_blocks.0.img_attn_qkv"].clone()
    expected[width : 2 * width] = wide.double() @ other.double()
    assert (change - expected).norm() <= 1e-6 * expected.norm()


def test_rows_that_a_file_lacks_are_left_alone(native):
    theirs = convert(native, "diffusers")
    only_values = {
        name: tensor for name, tensor in theirs.items() if ".attn.to_v." in name and "single_transformer" in name
    }
    found = changes(convert(only_values, "default"))["single_blocks.0.linear1"]
    expected = changes(native)["single_blocks.0.linear1"]
    width = expected.shape[1]
    assert found.shape == expected.shape
    assert not found[: 2 * width].any() and not found[3 * width :].any()
    assert (found - expected)[2 * width : 3 * width].norm() <= 1e-6 * expected.norm()


def test_peft_names_with_an_adapter_in_them_are_understood(native):
    theirs = convert(native, "diffusers")
    named = {name.replace(".weight", ".default.weight").removeprefix("transformer."): t for name, t in theirs.items()}
    assert_the_same_changes(changes(named), changes(native))


@pytest.mark.parametrize("case", ["dit_img1", "dit_b1"])
def test_diffusers_own_loader_gives_the_outputs_that_we_have(tmp_path, case):
    """Its transformer with our weights, and the LoRA read by its `load_lora_adapter`."""
    stored = load_case(case)
    lora = {
        f"lora_unet_{name.removeprefix('lora.')}" if not name.startswith("lora.lora_unet_") else name[5:]: tensor
        for name, tensor in stored.items()
        if name.startswith("lora.")
    }
    theirs = to_diffusers(small_transformer())
    theirs.load_lora_adapter(convert(lora, "diffusers"), prefix="transformer")
    with torch.no_grad():
        found = theirs(
            hidden_states=stored["in.x"],
            timestep=stored["in.timestep"],
            encoder_hidden_states=stored["in.text_states"],
            encoder_attention_mask=stored["in.text_mask"],
            pooled_projections=stored["in.text_states_2"],
            guidance=stored["in.guidance"],
        ).sample
    assert relative_error(stored["out"], stored["lora_out"]) > 1e-3  # the LoRA matters
    assert relative_error(found, stored["lora_out"]) < 2e-5


def test_metadata_tells_ranks_and_alphas_as_they_are_now():
    tensors, metadata = load_lora(GOLDEN / "lora_default.safetensors")
    alpha, rank = metadata["ss_network_alpha"], metadata["ss_network_dim"]
    assert true_metadata(metadata, tensors) == metadata
    converted = true_metadata(metadata, convert(tensors, "comfyui"))
    assert converted["ss_network_alpha"] == rank != alpha
    assert {name: text for name, text in converted.items() if name != "ss_network_alpha"} == {
        name: text for name, text in metadata.items() if name != "ss_network_alpha"
    }


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["lora_unet_single_blocks_0_linear3.alpha"], "no module of HunyuanVideo's blocks"),
        (["lora_te_text_model_0.alpha"], "wanted a HunyuanVideo LoRA"),
        (["transformer.transformer_blocks.0.attn.to_x.lora_A.weight"], "no module of HunyuanVideo's blocks"),
        (["diffusion_model.double_blocks.0.img_attn_qkv.diff"], "is no part of a LoRA"),
    ],
)
def test_files_of_another_kind_are_refused(names, message):
    with pytest.raises(ModelFileError, match=message):
        read_modules({name: torch.zeros(2, 2) for name in names})


def test_loha_goes_to_comfyui_and_back_and_not_to_diffusers():
    module = "lora_unet_single_blocks_0_linear2"
    parts = {"hada_w1_a": (8, 2), "hada_w1_b": (2, 4), "hada_w2_a": (8, 2), "hada_w2_b": (2, 4)}
    loha = {f"{module}.{part}": torch.randn(shape) for part, shape in parts.items()} | {
        f"{module}.alpha": torch.tensor(1.0)
    }
    theirs = convert(loha, "comfyui")
    assert "diffusion_model.single_blocks.0.linear2.hada_w1_a" in theirs
    back = convert(theirs, "default")
    assert back.keys() == loha.keys() and all(torch.equal(back[name], tensor) for name, tensor in loha.items())
    with pytest.raises(ModelFileError, match="diffusers has no LoHa"):
        convert(loha, "diffusers")
