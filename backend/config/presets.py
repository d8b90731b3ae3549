"""Presets: TOML files that hold some options; loading one changes those and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit

from backend.atomic_file import write_text
from backend.config.configuration import all_options, check_values
from backend.config.file_names import is_file_name
from backend.config.toml_file import PRESET_TABLE, flatten, format_toml, read_toml
from backend.errors import OptionError

SHIPPED = Path(__file__).resolve().parents[2] / "presets"
WORKSPACE_MARK = "{workspace}"
"""Stands in shipped presets for the folder of the workspace."""

UNSET_KEY = "unset"
"""Names the options, in the table [preset], that loading the preset clears."""


@dataclass(frozen=True)
class Preset:
    """A preset file. shipped: it came with the program and is never written to."""

    name: str
    path: Path
    shipped: bool


def list_presets(workspace: Path) -> list[Preset]:
    """The shipped presets, then the user's own, each in the order of their names."""
    shipped = [Preset(path.stem, path, True) for path in sorted(SHIPPED.glob("*.toml"))]
    own = [Preset(path.stem, path, False) for path in sorted((workspace / "presets").glob("*.toml"))]
    return shipped + own


def find_preset(name: str, *, workspace: Path) -> Preset:
    """The preset of that name; a user's own wins over a shipped one. Raises OptionError if there is none."""
    found = [preset for preset in list_presets(workspace) if preset.name == name]
    if not found:
        raise OptionError(f"there is no preset {name!r}", hint="choose one from the list")
    return found[-1]


def read_preset(preset: Preset, *, workspace: Path) -> dict[str, Any]:
    """The options that the preset holds, checked. Raises OptionError with every mistake in the file."""
    tables = read_toml(preset.path)
    unset = _table(tables.pop(PRESET_TABLE, {})).get(UNSET_KEY, [])
    values = _fill_in(flatten(tables), workspace)
    defaults = {name: declared.default for name, declared in all_options().items() if name in unset}
    return {**defaults, **check_values(values, places=dict.fromkeys(values, preset.path.name))}


def read_title(preset: Preset, *, language: str = "en") -> tuple[str, str]:
    """The title and the description in the file's table [preset]; the name and "" where there are none.

    A shipped preset has them in each language of the page: `title`, and `title_ja` beside it.
    """
    about = _table(read_toml(preset.path).get(PRESET_TABLE))

    def text(key: str, otherwise: str) -> str:
        return str(about.get(f"{key}_{language}", about.get(key, otherwise)))

    return text("title", preset.name), text("description", "")


def rename_preset(old: str, new: str, *, workspace: Path) -> Preset:
    """Give a preset of the user's own another name. Raises OptionError for a name that cannot be, or is taken."""
    preset = _own(old, workspace=workspace)
    name = _checked_name(new, workspace=workspace)
    if any(other.name.casefold() == name.casefold() for other in list_presets(workspace) if other != preset):
        raise OptionError(f"there is a preset {name} already", hint="choose another name")
    path = preset.path.with_name(f"{name}.toml")
    preset.path.rename(path)
    return Preset(name, path, False)


def delete_preset(name: str, *, workspace: Path) -> None:
    """Put a preset of the user's own aside; `restore_preset` brings it back until the next one of its name goes."""
    preset = _own(name, workspace=workspace)
    aside = _deleted(name, workspace)
    aside.parent.mkdir(exist_ok=True)
    preset.path.replace(aside)


def restore_preset(name: str, *, workspace: Path) -> Preset:
    """Bring back a preset that was deleted. Raises OptionError if it is not there, or its name is taken by now."""
    if not _deleted(name, workspace).is_file():
        raise OptionError(f"there is no deleted preset {name!r}", hint="it was brought back already")
    if any(preset.name == name for preset in list_presets(workspace)):
        raise OptionError(f"there is a preset {name} again", hint="rename it first")
    path = workspace / "presets" / f"{name}.toml"
    _deleted(name, workspace).replace(path)
    return Preset(name, path, False)


def save_preset(name: str, values: Mapping[str, Any], *, workspace: Path) -> Preset:
    """Save option values as the user's preset of that name, over an older one.

    TOML has no word for "no value", so options without one are listed by name: loading the preset clears them.
    Raises OptionError for a name that cannot be a file name on every system, or that a shipped preset has.
    """
    name = _checked_name(name, workspace=workspace)
    path = workspace / "presets" / f"{name}.toml"
    unset = [name for name in values if values[name] is None or _is_left_out(name, values[name])]
    about = tomlkit.dumps({PRESET_TABLE: {UNSET_KEY: unset}}) + "\n" if unset else ""
    write_text(path, about + format_toml(values))
    return Preset(name, path, False)


def _checked_name(name: str, *, workspace: Path) -> str:
    """The name without blanks around it, if a preset of the user's own can have it."""
    name = name.strip()
    if not is_file_name(name):
        raise OptionError(f"a preset cannot be called {name!r}", hint="wanted a file name that every system takes")
    if any(preset.shipped and preset.name.casefold() == name.casefold() for preset in list_presets(workspace)):
        raise OptionError(f"{name} is a shipped preset", hint="choose another name")
    return name


def _own(name: str, *, workspace: Path) -> Preset:
    preset = find_preset(name, workspace=workspace)
    if preset.shipped:
        raise OptionError(f"{name} is a shipped preset", hint="save it under another name to change it")
    return preset


def _deleted(name: str, workspace: Path) -> Path:
    """Where a deleted preset waits. Raises OptionError for what is no name of a file."""
    if not is_file_name(name):
        raise OptionError(f"there is no deleted preset {name!r}", hint="choose one from the list")
    return workspace / "presets" / "deleted" / f"{name}.toml"


def _is_left_out(name: str, value: Any) -> bool:
    """Whether a file says nothing of this value: `network_args` hold only what differs from the default."""
    declared = all_options()[name]
    return declared.network_arg and value == declared.default


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _fill_in(value: Any, workspace: Path) -> Any:
    """The value with the mark of the workspace replaced in every text."""
    if isinstance(value, str):
        return value.replace(WORKSPACE_MARK, workspace.absolute().as_posix())
    if isinstance(value, Mapping):
        return {name: _fill_in(item, workspace) for name, item in value.items()}
    return value
