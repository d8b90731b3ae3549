"""The plan as HTML, and the command lines beside it."""

import shlex
import sys

import pytest

from backend.config.command_line import make_parser, read_arguments
from backend.config.configuration import Configuration
from backend.errors import Problem
from backend.plan.plan import make_plan
from gui.plan_view import format_bytes, format_commands, format_plan, format_problems


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1,023 B"), (1024, "1.0 KiB"), (471859200, "450.0 MiB"), (2**31, "2.0 GiB")]
)
def test_bytes_are_told_in_a_fitting_unit(count, text):
    assert format_bytes(count) == text


def test_problems_lead_to_their_field_errors_first():
    html = format_problems(
        [Problem("doubtful", option="dit", severity="warning"), Problem("wrong", hint="mend it", option="network_dim")]
    )
    assert html.index("Wrong.") < html.index("Doubtful.")
    assert "data-option='network_dim'" in html
    assert "Mend it." in html


def test_what_a_user_typed_is_text_not_html():
    html = format_problems([Problem('exclude_patterns: "<img src=x onerror=alert(1)>" is wrong', option="a'b")])
    assert "<img" not in html
    assert "a'b" not in html


def test_the_plan_shows_the_numbers_that_the_command_line_gives():
    plan = make_plan(Configuration.from_values({"network_dim": 32, "network_alpha": 16}))
    html = format_plan(plan)
    for text in ("240 of 320", "117,964,800", "0.5", "450.0 MiB"):
        assert text in html


@pytest.mark.skipif(sys.platform == "win32", reason="quoted for bash")
def test_the_command_by_hand_gives_the_same_configuration(tmp_path):
    configuration = Configuration.from_values(
        {
            "dit": "/models/my model é.safetensors",
            "network_args": ["loraplus_lr_ratio=4", r"exclude_patterns=[r'.*(?=\d)\.\"x', '.*$HOME `id`.*']"],
            "optimizer_args": ["betas=0.9,0.99"],
        }
    )
    by_hand = format_commands(configuration, workspace=tmp_path / "my work").split("# the same by hand\n")[1]
    words = shlex.split(by_hand)
    assert words[:6] == ["python", "-m", "backend", "train", "--workspace", str(tmp_path / "my work")]
    parser = make_parser("train", description="", groups=())
    assert read_arguments(parser, words[6:])[0] == configuration


def test_the_command_that_start_runs_is_accelerate_launch(tmp_path):
    started = format_commands(Configuration(), workspace=tmp_path).splitlines()[1]
    assert "backend.commands.launch" in started
    assert "-m backend.commands.train --config_file" in started
