"""The whole page under a path prefix, as a reverse proxy serves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.servers import running_page
from tests.browser.written_run import WrittenRun

A_LONG_WAIT_MS = 120_000  # TensorBoard starts in 2 s, on a busy machine in many


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    workspace: Path = tmp_path_factory.mktemp("prefix")
    run = WrittenRun(workspace, name="under_a_prefix")
    run.start()
    run.train(range(1, 11), total=20)
    with running_page(workspace, "--root-path", "/tools/loom1") as address:
        yield address
    run.end()


def test_every_part_of_the_page_works_under_a_path_prefix(page, address):
    assert address.endswith("/tools/loom1/")
    failed = []
    page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    page.goto(address)
    expect(page.locator("#loom-header")).to_contain_text("under_a_prefix")
    expect(page.locator("#plan")).to_contain_text("LoRA file")  # Gradio's own requests find their way
    page.get_by_role("tab", name="Monitor").click()
    expect(page.locator("#loom-monitor polyline").first).to_be_attached()
    expect(page.get_by_role("meter", name="CPU", exact=True)).to_be_visible()
    page.get_by_role("tab", name="Runs").click()
    expect(page.locator("tr.loom-runs-row")).to_have_count(1)
    page.get_by_role("tab", name="TensorBoard").click()
    frame = page.frame_locator("#loom-tensorboard iframe")
    expect(frame.locator("app-header")).to_be_visible(timeout=A_LONG_WAIT_MS)
    assert [url for url in failed if "/font-roboto/" not in url] == []  # see gui/routes.py
