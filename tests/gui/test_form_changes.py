from pathlib import Path

import pytest

from backend.config.configuration import Configuration, all_options
from backend.config.presets import find_preset, list_presets, read_preset
from backend.config.toml_file import format_toml
from gui.form import read_form
from tests.gui.written_runs import make_run

CHANGED = {
    "learning_rate": 1e-7,
    "exclude_patterns": [r".*single_blocks\.(?:0|1)\..*", "a = b"],
    "network_dropout": 0.0,
    "seed": 0,
    "gradient_checkpointing": False,
    "lr_warmup_steps": 0.1,
    "output_name": "猫 100%",
    "optimizer_args": ["weight_decay=0.1", "betas=(0.9, 0.99)"],
}


def test_options_are_told_as_their_fields_hold_them(serve_page):
    changes = {
        "gradient_checkpointing": True,
        "blocks_to_swap": 20,
        "main_process_port": None,
        "exclude_patterns": ["a"],
    }
    answer = serve_page().client.post("/form/fields", json=changes)
    assert answer.json() == {"fields": dict(zip(changes, [True, "20", "", "a"], strict=True))}


@pytest.mark.parametrize(
    ("changes", "status"), [({"no_such_option": 1}, 409), ({"exclude_patterns": "a"}, 409), ([1], 400), ("x", 400)]
)
def test_what_is_no_change_of_an_option_is_refused(serve_page, changes, status):
    answer = serve_page().client.post("/form/fields", json=changes)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]


def presets() -> list[str]:
    return [preset.name for preset in list_presets(Path("no_workspace"))]


@pytest.mark.parametrize("preset", [None, *presets()])
def test_form_to_run_to_form_gives_the_same_toml(tmp_path, serve_page, preset):
    values = CHANGED if preset is None else read_preset(find_preset(preset, workspace=tmp_path), workspace=tmp_path)
    values = {"output_name": "fox", "network_weights": "fox.safetensors", **values}  # which a preset leaves open
    before = Configuration.from_values(values)
    run = make_run(tmp_path, **values)
    fields = serve_page().client.get(f"/runs/{run.name}/fields").json()["fields"]
    assert list(fields) == list(all_options())
    assert format_toml(read_form(list(fields.values())).values()) == format_toml(before.values())


def test_a_run_without_settings_is_refused(tmp_path, serve_page):
    run = make_run(tmp_path, network_dim=77)
    client = serve_page().client
    assert client.get("/runs/no_such_run/fields").status_code == 404
    run.given_file.unlink()
    run.config_file.unlink()
    assert client.get(f"/runs/{run.name}/fields").status_code == 409
