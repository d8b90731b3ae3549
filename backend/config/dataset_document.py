"""A dataset file while it is edited: changed value by value, so that what else the user wrote in it stays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Table

from backend.atomic_file import write_text
from backend.config.dataset import KEYS, as_toml_item, parse_datasets
from backend.config.dataset_models import DatasetFile, DatasetOptions, ImageDataset, VideoDataset
from backend.errors import DatasetError, Problem

GENERAL = 0
"""The number that stands for [general] where a dataset's number is asked for."""


@dataclass(frozen=True)
class DatasetField:
    """A key of a dataset, for a form. default: what counts if it is not given. schema: type, limits and choices as a
    JSON schema tells them."""

    key: str
    help: str
    default: Any
    schema: Mapping[str, Any]


def dataset_fields(kind: str) -> list[DatasetField]:
    """The keys that "general", an "image" or a "video" dataset can have, folders and lists first."""
    model = {"general": DatasetOptions, "image": ImageDataset, "video": VideoDataset}[kind]
    schemas = model.model_json_schema()["properties"]
    fields = [
        DatasetField(key, field.description or "", field.get_default(), schemas[key])
        for key, field in model.model_fields.items()
    ]
    return sorted(fields, key=lambda field: not field.key.endswith(("_directory", "_file")))


class DatasetDocument:
    """The text of a TOML dataset file, which may be wrong in its values while it is edited.

    Datasets are numbered from 1; 0 is [general]. Numbers that are none raise IndexError.
    """

    def __init__(self, text: str = "") -> None:
        """Raises DatasetError if the text is not TOML, or holds no tables where it should."""
        try:
            self._document = tomlkit.parse(text)
        except TOMLKitError as error:
            raise DatasetError(f"not valid TOML: {error}", option="dataset_config") from error
        datasets = self._document.get("datasets", tomlkit.aot())
        if not isinstance(datasets, AoT) or not isinstance(self._document.get("general", {}), Mapping):
            message = "datasets must be written as [[datasets]], general as [general]"
            raise DatasetError(message, option="dataset_config")

    @classmethod
    def read(cls, path: Path) -> DatasetDocument:
        """The document of a .toml or .json file. Raises DatasetError if it cannot be read."""
        try:
            text = path.read_text(encoding="utf-8-sig")
            return cls(_toml_of(json.loads(text)) if path.suffix.lower() == ".json" else text)
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read: {error.strerror}", option="dataset_config") from error
        except ValueError as error:  # not JSON, not UTF-8
            raise DatasetError(f"{path}: cannot be read: {error}", option="dataset_config") from error
        except DatasetError as error:
            message = f"{path}: {error.problems[0].message}"
            raise DatasetError(message, hint=error.problems[0].hint, option="dataset_config") from error

    @property
    def text(self) -> str:
        """The TOML as it would be saved."""
        return tomlkit.dumps(self._document).lstrip("\n")

    @property
    def general(self) -> dict[str, Any]:
        """Keys and values of [general] as they stand."""
        return _plain(self._document.get("general", {}))

    @property
    def datasets(self) -> list[dict[str, Any]]:
        """Keys and values of each dataset as they stand, without those of [general]."""
        return [_plain(table) for table in self._tables()]

    def kind(self, number: int) -> str | None:
        """Whether a dataset is one of an "image" or "video" folder or list; None if it names neither, or both."""
        keys = self._table(number)
        kinds = {key.split("_")[0] for key in _SOURCES if key in keys}
        return kinds.pop() if len(kinds) == 1 else None

    def set(self, number: int, key: str, value: Any) -> None:
        """Give a key a value, which may be a wrong one; None takes the key out. The comment beside it stays.

        Raises KeyError for a key that no dataset has.
        """
        if key not in KEYS:
            raise KeyError(key)
        if number == GENERAL and "general" not in self._document and value is not None:
            self._put_general_first()
        table = self._table(number)
        if value is None:
            if key in table:
                table.remove(key)
            return
        item = as_toml_item(key, value)
        if key in table:
            old = table.item(key).trivia
            item.trivia.comment_ws, item.trivia.comment = old.comment_ws, old.comment
            table[key] = item
        else:
            _append(table, key, item)

    def add(self, values: Mapping[str, Any]) -> int:
        """Add a dataset with these values behind the others; returns its number."""
        table = tomlkit.table()
        for key, value in values.items():
            table.append(key, as_toml_item(key, value))
        self._end_with_a_blank_line()
        if "datasets" not in self._document:
            self._document.append("datasets", tomlkit.aot())
        self._tables().append(table)
        return len(self._tables())

    def remove(self, number: int) -> None:
        """Take a dataset out."""
        self._table(number)
        tables = self._tables()
        del tables[number - 1]
        if not tables:
            self._document.remove("datasets")

    def parsed(self) -> DatasetFile:
        """The datasets. Raises DatasetError with every mistake, each a DatasetProblem with dataset and key."""
        return parse_datasets(self._document.unwrap())

    def problems(self) -> tuple[Problem, ...]:
        """Every mistake and doubt in it, each a DatasetProblem with dataset and key; none if all is well."""
        try:
            return self.parsed().warnings
        except DatasetError as error:
            return error.problems

    def save(self, path: Path) -> None:
        """Write it, whole or not at all; comments and order stay. Raises DatasetError with every mistake, and if the
        file has another ending than .toml or cannot be written."""
        if path.suffix.lower() != ".toml":
            raise DatasetError(f"{path}: must end in .toml", hint="JSON has no comments", option="dataset_config")
        self.parsed()
        try:
            write_text(path, self.text)
        except OSError as error:
            raise DatasetError(f"{path}: cannot be written: {error.strerror}", option="dataset_config") from error

    def _tables(self) -> AoT:
        return self._document.get("datasets", tomlkit.aot())

    def _table(self, number: int) -> Table:
        if number == GENERAL:
            return self._document.get("general", tomlkit.table())
        if not 1 <= number <= len(self._tables()):
            raise IndexError(f"dataset {number} of {len(self._tables())}")
        return self._tables()[number - 1]

    def _end_with_a_blank_line(self) -> None:
        tables = [*([self._table(GENERAL)] if "general" in self._document else []), *self._tables()]
        if tables and not self.text.endswith("\n\n"):
            tables[-1].add(tomlkit.nl())

    def _put_general_first(self) -> None:
        rest = self.text
        self._document = tomlkit.parse(f"[general]\n\n{rest}" if rest else "[general]\n")


_SOURCES = ("image_directory", "image_jsonl_file", "video_directory", "video_jsonl_file")


def _append(table: Table, key: str, item: Any) -> None:
    """Add a key behind the others, but before blank lines and comments at the end: these belong to the next table."""
    body = table.value.body
    end = len(body)
    while end and body[end - 1][0] is None:
        end -= 1
    tail = [entry for _, entry in body[end:]]
    del body[end:]
    table.append(key, item)
    for entry in tail:
        table.add(entry)


def _plain(table: Any) -> dict[str, Any]:
    return table.unwrap() if isinstance(table, Table) else dict(table)


def _toml_of(values: Any) -> str:
    if not isinstance(values, dict):
        raise DatasetError("a table with datasets is wanted", option="dataset_config")
    return tomlkit.dumps(values)
