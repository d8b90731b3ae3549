"""`python -m backend lora`: what each command prints and writes."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.__main__ import main
from backend.networks.files import load_lora
from tests.commands.tiny_project import TRANSFORMER

GOLDEN = Path(__file__).parents[1] / "golden"
LORA = GOLDEN / "lora_default.safetensors"


def run(*arguments):
    return main(["lora", *map(str, arguments)])


def test_info_tells_what_is_in_a_file(capsys):
    assert run("info", LORA, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["naming"], facts["kinds"], facts["ranks"], facts["alphas"]) == (
        "default",
        ["networks.lora"],
        [4],
        [2.0],
    )
    assert list(facts["norms"]) == ["double_blocks.0", "double_blocks.1", "single_blocks.0", "single_blocks.1"]
    assert facts["modules"] == len(load_file(LORA)) // 3
    assert facts["metadata"]["ss_base_model_version"] == "hunyuan_video"
    assert run("info", LORA) == 0
    assert "ranks: 4" in capsys.readouterr().out


def test_convert_writes_another_naming_with_hashes_of_its_own(tmp_path):
    output = tmp_path / "new" / "x.safetensors"
    assert run("convert", LORA, "--target", "diffusers", "--output", output) == 0
    tensors, metadata = load_lora(output)
    assert "transformer.transformer_blocks.0.attn.to_q.lora_A.weight" in tensors
    before = load_lora(LORA)[1]
    assert metadata["sshs_model_hash"] != before["sshs_model_hash"]
    assert metadata["ss_base_model_version"] == "hunyuan_video" and metadata["ss_network_alpha"] == "4"
    assert run("convert", output, "--target", "default", "--output", tmp_path / "back.safetensors") == 0
    assert load_lora(tmp_path / "back.safetensors")[0].keys() == load_lora(LORA)[0].keys()


def test_an_existing_file_is_not_written_over_unasked(tmp_path, capsys):
    output = tmp_path / "x.safetensors"
    output.write_bytes(b"mine")
    arguments = ("convert", LORA, "--target", "comfyui", "--output", output)
    assert run(*arguments) == 2
    assert "exists already" in capsys.readouterr().err and output.read_bytes() == b"mine"
    assert run(*arguments, "--overwrite", "--save_precision", "bf16") == 0
    assert {tensor.dtype for tensor in load_file(output).values()} == {torch.bfloat16}


def test_resize_writes_lower_ranks_in_the_naming_of_the_file(tmp_path):
    output = tmp_path / "small.safetensors"
    assert run("resize", GOLDEN / "lora_other.safetensors", "--rank", "2", "--output", output) == 0
    tensors, metadata = load_lora(output)
    assert {len(tensor) for name, tensor in tensors.items() if "lora_A" in name} == {2}
    assert metadata["ss_network_dim"] == "2"


def test_merge_adds_to_the_weights_what_the_reference_adds(tmp_path):
    output = tmp_path / "merged.safetensors"
    merged = ("merge", "--dit", TRANSFORMER, "--lora_weight", LORA, "--lora_multiplier", "0.8")
    assert run(*merged, "--save_merged_model", output) == 0
    found, base = load_file(output), load_file(TRANSFORMER)
    assert found.keys() == base.keys()
    for name, expected in load_file(GOLDEN / "lora_merged.safetensors").items():
        name = name if name in found else f"{name}.weight"
        error = (found[name].float() - expected.float()).abs().max() / expected.abs().max()
        assert error < 2**-8  # the base is in bfloat16, and so is the sum
        assert not torch.equal(found[name], base[name])
    untouched = "txt_in.input_embedder.weight"
    assert torch.equal(found[untouched], base[untouched])


def test_extract_finds_the_lora_that_was_merged(tmp_path, capsys):
    wide = tmp_path / "base.safetensors"
    save_file({name: tensor.float() for name, tensor in load_file(TRANSFORMER).items()}, wide)
    tuned, output = tmp_path / "tuned.safetensors", tmp_path / "extracted.safetensors"
    assert run("merge", "--dit", wide, "--lora_weight", LORA, "--save_merged_model", tuned) == 0
    assert run("extract", "--dit", wide, "--dit_tuned", tuned, "--rank", "4", "--output", output) == 0
    tensors, original = load_lora(output)[0], load_lora(LORA)[0]
    assert tensors.keys() == original.keys()
    for name in (name.removesuffix(".alpha") for name in tensors if name.endswith(".alpha")):
        found, expected = (
            each[f"{name}.lora_up.weight"] @ each[f"{name}.lora_down.weight"] * each[f"{name}.alpha"].float() / 4
            for each in (tensors, original)
        )
        assert (found - expected).norm() < 1e-4 * expected.norm(), name
    assert run("extract", "--dit", wide, "--dit_tuned", wide, "--output", tmp_path / "none.safetensors") == 2
    assert "its blocks are those of" in capsys.readouterr().err


def test_a_model_is_not_merged_over_an_existing_file_unasked(tmp_path, capsys):
    output = tmp_path / "base.safetensors"
    output.write_bytes(b"26 GB that took a night to download")
    arguments = ("merge", "--dit", TRANSFORMER, "--lora_weight", LORA, "--save_merged_model", output)
    assert run(*arguments) == 2
    assert "base.safetensors: exists already" in capsys.readouterr().err and output.read_bytes().startswith(b"26 GB")
    assert run(*arguments, "--overwrite") == 0
    assert load_file(output).keys() == load_file(TRANSFORMER).keys()


def test_merge_takes_every_naming(tmp_path):
    for naming in ("default", "comfyui", "diffusers"):
        lora = tmp_path / f"{naming}.safetensors"
        assert run("convert", LORA, "--target", naming, "--output", lora) == 0
        merged = ("merge", "--dit", TRANSFORMER, "--lora_weight", lora)
        assert run(*merged, "--save_merged_model", tmp_path / f"merged_{naming}.safetensors") == 0
    expected, *others = (
        load_file(tmp_path / f"merged_{naming}.safetensors") for naming in ("default", "comfyui", "diffusers")
    )
    for found in others:
        for name, tensor in expected.items():
            error = (found[name].float() - tensor.float()).abs().max()
            assert error <= 2**-7 * tensor.float().abs().max(), name  # one unit in the last place of bfloat16


def test_damaged_and_foreign_files_are_told_with_their_place_by_every_command(tmp_path, capsys):
    whole = load_file(LORA)
    module = next(iter(whole)).split(".")[0]
    not_finite = torch.full_like(whole[f"{module}.lora_up.weight"], float("nan"))
    files = {
        "half": {name: tensor for name, tensor in whole.items() if name != f"{module}.lora_up.weight"},
        "alphas": whole | {f"{module}.alpha": torch.ones(2)},
        "other": {name.replace("double_blocks", "blocks"): tensor for name, tensor in whole.items()},
        "nan": whole | {f"{module}.lora_up.weight": not_finite},
    }
    for name, tensors in files.items():
        path, output = tmp_path / f"{name}.safetensors", tmp_path / "out.safetensors"
        save_file(tensors, path)
        commands = [
            ("resize", path, "--rank", "2", "--output", output),
            ("merge", "--dit", TRANSFORMER, "--lora_weight", path, "--save_merged_model", output),
        ]
        if name != "nan":  # looking into such a file and renaming it computes nothing
            commands += [("info", path), ("convert", path, "--target", "diffusers", "--output", output)]
        for arguments in commands:
            assert run(*arguments) == 2, arguments
            assert f"{name}.safetensors: " in capsys.readouterr().err
        assert not output.exists()


def test_numbers_of_8_bits_are_converted_too(tmp_path):
    source, output = tmp_path / "small.safetensors", tmp_path / "out.safetensors"
    save_file(
        {
            name: tensor.to(torch.float8_e4m3fn if tensor.ndim else tensor.dtype)
            for name, tensor in load_file(LORA).items()
        },
        source,
    )
    assert run("convert", source, "--target", "comfyui", "--output", output) == 0
    assert {tensor.dtype for tensor in load_file(output).values()} == {torch.float8_e4m3fn}


def test_modules_outside_the_blocks_are_told_and_not_converted_to_diffusers(tmp_path, capsys):
    path = tmp_path / "wide.safetensors"
    parts = {"lora_A.weight": torch.ones(2, 4), "lora_B.weight": torch.ones(6, 2)}
    modules = ("diffusion_model.img_in.proj", "diffusion_model.double_blocks.0.img_attn_proj")
    save_file({f"{module}.{part}": tensor.clone() for module in modules for part, tensor in parts.items()}, path)
    assert run("info", path) == 0 and "img_in.proj" in capsys.readouterr().out
    assert run("convert", path, "--target", "diffusers", "--output", tmp_path / "out.safetensors") == 2
    assert "wide.safetensors: img_in.proj: is no module of HunyuanVideo's blocks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "required"),
        (("resize", LORA, "--output", "x"), "required"),
        (("resize", LORA, "--rank", "0", "--output", "x"), "at least 1"),
        (("resize", LORA, "--rank", "x", "--output", "x"), "--rank: is x, but has to be a whole number"),
        (
            ("merge", "--dit", "x", "--lora_weight", LORA, "--lora_multiplier", "nan", "--save_merged_model", "x"),
            "--lora_multiplier: is nan, but a number is wanted",
        ),
        (
            ("merge", "--dit", LORA, "--lora_weight", LORA, "--save_merged_model", "x"),
            "lora_default.safetensors: the size",
        ),
        (("resize", LORA, "--keep_energy", "2", "--output", "x"), "at most 1"),
        (("info", "gone.safetensors"), "gone.safetensors"),
        (("info", TRANSFORMER), "seems to be: HunyuanVideo transformer"),
    ],
)
def test_mistakes_are_told(capsys, arguments, message):
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err
