"""Settings in a file of this machine: a LoRA's metadata, a TOML, a saved command, a kohya_ss GUI's JSON."""

from __future__ import annotations

from pathlib import Path

from backend.config.imported import Imported
from backend.config.importing import import_metadata, import_text
from backend.errors import OptionError
from backend.plan.weights_header import read_header


def import_file(path: Path) -> Imported:
    """The settings in the file; of a .safetensors its metadata is read, and no tensor. Raises UserError."""
    if path.suffix.lower() == ".safetensors":
        _, metadata = read_header(path)
        return import_metadata(metadata, place=str(path))
    try:
        return import_text(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise OptionError(f"{path}: there is no such file", hint="check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{path}: cannot be read: {error}", hint="wanted a text file in UTF-8") from error
