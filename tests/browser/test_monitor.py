"""What the page's own scripts draw of a run: header, monitor, curves, log; in light and dark, wide and narrow."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from playwright.sync_api import Locator, Page, expect

from tests.browser.contrast import too_faint
from tests.browser.servers import running_page
from tests.browser.tabs import open_tab
from tests.browser.written_run import WrittenRun, average_loss_at


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("monitor")


@pytest.fixture(scope="module")
def address(workspace: Path) -> Iterator[str]:
    with running_page(workspace) as address:
        yield address


@pytest.fixture
def new_run(workspace: Path) -> Iterator[Callable[..., WrittenRun]]:
    """Makes runs, each newer than those before; after the test none is current any more."""
    runs = []

    def make(**options: str) -> WrittenRun:
        while (workspace / "runs").is_dir() and any((workspace / "runs").glob(time.strftime("%Y%m%d-%H%M%S") + "_*")):
            time.sleep(0.1)  # names of runs have the second in them
        runs.append(WrittenRun(workspace, **options))
        return runs[-1]

    yield make
    for run in runs:
        run.end()


@pytest.fixture
def training(new_run: Callable[..., WrittenRun]) -> WrittenRun:
    """A training at step 960 of 1600."""
    run = new_run()
    run.start()
    run.train(range(1, 961), total=1600)
    return run


def open_monitor(page: Page, address: str) -> Locator:
    page.goto(address)
    page.get_by_role("tab", name="Monitor").click()
    return page.locator("#loom-monitor")


def tile(monitor: Locator, name: str) -> Locator:
    return monitor.locator(".loom-tiles > div").filter(has=monitor.page.get_by_text(name, exact=True)).locator("dd")


def log_rows(monitor: Locator) -> Locator:
    return monitor.locator(".loom-log-rows > div:visible")


def test_before_the_first_run_the_page_says_so_and_a_lost_server_is_told_and_found_again(page, tmp_path):
    with running_page(tmp_path) as address:
        monitor = open_monitor(page, address)
        expect(monitor).to_contain_text("Nothing has run yet")
        expect(page.locator("#loom-header")).to_contain_text("No run yet")
        expect(page).to_have_title("LoRA Loom")
        expect(page.locator(".loom-connection")).to_be_hidden()
    expect(page.locator(".loom-connection")).to_be_visible()
    port = re.search(r":(\d+)", address)[1]
    with running_page(tmp_path, "--port", port):
        expect(page.locator(".loom-connection")).to_be_hidden()


def test_the_header_and_the_browser_tab_show_the_run_on_every_tab(page, address, training):
    page.goto(address)
    header = page.locator("#loom-header")
    expect(header).to_contain_text("Training motion_test")
    expect(header.locator(".loom-header-numbers span")).to_have_text(["960 / 1,600", "2.14 s/step", "22:50 left"])
    expect(header.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "60")
    expect(page).to_have_title("60 % · motion_test – LoRA Loom")
    training.train(range(961, 1001), total=1600)
    expect(header).to_contain_text("1,000 / 1,600")
    expect(page).to_have_title("62 % · motion_test – LoRA Loom")


def test_the_monitor_shows_the_numbers_of_a_training_again_after_a_reload(page, address, training, screenshot):
    training.log("caches: 48 photos, 12 clips, all fresh\n\rsteps:  60%| 960/1600 [34:14<22:50]")
    monitor = open_monitor(page, address)
    for _ in range(2):
        expect(monitor.get_by_role("heading", name="motion_test")).to_be_visible()
        expect(monitor).to_contain_text(f"runs/{training.folder.name}")
        expect(monitor.locator(".loom-phase[aria-current]")).to_contain_text("training")
        expect(monitor.locator(".loom-count")).to_have_text("960 / 1,600")
        expect(tile(monitor, "Loss, average")).to_have_text(f"{average_loss_at(960):.4f}")
        expect(tile(monitor, "Epoch")).to_have_text("10 / 16")
        expect(tile(monitor, "Learning rate")).to_have_text("2e-4 · 8e-4")
        expect(tile(monitor, "Time left")).to_have_text("22:50")
        expect(log_rows(monitor).last).to_have_text("steps:  60%| 960/1600 [34:14<22:50]")
        page.reload()
        page.get_by_role("tab", name="Monitor").click()
    expect(monitor.locator("polyline")).to_have_count(2)
    screenshot("monitor_light")


def test_a_curve_keeps_its_ends_and_peaks_in_at_most_800_points(page, address, new_run):
    run = new_run()
    run.start()
    run.train(range(1, 3001), total=4000)
    monitor = open_monitor(page, address)
    lines = monitor.locator("polyline")
    expect(lines).to_have_count(2)
    expect(monitor.locator(".loom-plot")).to_have_attribute("aria-label", re.compile("over steps 1 to 3,000: "))
    for line in lines.all():
        points = [tuple(map(float, point.split(","))) for point in line.get_attribute("points").split()]
        assert 700 < len(points) <= 800
        assert points == sorted(points, key=lambda point: point[0])
    width = monitor.locator("svg").first.bounding_box()["width"]
    first, last = points[0][0], points[-1][0]
    assert (last - first) / (width - 82) == pytest.approx(2999 / 4000, abs=0.002)


def test_the_curve_grows_with_the_run_and_marks_its_checkpoints(page, address, training):
    monitor = open_monitor(page, address)
    expect(monitor.locator(".loom-plot")).to_have_attribute("aria-label", re.compile("to 960"))
    training.train(range(961, 1100), total=1600)
    training.report(files=("/w/a-step00000200.safetensors", "/w/a-000002.safetensors"))
    expect(monitor.locator(".loom-plot")).to_have_attribute("aria-label", re.compile("to 1,099"))
    expect(monitor.locator("circle.loom-checkpoint")).to_have_count(2)  # epoch 2 ends with step 200
    assert len({dot.get_attribute("cx") for dot in monitor.locator("circle.loom-checkpoint").all()}) == 1


def test_the_tabs_of_the_curves_show_rates_and_norms_and_keys_read_single_steps(page, address, training):
    monitor = open_monitor(page, address)
    plot = monitor.locator(".loom-plot")
    monitor.get_by_role("button", name="learning rate").click()
    expect(monitor.locator(".loom-legend")).to_have_text("unetunet plus")
    monitor.get_by_role("button", name="gradient norm").click()
    expect(plot).to_have_attribute("aria-label", re.compile("^gradient norm over steps 1 to 960: each step from 1.421"))
    monitor.get_by_role("button", name="average").click()
    expect(monitor.locator("polyline")).to_have_count(1)
    linear = monitor.locator("polyline").get_attribute("points")
    monitor.get_by_label("log scale").check()
    expect(monitor.locator("polyline")).not_to_have_attribute("points", linear)
    plot.focus()
    plot.press("End")
    plot.press("ArrowLeft")
    expect(plot).to_have_role("slider")
    expect(plot).to_have_attribute("aria-valuenow", "959")
    expect(plot).to_have_attribute("aria-valuetext", f"step 959, average {average_loss_at(959):.4f}")
    expect(monitor.locator(".loom-plot-tip")).to_have_text(f"step 959average {average_loss_at(959):.4f}")
    plot.blur()
    expect(monitor.locator(".loom-plot-tip")).to_be_hidden()
    plot.hover(position={"x": 20, "y": 100})
    expect(monitor.locator(".loom-plot-tip")).to_have_text(f"step 1average {average_loss_at(1):.4f}")


def test_a_loss_that_is_no_number_leaves_a_gap_and_breaks_nothing(page, address, new_run):
    run = new_run()
    run.start()
    with run.folder.metrics_file.open("a") as file:
        file.write('{"step": 1, "loss": NaN, "average_loss": NaN, "time": 1}\n')
    monitor = open_monitor(page, address)
    expect(monitor.locator(".loom-plot")).to_have_text("No step has reported this.")
    run.train(range(2, 5), total=10)
    expect(monitor.locator("polyline").first).to_be_attached()


def test_the_log_shows_lines_and_colours_as_a_terminal_does(page, address, training):
    training.log("\x1b[31mred\x1b[0m\r\nsteps: 0%|")
    monitor = open_monitor(page, address)
    expect(log_rows(monitor)).to_have_text(["red", "steps: 0%|"])
    expect(log_rows(monitor).first.locator("span")).to_have_css("color", "rgb(192, 57, 43)")
    training.log("\rsteps: 50%|█\r        \rsaved a.safetensors\n\rsteps: 51%|█\x1b[")
    expect(log_rows(monitor)).to_have_text(["red", "saved a.safetensors", "steps: 51%|█"])
    training.log("32mgreen <b>&amp;\nstill green\x1b[0m\nplain\n")
    expect(log_rows(monitor).nth(2)).to_have_text("steps: 51%|█green <b>&amp;")
    expect(log_rows(monitor).nth(2).locator("span")).to_have_text("green <b>&amp;")
    expect(log_rows(monitor).nth(3).locator("span")).to_have_text("still green")
    expect(log_rows(monitor).nth(4).locator("span")).to_have_count(0)


def test_the_log_is_searched_followed_and_held(page, address, training):
    training.log("".join(f"line {number}\n" for number in range(1000)))
    monitor = open_monitor(page, address)
    rows, follow = monitor.locator(".loom-log-rows"), monitor.get_by_label("follow")
    expect(rows.get_by_text("line 999")).to_be_in_viewport()
    rows.hover()
    page.mouse.wheel(0, -3000)
    expect(follow).not_to_be_checked()
    training.log("the last line\n")
    expect(rows.get_by_text("the last line")).to_be_attached()
    expect(rows.get_by_text("the last line")).not_to_be_in_viewport()
    follow.check()
    expect(rows.get_by_text("the last line")).to_be_in_viewport()

    monitor.get_by_label("Search log").fill("LINE 77")
    expect(log_rows(monitor)).to_have_count(11)  # 77, 770 to 779
    expect(monitor.locator(".loom-log-matches")).to_have_text("11 of 1,002 lines")
    expect(rows.locator("mark").last).to_have_text("line 77")
    spoken = monitor.locator(".loom-log [role=status]")
    expect(spoken).to_have_text("11 of 1,002 lines")
    training.log("line 7777\nnot this one\n")
    expect(log_rows(monitor)).to_have_count(12)
    expect(monitor.locator(".loom-log-matches")).to_have_text("12 of 1,004 lines")
    expect(spoken).to_have_text("11 of 1,002 lines")  # said when it was searched, not at every new line
    monitor.get_by_label("Search log").fill("")
    expect(log_rows(monitor).nth(1)).to_have_text("line 1")


def test_any_place_of_a_long_log_is_shown_and_all_of_it_searched(page, address, training, screenshot):
    training.log("".join(f"line {number}\n" for number in range(1, 200_001)))
    monitor = open_monitor(page, address)
    rows, log = monitor.locator(".loom-log-rows > div"), monitor.get_by_role("region", name="Log")
    expect(rows).to_have_count(5000)
    training.log("end")
    expect(log_rows(monitor).last).to_have_text("end")
    expect(rows).to_have_count(5000)

    log.get_by_role("button", name="Start").click()
    expect(rows.first).to_have_text("line 1")
    expect(log).to_contain_text("lines 1 to 500 of 200,001")
    expect(log.get_by_label("follow")).not_to_be_checked()
    log.get_by_role("button", name="Later").click()
    expect(rows.first).to_have_text("line 501")
    log.get_by_label("Go to line").fill("123456")
    log.get_by_label("Go to line").press("Enter")
    expect(rows.get_by_text("line 123456", exact=True)).to_be_in_viewport()
    training.log(" of the log\n")
    expect(rows.get_by_text("line 123456", exact=True)).to_be_in_viewport()  # a held page stays

    log.get_by_label("Search log").fill("LINE 7777")
    expect(log.locator(".loom-log-matches")).to_have_text("11 of 200,001 lines")
    expect(log).not_to_contain_text("lines 123,")  # no page is shown
    screenshot("log_search")
    log.get_by_role("button", name="Go to line 77,779").click()
    expect(rows.get_by_text("line 77779", exact=True)).to_be_in_viewport()
    log.get_by_label("follow").check()
    expect(log_rows(monitor).nth(-2)).to_have_text("end of the log")
    expect(log.get_by_label("Search log")).to_have_value("")


def test_stop_asks_in_place_and_tells_that_it_was_asked(page, address, training, screenshot):
    monitor = open_monitor(page, address)
    stop = page.locator("#loom-header .loom-stop")
    stop.get_by_role("button", name="Stop…").click()
    expect(stop).to_contain_text("Save and stop?")
    page.keyboard.press("Escape")
    expect(stop.get_by_role("button")).to_have_text(["Stop…"])
    assert not training.folder.has_request("stop")

    stop.get_by_role("button", name="Stop…").click()
    screenshot("stop_question")
    stop.get_by_role("button", name="Stop", exact=True).click()
    expect(stop).to_have_text("Stopping…")
    expect(stop.get_by_text("Stopping…")).to_be_focused()
    training.wait()
    training.end("stopped", message="stopped after step 960 of 1600; saved a.safetensors")
    expect(monitor.locator(".loom-outcome > p")).to_have_text("Stopped after step 960 of 1600; saved a.safetensors.")
    expect(stop).to_be_empty()
    expect(page.locator("#loom-header")).to_contain_text("Stopped motion_test")


def test_a_run_in_the_queue_can_be_taken_out(page, address, workspace, new_run):
    with FileLock(workspace / "queue.lock"):  # no worker takes the run meanwhile
        new_run()
        monitor = open_monitor(page, address)
        expect(monitor.locator(".loom-outcome")).to_contain_text("waits in the queue")
        monitor.get_by_role("button", name="Stop…").click()
        expect(monitor).to_contain_text("Take it out of the queue?")
    monitor.get_by_role("button", name="Stop", exact=True).click()
    expect(monitor.locator(".loom-outcome > p")).to_have_text("Taken out of the queue before it began.")


def test_a_failure_shows_its_cause_the_lines_that_show_it_and_what_to_change(page, address, training, screenshot):
    training.log("loading\nTraceback (most recent call last):\n  ...\ntorch.OutOfMemoryError: CUDA out of memory.\n")
    training.end("failed", code=1, message="CUDA out of memory.")
    monitor = open_monitor(page, address)
    outcome = monitor.locator(".loom-outcome")
    expect(outcome.locator("p").first).to_contain_text("The GPU ran out of memory")
    expect(outcome).to_contain_text("Use gradient checkpointing")
    expect(outcome.locator("pre")).to_contain_text("OutOfMemoryError")
    expect(page.locator("#loom-header")).to_contain_text("Failed motion_test")
    screenshot("monitor_failed")


def test_the_button_of_a_failure_changes_the_form(page, address, training):
    training.log("torch.OutOfMemoryError: CUDA out of memory.\n")
    training.end("failed", code=1, message="CUDA out of memory.")
    outcome = open_monitor(page, address).locator(".loom-outcome")
    wanted = outcome.get_by_role("listitem").filter(has_text="Gradient checkpointing: on")
    expect(wanted).to_be_visible()
    outcome.get_by_role("button", name="Change this in the form").click()
    expect(page.get_by_role("tab", name="Train")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_label("Gradient checkpointing", exact=True)).to_be_checked()
    expect(page.get_by_label("Gradient checkpointing", exact=True)).to_be_visible()


def test_a_run_that_never_spoke_is_told_by_its_log(page, address, new_run):
    run = new_run()
    run.log("no module named torch\n")
    run.end(code=3)
    outcome = open_monitor(page, address).locator(".loom-outcome")
    expect(outcome.locator("p").first).to_contain_text("no module named torch")
    expect(outcome.locator("pre")).to_have_text("no module named torch")


def test_after_a_stop_by_force_its_memory_is_called_free_only_if_nothing_is_left(page, address, training, new_run):
    training.end(code=-9, how="killed")
    outcome = open_monitor(page, address).locator(".loom-outcome > p")
    expect(outcome).to_contain_text("killed with all it had started. Its memory is free.")
    stubborn = new_run()
    stubborn.start()
    stubborn.end(code=-9, how="killed", left=(4711, 4712))
    expect(outcome).to_contain_text("may hold memory, even though it was killed: process 4711, process 4712.")
    expect(outcome).not_to_contain_text("Its memory is free")


def test_the_run_because_of_which_another_did_not_start_is_a_link_and_there_is_a_way_back(page, address, new_run):
    needed, waiting = new_run(name="caching", kind="cache_latents"), new_run(name="after_it")
    needed.start()
    needed.end("failed", code=1, message="no such folder")
    waiting.end(code=None, how=f"not started: {needed.folder.name} is failed")
    monitor = open_monitor(page, address)
    expect(monitor.locator(".loom-outcome > p")).to_have_text(
        re.compile(f"because it needs {needed.folder.name}, which is failed")
    )
    monitor.get_by_role("link", name=needed.folder.name).click()
    expect(page).to_have_url(f"{address}?run={needed.folder.name}")
    expect(monitor.get_by_role("heading", name="caching")).to_be_visible()
    expect(monitor.locator(".loom-outcome > p")).to_contain_text("no such folder")
    page.go_back()
    expect(monitor.get_by_role("heading", name="after_it")).to_be_visible()
    page.go_forward()
    page.reload()  # the address alone shows the run
    expect(monitor.get_by_role("heading", name="caching")).to_be_visible()
    expect(monitor).to_contain_text("This page stays with the run")
    monitor.get_by_role("link", name="Show the current run").click()
    expect(monitor.get_by_role("heading", name="after_it")).to_be_visible()
    expect(page).to_have_url(address)
    expect(monitor.get_by_role("link", name="Show the current run")).to_be_hidden()


def test_an_address_with_a_run_that_does_not_exist_shows_the_current_one(page, address, training):
    monitor = open_monitor(page, f"{address}?run=bogus")
    expect(monitor.get_by_role("heading", name="motion_test")).to_be_visible()
    expect(monitor.get_by_role("link", name="Show the current run")).to_be_hidden()


def test_a_killed_process_is_told_as_a_crash(page, address, training):
    monitor = open_monitor(page, address)
    expect(monitor.get_by_role("heading", name="motion_test")).to_be_visible()
    training.kill()
    expect(monitor.locator(".loom-outcome > p")).to_contain_text("went away after step 960 without a word")


def test_a_finished_run_names_its_files_and_copies_their_paths(open_page, address, training):
    path = str(training.folder.checkpoints / "motion_test.safetensors")
    training.report(files=(path,), log_folder="/w/logs/20261122114009")
    training.end("finished")
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    monitor = open_monitor(page, address)
    expect(monitor.locator(".loom-outcome > p")).to_have_text("Finished.")
    monitor.get_by_role("button", name="Copy path: motion_test.safetensors").click()
    expect(monitor.get_by_role("button", name="Copy path: motion_test.safetensors")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == path


def test_the_page_goes_over_to_the_next_run(page, address, training, new_run):
    monitor = open_monitor(page, address)
    expect(monitor.locator("polyline")).to_have_count(2)
    training.end("finished")
    caching = new_run(name="cache_latents", kind="cache_latents")
    caching.start(phase="caching", step=3, total_steps=12, message="a red fox.jpg", time_left_s=9)
    expect(page.locator("#loom-header")).to_contain_text("Caching latents")
    expect(tile(monitor, "Items")).to_have_text("3")
    expect(tile(monitor, "Time left")).to_have_text("0:09")
    expect(monitor).to_contain_text("a red fox.jpg")
    expect(monitor.locator(".loom-curves")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(open_page, address, training, screenshot, scheme):
    training.log("base: 12.8 G parameters\nsteps:  60%| 960/1600\n")
    training.report(files=("/w/a-step00000200.safetensors",))
    page = open_page(color_scheme=scheme)
    monitor = open_monitor(page, address)
    expect(monitor.locator("polyline").first).to_be_attached()
    monitor.get_by_role("button", name="Stop…").click()
    assert too_faint(page, "#loom-header, #loom-tabs > .tab-wrapper, #loom-monitor") == []
    screenshot(f"monitor_{scheme}", page)
    training.end("failed", message="out of memory")
    expect(monitor.locator(".loom-outcome")).to_be_visible()
    assert too_faint(page, "#loom-monitor") == []


def test_the_appearance_follows_the_system_or_the_switch(open_page, address):
    page = open_page(color_scheme="dark")
    page.goto(address)
    body, switch = page.locator("body"), page.locator(".loom-appearance")
    expect(body).to_have_css("background-color", "rgb(20, 22, 26)")
    page.emulate_media(color_scheme="light")
    expect(body).to_have_css("background-color", "rgb(247, 247, 248)")
    switch.click()
    expect(switch).to_have_attribute("aria-label", "Appearance: light")
    switch.click()
    expect(body).to_have_css("background-color", "rgb(20, 22, 26)")
    page.reload()
    expect(switch).to_have_attribute("aria-label", "Appearance: dark")
    expect(body).to_have_css("background-color", "rgb(20, 22, 26)")


def test_a_narrow_window_never_scrolls_sideways(open_page, address, training, screenshot):
    training.log("saved /home/me/" + "a_long_folder_name/" * 8 + "motion_test.safetensors\n" + "x" * 500)
    page = open_page(viewport={"width": 390, "height": 844})
    monitor = open_monitor(page, address)
    expect(monitor.locator("polyline").first).to_be_attached()
    page.locator("#loom-header").get_by_role("button", name="Stop…").click()
    for name in ("Train", "TensorBoard", "Monitor"):
        open_tab(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    screenshot("monitor_narrow", page)


def test_everything_in_the_monitor_is_reached_by_the_keyboard(page, address, training):
    monitor = open_monitor(page, address)
    expect(monitor.locator("polyline").first).to_be_attached()
    page.locator(".loom-appearance").focus()
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent || document.activeElement.placeholder"))
    for name in ("loss", "gradient norm", "Search log", "Copy"):
        assert name in reached
