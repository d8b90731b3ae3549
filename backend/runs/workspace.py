"""Where runs, logs and presets lie when nothing else is said."""

from __future__ import annotations

from backend.runs.process import PROJECT

DEFAULT_WORKSPACE = PROJECT / "workspace"
"""In the program's own folder, so that it is the same from wherever the program is started."""
