"""What the pages of other programs save: each key is an option, or it is told why not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.config.configuration import Configuration, all_options
from backend.config.gui_files import (
    CONVOLUTION_REASON,
    DATASET_REASON,
    ENCODER_REASON,
    LAUNCHER_REASON,
    LENGTH_REASON,
    LOSS_REASON,
    MODEL_REASON,
    NETWORK_REASON,
    NOTHING_REASON,
    PROMPTS_REASON,
)
from backend.config.importing import import_text

KOHYA_LORA_KEYS = frozenset(
    """
    save_as_bool pretrained_model_name_or_path v2 v_parameterization sdxl flux1_checkbox dataset_config save_model_as
    save_precision train_data_dir output_name model_list training_comment logging_dir reg_data_dir output_dir
    max_resolution learning_rate lr_scheduler lr_warmup lr_warmup_steps train_batch_size epoch save_every_n_epochs
    seed cache_latents cache_latents_to_disk train_inpainting caption_extension enable_bucket
    stop_text_encoder_training min_bucket_reso max_bucket_reso max_train_epochs max_train_steps
    lr_scheduler_num_cycles lr_scheduler_power optimizer optimizer_args lr_scheduler_args lr_scheduler_type
    max_grad_norm mixed_precision num_cpu_threads_per_process num_processes num_machines multi_gpu gpu_ids
    main_process_port dynamo_backend dynamo_mode dynamo_use_fullgraph dynamo_use_dynamic extra_accelerate_launch_args
    gradient_checkpointing fp8_base fp8_base_unet full_fp16 highvram lowvram xformers shuffle_caption save_state
    save_state_on_train_end resume prior_loss_weight color_aug flip_aug masked_loss clip_skip
    gradient_accumulation_steps mem_eff_attn max_token_length max_data_loader_n_workers keep_tokens
    persistent_data_loader_workers bucket_no_upscale random_crop bucket_reso_steps v_pred_like_loss
    caption_dropout_every_n_epochs caption_dropout_rate noise_offset_type noise_offset noise_offset_random_strength
    adaptive_noise_scale multires_noise_iterations multires_noise_discount ip_noise_gamma
    ip_noise_gamma_random_strength additional_parameters loss_type huber_schedule huber_c huber_scale vae_batch_size
    min_snr_gamma save_every_n_steps save_last_n_steps save_last_n_steps_state save_last_n_epochs
    save_last_n_epochs_state skip_cache_check log_with wandb_api_key wandb_run_name log_tracker_name
    log_tracker_config log_config scale_v_pred_loss_like_noise_pred full_bf16 min_timestep max_timestep vae
    weighted_captions debiased_estimation_loss sdxl_cache_text_encoder_outputs sdxl_no_half_vae text_encoder_lr
    t5xxl_lr unet_lr network_dim network_weights dim_from_weights network_alpha LoRA_type factor bypass_mode dora_wd
    use_cp use_tucker use_scalar rank_dropout_scale constrain rescaled train_norm decompose_both train_on_input
    conv_dim conv_alpha sample_every_n_steps sample_every_n_epochs sample_sampler sample_prompts down_lr_weight
    mid_lr_weight up_lr_weight block_lr_zero_threshold block_dims block_alphas conv_block_dims conv_block_alphas unit
    scale_weight_norms network_dropout rank_dropout module_dropout LyCORIS_preset loraplus_lr_ratio
    loraplus_text_encoder_lr_ratio loraplus_unet_lr_ratio train_lora_ggpo ggpo_sigma ggpo_beta huggingface_repo_id
    huggingface_token huggingface_repo_type huggingface_repo_visibility huggingface_path_in_repo
    save_state_to_huggingface resume_from_huggingface async_upload metadata_author metadata_description
    metadata_license metadata_tags metadata_title flux1_cache_text_encoder_outputs
    flux1_cache_text_encoder_outputs_to_disk ae clip_l t5xxl discrete_flow_shift model_prediction_type
    timestep_sampling split_mode train_blocks t5xxl_max_token_length enable_all_linear guidance_scale mem_eff_save
    apply_t5_attn_mask split_qkv train_t5xxl cpu_offload_checkpointing blocks_to_swap single_blocks_to_swap
    double_blocks_to_swap show_timesteps show_timesteps_resolution img_attn_dim img_mlp_dim img_mod_dim single_dim
    txt_attn_dim txt_mlp_dim txt_mod_dim single_mod_dim in_dims train_double_block_indices train_single_block_indices
    sd3_cache_text_encoder_outputs sd3_cache_text_encoder_outputs_to_disk sd3_fused_backward_pass clip_g
    clip_g_dropout_rate sd3_clip_l sd3_clip_l_dropout_rate sd3_disable_mmap_load_safetensors
    sd3_enable_scaled_pos_embed logit_mean logit_std mode_scale pos_emb_random_crop_rate save_clip save_t5xxl
    sd3_t5_dropout_rate sd3_t5xxl t5xxl_device t5xxl_dtype sd3_text_encoder_batch_size weighting_scheme sd3_checkbox
    hunyuan_image_cache_text_encoder_outputs hunyuan_image_cache_text_encoder_outputs_to_disk hunyuan_text_encoder
    hunyuan_byt5 hunyuan_vae hunyuan_discrete_flow_shift hunyuan_model_prediction_type hunyuan_timestep_sampling
    hunyuan_sigmoid_scale hunyuan_attn_mode hunyuan_split_attn hunyuan_fp8_scaled hunyuan_fp8_vl
    hunyuan_text_encoder_cpu hunyuan_vae_chunk_size hunyuan_image_checkbox anima_cache_text_encoder_outputs
    anima_cache_text_encoder_outputs_to_disk anima_qwen3 anima_vae anima_llm_adapter_path anima_t5_tokenizer_path
    anima_discrete_flow_shift anima_timestep_sampling anima_sigmoid_scale anima_qwen3_max_token_length
    anima_t5_max_token_length anima_attn_mode anima_split_attn anima_vae_chunk_size anima_vae_disable_cache
    anima_unsloth_offload_checkpointing anima_qwen_image_vae_2d anima_compile anima_torch_compile
    anima_compile_backend anima_compile_mode anima_compile_dynamic anima_compile_fullgraph
    anima_compile_cache_size_limit anima_checkbox lumina_cache_text_encoder_outputs
    lumina_cache_text_encoder_outputs_to_disk lumina_gemma2 lumina_ae lumina_discrete_flow_shift
    lumina_model_prediction_type lumina_timestep_sampling lumina_sigmoid_scale lumina_gemma2_max_token_length
    lumina_system_prompt lumina_use_flash_attn lumina_use_sage_attn lumina_checkbox
    """.split()  # noqa: SIM905
)
"""Every field of kohya_ss's LoRA tab, as its save_configuration has them."""

STYLE = {
    "LoRA_type": "Standard",
    "LyCORIS_preset": "full",
    "additional_parameters": "--max_grad_norm 0.5 --gradient_accumulation_steps=4",
    "bucket_reso_steps": 64,
    "cache_latents": True,
    "conv_dim": 1,
    "dataset_config": "",
    "epoch": 12,
    "extra_accelerate_launch_args": "--quiet",
    "factor": -1,
    "flux1_checkbox": False,
    "gpu_ids": "0",
    "gradient_checkpointing": True,
    "guidance_scale": 3.5,
    "huggingface_token": "hf_secret",
    "learning_rate": 0.0003,
    "log_with": "",
    "loraplus_lr_ratio": 0,
    "loraplus_unet_lr_ratio": 4,
    "lr_scheduler": "cosine",
    "lr_scheduler_num_cycles": "",
    "lr_warmup": 10,
    "lr_warmup_steps": 0,
    "max_data_loader_n_workers": "0",
    "max_grad_norm": 1,
    "max_train_epochs": 0,
    "max_train_steps": "0",
    "mixed_precision": "bf16",
    "network_alpha": 16,
    "network_dim": 32,
    "network_dropout": 0,
    "network_weights": "",
    "noise_offset": 0.05,
    "optimizer": "AdamW8bit",
    "optimizer_args": 'weight_decay=0.1 "betas=0.9,0.99"',
    "output_name": "style",
    "pretrained_model_name_or_path": "sdxl.safetensors",
    "resume_from_huggingface": "",
    "sample_every_n_steps": 100,
    "sample_prompts": "a cat --w 1024 --h 1024",
    "save_every_n_epochs": 1,
    "seed": 0,
    "text_encoder_lr": 5e-5,
    "timestep_sampling": "sigma",
    "train_batch_size": 2,
    "unet_lr": 0.0001,
    "xformers": "xformers",
}
"""A LoRA for SDXL, as kohya_ss saves one."""

FLUX = {
    "LoRA_type": "LyCORIS/LoKr",
    "blocks_to_swap": 18,
    "cpu_offload_checkpointing": True,
    "discrete_flow_shift": 3.1,
    "epoch": 1,
    "factor": 8,
    "flux1_checkbox": True,
    "guidance_scale": 1,
    "logit_std": 2,
    "lr_scheduler": "adafactor",
    "lr_warmup_steps": 50,
    "lr_warmup": 10,
    "max_train_steps": 2000,
    "pretrained_model_name_or_path": "flux.safetensors",
    "sample_prompts": "C:/prompts.txt",
    "timestep_sampling": "shift",
    "use_wandb": "True",
    "vae": "x.safetensors",
    "weighting_scheme": "logit_normal",
    "xformers": False,
}
"""A LoKr for FLUX, with keys of older versions of the GUI."""


def imported(record: dict[str, Any]):
    found = import_text(json.dumps(record))
    return found, {one.name: one.reason for one in found.passed_over}


def test_a_lora_of_kohya_ss_gives_what_its_gui_would_have_trained_with():
    found, reasons = imported(STYLE)
    assert found.source == "kohya_ss"
    wanted = {
        "network_module": "networks.lora",
        "loraplus_lr_ratio": 4.0,
        "learning_rate": 1e-4,
        "max_train_epochs": 12,
        "max_train_steps": 1600,
        "lr_warmup_steps": 0.1,
        "xformers": True,
        "sdpa": False,
        "max_data_loader_n_workers": 0,
        "max_grad_norm": 0.5,
        "gradient_accumulation_steps": 4,
        "optimizer_type": "AdamW8bit",
        "optimizer_args": ["weight_decay=0.1", "betas=0.9,0.99"],
        "gpu_ids": "0",
        "seed": None,
        "network_dropout": None,
        "log_with": "tensorboard",
        "resume_from_huggingface": False,
        "lr_scheduler_num_cycles": 1,
        "sample_every_n_steps": 100,
    }
    assert {name: found.values[name] for name in wanted} == wanted
    assert not {"dataset_config", "network_weights", "guidance_scale", "timestep_sampling", "vae"} & found.values.keys()
    assert {
        name: reasons[name] for name in ("train_batch_size", "cache_latents", "bucket_reso_steps")
    } == dict.fromkeys(("train_batch_size", "cache_latents", "bucket_reso_steps"), DATASET_REASON)
    for name, reason in {
        "pretrained_model_name_or_path": MODEL_REASON,
        "guidance_scale": MODEL_REASON,
        "noise_offset": LOSS_REASON,
        "text_encoder_lr": ENCODER_REASON,
        "LyCORIS_preset": NETWORK_REASON,
        "conv_dim": CONVOLUTION_REASON,
        "extra_accelerate_launch_args": LAUNCHER_REASON,
        "sample_prompts": PROMPTS_REASON,
    }.items():
        assert reasons[name] == reason


def test_a_secret_is_not_shown():
    found, reasons = imported(STYLE)
    (secret,) = [one for one in found.passed_over if one.name == "huggingface_token"]
    assert secret.value == "…" and "secret" in reasons["huggingface_token"]
    assert "hf_secret" not in repr(found)


def test_the_settings_of_the_model_that_is_ticked_are_taken_and_those_of_others_are_not():
    found, reasons = imported(FLUX)
    wanted = {
        "network_module": "networks.lokr",
        "factor": 8,
        "timestep_sampling": "shift",
        "discrete_flow_shift": 3.1,
        "guidance_scale": 1.0,
        "blocks_to_swap": 18,
        "gradient_checkpointing_cpu_offload": True,
        "lr_warmup_steps": 50,
        "max_train_steps": 2000,
        "sample_prompts": "C:/prompts.txt",
        "log_with": "wandb",
        "xformers": False,
        "sdpa": True,
    }
    assert found.values == wanted
    assert reasons["weighting_scheme"] == reasons["logit_std"] == reasons["vae"] == MODEL_REASON
    assert reasons["epoch"] == LENGTH_REASON
    assert "adafactor" in reasons["lr_scheduler"]


def test_of_hunyuan_image_the_flow_is_taken_and_the_files_are_not():
    found, reasons = imported(
        {
            "LoRA_type": "HunyuanImage-2.1",
            "hunyuan_image_checkbox": True,
            "hunyuan_discrete_flow_shift": 5.0,
            "hunyuan_timestep_sampling": "shift",
            "hunyuan_vae": "v.safetensors",
            "discrete_flow_shift": 3.0,
        }
    )
    assert found.values["discrete_flow_shift"] == 5.0 and found.values["timestep_sampling"] == "shift"
    assert reasons == {"hunyuan_vae": MODEL_REASON, "discrete_flow_shift": MODEL_REASON}


def test_a_kind_of_lora_that_there_is_not_is_told():
    assert imported({"LoRA_type": "LyCORIS/iA3"})[1] == {"LoRA_type": NETWORK_REASON}


def given_value(key: str) -> Any:
    """Something that says something, of about the kind that the field has."""
    declared = all_options().get({"optimizer": "optimizer_type"}.get(key, key))
    if declared is None or declared.kind in ("integer", "number", "steps_or_ratio"):
        return 1
    return {"flag": True, "list": "a=1"}.get(declared.kind) or (declared.choices or ("x",))[0]


@pytest.mark.parametrize("key", sorted(KOHYA_LORA_KEYS))
def test_every_key_is_set_or_told_with_a_reason_that_is_no_riddle(key):
    found, reasons = imported({"LoRA_type": "Standard", key: given_value(key)})
    told = {"additional_parameters", "LoRA_type"}  # of flags, of which there are none here; the kind that is taken
    ticks = key.endswith("_checkbox") and key != "sdxl"
    assert key in told or ticks or len(found.values) > 1 or key in reasons
    assert "there is no option" not in reasons.get(key, "")


MUSUBI_GUI = """
additional_parameters = "--network_args loraplus_lr_ratio=4"
base_weights = ""
base_weights_multiplier = ""
blocks_to_swap = 0
caching_latent_batch_size = 1
caching_latent_console_width = 80
caching_latent_device = "cuda"
caching_latent_skip_existing = true
caching_teo_batch_size = 4
caching_teo_fp8_llm = true
caching_teo_text_encoder1 = 'C:\\llava.safetensors'
caching_teo_text_encoder2 = 'C:\\clip_l.safetensors'
caching_teo_text_encoder_dtype = "float16"
dataset_config = "./dataset.toml"
ddp_timeout = 0
dit = 'C:\\dit.safetensors'
dynamo_backend = "no"
dynamo_use_dynamic = true
extra_accelerate_launch_args = ""
fp8_base = true
fp8_llm = false
gpu_ids = ""
huggingface_repo_type = ""
log_with = ""
lr_scheduler_args = ""
lr_scheduler_timescale = 0
lr_warmup_steps = "0"
main_process_port = 0
max_train_epochs = 16
max_train_steps = 1600
network_args = ""
network_dim = 0
network_module = "networks.lora"
num_cpu_threads_per_process = 2
optimizer_type = "adamw8bit"
persistent_data_loader_workers = true
resume_from_huggingface = ""
sage_attn = false
sdpa = true
seed = 0
split_attn = false
text_encoder1 = ""
text_encoder2 = "mine.safetensors"
vae = 'C:\\vae.pt'
vae_chunk_size = 32
xformers = false
architecture = "{}"
"""


def test_the_toml_of_musubi_tuners_gui_gives_what_it_would_have_trained_with():
    found = import_text(MUSUBI_GUI.format("hunyuanvideo"))
    assert found.source == "musubi_gui"
    wanted = {
        "dit": r"C:\dit.safetensors",
        "vae": r"C:\vae.pt",
        "vae_chunk_size": 32,
        "text_encoder1": r"C:\llava.safetensors",
        "text_encoder2": "mine.safetensors",
        "text_encoder_dtype": "float16",
        "fp8_llm": True,
        "device": "cuda",
        "batch_size": 1,
        "skip_existing": True,
        "loraplus_lr_ratio": 4.0,
        "max_train_epochs": 16,
        "network_dim": 32,
        "seed": None,
        "lr_warmup_steps": 0,
        "lr_scheduler_args": [],
        "dynamo_backend": "NO",
        "resume_from_huggingface": False,
    }
    assert {name: found.values[name] for name in wanted} == wanted
    assert Configuration.from_values(found.values)
    told = {one.name: one.reason for one in found.passed_over}
    assert told == {
        "caching_latent_console_width": NOTHING_REASON,
        "persistent_data_loader_workers": NOTHING_REASON,
        "dynamo_use_dynamic": LAUNCHER_REASON,
    }


def test_a_file_of_that_gui_for_another_model_says_so():
    found = import_text(MUSUBI_GUI.format("wan"))
    assert ("architecture", MODEL_REASON) in [(one.name, one.reason) for one in found.passed_over]
