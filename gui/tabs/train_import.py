"""Import on the Train tab: a pasted text, a file of this machine, or a chosen one, shown before anything changes."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from backend.config.imported import Imported
from backend.config.importing import import_text
from backend.errors import OptionError, UserError
from backend.plan.import_file import import_file
from gui.form import FieldValue
from gui.problem_notes import format_problems
from gui.roots import allowed_roots, is_inside
from gui.tabs.train_changes import ChangesHandlers, Pending
from gui.texts import Texts

FILE_ENDINGS = [".toml", ".json", ".safetensors", ".txt", ".sh", ".bat", ".ps1"]


@dataclass(frozen=True)
class ImportCard:
    """The components of the import. open: shows and hides the card."""

    open: gr.Button
    card: gr.Column
    is_open: gr.State
    text: gr.Textbox
    path: gr.Textbox
    file: gr.UploadButton
    read: gr.Button
    message: gr.HTML


def build_import_button(texts: Texts) -> gr.Button:
    """The button beside the presets."""
    return gr.Button(texts("import.open"), size="sm", elem_id="import-open")


def build_import(button: gr.Button, texts: Texts) -> ImportCard:
    """Build the card above the form; it is hidden until the button is pressed."""
    is_open = gr.State(False)
    with gr.Column(elem_id="loom-import", elem_classes="loom-card", visible=False) as card:
        gr.HTML(f"<h2>{escape(texts('import.title'))}</h2>", padding=False)
        text = gr.Textbox(
            label=texts("import.text"),
            placeholder=texts("import.placeholder"),
            lines=6,
            max_lines=16,
            elem_id="import-text",
            elem_classes="loom-code-input",
        )
        path = gr.Textbox(
            label=texts("import.path"), placeholder=texts("import.path_placeholder"), max_lines=1, elem_id="import-path"
        )
        with gr.Row(elem_classes="loom-buttons"):
            read = gr.Button(texts("import.read"), variant="primary", size="sm", elem_id="import-read")
            file = gr.UploadButton(texts("import.file"), file_types=FILE_ENDINGS, size="sm", elem_id="import-file")
        message = gr.HTML(elem_id="import-message", padding=False, apply_default_css=False)
    return ImportCard(button, card, is_open, text, path, file, read, message)


class ImportHandlers:
    """What the card's buttons do; results go to its message and to the card of changes."""

    def __init__(self, workspace: Path, changes: ChangesHandlers, texts: Texts) -> None:
        self.workspace = workspace
        self.changes = changes
        self.texts = texts

    def toggle(self, is_open: bool) -> tuple[Any, bool]:
        """The card shown or hidden."""
        return gr.Column(visible=not is_open), not is_open

    def read(self, text: str, path: str, *raw: FieldValue) -> list[Any]:
        """What the pasted text, or else the file at the path, would set."""
        try:
            imported = import_text(text) if text.strip() or not path.strip() else import_file(self._allowed(path))
        except UserError as error:
            return self._refused(error)
        return self._shown(imported, raw)

    def read_file(self, path: str, *raw: FieldValue) -> list[Any]:
        """What a file that was chosen in the browser would set."""
        try:
            imported = import_file(Path(path))
        except UserError as error:
            return self._refused(error)
        return self._shown(imported, raw)

    def _shown(self, imported: Imported, raw: tuple[FieldValue, ...]) -> list[Any]:
        title = self.texts(f"import.sources.{imported.source}")
        return ["", *self.changes.propose(Pending(title, imported.values, imported.passed_over), raw)]

    def _refused(self, error: UserError) -> list[Any]:
        return [format_problems(error.problems, self.texts), *self.changes.leave()]

    def _allowed(self, path: str) -> Path:
        """The file, if the page may look at it."""
        typed = Path(path.strip().strip("\"'")).expanduser()
        try:
            real = typed.resolve(strict=True)
        except (OSError, ValueError, RuntimeError) as error:  # missing, a NUL in the name, a loop of links
            raise OptionError(f"{typed}: there is no such file", hint="check the path") from error
        if not is_inside(real, allowed_roots(self.workspace)):
            raise OptionError(f"{typed}: lies outside of the folders that the page may look into")
        return real
