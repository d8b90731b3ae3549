"""TensorBoard and wandb, with the real packages."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb.proto import wandb_internal_pb2

from backend.errors import OptionError
from backend.training.trackers import check_wandb_login, new_log_folder, tracker_kinds
from tests import forked

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
    program = folder / "program.py"
    program.write_text(LOGS_TWO_EPOCHS, encoding="utf-8")
    ended = forked.run(program, kind, folder, name, environment=environment)
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


def test_a_log_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(OptionError, match=r"logs: no log folder can be made there: .* \(choose another logging_dir\)"):
        new_log_folder(tmp_path / "logs", None)
