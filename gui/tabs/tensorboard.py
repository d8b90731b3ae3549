"""The TensorBoard tab: a container into which gui/assets/tensorboard_frame.js puts the frame when it is first seen."""

from __future__ import annotations

import gradio as gr

CONTAINER = "<div id='loom-tensorboard'></div>"


def build_tensorboard() -> None:
    """Build the tab inside the current gr.Tab."""
    gr.HTML(CONTAINER, elem_id="loom-tensorboard-block", padding=False, apply_default_css=False)
