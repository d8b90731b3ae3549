"""The Runs tab: the queue, the table of all runs, what can be done with one, comparing, the bin."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from playwright.sync_api import Locator, Page, expect

from backend.plan.resume import StateRecord
from backend.runs.folder import RunFolder
from backend.runs.order import waiting_runs
from backend.runs.status import write_json
from tests.browser.contrast import too_faint
from tests.browser.servers import running_page
from tests.browser.tabs import open_tab
from tests.browser.written_run import WrittenRun
from tests.runs.written_state import write_state

MANY = 2000


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace whose queue no worker takes."""
    workspace = tmp_path_factory.mktemp("runs_tab")
    with FileLock(workspace / "queue.lock"):
        yield workspace


@pytest.fixture(scope="module")
def ended(workspace: Path) -> list[WrittenRun]:
    """Three trainings that are over, with different ranks."""
    runs = []
    for number, (outcome, rank) in enumerate([("finished", 16), ("failed", 48), ("stopped", 64)]):
        run = WrittenRun(workspace, name=f"fox_{number}", network_dim=rank)
        run.start()
        run.train(range(1, 101 + number), total=200)
        if outcome == "failed":
            run.log("torch.OutOfMemoryError: CUDA out of memory.\n")
        run.end(outcome, code=0 if outcome == "finished" else 1)
        runs.append(run)
    return runs


@pytest.fixture(scope="module")
def address(workspace: Path, ended: list[WrittenRun]) -> Iterator[str]:
    with running_page(workspace) as address:
        yield address


def open_runs(page: Page, address: str) -> Locator:
    page.goto(address)
    open_tab(page, "Runs")
    return page.locator("#loom-runs")


def rows(runs: Locator) -> Locator:
    return runs.locator("tr.loom-runs-row")


def titles(runs: Locator) -> Locator:
    return runs.locator("tr.loom-runs-row th a")


def open_details(runs: Locator, name: str) -> Locator:
    runs.get_by_role("button", name=f"Details of {name}").click()
    return runs.get_by_role("group", name=f"Details of {name}")


def test_all_runs_are_listed_searched_filtered_and_sorted(page, address, ended, screenshot):
    runs = open_runs(page, address)
    expect(titles(runs)).to_have_text(["fox_2", "fox_1", "fox_0"])
    row = rows(runs).nth(1)
    expect(row).to_contain_text("Failed")
    expect(row).to_contain_text("101 / 200")
    screenshot("runs_light")
    runs.get_by_role("button", name="Steps").click()
    expect(titles(runs)).to_have_text(["fox_2", "fox_1", "fox_0"])
    runs.get_by_role("button", name="Steps").click()
    expect(titles(runs)).to_have_text(["fox_0", "fox_1", "fox_2"])
    expect(runs.get_by_role("columnheader", name="Steps")).to_have_attribute("aria-sort", "ascending")
    runs.get_by_label("State", exact=True).select_option(label="Failed or crashed")
    expect(titles(runs)).to_have_text(["fox_1"])
    expect(runs.get_by_text("1 of 3", exact=True)).to_be_visible()
    runs.get_by_label("Search runs").fill("fox_0")
    expect(runs).to_contain_text("No run matches.")
    runs.get_by_label("State", exact=True).select_option(label="All states")
    expect(titles(runs)).to_have_text(["fox_0"])


def test_a_run_is_opened_and_its_settings_go_into_the_form(page, address, ended):
    runs = open_runs(page, address)
    details = open_details(runs, "fox_1")
    expect(details).to_contain_text("The GPU ran out of memory")
    expect(details).to_contain_text("It has saved no state to resume from.")
    expect(details).to_contain_text(re.compile(r"KiB on the disk"))
    details.get_by_role("button", name="Copy settings to the form").click()
    expect(page.get_by_role("tab", name="Train")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#network_dim input, #network_dim textarea").first).to_have_value("48")
    page.get_by_role("tab", name="Runs").click()
    details.get_by_role("link", name="Open in Monitor").click()
    expect(page.get_by_role("tab", name="Monitor")).to_have_attribute("aria-selected", "true")
    expect(page).to_have_url(f"{address}?run={ended[1].folder.name}")
    expect(page.locator("#loom-monitor").get_by_role("heading", name="fox_1")).to_be_visible()


def test_states_are_listed_and_what_keeps_a_run_from_going_on_is_told(page, address, ended):
    for step in (50, 100):
        facts = {"dataset": {"batches_per_epoch": 20}, "micro_batches_per_step": 1}
        folder = ended[2].folder.checkpoints / f"fox_2-step{step:08d}-state"
        write_state(folder, StateRecord(step, (0.5,), facts))
    runs = open_runs(page, address)
    details = open_details(runs, "fox_2")
    items = details.get_by_role("listitem")
    expect(items).to_have_text([re.compile("step 100 · epoch 5"), re.compile("step 50 · epoch 3")])
    details.get_by_role("button", name="Resume from here: step 50 · epoch 3").click()
    expect(runs.get_by_role("alert").first).to_contain_text("no transformer is chosen")


def test_notes_are_kept_and_shown_in_the_table(page, address, ended):
    runs = open_runs(page, address)
    field = open_details(runs, "fox_0").get_by_label("Notes on fox_0")
    field.fill("the best so far")
    field.blur()
    expect(rows(runs).filter(has_text="fox_0")).to_contain_text("the best so far")
    runs.get_by_label("Search runs").fill("best so")
    expect(titles(runs)).to_have_text(["fox_0"])


def test_runs_are_compared_by_curves_and_by_the_settings_that_differ(page, address, ended, screenshot):
    runs = open_runs(page, address)
    expect(runs.get_by_role("button", name="Compare (0)")).to_be_disabled()
    for name in ("fox_0", "fox_2"):
        runs.get_by_label(f"Choose {name} to compare").check()
    runs.get_by_role("button", name="Compare (2)").click()
    comparison = runs.get_by_role("region", name="Comparison")
    expect(comparison.locator("polyline")).to_have_count(2)
    expect(comparison.locator(".loom-legend")).to_have_text("fox_0fox_2")
    table = comparison.get_by_role("table")
    expect(table.get_by_role("columnheader")).to_have_text(["Option", "fox_0", "fox_2"])
    expect(table.get_by_role("row").filter(has_text="network_dim").get_by_role("cell")).to_have_text(["16", "64"])
    expect(table.get_by_role("row")).to_have_count(3)  # the head, the name, the rank
    comparison.get_by_label("Curve", exact=True).select_option(label="gradient norm")
    expect(comparison.locator(".loom-plot")).to_have_attribute("aria-label", re.compile("^gradient norm over steps"))
    screenshot("runs_comparison")


def test_a_deleted_run_lies_in_the_bin_and_is_restored(page, address, workspace):
    run = WrittenRun(workspace, name="to_delete")
    run.start()
    run.end("finished")
    runs = open_runs(page, address)
    open_details(runs, "to_delete").get_by_role("button", name="Delete").click()
    expect(titles(runs).filter(has_text="to_delete")).to_have_count(0)
    runs.get_by_text(re.compile("Bin: 1 deleted")).click()
    assert not run.folder.path.exists()
    runs.get_by_role("button", name="Restore: to_delete").click()
    expect(titles(runs).filter(has_text="to_delete")).to_have_count(1)
    expect(runs.locator(".loom-runs-bin")).to_be_hidden()


def test_the_queue_is_reordered_by_buttons_and_keys_held_and_cancelled(page, address, workspace, screenshot):
    for name in ("first", "second", "third"):
        WrittenRun(workspace, name=name)
    runs = open_runs(page, address)
    queue = runs.get_by_role("region", name="Queue")
    names = queue.locator("li a")
    expect(names).to_have_text(["first", "second", "third"])
    queue.get_by_role("button", name="Move third up").click()
    expect(names).to_have_text(["first", "third", "second"])
    expect(queue.get_by_role("button", name="Move third up")).to_be_focused()
    page.keyboard.press("Alt+ArrowUp")
    expect(names).to_have_text(["third", "first", "second"])
    assert [run.job().name for run in waiting_runs(workspace)] == ["third", "first", "second"]
    queue.get_by_role("button", name="Hold: first").click()
    expect(queue.locator("li").nth(1)).to_contain_text("held")
    screenshot("runs_queue")
    queue.get_by_role("button", name="Release: first").click()
    expect(queue.locator("li").nth(1)).not_to_contain_text("held")
    for name in ("first", "second", "third"):
        queue.get_by_role("button", name=f"Cancel {name}").click()
        expect(queue.get_by_role("link", name=name)).to_have_count(0)
    expect(queue).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_and_a_narrow_window_never_scrolls_sideways(
    open_page, address, ended, scheme, screenshot
):
    page = open_page(color_scheme=scheme, viewport={"width": 390, "height": 844})
    runs = open_runs(page, address)
    open_details(runs, "fox_1")
    expect(runs).to_contain_text("on the disk")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert too_faint(page, "#loom-runs") == []
    screenshot(f"runs_narrow_{scheme}", page)


def test_two_thousand_runs_are_shown_a_hundred_at_a_time(page, tmp_path):
    for number in range(MANY):
        write_ended_run(tmp_path, number)
    with running_page(tmp_path) as address:
        page.goto(address)
        runs = open_runs(page, address)
        expect(rows(runs)).to_have_count(100)
        expect(runs.get_by_text("2,000 of 2,000", exact=True)).to_be_visible()
        runs.get_by_role("button", name="Show 100 more").click()
        expect(rows(runs)).to_have_count(200)
        runs.get_by_label("Search runs").fill("run_1999")
        expect(titles(runs)).to_have_text(["run_1999"])


def write_ended_run(workspace: Path, number: int) -> None:
    run = RunFolder(workspace / "runs" / f"20261122-{number:06d}_run_{number}")
    run.path.mkdir(parents=True)
    write_json(
        run.job_file, {"kind": "train", "name": f"run_{number}", "arguments": [], "order": number}, durable=False
    )
    status = {
        "outcome": "finished",
        "step": number,
        "total_steps": MANY,
        "loss": 0.1,
        "started": time.time() - MANY + number,
    }
    write_json(run.status_file, status, durable=False)
    write_json(run.exit_file, {"code": 0, "how": "", "at": time.time()}, durable=False)
