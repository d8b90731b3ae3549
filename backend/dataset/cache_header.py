"""The header of a cache file: which tensors it holds, and what it says that it was made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from backend.errors import ModelFileError
from backend.plan.weights_header import read_header


@dataclass(frozen=True)
class CacheHeader:
    """shapes: of each tensor, by its key. fault: why the file cannot be read, "" if it can. is_missing: because it is
    not there."""

    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]
    fault: str = ""
    is_missing: bool = False

    def as_json(self) -> list[Any]:
        """For an index on disk, of a header without fault."""
        return [{key: list(shape) for key, shape in self.shapes.items()}, dict(self.metadata)]

    @classmethod
    def from_json(cls, value: list[Any]) -> CacheHeader:
        """What `as_json` has given."""
        shapes, metadata = value
        return cls({key: tuple(shape) for key, shape in shapes.items()}, metadata)


HeaderOf: TypeAlias = Callable[[Path], CacheHeader]
"""Where headers come from: `read_cache_header`, or an index that remembers them."""


def read_cache_header(path: Path) -> CacheHeader:
    """The header of a cache; whatever is wrong with the file is in `fault`. No tensor is read."""
    try:
        tensors, metadata = read_header(path)
    except ModelFileError as error:
        is_missing = isinstance(error.__cause__, FileNotFoundError)
        return CacheHeader({}, {}, error.problems[0].message, is_missing)
    except OSError as error:
        return CacheHeader({}, {}, f"{path}: cannot be read: {error.strerror}")
    return CacheHeader({name: tensor.shape for name, tensor in tensors.items()}, metadata)
