"""Combinations of options that musubi-tuner finds out too late, or never, are told before anything is loaded."""

import pytest

from backend.config.configuration import Configuration
from backend.errors import OptionError
from backend.plan.plan import make_plan
from tests.dataset.media import write_picture


@pytest.fixture
def files(tmp_path):
    (tmp_path / "odd.txt").write_text("a cat --w 100\n")
    return tmp_path


def problems_of(options):
    """Errors and warnings, as "option: severity: message (hint)"."""
    try:
        found = make_plan(Configuration.from_values(options)).problems
    except OptionError as error:
        found = error.problems
    return [f"{problem.option}: {problem.severity}: {problem}" for problem in found]


MODELS = {"vae": "v", "text_encoder1": "a", "text_encoder2": "b"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        # what cannot be done without; names, network and optimizer have defaults
        ({}, "dit: error: no transformer is chosen"),
        ({}, "dataset_config: error: no dataset is chosen"),
        # attention
        ({"sdpa": False}, "sdpa: error: no attention backend is chosen"),
        ({"sdpa": True, "xformers": True}, "sdpa: error: 2 attention backends are chosen"),
        ({"sage_attn": True}, "sage_attn: error: sage_attn cannot be used: SageAttention has no backward pass"),
        ({"flash3": True}, "flash3: error: flash3 cannot be used"),
        # precision
        ({"mixed_precision": "fp8"}, "mixed_precision: error: Mixed precision (mixed_precision) is 'fp8'"),
        # samples
        ({"sample_prompts": "p.txt"}, "vae: error: sample_prompts is given, but vae is not"),
        ({"sample_prompts": "p.txt"}, "text_encoder1: error: sample_prompts is given, but text_encoder1 is not"),
        ({"sample_prompts": "p.doc", **MODELS}, "sample_prompts: error: sample_prompts is p.doc (wanted a file ending"),
        ({"sample_prompts": "{folder}/odd.txt", **MODELS}, "odd.txt, line 1: width is '100'"),
        # swapped blocks; swapping needs no checkpointing here
        ({"blocks_to_swap": 39}, "blocks_to_swap: error: blocks_to_swap is 39, which takes 19 double and 41 single"),
        ({"gradient_checkpointing_cpu_offload": True}, "but gradient_checkpointing is not (switch"),
        # schedules
        ({"lr_warmup_steps": 5}, "lr_warmup_steps: error: the schedule constant has no warm-up"),
        (
            {"lr_scheduler": "cosine_with_min_lr"},
            "lr_scheduler_min_lr_ratio: error: the schedule cosine_with_min_lr needs",
        ),
        # lists of name=value, literals, patterns
        (
            {"optimizer_args": ["weight_decay"]},
            "optimizer_args: error: optimizer_args: 'weight_decay' has no name before",
        ),
        ({"lr_scheduler_args": ["rex_alpha=x"]}, "lr_scheduler_args: error: rex_alpha=x cannot be read"),
        (
            {"network_args": ["exclude_patterns=['(']"]},
            'exclude_patterns: error: exclude_patterns: "(" is not a regular',
        ),
        # the range of timesteps
        ({"min_timestep": 500, "max_timestep": 500}, "min_timestep: error: min_timestep is 500, but has to be below"),
        ({"max_timestep": 300}, "min_timestep: warning: min_timestep and max_timestep are real timesteps here"),
        (
            {"discrete_flow_shift": 7},
            "discrete_flow_shift: warning: discrete_flow_shift has no effect: timestep_sampling",
        ),
        # what has no effect by itself
        (
            {"save_last_n_steps": 3},
            "save_last_n_steps: warning: save_last_n_steps has no effect: save_every_n_steps is not",
        ),
        ({"save_last_n_epochs_state": 3}, "save_last_n_epochs_state: warning: save_last_n_epochs_state has no effect"),
        # logs have a folder of their own here, and uploads go to the top of the repository
        (
            {"huggingface_repo_id": "mine"},
            "huggingface_repo_id: error: huggingface_repo_id is 'mine' (wanted OWNER/NAME)",
        ),
        (
            {"huggingface_path_in_repo": "a"},
            "huggingface_path_in_repo: warning: huggingface_path_in_repo has no effect",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_combination_that_cannot_work_is_told(files, options, told):
    options = {
        name: value.replace("{folder}", str(files)) if isinstance(value, str) else value
        for name, value in options.items()
    }
    assert any(told in problem for problem in problems_of(options)), problems_of(options)


def test_parts_that_make_more_than_the_training_are_told_once_its_length_is_known(files):
    write_picture(files / "pictures" / "a.png", size=(64, 64))
    (files / "dataset.toml").write_text(f"[[datasets]]\nimage_directory = '{files / 'pictures'}'\nresolution = 64\n")
    parts = {"lr_scheduler": "warmup_stable_decay", "lr_warmup_steps": "60%", "lr_decay_steps": "50%"}
    told = problems_of({**parts, "dataset_config": str(files / "dataset.toml")})
    wanted = "lr_warmup_steps: error: 960 steps of warm-up and 800 of decay, but the training has only 1600 steps"
    assert any(wanted in problem for problem in told), told


@pytest.mark.parametrize(
    "options",
    [
        {"log_with": "all"},
        {"huggingface_repo_id": "ada/loras"},
        {"blocks_to_swap": 20, "block_swap_h2d_only": True},
        {"xformers": True},
        {"persistent_data_loader_workers": True, "max_data_loader_n_workers": 0},
    ],
)
def test_what_works_here_although_musubi_tuner_fails_on_it_is_no_problem(options):
    told = [problem for problem in problems_of(options) if not problem.startswith(("dit:", "dataset_config:"))]
    assert told == []
