"""The Monitor tab: a container that gui/assets/monitor.js fills from the stream of events."""

from __future__ import annotations

import gradio as gr

CONTAINER = "<div id='loom-monitor'></div>"


def build_monitor() -> None:
    """Build the tab inside the current gr.Tab. Its HTML never changes, so Gradio leaves what the script put there."""
    gr.HTML(CONTAINER, elem_id="loom-monitor-block", padding=False, apply_default_css=False)
