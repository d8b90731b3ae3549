"""Settings from elsewhere: TOML, a pasted command, a LoRA file's metadata, what the pages of other programs save.

Each gives option values that are checked one by one, and a word on everything that was not understood.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.config.configuration import all_options, check_values
from backend.config.gui_files import LAUNCHER_REASON, NOTHING_REASON, is_of_musubi_gui, read_gui_file
from backend.config.imported import Imported, PassedOver, Source, as_written
from backend.config.network_args import OPTIONS as NETWORK_ARGS
from backend.config.network_args import parse_network_args
from backend.config.pasted_command import Pasted, split_command
from backend.config.reference_options import ENVIRONMENT_VARIABLES, OF_OTHER_MODELS
from backend.config.toml_file import PRESET_TABLE, flatten, parse_toml, read_toml
from backend.errors import OptionError


def import_text(text: str) -> Imported:
    """Settings in a pasted text or in the content of a file. Raises OptionError if it is none of the known kinds."""
    text = text.strip().removeprefix("\ufeff")
    if not text:
        raise OptionError("there is nothing to import", hint="paste a TOML or a command, or choose a file")
    if text.startswith("{"):
        return _from_gui("kohya_ss", _parse_json(text))
    if _looks_like_command(text):
        return _from_command(text)
    if words := _network_words(text):
        return _checked("command", {"network_args": words})
    return _from_toml(parse_toml(text))


PROGRAMS = ("accelerate", "python", "python3", "py", "uv", "torchrun")
"""What a command may begin with that has no options at all."""


def _looks_like_command(text: str) -> bool:
    """Whether flags stand in the text where a TOML has names with =, or a program at its beginning."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and lines[0].split()[0] in PROGRAMS:
        return True
    return any(re.search(r"(^|[\s'\"])--[A-Za-z]", line) for line in lines if not _looks_like_toml(line))


def _looks_like_toml(line: str) -> bool:
    """A table or a key; what is set in front of a command has no blank before its =, and a value without quotes."""
    return re.match(r"\[|[\w.\"'-]+(\s+=|=\s*[\"'\[{])", line) is not None


def _network_words(text: str) -> list[str]:
    """The strings of `network_args` where the text is no TOML and holds nothing else: one in a line, quoted or not."""
    try:
        parse_toml(text)
        return []
    except OptionError:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
    words = [word for line in lines for word in (split_command(line).commands[0] if line[0] in "\"'" else [line])]
    return words if all(word.partition("=")[0].strip() in NETWORK_ARGS for word in words) else []


def _from_toml(tables: Mapping[str, Any]) -> Imported:
    if any(isinstance(tables.get(key), list) for key in ("datasets",)):
        raise OptionError(
            "this is a dataset file: it has [[datasets]]", hint="name it in the field Dataset file (dataset_config)"
        )
    if is_of_musubi_gui(tables):
        return _from_gui("musubi_gui", tables)
    return _checked("toml", flatten({name: table for name, table in tables.items() if name != PRESET_TABLE}))


# -------------------------------------------------------------------------------------------------- command line

LAUNCHER_OPTIONS = (
    "mixed_precision", "num_processes", "num_machines", "machine_rank", "main_process_ip", "main_process_port",
    "gpu_ids", "num_cpu_threads_per_process", "dynamo_backend", "dynamo_mode",
)  # fmt: skip
"""What accelerate's launcher is told before the trainer, of which the options have the names."""

LAUNCHER_ALONE = ("multi_gpu", "quiet", "config_file", "dynamo_use_dynamic", "workspace")
"""What the launcher is told that follows from other options here."""


def _from_command(text: str) -> Imported:
    """The command with the most flags: others, such as cd and activating an environment, are passed over."""
    pasted = split_command(text)
    words = max(pasted.commands, key=lambda command: sum(word.startswith("--") for word in command), default=[])
    begin, end = _program(words)
    known, passed = _known_flags(_flags(words[end:]), pasted.unknown)
    values: dict[str, Any] = {}
    for name, given in _flags(words[:begin]):
        if name in LAUNCHER_OPTIONS:
            values[name] = " ".join(given)
        elif name not in LAUNCHER_ALONE:
            passed.append(PassedOver(f"--{name}", " ".join(given), LAUNCHER_REASON))
    for name, given in known:
        if name == "config_file":
            taken, other = _of_config_file(" ".join(given))
            values = {**values, **taken}
            passed += other
        elif name != "workspace":
            values[name] = _flag_value(name, given)
    if not values and not passed:
        raise OptionError("there is no option in this command", hint="paste the whole command")
    found = _checked("command", _opposites(values))
    return replace(found, passed_over=(*_around(words[begin:end], pasted), *passed, *found.passed_over))


def _program(words: list[str]) -> tuple[int, int]:
    """Where the trainer stands between the launcher's flags and its own: the last script, or the module after -m."""
    ends = [(at, at + 1) for at, word in enumerate(words) if word.endswith(".py")]
    ends += [(at, at + 2) for at, word in enumerate(words) if word == "-m"]
    ends += [(at - 1, at + 1) for at, word in enumerate(words) if at and word == "train" and words[at - 1] == "backend"]
    return max(ends, key=lambda place: place[1], default=(0, 0))


def _known_flags(
    flags: list[tuple[str, list[str]]], unknown: frozenset[str]
) -> tuple[list[tuple[str, list[str]]], list[PassedOver]]:
    """The flags without those that hold a variable whose value the pasted text does not tell, and a word on these."""
    known, passed = [], []
    for name, given in flags:
        variable = next((variable for variable in sorted(unknown) for word in given if variable in word), None)
        if variable is None:
            known.append((name, given))
        else:
            reason = f"the text does not tell what {variable} stands for"
            passed.append(PassedOver(name, " ".join(given), reason, "write the value in its place"))
    return known, passed


def _around(program: list[str], pasted: Pasted) -> Iterator[PassedOver]:
    """A word on a trainer of another model, and on variables of the environment."""
    script = re.split(r"[/\\]", program[-1])[-1] if program else ""
    if script.endswith("_train_network.py") and script != "hv_train_network.py":
        yield PassedOver(script, "", "this is about another model than HunyuanVideo")
    for name, value in pasted.environment.items():
        hint = "choose GPUs with gpu_ids" if name == "CUDA_VISIBLE_DEVICES" else ""
        shown = "…" if name in ENVIRONMENT_VARIABLES.values() else value
        yield PassedOver(name, shown, "a variable of the shell, no option", hint)


def _flags(words: list[str]) -> list[tuple[str, list[str]]]:
    """Each flag with what follows it; a list that is given in parts has all of them each time."""
    flags: list[tuple[str, list[str]]] = []
    for word in words:
        if re.match(r"--[A-Za-z]", word):
            flag, equals, value = word[2:].partition("=")
            name = flag.replace("-", "_")
            before = next((given for known, given in flags if known == name and _is_list(name)), [])
            before += [value] if equals else []
            flags.append((name, before))
        elif flags:
            flags[-1][1].append(word)
    return flags


def _is_list(name: str) -> bool:
    declared = all_options().get(name)
    return name == "network_args" or (declared is not None and declared.kind == "list")


def _flag_value(name: str, given: list[str]) -> Any:
    if _is_list(name):
        return given
    if not given:
        return True
    return " ".join(given)


def _opposites(values: Mapping[str, Any]) -> dict[str, Any]:
    """--no_sdpa as sdpa = false."""
    positive = {name: name.removeprefix("no_") for name in values if name.startswith("no_")}
    flags = {name for name, declared in all_options().items() if declared.kind == "flag"}
    return {
        positive[name] if (turned := name not in all_options() and positive.get(name) in flags) else name: (
            False if turned else value
        )
        for name, value in values.items()
    }


def _of_config_file(path: str) -> tuple[dict[str, Any], list[PassedOver]]:
    """The values in the TOML that a command names; if it cannot be read, a word on that."""
    file = Path(path)
    try:
        tables = read_toml(file if file.suffix == ".toml" else file.with_name(f"{file.name}.toml"))
    except OptionError as error:
        return {}, list(_refused("--config_file", path, error))
    return flatten({name: table for name, table in tables.items() if name != PRESET_TABLE}), []


# ------------------------------------------------------------------------------------------------ LoRA's metadata

METADATA_FACTS = frozenset(
    """
    session_id training_started_at training_finished_at steps epoch num_train_items num_batches_per_epoch num_epochs
    base_model_version full_fp16 full_bf16 datasets sd_model_name sd_model_hash new_sd_model_hash vae_name vae_hash
    new_vae_hash lr_scheduler_type fp8_base_unet
    """.split()  # noqa: SIM905
)
"""What a file tells of its training that is no setting of it."""

METADATA_NAMES = {"optimizer": "optimizer_type"}


def import_metadata(metadata: Mapping[str, str], *, place: str) -> Imported:
    """What a LoRA file tells of its training; keys that are empty or "None" say nothing.

    place: the file, for the message. Raises OptionError where it tells nothing.
    """
    told = {key.removeprefix("ss_"): text for key, text in metadata.items() if key.startswith("ss_")}
    if not told:
        raise OptionError(f"{place}: tells nothing about its training", hint="it was saved without metadata")
    values: dict[str, Any] = {}
    for name, text in told.items():
        if name in METADATA_FACTS or text in ("None", ""):
            continue
        if name == "optimizer":
            values |= _optimizer(text)
        elif name == "network_args":
            values[name] = [f"{key}={value}" for key, value in _parse_json(text).items()]
        else:
            values[METADATA_NAMES.get(name, name)] = {"True": True, "False": False}.get(text, text)
    return _checked("metadata", values)


def _optimizer(text: str) -> dict[str, Any]:
    """torch.optim.adamw.AdamW(weight_decay=0.1,betas=(0.9, 0.99)) as name and arguments."""
    name, _, arguments = text.partition("(")
    short = {"torch.optim.adamw.adamw": "adamw", "torch.optim.adamw": "adamw"}.get(name.lower(), name)
    inside = arguments.removesuffix(")")
    parts = re.findall(r"\w+=(?:\([^)]*\)|\[[^\]]*\]|[^,])+", inside)
    found: dict[str, Any] = {"optimizer_type": short}
    return found | {"optimizer_args": parts} if parts else found


# ------------------------------------------------------------------------------------------ other programs' pages


def _from_gui(source: Source, record: Mapping[str, Any]) -> Imported:
    """The fields, and the flags that stand in the one for further parameters, which win."""
    record = dict(record)
    flags = str(record.pop("additional_parameters", None) or "")
    values, passed = read_gui_file(record)
    for words in split_command(flags).commands:
        values |= _opposites({name: _flag_value(name, given) for name, given in _flags(words)})
    found = _checked(source, values)
    return replace(found, passed_over=(*passed, *found.passed_over))


# ------------------------------------------------------------------------------------------------------ checking


OTHER_MODELS_REASON = "an option of musubi-tuner for other models"


def _checked(source: Source, values: Mapping[str, Any]) -> Imported:
    """Each value by itself, so that one that is wrong does not keep the others out."""
    good: dict[str, Any] = {}
    passed: list[PassedOver] = []
    for name, value in _with_network_args_apart(values, passed).items():
        shown = "…" if name in ENVIRONMENT_VARIABLES else as_written(value)  # a secret is not shown
        if name in OF_OTHER_MODELS:
            passed.append(PassedOver(name, shown, OTHER_MODELS_REASON))
            continue
        try:
            checked = check_values({name: value})
        except OptionError as error:
            passed += _refused(name, shown, error)
            continue
        if name not in all_options():  # of musubi-tuner, without effect here
            passed.append(PassedOver(name, shown, NOTHING_REASON))
        good |= checked
    return Imported(source, good, tuple(passed))


def _refused(name: str, value: str, error: OptionError) -> Iterator[PassedOver]:
    for problem in error.problems:
        yield PassedOver(name, value, problem.message, problem.hint)


def _with_network_args_apart(values: Mapping[str, Any], passed: list[PassedOver]) -> dict[str, Any]:
    """The strings of `network_args` as options of their own; those that cannot be read are passed over."""
    given = dict(values)
    strings = given.pop("network_args", None) or []
    apart: dict[str, Any] = {}
    for string in [strings] if isinstance(strings, str) else strings:
        try:
            apart |= parse_network_args([string])
        except OptionError as error:
            passed += _refused("network_args", as_written(string), error)
    return {**apart, **given}


def _parse_json(text: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except ValueError as error:
        raise OptionError(f"the JSON cannot be read: {error}", hint="wanted the file that the GUI saved") from error
    if not isinstance(record, dict):
        raise OptionError("the JSON is no object", hint="wanted the file that the GUI saved")
    return record
