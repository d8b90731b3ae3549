"""LoRA, LoHa and LoKr files by the names and shapes of their tensors: what is in them, and what does not fit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from backend.errors import ModelFileError, Problem
from backend.plan.adapters import (
    LABELS,
    LOHA,
    LOKR,
    LORA,
    PARTS,
    AdapterSize,
    Shape,
    factorise,
    loha_shapes,
    lokr_shapes,
    lora_shapes,
)
from backend.plan.modules import LinearModule
from backend.plan.selection import lora_name
from backend.plan.weights_header import kind_of_file, read_header

Anything = TypeVar("Anything")

NATIVE_PREFIX = "lora_unet_"
_DOTTED_PREFIXES = ("diffusion_model.", "transformer.")
_OF_DIFFUSERS = re.compile(r"(transformer\.)?(single_)?transformer_blocks\.")
_ENDINGS = {part: part for parts in PARTS.values() for part in parts} | {
    "lora_A.weight": "lora_down.weight",
    "lora_B.weight": "lora_up.weight",
    "alpha": "alpha",
}
_RANK_IN = {LORA: ("lora_down.weight", 0), LOHA: ("hada_w1_b", 0), LOKR: ("lokr_w2_a", 1)}
"""The part whose shape tells the rank, and where in it."""


def read_shapes(path: Path) -> dict[str, Shape]:
    """The shapes in a LoRA, LoHa or LoKr file, from its header, under the names that musubi-tuner saves.

    Raises ModelFileError if the file is missing, damaged, or holds something else.
    """
    header, _ = read_header(path)
    if (kind := kind_of_file(header)) != "LoRA":
        raise ModelFileError(f"{path}: a LoRA file is wanted, but this file seems to be: {kind}")
    return {native: header[name].shape for name, native in native_names(header, path=path).items()}


def native_names(names: Iterable[str], *, path: Path) -> dict[str, str]:
    """Each tensor name of a file with the one that musubi-tuner saves it under: lora_unet_<module>.lora_down.weight.

    Files that name modules with dots behind `diffusion_model.` or `transformer.` are understood. Raises ModelFileError
    for other names, those of diffusers among them, and for parts that none of the networks has.
    """
    names = list(names)
    if any(_OF_DIFFUSERS.match(name) for name in names):
        hint = f"first run: python -m backend lora convert {path} --target default --output NEW.safetensors"
        raise ModelFileError(f"{path}: names its modules as diffusers does, q, k and v apart", hint=hint)
    if not all(name.startswith(NATIVE_PREFIX) for name in names):
        return {name: _native_name(name, path=path) for name in names}
    odd = next((name for name in names if name.partition(".")[2] not in _ENDINGS), None)
    if odd is not None:
        raise ModelFileError(
            f"{path}: {odd} is no part of a LoRA, LoHa or LoKr", hint="networks of other kinds cannot be used here"
        )
    return {name: name for name in names}


def by_module(tensors: Mapping[str, Anything]) -> dict[str, dict[str, Anything]]:
    """The content of a file by the names of its modules, then by the endings: "lora_unet_…" -> "alpha" -> tensor."""
    modules: dict[str, dict[str, Anything]] = {}
    for name, tensor in tensors.items():
        module, _, part = name.partition(".")
        modules.setdefault(module, {})[part] = tensor
    return modules


def kind_of_parts(parts: Iterable[str]) -> str | None:
    """The kind of network, as network_module names it, that has these parts; None if they tell none."""
    parts = set(parts)
    return next((kind for kind, own in PARTS.items() if parts.intersection(own)), None)


def sizes_in_file(
    shapes: Mapping[str, Shape], linears: Sequence[LinearModule], *, alphas: Mapping[str, float] | None = None
) -> tuple[dict[str, AdapterSize], list[Problem]]:
    """The size of each module of a file, by the names and in the order of the Linears, and what does not fit them.

    shapes: as `read_shapes` gives them. alphas: of the modules, by their names in the file; a missing one is the rank.
    """
    modules = by_module(shapes)
    in_file = list(modules)
    sizes, faults = {}, []
    for linear in linears:
        name = lora_name(linear.name)
        if found := modules.pop(name, None):
            sizes[linear.name] = _size_in_file(linear, found, (alphas or {}).get(name))
            faults += _faults(name, sizes[linear.name], found)
    return sizes, _first_of_each_kind(faults) + _strangers(list(modules), count=len(in_file))


def kind_problems(shapes: Mapping[str, Shape], network_module: str) -> list[Problem]:
    """An error if a file holds modules of another kind of network."""
    kinds = {kind_of_parts(parts) for parts in by_module(shapes).values()} - {network_module, None}
    if not kinds:
        return []
    other = min(kinds)
    message = f"this is a {LABELS[other]} file, but network_module is {network_module}"
    hint = f"set network_module to {other}, or choose a {LABELS[network_module]} file"
    return [Problem(message, hint, "network_module")]


def loading_problems(sizes: Mapping[str, AdapterSize], shapes: Mapping[str, Shape]) -> list[Problem]:
    """What is wrong (errors) or doubtful (warnings) about loading a file into a network.

    sizes: of the network, at least one, by the names of its modules in a file. Errors: another kind of network,
    nothing in common, other ranks or shapes. Warnings: modules that only one side has.
    """
    modules = by_module(shapes)
    if other_kind := kind_problems(shapes, next(iter(sizes.values())).kind):
        return other_kind
    if not sizes.keys() & modules.keys():
        return [_nothing_fits(shapes)]
    faults = [fault for name, size in sizes.items() if name in modules for fault in _faults(name, size, modules[name])]
    missing, unused = sorted(sizes.keys() - modules.keys()), sorted(modules.keys() - sizes.keys())
    return _first_of_each_kind(faults) + _unmatched(missing, unused)


def refuse_errors(problems: Sequence[Problem]) -> None:
    """Raise ModelFileError with the errors among the problems, if there are any."""
    if errors := [problem for problem in problems if problem.severity == "error"]:
        raise ModelFileError.of(errors)


def _native_name(name: str, *, path: Path) -> str:
    """`diffusion_model.double_blocks.0.img_mod.linear.lora_A.weight` as musubi-tuner would name it."""
    prefix = next((prefix for prefix in _DOTTED_PREFIXES if name.startswith(prefix)), None)
    ending = next((ending for ending in _ENDINGS if name.endswith(f".{ending}")), None)
    if prefix is None or ending is None:
        wanted = "wanted names such as diffusion_model.double_blocks.0.img_mod.linear.lora_A.weight"
        raise ModelFileError(f"{path}: a tensor is called {name}", hint=wanted)
    return f"{lora_name(name[len(prefix) : -len(ending) - 1])}.{_ENDINGS[ending]}"


def _rank(kind: str, found: Mapping[str, Shape]) -> int | None:
    """The rank that the shapes of a module tell; None for a whole LoKr matrix, and where they tell none."""
    part, axis = _RANK_IN[kind]
    shape = found.get(part, ())
    return shape[axis] if len(shape) == 2 else None


def _size_in_file(linear: LinearModule, found: Mapping[str, Shape], alpha: float | None) -> AdapterSize:
    """The size that the shapes of a module tell; where they fit no such Linear, one that does."""
    kind = kind_of_parts(found) or LORA
    rank = _rank(kind, found)
    if kind == LOKR:
        w1_shape = _dividing(found.get("lokr_w1", ()), linear)
        shapes = lokr_shapes(linear, w1_shape=w1_shape, rank=None if "lokr_w2" in found else rank or 1)
        rank = max(shapes["lokr_w2"]) if "lokr_w2" in found else rank
    else:
        shapes = loha_shapes(linear, rank=rank or 1) if kind == LOHA else lora_shapes(linear, rank=rank or 1)
    return AdapterSize(kind, rank or 1, alpha or rank or 1, shapes)


def _dividing(shape: Shape, linear: LinearModule) -> Shape:
    """The shape of a LoKr's smaller matrix if it divides the Linear's sizes, else the balanced one."""
    sizes = (linear.out_features, linear.in_features)
    if len(shape) == 2 and all(part and size % part == 0 for part, size in zip(shape, sizes, strict=True)):
        return shape
    return tuple(factorise(size)[0] for size in sizes)


Fault = tuple[str, Problem]
"""What keeps one module of a file from being used, with its kind."""


def _faults(name: str, wanted: AdapterSize, found: Mapping[str, Shape]) -> list[Fault]:
    label = LABELS[wanted.kind]
    whole = "lokr_w2" in found
    rank = _rank(wanted.kind, found)
    if wanted.kind == LOKR and whole != wanted.is_full and (whole or rank):
        return [("mode", _other_mode(name, wanted, None if whole else rank))]
    missing = next((part for part in wanted.shapes if part not in found), None)
    if missing is not None:
        return [("missing", Problem(f"{name}: {missing} is missing in the {label} file", "the file is damaged"))]
    if rank is not None and rank != wanted.rank:
        message = f"{name}: the {label} file has rank {rank}, but network_dim is {wanted.rank}"
        return [("rank", Problem(message, _RANK_HINT.format(rank), "network_dim"))]
    faults = [
        ("shape", _other_shape(f"{name}.{part}", label, found[part], shape, is_lokr=wanted.kind == LOKR))
        for part, shape in wanted.shapes.items()
        if tuple(found[part]) != tuple(shape)
    ]
    if math.prod(found.get("alpha", ())) != 1:
        message = f"{name}.alpha: one number is wanted, but the shape is {tuple(found['alpha'])}"
        faults.append(("alpha", Problem(message)))
    return faults


_RANK_HINT = "set network_dim to {}, or switch dim_from_weights on"


def _other_mode(name: str, wanted: AdapterSize, rank: int | None) -> Problem:
    """rank: of the file; None where its larger matrix is whole."""
    if rank is not None:
        message = f"{name}: the LoKr file has rank {rank}, but network_dim {wanted.rank} keeps lokr_w2 whole"
        return Problem(message, _RANK_HINT.format(rank), "network_dim")
    message = f"{name}: the LoKr file has a whole lokr_w2, but network_dim {wanted.rank} makes two factors of it"
    enough = math.ceil(max(wanted.shapes["lokr_w2_a"][0], wanted.shapes["lokr_w2_b"][1]) / 2)
    return Problem(message, _RANK_HINT.format(f"{enough} or more"), "network_dim")


def _other_shape(name: str, label: str, found: Shape, wanted: Shape, *, is_lokr: bool) -> Problem:
    message = f"{name}: the {label} file has shape {tuple(found)}, but {tuple(wanted)} is wanted"
    if is_lokr:
        return Problem(message, "the file has another factor (switch dim_from_weights on) or is for another model")
    return Problem(message, "the file was made for another model")


def _first_of_each_kind(faults: list[Fault]) -> list[Problem]:
    """One problem for each kind of fault: 240 modules of a wrong rank are one mistake."""
    first: dict[str, Problem] = {}
    for kind, problem in faults:
        first.setdefault(kind, problem)
    return list(first.values())


def _nothing_fits(shapes: Mapping[str, Shape]) -> Problem:
    example = next(iter(shapes), "nothing")
    return Problem(
        f"the LoRA file has none of the modules to train; it holds {example}",
        hint="its keys have to begin with lora_unet_, and the patterns have to select some of its modules",
    )


def _unmatched(missing: list[str], unused: list[str]) -> list[Problem]:
    problems = []
    if missing:
        message = f"{len(missing)} modules are not in the LoRA file and start untrained, for example {missing[0]}"
        problems.append(Problem(message, severity="warning"))
    if unused:
        message = f"{len(unused)} modules of the LoRA file are not trained and left out, for example {unused[0]}"
        problems.append(Problem(message, severity="warning"))
    return problems


def _strangers(names: list[str], *, count: int) -> list[Problem]:
    """What to say of the modules of a file, of `count` in all, that belong to no Linear."""
    if not names and count:
        return []
    if len(names) == count:
        example = f", for example {names[0]}" if names else ""
        message = f"none of the LoRA's {count} modules is in the transformer{example}"
        return [Problem(message, "the file was made for another model")]
    message = f"{len(names)} modules of the LoRA are not in the transformer, for example {names[0]}"
    return [Problem(message, severity="warning")]
