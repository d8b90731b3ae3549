"""The network of a plan: modules, sizes, and the files that it starts from, by their headers."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from backend.config.schema import NetworkOptions
from backend.plan.adapters import LABELS, LOHA, LOKR, LORA, adapter_sizes
from backend.plan.modules import block_linears, shape_from_header
from backend.plan.network import plan_network
from backend.plan.selection import ModuleState, lora_name
from backend.plan.weights_header import read_header

GOLDEN = Path(__file__).parents[1] / "golden"
HEADER, _ = read_header(GOLDEN / "dit_model.safetensors")
LINEARS = block_linears(shape_from_header({name: tensor.shape for name, tensor in HEADER.items()}, path=Path("m")))


def plan_of(*, misfits="error", **options):
    return plan_network(NetworkOptions(**options), LINEARS, misfits=misfits)


def write_network(path, linears=LINEARS[5:9], **options) -> str:
    """A file of the network that the options make, of float16 numbers."""
    sizes = adapter_sizes(NetworkOptions(**{"network_dim": 4, **options}), linears)
    tensors = {
        f"{lora_name(name)}.{part}": np.zeros(shape, np.float16)
        for name, size in sizes.items()
        for part, shape in {**size.shapes, "alpha": ()}.items()
    }
    save_file(tensors, path)
    return str(path)


def told(plan):
    return [(problem.option, problem.severity, problem.message) for problem in plan.problems]


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("more", [{}, {"network_dim": 64}, {"factor": 4, "exclude_patterns": [".*single.*"]}])
def test_the_numbers_of_a_plan_are_those_of_its_file(tmp_path, kind, more):
    options = {"network_module": kind, "network_dim": 4, **more}
    plan = plan_of(**options)
    trained = [decision.module for decision in plan.decisions if decision.state is ModuleState.TRAINED]
    header, _ = read_header(Path(write_network(tmp_path / "a.safetensors", trained, **options)))
    assert plan.numbers_in_file == sum(int(np.prod(tensor.shape)) for tensor in header.values())
    assert plan.trainable_parameters == plan.numbers_in_file - len(trained)


@pytest.mark.parametrize("kind", LABELS)
def test_modules_and_numbers_are_those_of_the_start_weights_where_they_are_taken_from_there(tmp_path, kind):
    path = write_network(tmp_path / "a.safetensors", network_module=kind, network_dim=3, factor=4)
    plan = plan_of(network_module=kind, network_weights=path, dim_from_weights=True, exclude_patterns=["("])
    trained = [decision.module for decision in plan.decisions if decision.state is ModuleState.TRAINED]
    assert trained == LINEARS[5:9] and len(plan.decisions) == len(LINEARS)
    header, _ = read_header(Path(path))
    assert plan.numbers_in_file == sum(int(np.prod(tensor.shape)) for tensor in header.values())
    assert (plan.rank, plan.scale) == (3, None)
    assert plan.problems == ()


def test_rank_and_scale_are_told_where_all_modules_have_the_same():
    plan = plan_of(network_module=LOHA, network_dim=8, network_alpha=2)
    assert (plan.rank, plan.scale) == (8, 0.25)
    balanced = plan_of(network_module=LOKR, network_dim=5, network_alpha=2)  # of some modules whole
    assert (balanced.rank, balanced.scale) == (5, None)
    nothing = plan_of(exclude_patterns=["("], network_dim=4, network_alpha=0)
    assert (nothing.rank, nothing.scale, nothing.trainable_parameters) == (4, 1.0, 0)


@pytest.mark.parametrize("misfits", ["error", "warning", None])
@pytest.mark.parametrize("dim_from_weights", [False, True])
def test_start_weights_of_another_kind_are_an_error(tmp_path, dim_from_weights, misfits):
    path = write_network(tmp_path / "a.safetensors", network_module=LOHA)
    plan = plan_of(network_weights=path, dim_from_weights=dim_from_weights, misfits=misfits)
    message = f"{path}: this is a LoHa file, but network_module is networks.lora"
    assert told(plan) == [("network_module", "error", message)]


def test_start_weights_of_another_rank_are_an_error_unless_the_size_of_the_transformer_is_not_known(tmp_path):
    path = write_network(tmp_path / "a.safetensors", LINEARS[1:4], network_dim=2)
    options = {"network_dim": 4, "network_weights": path}
    (rank, _, message), *others = told(plan_of(**options))
    assert rank == "network_dim" and message == (
        f"{path}: {lora_name(LINEARS[1].name)}: the LoRA file has rank 2, but network_dim is 4"
    )
    assert [severity for _, severity, _ in others] == ["warning"]  # modules that start untrained
    assert [severity for _, severity, _ in told(plan_of(**options, misfits="warning"))] == ["warning"] * 2
    assert told(plan_of(**options, misfits=None)) == []


def test_files_to_merge_may_be_of_any_kind_and_have_to_fit(tmp_path):
    files = [write_network(tmp_path / f"{kind}.safetensors", network_module=kind, factor=4) for kind in LABELS]
    assert plan_of(base_weights=files).problems == ()
    wide = [type(linear)(linear.name, linear.in_features, 7 * linear.out_features) for linear in LINEARS[5:9]]
    misfit = write_network(tmp_path / "wide.safetensors", wide, network_module=LORA)
    ((option, severity, message),) = told(plan_of(base_weights=[*files, misfit]))
    assert (option, severity) == ("base_weights", "error")
    assert message.startswith(f"{misfit}: ") and "is wanted" in message


@pytest.mark.parametrize("option", ["network_weights", "base_weights"])
@pytest.mark.parametrize("dim_from_weights", [False, True])
def test_a_file_that_is_none_is_a_problem_of_its_option(tmp_path, option, dim_from_weights):
    for path, message in (
        (
            GOLDEN / "dit_model.safetensors",
            "a LoRA file is wanted, but this file seems to be: HunyuanVideo transformer",
        ),
        (tmp_path / "none.safetensors", "there is no such file"),
    ):
        value = str(path) if option == "network_weights" else [str(path)]
        ((found, severity, text),) = told(plan_of(**{option: value}, dim_from_weights=dim_from_weights))
        assert (found, severity) == (option, "error") and message in text
