"""Classes of libraries that may not be installed, by their dotted path."""

from __future__ import annotations

import importlib
from types import ModuleType

from backend.errors import OptionError

_PACKAGES = {"lion_pytorch": "lion-pytorch", "flash_attn": "flash-attn --no-build-isolation"}
"""What to tell pip to install for a module, where that is not its name alone."""


def import_library(path: str, *, option: str, value: str) -> ModuleType:
    """The module. Raises OptionError for the option of this value if it is missing, with the line that installs it."""
    try:
        return importlib.import_module(path)
    except ImportError as error:
        package = path.partition(".")[0]
        raise OptionError(
            f"{option} is {value}, but the library {package} cannot be imported: {error}",
            hint=f"install it: pip install {_PACKAGES.get(package, package)}",
            option=option,
            cause="missing_package",
            parameters={"package": package, "install": _PACKAGES.get(package, package)},
        ) from error
