"""Which GPU this machine has and how much memory, asked of NVIDIA's driver without loading torch."""

from __future__ import annotations

import functools
import shutil
import subprocess

MIB = 2**20
PATIENCE_S = 10


@functools.cache
def first_gpu() -> tuple[str, int] | None:
    """Name and bytes of the first NVIDIA GPU, None where there is none or its driver does not answer. Asked once."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        out = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_answer(out)


def parse_answer(text: str) -> tuple[str, int] | None:
    """The first line of nvidia-smi's answer, "NVIDIA GeForce RTX 4090, 24564"; None for another text."""
    name, _, mebibytes = text.partition("\n")[0].rpartition(",")
    return (name.strip(), int(mebibytes) * MIB) if name and mebibytes.strip().isdecimal() else None
