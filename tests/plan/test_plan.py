"""What a training would do, as a value and as the command prints it."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from backend.commands.plan import format_plan
from backend.config.configuration import Configuration
from backend.config.dataset import read_dataset_file
from backend.dataset.expected import expected_items
from backend.plan.plan import make_plan
from backend.plan.weights_header import read_header
from tests.dataset.media import write_caches, write_clip, write_picture

PROJECT = Path(__file__).parents[2]
GOLDEN = PROJECT / "tests" / "golden"
SMALL_MODEL = str(GOLDEN / "dit_model.safetensors")


def plan_of(**values):
    return make_plan(Configuration.from_values(values))


def messages_for(plan, option):
    return [problem.message for problem in plan.problems if problem.option == option]


def run_plan(*arguments):
    command = [sys.executable, "-m", "backend", "plan", *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, encoding="utf-8")


@pytest.fixture
def dataset_file(tmp_path):
    for number in range(3):
        write_picture(tmp_path / "photos" / f"{number}.png", (64, 64))
    write_clip(tmp_path / "clips" / "clip.mp4", (64, 64), frames=12)
    path = tmp_path / "dataset.toml"
    path.write_text(
        "[general]\nresolution = [64, 64]\n"
        f"[[datasets]]\nimage_directory = '{tmp_path / 'photos'}'\nbatch_size = 2\nnum_repeats = 3\n"
        f"[[datasets]]\nvideo_directory = '{tmp_path / 'clips'}'\ntarget_frames = [5]\nframe_extraction = 'chunk'\n"
    )
    return path


def test_without_a_transformer_the_full_size_model_is_assumed():
    plan = plan_of(network_dim=32, network_alpha=1)
    assert len(plan.decisions) == 320 and len(plan.trained) == 240
    assert plan.trainable_parameters == 117_964_800
    assert plan.scale == 1 / 32
    assert messages_for(plan, "dit") == ["no transformer is chosen"]


def test_the_modules_and_parameters_are_those_of_the_file_that_the_reference_saved():
    tensors, metadata = read_header(GOLDEN / "lora_default.safetensors")
    included = [r".*_blocks\.0\.(img_mod|modulation)\.linear"]
    plan = plan_of(dit=SMALL_MODEL, network_dim=int(metadata["ss_network_dim"]), include_patterns=included)
    assert messages_for(plan, "dit") == []
    assert set(plan.record()["modules"]) == {name.split(".")[0] for name in tensors}
    assert plan.trainable_parameters == sum(
        math.prod(tensor.shape) for name, tensor in tensors.items() if name.endswith(".weight")
    )


@pytest.mark.parametrize("name", ["absent.safetensors", "absent.pt", "damaged.safetensors", "vae_model.safetensors"])
def test_a_transformer_that_cannot_be_read_is_a_problem_and_the_full_size_is_assumed(tmp_path, name):
    (tmp_path / "damaged.safetensors").write_bytes(b"no tensors in here")
    folder = GOLDEN if name.startswith("vae") else tmp_path
    plan = plan_of(dit=str(folder / name))
    assert len(messages_for(plan, "dit")) == 1 and len(plan.trained) == 240
    assert any(problem.option == "dit" for problem in plan.errors)


def test_patterns_choose_the_modules():
    plan = plan_of(network_dim=6, exclude_patterns=[".*single_blocks.*"])
    assert len(plan.trained) == 160
    assert all(module.name.startswith("double_blocks.") for module in plan.trained)


def test_an_alpha_of_0_means_a_scale_of_1():
    assert plan_of(network_dim=16, network_alpha=0).scale == 1


@pytest.mark.parametrize(("kind", "count"), [("networks.loha", 235_929_600), ("networks.lokr", 2_524_160)])
def test_the_kind_of_network_decides_how_much_is_trained(kind, count):
    plan = plan_of(network_module=kind, network_dim=32)
    assert plan.trainable_parameters == count
    assert plan.file_bytes == 4 * (count + 240)  # an alpha for each module


def test_ranks_and_scales_that_differ_are_told_as_such():
    plan = plan_of(dit=SMALL_MODEL, network_module="networks.lokr", network_dim=5)
    assert plan.scale is None and plan.record()["scale"] is None
    assert "rank, scale           5, of each module" in format_plan(plan)


def test_the_size_of_the_file_follows_from_the_precision():
    assert plan_of(save_precision="fp32").file_bytes == 2 * plan_of(save_precision="bf16").file_bytes


def test_an_invalid_pattern_is_a_problem_that_names_it():
    plan = plan_of(exclude_patterns=["*single*"], include_patterns=["("])
    (exclude,) = messages_for(plan, "exclude_patterns")
    (include,) = messages_for(plan, "include_patterns")
    assert '"*single*" is not a regular expression' in exclude and '"("' in include
    assert plan.decisions == () and plan.trainable_parameters == 0


def test_batches_and_steps_are_counted(dataset_file):
    plan = plan_of(dit=SMALL_MODEL, dataset_config=str(dataset_file), max_train_epochs=2, gradient_accumulation_steps=2)
    assert (plan.dataset.images, plan.dataset.windows, plan.dataset.items_with_repeats) == (3, 2, 11)
    assert plan.dataset.batches == 7  # 9 photos in batches of 2, 2 windows of 5 frames
    assert (plan.steps.steps_per_epoch, plan.steps.total_steps) == (4, 8)


def test_the_learning_rates_of_a_plan_are_listed_without_training(dataset_file):
    options = {"dataset_config": str(dataset_file), "max_train_steps": 1000, "learning_rate": 1e-3}
    plan = plan_of(**options, lr_scheduler="linear", lr_warmup_steps=0.1)
    assert len(plan.learning_rates) == 200
    assert plan.learning_rates[0] == (1, 0.0) and plan.learning_rates[-1] == (1000, pytest.approx(1e-3 / 900))
    assert plan_of(**options, lr_scheduler_type="StepLR").learning_rates == ()
    wrong = plan_of(**options, lr_warmup_steps=5)
    assert wrong.learning_rates == () and len(messages_for(wrong, "lr_warmup_steps")) == 1


def test_a_warm_up_longer_than_the_training_is_a_problem(dataset_file):
    plan = plan_of(dataset_config=str(dataset_file), max_train_steps=10, lr_scheduler="linear", lr_warmup_steps=11)
    (message,) = messages_for(plan, "lr_warmup_steps")
    assert "11 steps of warm-up, but the training has only 10 steps" in message


@pytest.mark.parametrize("option", ["network_weights", "base_weights"])
def test_lora_files_to_start_from_are_looked_at_before_the_start(tmp_path, option):
    def problems(path, **values):
        named = {option: str(path) if option == "network_weights" else [str(path)]}
        return messages_for(plan_of(**named, **values), option)

    lora = GOLDEN / "lora_default.safetensors"
    pattern = r".*_blocks\.0\.(img_mod|modulation)\.linear"
    assert problems(lora, dit=SMALL_MODEL, network_dim=4, include_patterns=[pattern]) == []
    assert problems(lora) == []  # without a transformer there is nothing it could not fit
    (tmp_path / "full.pt").write_bytes(b"some bytes")
    doubts = plan_of(dit=str(tmp_path / "full.pt"), base_weights=[str(lora)]).problems
    assert any("is wanted" in doubt.message and doubt.severity == "warning" for doubt in doubts)
    (message,) = problems(SMALL_MODEL)
    assert "a LoRA file is wanted, but this file seems to be: HunyuanVideo transformer" in message
    (message,) = problems(tmp_path / "none.safetensors")
    assert "there is no such file" in message


def test_the_count_is_the_same_once_everything_is_cached(dataset_file):
    before = plan_of(dataset_config=str(dataset_file)).dataset
    for dataset in read_dataset_file(dataset_file).datasets:
        for item in expected_items(dataset)[0]:
            write_caches(item)
    after = plan_of(dataset_config=str(dataset_file)).dataset
    assert before.missing == 5 and after.missing == 0
    assert (before.images, before.windows, before.batches) == (after.images, after.windows, after.batches)


def test_mistakes_in_the_dataset_file_are_problems(tmp_path):
    (tmp_path / "dataset.toml").write_text("[[datasets]]\nimage_directry = 'photos'\n")
    plan = plan_of(dataset_config=str(tmp_path / "dataset.toml"))
    assert plan.dataset is None and plan.steps is None
    assert any("image_directory" in problem.hint for problem in plan.errors)


def test_a_dataset_of_nothing_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "dataset.toml").write_text(f"[[datasets]]\nimage_directory = '{tmp_path / 'empty'}'\n")
    plan = plan_of(dataset_config=str(tmp_path / "dataset.toml"))
    (error,) = [problem for problem in plan.errors if problem.option == "dataset_config"]
    assert str(error) == f"{tmp_path / 'dataset.toml'}: nothing to train on (check its folders)"


def test_the_command_prints_the_plan_as_json(tmp_path, dataset_file):
    (tmp_path / "run.toml").write_text(
        f"dit = '{SMALL_MODEL}'\ndataset_config = '{dataset_file}'\nnetwork_dim = 6\nnetwork_alpha = 3\n"
        "network_args = [\"exclude_patterns=[r'.*single_blocks.*']\", 'loraplus_lr_ratio=4']\n"
    )
    ended = run_plan("--config_file", str(tmp_path / "run.toml"), "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    record = json.loads(ended.stdout)
    assert record["modules"] and all(name.startswith("lora_unet_double_blocks_") for name in record["modules"])
    assert (record["rank"], record["scale"]) == (6, 0.5)
    assert record["trainable_parameters"] > 0 and record["problems"] == []
    assert record["dataset"]["batches"] == 7 and record["steps"]["total_steps"] == 1600
    assert record["learning_rates"][-1] == [1600, 2e-4]


def test_an_invalid_pattern_is_named_by_the_command(tmp_path):
    (tmp_path / "run.toml").write_text("network_args = [\"exclude_patterns=['*single*']\"]\n")
    ended = run_plan("--config_file", str(tmp_path / "run.toml"), "--json")
    problems = json.loads(ended.stdout)["problems"]
    assert any('"*single*"' in problem["message"] and problem["severity"] == "error" for problem in problems)


def test_options_that_cannot_be_read_are_json_too_and_exit_code_2(tmp_path):
    (tmp_path / "run.toml").write_text("network_args = ['exclude_patterns=oops']\n")
    ended = run_plan("--config_file", str(tmp_path / "run.toml"), "--json", "--network_dim", "0")
    assert ended.returncode == 2
    assert len(json.loads(ended.stdout)["problems"]) == len(ended.stderr.splitlines()) == 2


def test_the_command_prints_lines_for_people():
    ended = run_plan("--network_dim", "32")
    assert ended.returncode == 0
    assert "modules               240 of 320" in ended.stdout
    assert "trainable parameters  117,964,800" in ended.stdout
    assert "error: no transformer is chosen (name its weights file)" in ended.stdout


def test_a_plan_needs_neither_torch_nor_gradio(dataset_file):
    program = (
        "import sys; from backend.__main__ import main; "
        f"main(['plan', '--dit', {SMALL_MODEL!r}, '--dataset_config', {str(dataset_file)!r}]); "
        "print({'torch', 'gradio', 'transformers', 'diffusers', 'accelerate'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1] == "set()"


def test_more_blocks_to_swap_than_the_transformer_has_are_a_problem_before_the_start():
    assert messages_for(plan_of(blocks_to_swap=38), "blocks_to_swap") == []
    for dit, count in ((None, "20 and 40"), (SMALL_MODEL, "2 and 2")):
        (message,) = messages_for(plan_of(dit=dit, blocks_to_swap=39), "blocks_to_swap")
        assert message.endswith(f"but the transformer has {count}")


def test_a_lora_that_would_be_overwritten_is_a_problem_before_the_start(tmp_path):
    (tmp_path / "mine.safetensors").touch()
    plan = make_plan(Configuration.from_values({"output_dir": str(tmp_path), "output_name": "mine"}))
    assert any(problem.option == "output_name" and "exists already" in problem.message for problem in plan.errors)


def test_places_that_cannot_be_written_and_tracker_files_that_are_none_are_problems_before_the_start(tmp_path):
    (tmp_path / "file").touch()
    plan = plan_of(
        output_dir=str(tmp_path / "file"), logging_dir=str(tmp_path / "file"), log_tracker_config=str(tmp_path / "none")
    )
    for option, message in (
        ("output_dir", "is a file, and a folder is wanted"),
        ("logging_dir", "is a file, and a folder is wanted"),
        ("log_tracker_config", "there is no such file"),
    ):
        (found,) = [problem.message for problem in plan.errors if problem.option == option]
        assert message in found


@pytest.mark.parametrize("name", ["x" * 300 + ".safetensors", "x" * 300 + ".pt"])
def test_a_file_name_that_the_system_refuses_is_a_problem_not_a_crash(name):
    plan = make_plan(Configuration.from_values({"dit": f"/{name}", "vae": f"/{name}"}))
    assert {problem.option for problem in plan.problems if "cannot be read" in problem.message} == {"dit", "vae"}


def test_a_pytorch_file_is_planned_as_the_full_size_model_and_it_says_so(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"some bytes")
    plan = make_plan(Configuration.from_values({"dit": str(tmp_path / "model.pt")}))
    assert len(plan.decisions) == 320
    (problem,) = [problem for problem in plan.problems if problem.option == "dit"]
    assert problem.severity == "warning" and "full-size" in problem.hint


def test_encoders_of_another_kind_or_missing_are_named():
    golden = Path(__file__).parents[1] / "golden"
    values = {"vae": str(golden / "dit_model.safetensors"), "text_encoder1": "/nowhere/llama"}
    problems = {problem.option: problem for problem in make_plan(Configuration.from_values(values)).problems}
    assert "this seems to be: HunyuanVideo transformer" in problems["vae"].message
    assert "there is no such file or folder" in problems["text_encoder1"].message
