"""The Tools tab: a container that gui/assets/tools.js fills."""

from __future__ import annotations

import gradio as gr

CONTAINER = "<div id='loom-tools'></div>"


def build_tools() -> None:
    """Build the tab inside the current gr.Tab. Its HTML never changes, so Gradio leaves what the script put there."""
    gr.HTML(CONTAINER, elem_id="loom-tools-block", padding=False, apply_default_css=False)
