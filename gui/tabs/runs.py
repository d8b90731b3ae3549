"""The Runs tab: a container that gui/assets/runs.js fills with the queue and the history."""

from __future__ import annotations

import gradio as gr

CONTAINER = "<div id='loom-runs'></div>"


def build_runs() -> None:
    """Build the tab inside the current gr.Tab."""
    gr.HTML(CONTAINER, elem_id="loom-runs-block", padding=False, apply_default_css=False)
