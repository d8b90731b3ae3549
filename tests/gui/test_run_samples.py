import os
import time
from pathlib import Path

import numpy as np
import pytest

from backend.config.configuration import Configuration
from backend.config.toml_file import write_configuration
from backend.runs.folder import Job, RunFolder, submit
from backend.runs.status import Reporter, write_json
from backend.visual_files import write_frames
from gui.run_samples import list_samples


def make_run(workspace: Path, *, name: str = "20261122-114009_fox", output_dir: Path | None = None) -> RunFolder:
    run = RunFolder(workspace / "runs" / name)
    run.path.mkdir(parents=True)
    options = {"output_name": "fox", "output_dir": str(output_dir or run.checkpoints)}
    write_configuration(run.config_file, Configuration.from_values(options), title="a run")
    submit(run, Job(kind="train", name="fox", arguments=()))
    return run


def write_sample(folder: Path, label: str, *, index: int = 0, frames: int = 1, name: str = "fox") -> Path:
    stem = folder / f"{name}_{label}_{index:02d}_20261122114009_{42 + index}"
    return write_frames(stem, np.zeros((frames, 16, 16, 3), np.uint8), description={"prompt": f"a fox {index}"})


def test_samples_are_told_with_step_epoch_prompt_and_seed(tmp_path, serve_page):
    run = make_run(tmp_path)
    for label, index, frames in (("e000004", 0, 1), ("000200", 0, 5), ("000200", 1, 1)):
        os.utime(write_sample(run.samples, label, index=index, frames=frames), (index + frames, index + frames))
    (run.samples / "notes.png").write_bytes(b"not a sample")
    told = serve_page().client.get(f"/runs/{run.name}/samples").json()["samples"]
    assert [(one["step"], one["epoch"], one["index"], one["type"]) for one in told] == [
        (None, 4, 0, "image"),
        (200, None, 1, "image"),
        (200, None, 0, "video"),
    ]
    assert (told[1]["prompt"], told[1]["seed"]) == ("a fox 1", "43")


def test_a_sample_is_served_by_run_and_name_and_in_parts(tmp_path, serve_page):
    run = make_run(tmp_path)
    clip = write_sample(run.samples, "000200", frames=5)
    client = serve_page().client
    whole = client.get(f"/runs/{run.name}/samples/{clip.name}")
    assert (whole.content, whole.headers["content-type"]) == (clip.read_bytes(), "video/mp4")
    part = client.get(f"/runs/{run.name}/samples/{clip.name}", headers={"range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")


def test_nothing_but_samples_of_that_run_is_served(tmp_path, serve_page):
    run = make_run(tmp_path)
    (tmp_path / "secret.png").write_bytes(b"private")
    sample = write_sample(run.samples, "000200")
    link = run.samples / "fox_000300_00_20261122114009_42.png"
    link.symlink_to(tmp_path / "secret.png")
    (run.samples / "fox_000400_00_20261122114009_42.html").write_text("<script>")
    client = serve_page().client
    for name in ("..%2f..%2f..%2fsecret.png", "%2e%2e", link.name, "fox_000400_00_20261122114009_42.html", "x.png"):
        assert client.get(f"/runs/{run.name}/samples/{name}").status_code == 404
    assert client.get(f"/runs/no_such_run/samples/{sample.name}").status_code == 404
    assert client.get("/runs/no_such_run/samples").json() == {"samples": []}


def test_in_a_folder_of_the_users_own_only_samples_of_the_runs_name_and_time_are_its(tmp_path):
    folder = tmp_path / "output"
    write_sample(folder / "sample", "000100", name="cat")
    old = write_sample(folder / "sample", "000200")
    os.utime(old, (time.time() - 3600, time.time() - 3600))
    run = make_run(tmp_path / "workspace", output_dir=folder)
    assert list_samples(run) == []  # it has not begun
    Reporter(run.path).update(outcome="finished")
    own = write_sample(folder / "sample", "000300")
    write_json(run.exit_file, {"code": 0, "how": "", "at": time.time()})
    later = write_sample(folder / "sample", "000400")
    os.utime(later, (time.time() + 3600, time.time() + 3600))
    assert [sample.file for sample in list_samples(run)] == [own.name]


@pytest.mark.parametrize("ending", [".png", ".mp4"])
def test_a_damaged_sample_is_told_without_its_prompt(tmp_path, ending):
    run = make_run(tmp_path)
    run.samples.mkdir()
    (run.samples / f"fox_000200_00_20261122114009_42{ending}").write_bytes(b"half a file")
    assert [(sample.step, sample.prompt) for sample in list_samples(run)] == [(200, "")]
