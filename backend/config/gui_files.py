"""What the pages of other programs save, as option values: kohya_ss's JSON, and the TOML of musubi-tuner's GUI.

Both save every field of theirs. What is empty, 0 or off they leave out when they train, so that the trainer's default
holds; so it does here.
Sources: https://github.com/bmaltais/kohya_ss (kohya_gui/lora_gui.py: save_configuration says which keys there are,
train_model what they mean; common_gui.py: update_my_data has the older ones) and
https://github.com/bmaltais/musubi-tuner-gui (musubi_tuner_gui/lora_gui.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.config.configuration import all_options
from backend.config.imported import PassedOver, as_written
from backend.config.options import Option

Values = dict[str, Any]

MUSUBI_GUI_KEYS = ("extra_accelerate_launch_args", "caching_latent_device", "caching_teo_device")
KOHYA_KEYS = ("LoRA_type", "pretrained_model_name_or_path")

OTHER_NAMES = {"optimizer": "optimizer_type", "lora_network_weights": "network_weights"}
"""Settings of kohya_ss that have another name in musubi-tuner."""

NETWORKS = {
    "Standard": "networks.lora",
    "Flux1": "networks.lora",
    "HunyuanImage-2.1": "networks.lora",
    "Anima": "networks.lora",
    "Lumina": "networks.lora",
    "LoCon": "networks.lora",
    "Kohya LoCon": "networks.lora",
    "LyCORIS/LoCon": "networks.lora",
    "Kohya LoHa": "networks.loha",
    "LyCORIS/LoHa": "networks.loha",
    "Kohya LoKr": "networks.lokr",
    "LyCORIS/LoKr": "networks.lokr",
}
"""kohya_ss's kinds of LoRA that there are here; LoCon is a LoRA for convolutions too, of which there are none here."""

OF_A_MODEL = {
    "flux1_checkbox": {
        "timestep_sampling": "timestep_sampling",
        "discrete_flow_shift": "discrete_flow_shift",
        "guidance_scale": "guidance_scale",
        "blocks_to_swap": "blocks_to_swap",
        "cpu_offload_checkpointing": "gradient_checkpointing_cpu_offload",
    },
    "sd3_checkbox": {
        "weighting_scheme": "weighting_scheme",
        "logit_mean": "logit_mean",
        "logit_std": "logit_std",
        "mode_scale": "mode_scale",
        "blocks_to_swap": "blocks_to_swap",
    },
    "hunyuan_image_checkbox": {
        "hunyuan_timestep_sampling": "timestep_sampling",
        "hunyuan_discrete_flow_shift": "discrete_flow_shift",
        "hunyuan_sigmoid_scale": "sigmoid_scale",
        "hunyuan_fp8_scaled": "fp8_scaled",
        "blocks_to_swap": "blocks_to_swap",
    },
    "anima_checkbox": {
        "anima_timestep_sampling": "timestep_sampling",
        "anima_discrete_flow_shift": "discrete_flow_shift",
        "anima_sigmoid_scale": "sigmoid_scale",
        "anima_compile": "compile",
        "anima_compile_backend": "compile_backend",
        "anima_compile_mode": "compile_mode",
        "anima_compile_dynamic": "compile_dynamic",
        "anima_compile_fullgraph": "compile_fullgraph",
        "anima_compile_cache_size_limit": "compile_cache_size_limit",
        "blocks_to_swap": "blocks_to_swap",
    },
    "lumina_checkbox": {
        "lumina_timestep_sampling": "timestep_sampling",
        "lumina_discrete_flow_shift": "discrete_flow_shift",
        "lumina_sigmoid_scale": "sigmoid_scale",
        "blocks_to_swap": "blocks_to_swap",
    },
}
"""What kohya_ss tells the trainer only of the model family that is ticked: its key, and the option."""

CACHING_NAMES = {
    "caching_latent_device": "device",
    "caching_latent_batch_size": "batch_size",
    "caching_latent_num_workers": "num_workers",
    "caching_latent_skip_existing": "skip_existing",
    "caching_teo_text_encoder1": "text_encoder1",
    "caching_teo_text_encoder2": "text_encoder2",
    "caching_teo_text_encoder_dtype": "text_encoder_dtype",
    "caching_teo_fp8_llm": "fp8_llm",
    "caching_teo_device": "device",
    "caching_teo_batch_size": "batch_size",
    "caching_teo_num_workers": "num_workers",
    "caching_teo_skip_existing": "skip_existing",
}
"""What musubi-tuner's GUI gives the caching commands; of latents and texts together there is one option here."""

DATASET_REASON = "the dataset file says this here"
DATASET_KEYS = frozenset(
    """
    train_data_dir reg_data_dir max_resolution train_batch_size cache_latents cache_latents_to_disk caption_extension
    enable_bucket min_bucket_reso max_bucket_reso bucket_no_upscale bucket_reso_steps random_crop color_aug flip_aug
    masked_loss shuffle_caption keep_tokens caption_dropout_every_n_epochs caption_dropout_rate weighted_captions
    prior_loss_weight vae_batch_size train_inpainting skip_cache_check
    """.split()  # noqa: SIM905
)
MODEL_REASON = "this is about another model than HunyuanVideo"
MODEL_KEYS = frozenset(
    """
    pretrained_model_name_or_path vae v2 v_parameterization sdxl clip_skip max_token_length ae clip_l clip_g
    clip_g_dropout_rate t5xxl t5xxl_max_token_length t5xxl_device t5xxl_dtype model_prediction_type apply_t5_attn_mask
    split_mode train_blocks split_qkv enable_all_linear img_attn_dim img_mlp_dim img_mod_dim single_dim single_mod_dim
    txt_attn_dim txt_mlp_dim txt_mod_dim in_dims train_double_block_indices train_single_block_indices
    double_blocks_to_swap single_blocks_to_swap pos_emb_random_crop_rate save_clip save_t5xxl mem_eff_save
    show_timesteps_resolution architecture
    """.split()  # noqa: SIM905
) | {key for keys in OF_A_MODEL.values() for key in keys}
MODEL_PREFIXES = ("flux1_", "sd3_", "sdxl_", "hunyuan_", "anima_", "lumina_")
LOSS_REASON = "there is no such thing in flow matching, by which HunyuanVideo is trained"
LOSS_KEYS = frozenset(
    """
    noise_offset noise_offset_type noise_offset_random_strength adaptive_noise_scale multires_noise_iterations
    multires_noise_discount ip_noise_gamma ip_noise_gamma_random_strength min_snr_gamma v_pred_like_loss
    scale_v_pred_loss_like_noise_pred debiased_estimation_loss loss_type huber_schedule huber_c huber_scale
    """.split()  # noqa: SIM905
)
ENCODER_REASON = "the text encoders are not trained here"
ENCODER_KEYS = frozenset(
    "text_encoder_lr t5xxl_lr train_t5xxl stop_text_encoder_training loraplus_text_encoder_lr_ratio".split()  # noqa: SIM905
)
NETWORK_REASON = "no kind of network has this here"
NETWORK_KEYS = frozenset(
    """
    LoRA_type LyCORIS_preset bypass_mode dora_wd use_cp use_tucker use_scalar rank_dropout_scale constrain rescaled
    train_norm decompose_both train_on_input down_lr_weight mid_lr_weight up_lr_weight block_lr_zero_threshold
    block_dims block_alphas conv_block_dims conv_block_alphas unit train_lora_ggpo ggpo_sigma ggpo_beta
    """.split()  # noqa: SIM905
)
CONVOLUTION_REASON = "HunyuanVideo has no convolutions where networks are trained"
LAUNCHER_REASON = "accelerate's launcher is told this, not a training"
LAUNCHER_KEYS = frozenset(
    "multi_gpu dynamo_use_fullgraph dynamo_use_dynamic extra_accelerate_launch_args".split()  # noqa: SIM905
)
NOTHING_REASON = "it would change nothing here"
NOTHING_KEYS = frozenset(
    """
    model_list save_as_bool save_model_as training_preset sample_sampler lowvram highvram mem_eff_attn fp8_base_unet
    full_fp16 full_bf16 persistent_data_loader_workers use_8bit_adam caching_latent_keep_cache
    caching_latent_console_back caching_latent_console_width caching_latent_console_num_images
    caching_latent_debug_mode caching_teo_keep_cache
    """.split()  # noqa: SIM905
)
PROMPTS_REASON = "these are the prompts themselves; put them into a file and name it"
LENGTH_REASON = "the number of steps or epochs beside it holds"

LENGTHS = ("max_train_steps", "max_train_epochs")

NOT_TAKEN = (
    (DATASET_REASON, DATASET_KEYS),
    (MODEL_REASON, MODEL_KEYS),
    (LOSS_REASON, LOSS_KEYS),
    (ENCODER_REASON, ENCODER_KEYS),
    (NETWORK_REASON, NETWORK_KEYS),
    (CONVOLUTION_REASON, frozenset({"conv_dim", "conv_alpha"})),
    (LAUNCHER_REASON, LAUNCHER_KEYS),
    (NOTHING_REASON, NOTHING_KEYS),
    (LENGTH_REASON, frozenset({"epoch"})),
    (PROMPTS_REASON, frozenset({"sample_prompts"})),
)
"""Why what is left over is not taken."""


def is_of_musubi_gui(record: Mapping[str, Any]) -> bool:
    """Whether a TOML was saved by musubi-tuner's GUI."""
    return any(key in record for key in MUSUBI_GUI_KEYS)


def read_gui_file(record: Mapping[str, Any]) -> tuple[Values, list[PassedOver]]:
    """Option values, still to be checked, and what is not taken. The values may name what is no option."""
    rest = {OTHER_NAMES.get(key, key): value for key, value in record.items()}
    is_kohya = any(key in record for key in KOHYA_KEYS)
    values: Values = {}
    for take in (_network, _rates, _length, _warmup, _attention, _tracking, _of_musubi_gui):
        values |= take(rest)
    if is_kohya:
        values |= _of_the_model(rest)
    passed = [
        _passed_over(key, rest.pop(key)) for key in list(rest) if _is_left_over(key, rest[key], is_kohya=is_kohya)
    ]
    for name, value in rest.items():
        if name not in all_options():
            values |= {} if _is_nothing(value) else {name: value}
        elif not (all_options()[name].path and _is_nothing(value)):  # no path says nothing of one that is chosen
            values[name] = _meant(all_options()[name], value)
    return values, passed


# Each of these takes its keys out of the record, and gives the options that they mean.


def _network(rest: Values) -> Values:
    """The kind of LoRA, and LoRA+, of which the transformer's ratio counts before the general one."""
    values: Values = {}
    if rest.get("LoRA_type") in NETWORKS:
        values["network_module"] = NETWORKS[rest.pop("LoRA_type")]
    if isinstance(rest.get("network_args"), str):
        values["network_args"] = _split(rest.pop("network_args"))
    if ratios := _taken(rest, "loraplus_unet_lr_ratio", "loraplus_lr_ratio"):
        values["loraplus_lr_ratio"] = next((ratio for ratio in ratios if not _is_nothing(ratio)), None)
    return values


def _rates(rest: Values) -> Values:
    """The transformer's own learning rate counts before the general one."""
    rates = _taken(rest, "unet_lr", "learning_rate")
    rate = next((rate for rate in rates if not _is_nothing(rate)), None)
    return {} if rate is None else {"learning_rate": rate}


def _length(rest: Values) -> Values:
    """kohya_ss counts the steps of so many epochs by itself where neither steps nor epochs are given."""
    if _is_nothing(rest.get("epoch")) or not all(_is_nothing(rest.get(key)) for key in LENGTHS):
        return {}
    rest.pop("max_train_epochs", None)
    return {"max_train_epochs": rest.pop("epoch")}


def _warmup(rest: Values) -> Values:
    """In steps, or as a percentage of all steps."""
    percent = rest.pop("lr_warmup", None)
    if percent is None or not _is_nothing(rest.get("lr_warmup_steps")):
        return {}
    rest.pop("lr_warmup_steps", None)
    return {"lr_warmup_steps": 0 if _is_nothing(percent) else f"{percent}%"}


def _attention(rest: Values) -> Values:
    """kohya_ss has one field for all kinds, which was a flag once."""
    if "xformers" not in rest or "sdpa" in rest:
        return {}
    is_xformers = rest.pop("xformers") in (True, "xformers")
    return {"xformers": is_xformers, "sdpa": not is_xformers}


def _tracking(rest: Values) -> Values:
    return {"log_with": "wandb"} if rest.pop("use_wandb", None) in (True, "True") else {}


def _of_musubi_gui(rest: Values) -> Values:
    """What the caching commands are given, where the training is not given it too."""
    if rest.get("architecture") == "hunyuanvideo":
        del rest["architecture"]
    values: Values = {}
    for key, name in CACHING_NAMES.items():
        value = rest.pop(key, None)
        if not _is_nothing(value) and _is_nothing(rest.get(name)) and name not in values:
            values[name] = value
            rest.pop(name, None)
    return values


def _of_the_model(rest: Values) -> Values:
    """The settings of the model family that is ticked; those of others stay."""
    values: Values = {}
    for tick, keys in OF_A_MODEL.items():
        if rest.pop(tick, False):
            values |= {name: _meant(all_options()[name], rest.pop(key)) for key, name in keys.items() if key in rest}
    for key in {key for keys in OF_A_MODEL.values() for key in keys if _is_nothing(rest.get(key))}:
        rest.pop(key, None)
    return values


def _is_left_over(key: str, value: Any, *, is_kohya: bool) -> bool:
    """Whether the key is one of those that are not taken, and says something."""
    if key == "sample_prompts":
        return is_kohya and not _is_nothing(value) and not str(value).lower().endswith((".txt", ".toml", ".json"))
    if not is_kohya and key in all_options():
        return False
    return not _is_nothing(value) and _reason(key) != ""


def _passed_over(key: str, value: Any) -> PassedOver:
    return PassedOver(key, as_written(value), _reason(key))


def _reason(key: str) -> str:
    if key.startswith(MODEL_PREFIXES):
        return MODEL_REASON
    return next((reason for reason, keys in NOT_TAKEN if key in keys), "")


def _meant(declared: Option, value: Any) -> Any:
    """The value of a field; a list is a text with blanks, and 0 stands for the default but where it counts threads."""
    if declared.kind == "flag":
        return False if _is_nothing(value) else value
    counts_zero = declared.name == "max_data_loader_n_workers" and value not in ("", None)
    if _is_nothing(value, is_text=declared.kind in ("text", "choice")) and not counts_zero:
        return declared.default
    if declared.kind == "list" and isinstance(value, str):
        return _split(value)
    return value


def _split(text: str) -> list[str]:
    """As both programs take such a field apart."""
    return text.replace('"', "").split()


def _is_nothing(value: Any, *, is_text: bool = False) -> bool:
    """Whether a field is empty, off, or 0. is_text: "0" is a text, such as the number of a GPU."""
    if isinstance(value, str) and not is_text:
        return value.strip() in ("", "0", "0.0")
    return value in ("", None, [], {}) or (value == 0 and not isinstance(value, str))


def _taken(rest: Values, *keys: str) -> list[Any]:
    """The values of those keys that there are, which are taken out."""
    return [rest.pop(key) for key in keys if key in rest]
