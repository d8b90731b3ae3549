"""How the page's events are wired: without Gradio's own sign of work, and not as a public interface."""

from __future__ import annotations

from html import escape
from typing import Any

EVENT_OPTIONS: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def told(text: str) -> str:
    """A message beside a button, as HTML."""
    return f"<div class='loom-note'>{escape(text)}</div>"
