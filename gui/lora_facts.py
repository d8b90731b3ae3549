"""What is in a LoRA file, for the Tools tab: `GET /lora/facts?path=PATH`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backend.config.configuration import all_options
from backend.config.importing import METADATA_NAMES
from backend.plan.adapter_facts import AdapterFacts, ModuleFacts, read_adapter_facts
from backend.plan.adapter_names import BLOCKS
from backend.plan.adapters import LABELS
from backend.plan.weights_header import size_of_file
from gui.dataset_document import allowed_path
from gui.json_requests import answering
from gui.languages import language_of
from gui.texts import Texts, texts_of

MOST_BLOCKS = 200
"""A grid of more blocks than this is not drawn: no model of the family has a third of them."""

OWN_FACTS = (
    "steps", "epoch", "num_epochs", "max_train_steps", "num_train_items", "num_batches_per_epoch",
    "base_model_version", "sd_model_name", "vae_name", "training_started_at", "training_finished_at",
)  # fmt: skip
"""ss_ keys that are no options, with words of their own under tools.known."""

NOT_TOLD = ("None", "")


@answering
async def get_facts(request: Request) -> Response:
    """What `facts_record` tells of the file; 422 with the reason if it may not be looked at or is no LoRA."""
    path = allowed_path(request, request.query_params.get("path", ""))
    facts = await run_in_threadpool(_facts_of, path)
    return JSONResponse({"path": str(path), "name": path.name, **facts_record(facts, texts_of(language_of(request)))})


def facts_record(facts: AdapterFacts, texts: Texts) -> dict[str, Any]:
    """As the page shows it.

    groups: the blocks as grids, a cell for each Linear of a block, null where the file has no such module. others: the
    modules beside them. known: [label, value] of the metadata that is understood; metadata: [key, value] of the rest.
    """
    known, rest = _metadata(facts.metadata, texts)
    groups, others = _groups(facts.modules)
    return {
        "size": facts.size,
        "naming": facts.naming,
        "kinds": sorted({LABELS[module.kind] for module in facts.modules}),
        "dtypes": list(facts.dtypes),
        "numbers": facts.numbers,
        "module_count": len(facts.modules),
        "ranks": _distinct(module.rank for module in facts.modules),
        "alphas": _distinct(module.alpha for module in facts.modules),
        "norm": _number(math.sqrt(sum(module.norm**2 for module in facts.modules))),
        "groups": groups,
        "others": others,
        "known": known,
        "metadata": rest,
    }


def _facts_of(path: Path) -> AdapterFacts:
    """Read anew only if the file has changed. Raises ModelFileError if it cannot be read."""
    size_of_file(path)  # tells what is wrong with a file in words
    status = path.stat()
    return _read_once(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _read_once(path: Path, _size: int, _written: int) -> AdapterFacts:
    return read_adapter_facts(path)


def _groups(modules: Sequence[ModuleFacts]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Grids for the lists of blocks that the file has modules of, and the modules that are in none."""
    placed: dict[str, dict[tuple[str, int], dict[str, Any]]] = {kind: {} for kind in BLOCKS}
    others = []
    for module in modules:
        match = re.fullmatch(r"(double_blocks|single_blocks)\.(\d{1,4})\.(.+)", module.name)
        if match and int(match[2]) < MOST_BLOCKS and match[3] in BLOCKS[match[1]][1]:
            placed[match[1]][match[3], int(match[2])] = _cell(module)
        else:
            others.append({"name": module.name, **_cell(module)})
    return [_group(kind, cells) for kind, cells in placed.items() if cells], others


def _group(kind: str, cells: Mapping[tuple[str, int], dict[str, Any]]) -> dict[str, Any]:
    blocks = 1 + max(block for _, block in cells)
    parts = sorted(BLOCKS[kind][1], key=lambda part: "mod" in part)  # modulation last, as in the module map
    rows = [{"part": part, "cells": [cells.get((part, block)) for block in range(blocks)]} for part in parts]
    return {"kind": kind, "blocks": blocks, "rows": rows}


def _cell(module: ModuleFacts) -> dict[str, Any]:
    """norm: None if it is not finite."""
    outputs, inputs = module.shape
    size = {"shape": [inputs, outputs], "rank": module.rank, "alpha": module.alpha, "numbers": module.numbers}
    return {"norm": _number(module.norm), **size}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _distinct(values: Any) -> list[Any]:
    return sorted({value for value in values if value is not None})


def _metadata(metadata: Mapping[str, str], texts: Texts) -> tuple[list[list[str]], list[list[str]]]:
    """What is understood, in words, and everything else as it stands there."""
    known, rest = [], []
    for key, text in sorted(metadata.items()):
        label = _label(key, texts)
        if label and text not in NOT_TOLD:
            known.append([label, _in_words(key, text, texts)])
        else:
            rest.append([key, text])
    return known, rest


def _label(key: str, texts: Texts) -> str:
    """The words for an ss_ key: those of the option that it tells, or of the fact; "" for others."""
    name = key.removeprefix("ss_")
    option = all_options().get(METADATA_NAMES.get(name, name)) if key.startswith("ss_") else None
    if option is not None:
        return texts.option_label(option)
    return texts(f"tools.known.{name}") if key.startswith("ss_") and name in OWN_FACTS else ""


def _in_words(key: str, text: str, texts: Texts) -> str:
    if text in ("True", "False"):
        return texts("failure.on") if text == "True" else texts("failure.off")
    if key.endswith("_at"):
        return _time(text)
    if text.startswith("{"):
        return _pairs(text)
    return text


def _time(text: str) -> str:
    """A Unix time as date and time of day of this machine."""
    try:
        return datetime.fromtimestamp(float(text)).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return text


def _pairs(text: str) -> str:
    """A JSON object as name=value."""
    try:
        return ", ".join(f"{name}={value}" for name, value in json.loads(text).items())
    except (ValueError, AttributeError):
        return text
