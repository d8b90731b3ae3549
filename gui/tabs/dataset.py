"""The Dataset tab: a container that gui/assets/dataset.js fills."""

from __future__ import annotations

import gradio as gr

CONTAINER = "<div id='loom-dataset'></div>"


def build_dataset() -> None:
    """Build the tab inside the current gr.Tab. Its HTML never changes, so Gradio leaves what the script put there."""
    gr.HTML(CONTAINER, elem_id="loom-dataset-block", padding=False, apply_default_css=False)
