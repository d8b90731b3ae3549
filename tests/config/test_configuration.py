"""A whole set of option values, and everything that can be wrong with it."""

import pytest
from accelerate.commands.config.config_utils import DYNAMO_BACKENDS
from accelerate.utils import DynamoBackend
from accelerate.utils.constants import TORCH_DYNAMO_MODES

from backend.config.configuration import Configuration, all_options, check_values, group_of_option
from backend.errors import OptionError


def problems_of(**values):
    with pytest.raises(OptionError) as raised:
        Configuration.from_values(values)
    return [str(problem) for problem in raised.value.problems]


def test_options_find_their_group_by_their_name():
    configuration = Configuration.from_values({"network_dim": 16, "seed": 0, "exclude_patterns": [".*"]})
    assert configuration.network.network_dim == 16
    assert configuration.schedule.seed == 0
    assert configuration.network.exclude_patterns == [".*"]
    assert configuration.optimizer == Configuration().optimizer


def test_values_hold_every_option_and_make_the_same_configuration_again():
    configuration = Configuration.from_values({"network_dim": 16, "verbose": True, "lr_scheduler": "cosine"})
    values = configuration.values()
    assert list(values) == list(all_options()) == list(group_of_option())
    assert Configuration.from_values(values) == configuration


def test_a_dropout_of_zero_goes_with_every_kind_of_network():
    assert (
        Configuration.from_values({"network_module": "networks.loha", "network_dropout": 0}).network.network_dropout
        == 0
    )


def test_zero_false_and_an_empty_list_are_kept():
    configuration = Configuration.from_values({"max_grad_norm": 0, "network_alpha": 0, "optimizer_args": []})
    assert configuration.optimizer.max_grad_norm == 0
    assert configuration.network.network_alpha == 0
    assert configuration.optimizer.optimizer_args == []


def test_texts_are_converted_where_that_is_unambiguous():
    configuration = Configuration.from_values({"learning_rate": "1e-4", "network_dim": "8", "verbose": "true"})
    assert configuration.optimizer.learning_rate == 1e-4
    assert configuration.network.network_dim == 8
    assert configuration.network.verbose is True


def test_an_empty_text_clears_an_option_that_need_not_be_given():
    assert Configuration.from_values({"max_train_epochs": "", "dit": " "}) == Configuration()


def test_an_empty_text_leaves_a_choice_at_its_default():
    """Programs that write out every option of musubi-tuner write "" for what nobody has chosen."""
    assert Configuration.from_values({"log_with": "", "text_encoder_dtype": " ", "dit_dtype": ""}) == Configuration()


def test_what_is_off_at_zero_in_musubi_tuner_is_off_here():
    off = Configuration.from_values({"scale_weight_norms": 0, "num_timestep_buckets": 1, "ddp_timeout": 0})
    assert (off.network.scale_weight_norms, off.timesteps.num_timestep_buckets, off.machines.ddp_timeout) == (0, 1, 0)


def test_a_ratio_of_all_steps_survives_a_change_of_something_else():
    configuration = Configuration.from_values({"lr_warmup_steps": "100%", "lr_scheduler": "linear"})
    changed = configuration.changed(seed=1)
    assert isinstance(changed.schedule.lr_warmup_steps, float) and changed.schedule.lr_warmup_steps == 1.0


def test_the_short_names_of_dtypes_are_taken_as_musubi_tuner_does():
    model = Configuration.from_values({"dit_dtype": "bf16", "vae_dtype": "float", "text_encoder_dtype": "fp16"}).model
    assert (model.dit_dtype, model.vae_dtype, model.text_encoder_dtype) == ("bfloat16", "float32", "float16")
    assert problems_of(dit_dtype="fp8") == [
        "Transformer dtype (dit_dtype) is 'fp8' (wanted one of float16, bfloat16, float32)"
    ]


def test_network_args_are_taken_apart():
    configuration = Configuration.from_values(
        {"network_args": ["loraplus_lr_ratio=4", "exclude_patterns=[r'.*=.*']", "verbose=True"]}
    )
    assert configuration.network.loraplus_lr_ratio == 4
    assert configuration.network.exclude_patterns == [".*=.*"]
    assert configuration.network.verbose is True


@pytest.mark.parametrize("kind", ["networks.lora", "networks.loha", "networks.lokr"])
def test_a_network_module_may_have_the_name_of_the_reference_before_it(kind):
    for written in (kind, f"musubi_tuner.{kind}"):
        assert Configuration.from_values({"network_module": written}).network.network_module == kind


def test_an_option_given_by_itself_wins_over_network_args():
    configuration = Configuration.from_values({"network_args": ["loraplus_lr_ratio=4"], "loraplus_lr_ratio": 8})
    assert configuration.network.loraplus_lr_ratio == 8


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"network_dmi": 4}, "there is no option network_dmi (did you mean network_dim?)"),
        ({"xyzzy": 4}, "there is no option xyzzy (docs/options.md lists all options)"),
        (
            {"console_num_images": 20},
            "console_num_images asks for something else than a run (give it to the command: python -m backend "
            "cache_latents --console_num_images)",
        ),
        ({"network_dim": 0}, "Rank (network_dim) is 0 (wanted a whole number, at least 1)"),
        ({"network_dim": 4.5}, "Rank (network_dim) is 4.5 (wanted a whole number, at least 1)"),
        ({"network_dim": True}, "Rank (network_dim) is True (wanted a whole number, at least 1)"),
        ({"network_dim": ""}, "Rank (network_dim) is empty (wanted a whole number, at least 1)"),
        ({"network_dim": None}, "Rank (network_dim) is empty (wanted a whole number, at least 1)"),
        (
            {"learning_rate": "fast"},
            "Learning rate (learning_rate) is 'fast' (wanted a number, more than 0)",
        ),
        (
            {"weighting_scheme": "bogus"},
            "Weighting (weighting_scheme) is 'bogus' (wanted one of none, logit_normal, mode, cosmap, sigma_sqrt)",
        ),
        ({"verbose": "maybe"}, "List modules in the log (verbose) is 'maybe' (wanted true or false)"),
        ({"exclude_patterns": ".*"}, "Exclude patterns (exclude_patterns) is '.*' (wanted a list of texts)"),
        ({"output_name": 2024}, "Output name (output_name) is 2024 (wanted a text)"),
        (
            {"lr_warmup_steps": 1.5, "lr_scheduler": "linear"},
            "Warm-up (lr_warmup_steps) is 1.5 (wanted a number of steps, a ratio below 1, or a percentage such as 10%, "
            "at least 0)",
        ),
        ({"sdpa": False}, "no attention backend is chosen (switch SDPA attention (sdpa) on)"),
        (
            {"sdpa": True, "flash_attn": True},
            "2 attention backends are chosen: sdpa, flash_attn (switch all but one off, such as sdpa)",
        ),
        (
            {"xformers": True, "flash_attn": True},
            "2 attention backends are chosen: flash_attn, xformers (switch all but one off, such as flash_attn)",
        ),
        (
            {"sage_attn": True},
            "sage_attn cannot be used: SageAttention has no backward pass (choose sdpa, flash_attn or xformers)",
        ),
        (
            {"flash3": True},
            "flash3 cannot be used: FlashAttention 3 does not run with HunyuanVideo, in musubi-tuner either (choose "
            "sdpa, flash_attn or xformers)",
        ),
        (
            {"flash_attn": True, "mixed_precision": "no"},
            "flash_attn computes in fp16 or bf16 only, but mixed_precision is no (set mixed_precision to bf16)",
        ),
        (
            {"gradient_checkpointing_cpu_offload": True},
            "gradient_checkpointing_cpu_offload is on, but gradient_checkpointing is not (switch "
            "gradient_checkpointing on)",
        ),
        (
            {"img_in_txt_in_offloading": True},
            "img_in_txt_in_offloading is on, but no blocks are swapped, whose places the embedders would use (set "
            "blocks_to_swap, or switch it off)",
        ),
        (
            {"block_swap_ring_size": 0},
            "Swapped blocks on the GPU (block_swap_ring_size) is 0 (wanted a whole number, at least 1)",
        ),
        (
            {"blocks_to_swap": 4, "compile": True, "compile_mode": "reduce-overhead"},
            "CUDA graphs need weights that stay where they are, but blocks_to_swap moves them (choose the compile_mode "
            "default or max-autotune-no-cudagraphs with the compile_backend inductor)",
        ),
        (
            {"blocks_to_swap": 4, "dynamo_backend": "EAGER"},
            "dynamo_backend compiles the whole transformer, but blocks_to_swap moves its weights meanwhile (use "
            "compile in its place)",
        ),
        (
            {"compile": True, "dynamo_backend": "INDUCTOR"},
            "both compile and dynamo_backend are given, which would compile twice (set dynamo_backend to NO)",
        ),
        (
            {"compile": True, "compile_backend": "eager", "compile_mode": "max-autotune"},
            "compile_mode is max-autotune, which only the compile_backend inductor knows (choose default)",
        ),
        (
            {"dynamo_backend": "eager", "dynamo_mode": "max-autotune"},
            "dynamo_mode is max-autotune, which only the dynamo_backend INDUCTOR knows (choose default)",
        ),
        (
            {"dynamo_backend": "EAGER", "dynamo_fullgraph": True},
            "dynamo_fullgraph cannot be used: captions are cut to their real length, which no single graph can do (use "
            "compile with compile_fullgraph, which compiles each block as a whole)",
        ),
        (
            {"output_name": "a/b"},
            "Output name (output_name) is 'a/b' (wanted a file name that every system takes, without folder and "
            "ending)",
        ),
        (
            {"fp8_base": True, "fp8_scaled": True},
            "both fp8_base and fp8_scaled are on (switch fp8_base off; fp8_scaled takes as much memory)",
        ),
        (
            {"wandb_api_key": "abc123"},
            "wandb_api_key is a secret, which has no place in files and commands (set the environment variable "
            "WANDB_API_KEY, or write it into secrets.toml in the workspace)",
        ),
        (
            {"accelerate_config_file": "a.yaml"},
            "accelerate_config_file splits weights, but num_processes is 1 (raise it)",
        ),
        (
            {"accelerate_config_file": "a.yaml", "num_processes": 2, "fp8_scaled": True},
            "fp8_scaled and accelerate_config_file do not go together (take fp8_scaled out)",
        ),
        (
            {"show_timesteps": "console"},
            "show_timesteps asks for something else than a run (give it to the command: python -m backend train "
            "--show_timesteps)",
        ),
        ({"dit_in_channels": 20}, "dit_in_channels is 20 (wanted 16, or 32 for models that continue a picture)"),
        (
            {"vae_spatial_tile_sample_min_size": 100},
            "vae_spatial_tile_sample_min_size is 100 (wanted a multiple of 8)",
        ),
        (
            {"sample_prompts": "prompts.csv", "vae": "v", "text_encoder1": "a", "text_encoder2": "b"},
            "sample_prompts is prompts.csv (wanted a file ending in .txt, .toml, .json)",
        ),
        (
            {"sample_prompts": "prompts.txt", "vae": "v", "text_encoder1": "a"},
            "sample_prompts is given, but text_encoder2 is not (samples need it)",
        ),
        ({"huggingface_repo_id": "loras"}, "huggingface_repo_id is 'loras' (wanted OWNER/NAME)"),
        (
            {"resume_from_huggingface": True},
            "resume_from_huggingface is on, but resume is not given (wanted OWNER/NAME/FOLDER in resume)",
        ),
        (
            {"min_timestep": 500, "max_timestep": 400},
            "min_timestep is 500, but has to be below max_timestep, which is 400 (lower the one or raise the other)",
        ),
        (
            {"dim_from_weights": True},
            "dim_from_weights is on, but there are no start weights (network_weights) (name a LoRA file, or switch it "
            "off)",
        ),
        (
            {"base_weights": ["a.safetensors"], "base_weights_multiplier": [1, 0.5]},
            "base_weights_multiplier has 2 numbers for 1 files of base_weights (take the others out)",
        ),
        (
            {"network_module": "networks.dora"},
            "Network module (network_module) is 'networks.dora' (wanted one of networks.lora, networks.loha, "
            "networks.lokr)",
        ),
        ({"factor": -2}, "LoKr factor (factor) is -2 (wanted a whole number, at least -1)"),
        (
            {"network_module": "networks.loha", "network_args": ["loraplus_lr_ratio=4"]},
            "loraplus_lr_ratio is 4, but networks.loha has no up matrices (leave it empty, or choose networks.lora)",
        ),
        (
            {"network_module": "networks.lokr", "network_dropout": 0.1},
            "network_dropout is 0.1, but networks.lokr has nothing between its matrices to drop (use rank_dropout or "
            "module_dropout in its place, or choose networks.lora)",
        ),
        (
            {"num_machines": 2, "num_processes": 2, "machine_rank": 2, "main_process_ip": "10.0.0.1", "seed": 1},
            "machine_rank is 2, but there are 2 machines (machines count from 0)",
        ),
        (
            {"num_machines": 2, "num_processes": 2, "seed": 1},
            "there are 2 machines, but main_process_ip is not given (name the address of machine 0)",
        ),
        (
            {"num_machines": 2, "num_processes": 2, "main_process_ip": "10.0.0.1"},
            "2 machines train together, but seed is not given (write the same number on every machine)",
        ),
        (
            {"lr_scheduler_args": ["step_rules"]},
            "lr_scheduler_args: 'step_rules' has no name before an = (wanted name=value)",
        ),
        (
            {"optimizer_args": ["weight_decay"]},
            "optimizer_args: 'weight_decay' has no name before an = (wanted name=value)",
        ),
        (
            {"network_args": ["exclude_patterns=oops"]},
            "exclude_patterns=oops cannot be read (texts need quotes, lists need [ ])",
        ),
    ],
)
def test_a_mistake_is_told_with_what_was_found_and_what_was_wanted(values, message):
    assert problems_of(**values) == [message]


def test_all_mistakes_are_told_at_once():
    found = problems_of(network_dmi=4, network_dim=0, learning_rate=-1, network_args=["b"], output_name="")
    assert len(found) == 5


def test_each_mistake_names_its_option_and_the_place_where_it_was_written():
    values = {"network_dim": 0, "nonsense": 1, "network_args": ["loraplus_lr_ratio=-1"]}
    with pytest.raises(OptionError) as raised:
        Configuration.from_values(values, places=dict.fromkeys(values, "run.toml"))
    problems = raised.value.problems
    assert [problem.option for problem in problems] == ["nonsense", "network_dim", "loraplus_lr_ratio"]
    assert all(problem.message.startswith("run.toml: ") for problem in problems)


def test_values_can_be_checked_by_themselves_without_making_sense_together():
    assert check_values({"lr_warmup_steps": "10%", "network_args": ["loraplus_lr_ratio=4"]}) == {
        "loraplus_lr_ratio": 4.0,
        "lr_warmup_steps": 0.1,
    }
    with pytest.raises(OptionError, match="Rank"):
        check_values({"network_dim": 0})


@pytest.mark.parametrize("name", ["a/b", "..", "NUL", "com1.x", "x.", "a\nb", ".hidden", "x" * 200])
@pytest.mark.parametrize("option", ["output_name", "log_prefix", "log_tracker_name"])
def test_names_that_some_system_does_not_take_are_refused(option, name):
    if option == "log_prefix" and name in ("NUL", "x."):
        return  # the time follows
    assert any(f"({option}) is" in problem for problem in problems_of(**{option: name}))


@pytest.mark.parametrize("quoted", ['"{}"', "'{}'", "  {} "])
def test_a_path_is_taken_as_it_was_meant(quoted):
    configuration = Configuration.from_values({"dit": quoted.format("C:\\models\\my dit.safetensors")})
    assert configuration.model.dit == "C:\\models\\my dit.safetensors"


def test_the_home_folder_is_written_out(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("USERPROFILE", "/home/ada")
    assert Configuration.from_values({"dit": "~/dit.safetensors"}).model.dit == "/home/ada/dit.safetensors"


def test_options_of_musubi_tuner_that_would_change_nothing_may_stand_in_a_file():
    values = {"sage_attn": False, "keep_cache": True, "persistent_data_loader_workers": True}
    values |= {"split_attn": True, "block_swap_h2d_only": True, "disable_numpy_memmap": True, "dynamo_dynamic": True}
    assert Configuration.from_values(values) == Configuration()


@pytest.mark.parametrize("other", ["flash_attn", "xformers"])
def test_sdpa_is_on_unless_another_attention_is_chosen(other):
    assert Configuration().memory.sdpa
    chosen = Configuration.from_values({other: True})
    assert getattr(chosen.memory, other) and not chosen.memory.sdpa
    assert chosen.changed(seed=1).memory.sdpa is False
    assert Configuration.from_values({other: False}).memory.sdpa


def test_flash_attention_takes_half_precision_weights_without_mixed_precision():
    values = {"flash_attn": True, "mixed_precision": "no", "dit_dtype": "bfloat16"}
    assert Configuration.from_values(values).memory.flash_attn


@pytest.mark.parametrize("given", [["x"], [float("nan")], [[1]]])
def test_a_list_of_numbers_is_asked_for_where_one_is_wanted(given):
    with pytest.raises(OptionError, match=r"base_weights_multiplier\) is .* \(wanted a list of numbers\)"):
        Configuration.from_values({"base_weights": ["a"], "base_weights_multiplier": given})


@pytest.mark.parametrize("given", ["1280x720", "1,2,3", "a", "-1", "1.5,2"])
def test_a_resolution_that_no_file_can_tell_is_refused_before_the_training(given):
    with pytest.raises(OptionError, match=r"metadata_reso is .* but has to be a width and a height, or one number"):
        Configuration.from_values({"metadata_reso": given})


def test_dynamo_backends_are_those_of_accelerates_launcher():
    """But for HPU_BACKEND and NEURON, which it does not take, and one that it misspells."""
    known = {backend.value for backend in DynamoBackend}
    assert set(all_options()["dynamo_backend"].choices) - {"NO"} == known & set(DYNAMO_BACKENDS)
    assert list(all_options()["dynamo_mode"].choices) == TORCH_DYNAMO_MODES
