"""Options without effect are named, and only those."""

import pytest

from backend.config.configuration import Configuration
from backend.config.doubts import find_doubts


def doubts_of(**values):
    return [(problem.option, str(problem)) for problem in find_doubts(Configuration.from_values(values))]


def test_the_defaults_leave_no_doubts():
    assert doubts_of() == []


@pytest.mark.parametrize(
    ("values", "option", "text"),
    [
        ({"factor": 8}, "factor", "network_module is networks.lora (choose networks.lokr to use it)"),
        ({"conv_dim": 4}, "conv_dim", "HunyuanVideo has no convolutions where networks are trained"),
        ({"conv_alpha": 0}, "conv_alpha", "HunyuanVideo has no convolutions where networks are trained"),
        (
            {"dim_from_weights": True, "network_weights": "a.safetensors", "include_patterns": [".*"]},
            "include_patterns",
            "include_patterns has no effect: dim_from_weights is on",
        ),
        ({"save_last_n_steps": 30}, "save_last_n_steps", "save_every_n_steps is not given"),
        (
            {"save_last_n_epochs_state": 2, "save_every_n_epochs": 1},
            "save_last_n_epochs_state",
            "save_last_n_epochs_state has no effect: save_state is off",
        ),
        (
            {"discrete_flow_shift": 7},
            "discrete_flow_shift",
            "discrete_flow_shift has no effect: timestep_sampling is sigma (choose shift to use it)",
        ),
        (
            {"weighting_scheme": "mode", "timestep_sampling": "uniform"},
            "weighting_scheme",
            "weighting_scheme has no effect: timestep_sampling is uniform (choose sigma to use it)",
        ),
        ({"num_timestep_buckets": 4}, "num_timestep_buckets", "timestep_sampling is sigma"),
        ({"max_timestep": 300}, "min_timestep", "musubi-tuner counts them from the noisy end"),
        ({"lr_decay_steps": 0.1, "lr_scheduler": "cosine"}, "lr_decay_steps", "lr_scheduler is cosine"),
        ({"lr_scheduler_min_lr_ratio": 0.1}, "lr_scheduler_min_lr_ratio", "lr_scheduler is constant"),
        ({"lr_scheduler_timescale": 10}, "lr_scheduler_timescale", "lr_scheduler is constant"),
        ({"lr_scheduler_power": 2}, "lr_scheduler_power", "lr_scheduler is constant"),
        (
            {"lr_scheduler": "polynomial", "lr_scheduler_type": "StepLR"},
            "lr_scheduler",
            "lr_scheduler_type is given",
        ),
        ({"max_train_steps": 9, "max_train_epochs": 2}, "max_train_steps", "max_train_epochs is given"),
        ({"sample_every_n_steps": 10}, "sample_every_n_steps", "sample_prompts is not given"),
        (
            {"sample_prompts": "p.txt", "vae": "v", "text_encoder1": "a", "text_encoder2": "b"},
            "sample_prompts",
            "nothing says when to sample",
        ),
        ({"async_upload": True}, "async_upload", "huggingface_repo_id is not given"),
    ],
)
def test_an_option_without_effect_is_named_with_the_reason(values, option, text):
    (doubt,) = doubts_of(**values)
    assert doubt[0] == option and text in doubt[1]


@pytest.mark.parametrize(
    "values",
    [
        {"factor": 8, "network_module": "networks.lokr"},
        {"dim_from_weights": True, "network_weights": "a.safetensors"},
        {"save_last_n_steps": 30, "save_every_n_steps": 10},
        {"discrete_flow_shift": 7, "timestep_sampling": "shift"},
        {"min_timestep": 0, "max_timestep": 1000},
        {"max_timestep": 300, "timestep_sampling": "uniform"},
        {"lr_scheduler_min_lr_ratio": 0.1, "lr_scheduler": "rex"},
        {"async_upload": True, "huggingface_repo_id": "ada/loras"},
    ],
)
def test_an_option_that_acts_leaves_no_doubt(values):
    assert doubts_of(**values) == []
