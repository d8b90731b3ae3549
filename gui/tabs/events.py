"""How the page's events are wired: without Gradio's own sign of work, and not as a public interface."""

from __future__ import annotations

from typing import Any

EVENT_OPTIONS: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""An event that writes the whole form also names one small component in show_progress_on: at each stage of every event,
Gradio updates all components that could ever show progress, and walks its tree for each. With 140 fields among them a
page took twice as long to open, and each keystroke 0.1 s."""
