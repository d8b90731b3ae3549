"""The Settings tab: a container that gui/assets/settings.js fills."""

from __future__ import annotations

import gradio as gr

CONTAINER = "<div id='loom-settings'></div>"


def build_settings() -> None:
    """Build the tab inside the current gr.Tab. Its HTML never changes, so Gradio leaves what the script put there."""
    gr.HTML(CONTAINER, elem_id="loom-settings-block", padding=False, apply_default_css=False)
