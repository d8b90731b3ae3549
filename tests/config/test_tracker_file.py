"""The settings of trackers in a file."""

import pytest

from backend.config.tracker_file import tracker_settings
from backend.errors import OptionError


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
