"""LoRA files: `python -m backend lora info|convert|resize|merge|extract`; each has a --help of its own.

python -m backend lora info my_lora.safetensors --json
python -m backend lora convert my_lora.safetensors --target diffusers --output for_diffusers.safetensors
python -m backend lora resize my_lora.safetensors --keep_energy 0.95 --output small.safetensors
python -m backend lora merge --dit base.safetensors --lora_weight my_lora.safetensors --save_merged_model m.safetensors
python -m backend lora extract --dit base.safetensors --dit_tuned tuned.safetensors --rank 32 --output lora.safetensors
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.config.command_line import Parser
from backend.errors import ModelFileError, OptionError

if TYPE_CHECKING:
    from torch import Tensor

PRECISIONS = ("keep", "fp32", "fp16", "bf16")


def main(arguments: list[str]) -> int:
    """Do what the first argument says. Returns 0; whatever went wrong is raised."""
    parser = Parser(
        prog="python -m backend lora", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="info|convert|resize|merge|extract")
    for add in (_add_info, _add_convert, _add_resize, _add_merge, _add_extract):
        add(commands)
    unknown = [text for text in arguments[:1] if text.startswith("-") and text not in ("-h", "--help")]
    if unknown:  # argparse would take what follows for the command
        raise OptionError.of(parser.problems_of(unknown))
    options = parser.parse_args(arguments)
    options.run(options)
    return 0


def info(options: argparse.Namespace) -> None:
    """Print what a file holds: naming, modules, ranks, alphas, numbers, norms of each block, metadata."""
    facts = facts_of(options.file)
    if options.json:
        print(json.dumps(facts, ensure_ascii=False, indent=1))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for key, each in value.items():
                print(f"  {key}: {each:.4g}" if isinstance(each, float) else f"  {key}: {each}")
        else:
            print(f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")


def facts_of(file: Path) -> dict[str, Any]:
    """What a LoRA file holds, by name, in JSON's types. norms: of the change of the weights, block by block."""
    from backend.networks.convert import naming_of, read_modules
    from backend.networks.files import load_lora
    from backend.networks.kinds import ADAPTERS
    from backend.plan.adapter_files import kind_of_parts

    tensors, metadata = load_lora(file)
    modules = read_modules(tensors)
    kinds, ranks, alphas, norms = set(), set(), set(), {}
    for module, parts in modules.items():
        kind = kind_of_parts(parts)
        if kind is None:
            raise ModelFileError(f"{file}: {module} has no matrices", hint="the file is damaged")
        matrices = {part: tensor.float() for part, tensor in parts.items()}
        alpha = matrices.pop("alpha", None)
        kinds.add(kind)
        if (down := matrices.get("lora_down.weight")) is not None:
            ranks.add(len(down))
            alphas.add(float(len(down) if alpha is None else alpha))
        change = ADAPTERS[kind].change(matrices, None if alpha is None else alpha.item())
        block = ".".join(module.split(".")[:2])
        norms[block] = (norms.get(block, 0.0) ** 2 + change.norm().item() ** 2) ** 0.5
    return {
        "file": str(file),
        "naming": naming_of(list(tensors)),
        "kinds": sorted(kinds),
        "modules": len(modules),
        "ranks": sorted(ranks),
        "alphas": sorted(alphas),
        "numbers": sum(tensor.numel() for tensor in tensors.values()),
        "dtypes": sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()}),
        "norms": dict(sorted(norms.items(), key=_in_model_order)),
        "metadata": dict(sorted(metadata.items())),
    }


def convert(options: argparse.Namespace) -> None:
    """Write the same LoRA in another naming."""
    from backend.networks.convert import convert, true_metadata
    from backend.networks.files import load_lora

    tensors, metadata = load_lora(options.file)
    converted = convert(tensors, options.target)
    _write(options, converted, true_metadata(metadata, converted))


def resize(options: argparse.Namespace) -> None:
    """Write the nearest LoRA of lower rank, in the naming of the file."""
    from backend.networks.convert import naming_of, read_modules, true_metadata, write_modules
    from backend.networks.files import load_lora
    from backend.networks.resize import fixed_rank, kept_energy, resize

    rank = fixed_rank(options.rank) if options.rank else kept_energy(options.keep_energy)
    tensors, metadata = load_lora(options.file)
    modules = {}
    for module, parts in read_modules(tensors).items():
        if "lora_down.weight" not in parts:
            raise ModelFileError(f"{options.file}: {module} is no LoRA", hint="only LoRA can be resized")
        down, up = parts["lora_down.weight"], parts["lora_up.weight"]
        scale = float(parts.get("alpha", len(down))) / len(down)
        modules[module] = _as_parts(*resize(down, up, scale, rank), dtype=down.dtype)
    resized = write_modules(modules, naming_of(list(tensors)))
    _write(options, resized, true_metadata(metadata, resized))


def merge(options: argparse.Namespace) -> None:
    """Write the transformer with LoRAs added to its weights."""
    from safetensors.torch import save_file

    from backend.atomic_file import replaced
    from backend.models.weight_files import read_tensors
    from backend.networks.merge import MergedLoRA
    from backend.networks.weights import read_lora_weights
    from backend.plan.modules import block_linears, shape_from_header
    from backend.plan.weights_header import strip_prefix

    if len(options.lora_multiplier) > len(options.lora_weight):
        raise OptionError("--lora_multiplier has more numbers than there are files", hint="take the others out")
    tensors = read_tensors(options.dit)
    start = len(strip_prefix(tensors))
    weights = {name[start:]: tensor for name, tensor in tensors.items()}
    linears = block_linears(shape_from_header({name: tuple(tensor.shape) for name, tensor in weights.items()}))
    for path, multiplier in zip_longest(options.lora_weight, options.lora_multiplier, fillvalue=1.0):
        lora = MergedLoRA(read_lora_weights(path), multiplier)
        for problem in lora.unused(linears):
            print(f"{problem.severity}: {path}: {problem}", flush=True)
        for linear in linears:
            weights[f"{linear.name}.weight"] = lora(linear.name, weights[f"{linear.name}.weight"])
        print(f"merged {path}, strength {multiplier:g}", flush=True)
    with replaced(options.save_merged_model) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary)
    print(f"saved {options.save_merged_model}")


def extract(options: argparse.Namespace) -> None:
    """Write the LoRA that comes nearest to the difference of two transformers."""
    from backend.models.weight_files import read_tensors
    from backend.networks.convert import write_modules
    from backend.networks.resize import fixed_rank, kept_energy, low_rank

    rank = kept_energy(options.keep_energy) if options.keep_energy else fixed_rank(options.rank)
    base, tuned = read_tensors(options.dit), read_tensors(options.dit_tuned)
    modules = {}
    for module, before, after in _changed_linears(base, tuned):
        modules[module] = _as_parts(*low_rank(after.float() - before.float(), rank, most=options.rank))
    if not modules:
        raise ModelFileError(f"{options.dit_tuned}: its blocks are those of {options.dit}", hint="choose another file")
    metadata = {
        "ss_base_model_version": "hunyuan_video",
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(options.rank),
        "ss_network_alpha": str(options.rank),
        "ss_training_comment": f"extracted from {options.dit_tuned.name} minus {options.dit.name}",
    }
    print(f"{len(modules)} modules differ")
    _write(options, write_modules(modules, "default"), metadata)


def _changed_linears(base: Mapping[str, Tensor], tuned: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The Linears of the blocks whose weights differ, with both. Raises ModelFileError if the models do not fit."""
    import torch

    from backend.plan.modules import block_linears, shape_from_header
    from backend.plan.weights_header import strip_prefix

    starts = [len(strip_prefix(tensors)) for tensors in (base, tuned)]
    named = [
        {name[start:]: tensor for name, tensor in tensors.items()}
        for start, tensors in zip(starts, (base, tuned), strict=True)
    ]
    shapes = [shape_from_header({name: tuple(each.shape) for name, each in tensors.items()}) for tensors in named]
    if shapes[0] != shapes[1]:
        raise ModelFileError("the two transformers have different sizes", hint="both have to be of one model")
    for linear in block_linears(shapes[0]):
        before, after = (tensors[f"{linear.name}.weight"] for tensors in named)
        if not torch.equal(before, after):
            yield linear.name, before, after


def _as_parts(down: Tensor, up: Tensor, *, dtype: Any = None) -> dict[str, Tensor]:
    """A LoRA whose scale is 1: alpha is the rank."""
    import torch

    alpha = torch.tensor(float(len(down)))
    return {"lora_down.weight": down.to(dtype), "lora_up.weight": up.to(dtype), "alpha": alpha}


def _write(options: argparse.Namespace, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    import torch

    from backend.networks.files import save_lora

    if options.output.exists() and not options.overwrite:
        raise OptionError(f"{options.output}: exists already", hint="choose another --output, or add --overwrite")
    dtypes = {"keep": None, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    hashes = ("sshs_model_hash", "sshs_legacy_hash")  # made anew, for the tensors are others
    kept = {name: text for name, text in metadata.items() if name not in hashes}
    save_lora(options.output, tensors, metadata=kept, dtype=dtypes[options.save_precision])
    print(f"saved {options.output}: {len(tensors)} tensors")


def _in_model_order(item: tuple[str, float]) -> tuple[str, int]:
    blocks, index = item[0].split(".")
    return blocks, int(index)


def _add_info(commands: Any) -> None:
    parser = _subparser(commands, "info", info)
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="for programs")


def _add_convert(commands: Any) -> None:
    parser = _subparser(commands, "convert", convert)
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--target", choices=("default", "comfyui", "diffusers"), required=True, help="the naming wanted"
    )
    _add_output(parser)


def _add_resize(commands: Any) -> None:
    parser = _subparser(commands, "resize", resize)
    parser.add_argument("file", type=Path)
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--rank", type=_rank, metavar="N", help="of every module, at most")
    size.add_argument("--keep_energy", type=_part, metavar="PART", help="of each module's norm squared, such as 0.95")
    _add_output(parser)


def _add_merge(commands: Any) -> None:
    parser = _subparser(commands, "merge", merge)
    parser.add_argument("--dit", type=Path, required=True, help="the transformer")
    parser.add_argument("--lora_weight", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument(
        "--lora_multiplier", type=float, nargs="+", default=[], metavar="X", help="1 where none is given"
    )
    parser.add_argument("--save_merged_model", type=Path, required=True, metavar="FILE", help="what to write")


def _add_extract(commands: Any) -> None:
    parser = _subparser(commands, "extract", extract)
    parser.add_argument("--dit", type=Path, required=True, help="the transformer before")
    parser.add_argument("--dit_tuned", type=Path, required=True, help="the transformer after")
    parser.add_argument("--rank", type=_rank, default=32, metavar="N", help="of every module, at most (default: 32)")
    parser.add_argument("--keep_energy", type=_part, metavar="PART", help="take lower ranks that keep this much")
    _add_output(parser)


def _subparser(commands: Any, name: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, description=run.__doc__, allow_abbrev=False)
    parser.set_defaults(run=run)
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="what to write")
    parser.add_argument("--overwrite", action="store_true", help="write over an existing file")
    precision = "type of the numbers; keep: as in the file"
    parser.add_argument("--save_precision", choices=PRECISIONS, default="keep", help=precision)


def _rank(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"is {text}, but has to be at least 1")
    return int(text)


def _part(text: str) -> float:
    if not 0 < float(text) <= 1:
        raise argparse.ArgumentTypeError(f"is {text}, but has to be above 0 and at most 1")
    return float(text)
