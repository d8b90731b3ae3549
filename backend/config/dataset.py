"""The dataset file, TOML or JSON: read with every mistake named at once, and written with comments."""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import ValidationError

from backend.atomic_file import write_text
from backend.config.dataset_models import (
    OTHER_MODELS_KEYS,
    DatasetFile,
    DatasetOptions,
    ImageDataset,
    VideoDataset,
    whole_latent_frames,
)
from backend.config.dataset_problems import DatasetProblem
from backend.errors import DatasetError, Problem

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Dataset = ImageDataset | VideoDataset


def read_dataset_file(path: Path) -> DatasetFile:
    """The datasets of a .toml or .json file; relative folders count from the current directory.

    Raises DatasetError with every mistake of the file, each with the number of its dataset and its key.
    """
    path = Path(path)
    try:
        return parse_datasets(_read_values(path))
    except DatasetError as error:
        raise DatasetError.of(_at(path, error.problems)) from None


def parse_datasets(values: Mapping[str, Any]) -> DatasetFile:
    """The datasets that {"general": {...}, "datasets": [{...}, ...]} describes.

    Raises DatasetError with every mistake.
    """
    general, problems = _general_values(values)
    datasets: dict[int, Dataset] = {}
    for number, entry in enumerate(_entries(values, problems), start=1):
        dataset = _parse_entry(entry, general, place=number, problems=problems)
        if dataset is not None:
            datasets[number] = dataset
    problems += [*_shared_cache_folders(datasets), *_control_folders(datasets)]
    problems = list(dict.fromkeys(problems))  # a mistake in [general] is told once, not once a dataset
    if any(problem.severity == "error" for problem in problems):
        raise DatasetError.of(sorted(problems, key=lambda problem: problem.severity))  # "error" before "warning"
    return DatasetFile(datasets=tuple(datasets.values()), warnings=tuple(problems))


def write_dataset_file(path: Path, dataset_file: DatasetFile) -> None:
    """Writes a TOML file that read_dataset_file and musubi-tuner read back to the same values."""
    write_text(path, format_dataset_file(dataset_file))


def format_dataset_file(dataset_file: DatasetFile) -> str:
    """The text of the TOML file, with a short comment beside each value."""
    tables = tomlkit.aot()
    for dataset in dataset_file.datasets:
        tables.append(_as_table(dataset))
    return tomlkit.dumps(tomlkit.document().append("datasets", tables))


# -- reading


def _read_values(path: Path) -> Mapping[str, Any]:
    parse = {".toml": tomllib.loads, ".json": json.loads}.get(path.suffix.lower())
    if parse is None:
        raise DatasetError.of([_error("the dataset file must end in .toml or .json")])
    try:
        values = parse(path.read_text(encoding="utf-8-sig"))  # Windows' editor puts a byte order mark in front
    except OSError as error:
        raise DatasetError.of([_error(f"cannot be read: {error.strerror}")]) from None
    except ValueError as error:  # not TOML, not JSON, not UTF-8
        raise DatasetError.of([_error(f"not a valid {path.suffix[1:].upper()} file: {error}")]) from None
    if not isinstance(values, dict):
        raise DatasetError.of([_error("a table with datasets is wanted")])
    return values


def _general_values(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """What [general] says for all datasets, and what is wrong with it and beside it."""
    problems: list[Problem] = [
        _error(f"unknown key {key}", hint=_did_you_mean(key, ("general", "datasets")), key=key)
        for key in values
        if key not in ("general", "datasets")
    ]
    general = values.get("general", {})
    if not isinstance(general, Mapping):
        return {}, [*problems, _error("general must be a table")]
    shared = (*DatasetOptions.model_fields, *OTHER_MODELS_KEYS)
    problems += _key_problems(general, place=0, wanted=shared)
    return {key: value for key, value in general.items() if key in shared}, problems


def _entries(values: Mapping[str, Any], problems: list[Problem]) -> list[Any]:
    entries = values.get("datasets", [])
    if isinstance(entries, list) and entries:
        return entries
    problems.append(_error("no datasets", hint="add a [[datasets]] entry with image_directory or video_directory"))
    return []


def _parse_entry(entry: Any, general: Mapping[str, Any], *, place: int, problems: list[Problem]) -> Dataset | None:
    """The dataset of one entry, None if it cannot be had; what is wrong is added to problems. place: its number."""
    if not isinstance(entry, Mapping):
        problems.append(_error(f"a table is wanted, found {_shown(entry)}", place=place))
        return None
    model = _model_of(entry, place=place, problems=problems)
    if model is None:
        return None
    known = (*model.model_fields, *OTHER_MODELS_KEYS)
    problems += _key_problems(entry, place=place, wanted=known)
    own = {key: value for key, value in entry.items() if key in known}
    try:
        dataset = model.model_validate({**general, **own})
    except ValidationError as error:
        problems += _value_problems(error, own, general, place=place)
        return None
    problems += _doubtful_values(dataset, place=place)
    return dataset


def _model_of(
    entry: Mapping[str, Any], *, place: int, problems: list[Problem]
) -> type[ImageDataset] | type[VideoDataset] | None:
    """The kind of an entry by the folder or list that it names; None if it names none, or both kinds."""
    choices = ("image_directory", "image_jsonl_file", "video_directory", "video_jsonl_file")
    sources = [key for key in choices if entry.get(key) is not None]
    if not sources:
        typed = next((hint for key in entry if (hint := _did_you_mean(key, choices)) and key not in KEYS), "")
        problems.append(_error("no pictures and no clips", hint=typed or f"add {' or '.join(choices)}", place=place))
        return None
    if len(sources) > 1:
        message = f"{' and '.join(sources)} in one entry"
        problems.append(_error(message, hint="make one entry for each", place=place, key=sources[1]))
    if sources[0].endswith("jsonl_file") and entry.get("cache_directory") is None:
        message = f"{sources[0]} needs cache_directory"
        problems.append(_error(message, hint="name a folder for the caches", place=place, key="cache_directory"))
    models = {ImageDataset if source.startswith("image") else VideoDataset for source in sources}
    return models.pop() if len(models) == 1 else None


KEYS = (*ImageDataset.model_fields, *VideoDataset.model_fields)


# -- problems


def _error(message: str, *, hint: str = "", place: int | None = None, key: str = "") -> DatasetProblem:
    return DatasetProblem(_placed(message, place), hint, "dataset_config", dataset=place, key=key)


def _warning(message: str, *, hint: str = "", place: int, key: str) -> DatasetProblem:
    return DatasetProblem(_placed(message, place), hint, "dataset_config", "warning", dataset=place, key=key)


def _placed(message: str, place: int | None) -> str:
    if place is None:
        return message
    return f"dataset {place}: {message}" if place else f"general: {message}"


def _at(path: Path, problems: Iterable[Problem]) -> list[Problem]:
    return [replace(each, message=f"{path}: {each.message}") for each in problems]


def _key_problems(keys: Iterable[str], *, place: int, wanted: tuple[str, ...]) -> list[DatasetProblem]:
    """What is wrong or doubtful about the keys of a table. place: the number of a dataset, 0 for [general]."""
    ignored = [
        _warning(f"{key} is for other models than HunyuanVideo: it is kept, and changes nothing", place=place, key=key)
        for key in keys
        if key in OTHER_MODELS_KEYS
    ]
    return ignored + [_unwanted_key(key, place=place, wanted=wanted) for key in keys if key not in wanted]


def _unwanted_key(key: str, *, place: int, wanted: tuple[str, ...]) -> DatasetProblem:
    if key in KEYS:
        message = f"{key} belongs in a dataset of the other kind" if place else f"{key} belongs in a [[datasets]] entry"
        return _error(message, place=place, key=key)
    return _error(f"unknown key {key}", hint=_did_you_mean(key, wanted), place=place, key=key)


def _did_you_mean(key: str, choices: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, list(choices), n=1)
    return f"did you mean {near[0]}?" if near else ""


def _value_problems(
    error: ValidationError, own: Mapping[str, Any], general: Mapping[str, Any], *, place: int
) -> list[Problem]:
    problems: list[Problem] = []
    for details in error.errors():
        key = str(details["loc"][0])
        where, value = (place, own[key]) if key in own else (0, general[key])
        problems.append(_error(f"{key} = {_shown(value)}, but {_wanted(details)}", place=where, key=key))
    return problems


def _wanted(details: Mapping[str, Any]) -> str:
    """What a value should have been, from one entry of pydantic's list of errors."""
    limits = details.get("ctx", {})
    match details["type"]:
        case "value_error":
            return str(limits["error"])
        case "int_type":
            return "a whole number is wanted"
        case "float_type":
            return "a number is wanted"
        case "bool_type":
            return "true or false is wanted"
        case "string_type":
            return "a text is wanted"
        case "greater_than_equal":
            return f"at least {limits['ge']} is wanted"
        case "greater_than":
            return f"more than {limits['gt']:g} is wanted"
        case "literal_error":
            return f"one of {limits['expected']} is wanted"
        case _:
            return str(details["msg"])


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _doubtful_values(dataset: Dataset, *, place: int) -> list[Problem]:
    problems: list[Problem] = []
    if dataset.bucket_no_upscale and not dataset.enable_bucket:
        message = "bucket_no_upscale does nothing without enable_bucket"
        problems.append(_warning(message, place=place, key="bucket_no_upscale"))
    if isinstance(dataset, VideoDataset) and dataset.frame_extraction != "full":
        cut = {count: whole_latent_frames(count) for count in dataset.target_frames}
        problems += [
            _warning(
                f"target_frames {count} is cut to {length}",
                hint="HunyuanVideo takes 4k + 1 frames",
                place=place,
                key="target_frames",
            )
            for count, length in cut.items()
            if count != length
        ]
    return problems


def _shared_cache_folders(datasets: Mapping[int, Dataset]) -> list[Problem]:
    """Two datasets in one cache folder would train on, and delete, each other's caches."""
    first: dict[str, int] = {}
    problems: list[Problem] = []
    for number, dataset in datasets.items():
        folder = os.path.normcase(os.path.realpath(dataset.cache_folder))
        if folder in first:
            problems.append(
                _error(
                    f"cache_directory {dataset.cache_folder} is that of dataset {first[folder]} too",
                    hint="give each dataset a cache_directory of its own",
                    place=number,
                    key="cache_directory",
                )
            )
        first.setdefault(folder, number)
    return problems


def _control_folders(datasets: Mapping[int, Dataset]) -> list[Problem]:
    """Once that they are not trained on, and each that is not there."""
    key = "control_directory"
    problems: list[Problem] = []
    for number, dataset in datasets.items():
        folder = dataset.control_directory
        if folder is not None and not problems:
            message = f"{key} is kept, but HunyuanVideo does not train on what lies there"
            problems.append(_warning(message, place=number, key=key))
        if folder is not None and not os.path.isdir(folder):  # noqa: PTH112 - any path is asked for
            problems.append(_warning(f"{key} names no folder: {folder}", hint="check the path", place=number, key=key))
    return problems


# -- writing


def _as_table(dataset: Dataset) -> tomlkit.items.Table:
    table = tomlkit.table()
    fields = type(dataset).model_fields
    sources_first = sorted(fields, key=lambda name: not name.endswith(("_directory", "_file")))
    for name in sources_first:
        value = getattr(dataset, name)
        if value is not None:
            table.append(name, as_toml_item(name, value))
    for name, value in (dataset.model_extra or {}).items():
        if value is not None:
            table.append(name, tomlkit.item(value))
    return table


def as_toml_item(key: str, value: Any) -> Any:
    """A value for tomlkit, with what the key means as its comment; a path may be given as text."""
    if isinstance(value, str) and value.strip() and key.endswith(("_directory", "_file")):
        value = Path(value)
    model = ImageDataset if key in ImageDataset.model_fields else VideoDataset
    return tomlkit.item(_as_toml(value)).comment(model.model_fields[key].description)


def _as_toml(value: Any) -> Any:
    """Paths with forward slashes, which Windows takes too, so that no reader trips over an escape."""
    if isinstance(value, Path):
        text = value.as_posix()
        is_plain = text.isprintable() and "'" not in text
        return tomlkit.string(
            text, literal=is_plain and ('"' in text or "\\" in text)
        )  # toml 0.10.2 misreads \\" there
    return list(value) if isinstance(value, tuple) else value
