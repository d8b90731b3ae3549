"""TensorBoard and wandb, with the real packages."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb.proto import wandb_internal_pb2

from backend.errors import OptionError
from backend.training.trackers import check_wandb_login, new_log_folder, tracker_kinds, tracker_settings

PROJECT = Path(__file__).parents[2]

LOGS_TWO_EPOCHS = """
import sys
from collections.abc import Iterator
from pathlib import Path
from accelerate import Accelerator
from backend.training.trackers import Trackers, tracker_kinds
kinds, folder, name = tracker_kinds(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] or None
trackers = Trackers(Accelerator(cpu=True, log_with=kinds, project_dir=str(folder)), log_folder=folder, name=name)
for step in range(1, 7):
    trackers.log_step({"loss/current": 1 / step, "lr/unet": 1e-3, "lr/unet plus": 4e-3}, step=step)
    if step % 3 == 0:
        trackers.log_epoch(10.0 * step, epoch=step // 3)
trackers.close()
"""


def log_two_epochs(kind, folder, *, name="", **environment):
    """In a process of its own, as a training does: trackers are global."""
    ended = subprocess.run(
        [sys.executable, "-c", LOGS_TWO_EPOCHS, kind, str(folder), name],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr


def scalars(folder):
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }


def test_tensorboard_holds_a_point_for_each_step_and_each_epoch(tmp_path):
    log_two_epochs("tensorboard", tmp_path)
    found = scalars(tmp_path / "network_train")
    assert set(found) == {"loss/current", "lr/unet", "lr/unet plus", "loss/epoch"}
    assert found["loss/current"] == [(step, pytest.approx(1 / step)) for step in range(1, 7)]
    assert found["lr/unet plus"] == [(step, pytest.approx(4e-3)) for step in range(1, 7)]
    assert found["loss/epoch"] == [(1, 30.0), (2, 60.0)]


def test_the_tracker_name_names_the_folder(tmp_path):
    log_two_epochs("tensorboard", tmp_path, name="my project")
    assert "loss/current" in scalars(tmp_path / "my project")


def wandb_rows(file: Path) -> list[dict]:
    """The logged rows of a run that wandb kept offline."""
    rows = []
    for content in _log_records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        if record.WhichOneof("record_type") == "history":
            rows.append({item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item})
    return rows


def _log_records(data: bytes, *, block: int = 32768, header: int = 7) -> Iterator[bytes]:
    """The records of a LevelDB log, which wandb writes after a header of 7 bytes."""
    assert data.startswith(b":W&B")
    position, parts = header, b""
    while position + header <= len(data):
        if block - position % block < header:  # too short a rest of a block is padding
            position += block - position % block
            continue
        length, kind = int.from_bytes(data[position + 4 : position + 6], "little"), data[position + 6]
        parts += data[position + header : position + header + length]
        position += header + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def test_wandb_keeps_steps_and_epochs_apart(tmp_path):
    log_two_epochs("all", tmp_path, name="my-project", WANDB_MODE="offline", HOME=str(tmp_path / "home"))
    assert "loss/current" in scalars(tmp_path / "my-project")
    (file,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    rows = wandb_rows(file)
    steps = [(row["_step"], row["loss/current"]) for row in rows if "loss/current" in row]
    assert steps == [(step, pytest.approx(1 / step)) for step in range(1, 7)]
    assert [(row["epoch"], row["loss/epoch"]) for row in rows if "loss/epoch" in row] == [(1, 30.0), (2, 60.0)]


def test_log_folders_are_named_by_prefix_and_time_and_never_shared(tmp_path):
    folders = [new_log_folder(tmp_path / "logs", "test_") for _ in range(3)]
    assert len(set(folders)) == 3 and all(folder.is_dir() for folder in folders)
    assert all(re.fullmatch(r"test_\d{14}(_\d)?", folder.name) for folder in folders)
    assert re.fullmatch(r"\d{14}", new_log_folder(tmp_path, None).name)


def test_all_means_tensorboard_and_wandb():
    assert tracker_kinds("all") == ["tensorboard", "wandb"]
    assert tracker_kinds("wandb") == ["wandb"]


@pytest.fixture
def without_wandb(tmp_path, monkeypatch):
    """A home folder without a login."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def test_wandb_without_a_login_is_refused_before_it_can_ask_for_one(without_wandb):
    with pytest.raises(OptionError, match="wandb is not logged in"):
        check_wandb_login()


@pytest.mark.parametrize("name", [".netrc", "_netrc"])
def test_a_login_in_the_home_folder_is_found(without_wandb, name):
    (without_wandb / name).write_text("machine api.wandb.ai\n  login user\n  password " + "0" * 40 + "\n")
    (without_wandb / name).chmod(0o600)
    check_wandb_login()


@pytest.mark.parametrize(("name", "value"), [("WANDB_API_KEY", "0" * 40), ("WANDB_MODE", "offline")])
def test_a_key_or_the_offline_mode_needs_no_login(without_wandb, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    check_wandb_login()


def test_settings_of_trackers_come_from_a_file_and_the_run_name_is_kept(tmp_path):
    path = tmp_path / "trackers.toml"
    path.write_text('[wandb]\nentity = "me"\ntags = ["a"]\n', encoding="utf-8")
    assert tracker_settings(path, wandb_run_name="first") == {"wandb": {"name": "first", "entity": "me", "tags": ["a"]}}
    assert tracker_settings(None, wandb_run_name=None) == {}
    offline = tracker_settings(None, wandb_run_name="first", wandb_tags=["a", "b"], wandb_offline=True)
    assert offline == {"wandb": {"name": "first", "tags": ["a", "b"], "mode": "offline"}}
    path.write_text('[wandb]\nname = "of the file"\n[tensorboard]\nmax_queue = 2\n', encoding="utf-8")
    assert tracker_settings(path, wandb_run_name="first") == {
        "wandb": {"name": "of the file"},
        "tensorboard": {"max_queue": 2},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[comet]\na = 1", r"\[comet\] is not the table of a tracker"),
        ("wandb = 1", "not the table"),
        ("a", "trackers.toml"),
    ],
)
def test_settings_for_no_tracker_are_refused(tmp_path, text, message):
    path = tmp_path / "trackers.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(OptionError, match=message):
        tracker_settings(path, wandb_run_name=None)
    with pytest.raises(OptionError, match="there is no such file"):
        tracker_settings(tmp_path / "none.toml", wandb_run_name=None)
