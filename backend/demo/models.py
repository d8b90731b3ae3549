"""The demo's models: a small trained family of the real architecture, under the released key names."""

from __future__ import annotations

from backend.config.presets import SHIPPED

MODELS = SHIPPED / "demo" / "models"


def model_files() -> dict[str, bytes]:
    """The shipped files by their path in the folder of models; its README tells how they were made."""
    files = (path for path in sorted(MODELS.rglob("*")) if path.is_file() and path.suffix != ".md")
    return {path.relative_to(MODELS).as_posix(): path.read_bytes() for path in files}
