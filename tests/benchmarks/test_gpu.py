"""The benchmark for a GPU, for a model that takes no time on a CPU."""

import json

import pytest

from tests import forked


def run(*arguments):
    return forked.run("benchmarks/gpu.py", "--size", "tiny", "--resolution", "32", "48", *arguments)


@pytest.mark.parametrize(
    "options",
    [
        ("--gradient_checkpointing", "--gradient_checkpointing_cpu_offload"),
        ("--fp8_scaled", "--optimizer_type", "sgd"),
        ("--mixed_precision", "no", "--fp8_base"),
    ],
)
def test_figures_of_each_length_are_printed_and_written(tmp_path, options):
    done = run("--frames", "1", "9", "--repeats", "2", "--json", str(tmp_path / "figures.json"), *options)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert [json.loads(line) for line in done.stdout.splitlines()] == figures
    assert [figure["frames"] for figure in figures] == [1, 9]
    for figure in figures:
        assert 0 < figure["seconds"] <= figure["median_seconds"]
        assert 0 < figure["loss"] < 100
        assert set(options) <= set(figure["arguments"])


def test_what_the_machine_does_not_have_is_told_in_a_line():
    done = run("--mixed_precision", "fp16", "--sage_attn")
    assert done.returncode == 1
    assert done.stderr.startswith("error: --sage_attn cannot be used: SageAttention has no backward pass")
