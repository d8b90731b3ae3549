"""What the Monitor shows beside numbers and log: samples, the machine, zoomed and compared curves, stages of a stop."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from playwright.sync_api import Locator, Page, expect

from backend.runs.status import write_json
from backend.visual_files import write_frames
from tests.browser.contrast import too_faint
from tests.browser.servers import running_page
from tests.browser.written_run import WrittenRun

PROMPTS = ("a red fox runs through snow", "a tram crosses the old bridge")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("monitor_parts")


@pytest.fixture(scope="module")
def address(workspace: Path) -> Iterator[str]:
    with running_page(workspace) as address:
        yield address


@pytest.fixture(scope="module")
def earlier(workspace: Path) -> WrittenRun:
    """A training that has ended."""
    run = WrittenRun(workspace, name="earlier")
    run.start()
    run.train(range(1, 501), total=500)
    run.end("finished")
    return run


@pytest.fixture(scope="module")
def training(workspace: Path, earlier: WrittenRun) -> Iterator[WrittenRun]:
    """A training at step 960 of 1600 that makes samples of two prompts, a clip and a picture."""
    models = {"vae": "/w/vae", "text_encoder1": "/w/llm", "text_encoder2": "/w/clip"}  # samples need them
    run = WrittenRun(workspace, sample_prompts="/w/prompts.txt", **models)
    run.start()
    run.train(range(1, 961), total=1600)
    write_samples(run, "e000000")
    for step in (200, 400):
        write_samples(run, f"{step:06d}")
    yield run
    run.end()


def write_samples(run: WrittenRun, after: str) -> None:
    for index, prompt in enumerate(PROMPTS):
        frames = np.full((1 if index else 24, 64, 96, 3), 50, np.uint8)
        name = f"motion_test_{after}_{index:02d}_20261122114009_{42 + index}"
        write_frames(run.folder.samples / name, frames, description={"prompt": prompt})


def open_monitor(page: Page, address: str) -> Locator:
    page.goto(address)
    page.get_by_role("tab", name="Monitor").click()
    return page.locator("#loom-monitor")


def test_samples_stand_in_a_grid_play_in_sight_and_are_compared(page, address, training, screenshot):
    monitor = open_monitor(page, address)
    grid = monitor.get_by_role("table", name="Samples")
    expect(grid.get_by_role("columnheader")).to_have_text(["Prompt", "at first", "step 200", "step 400"])
    expect(grid.get_by_role("rowheader")).to_have_text(list(PROMPTS))
    clip = grid.get_by_label(f"{PROMPTS[0]}, step 200", exact=True)
    clip.scroll_into_view_if_needed()
    expect(clip).to_have_js_property("muted", True)
    expect(clip).to_have_js_property("loop", True)
    page.wait_for_function("video => !video.paused && video.currentTime > 0", arg=clip.element_handle())
    expect(clip).to_have_js_property("controls", False)
    clip.hover()
    expect(clip).to_have_js_property("controls", True)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("video => video.paused", arg=clip.element_handle())
    picture = grid.get_by_role("img", name=f"{PROMPTS[1]}, step 400")
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_js_property("naturalWidth", 96)

    for step in (200, 400):
        monitor.get_by_role("button", name=f"Compare: {PROMPTS[0]}, step {step}").click()
    sides = monitor.get_by_role("group", name="Samples side by side")
    expect(sides.locator("figcaption")).to_have_text(
        [f"step 200 · seed 42 {PROMPTS[0]}", f"step 400 · seed 42 {PROMPTS[0]}"]
    )
    screenshot("monitor_samples")
    sides.get_by_role("button", name="Close").click()
    expect(sides).to_be_hidden()

    write_samples(training, "000600")
    training.report(phase="sampling")
    expect(grid.get_by_role("columnheader")).to_have_text(["Prompt", "at first", "step 200", "step 400", "step 600"])
    training.report(phase="training")


def test_the_machine_is_shown_as_meters(page, address, training):
    machine = open_monitor(page, address).get_by_role("region", name="Machine")
    for name in ("CPU", "Memory", "Disk", "Run: CPU", "Run: memory"):
        expect(machine.get_by_role("meter", name=name, exact=True)).to_have_attribute(
            "aria-valuetext", re.compile(r"\d")
        )
    expect(machine).to_contain_text("GiB free")
    expect(machine).to_contain_text(re.compile("GPU 0|GPUs are not measured|No NVIDIA driver|reports no GPU"))


def test_a_curve_is_smoothed_zoomed_by_drag_and_keys_and_shown_whole_again(page, address, training):
    monitor = open_monitor(page, address)
    plot = monitor.locator(".loom-plot")
    expect(monitor.locator(".loom-legend")).to_contain_text("smoothed 0.9")
    before = monitor.locator("polyline.loom-line-main").get_attribute("points")
    monitor.get_by_label("smoothing").fill("0.5")
    expect(monitor.locator("polyline.loom-line-main")).not_to_have_attribute("points", before)

    box = plot.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 100)
    page.mouse.up()
    whole = monitor.get_by_role("button", name="Show all steps")
    expect(whole).to_be_visible()
    whole.click()
    expect(whole).to_be_hidden()
    plot.focus()
    for key in ("Home", "PageUp", "+", "+", "+"):
        plot.press(key)
    expect(whole).to_be_visible()
    plot.press("Escape")
    expect(whole).to_be_hidden()


def test_loss_by_epoch_and_an_earlier_run_underneath(page, address, training, earlier, screenshot):
    monitor = open_monitor(page, address)
    plot = monitor.locator(".loom-plot")
    monitor.get_by_role("button", name="by epoch").click()
    expect(plot).to_have_attribute("aria-label", re.compile("^by epoch over epochs 1 to 10: "))
    plot.focus()
    plot.press("Home")
    expect(plot).to_have_attribute("aria-valuetext", re.compile("^epoch 1, mean of the epoch 0.4"))
    monitor.get_by_role("button", name="average").click()
    under = monitor.get_by_label("over", exact=True)
    under.focus()
    expect(under.get_by_role("option")).to_have_text(["no other run", f"earlier · {earlier.folder.name}"])
    under.select_option(earlier.folder.name)
    expect(monitor.locator("polyline.loom-line-under")).to_have_count(1)
    expect(monitor.locator(".loom-legend")).to_have_text("earlieraverage")
    screenshot("monitor_under")
    under.select_option("")
    expect(monitor.locator("polyline.loom-line-under")).to_have_count(0)


def test_save_sample_and_stop_after_the_epoch_are_asked_and_wait_until_they_are_heard(page, address, training):
    monitor = open_monitor(page, address)
    for name, what in (("Save now", "save"), ("Sample now", "sample"), ("Stop after this epoch", "stop_after_epoch")):
        button = monitor.get_by_role("button", name=name)
        button.click()
        expect(button).to_be_disabled()
        assert training.folder.has_request(what)
        (training.folder.path / "requests" / what).unlink()  # as the training does when it hears it
        expect(button).to_be_enabled()


def test_the_stages_of_a_stop_are_shown_as_they_happen(page, address, workspace):
    run = WrittenRun(workspace, name="stubborn")
    run.start(leaves_when_asked=False)
    monitor = open_monitor(page, f"{address}?run={run.folder.name}")
    with FileLock(workspace / "queue.lock"):  # no worker acts meanwhile; the stages are written as it does
        run.folder.request("stop")
        asked = {"stage": "asked", "asked": time.time(), "next": "terminating", "next_in_s": 60.0}
        write_json(run.folder.stop_file, asked)
        stages = monitor.get_by_role("list", name="Stages of stopping")
        expect(stages.get_by_role("listitem")).to_have_text(
            [re.compile(r"asked \d\d:\d\d"), re.compile(r"terminated in 0:[345]\d"), "killed"]
        )
        terminating = {"stage": "terminating", "terminating": time.time(), "next": "killing", "next_in_s": 10.0}
        write_json(run.folder.stop_file, {**asked, **terminating})
        expect(stages.locator("[aria-current]")).to_have_text(re.compile(r"terminated \d\d:\d\d"))
        expect(stages.get_by_role("listitem").last).to_have_text(re.compile(r"killed in 0:\d\d"))
        run.end(code=-15, how="terminated")
        expect(monitor.locator(".loom-outcome > p")).to_contain_text("was terminated. Its memory is free.")
        expect(stages).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_and_nothing_scrolls_sideways_in_japanese_too(open_page, address, training, scheme):
    training.log(
        "\x1b[31mred \x1b[32mgreen \x1b[33myellow \x1b[34mblue \x1b[35mmagenta \x1b[36mcyan \x1b[37mwhite\x1b[0m\n"
    )
    page = open_page(color_scheme=scheme, locale="ja-JP", viewport={"width": 390, "height": 844})
    page.goto(address)
    page.get_by_role("tab", name="モニター").click()
    monitor = page.locator("#loom-monitor")
    monitor.get_by_role("region", name="マシン").scroll_into_view_if_needed()  # it is measured where it is seen
    expect(monitor.get_by_role("meter").first).to_be_attached()
    expect(monitor.get_by_role("table")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert too_faint(page, "#loom-monitor") == []


def test_what_wandb_kept_offline_is_sent_by_a_button_and_what_hinders_it_is_told(page, address, workspace):
    run = WrittenRun(workspace, name="offline", log_with="all", wandb_offline=True)
    kept = workspace / "logs" / "20261122114009" / "wandb" / "offline-run-20261122_114009-a1b2c3d4"
    kept.mkdir(parents=True)
    (kept / "run-a1b2c3d4.wandb").write_bytes(b"not whole")
    run.start(log_folder=str(kept.parents[1]))
    card = open_monitor(page, f"{address}?run={run.folder.name}").get_by_role("region", name="wandb")
    expect(card).to_contain_text("when the run is over, it can be sent from here")
    run.end("finished")
    card.get_by_role("button", name="Send it now").click()
    expect(card).to_contain_text("wandb could not send it")
    page.get_by_role("tab", name="Train").click()
    page.get_by_role("button", name="Logging").click()
    expect(page.locator("#section-logging")).to_contain_text(re.compile("wandb is (not )?(logged in|offline)"))


def test_the_browser_tells_when_a_run_ends_if_that_is_wanted(open_page, address, workspace):
    run = WrittenRun(workspace, name="to_be_told")
    run.start()
    page = open_page(permissions=["notifications"])
    page.add_init_script(
        "window.told = []; window.Notification = class { static permission = 'granted';"
        " static requestPermission = async () => 'granted'; constructor(title) { window.told.push(title); } };"
    )
    monitor = open_monitor(page, f"{address}?run={run.folder.name}")
    monitor.get_by_role("button", name="Notify me when a run ends").click()
    expect(monitor.get_by_role("button", name="Do not notify me")).to_have_attribute("aria-pressed", "true")
    run.end("finished")
    page.wait_for_function("window.told.length === 1")
    assert page.evaluate("window.told") == ["Finished · to_be_told"]
