"""The numbers of a .safetensors file as float32 of numpy, for what has to do without torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import BinaryIO

import numpy as np

from backend.errors import ModelFileError
from backend.plan.weights_header import DOWNLOAD_AGAIN, TensorHeader


def read_tensor(file: BinaryIO, header: TensorHeader) -> np.ndarray:
    """One tensor of an open file as float32. Raises ModelFileError for a dtype that is none of numbers."""
    if header.dtype not in _READERS:
        raise ModelFileError(f"a tensor has the dtype {header.dtype}", hint=f"wanted one of {', '.join(_READERS)}")
    stored, to_float = _READERS[header.dtype]
    length = math.prod(header.shape) * np.dtype(stored).itemsize
    file.seek(header.start)
    content = file.read(length)
    if len(content) != length:
        raise ModelFileError(f"cut short, {len(content)} of {length} bytes of a tensor", hint=DOWNLOAD_AGAIN)
    return to_float(np.frombuffer(content, dtype=stored)).reshape(header.shape)


def _plain(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype(np.float32)


def _from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """It is the upper half of a float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _from_e5m2(bits: np.ndarray) -> np.ndarray:
    """It is the upper half of a float16."""
    return (bits.astype(np.uint16) << 8).view(np.float16).astype(np.float32)


def _from_e4m3(bits: np.ndarray) -> np.ndarray:
    return _e4m3_values()[bits]


@lru_cache(maxsize=1)
def _e4m3_values() -> np.ndarray:
    """The 256 numbers of float8_e4m3fn: bias 7, no infinity, all ones are NaN. Source: Micikevicius et al. 2022."""
    bits = np.arange(256)
    exponent, fraction = (bits >> 3) & 15, bits & 7
    size = np.where(exponent == 0, fraction * 2.0**-9, (8 + fraction) * 2.0 ** (exponent - 10.0))
    size[(bits & 127) == 127] = np.nan
    return np.where(bits >> 7, -size, size).astype(np.float32)


_READERS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "F64": ("<f8", _plain),
    "F32": ("<f4", _plain),
    "F16": ("<f2", _plain),
    "BF16": ("<u2", _from_bfloat16),
    "F8_E4M3": ("u1", _from_e4m3),
    "F8_E5M2": ("u1", _from_e5m2),
    "I64": ("<i8", _plain),
    "I32": ("<i4", _plain),
}
"""How each dtype is stored, and how it becomes float32."""
