"""What the Train tab's buttons do, without a browser: what is queued, what is kept, what is refused."""

from __future__ import annotations

import gradio as gr
import pytest

from backend.config.configuration import all_options
from backend.runs.folder import list_runs
from gui.form import form_of
from gui.settings import Settings, write_settings
from gui.tabs.train_changes import ChangesHandlers
from gui.tabs.train_plan import PlanHandlers
from gui.tabs.train_presets import PresetHandlers
from gui.tabs.train_start import StartHandlers
from gui.texts import texts_of
from tests.commands.tiny_project import TRANSFORMER, make_project

DEFAULTS = dict(zip(all_options(), form_of({}), strict=True))


@pytest.fixture
def workspace(tmp_path):
    return tmp_path / "workspace"


@pytest.fixture
def start(workspace):
    return StartHandlers(workspace, texts_of("en")).start


@pytest.fixture
def presets(workspace):
    texts = texts_of("en")
    return PresetHandlers(workspace, ChangesHandlers(workspace, texts), texts)


def raw(**changes) -> list:
    return list({**DEFAULTS, **changes}.values())


def test_nothing_is_queued_when_the_training_would_be_refused_after_the_caching(start, workspace, tmp_path):
    project = make_project(tmp_path)
    for path in (tmp_path / "cache").iterdir():
        path.unlink()
    (tmp_path / "mine.safetensors").write_bytes(b"precious")
    form = raw(
        dit=str(TRANSFORMER), dataset_config=str(project.dataset_file), output_dir=str(tmp_path), output_name="mine"
    )
    message, _ = start(*form)
    assert "exists already" in message
    assert list_runs(workspace) == []


def test_the_demo_is_not_made_for_a_training_with_an_invalid_pattern(start, workspace):
    demo = workspace / "demo"
    form = raw(dit=str(demo / "models" / "transformer.safetensors"), exclude_patterns="((")
    message, _ = start(*form)
    assert "is not a regular expression" in message
    assert list_runs(workspace) == []


def test_a_network_that_no_memory_holds_is_a_warning_without_any_gpu_too(workspace, tmp_path):
    project = make_project(tmp_path)
    form = raw(dit=str(TRANSFORMER), dataset_config=str(project.dataset_file), network_dim="100000000")
    plan, _, _ = PlanHandlers(workspace, texts_of("en")).show("all", "bash", *form)
    assert "does not fit into the" in plan


def test_an_unreadable_file_is_a_problem_of_the_plan(workspace):
    plan, _, _ = PlanHandlers(workspace, texts_of("en")).show("all", "bash", *raw(dit="/" + "x" * 300 + ".safetensors"))
    assert "cannot be read" in plan


def test_a_preset_of_one_option_leaves_the_others_as_they_are(presets, workspace):
    folder = workspace / "presets"
    folder.mkdir(parents=True)
    (folder / "rank.toml").write_text("network_dim = 64\n", encoding="utf-8")
    message, _, *loaded = presets.load("rank", *raw(learning_rate="1e-5x"))
    changed = {name: value for name, value in zip(all_options(), loaded, strict=True) if value != gr.skip()}
    assert changed == {"network_dim": "64"}
    assert "Loaded rank: 1 option" in message
    assert "1 other option differs from its default and stays as it is" in message


def test_what_a_preset_does_not_hold_can_be_set_to_its_default_too(presets, workspace):
    folder = workspace / "presets"
    folder.mkdir(parents=True)
    (folder / "rank.toml").write_text("network_dim = 64\n", encoding="utf-8")
    write_settings(workspace, Settings(prefilled={"dit": "/models/dit.safetensors"}))
    form = raw(learning_rate="2e-3", seed="5", dit="/elsewhere.safetensors")
    _, _, table, others, _, pending = presets.compare("rank", *form)
    assert "1 option differs" in table and others.visible and "3 other options" in others.label
    table, _ = presets.changes.show(True, pending, *form)
    assert "4 options differ" in table
    message, _, *applied = presets.changes.apply(True, pending, *form)
    changed = {name: value for name, value in zip(all_options(), applied, strict=True) if value != gr.skip()}
    wanted = {"network_dim": "64", "learning_rate": "2e-4", "seed": "", "dit": "/models/dit.safetensors"}
    assert changed == wanted
    assert "4 options were set" in message


def test_a_broken_preset_changes_nothing_and_says_why(presets, workspace):
    folder = workspace / "presets"
    folder.mkdir(parents=True)
    (folder / "broken.toml").write_text("network_dmi = 64\n", encoding="utf-8")
    message, _, *loaded = presets.load("broken", *raw())
    assert all(value == gr.skip() for value in loaded)
    assert "network_dmi" in message and "id you mean network_dim?" in message
