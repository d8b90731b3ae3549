"""LoRA, LoHa and LoKr files by the names and shapes of their tensors."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from backend.errors import ModelFileError
from backend.plan.adapter_files import (
    by_module,
    kind_of_parts,
    kind_problems,
    loading_problems,
    native_names,
    read_shapes,
    refuse_errors,
    sizes_in_file,
)
from backend.plan.adapters import LABELS, LOHA, LOKR, LORA, adapter_size
from backend.plan.modules import LinearModule
from backend.plan.selection import lora_name

GOLDEN = Path(__file__).parents[1] / "golden"
LINEARS = [LinearModule("double_blocks.0.img_attn_qkv", 64, 192), LinearModule("single_blocks.0.linear1", 64, 448)]
NAMES = [lora_name(linear.name) for linear in LINEARS]


def shapes_of(kind, linears=LINEARS, **options):
    """The shapes in a file of that kind, alphas included."""
    sizes = {linear: adapter_size(kind, linear, **{"rank": 4, **options}) for linear in linears}
    shapes = {
        f"{lora_name(linear.name)}.{part}": shape
        for linear, size in sizes.items()
        for part, shape in size.shapes.items()
    }
    return shapes | {f"{lora_name(linear.name)}.alpha": () for linear in linears}


def network_of(kind, linears=LINEARS, **options):
    return {lora_name(linear.name): adapter_size(kind, linear, **{"rank": 4, **options}) for linear in linears}


def test_a_header_gives_the_shapes_under_the_names_that_musubi_tuner_saves():
    native, other = (read_shapes(GOLDEN / f"lora_{name}.safetensors") for name in ("default", "other"))
    index = json.loads((GOLDEN / "lora_files.json").read_text())["lora_default"]["keys"]
    assert native == {name: tuple(shape) for name, (shape, _) in index.items()}
    assert other == {name: shape for name, shape in native.items() if not name.endswith(".alpha")}


def test_a_file_of_something_else_is_named():
    with pytest.raises(ModelFileError, match="a LoRA file is wanted, but this file seems to be: HunyuanVideo transf"):
        read_shapes(GOLDEN / "dit_model.safetensors")


@pytest.mark.parametrize(
    ("ending", "native"),
    [
        ("lora_A.weight", "lora_down.weight"),
        ("lora_B.weight", "lora_up.weight"),
        ("lora_up.weight", "lora_up.weight"),
        ("hada_w2_b", "hada_w2_b"),
        ("lokr_w2", "lokr_w2"),
        ("lokr_w2_a", "lokr_w2_a"),
        ("alpha", "alpha"),
    ],
)
@pytest.mark.parametrize("prefix", ["diffusion_model", "transformer"])
def test_names_with_dots_are_understood(prefix, ending, native):
    name = f"{prefix}.double_blocks.3.txt_mlp.fc1.{ending}"
    assert native_names([name], path=Path("x")) == {name: f"lora_unet_double_blocks_3_txt_mlp_fc1.{native}"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text_model.lora_A.weight", "x: a tensor is called text_model.lora_A.weight"),
        ("transformer.transformer_blocks.0.attn.to_q.lora_A.weight", "x: names its modules as diffusers does"),
        ("diffusion_model.single_blocks.0.linear1.oft_blocks", "x: a tensor is called diffusion_model.single"),
        ("lora_unet_single_blocks_0_linear1.lokr_w1_a", "x: lora_unet_single_blocks_0_linear1.lokr_w1_a is no part of"),
        ("lora_unet_single_blocks_0_linear1.dora_scale", "dora_scale is no part of a LoRA, LoHa or LoKr"),
    ],
)
def test_names_that_no_network_has_are_told(name, message):
    with pytest.raises(ModelFileError, match=message):
        native_names([name], path=Path("x"))


def test_a_file_falls_apart_into_modules_whose_parts_tell_their_kind():
    modules = by_module({"a.lora_down.weight": 1, "a.alpha": 2, "b.lokr_w2": 3, "c.alpha": 4, "d.hada_w1_b": 5})
    assert modules == {
        "a": {"lora_down.weight": 1, "alpha": 2},
        "b": {"lokr_w2": 3},
        "c": {"alpha": 4},
        "d": {"hada_w1_b": 5},
    }
    assert [kind_of_parts(parts) for parts in modules.values()] == [LORA, LOKR, None, LOHA]


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("options", [{}, {"rank": 1}, {"rank": 24}, {"factor": 4}, {"factor": 64, "rank": 2}])
def test_the_sizes_of_a_file_are_those_it_was_made_with(kind, options):
    alphas = dict.fromkeys(NAMES, 0.5)
    sizes, problems = sizes_in_file(shapes_of(kind, **options), LINEARS, alphas=alphas)
    assert problems == []
    for linear in LINEARS:
        expected = adapter_size(kind, linear, **{"rank": 4, "alpha": 0.5, **options})
        found = sizes[linear.name]
        assert (found.kind, found.shapes, found.scale) == (kind, expected.shapes, expected.scale)
        assert found.is_full or (found.rank, found.alpha) == (expected.rank, 0.5)


def test_a_missing_alpha_is_the_rank_and_kinds_may_be_mixed():
    shapes = shapes_of(LOHA, LINEARS[:1]) | shapes_of(LOKR, LINEARS[1:], factor=4)
    sizes, problems = sizes_in_file(shapes, LINEARS)
    assert [(size.kind, size.rank, size.alpha) for size in sizes.values()] == [(LOHA, 4, 4), (LOKR, 4, 4)]
    assert problems == []


def test_modules_that_no_linear_is_there_for_are_a_warning_and_if_all_are_an_error():
    (problem,) = sizes_in_file(shapes_of(LORA), LINEARS[:1])[1]
    assert problem.severity == "warning"
    assert problem.message == f"1 modules of the LoRA are not in the transformer, for example {NAMES[1]}"
    sizes, (problem,) = sizes_in_file(shapes_of(LORA), [LinearModule("double_blocks.9.img_attn_qkv", 64, 192)])
    assert sizes == {} and problem.severity == "error"
    assert problem.message.startswith("none of the LoRA's 2 modules is in the transformer")


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (
            LORA,
            {"lora_up.weight": (191, 4)},
            "lora_up.weight: the LoRA file has shape (191, 4), but (192, 4) is wanted",
        ),
        (LORA, {"lora_up.weight": None}, "lora_up.weight is missing in the LoRA file"),
        (LORA, {"lora_down.weight": (4,)}, "lora_down.weight: the LoRA file has shape (4,), but (1, 64) is wanted"),
        (LOHA, {"hada_w2_a": (192, 5)}, "hada_w2_a: the LoHa file has shape (192, 5), but (192, 4) is wanted"),
        (LOHA, {"hada_w1_b": None}, "hada_w1_b is missing in the LoHa file"),
        (LOKR, {"lokr_w1": (11, 8)}, "lokr_w1: the LoKr file has shape (11, 8), but (12, 8) is wanted"),
        (LOKR, {"lokr_w1": (0, 8)}, "lokr_w1: the LoKr file has shape (0, 8), but (12, 8) is wanted"),
        (LOKR, {"lokr_w1": None}, "lokr_w1 is missing in the LoKr file"),
        (LOKR, {"lokr_w2_a": None}, "lokr_w2_a is missing in the LoKr file"),
        (LOKR, {"lokr_w2_b": (4, 9)}, "lokr_w2_b: the LoKr file has shape (4, 9), but (4, 8) is wanted"),
        (LOKR, {"alpha": (2,)}, "alpha: one number is wanted, but the shape is (2,)"),
    ],
)
def test_shapes_that_fit_no_such_linear_are_told(kind, changes, message):
    shapes = shapes_of(kind) | {f"{NAMES[0]}.{part}": shape for part, shape in changes.items()}
    shapes = {name: shape for name, shape in shapes.items() if shape is not None}
    problems = sizes_in_file(shapes, LINEARS)[1]
    assert any(problem.message in (f"{NAMES[0]}.{message}", f"{NAMES[0]}: {message}") for problem in problems)
    with pytest.raises(ModelFileError):
        refuse_errors(problems)


@pytest.mark.parametrize("kind", LABELS)
def test_a_file_of_the_same_network_loads_without_a_word(kind):
    assert loading_problems(network_of(kind), shapes_of(kind)) == []
    assert loading_problems(network_of(kind, factor=4), shapes_of(kind, factor=4)) == []


def test_a_whole_matrix_loads_whatever_rank_made_it_whole():
    assert loading_problems(network_of(LOKR, rank=200), shapes_of(LOKR, rank=24)) == []


RANK_2 = "file has rank 2, but network_dim is 4 (set network_dim to 2, or switch dim_from_weights on)"
KEPT_WHOLE = "file has rank 4, but network_dim 24 keeps lokr_w2 whole (set network_dim to 4, or switch"
WHOLE = "file has a whole lokr_w2, but network_dim 4 makes two factors of it (set network_dim to 8 or more, or switch"
OTHER_FACTOR = "lokr_w1: the LoKr file has shape (12, 8), but (4, 4) is wanted (the file has another factor"


@pytest.mark.parametrize(
    ("kind", "options", "of_file", "message"),
    [
        (LORA, {}, {"rank": 2}, f"the LoRA {RANK_2}"),
        (LOHA, {}, {"rank": 2}, f"the LoHa {RANK_2}"),
        (LOKR, {}, {"rank": 2}, f"the LoKr {RANK_2}"),
        (LOKR, {"rank": 24}, {}, f"the LoKr {KEPT_WHOLE}"),
        (LOKR, {}, {"rank": 24}, f"the LoKr {WHOLE}"),
        (LOKR, {"factor": 4}, {}, OTHER_FACTOR),
    ],
)
def test_what_keeps_a_file_from_being_loaded_is_told_once_with_the_way_out(kind, options, of_file, message):
    (problem,) = loading_problems(network_of(kind, **options), shapes_of(kind, **of_file))
    assert problem.severity == "error" and message in str(problem)
    assert problem.option == ("" if message == OTHER_FACTOR else "network_dim")


def test_a_file_for_a_model_of_another_width_is_told():
    wider = [LinearModule(linear.name, linear.in_features, linear.out_features + 1) for linear in LINEARS]
    (problem,) = loading_problems(network_of(LORA), shapes_of(LORA, wider))
    assert "has shape (193, 4), but (192, 4) is wanted (the file was made for another model)" in str(problem)


@pytest.mark.parametrize("kind", LABELS)
def test_a_file_of_another_kind_names_the_option_and_both_ways_out(kind):
    for other in LABELS.keys() - {kind}:
        (problem,) = loading_problems(network_of(kind), shapes_of(other))
        assert [problem] == kind_problems(shapes_of(other), kind)
        assert problem.message == f"this is a {LABELS[other]} file, but network_module is {kind}"
        assert problem.hint == f"set network_module to {other}, or choose a {LABELS[kind]} file"
        assert problem.option == "network_module"


def test_modules_that_only_one_side_has_are_warnings():
    problems = loading_problems(network_of(LOKR, LINEARS[:1]), shapes_of(LOKR))
    assert [problem.severity for problem in problems] == ["warning"]
    assert problems[0].message == f"1 modules of the LoRA file are not trained and left out, for example {NAMES[1]}"
    (problem,) = loading_problems(network_of(LOKR), shapes_of(LOKR, LINEARS[1:]))
    assert problem.message == f"1 modules are not in the LoRA file and start untrained, for example {NAMES[0]}"


def test_a_file_that_shares_no_module_is_an_error():
    (problem,) = loading_problems(network_of(LOHA, LINEARS[:1]), shapes_of(LOHA, LINEARS[1:]))
    assert problem.severity == "error" and f"it holds {NAMES[1]}.hada_w1_a" in problem.message


def test_a_written_file_is_read_back_by_its_header(tmp_path):
    shapes = shapes_of(LOKR, factor=4)
    save_file({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, tmp_path / "a.safetensors")
    assert read_shapes(tmp_path / "a.safetensors") == shapes
