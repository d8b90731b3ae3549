from pathlib import Path

import pytest

from backend.config.configuration import Configuration, all_options
from backend.config.presets import find_preset, list_presets, read_preset
from backend.config.toml_file import format_toml
from gui.form import Draft, read_form
from gui.form_changes import fill_draft
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


def field(workspace: Path, name: str) -> str | bool:
    return dict(zip(all_options(), Draft(workspace).load(), strict=True))[name]


def test_options_are_set_in_the_draft_and_the_others_stay(tmp_path, serve_page):
    draft = Draft(tmp_path)
    raw = dict(zip(all_options(), draft.load(), strict=True))
    draft.save(list({**raw, "output_name": "mine", "learning_rate": "not a number yet"}.values()))
    changes = {
        "gradient_checkpointing": True,
        "blocks_to_swap": 20,
        "main_process_port": None,
        "exclude_patterns": ["a"],
    }
    answer = serve_page().client.post("/form/changes", json=changes)
    assert answer.json() == {"changed": list(changes)}
    assert [field(tmp_path, name) for name in changes] == [True, "20", "", "a"]
    assert field(tmp_path, "output_name") == "mine"
    assert field(tmp_path, "learning_rate") == "not a number yet"


@pytest.mark.parametrize(
    ("changes", "status"), [({"no_such_option": 1}, 409), ({"exclude_patterns": "a"}, 409), ([1], 400), ("x", 400)]
)
def test_what_is_no_change_of_an_option_changes_nothing(tmp_path, serve_page, changes, status):
    assert serve_page().client.post("/form/changes", json=changes).status_code == status
    assert not Draft(tmp_path).path.exists()


def presets() -> list[str]:
    return [preset.name for preset in list_presets(Path("no_workspace"))]


@pytest.mark.parametrize("preset", [None, *presets()])
def test_form_to_run_to_form_gives_the_same_toml(tmp_path, preset):
    values = CHANGED if preset is None else read_preset(find_preset(preset, workspace=tmp_path), workspace=tmp_path)
    values = {"output_name": "fox", "network_weights": "fox.safetensors", **values}  # which a preset leaves open
    before = Configuration.from_values(values)
    run = make_run(tmp_path, **values)
    fill_draft(run)
    assert format_toml(read_form(Draft(tmp_path).load()).values()) == format_toml(before.values())


def test_the_settings_of_a_run_go_into_the_form(tmp_path, serve_page):
    run = make_run(tmp_path, network_dim=77)
    client = serve_page().client
    assert client.post(f"/runs/{run.name}/to_form").status_code == 200
    assert field(tmp_path, "network_dim") == "77"
    assert client.post("/runs/no_such_run/to_form").status_code == 404
    run.given_file.unlink()
    run.config_file.unlink()
    assert client.post(f"/runs/{run.name}/to_form").status_code == 409
