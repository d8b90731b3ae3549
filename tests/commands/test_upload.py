"""Saved files and states go to a hub, and come back to resume from; the hub is a small server on this machine."""

import pytest
import torch
from safetensors.torch import load, load_file

from backend.errors import UserError
from backend.runs.folder import RunState
from backend.training.upload import RemoteState
from tests.commands.tiny_project import make_project
from tests.training.hub_server import Hub

TRAINING = ("--learning_rate", "1e-2", "--network_alpha", "2", "--max_train_steps", "4", "--save_every_n_steps", "2")
UPLOAD = ("--huggingface_repo_id", "ada/loras", "--huggingface_path_in_repo", "new/ones", "--output_name", "u")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("upload"))


def train(project, hub, *arguments):
    return project.train(*arguments, HF_ENDPOINT=hub.address, HF_TOKEN="hf_secret", HF_HUB_DISABLE_TELEMETRY="1")


@pytest.mark.parametrize("background", [(), ("--async_upload",)])
def test_everything_saved_is_uploaded_as_it_is(project, background):
    with Hub() as hub:
        done = train(project, hub, *TRAINING, *UPLOAD, *background)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = project.newest_run().checkpoints
    assert hub.files == {f"new/ones/{path.name}": path.read_bytes() for path in folder.iterdir()}
    assert sorted(hub.files) == [
        "new/ones/u-step00000002.safetensors",
        "new/ones/u-step00000004.safetensors",
        "new/ones/u.safetensors",
    ]
    assert [made["visibility"] for made in hub.created] == ["private"]
    assert hub.tokens == {"Bearer hf_secret"}
    log = project.newest_run().log_file.read_text(encoding="utf-8")
    assert "uploaded u.safetensors to ada/loras/new/ones/u.safetensors" in log and "hf_secret" not in log


def test_a_state_comes_back_and_the_training_goes_on_as_if_nothing_had_been(project):
    with Hub() as hub:
        done = train(
            project,
            hub,
            *TRAINING,
            *UPLOAD,
            "--save_state",
            "--save_state_to_huggingface",
            "--huggingface_repo_visibility",
            "public",
        )
        assert done.returncode == 0, done.stdout + done.stderr
        whole = load_file(project.newest_run().checkpoints / "u.safetensors")
        assert hub.created[0]["visibility"] == "public"
        place = "ada/loras/new/ones/u-step00000002-state:main"
        resumed = train(project, hub, *TRAINING, "--output_name", "r", "--resume", place, "--resume_from_huggingface")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    found = load((project.newest_run().checkpoints / "r.safetensors").read_bytes())
    assert all(torch.equal(found[name], tensor) for name, tensor in whole.items())


def test_a_hub_that_fails_ends_no_training(project):
    with Hub(broken=True) as hub:
        done = train(project, hub, *TRAINING, *UPLOAD)
    assert done.returncode == 0, done.stdout + done.stderr
    run = project.newest_run()
    assert run.state() is RunState.FINISHED and (run.checkpoints / "u.safetensors").is_file()
    assert "warning: u.safetensors was not uploaded to ada/loras" in run.log_file.read_text(encoding="utf-8")


def test_a_state_that_is_not_there_is_told(project):
    with Hub() as hub:
        done = train(
            project, hub, *TRAINING, "--output_name", "r", "--resume", "ada/loras/gone", "--resume_from_huggingface"
        )
    assert done.returncode != 0
    assert "error: " in done.stdout + done.stderr and "gone" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ada/loras/a", RemoteState("ada/loras", "a")),
        ("ada/loras/a/b:v2", RemoteState("ada/loras", "a/b", "v2")),
        ("ada/loras/a::dataset", RemoteState("ada/loras", "a", None, "dataset")),
    ],
)
def test_the_name_of_a_state_has_four_parts(text, expected):
    assert RemoteState.parse(text) == expected


@pytest.mark.parametrize("text", ["", "ada", "ada/loras", "ada/loras/"])
def test_a_name_that_is_none_is_refused(text):
    with pytest.raises(UserError, match="wanted OWNER/NAME/FOLDER"):
        RemoteState.parse(text)
