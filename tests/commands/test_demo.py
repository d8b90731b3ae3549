"""`python -m backend demo`, as it is called."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from backend.__main__ import main
from backend.commands.demo import make_demo
from backend.config.configuration import Configuration
from backend.config.dataset import read_dataset_file
from backend.config.presets import find_preset, read_preset, read_title
from backend.dataset.cached import find_cached_items
from backend.networks.files import load_lora
from backend.plan.plan import make_plan
from backend.runs.demo_folder import DemoFolder
from backend.runs.folder import RunFolder, RunState, list_runs
from backend.runs.status import Reporter
from backend.visual_files import read_frames
from tests import forked


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    """The demo, made as the page does it: as the process of a run; two folders up is the workspace."""
    run = RunFolder(tmp_path_factory.mktemp("workspace") / "runs" / "make_demo")
    run.path.mkdir(parents=True)
    _run_command("--workspace", str(_workspace(run)), environment={Reporter.FOLDER_VARIABLE: str(run.path)})
    return run


@pytest.fixture(scope="module")
def workspace(run) -> Path:
    return _workspace(run)


def test_the_run_reports_how_it_went(run):
    status = run.status()
    assert (status.phase, status.outcome, status.step, status.total_steps) == ("done", "finished", 10, 10)
    assert run.state() is RunState.FINISHED


def test_all_pictures_and_windows_are_cached(workspace):
    pictures, clips = read_dataset_file(DemoFolder.of(workspace).dataset_file).datasets
    picture_items, picture_problems = find_cached_items(pictures)
    clip_items, clip_problems = find_cached_items(clips)
    assert (len(picture_items), len(clip_items)) == (4, 6)
    assert picture_problems == clip_problems == []


def test_the_preset_can_be_started(workspace):
    plan = make_plan(_configuration(workspace))
    assert plan.problems == ()
    assert (len(plan.trained), plan.rank, plan.steps.total_steps) == (28, 16, 200)
    assert read_title(find_preset("demo", workspace=workspace))[0] == "Demo"


@pytest.fixture(scope="module")
def trained(workspace) -> tuple[RunFolder, str]:
    """The demo's training as it is shipped, and what the command printed."""
    output = _run_command("--workspace", str(workspace), "--train")
    return list_runs(workspace)[0], output


def test_training_it_shows_in_samples_what_was_learned(trained):
    """Hearts, which the model has never seen, change; two samples of one prompt have the same noise."""
    samples = trained[0].samples
    for index in ("00", "01"):
        before, after = (
            read_frames(next(samples.glob(f"demo_{label}_{index}_*.mp4"))).astype(int)
            for label in ("e000000", "000200")
        )
        assert before.shape == after.shape == (9, 64, 64, 3)
        assert np.abs(before - after).max(axis=-1)[0].max() > 100
    assert len(list(samples.iterdir())) == 9


def test_a_second_call_leaves_everything_as_it_is(workspace):
    before = _changed_at(workspace)
    assert main(["demo", "--workspace", str(workspace)]) == 0
    assert _changed_at(workspace) == before
    assert DemoFolder.of(workspace).is_whole()


def test_what_an_interruption_left_out_is_made_and_nothing_else(workspace):
    demo, before = DemoFolder.of(workspace), _changed_at(workspace)
    lost = demo.caches / "pictures" / "red_heart_0064x0064_hv.safetensors"
    content = lost.read_bytes()
    lost.unlink()
    assert not DemoFolder.of(workspace).is_whole()
    make_demo(workspace, reporter=Reporter(None))
    assert DemoFolder.of(workspace).is_whole()
    assert lost.read_bytes() == content
    after = _changed_at(workspace)
    assert {path for path in after if after[path] != before[path]} == {lost, demo.mark_file}


def test_a_damaged_model_is_made_anew_and_so_are_the_caches(workspace):
    demo, before = DemoFolder.of(workspace), _changed_at(workspace)
    contents = {path: path.read_bytes() for path in demo.caches.rglob("*.safetensors")}
    demo.vae.write_bytes(demo.vae.read_bytes()[:-1000])
    assert not DemoFolder.of(workspace).is_whole()
    make_demo(workspace, reporter=Reporter(None))
    after = _changed_at(workspace)
    changed = {path for path in after if after[path] != before[path]}
    assert changed == {demo.vae, demo.mark_file, *contents}
    assert {path: path.read_bytes() for path in contents} == contents


def test_a_users_caption_and_dataset_file_stay_and_a_caption_is_cached_again(workspace):
    demo = DemoFolder.of(workspace)
    caption = demo.pictures / "red_heart.txt"
    dataset_text, caption_text = demo.dataset_file.read_text(), caption.read_text()
    demo.dataset_file.write_text(dataset_text + "\n# a user's note\n")
    caption.write_text("my own words for a heart")
    assert demo.is_whole()
    assert make_plan(_configuration(workspace)).dataset.missing == 1
    (demo.caches / "pictures" / "red_heart_hv_te.safetensors").unlink()
    caches = {path: path.stat().st_mtime_ns for path in demo.caches.rglob("*_hv.safetensors")}
    make_demo(workspace, reporter=Reporter(None))
    assert caption.read_text() == "my own words for a heart"
    assert demo.dataset_file.read_text().endswith("# a user's note\n")
    assert {path: path.stat().st_mtime_ns for path in caches} == caches
    plan = make_plan(_configuration(workspace))
    assert (plan.problems, plan.dataset.missing) == ((), 0)
    demo.dataset_file.write_text(dataset_text)
    caption.write_text(caption_text)
    (demo.caches / "pictures" / "red_heart_hv_te.safetensors").unlink()
    make_demo(workspace, reporter=Reporter(None))


def test_a_workspace_that_was_moved_gets_its_demo_anew(workspace, tmp_path):
    shutil.copytree(workspace / "demo", tmp_path / "demo")
    assert not DemoFolder.of(tmp_path).is_whole()


def test_a_stop_request_ends_the_making(tmp_path, monkeypatch):
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    run.request("stop")
    monkeypatch.setenv(Reporter.FOLDER_VARIABLE, str(run.path))
    assert main(["demo", "--workspace", str(tmp_path)]) == 130
    assert run.status().outcome == "stopped"
    assert not DemoFolder.of(tmp_path).is_whole()


def test_an_unknown_option_is_refused(capsys):
    assert main(["demo", "--trian"]) == 2
    assert "--trian" in capsys.readouterr().err


def test_train_makes_a_lora_with_a_falling_loss_and_says_where_it_lies(trained, workspace):
    run, output = trained
    lora = run.checkpoints / "demo.safetensors"
    assert f"LoRA:  {lora}" in output
    assert f"logs:  {workspace / 'logs'}" in output
    tensors, metadata = load_lora(lora)
    assert len(tensors) == 3 * 28
    assert metadata["ss_network_dim"] == "16"
    losses = [json.loads(line)["loss"] for line in run.metrics_file.read_text().splitlines()]
    assert len(losses) == 200
    assert sum(losses[-30:]) < 0.8 * sum(losses[:30])


def _workspace(run: RunFolder) -> Path:
    return run.path.parents[1]


def _configuration(workspace: Path) -> Configuration:
    return Configuration.from_values(read_preset(find_preset("demo", workspace=workspace), workspace=workspace))


def _run_command(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """What the command prints in a process of its own, which must succeed."""
    done = forked.run("-m", "backend", "demo", *arguments, environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _changed_at(workspace: Path) -> dict[Path, int]:
    files = (path for path in (workspace / "demo").rglob("*") if path.is_file())
    return {path: path.stat().st_mtime_ns for path in files if path.suffix != ".lock"}
