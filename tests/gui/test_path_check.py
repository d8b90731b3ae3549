"""What is told of a path in the form: whether it is there, what it is, and of weights their family and types."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from backend.config.configuration import all_options
from backend.plan.weights_header import kind_of_file
from gui.path_check import WANTED_WEIGHTS, describe_path

GOLDEN = Path(__file__).parents[1] / "golden"


def told(option: str, path: object) -> dict:
    return describe_path(all_options()[option], str(path))


def test_weights_tell_their_family_their_types_and_their_size():
    path = GOLDEN / "dit_model.safetensors"
    assert told("dit", path) == {
        "kind": "file",
        "size": path.stat().st_size,
        "finding": "",
        "about": "HunyuanVideo transformer",
        "dtypes": ["BF16"],
        "wanted": "HunyuanVideo transformer",
    }


def test_weights_of_another_kind_are_named():
    found = told("vae", GOLDEN / "dit_model.safetensors")
    assert (found["finding"], found["about"], found["wanted"]) == (
        "other_weights",
        "HunyuanVideo transformer",
        "HunyuanVideo VAE",
    )


def test_the_type_of_most_numbers_comes_first(tmp_path):
    tensors = {"a": np.zeros(9, np.float16), "b": np.zeros(2, np.float32), "c": np.zeros(1, np.int8)}
    save_file(tensors, tmp_path / "a.safetensors")
    assert told("dit", tmp_path / "a.safetensors")["dtypes"] == ["F16", "F32", "I8"]


@pytest.mark.parametrize(
    ("option", "name", "finding"),
    [
        ("dit", "gone.safetensors", "missing"),
        ("dit", "folder", "not_a_file"),
        ("dit", "damaged.safetensors", "damaged"),
        ("dit", "model.pt", ""),
        ("resume", "model.pt", "not_a_folder"),
        ("resume", "gone", "missing"),
        ("output_dir", "gone", "made"),
        ("output_dir", "folder", ""),
        ("text_encoder1", "folder", ""),
        ("base_weights", "gone.safetensors", "missing"),
        ("dit", "x" * 5000, "unreadable"),
        ("dit", "\0", "missing"),
    ],
)
def test_what_does_not_fit_the_option_is_named(tmp_path, option, name, finding):
    (tmp_path / "folder").mkdir()
    (tmp_path / "model.pt").write_bytes(b"1")
    (tmp_path / "damaged.safetensors").write_bytes(b"<html>")
    assert told(option, tmp_path / name)["finding"] == finding


def test_a_path_is_taken_as_a_run_takes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "a b.pt").write_bytes(b"123")
    assert told("dit", ' "~/a b.pt" ')["size"] == 3
    assert told("dit", '""')["finding"] == told("base_weights", '""')["finding"] == "missing"


def test_the_wanted_kinds_are_those_that_files_are_told_to_be():
    kinds = {kind_of_file([name]) for name in TELLING_NAMES}
    assert set(WANTED_WEIGHTS.values()) <= kinds
    assert set(WANTED_WEIGHTS) <= {name for name, declared in all_options().items() if declared.path}


TELLING_NAMES = [
    "double_blocks.0.img_attn_qkv.weight",
    "encoder.down_blocks.0.resnets.0.conv1.conv.weight",
    "layers.0.mlp.gate_proj.weight",
    "embeddings.token_embedding.weight",
    "x.lora_down.weight",
]


@pytest.mark.parametrize(
    "body", [{}, [], {"option": "dit"}, {"option": "verbose", "path": "/"}, {"option": "dit", "path": " "}]
)
def test_a_request_that_is_none_is_refused(serve_page, body):
    client = serve_page().client
    assert client.post("/paths/check", json=body).status_code == 400
    assert client.post("/paths/check", content=b"{").status_code == 400


def test_the_route_answers(serve_page):
    answer = serve_page().client.post("/paths/check", json={"option": "dit", "path": "/nothing/there"})
    assert answer.json() == {"kind": "nothing", "size": None, "finding": "missing"}
