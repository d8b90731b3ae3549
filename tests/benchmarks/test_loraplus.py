"""The comparison of LoRA+ ratios on the demo: with few steps, and as docs/loraplus.md tells it."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from backend.commands.demo import make_demo
from backend.networks.files import load_lora
from backend.runs.status import Reporter
from benchmarks.loraplus import Case, prepare
from benchmarks.loraplus_report import Figures, plot, tables

PROJECT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def run(folder, *arguments):
    command = [sys.executable, "benchmarks/loraplus.py", "--folder", str(folder), *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_few_steps_are_measured_and_the_figures_drawn_again_are_the_same(tmp_path):
    printed = run(
        tmp_path, "--ratios", "1", "16", "--rate_factors", "1", "2", "--seeds", "1", "--steps", "4", "--every", "2"
    )
    content = json.loads((tmp_path / "loraplus.json").read_text(encoding="utf-8"))
    found = [(curve["learning_rate"], curve["ratio"]) for curve in content["curves"]]
    assert found == [(2e-3, 1), (2e-3, 16), (4e-3, 1), (4e-3, 16)]
    start, *others = (curve["losses"] for curve in content["curves"])
    assert all(len(losses) == 3 and losses[0] == start[0] and losses[2] != start[2] for losses in others)
    assert others[0][2] < start[2] < start[0]  # the up matrices start at zero, so a higher rate for them shows at once
    picture = (tmp_path / "loraplus.svg").read_text(encoding="utf-8")
    tables = run(tmp_path, "--only_draw")
    assert printed.endswith(tables)
    assert (tmp_path / "loraplus.svg").read_text(encoding="utf-8") == picture


def test_ratio_1_trains_the_same_bits_as_a_training_without_loraplus(tmp_path):
    make_demo(tmp_path, reporter=Reporter(None))
    plain, one, four = (trained(tmp_path, ratio) for ratio in (None, 1, 4))
    assert all(torch.equal(plain[name], one[name]) for name in plain | one)
    assert not any(torch.equal(plain[name], four[name]) for name in plain if ".lora_up." in name)


def trained(workspace, ratio):
    folder = workspace / f"ratio_{ratio}"
    folder.mkdir()
    last = prepare(Case(2e-3, ratio, seed=1), folder, workspace=workspace, steps=3, every=2).train()
    assert last.with_name("demo-step00000002.safetensors").is_file()
    return load_lora(last)[0]


@pytest.fixture
def figures() -> Figures:
    """Of plain LoRA one seed ends at 0.15 and one at 0.13; of ratio 4 only one comes down to there."""
    losses = {1: ([0.24, 0.135, 0.15], [0.24, 0.145, 0.13]), 4: ([0.24, 0.12, 0.18], [0.24, 0.2, 0.2])}
    curves = [
        {"learning_rate": 0.1, "ratio": ratio, "seed": seed, "losses": each}
        for ratio, both in losses.items()
        for seed, each in enumerate(both)
    ]
    return Figures(learning_rate=0.1, steps=20, every=10, curves=curves)


def test_the_table_tells_steps_with_their_range_and_how_many_seeds_came_there(figures):
    first, steps, lowest = tables(figures).split("\n\n")[0], *tables(figures).split("\n\n")[2::2]
    assert first.splitlines() == [
        "| ratio | steps to 0.150 | steps to 0.140 | lowest loss | loss at the end |",
        "| --- | --- | --- | --- | --- |",
        "| 1 | 10 (10 to 10) | 15 (10 to 20) | 0.1325 (0.1300 to 0.1350) | 0.1400 (0.1300 to 0.1500) |",
        "| 4 | 1 of 2 seeds (10) | 1 of 2 seeds (10) | 0.1600 (0.1200 to 0.2000) | 0.1900 (0.1800 to 0.2000) |",
    ]
    assert steps.splitlines()[2] == "| 0.1 | 10 (10 to 10) | 1 of 2 seeds (10) |"
    assert lowest.splitlines()[2] == "| 0.1 | 0.1325 (0.1300 to 0.1350) | 0.1600 (0.1200 to 0.2000) |"


def test_the_plot_has_a_line_for_each_ratio_and_no_point_where_a_seed_missed_the_loss(figures):
    losses, steps = ElementTree.fromstring(plot(figures)).findall(f"{SVG}g")
    assert len(losses.findall(f"{SVG}polyline")) == len(losses.findall(f"{SVG}polygon")) == 2
    assert [len(line.get("points").split()) for line in losses.findall(f"{SVG}polyline")] == [3, 3]
    assert [len(line.get("points").split()) for line in steps.findall(f"{SVG}polyline")] == [1, 0]
    texts = [text.text for text in losses.iter(f"{SVG}text")]
    assert {"ratio 1", "ratio 4", "0.150", "0.24"} <= set(texts)


def test_the_documentation_shows_the_figures_beside_it():
    docs = PROJECT / "docs"
    figures = Figures(**json.loads((docs / "loraplus.json").read_text(encoding="utf-8")))
    for table in tables(figures).split("\n\n"):
        assert table.strip() in (docs / "loraplus.md").read_text(encoding="utf-8")
    assert (docs / "loraplus.svg").read_text(encoding="utf-8") == plot(figures)
    assert figures.ratios == [1, 4, 16]
    assert {curve["seed"] for curve in figures.curves} == {1, 2, 3}
