"""The plan as HTML, the forecast and the plots in it, and the command lines beside it."""

import json
import re
import shlex
from dataclasses import replace
from html import unescape

import pytest

from backend.config.command_line import make_parser, read_arguments
from backend.config.configuration import Configuration
from backend.errors import Problem
from backend.plan.plan import make_plan
from backend.runs.experience import Experience, Measured
from gui.plan_view import Surroundings, format_plan
from gui.problem_notes import format_problems
from gui.shell_view import PROJECT, format_commands
from gui.texts import texts_of
from gui.units import format_bytes, format_duration, format_seconds
from tests.commands.tiny_project import TRANSFORMER, make_project

ENGLISH, JAPANESE = texts_of("en"), texts_of("ja")
NOTHING = Surroundings()


@pytest.fixture
def configuration(tmp_path):
    """A training of the golden transformer on four cached pictures."""
    project = make_project(tmp_path)
    values = {"dit": str(TRANSFORMER), "dataset_config": str(project.dataset_file), "mixed_precision": "no"}
    return Configuration.from_values({**values, "network_dim": 4, "max_train_steps": 10})


def shown(configuration, around=NOTHING, texts=ENGLISH) -> str:
    return format_plan(make_plan(configuration), configuration, around, texts)


def rows_of(html) -> dict[str, str]:
    """The plan's lines: what is counted, and how much of it, as text."""
    lines = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html)
    return {unescape(name): re.sub("<[^>]+>", "", value) for name, value in lines}


def plots(html) -> list[dict]:
    return [json.loads(unescape(data)) for data in re.findall(r"data-plot='([^']*)'", html)]


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1,023 B"), (1024, "1.0 KiB"), (471859200, "450.0 MiB"), (2**31, "2.0 GiB")]
)
def test_bytes_are_told_in_a_fitting_unit(count, text):
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "duration", "short"),
    [(9, "0:09", "9.00"), (1370, "22:50", "1370.0"), (7391, "2:03:11", "7391.0"), (273600, "3 d 04:00", "273600.0")],
)
def test_times_are_told_as_people_read_them(seconds, duration, short):
    assert (format_duration(seconds), format_seconds(seconds)) == (duration, short)


def test_problems_lead_to_their_field_errors_first():
    problems = [Problem("doubtful", option="dit", severity="warning"), Problem("wrong", hint="mend it", option="seed")]
    html = format_problems(problems, ENGLISH)
    assert html.index("Wrong.") < html.index("Doubtful.")
    assert "data-option='seed'" in html
    assert "Mend it." in html


def test_of_problems_that_differ_in_their_place_alone_the_first_is_shown_and_the_others_are_folded_away():
    alike = [Problem(f"photos/{name}.png: no caption", "write one", severity="warning") for name in "abc"]
    html = format_problems([*alike, Problem("photos/d.png: too small", severity="warning")], ENGLISH)
    assert html.count("loom-note") == 2
    assert "and 2 more like it</summary><ul><li>photos/b.png: no caption</li><li>photos/c.png" in html


def test_a_path_at_the_beginning_of_a_problem_stays_as_it_is():
    html = format_problems([Problem("my models/x.safetensors: there is no such file", option="dit")], ENGLISH)
    assert "my models/x.safetensors: there" in html


def test_what_a_user_typed_is_text_not_html():
    problem = Problem('exclude_patterns: "<img src=x onerror=alert(1)>" is wrong', option="a'b")
    html = format_problems([problem], ENGLISH)
    assert "<img" not in html
    assert "a'b" not in html


def test_the_plan_shows_the_numbers_that_the_command_line_gives():
    html = shown(Configuration.from_values({"network_dim": 32, "network_alpha": 16}))
    for text in ("240 of 320", "117,964,800", "0.5", "450.0 MiB", "The forecast needs a dataset"):
        assert text in html


def test_the_numbers_of_a_whole_training_are_those_of_its_plan(configuration, tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a cat\n", encoding="utf-8")
    sampled = dict.fromkeys(("vae", "text_encoder1", "text_encoder2"), "named.safetensors")
    configuration = configuration.changed(
        **sampled, sample_prompts=str(prompts), sample_every_n_steps=5, save_every_n_steps=4, save_state=True
    )
    plan, html = make_plan(configuration), shown(configuration, Surroundings(disk_free=2**31))
    assert plan.steps and plan.dataset and plan.saved
    assert rows_of(html) == {
        "Modules": f"{len(plan.trained)} of {len(plan.decisions)}",
        "Trainable parameters": f"{plan.trainable_parameters:,}",
        "LoRA file (fp32)": format_bytes(plan.file_bytes),
        "Scale (alpha / rank)": "0.25",
        "Dataset": f"{plan.dataset.images} pictures",
        "Items with repeats": str(plan.dataset.items_with_repeats),
        "Buckets": str(len(plan.dataset.buckets)),
        "Batches per epoch": str(plan.dataset.batches),
        "Batches per step": "1",
        "Steps per epoch": str(plan.steps.steps_per_epoch),
        "Steps": f"10 · {plan.steps.epochs} epochs",
        "Time": "known after a first run here",
        "LoRA files written": "3",
        "States written": f"{plan.saved.states} × {format_bytes(plan.state_bytes)}",
        "Samplings": "2",
        "Disk needed": f"{format_bytes(plan.disk_bytes)} of 2.0 GiB free",
    }
    assert html.count("<tr>") == 1 + len(plan.dataset.buckets)


def test_several_processes_share_the_batches_of_a_step(configuration):
    html = shown(configuration.changed(num_processes=2, gradient_accumulation_steps=2))
    assert "4 on 2 processes" in html


def test_earlier_runs_correct_the_forecast_and_give_the_time(configuration):
    plan = make_plan(configuration)
    total = plan.memory.total
    measured = Measured(total, total + 2**30, plan.operations, seconds_per_step=2.0)
    known = Experience(runs=3, device="GPU 7", total_bytes=24 * 2**30, measured=(measured,))
    html = shown(configuration, Surroundings(experience=known))
    assert f"{format_bytes(total + 2**30)} of 24.0 GiB" in html
    assert "Corrected by + 1.0 GiB: what 3 earlier runs on GPU 7 needed" in html
    assert "by earlier runs 1.0 GiB" in html
    assert "≈ 2.00 s" in html and "≈ 0:20" in html


def test_the_forecast_tells_what_it_assumes(configuration):
    html = shown(configuration.changed(optimizer_type="my.Own", gradient_checkpointing=True))
    assert "state of my.Own is not known" in html
    assert "one block at a time is computed again" in html
    assert "No earlier run on this machine" in html
    assert "keeps 16 bytes" in shown(configuration.changed(optimizer_type="prodigy"))


def test_what_keeps_the_forecast_from_being_made_is_told(configuration):
    assert "The forecast needs the problems above solved" in shown(configuration.changed(blocks_to_swap=99))


@pytest.mark.parametrize(
    ("texts", "cuda", "none"),
    [(ENGLISH, "CUDA itself", "No GPU was found here"), (JAPANESE, "CUDA本体", "GPUが見つからない")],
)
def test_cuda_is_counted_only_where_a_gpu_is_known(configuration, tmp_path, texts, cuda, none):
    def told(around):
        plan = make_plan(configuration, on_gpu=around.on_gpu)
        return format_plan(plan, configuration, around, texts)

    on_cpu = Experience(runs=1, device="CPU", total_bytes=2**33, on_gpu=False)
    for around in (NOTHING, Surroundings(experience=on_cpu)):
        assert none in told(around) and cuda not in told(around)
    on_gpu = replace(on_cpu, on_gpu=True)  # of a maker that has another driver
    for around in (Surroundings(gpu=("GPU 7", 2**34)), Surroundings(experience=on_gpu)):
        assert cuda in told(around) and none not in told(around)


def test_loraplus_draws_a_line_for_each_group(configuration):
    plus = configuration.changed(loraplus_lr_ratio=4, lr_scheduler="cosine")
    rate, noise = plots(shown(plus))
    assert [line["values"][0] for line in rate["lines"]] == [2e-4, pytest.approx(8e-4)]
    assert rate["steps"] == list(range(1, 11))
    assert sum(noise["shares"]) == pytest.approx(1)
    assert len(plots(shown(configuration))[0]["lines"]) == 1


def test_a_schedule_that_only_torch_knows_has_no_curve(configuration):
    (noise,) = plots(shown(configuration.changed(lr_scheduler_type="CosineAnnealingLR")))
    assert noise["kind"] == "noise"


def test_the_plan_speaks_japanese(configuration):
    html = shown(configuration, texts=JAPANESE)
    assert "学習パラメーター数" in html and "メモリの予測" in html
    assert "Trainable" not in html


def test_a_full_disk_and_a_small_gpu_are_seen_before_the_start(configuration, tmp_path, monkeypatch):
    from gui.tabs.train_plan import PlanHandlers

    plan = make_plan(configuration)
    around = Surroundings(disk_free=1, gpu=("GPU 7", plan.memory.total - 1), folder="/full")
    shortages = PlanHandlers(tmp_path, ENGLISH).shortages(plan, around)
    assert ["/full" in shortages[0].message, "GPU 7" in shortages[1].message] == [True, True]
    enough = replace(around, disk_free=2**40, gpu=("GPU 7", plan.memory.total))
    assert PlanHandlers(tmp_path, ENGLISH).shortages(plan, enough) == []


def test_the_command_by_hand_gives_the_same_configuration(tmp_path):
    configuration = Configuration.from_values(
        {
            "dit": "/models/my model é.safetensors",
            "network_args": ["loraplus_lr_ratio=4", r"exclude_patterns=[r'.*(?=\d)\.\"x', '.*$HOME `id`.*']"],
            "optimizer_args": ["betas=0.9,0.99"],
        }
    )
    text = format_commands(configuration, workspace=tmp_path / "my work", shell="bash", texts=ENGLISH)
    going, by_hand = text.splitlines()[1:3]
    assert shlex.split(going) == ["cd", str(PROJECT), "&&"]
    words = shlex.split(by_hand)
    assert words[1:6] == ["-m", "backend", "train", "--workspace", str(tmp_path / "my work")]
    parser = make_parser("train", description="", groups=())
    assert read_arguments(parser, words[6:])[0] == configuration


@pytest.mark.parametrize(("shell", "mark"), [("bash", "#"), ("powershell", "#"), ("cmd", "REM #")])
def test_the_command_that_start_runs_is_accelerate_launch(shell, mark, tmp_path):
    text = format_commands(Configuration(), workspace=tmp_path, shell=shell, texts=ENGLISH)
    assert f"{mark} what Start runs" in text
    assert "backend.commands.launch" in text.splitlines()[-1]
    assert "backend.commands.train" in text.splitlines()[-1]
