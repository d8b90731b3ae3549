"""Every tab, light and dark, looked over by axe-core: nothing serious or critical for people who use other means."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from gui.texts import texts_of
from tests.browser.servers import running_page
from tests.browser.written_run import WrittenRun
from tests.gui.dataset_project import make_dataset

TABS = tuple(texts_of("en").tree["tabs"].values())
GRAVE = ("serious", "critical")
WITHOUT_FRAMES = {"exclude": [["iframe"]]}  # TensorBoard is not ours
"""axe's context: what of the page is looked over."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("accessibility")
    path = make_dataset(workspace / "data")
    (workspace / "draft.toml").write_text(f"dataset_config = '{path}'\n", encoding="utf-8")
    run = WrittenRun(workspace)
    run.start()
    run.train(range(1, 120), total=1600)
    run.log("loading the model\nstep 119/1600\n")
    run.end("finished")
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
