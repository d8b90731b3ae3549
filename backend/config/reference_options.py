"""Names of musubi-tuner's options, so that one which is not acted on is told apart from a mistyped one."""

from __future__ import annotations

MUSUBI_TUNER_OPTIONS = frozenset(
    """
    config_file dataset_config
    sdpa flash_attn sage_attn xformers flash3 split_attn
    compile compile_backend compile_mode compile_dynamic compile_fullgraph compile_cache_size_limit
    cuda_allow_tf32 cuda_cudnn_benchmark dynamo_backend dynamo_mode dynamo_fullgraph dynamo_dynamic
    max_train_steps max_train_epochs max_data_loader_n_workers persistent_data_loader_workers seed
    gradient_checkpointing gradient_checkpointing_cpu_offload gradient_accumulation_steps mixed_precision save_precision
    logging_dir log_with log_prefix log_tracker_name wandb_run_name log_tracker_config wandb_api_key log_config
    ddp_timeout ddp_gradient_as_bucket_view ddp_static_graph
    sample_every_n_steps sample_at_first sample_every_n_epochs sample_prompts
    optimizer_type optimizer_args learning_rate max_grad_norm
    lr_scheduler lr_warmup_steps lr_decay_steps lr_scheduler_num_cycles lr_scheduler_power lr_scheduler_timescale
    lr_scheduler_min_lr_ratio lr_scheduler_type lr_scheduler_args
    fp8_base fp8_scaled blocks_to_swap use_pinned_memory_for_block_swap block_swap_h2d_only block_swap_ring_size
    img_in_txt_in_offloading disable_numpy_memmap
    guidance_scale timestep_sampling discrete_flow_shift sigmoid_scale weighting_scheme logit_mean logit_std mode_scale
    min_timestep max_timestep preserve_distribution_shape num_timestep_buckets show_timesteps
    no_metadata network_weights network_module network_dim network_alpha network_dropout network_args training_comment
    dim_from_weights scale_weight_norms base_weights base_weights_multiplier
    output_dir output_name resume save_every_n_epochs save_every_n_steps save_last_n_epochs save_last_n_epochs_state
    save_last_n_steps save_last_n_steps_state save_state save_state_on_train_end
    metadata_title metadata_author metadata_description metadata_license metadata_tags metadata_reso metadata_arch
    huggingface_repo_id huggingface_repo_type huggingface_path_in_repo huggingface_token huggingface_repo_visibility
    save_state_to_huggingface resume_from_huggingface async_upload
    dit vae vae_dtype dit_dtype dit_in_channels fp8_llm text_encoder1 text_encoder2 text_encoder_dtype
    vae_tiling vae_chunk_size vae_spatial_tile_sample_min_size
    device batch_size num_workers skip_existing keep_cache debug_mode console_width console_back console_num_images
    disable_cudnn_backend
    """.split()  # noqa: SIM905 (a list of 130 quoted words is no easier to read)
)

WITHOUT_EFFECT_ON_RESULTS = frozenset(
    """
    persistent_data_loader_workers disable_numpy_memmap keep_cache console_back
    split_attn block_swap_h2d_only dynamo_dynamic
    """.split()  # noqa: SIM905
)
"""Those that only say how data are read, or ask for what is always done here; they may stand in a file."""

CANNOT_BE_USED = {
    "sage_attn": ("SageAttention has no backward pass", "choose sdpa, flash_attn or xformers"),
    "flash3": (
        "FlashAttention 3 does not run with HunyuanVideo, in musubi-tuner either",
        "choose sdpa, flash_attn or xformers",
    ),
    "dynamo_fullgraph": (
        "captions are cut to their real length, which no single graph can do",
        "use compile with compile_fullgraph, which compiles each block as a whole",
    ),
}
"""Those that could only make a training fail, each with the reason and the way out."""

COMMAND_FLAGS = {
    "config_file": "train",
    "show_timesteps": "train",
    "debug_mode": "cache_latents",
    "console_width": "cache_latents",
    "console_num_images": "cache_latents",
}
"""Flags that ask a command for something else than a run, and the command that has them; they are no options."""

ENVIRONMENT_VARIABLES = {"wandb_api_key": "WANDB_API_KEY", "huggingface_token": "HF_TOKEN"}
"""Secrets, and where they are read from in place of options."""

OF_OTHER_MODELS = frozenset(
    """
    task t5 fp8_t5 clip dit_high_noise timestep_boundary offload_inactive_dit vae_cache_cpu force_v2_1_time_embedding
    image_encoder latent_window_size f1 bulk_decode one_frame one_frame_no_2x one_frame_no_4x
    text_encoder fp8_vl fp8_text_encoder edit edit_plus edit_version model_version num_layers dit_variant
    text_encoder_cpu byt5 i2v remove_first_image_from_target
    full_fp16 full_bf16 fused_backward_pass mem_eff_save block_swap_optimizer_patch_params
    """.split()  # noqa: SIM905
)
"""Options of musubi-tuner's trainers of other models (Wan, FramePack, FLUX, Qwen-Image, HunyuanVideo 1.5, ...)."""
