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
from benchmarks.loraplus_report import Figures, plot, table
from tests import forked

PROJECT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def run(folder, *arguments):
    command = [sys.executable, "benchmarks/loraplus.py", "--folder", str(folder), *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_few_steps_are_measured_and_the_figures_drawn_again_are_the_same(tmp_path):
    few = ("--ratios", "1", "16", "--plain_rate_factors", "2", "--seeds", "1", "--steps", "4", "--every", "2")
    printed = run(tmp_path, *few)
    curves = json.loads((tmp_path / "loraplus.json").read_text(encoding="utf-8"))["curves"]
    assert [(curve["learning_rate"], curve["ratio"]) for curve in curves] == [(2e-3, 1), (2e-3, 16), (4e-3, 1)]
    plain, *faster = (curve["losses"] for curve in curves)
    assert [len(losses) for losses in (plain, *faster)] == [3, 3, 3]
    assert all(losses[0] == plain[0] and losses[2] < plain[2] < plain[0] for losses in faster)
    picture = (tmp_path / "loraplus.svg").read_text(encoding="utf-8")
    (tmp_path / "loraplus.svg").unlink()
    again = forked.run("benchmarks/loraplus.py", "--folder", tmp_path, "--only_draw")
    assert again.returncode == 0, again.stderr
    assert again.stdout and printed.endswith(again.stdout)
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
    """Plain LoRA ends at 0.15 and 0.13; of ratio 4 only one seed comes down to 0.14."""
    losses = {1: ([0.24, 0.135, 0.15], [0.24, 0.145, 0.13]), 4: ([0.24, 0.12, 0.18], [0.24, 0.2, 0.2])}
    curves = [
        {"learning_rate": 0.1, "ratio": ratio, "seed": seed, "losses": each}
        for ratio, both in losses.items()
        for seed, each in enumerate(both)
    ]
    return Figures(learning_rate=0.1, steps=20, every=10, curves=curves)


def test_the_table_tells_steps_with_their_range_and_how_many_seeds_came_there(figures):
    assert table(figures).splitlines() == [
        "| learning rate | ratio | steps to 0.150 | steps to 0.140 | lowest loss | loss at the end |",
        "| --- | --- | --- | --- | --- | --- |",
        "| 0.1 | 1 | 10 (10 to 10) | 15 (10 to 20) | 0.1325 (0.1300 to 0.1350) | 0.1400 (0.1300 to 0.1500) |",
        "| 0.1 | 4 | 1 of 2 seeds (10) | 1 of 2 seeds (10) | 0.1600 (0.1200 to 0.2000) | 0.1900 (0.1800 to 0.2000) |",
    ]


def test_the_plot_has_a_line_and_a_band_for_each_ratio_and_for_each_rate_of_plain_lora(figures):
    ratios, rates = ElementTree.fromstring(plot(figures)).findall(f"{SVG}g")
    for chart, labels in ((ratios, ["ratio 1", "ratio 4"]), (rates, ["rate 0.1"])):
        lines = chart.findall(f"{SVG}polyline")
        assert [len(line.get("points").split()) for line in lines] == [3] * len(labels)
        assert len(chart.findall(f"{SVG}polygon")) == len(labels)
        assert {*labels, "0.150", "0.24", "held-out loss, mean and range of the seeds"} <= {
            text.text for text in chart.iter(f"{SVG}text")
        }
    assert ratios.find(f"{SVG}polyline").get("points") == "62.0,40.0 242.0,191.4 422.0,191.4"


def test_the_documentation_shows_the_figures_beside_it():
    docs = PROJECT / "docs"
    figures = Figures(**json.loads((docs / "loraplus.json").read_text(encoding="utf-8")))
    assert table(figures) in (docs / "loraplus.md").read_text(encoding="utf-8")
    assert (docs / "loraplus.svg").read_text(encoding="utf-8") == plot(figures)
    assert [len(figures.by_kind()[2e-3, ratio]) for ratio in (1, 4, 16)] == [3, 3, 3]
