"""How the page's events are wired: without Gradio's own sign of work, and not as a public interface."""

from __future__ import annotations

from typing import Any

EVENT_OPTIONS: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
