"""Random configurations, for tests that something gives the same one again."""

from hypothesis import strategies as st

from backend.config.configuration import all_options

_texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
_awkward_texts = st.sampled_from(
    [
        "C:\\xampp\\new models\\ü.safetensors",
        "a = b # c",
        'says "hi"',
        "it's",
        "--x",
        "-1",
        "{}[],",
        "日本語",
        "\\",
        "%",
    ]
)
_patterns = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10)
    | st.sampled_from([r".*single_blocks\.\d+.*", "(?=x)=y", "[',']", 'a"b', "it's", "a\\", ","])
)
_BY_NAME = {
    "output_name": st.sampled_from(["lora", "my lora", "日本語", "it's v1.0", "-x"]),
    "log_prefix": st.none() | st.sampled_from(["kü_", "a ", "x"]),
    "log_tracker_name": st.none() | st.sampled_from(["my project", "日本語"]),
    "optimizer_args": st.lists(st.sampled_from(["weight_decay=0.1", "betas=0.9,0.99", "mode='a=\"b\"'"]), unique=True),
    "lr_scheduler": st.just("linear"),  # goes with any warm-up
    "lr_warmup_steps": st.integers(0, 10**6) | st.floats(0, 1, exclude_min=True) | st.just(1.0),
    "wandb_tags": st.lists(_texts.filter(lambda text: not text.startswith("--"))),  # in a list these are flags
    "sdpa": st.just(True),
    "flash_attn": st.just(False),  # not both
    "xformers": st.just(False),
    "gradient_checkpointing_cpu_offload": st.just(False),  # needs gradient_checkpointing
    "img_in_txt_in_offloading": st.just(False),  # needs blocks_to_swap
    "dynamo_backend": st.just("NO"),  # not with compile
    "compile_mode": st.just("default"),  # goes with any backend
    "fp8_base": st.just(False),  # not both
    "seed": st.none() | st.integers(0, 2**32 - 1),
    "lr_decay_steps": st.integers(0, 10**6) | st.floats(0, 1, exclude_min=True) | st.just(1.0),
    "lr_scheduler_args": st.lists(st.sampled_from(["rex_alpha=0.2", "step_rules='1:10,0.1'"]), unique=True),
    "lr_scheduler_min_lr_ratio": st.none() | st.floats(0, 1),
    "min_timestep": st.none() | st.integers(0, 499),
    "max_timestep": st.none() | st.integers(500, 1000),
    "num_timestep_buckets": st.none() | st.integers(2, 1000),
    "rank_dropout": st.none() | st.floats(0, 1, exclude_max=True),
    "module_dropout": st.none() | st.floats(0, 1, exclude_max=True),
    "dim_from_weights": st.just(False),  # needs network_weights
    "base_weights": st.lists(st.sampled_from(["a/b.safetensors", "ü [1].safetensors"])),
    "base_weights_multiplier": st.just([]),  # not more than there are base_weights
    "accelerate_config_file": st.none(),  # not with weights in 8 bits
    "num_processes": st.integers(4, 64),
    "num_machines": st.just(1),
    "machine_rank": st.just(0),
    "main_process_port": st.none() | st.integers(1, 65535),
    "dit_in_channels": st.sampled_from([None, 16, 32]),
    "vae_spatial_tile_sample_min_size": st.none() | st.integers(4, 100).map(lambda latents: 8 * latents),
    "sample_prompts": st.none(),  # needs three models
    "metadata_reso": st.sampled_from([None, "960", "1280,720"]),
    "huggingface_repo_id": st.sampled_from([None, "ada/my-loras"]),
    "resume_from_huggingface": st.just(False),  # needs resume
    "network_module": st.just("networks.lora"),  # the others have no LoRA+ and no dropout of single numbers
    "factor": st.integers(-1, 10**6),
    "network_dropout": st.none() | st.floats(0, 1, exclude_max=True),
    "loraplus_lr_ratio": st.none() | st.floats(1e-6, 1e6),
}


def _values_of(declared):
    if declared.name in _BY_NAME:
        return _BY_NAME[declared.name]
    values = {
        "flag": st.booleans(),
        "integer": st.integers(1, 10**6),
        "number": st.floats(1e-9, 1e9),
        "choice": st.sampled_from(declared.choices or ("",)),
        "text": _texts | _awkward_texts,
        "list": _patterns,
    }[declared.kind]
    return st.none() | values if declared.optional else values


some_values = st.fixed_dictionaries(
    {}, optional={name: _values_of(declared) for name, declared in all_options().items()}
)
"""Values for some options, each by itself and all together allowed."""
