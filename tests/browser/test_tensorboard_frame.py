"""The embedded TensorBoard with a real event file: drawn, kept up to date, in the page's light or dark."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import FrameLocator, Page, expect
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from tests.browser.servers import running_page
from tests.browser.tensorboard_chart import wait_for_curve
from tests.browser.written_run import WrittenRun

A_LONG_WAIT_MS = 120_000  # TensorBoard starts in 2 s, on a busy machine in many


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tensorboard")


@pytest.fixture(scope="module")
def address(workspace: Path) -> Iterator[str]:
    with running_page(workspace) as address:
        yield address


@pytest.fixture(scope="module")
def log(workspace: Path) -> Iterator[EventFileWriter]:
    writer = EventFileWriter(str(workspace / "logs" / "20261122114009" / "network_train"))
    yield writer
    writer.close()


def write_scalars(log: EventFileWriter, tag: str, steps: range) -> None:
    for step in steps:
        scalar = Summary(value=[Summary.Value(tag=tag, simple_value=1 / step)])
        log.add_event(Event(step=step, wall_time=time.time(), summary=scalar))
    log.flush()


def open_tensorboard(page: Page, address: str) -> FrameLocator:
    page.goto(address)
    page.get_by_role("tab", name="TensorBoard").click()
    return page.frame_locator("#loom-tensorboard iframe")


def test_a_scalar_is_drawn_and_new_ones_come_by_themselves(page, address, log, screenshot):
    write_scalars(log, "loss/average", range(1, 40))
    frame = open_tensorboard(page, address)
    expect(page.locator("#loom-tensorboard")).to_contain_text("TensorBoard is starting")
    card = frame.locator("card-view").filter(has_text="loss/average").first
    expect(card).to_be_visible(timeout=A_LONG_WAIT_MS)
    wait_for_curve(card)
    screenshot("tensorboard_light")
    write_scalars(log, "loss/epoch", range(1, 4))
    expect(frame.locator("card-view").filter(has_text="loss/epoch").first).to_be_visible(timeout=A_LONG_WAIT_MS)


def test_the_frame_is_made_when_its_tab_is_first_seen_and_keeps_its_place(page, address, log):
    page.goto(address)
    expect(page.locator(".loom-header")).to_be_visible()
    expect(page.locator("iframe")).to_have_count(0)
    frame = open_tensorboard(page, address)
    filter_field = frame.get_by_role("combobox", name="Filter tags")
    filter_field.fill("loss/average")
    page.get_by_role("tab", name="Train").click()
    page.get_by_role("tab", name="TensorBoard").click()
    expect(filter_field).to_have_value("loss/average")


def test_only_chosen_runs_are_shown_and_all_again(page, address, log, workspace):
    write_scalars(log, "loss/average", range(1, 4))
    other = EventFileWriter(str(workspace / "logs" / "20261122115009" / "network_train"))
    write_scalars(other, "loss/average", range(1, 4))
    other.close()
    run = WrittenRun(workspace, name="chosen")
    run.start(log_folder=str(workspace / "logs" / "20261122115009"))
    run.end("finished")
    frame = open_tensorboard(page, address)
    expect(frame.get_by_text("20261122114009/network_train").first).to_be_visible(timeout=A_LONG_WAIT_MS)
    page.get_by_role("button", name="this run").click()
    expect(frame.get_by_text("20261122115009/network_train").first).to_be_visible(timeout=A_LONG_WAIT_MS)
    expect(frame.get_by_text("20261122114009/network_train")).to_have_count(0)
    page.get_by_role("button", name="all runs").click()
    expect(frame.get_by_text("20261122114009/network_train").first).to_be_visible(timeout=A_LONG_WAIT_MS)


def test_the_frame_is_as_dark_as_the_page(open_page, address, log, screenshot):
    page = open_page(color_scheme="light")
    frame = open_tensorboard(page, address)
    expect(frame.locator("body")).not_to_contain_class("dark-mode")
    page.locator(".loom-appearance").click()
    page.locator(".loom-appearance").click()
    expect(page.locator(".loom-appearance")).to_have_attribute("aria-label", "Appearance: dark")
    expect(frame.locator("body.dark-mode")).to_be_visible()
    wait_for_curve(frame.locator("card-view").first)
    screenshot("tensorboard_dark", page)


def test_logs_that_it_cannot_be_led_to_are_named(page, address, log, workspace, tmp_path):
    run = WrittenRun(workspace)
    run.start(log_folder=str(tmp_path))
    run.end("finished")
    (workspace / "logs" / run.folder.name).mkdir(parents=True)  # stands where the link would be
    open_tensorboard(page, address)
    expect(page.locator("#loom-tensorboard .loom-note")).to_contain_text(str(tmp_path), timeout=A_LONG_WAIT_MS)
