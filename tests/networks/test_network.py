"""Networks of every kind on the small transformer: what they share, whatever they are made of."""

import copy

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import mse_loss

from backend.errors import ModelFileError, OptionError
from backend.models.hunyuan_video.compile import compile_blocks
from backend.networks.adapter import Dropouts
from backend.networks.files import load_lora, save_lora
from backend.networks.kinds import ADAPTERS
from backend.networks.merge import MergedLoRA
from backend.networks.network import Network, attach_network
from backend.plan.adapters import LABELS, LOHA, LOKR, LORA, adapter_size
from backend.plan.modules import block_linears
from tests.networks.small_adapters import weight_change
from tests.networks.test_lora import GOLDEN, largest_error, predict

KINDS = sorted(LABELS)
NAME = "double_blocks.0.img_attn_qkv"
KEY = "lora_unet_double_blocks_0_img_attn_qkv"


def attach(transformer, names, kind, *, random=False, dropouts=None, seed=1, **options) -> Network:
    """A network of rank 4 and alpha 2 on the named Linears; with `random` every matrix is away from zero."""
    linears = [linear for linear in block_linears(transformer.shape) if linear.name in names]
    sizes = {linear.name: adapter_size(kind, linear, **{"rank": 4, "alpha": 2.0, **options}) for linear in linears}
    network = attach_network(
        transformer,
        sizes,
        adapter=ADAPTERS[kind],
        dropouts=dropouts or Dropouts(),
        generator=torch.Generator().manual_seed(seed),
    )
    if random:
        generator = torch.Generator().manual_seed(2)
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.1, generator=generator)
    return network


def loss_and_gradients(transformer, network):
    golden = load_file(GOLDEN / "dit_b1.safetensors")
    loss = mse_loss(predict(transformer, golden), golden["in.target"])
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = None
    return loss.item(), gradients


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_network_changes_nothing_until_it_has_learned(transformer, module_names, kind):
    golden = load_file(GOLDEN / "dit_img1.safetensors")
    with torch.no_grad():
        before = predict(transformer, golden)
        attach(transformer, module_names, kind)
        assert torch.equal(predict(transformer, golden), before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_along_the_gradient_lowers_the_loss(transformer, module_names, kind):
    network = attach(transformer, module_names, kind)
    optimizer = torch.optim.AdamW(network.parameter_groups(2e-3))
    losses = []
    for _ in range(5):
        loss, gradients = loss_and_gradients(transformer, network)
        for name, parameter in network.named_parameters():
            parameter.grad = gradients[name]
        optimizer.step()
        losses.append(loss)
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.99 * losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_matrices_learn_and_each_is_in_a_file(transformer, module_names, kind):
    transformer.requires_grad_(True)
    network = attach(transformer, module_names, kind)
    learning = {id(parameter) for parameter in transformer.parameters() if parameter.requires_grad}
    assert learning == {id(parameter) for parameter in network.parameters()}
    state = network.state_dict()
    alphas = {name for name in state if name.endswith(".alpha")}
    assert len(alphas) == len(network.layers) == len(module_names)
    assert state.keys() - alphas == {name for name, _ in network.named_parameters()}
    assert network.trainable_parameters == sum(tensor.numel() for name, tensor in state.items() if name not in alphas)


@pytest.mark.parametrize(
    ("kind", "options", "shapes"),
    [
        (LORA, {}, {"lora_down.weight": (4, 64), "lora_up.weight": (192, 4)}),
        (LOHA, {}, {"hada_w1_a": (192, 4), "hada_w1_b": (4, 64), "hada_w2_a": (192, 4), "hada_w2_b": (4, 64)}),
        (LOKR, {}, {"lokr_w1": (12, 8), "lokr_w2_a": (16, 4), "lokr_w2_b": (4, 8)}),
        (LOKR, {"factor": 4}, {"lokr_w1": (4, 4), "lokr_w2_a": (48, 4), "lokr_w2_b": (4, 16)}),
        (LOKR, {"rank": 8}, {"lokr_w1": (12, 8), "lokr_w2": (16, 8)}),
    ],
)
def test_a_file_has_the_documented_keys_shapes_and_dtypes(transformer, tmp_path, kind, options, shapes):
    network = attach(transformer, [NAME], kind, **options)
    path = tmp_path / "a.safetensors"
    save_lora(path, network.state_dict(), metadata={}, dtype=torch.bfloat16)
    tensors, _ = load_lora(path)
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    assert found == {f"{KEY}.{part}": shape for part, shape in shapes.items()} | {f"{KEY}.alpha": ()}
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    assert tensors[f"{KEY}.alpha"].item() == options.get("rank", 2.0)  # of a whole LoKr the rank


@pytest.mark.parametrize("kind", KINDS)
def test_a_trained_network_is_the_same_after_saving_and_loading(transformer, module_names, tmp_path, kind):
    other = copy.deepcopy(transformer)
    network = attach(transformer, module_names, kind, random=True, alpha=3.0)
    save_lora(tmp_path / "a.safetensors", network.state_dict(), metadata={}, dtype=torch.float32)
    again = attach(other, module_names, kind, alpha=1.0)
    assert again.load_state_dict(load_lora(tmp_path / "a.safetensors")[0]) == []
    state = network.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.state_dict().items())
    golden = load_file(GOLDEN / "dit_img1.safetensors")
    with torch.no_grad():
        assert torch.equal(predict(other, golden), predict(transformer, golden))


@pytest.mark.parametrize("kind", KINDS)
def test_a_merged_file_predicts_what_the_network_does(transformer, module_names, kind):
    golden = load_file(GOLDEN / "dit_img1.safetensors")
    merged = copy.deepcopy(transformer)
    network = attach(transformer, module_names, kind, random=True)
    merge = MergedLoRA(network.state_dict(), 1.0)
    with torch.no_grad():
        before = predict(merged, golden)
        for name in module_names:
            linear = merged.get_submodule(name)
            linear.weight.copy_(merge(name, linear.weight))
        expected = predict(transformer, golden)
        assert largest_error(predict(merged, golden), expected) < 1e-5
        assert largest_error(before, expected) > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_checkpointing_gives_the_same_gradients_to_the_last_bit_with_every_dropout(transformer, module_names, kind):
    dropouts = Dropouts(neuron=0.2 if kind == LORA else 0, rank=0.2, module=0.2)
    network = attach(transformer, module_names, kind, random=True, dropouts=dropouts).train()
    results = []
    for checkpointing in (False, True):
        transformer.gradient_checkpointing = checkpointing
        torch.manual_seed(4)
        results.append(loss_and_gradients(transformer, network))
    assert results[0][0] == results[1][0]
    for name, gradient in results[0][1].items():
        again = results[1][1][name]
        assert (gradient is None) == (again is None) and (gradient is None or torch.equal(gradient, again)), name


@pytest.mark.parametrize("kind", [LOHA, LOKR])
def test_compiled_blocks_give_the_same_gradients(transformer, module_names, kind):
    network = attach(transformer, module_names, kind, random=True)
    loss, gradients = loss_and_gradients(transformer, network)
    compile_blocks([*transformer.single_blocks], backend="aot_eager", cache_size_limit=16)
    compiled_loss, compiled = loss_and_gradients(transformer, network)
    assert compiled_loss == pytest.approx(loss, rel=1e-5)
    assert max(largest_error(compiled[name], gradient) for name, gradient in gradients.items()) < 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_norms_above_the_limit_are_limited_and_the_others_stay(transformer, module_names, kind):
    network = attach(transformer, module_names, kind, random=True)

    def norms():
        return [(layer.scale * weight_change(layer.parts())).norm().item() for layer in network.layers.values()]

    before = norms()
    limit = sorted(before)[len(before) // 2]
    result = network.limit_weight_norms(limit)
    assert norms() == pytest.approx([min(norm, limit) for norm in before], rel=1e-5)
    assert result.scaled == sum(norm > limit * (1 + 1e-6) for norm in before) > 0
    assert result.mean == pytest.approx(sum(norms()) / len(before), rel=1e-5)
    assert result.largest == pytest.approx(limit, rel=1e-5)


@pytest.mark.parametrize("kind", [LOHA, LOKR])
def test_loha_and_lokr_are_one_group_and_have_nothing_for_loraplus(transformer, module_names, kind):
    network = attach(transformer, module_names, kind)
    (group,) = network.parameter_groups(1e-4)
    assert (group["name"], group["lr"]) == ("unet", 1e-4)
    assert group["param_names"] == [name for name, _ in network.named_parameters()]
    assert all(found is parameter for found, parameter in zip(group["params"], network.parameters(), strict=True))
    with pytest.raises(OptionError, match=r"loraplus_lr_ratio is 4\.0, but the network has no up matrices"):
        network.parameter_groups(1e-4, 4.0)


@pytest.mark.parametrize("kind", [LOHA, LOKR])
def test_dropout_follows_the_network_not_the_transformer(transformer, kind):
    network = attach(transformer, [NAME], kind, random=True, dropouts=Dropouts(rank=0.5))
    layer, x = network.layers[KEY], torch.randn(1, 3, 64)
    transformer.eval()
    network.train()
    assert layer.training and not torch.equal(layer(x), layer(x))
    network.train(False)
    assert torch.equal(layer(x), layer(x))


class TestLoading:
    """What keeps a file from being loaded is told, and nothing is changed."""

    @pytest.mark.parametrize(("kind", "other"), [(LOHA, LORA), (LOKR, LOHA), (LORA, LOKR)])
    def test_a_file_of_another_kind(self, transformer, module_names, kind, other):
        file = attach(copy.deepcopy(transformer), module_names, other).state_dict()
        network = attach(transformer, module_names, kind)
        with pytest.raises(ModelFileError) as refusal:
            network.load_state_dict(file)
        assert str(refusal.value) == (
            f"this is a {LABELS[other]} file, but network_module is {kind} "
            f"(set network_module to {other}, or choose a {LABELS[kind]} file)"
        )

    @pytest.mark.parametrize(
        ("kind", "of_file", "message"),
        [
            (LOHA, {"rank": 2}, "the LoHa file has rank 2, but network_dim is 4 (set network_dim to 2, or switch"),
            (LOKR, {"rank": 2}, "the LoKr file has rank 2, but network_dim is 4 (set network_dim to 2, or switch"),
            (LOKR, {"rank": 8}, "has a whole lokr_w2, but network_dim 4 makes two factors of it (set network_dim to 8"),
            (LOKR, {"factor": 4}, "shape (4, 4), but (12, 8) is wanted (the file has another factor"),
        ],
    )
    def test_another_size(self, transformer, kind, of_file, message):
        file = attach(copy.deepcopy(transformer), [NAME], kind, **of_file).state_dict()
        network = attach(transformer, [NAME], kind)
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        with pytest.raises(ModelFileError) as refusal:
            network.load_state_dict(file)
        assert message in str(refusal.value)
        assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())

    def test_factors_where_the_network_keeps_the_larger_matrix_whole(self, transformer):
        file = attach(copy.deepcopy(transformer), [NAME], LOKR).state_dict()
        network = attach(transformer, [NAME], LOKR, rank=8)
        with pytest.raises(ModelFileError, match="the LoKr file has rank 4, but network_dim 8 keeps lokr_w2 whole"):
            network.load_state_dict(file)

    @pytest.mark.parametrize("kind", [LOHA, LOKR])
    def test_a_missing_alpha_is_the_rank(self, transformer, kind):
        network = attach(transformer, [NAME], kind, alpha=1.0)
        file = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("alpha")}
        assert network.load_state_dict(file) == []
        assert (network.layers[KEY].scale, network.layers[KEY].alpha.item()) == (1.0, 4.0)


@pytest.mark.parametrize("alpha", [0.1, 1 / 3, 7.7])
def test_a_saved_alpha_gives_the_scale_that_was_trained_with(transformer, alpha):
    """A resumed training could not be the same to the last bit if float32's rounding of alpha changed the scale."""
    network = attach(transformer, [NAME], LORA, rank=3, alpha=alpha)
    trained_with = network.layers[KEY].scale
    network.load_state_dict({name: tensor.clone() for name, tensor in network.state_dict().items()})
    assert network.layers[KEY].scale == trained_with
