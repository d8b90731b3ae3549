"""What must be settled before `import gradio`: it stays offline, keeps its files in the workspace, and starts fast."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",  # else the server itself calls out
    "GRADIO_RUN_HISTORY": "False",  # else every input, keys included, is kept in the browser
    "GRADIO_SSR_MODE": "False",  # server-side rendering is slower and needs a node process
    "GRADIO_MCP_SERVER": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def prepare_gradio(upload_folder: Path) -> None:
    """Settle Gradio's environment and its import; to be called before the first `import gradio`.

    upload_folder: where uploads go. Gradio's own choice, /tmp/gradio, belongs to whoever on the machine used it first.
    """
    os.environ.update(ENVIRONMENT)
    os.environ["GRADIO_TEMP_DIR"] = str(upload_folder)
    if _PATCHED_MODULE not in sys.modules and not any(isinstance(f, _ComponentMetaFinder) for f in sys.meta_path):
        sys.meta_path.insert(0, _ComponentMetaFinder())


_PATCHED_MODULE = "gradio.component_meta"


class _ComponentMetaFinder(MetaPathFinder):
    """Skips the type stubs that Gradio rewrites in site-packages at every import: 2.5 of its 5.5 seconds."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _PATCHED_MODULE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            _silence_stub_writer(spec.loader)
        return spec


def _silence_stub_writer(loader: object) -> None:
    execute = loader.exec_module

    def execute_and_silence(module: ModuleType) -> None:
        execute(module)
        if hasattr(module, "create_or_modify_pyi"):  # private: a later Gradio may do without it
            module.create_or_modify_pyi = lambda *args, **kwargs: None

    loader.exec_module = execute_and_silence
