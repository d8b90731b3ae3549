"""app.py with a page of one field, for tests of what surrounds the page: `python -m tests.gui.tiny_page ARGUMENTS`."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from types import ModuleType

import app
from gui.texts import Texts


def build_page(workspace: Path, texts: Texts):
    return _built(texts.language)


@functools.cache
def _built(language: str):
    """Built once: two thirds of what a test's page costs, which comes to 50 s of computing time in all tests."""
    import gradio as gr

    with gr.Blocks(title="Tiny") as page:
        name = gr.Textbox(label="Name", elem_id="name")
        greeting = gr.Textbox(label="Greeting", elem_id="greeting")
        name.submit(lambda text: f"Hello {text}", name, greeting, api_name="greet")
    return page


if __name__ == "__main__":
    stand_in = ModuleType("gui.page")
    stand_in.build_page = build_page
    sys.modules["gui.page"] = stand_in
    sys.exit(app.main())
