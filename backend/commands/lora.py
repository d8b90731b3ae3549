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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from backend.config.command_line import Parser, finite
from backend.errors import ModelFileError, OptionError, StoppedByUser
from backend.runs.outcome import reported_outcome
from backend.runs.status import Reporter

if TYPE_CHECKING:
    from torch import Tensor

    from backend.plan.modules import LinearModule

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
    reporter = Reporter.from_environment()
    with reported_outcome(reporter, phase="loading"):
        options.run(options, reporter)
    return 0


def info(options: argparse.Namespace, _reporter: Reporter) -> None:
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
    from backend.networks.convert import alpha_of
    from backend.networks.kinds import ADAPTERS
    from backend.plan.adapter_files import kind_of_parts

    content = _read(file)
    kinds, ranks, alphas, norms = set(), set(), set(), {}
    for module, parts in content.modules.items():
        kind = kind_of_parts(parts)
        matrices = {part: tensor.float() for part, tensor in parts.items()}
        kinds.add(kind)
        if (down := matrices.get("lora_down.weight")) is not None:
            ranks.add(len(down))
            alphas.add(alpha_of(matrices))
        alpha = matrices.pop("alpha", None)
        change = ADAPTERS[kind].change(matrices, None if alpha is None else alpha.item())
        block = ".".join(module.split(".")[:2])
        norms[block] = (norms.get(block, 0.0) ** 2 + change.norm().item() ** 2) ** 0.5
    return {
        "file": str(file),
        "naming": content.naming,
        "kinds": sorted(kinds),
        "modules": len(content.modules),
        "ranks": sorted(ranks),
        "alphas": sorted(alphas),
        "numbers": sum(tensor.numel() for tensor in content.tensors.values()),
        "dtypes": sorted({str(tensor.dtype).removeprefix("torch.") for tensor in content.tensors.values()}),
        "norms": dict(sorted(norms.items(), key=_in_model_order)),
        "metadata": dict(sorted(content.metadata.items())),
    }


def convert(options: argparse.Namespace, reporter: Reporter) -> None:
    """Write the same LoRA in another naming."""
    from backend.networks.convert import true_metadata, write_modules

    _refuse_existing(options.output, options)
    content = _read(options.file)
    converted: dict[str, Tensor] = {}
    with _about(options.file):
        for module, parts in _counted(list(content.modules.items()), reporter):
            converted |= write_modules({module: dict(parts)}, options.target)
    _write(options, converted, true_metadata(content.metadata, converted), reporter)


def resize(options: argparse.Namespace, reporter: Reporter) -> None:
    """Write the nearest LoRA of lower rank, in the naming of the file."""
    from backend.networks.convert import alpha_of, true_metadata, write_modules
    from backend.networks.parts import refuse_not_finite
    from backend.networks.resize import fixed_rank, kept_energy, resize

    _refuse_existing(options.output, options)
    rank = fixed_rank(options.rank) if options.rank else kept_energy(options.keep_energy)
    content = _read(options.file)
    refuse_not_finite(content.tensors, path=options.file)
    modules = {}
    for module, parts in _counted(list(content.modules.items()), reporter):
        if "lora_down.weight" not in parts:
            raise ModelFileError(f"{options.file}: {module} is no LoRA", hint="only LoRA can be resized")
        down, up = parts["lora_down.weight"], parts["lora_up.weight"]
        modules[module] = _as_parts(*resize(down, up, alpha_of(parts) / len(down), rank), dtype=down.dtype)
    resized = write_modules(modules, content.naming)
    _write(options, resized, true_metadata(content.metadata, resized), reporter)


def merge(options: argparse.Namespace, reporter: Reporter) -> None:
    """Write the transformer with LoRAs added to its weights."""
    from safetensors.torch import save_file

    from backend.atomic_file import replaced
    from backend.networks.convert import write_modules
    from backend.networks.merge import MergedLoRA
    from backend.networks.parts import refuse_not_finite

    if len(options.lora_multiplier) > len(options.lora_weight):
        raise OptionError("--lora_multiplier has more numbers than there are files", hint="take the others out")
    _refuse_existing(options.save_merged_model, options)
    weights, linears = _read_transformer(options.dit)
    files = list(zip_longest(options.lora_weight, options.lora_multiplier, fillvalue=1.0))
    for number, (path, multiplier) in enumerate(files):
        content = _read(path)
        refuse_not_finite(content.tensors, path=path)
        lora = MergedLoRA(write_modules(content.modules, "default"), multiplier)
        with _about(path):
            for problem in lora.unused(linears):
                print(f"{problem.severity}: {path}: {problem}", flush=True)
            for linear in _counted(linears, reporter, round_of=(number, len(files))):
                weights[f"{linear.name}.weight"] = lora(linear.name, weights[f"{linear.name}.weight"])
        print(f"merged {path}, strength {multiplier:g}", flush=True)
    reporter.update(phase="saving")
    with replaced(options.save_merged_model) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary)
    reporter.update(files=(str(options.save_merged_model),))
    print(f"saved {options.save_merged_model}")


def extract(options: argparse.Namespace, reporter: Reporter) -> None:
    """Write the LoRA that comes nearest to the difference of two transformers."""
    from backend.networks.convert import write_modules
    from backend.networks.resize import fixed_rank, kept_energy, low_rank

    _refuse_existing(options.output, options)
    rank = kept_energy(options.keep_energy) if options.keep_energy else fixed_rank(options.rank)
    modules = {}
    for module, before, after in _changed_linears(options.dit, options.dit_tuned, reporter):
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
    _write(options, write_modules(modules, "default"), metadata, reporter)


Item = TypeVar("Item")


def _counted(items: Sequence[Item], reporter: Reporter, *, round_of: tuple[int, int] = (0, 1)) -> Iterator[Item]:
    """The items, each a step of the run when it is done. round_of: the how manieth time, from 0, of how many in all.

    Raises StoppedByUser where the run is asked to stop.
    """
    number, rounds = round_of
    reporter.update(phase="computing", total_steps=rounds * len(items))
    for step, item in enumerate(items, number * len(items) + 1):
        if reporter.is_requested("stop"):
            raise StoppedByUser("stopped; nothing was written")
        yield item
        reporter.update(step=step)


@dataclass(frozen=True)
class _LoraFile:
    """A LoRA file: its tensors by name, by module and part, in which naming, and its metadata."""

    tensors: Mapping[str, Tensor]
    modules: Mapping[str, Mapping[str, Tensor]]
    naming: str
    metadata: Mapping[str, str]


def _read(file: Path) -> _LoraFile:
    """A file whose modules are whole. Raises ModelFileError naming the file."""
    from backend.networks.convert import naming_of, read_modules
    from backend.networks.files import load_lora

    tensors, metadata = load_lora(file)
    with _about(file):
        return _LoraFile(tensors, read_modules(tensors), naming_of(list(tensors)), metadata)


@contextmanager
def _about(file: Path) -> Iterator[None]:
    """Have the errors inside name the file that they are about."""
    try:
        yield
    except ModelFileError as error:
        problems = [replace(problem, message=f"{file}: {problem.message}") for problem in error.problems]
        raise ModelFileError.of(problems) from error


def _read_transformer(path: Path) -> tuple[dict[str, Tensor], list[LinearModule]]:
    """The weights of a transformer, as the released checkpoint names them, and the Linears of its blocks."""
    from backend.models.weight_files import read_tensors
    from backend.plan.modules import block_linears, shape_from_header
    from backend.plan.weights_header import strip_prefix

    tensors = read_tensors(path)
    start = len(strip_prefix(tensors))
    weights = {name[start:]: tensor for name, tensor in tensors.items()}
    shape = shape_from_header({name: tuple(tensor.shape) for name, tensor in weights.items()}, path=path)
    linears = block_linears(shape)
    if missing := [linear.name for linear in linears if f"{linear.name}.weight" not in weights]:
        raise ModelFileError(f"{path}: {missing[0]}.weight is missing", hint="the file is damaged")
    return weights, linears


def _changed_linears(base: Path, tuned: Path, reporter: Reporter) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The Linears of the blocks whose weights differ, with both. Raises ModelFileError if the models do not fit."""
    import torch

    (before, linears), (after, others) = _read_transformer(base), _read_transformer(tuned)
    if linears != others:
        raise ModelFileError(f"{tuned}: is of another size than {base}", hint="both have to be of one model")
    for linear in _counted(linears, reporter):
        name = f"{linear.name}.weight"
        if not torch.equal(before[name], after[name]):
            yield linear.name, before[name], after[name]


def _as_parts(down: Tensor, up: Tensor, *, dtype: Any = None) -> dict[str, Tensor]:
    """A LoRA whose scale is 1: alpha is the rank."""
    import torch

    alpha = torch.tensor(float(len(down)))
    return {"lora_down.weight": down.to(dtype), "lora_up.weight": up.to(dtype), "alpha": alpha}


def _write(
    options: argparse.Namespace, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], reporter: Reporter
) -> None:
    import torch

    from backend.networks.files import save_lora

    dtypes = {"keep": None, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    hashes = ("sshs_model_hash", "sshs_legacy_hash")  # made anew, for the tensors are others
    kept = {name: text for name, text in metadata.items() if name not in hashes}
    reporter.update(phase="saving")
    save_lora(options.output, tensors, metadata=kept, dtype=dtypes[options.save_precision])
    reporter.update(files=(str(options.output),))
    print(f"saved {options.output}: {len(tensors)} tensors")


def _refuse_existing(path: Path, options: argparse.Namespace) -> None:
    """Before anything is computed."""
    if path.exists() and not options.overwrite:
        raise OptionError(f"{path}: exists already", hint="choose another name, or add --overwrite")


def _in_model_order(item: tuple[str, float]) -> tuple[str, int]:
    blocks, _, index = item[0].partition(".")
    return blocks, int(index) if index.isdecimal() else 0


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
        "--lora_multiplier", type=finite, nargs="+", default=[], metavar="X", help="1 where none is given"
    )
    parser.add_argument("--save_merged_model", type=Path, required=True, metavar="FILE", help="what to write")
    _add_overwrite(parser)


def _add_extract(commands: Any) -> None:
    parser = _subparser(commands, "extract", extract)
    parser.add_argument("--dit", type=Path, required=True, help="the transformer before")
    parser.add_argument("--dit_tuned", type=Path, required=True, help="the transformer after")
    parser.add_argument("--rank", type=_rank, default=32, metavar="N", help="of every module, at most (default: 32)")
    parser.add_argument("--keep_energy", type=_part, metavar="PART", help="take lower ranks that keep this much")
    _add_output(parser)


def _subparser(
    commands: Any, name: str, run: Callable[[argparse.Namespace, Reporter], None]
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, description=run.__doc__, allow_abbrev=False)
    parser.set_defaults(run=run)
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="what to write")
    _add_overwrite(parser)
    precision = "type of the numbers; keep: as in the file"
    parser.add_argument("--save_precision", choices=PRECISIONS, default="keep", help=precision)


def _add_overwrite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="write over an existing file")


def _rank(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"is {text}, but has to be a whole number, at least 1")
    return int(text)


def _part(text: str) -> float:
    if not 0 < finite(text) <= 1:
        raise argparse.ArgumentTypeError(f"is {text}, but has to be above 0 and at most 1")
    return float(text)
