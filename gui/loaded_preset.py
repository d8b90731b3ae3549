"""The preset that was loaded last, which the form marks its differences from: `GET /form/preset`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomlkit
from starlette.requests import Request
from starlette.responses import JSONResponse

from backend.atomic_file import write_text
from backend.config.configuration import all_options
from backend.config.presets import find_preset, read_preset, read_title
from backend.config.toml_file import read_toml
from backend.errors import OptionError, UserError
from gui.form import form_of
from gui.languages import language_of


def loaded_preset(request: Request) -> JSONResponse:
    """Answers {"title": of the preset in the page's language, "" if none is loaded, "fields": {option: field}}."""
    return JSONResponse(LoadedPreset(request.app.state.workspace).read(language=language_of(request)))


class LoadedPreset:
    """Which preset was loaded last, kept in the workspace beside the draft."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.path = workspace / "draft_preset.toml"

    def remember(self, name: str | None) -> None:
        """Keep the name of a preset that was loaded or saved; one that there is not is passed over."""
        try:
            find_preset(name or "", workspace=self.workspace)
        except OptionError:
            return
        write_text(self.path, tomlkit.dumps({"name": name}))

    def follow(self, name: str, new_name: str) -> None:
        """Go on with a preset that was renamed, if it is the one."""
        if name == self.name():
            self.remember(new_name)

    def name(self) -> str:
        """The preset's name; "" for none."""
        try:
            return str(read_toml(self.path).get("name", ""))
        except OptionError:  # none yet, or damaged from outside
            return ""

    def read(self, *, language: str = "en") -> dict[str, Any]:
        """Title and fields of the preset; what it does not hold, and everything without a preset, at the default."""
        try:
            preset = find_preset(self.name(), workspace=self.workspace)
            title, values = read_title(preset, language=language)[0], read_preset(preset, workspace=self.workspace)
        except UserError:  # none yet, deleted since, or damaged: told in full when it is loaded
            title, values = "", {}
        return {"title": title, "fields": dict(zip(all_options(), form_of(values), strict=True))}
