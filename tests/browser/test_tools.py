"""The Tools tab: two LoRA files side by side, the form filled from one, and a conversion from form to download."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from safetensors.numpy import load_file

from tests.browser.servers import running_page

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tools")
    for name in ("lora_default", "lora_other"):
        shutil.copy(GOLDEN / f"{name}.safetensors", folder)
    return folder


@pytest.fixture(scope="module")
def address(workspace):
    with running_page(workspace) as address:
        yield address


@pytest.fixture
def tools(page: Page, address: str) -> Page:
    page.goto(address)
    page.get_by_role("tab", name="Tools", exact=True).click()
    return page


def look_into(page: Page, *files: Path) -> None:
    labels = ("LoRA file (.safetensors)", "Second file, to compare")
    for label, file in zip(labels, files, strict=False):
        page.get_by_label(label, exact=True).fill(str(file))
    page.get_by_role("region", name="Look into a LoRA file").get_by_role("button", name="Look into it").click()


def test_two_files_stand_side_by_side_and_one_fills_the_form(tools: Page, workspace, screenshot):
    look_into(tools, workspace / "lora_default.safetensors", workspace / "gone.safetensors")
    expect(tools.get_by_role("status").filter(has_text="there is no such file")).to_be_visible()
    look_into(tools, workspace / "lora_default.safetensors", workspace / "lora_other.safetensors")
    facts = tools.get_by_role("region", name="What it tells")
    expect(facts.get_by_role("row", name=re.compile("^Naming ≠ differs"))).to_contain_text("ComfyUI")
    expect(facts.get_by_role("row", name=re.compile("^Rank "))).not_to_contain_text("≠")
    expect(facts).to_contain_text("Base model")
    maps = [tools.get_by_role("group", name=f"Norms of {name}") for name in ("lora_default", "lora_other")]
    cell = maps[0].get_by_role("gridcell", name=re.compile(r"^double_blocks\.1\.img_attn_qkv: norm \d"))
    cell.focus()
    for each in maps:  # what is pointed at in one is told of both
        expect(each).to_contain_text(re.compile(r"double_blocks\.1\.img_attn_qkv · \d+ → \d+ · rank 4"))
    tools.keyboard.press("Home")
    expect(maps[0]).to_contain_text("double_blocks.0.img_attn_qkv … double_blocks.1.img_attn_qkv · 2 modules · norm")
    screenshot("tools")
    facts.get_by_role("button", name="Fill the form from lora_default.safetensors…").click()
    expect(tools.locator("#changes")).to_contain_text("Rank")
    tools.get_by_role("button", name="Apply").click()
    expect(tools.locator("#network_dim input, #network_dim textarea").first).to_have_value("4")


def test_a_conversion_runs_from_the_form_to_the_download(tools: Page, workspace, tmp_path, screenshot):
    job = tools.get_by_role("region", name="Make another file")
    job.get_by_role("button", name="Convert").click()
    job.get_by_label("LoRA file", exact=True).fill(str(workspace / "lora_default.safetensors"))
    job.get_by_label("Naming wanted").select_option("diffusers")
    expect(job.get_by_label("Result")).to_have_value(str(workspace / "lora_default_diffusers.safetensors"))
    job.get_by_role("button", name="Put into the queue").click()
    expect(job.get_by_role("status")).to_contain_text("It stands in the queue")
    results = tools.get_by_role("region", name="Results")
    link = results.get_by_role("link", name=re.compile("Download lora_default_diffusers"))
    expect(link).to_be_visible(timeout=120_000)  # a process of its own that loads torch
    with tools.expect_download() as download:
        link.click()
    download.value.save_as(tmp_path / "got.safetensors")
    assert any("to_q.lora_A" in name for name in load_file(tmp_path / "got.safetensors"))
    job.get_by_role("button", name="Put into the queue").click()
    expect(job.get_by_role("status")).to_contain_text("exists already")
    results.get_by_role("button", name="Look into it: lora_default_diffusers.safetensors").click()
    expect(tools.get_by_role("region", name="What it tells")).to_contain_text("diffusers (transformer.…)")
    screenshot("tools_result")
