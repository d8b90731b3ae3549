"""The whole way of a newcomer in a real browser: Demo, a few changes, Start, Monitor, TensorBoard, the LoRA file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from backend.config.toml_file import read_toml
from backend.runs.demo_folder import DemoFolder
from backend.runs.folder import RunFolder, RunState, list_runs
from tests.browser.servers import running_page
from tests.browser.tensorboard_chart import wait_for_curve
from tests.browser.train_form import field

STEPS = 60
"""Of 3 in each epoch; the preset has 200, which the test of the command trains."""

A_LONG_WAIT_MS = 30 * 60_000  # a safety net for a machine that hangs, not a limit on speed


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("first light")


@pytest.fixture(scope="module")
def address(workspace):
    with running_page(workspace) as address:
        yield address


def fill(page: Page, option: str, text: str) -> None:
    field(page, option).fill(text)


def training_run(workspace: Path) -> RunFolder:
    (run,) = [run for run in list_runs(workspace) if run.job().kind == "train" and run.job().name == "demo"]
    return run


def test_a_newcomer_trains_the_demo_in_the_page(page: Page, address, workspace, screenshot):
    page.goto(address)
    expect(page.locator("#plan")).to_contain_text("No transformer is chosen")
    page.get_by_role("button", name="Load", exact=True).click()
    expect(page.locator("#preset-message")).to_contain_text("Loaded Demo")
    page.get_by_role("button", name="LoRA network").click()
    fill(page, "network_dim", "6")
    fill(page, "loraplus_lr_ratio", "4")
    fill(page, "exclude_patterns", ".*single_blocks.*")
    expect(page.locator("#toml textarea")).to_have_value(re.compile(r"exclude_patterns=\[r'\.\*single_blocks\.\*'\]"))
    screenshot("first_light_train")
    page.get_by_role("button", name="Schedule", exact=True).click()
    fill(page, "max_train_steps", str(STEPS))
    expect(page.locator("#toml textarea")).to_have_value(re.compile(f"max_train_steps = {STEPS}"))

    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("tab", name="Monitor")).to_have_attribute("aria-selected", "true")
    page.reload()  # the run belongs to no page
    page.get_by_role("tab", name="Monitor").click()
    run = training_run(workspace)
    expect(page.locator("#loom-monitor")).to_contain_text(run.name, timeout=A_LONG_WAIT_MS)
    expect(page.locator("#loom-monitor")).to_contain_text(re.compile("finished", re.I), timeout=A_LONG_WAIT_MS)
    expect(page.locator("#loom-monitor")).to_contain_text(f"{STEPS} / {STEPS}")
    screenshot("first_light_monitor")

    page.get_by_role("tab", name="TensorBoard").click()
    frame = page.frame_locator("#loom-tensorboard iframe")
    card = frame.locator("card-view").filter(has_text="loss/average")
    expect(card).to_be_visible(timeout=A_LONG_WAIT_MS)
    wait_for_curve(card)
    screenshot("first_light_tensorboard")


def test_the_run_has_what_the_form_showed(workspace):
    run = training_run(workspace)
    assert run.state() is RunState.FINISHED
    network = read_toml(run.config_file)["network"]
    assert network["network_dim"] == 6
    assert network["network_args"] == ["loraplus_lr_ratio=4", "exclude_patterns=[r'.*single_blocks.*']"]


def test_the_lora_file_has_only_double_block_modules_of_rank_6(workspace):
    (path,) = training_run(workspace).checkpoints.glob("*.safetensors")
    with safe_open(path, "pt") as file:
        names = list(file.keys())
        ranks = {file.get_slice(name).get_shape()[0] for name in names if name.endswith(".lora_down.weight")}
        metadata = file.metadata()
        learned = sum(file.get_tensor(name).float().abs().sum() for name in names if name.endswith("lora_up.weight"))
    assert len(names) == 3 * 16
    assert all(name.startswith("lora_unet_double_blocks_") for name in names)
    assert ranks == {6}
    assert learned > 0
    assert json.loads(metadata["ss_network_args"])["loraplus_lr_ratio"] == "4"


def test_the_event_file_has_the_documented_scalars_at_every_step(workspace):
    folder = Path(training_run(workspace).status().log_folder)
    assert folder.parent == workspace / "logs"
    events = EventAccumulator(str(folder / "network_train"))
    events.Reload()
    rates = [event.value for event in events.Scalars("lr/unet")]
    faster = [event.value for event in events.Scalars("lr/unet plus")]
    assert faster == pytest.approx([4 * rate for rate in rates])
    for tag in ("loss/current", "loss/average", "lr/unet"):
        assert [event.step for event in events.Scalars(tag)] == list(range(1, STEPS + 1))
    averages = [event.value for event in events.Scalars("loss/average")]
    assert averages[-1] < averages[0]
    assert [event.step for event in events.Scalars("loss/epoch")] == list(range(1, STEPS // 3 + 1))


def test_start_caches_first_what_was_never_cached(page: Page, address, workspace, tmp_path):
    demo = DemoFolder.of(workspace)
    dataset_file = tmp_path / "own.toml"
    dataset_file.write_text(
        f"[general]\nresolution = 64\n[[datasets]]\nimage_directory = '{demo.pictures}'\n"
        f"cache_directory = '{tmp_path / 'cache'}'\n",
        encoding="utf-8",
    )
    page.goto(address)
    expect(page.locator("#plan")).to_contain_text("16 of 38")
    page.get_by_role("button", name="Dataset", exact=True).click()
    fill(page, "dataset_config", str(dataset_file))
    expect(page.locator("#plan")).to_contain_text("4 (Start does it first)")
    page.get_by_role("button", name="Schedule", exact=True).click()
    fill(page, "max_train_steps", "1")
    page.get_by_role("button", name="Saving", exact=True).click()
    fill(page, "output_name", "own")
    expect(page.locator("#toml textarea")).to_have_value(re.compile('output_name = "own"'))
    page.get_by_role("button", name="Start training").click()
    expect(page.locator("#loom-header")).to_contain_text(re.compile("finished.*own", re.I), timeout=A_LONG_WAIT_MS)
    kinds = {run.job().kind: run for run in list_runs(workspace)[:3]}
    assert set(kinds) == {"train", "cache_latents", "cache_text_encoder_outputs"}
    assert all(run.state() is RunState.FINISHED for run in kinds.values())
    assert len(list((tmp_path / "cache").glob("*_hv.safetensors"))) == 4
