"""The text encoders against the values of the reference implementation, and how their files are found."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from backend.errors import ModelFileError
from backend.models.hunyuan_video.text_encoders import (
    encode_clip,
    encode_clip_ids,
    encode_llm,
    encode_llm_ids,
    load_clip,
    load_clip_model,
    load_llm,
    load_llm_model,
)
from backend.models.hunyuan_video.tokenizers import (
    PROMPT_TEMPLATE,
    load_clip_tokenizer,
    load_llm_tokenizer,
    tokenize_for_clip,
    tokenize_for_llm,
)
from tests.models.tiny_text_models import clip_tokenizer, llama_tokenizer, write_clip_folder, write_llama_folder

GOLDEN = Path(__file__).parents[1] / "golden"
ON_CPU = {"device": "cpu", "dtype": torch.float32}


@pytest.fixture(scope="module")
def values() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "text_io.safetensors")


@pytest.fixture
def llama_folder(tmp_path) -> Path:
    return write_llama_folder(tmp_path / "llama")


@pytest.fixture
def clip_folder(tmp_path) -> Path:
    return write_clip_folder(tmp_path / "clip")


def assert_near(found: torch.Tensor, wanted: torch.Tensor, *, relative: float = 1e-5) -> None:
    assert_close(found, wanted, rtol=0, atol=relative * wanted.abs().max().item())


def test_the_prompt_template_is_the_references():
    with safe_open(GOLDEN / "text_io.safetensors", framework="pt") as file:
        hashes = file.metadata()
    filled = PROMPT_TEMPLATE.format("A cat walks.")
    assert hashlib.sha256(PROMPT_TEMPLATE.encode()).hexdigest() == hashes["video_template_sha256"]
    assert hashlib.sha256(filled.encode()).hexdigest() == hashes["video_template_filled_sha256(text='A cat walks.')"]


def test_the_hidden_states_are_those_of_the_reference(llama_folder, values):
    model = load_llm_model(llama_folder, **ON_CPU)
    states, mask = encode_llm_ids(model, values["llm.input_ids"], mask=values["llm.attention_mask"])
    assert_near(states, values["llm.out_hidden"])
    assert torch.equal(mask, values["llm.out_mask"])


def test_in_8_bits_the_hidden_states_are_nearly_the_same_in_half_the_memory(llama_folder, values):
    wide = load_llm_model(llama_folder, device="cpu", dtype=torch.float16)
    small = load_llm_model(llama_folder, device="cpu", dtype=torch.float16, float8=True)
    linears = [module for module in small.modules() if isinstance(module, torch.nn.Linear)]
    assert linears and all(linear.weight.dtype == torch.float8_e4m3fn for linear in linears)
    assert small.embed_tokens.weight.dtype == torch.float16
    states, expected = (
        encode_llm_ids(model, values["llm.input_ids"], mask=values["llm.attention_mask"])[0] for model in (small, wide)
    )
    assert states.dtype == torch.float16
    real = values["llm.out_mask"].bool()
    error = (states[real].float() - expected[real].float()).norm() / expected[real].float().norm()
    assert 0 < error < 0.1  # e4m3 keeps 3 bits of a number: each is off by 2 % on average


def test_the_pooled_state_is_that_of_the_reference(clip_folder, values):
    model = load_clip_model(clip_folder, **ON_CPU)
    pooled, mask = encode_clip_ids(model, values["clip.input_ids"], mask=values["clip.attention_mask"])
    assert_near(pooled, values["clip.out_pooled"])
    assert torch.equal(mask, values["clip.out_mask"])


def test_layers_that_are_not_used_are_not_loaded(llama_folder):
    model = load_llm_model(llama_folder, **ON_CPU)
    assert len(model.layers) == 2  # of 4
    assert not [name for name, tensor in model.named_buffers() if tensor.is_meta]


def test_the_rotary_table_stays_float32_in_half_precision(llama_folder):
    model = load_llm_model(llama_folder, device="cpu", dtype=torch.float16)
    assert model.rotary_emb.inv_freq.dtype == torch.float32
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float16}


def test_captions_become_states_without_the_template(llama_folder, values):
    llm = load_llm(llama_folder, **ON_CPU)
    states, mask = encode_llm(llm, ["the video", "the main theme of the video"])
    assert states.shape == (2, 256, 32)
    assert mask.shape == (2, 256)
    assert mask.dtype == torch.int64
    # the words, the token that ends the user's turn, then padding
    assert mask.sum(dim=1).tolist() == [2 + 1, 6 + 1]
    assert mask[0, :4].tolist() == [1, 1, 1, 0]


def test_a_caption_does_not_depend_on_its_neighbours_in_the_batch(llama_folder, clip_folder):
    captions = ["the video", "the main theme of the video"]
    for load, encode, folder in ((load_llm, encode_llm, llama_folder), (load_clip, encode_clip, clip_folder)):
        encoder = load(folder, **ON_CPU)
        together, alone = encode(encoder, captions)[0], encode(encoder, captions[:1])[0]
        assert_near(together[:1], alone)


def test_a_long_caption_is_cut_off(llama_folder, clip_folder):
    caption = "the video " * 500
    ids, mask = tokenize_for_llm(load_llm_tokenizer(llama_folder), [caption])
    assert ids.shape == (1, 351) and mask.all()
    ids, mask = tokenize_for_clip(load_clip_tokenizer(clip_folder), [caption])
    assert ids.shape == (1, 77) and mask.all()
    assert ids[0, [0, -1]].tolist() == [118, 119]


def test_braces_in_a_caption_stay_as_they_are(llama_folder):
    tokenizer = load_llm_tokenizer(llama_folder)
    assert tokenize_for_llm(tokenizer, ["{} {0} {video}"])[0].shape == (1, 351)


def test_clip_text_is_begun_ended_and_padded(clip_folder):
    ids, mask = tokenize_for_clip(load_clip_tokenizer(clip_folder), ["a cat walks", ""])
    assert ids[0, :6].tolist() == [118, 1, 2, 3, 119, 119]
    assert mask.sum(dim=1).tolist() == [5, 2]


def test_a_single_file_takes_tokenizer_and_configuration_from_a_folder_of_its_name(tmp_path, llama_folder, clip_folder):
    for load, folder in ((load_llm, llama_folder), (load_clip, clip_folder)):
        file = tmp_path / f"{folder.name}_file.safetensors"
        shutil.move(folder / "model.safetensors", file)
        folder.rename(file.with_suffix(""))
        assert load(file, **ON_CPU).tokenizer.get_vocab_size() > 0


@pytest.mark.parametrize("place", ["tokenizer", "."])
def test_a_single_file_takes_the_tokenizer_beside_it(llama_folder, place):
    folder = llama_folder / place
    folder.mkdir(exist_ok=True)
    if place != ".":
        shutil.move(llama_folder / "tokenizer.json", folder)
    assert load_llm(llama_folder / "model.safetensors", **ON_CPU)


def test_a_model_in_parts_and_inside_another_model_is_found(llama_folder, values):
    weights = load_file(llama_folder / "model.safetensors")
    config = json.loads((llama_folder / "config.json").read_text())
    (llama_folder / "model.safetensors").unlink()
    (llama_folder / "config.json").write_text(json.dumps({"model_type": "llava", "text_config": config}))
    names = sorted(weights)
    for number, part in ((1, names[:20]), (2, names[20:])):
        stored = {f"language_model.{name}": weights[name] for name in part} | {f"vision_tower.{number}": torch.ones(1)}
        save_file(stored, llama_folder / f"model-0000{number}-of-00002.safetensors")
    model = load_llm_model(llama_folder, **ON_CPU)
    states, _ = encode_llm_ids(model, values["llm.input_ids"], mask=values["llm.attention_mask"])
    assert_near(states, values["llm.out_hidden"])


def test_clip_files_with_and_without_prefix_are_read(clip_folder, values):
    file = clip_folder / "model.safetensors"
    weights = load_file(file)
    bare = {name.removeprefix("text_model."): tensor for name, tensor in weights.items()}
    extra = {"logit_scale": torch.ones(1), "text_projection.weight": torch.ones(24, 24)}
    extra["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    for stored in (bare, weights | extra):
        save_file(stored, file)
        model = load_clip_model(clip_folder, **ON_CPU)
        pooled, _ = encode_clip_ids(model, values["clip.input_ids"], mask=values["clip.attention_mask"])
        assert_near(pooled, values["clip.out_pooled"])


def llama_like_the_released(*, layers: int) -> dict[str, torch.Tensor]:
    """Weights of a narrow Llama with the released head size, 4 heads on 2."""
    shapes = {"self_attn.q_proj": (512, 64), "self_attn.k_proj": (256, 64), "self_attn.v_proj": (256, 64)}
    shapes |= {"self_attn.o_proj": (64, 512), "mlp.gate_proj": (96, 64), "mlp.up_proj": (96, 64)}
    shapes |= {"mlp.down_proj": (64, 96), "input_layernorm": (64,), "post_attention_layernorm": (64,)}
    names = {f"layers.{layer}.{name}": shape for layer in range(layers) for name, shape in shapes.items()}
    names |= {"embed_tokens": (100, 64), "norm": (64,)}
    return {f"model.{name}.weight": torch.zeros(shape) for name, shape in names.items()}


def test_without_a_configuration_the_size_is_read_off_the_shapes(tmp_path):
    save_file(llama_like_the_released(layers=12), tmp_path / "llm.safetensors")
    config = load_llm_model(tmp_path / "llm.safetensors", **ON_CPU).config
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (4, 2, 128)
    assert (config.vocab_size, config.hidden_size, config.intermediate_size) == (100, 64, 96)
    assert config.num_hidden_layers == 12 - 2
    assert config.rope_parameters["rope_theta"] == 500000


def test_a_missing_tokenizer_is_told_with_the_places_where_it_may_be(tmp_path, llama_folder, clip_folder):
    (llama_folder / "tokenizer.json").unlink()
    with pytest.raises(ModelFileError, match=r"no tokenizer found for it; tokenizer\.json is missing.*model or "):
        load_llm(llama_folder / "model.safetensors", **ON_CPU)
    (clip_folder / "tokenizer.json").unlink()
    with pytest.raises(ModelFileError, match=r"tokenizer\.json \(or vocab\.json and merges\.txt\) is missing"):
        load_clip(clip_folder, **ON_CPU)


def test_a_path_that_is_not_there_is_told(tmp_path):
    for load in (load_llm, load_clip):
        with pytest.raises(ModelFileError, match="there is no such file"):
            load(tmp_path / "missing.safetensors", **ON_CPU)


def test_the_tokenizer_of_another_language_model_is_refused(llama_folder):
    llama_tokenizer(words=r"\s+").save(str(llama_folder / "tokenizer.json"))
    with pytest.raises(ModelFileError, match=r"does not fit: it cuts the prompt template into \d+ tokens, wanted 95"):
        load_llm(llama_folder, **ON_CPU)


def test_a_tokenizer_that_does_not_begin_a_text_is_made_to(llama_folder):
    with_begin = tokenize_for_llm(load_llm_tokenizer(llama_folder), ["the video"])
    llama_tokenizer(adds_begin=False).save(str(llama_folder / "tokenizer.json"))
    without = tokenize_for_llm(load_llm_tokenizer(llama_folder), ["the video"])
    assert torch.equal(with_begin[0], without[0])


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(clip_folder):
    clip_tokenizer(end_id=120).save(str(clip_folder / "tokenizer.json"))
    with pytest.raises(ModelFileError, match="makes ids up to 120, the model has 120 tokens"):
        load_clip(clip_folder, **ON_CPU)


def test_a_damaged_tokenizer_is_told(clip_folder):
    (clip_folder / "tokenizer.json").write_text("{")
    with pytest.raises(ModelFileError, match="cannot be read as a tokenizer"):
        load_clip(clip_folder, **ON_CPU)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["{", "[1]", "\x00"])
def test_a_damaged_json_file_beside_a_model_is_told(llama_folder, name, content):
    (llama_folder / name).write_text(content)
    with pytest.raises(ModelFileError, match=rf"llama.{name}: .*JSON"):
        load_llm(llama_folder, **ON_CPU)


@pytest.mark.parametrize("kind", ["llama", "clip"])
def test_a_model_without_the_tensors_that_tell_its_size_is_told(llama_folder, clip_folder, kind):
    folder, load = {"llama": (llama_folder, load_llm_model), "clip": (clip_folder, load_clip_model)}[kind]
    (folder / "config.json").unlink()
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "embed" in name and "position" not in name}
    save_file(kept, folder / "model.safetensors")
    with pytest.raises(ModelFileError, match=r"is missing \(download or copy it again\)"):
        load(folder, **ON_CPU)


def test_the_original_clip_download_without_tokenizer_json_is_read(clip_folder):
    (clip_folder / "tokenizer.json").unlink()
    letters = {
        "<|startoftext|>": 118,
        "<|endoftext|>": 119,
        "a": 0,
        "a</w>": 1,
        "c": 2,
        "t</w>": 3,
        "ca": 4,
        "cat</w>": 5,
    }
    (clip_folder / "vocab.json").write_text(json.dumps(letters))
    (clip_folder / "merges.txt").write_text("#version: 0.2\nc a\nca t</w>\n")
    ids, mask = tokenize_for_clip(load_clip_tokenizer(clip_folder), ["A cat"])
    assert ids[0, :5].tolist() == [118, 1, 5, 119, 119]
    assert mask.sum() == 4


def test_models_given_the_wrong_way_round_are_told(llama_folder, clip_folder):
    with pytest.raises(ModelFileError, match=r"CLIP text encoder.*wanted: Llama text encoder"):
        load_llm_model(clip_folder, **ON_CPU)
    with pytest.raises(ModelFileError, match=r"Llama text encoder.*wanted: CLIP text encoder"):
        load_clip_model(llama_folder, **ON_CPU)


def test_a_folder_without_weights_is_told(tmp_path):
    with pytest.raises(ModelFileError, match=r"no weights in this folder; model\.safetensors"):
        load_llm_model(tmp_path, **ON_CPU)


def test_scaled_fp8_weights_are_refused(llama_folder):
    file = llama_folder / "model.safetensors"
    weights = load_file(file)
    save_file(weights | {"model.layers.0.mlp.up_proj.scale_weight": torch.ones(1)}, file)
    with pytest.raises(ModelFileError, match="scaled fp8 weights"):
        load_llm_model(llama_folder, **ON_CPU)
