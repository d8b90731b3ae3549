"""What earlier trainings tell of a new one."""

from __future__ import annotations

import json

import pytest

from backend.config.configuration import Configuration
from backend.plan.memory import RESERVE
from backend.plan.plan import make_plan
from backend.runs.experience import FIRST_STEPS, Experience, Measured, experience_of
from backend.runs.training_job import submit_training
from tests.commands.tiny_project import TRANSFORMER, make_project


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


def training(project, **values) -> Configuration:
    own = {"dit": str(TRANSFORMER), "dataset_config": str(project.dataset_file), "mixed_precision": "no"}
    return Configuration.from_values({**own, "network_dim": 4, **values})


def past_run(project, configuration, *, ratio=1.0, seconds=2.0, step=50, device="GPU 7", kind="cuda") -> None:
    """A run of that configuration that has needed `ratio` of its forecast."""
    run = submit_training(configuration, workspace=project.workspace)
    forecast = make_plan(configuration, on_gpu=kind == "cuda").memory
    peak = round(forecast.total * ratio) - (RESERVE if kind == "cuda" else 0)
    memory = {"kind": kind, "device": device, "total_bytes": 24 * 2**30, "peak_bytes": peak}
    status = {"phase": "done", "step": step, "seconds_per_step": seconds, "outcome": "finished", "memory": memory}
    run.status_file.write_text(json.dumps(status), encoding="utf-8")


def test_without_runs_there_is_no_experience(project):
    assert experience_of(training(project), workspace=project.workspace) == Experience()


@pytest.mark.parametrize("kind", ["cuda", "cpu"])
def test_a_run_tells_what_it_needed_beside_its_forecast_and_how_fast_it_was(project, kind):
    configuration = training(project)
    past_run(project, configuration, ratio=1.25, seconds=3.0, kind=kind)
    known = experience_of(configuration, workspace=project.workspace)
    assert (known.runs, known.device, known.total_bytes) == (1, "GPU 7", 24 * 2**30)
    assert known.on_gpu == (kind == "cuda")
    plan = make_plan(configuration, on_gpu=kind == "cuda")
    assert known.bytes_beyond(plan.memory.total) == pytest.approx(0.25 * plan.memory.total, rel=1e-3)
    assert known.seconds_for(plan.operations) == pytest.approx(3.0)


def test_runs_of_another_device_do_not_count_and_of_several_the_median_does(project):
    configuration = training(project)
    past_run(project, configuration, ratio=9.0, device="another GPU")
    for ratio in (1.0, 1.1, 5.0):
        past_run(project, configuration, ratio=ratio)
    known = experience_of(configuration, workspace=project.workspace)
    assert known.runs == 3
    total = make_plan(configuration).memory.total
    assert known.bytes_beyond(total) == pytest.approx(0.1 * total, rel=1e-3)


def test_runs_with_the_same_options_of_speed_count_before_others(project):
    past_run(project, training(project, gradient_checkpointing=True), ratio=2.0)
    past_run(project, training(project, learning_rate=1e-5), ratio=1.2)
    configuration = training(project)
    known, total = experience_of(configuration, workspace=project.workspace), make_plan(configuration).memory.total
    assert known.bytes_beyond(total) == pytest.approx(0.2 * total, rel=1e-3)


def test_what_a_small_training_needed_beyond_its_forecast_a_large_one_will_not_need_many_times():
    small = Experience(runs=1, measured=(Measured(40, 600, operations=1000, seconds_per_step=2.0),))
    assert small.bytes_beyond(50_000) == 560
    assert small.bytes_beyond(20) == 280
    assert small.seconds_for(90_000) == pytest.approx(180)
    assert small.seconds_for(1_000_000) is None


def test_a_training_of_a_similar_size_counts_before_others():
    measured = (Measured(40, 600, 1, None), Measured(50, 650, 1, None), Measured(9_000, 9_900, 1, None))
    assert Experience(runs=3, measured=measured).bytes_beyond(10_000) == 900
    assert Experience(runs=0).bytes_beyond(10_000) is None


def test_a_run_that_has_hardly_begun_tells_nothing(project):
    past_run(project, training(project), step=FIRST_STEPS - 1)
    assert experience_of(training(project), workspace=project.workspace) == Experience()


def test_a_run_whose_dataset_is_gone_tells_nothing(project):
    past_run(project, training(project))
    (run,) = (project.workspace / "runs").iterdir()
    (run / "dataset.toml").unlink()
    assert experience_of(training(project), workspace=project.workspace) == Experience()
