"""diffusers' transformer with the same weights predicts the same velocity."""

from __future__ import annotations

import pytest
import torch
from diffusers import HunyuanVideoTransformer3DModel
from torch import Tensor

from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from tests.models.hunyuan_video.golden_transformer import (
    CASES,
    load_case,
    predict,
    relative_error,
    small_transformer,
)

# Ours -> diffusers'; a tuple takes the rows of one fused Linear in turn.
TOP_LEVEL = {
    "img_in.proj": "x_embedder.proj",
    "time_in.mlp.0": "time_text_embed.timestep_embedder.linear_1",
    "time_in.mlp.2": "time_text_embed.timestep_embedder.linear_2",
    "guidance_in.mlp.0": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.mlp.2": "time_text_embed.guidance_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "txt_in.input_embedder": "context_embedder.proj_in",
    "txt_in.t_embedder.mlp.0": "context_embedder.time_text_embed.timestep_embedder.linear_1",
    "txt_in.t_embedder.mlp.2": "context_embedder.time_text_embed.timestep_embedder.linear_2",
    "txt_in.c_embedder.linear_1": "context_embedder.time_text_embed.text_embedder.linear_1",
    "txt_in.c_embedder.linear_2": "context_embedder.time_text_embed.text_embedder.linear_2",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
    "final_layer.linear": "proj_out",
}
REFINER_BLOCK = {
    "norm1": "norm1",
    "norm2": "norm2",
    "self_attn_qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "self_attn_proj": "attn.to_out.0",
    "mlp.fc1": "ff.net.0.proj",
    "mlp.fc2": "ff.net.2",
    "adaLN_modulation.1": "norm_out.linear",
}
DOUBLE_BLOCK = {
    "img_mod.linear": "norm1.linear",
    "img_attn_qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "img_attn_q_norm": "attn.norm_q",
    "img_attn_k_norm": "attn.norm_k",
    "img_attn_proj": "attn.to_out.0",
    "img_mlp.fc1": "ff.net.0.proj",
    "img_mlp.fc2": "ff.net.2",
    "txt_mod.linear": "norm1_context.linear",
    "txt_attn_qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "txt_attn_q_norm": "attn.norm_added_q",
    "txt_attn_k_norm": "attn.norm_added_k",
    "txt_attn_proj": "attn.to_add_out",
    "txt_mlp.fc1": "ff_context.net.0.proj",
    "txt_mlp.fc2": "ff_context.net.2",
}
SINGLE_BLOCK = {
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
    "linear2": "proj_out",
    "q_norm": "attn.norm_q",
    "k_norm": "attn.norm_k",
    "modulation.linear": "norm.linear",
}
BLOCKS = (
    ("txt_in.individual_token_refiner.blocks", "context_embedder.token_refiner.refiner_blocks", REFINER_BLOCK),
    ("double_blocks", "transformer_blocks", DOUBLE_BLOCK),
    ("single_blocks", "single_transformer_blocks", SINGLE_BLOCK),
)


@pytest.mark.parametrize("name", CASES)
def test_the_velocity_is_that_of_diffusers(name):
    case = load_case(name)
    ours = small_transformer()
    theirs = to_diffusers(ours)
    with torch.no_grad():
        expected = theirs(
            hidden_states=case["in.x"],
            timestep=case["in.timestep"],
            encoder_hidden_states=case["in.text_states"],
            encoder_attention_mask=case["in.text_mask"],
            pooled_projections=case["in.text_states_2"],
            guidance=case["in.guidance"],
        ).sample
        assert relative_error(predict(ours, case), expected) < 1e-5


def to_diffusers(ours: HunyuanVideoTransformer) -> HunyuanVideoTransformer3DModel:
    shape = ours.shape
    theirs = HunyuanVideoTransformer3DModel(
        in_channels=shape.in_channels,
        num_attention_heads=shape.heads,
        attention_head_dim=shape.head_dim,
        num_layers=shape.double_blocks,
        num_single_layers=shape.single_blocks,
        mlp_ratio=shape.mlp_hidden / shape.hidden_size,
        text_embed_dim=shape.text_width,
        pooled_projection_dim=shape.pooled_width,
        rope_theta=256.0,
        rope_axes_dim=shape.rope_dims,
    )
    theirs.load_state_dict(diffusers_state_dict(ours))
    return theirs.eval()


def diffusers_state_dict(ours: HunyuanVideoTransformer) -> dict[str, Tensor]:
    names = dict(TOP_LEVEL)
    for our_list, their_list, block_names in BLOCKS:
        for index in range(len(ours.get_submodule(our_list))):
            for our_name, their_names in block_names.items():
                several = their_names if isinstance(their_names, tuple) else (their_names,)
                names[f"{our_list}.{index}.{our_name}"] = tuple(f"{their_list}.{index}.{name}" for name in several)
    state_dict = {}
    for name, tensor in ours.state_dict().items():
        module, kind = name.rsplit(".", 1)
        targets = names[module] if isinstance(names[module], tuple) else (names[module],)
        for target, part in zip(targets, split_rows(tensor, len(targets), ours.shape.hidden_size), strict=True):
            state_dict[f"{target}.{kind}"] = part
    for kind in ("weight", "bias"):  # diffusers takes the scale first, then the shift
        shift, scale = state_dict[f"norm_out.linear.{kind}"].chunk(2)
        state_dict[f"norm_out.linear.{kind}"] = torch.cat((scale, shift))
    return state_dict


def split_rows(tensor: Tensor, count: int, hidden_size: int) -> tuple[Tensor, ...]:
    """q, k, v of hidden size each, and the rest."""
    if count == 1:
        return (tensor,)
    widths = [hidden_size] * 3 + [len(tensor) - 3 * hidden_size]
    return tensor.split(widths[:count])
