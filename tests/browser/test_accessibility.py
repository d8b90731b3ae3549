"""Every tab, light and dark, looked over by axe-core: nothing serious or critical for people who use other means."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from gui.texts import texts_of
from tests.browser.servers import running_page
from tests.browser.tabs import open_tab
from tests.browser.written_run import WrittenRun
from tests.gui.dataset_project import make_dataset

TABS = tuple(texts_of("en").tree["tabs"].values())
GOLDEN = Path(__file__).parents[1] / "golden"
LORAS = ("lora_default", "lora_other")
GRAVE = ("serious", "critical")
WITHOUT_FRAMES = {"exclude": [["iframe"]]}  # TensorBoard is not ours
"""axe's context: what of the page is looked over."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("accessibility")
    path = make_dataset(workspace / "data")
    (workspace / "draft.toml").write_text(f"dataset_config = '{path}'\n", encoding="utf-8")
    for name, rank in (("fox", 16), ("owl", 64)):
        run = WrittenRun(workspace, name=name, network_dim=rank)
        run.start()
        run.train(range(1, 120), total=1600)
        run.log("loading the model\nstep 119/1600\n")
        run.end("finished")
    for name in LORAS:
        shutil.copy(GOLDEN / f"{name}.safetensors", workspace)
    return workspace


@pytest.fixture(scope="module")
def address(workspace):
    with running_page(workspace) as address:
        yield address


def grave_findings(page: Page) -> list[str]:
    """What axe-core finds: rule, impact and the first elements concerned."""
    results = Axe().run(page, context=WITHOUT_FRAMES, options={"resultTypes": ["violations"]}).response
    return [
        f"{finding['id']} ({finding['impact']}): {[node['html'][:160] for node in finding['nodes'][:4]]}"
        for finding in results["violations"]
        if finding["impact"] in GRAVE
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_tab_has_a_grave_finding(open_page, address, scheme):
    page = open_page(color_scheme=scheme)
    page.goto(address)
    expect(page.locator("#plan")).to_contain_text("Modules", timeout=60_000)
    found = {}
    for tab in TABS:
        page.get_by_role("tab", name=tab, exact=True).click()
        page.get_by_role("tabpanel").locator("visible=true").first.wait_for()
        if findings := grave_findings(page):
            found[tab] = findings
    assert found == {}


def test_no_section_of_the_form_has_a_grave_finding(page: Page, address):
    page.goto(address)
    expect(page.locator("#plan")).to_contain_text("Modules", timeout=60_000)
    found = {}
    for button in page.locator("#loom-sections-nav [data-section]").all():
        button.click()
        if findings := grave_findings(page):
            found[button.inner_text()] = findings
    assert found == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_that_opens_in_a_tab_has_a_grave_finding(open_page, address, workspace, scheme):
    page = open_page(color_scheme=scheme)
    page.goto(address)
    expect(page.locator("#plan")).to_contain_text("Modules", timeout=60_000)
    page.get_by_role("button", name="Import…").click()
    page.get_by_label("TOML, command line or JSON").fill("network_dim = 16\nno_such_option = 1")
    page.get_by_role("button", name="Show what it sets").click()
    expect(page.locator("#changes")).to_contain_text("no_such_option")
    assert grave_findings(page) == []
    open_tab(page, "Dataset")
    page.locator(".loom-items [role=option], .loom-items button, .loom-items [tabindex]").first.click()
    expect(page.locator("#dataset-caption")).to_be_visible()
    assert grave_findings(page) == []
    open_tab(page, "Runs")
    page.get_by_role("button", name="Details of owl").click()
    for name in ("fox", "owl"):
        page.get_by_label(f"Choose {name} to compare").check()
    page.get_by_role("button", name="Compare (2)").click()
    expect(page.locator("#loom-runs")).to_contain_text("network_dim")
    assert grave_findings(page) == []
    open_tab(page, "Tools")
    for label, name in zip(("LoRA file (.safetensors)", "Second file, to compare"), LORAS, strict=True):
        page.get_by_label(label, exact=True).fill(str(workspace / f"{name}.safetensors"))
    page.get_by_role("button", name="Look into it").click()
    expect(page.get_by_role("group", name="Norms of lora_other")).to_be_visible()
    page.get_by_role("region", name="Look into a LoRA file").get_by_role("button", name="Browse").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert grave_findings(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_plan_as_a_sheet_on_a_phone_has_no_grave_finding(open_page, address, scheme):
    page = open_page(color_scheme=scheme, viewport={"width": 390, "height": 844})
    page.goto(address)
    expect(page.locator("#loom-plan-told")).not_to_be_empty(timeout=60_000)
    page.get_by_role("button", name="Plan").first.click()
    expect(page.get_by_role("dialog", name="Plan")).to_contain_text("Modules")
    assert grave_findings(page) == []
