"""The plan side in a real browser: numbers, forecast and plots, TOML and command lines, presets, import, undo."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from backend.config.importing import import_text
from gui.form import Draft, form_of
from tests.browser.servers import running_page
from tests.browser.train_form import field, open_section
from tests.commands.tiny_project import TRANSFORMER, make_project
from tests.networks.lora_file_with_metadata import write_lora

STYLE_OF_EACH = """headings => headings.map((heading) => {
  const { color, fontSize, fontWeight, margin } = getComputedStyle(heading);
  return [color, fontSize, fontWeight, margin].join(" ");
})"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("plan side")


@pytest.fixture(scope="module")
def address(workspace):
    with running_page(workspace) as address:
        yield address


@pytest.fixture
def train(page: Page, address: str, workspace) -> Page:
    """The page with a training of the golden transformer in its form."""
    project = make_project(workspace / "project")
    values = {"dit": str(TRANSFORMER), "dataset_config": str(project.dataset_file), "mixed_precision": "no"}
    Draft(workspace).save(form_of({**values, "network_dim": 4, "max_train_steps": 60, "loraplus_lr_ratio": 4.0}))
    page.goto(address)
    expect(page.locator("#plan")).to_contain_text("Memory forecast")
    expect(page.locator("#loom-sections-nav [aria-current=true]")).to_be_visible()  # the scripts have begun
    return page


def choose_preset(page: Page, title: str) -> None:
    page.get_by_label("Preset", exact=True).click()
    page.get_by_role("option", name=title).click()


def test_the_plan_follows_the_form_with_numbers_forecast_and_plots(train, screenshot):
    plan = train.locator("#plan")
    expect(plan).to_contain_text("60 · 20 epochs")
    expect(plan).to_contain_text("GiB free")
    expect(plan.get_by_role("img", name=re.compile("Learning rate over 60 steps"))).to_be_visible()
    noise = plan.get_by_role("img", name=re.compile("Distribution of the trained timesteps"))
    before = noise.get_attribute("aria-label")
    expect(noise.locator("rect")).to_have_count(50)
    expect(plan.locator("polyline")).to_have_count(2)
    screenshot("plan_side")
    styles = plan.locator("h3, figcaption").evaluate_all(STYLE_OF_EACH)
    assert len(styles) == 3 and len(set(styles)) == 1
    open_section(train, "Timesteps and loss")
    train.get_by_label("Timestep sampling").click()
    train.get_by_role("option", name="shift", exact=True).click()
    field(train, "discrete_flow_shift").fill("7")
    expect(noise).not_to_have_attribute("aria-label", before)
    plan.get_by_text("What the forecast assumes").click()
    expect(plan).to_contain_text("each caption is taken for 256")
    open_section(train, "Saving")
    field(train, "save_every_n_steps").fill("20")
    expect(plan).to_contain_text("LoRA files written4")


def test_the_toml_is_shown_whole_or_in_what_differs_and_downloaded(train):
    toml = train.get_by_role("textbox", name="The configuration that Start will use")
    expect(toml).to_have_value(re.compile(r"lr_scheduler = \"constant\""))
    train.get_by_label("only what differs").check()
    expect(toml).not_to_have_value(re.compile("lr_scheduler"))
    expect(toml).to_have_value(re.compile(r"network_dim = 4 # Rank"))
    train.get_by_label("all options").check()
    expect(toml).to_have_value(re.compile("lr_scheduler"))
    with train.expect_download() as download:
        train.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "lora.toml"
    values = import_text(download.value.path().read_text(encoding="utf-8")).values
    assert (values["network_dim"], values["loraplus_lr_ratio"]) == (4, 4.0)


def test_the_command_is_quoted_for_the_chosen_shell(train):
    train.locator("#loom-plan-texts").get_by_role("tab", name="Command").click()
    command = train.get_by_role("textbox", name="The command lines")
    for shell in ("cmd", "PowerShell", "bash", "cmd"):  # faster than the plan is made
        train.get_by_label(shell, exact=True).check()
    expect(command).to_have_value(re.compile("cd /d"))
    for shell, sign in (("cmd", "cd /d"), ("PowerShell", "Set-Location"), ("bash", "&&")):
        train.get_by_label(shell, exact=True).check()
        expect(command).to_have_value(re.compile(re.escape(sign)))
    assert import_text(command.input_value().split("\n\n")[0]).values["network_dim"] == 4


def test_changes_are_undone_and_made_again(train):
    undo, redo = (train.get_by_role("button", name=name, exact=True) for name in ("Undo", "Redo"))
    open_section(train, "LoRA network")
    field(train, "network_dim").fill("12")
    expect(undo).to_be_enabled()
    undo.click()
    expect(field(train, "network_dim")).to_have_value("4")
    expect(redo).to_be_enabled()
    redo.click()
    expect(field(train, "network_dim")).to_have_value("12")
    expect(train.locator("#plan")).to_contain_text(re.compile("Scale.*0.08333"))
    field(train, "network_alpha").fill("3")
    expect(train.locator("#toml textarea")).to_have_value(re.compile("network_alpha = 3.0 "))
    undo.dblclick()
    expect(field(train, "network_dim")).to_have_value("4")
    expect(field(train, "network_alpha")).to_have_value("1")


def test_undo_goes_on_after_a_reload_and_form_changes_from_elsewhere_reach_every_field(train):
    undo, redo = (train.get_by_role("button", name=name, exact=True) for name in ("Undo", "Redo"))
    open_section(train, "LoRA network")
    for rank in ("12", "16"):
        field(train, "network_dim").fill(rank)
        expect(train.locator("#toml textarea")).to_have_value(re.compile(f"network_dim = {rank} "))
        expect(undo).to_be_enabled()
        field(train, "network_alpha").fill(rank)  # another field, so that each is a change of its own
        expect(train.locator("#toml textarea")).to_have_value(re.compile(f"network_alpha = {rank}.0 "))
    undo.click()
    expect(field(train, "network_alpha")).to_have_value("12")
    train.reload()  # at once: the plan of what was undone is still to come
    expect(field(train, "network_dim")).to_have_value("16")
    expect(field(train, "network_alpha")).to_have_value("12")
    open_section(train, "LoRA network")
    expect(redo).to_be_enabled()
    redo.click()
    expect(field(train, "network_alpha")).to_have_value("16")
    for wanted in (("16", "12"), ("12", "12")):
        undo.click()
        expect(field(train, "network_alpha")).to_have_value(wanted[1])
        expect(field(train, "network_dim")).to_have_value(wanted[0])
    train.evaluate(
        """async () => {
          const { changeForm } = await import(new URL("loom/form_changes.js", document.baseURI));
          await changeForm({ network_dim: 32, network_alpha: 7 }); // the rank's default, and another number
        }"""
    )
    expect(field(train, "network_alpha")).to_have_value("7")
    expect(field(train, "network_dim")).to_have_value("32")
    undo.click()
    expect(field(train, "network_dim")).to_have_value("12")


def test_a_preset_is_compared_with_the_form_before_it_is_loaded(train, screenshot):
    choose_preset(train, "24 GB GPU")
    expect(train.locator("#preset-about")).to_contain_text("8-bit weights")
    train.get_by_role("button", name="Compare").click()
    changes = train.locator("#changes")
    row = changes.get_by_role("row", name=re.compile("^Rank"))
    expect(row.get_by_role("cell")).to_have_text(["4", "32"])
    expect(changes).to_contain_text("Optimizer")
    screenshot("preset_compared")
    expect(field(train, "network_dim")).to_have_value("4")
    train.get_by_role("button", name="Apply").click()
    expect(train.locator("#preset-message")).to_contain_text("options were set")
    expect(field(train, "network_dim")).to_have_value("32")
    expect(changes).not_to_be_visible()
    train.get_by_role("button", name="Compare").click()
    expect(train.locator("#preset-message")).to_contain_text("The form is as 24 GB GPU has it")
    changes.get_by_text("0 options differ").wait_for()
    train.get_by_role("checkbox", name=re.compile("Also set the . other options that differ to their defaults")).check()
    expect(changes.get_by_role("row", name=re.compile("^LoRA\\+ ratio"))).to_be_visible()
    train.get_by_role("button", name="Apply").click()
    expect(field(train, "loraplus_lr_ratio")).to_have_value("")
    expect(field(train, "network_dim")).to_have_value("32")


def test_an_own_preset_is_saved_renamed_deleted_and_brought_back(train, workspace):
    message = train.locator("#preset-message")
    train.get_by_role("button", name="Save, rename or delete").click()
    train.get_by_label("Save the form as").fill("first")
    train.get_by_role("button", name="Save", exact=True).click()
    expect(message).to_contain_text("Saved as preset first")
    train.get_by_label("New name").fill("second")
    train.get_by_role("button", name="Rename", exact=True).click()
    expect(message).to_contain_text("Renamed to second")
    train.get_by_role("button", name="Delete the chosen preset").click()
    expect(message).to_contain_text("Deleted second")
    assert not (workspace / "presets" / "second.toml").exists()
    train.get_by_role("button", name="Undo the deletion").click()
    expect(message).to_contain_text("second is back")
    assert (workspace / "presets" / "second.toml").exists()


def test_an_import_shows_what_it_sets_and_what_it_does_not_before_it_does(train, workspace, screenshot):
    train.get_by_role("button", name="Import…").click()
    pasted = (
        "accelerate launch --mixed_precision bf16 hv_train_network.py \\\n  --network_dim 16 --learning_rte 3 \\\n"
        "  --network_args \"exclude_patterns=['.*single.*']\""
    )
    train.get_by_label("TOML, command line or JSON").fill(pasted)
    train.get_by_role("button", name="Show what it sets").click()
    changes = train.locator("#changes")
    expect(changes).to_contain_text("Command line: 3 options differ")
    expect(changes.get_by_role("row", name=re.compile("learning_rte"))).to_contain_text("did you mean learning_rate?")
    screenshot("import_shown")
    train.get_by_role("button", name="Close").click()
    expect(changes).not_to_be_visible()
    lora = write_lora(workspace / "mine.safetensors", {"ss_network_dim": "6", "ss_network_module": "networks.lora"})
    train.get_by_label("TOML, command line or JSON").fill("")
    train.get_by_label("or a file on this machine").fill(str(lora))
    train.get_by_role("button", name="Show what it sets").click()
    expect(changes).to_contain_text("LoRA's metadata: 1 option differs")
    train.get_by_role("button", name="Apply").click()
    expect(train.locator("#toml textarea")).to_have_value(re.compile("network_dim = 6"))


def test_a_chosen_file_is_read_and_a_path_outside_is_refused(train, tmp_path):
    train.get_by_role("button", name="Import…").click()
    chosen = tmp_path / "other.toml"
    chosen.write_text("[optimizer]\nlearning_rate = 3e-5\n", encoding="utf-8")
    train.locator("#import-file input[type=file], input[type=file]").first.set_input_files(chosen)
    expect(train.locator("#changes")).to_contain_text("TOML: 1 option differs")
    train.get_by_label("or a file on this machine").fill("/etc/hostname")
    train.get_by_role("button", name="Show what it sets").click()
    expect(train.locator("#import-message")).to_contain_text("outside of the folders")


def test_the_plan_side_speaks_japanese_and_fits_a_phone(open_page, address, train, screenshot):
    page = open_page(viewport={"width": 390, "height": 844}, color_scheme="dark", locale="ja-JP")
    page.goto(address)
    page.get_by_role("button", name=re.compile("^計画 ")).click()
    expect(page.get_by_role("dialog", name="計画")).to_contain_text("メモリの予測")
    expect(page.get_by_role("button", name="学習を開始")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    screenshot("plan_side_narrow_ja_dark", page)
