"""Who may import whom, and that the light half and the page do without the heavy libraries."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]

LIGHT = (
    "backend.errors",
    "backend.atomic_file",
    "backend.visual_files",
    "backend.gpus",
    "backend.config",
    "backend.dataset",
    "backend.plan",
    "backend.runs",
)
HEAVY_LIBRARIES = {"torch", "transformers", "diffusers", "accelerate"}

MAY_IMPORT = {
    "app": ("gui", *LIGHT),
    "gui": ("gui", *LIGHT),
    "backend.__main__": ("backend.errors", "backend.commands"),
    "backend.commands": ("backend",),
    "backend.training": ("backend.training", "backend.caching.files", "backend.models", "backend.networks", *LIGHT),
    "backend.caching": ("backend.caching", "backend.models", "backend.networks", *LIGHT),
    "backend.demo": ("backend.demo", "backend.models", *LIGHT),
    "backend.models": ("backend.models", *LIGHT),
    "backend.networks": ("backend.networks", *LIGHT),
    "backend.runs": LIGHT,
    "backend.plan": LIGHT,
    "backend.dataset": LIGHT,
    "backend.config": ("backend.config", "backend.errors", "backend.atomic_file"),
    "backend.visual_files": ("backend.atomic_file",),
    "backend.gpus": (),
    "backend.atomic_file": (),
    "backend.errors": (),
}
"""The floors: each package, and what of the project it may import."""

SEE_A_WHOLE_CONFIGURATION = ("backend.config", "backend.plan.plan", "backend.runs", "backend.commands", "gui")


def modules() -> Iterator[tuple[str, Path]]:
    for path in [PROJECT / "app.py", *(PROJECT / "backend").rglob("*.py"), *(PROJECT / "gui").rglob("*.py")]:
        parts = path.relative_to(PROJECT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports_of(path: Path) -> set[str]:
    """The full names of what a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


@pytest.mark.parametrize(("name", "path"), modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_imports_point_down_the_floors(name, path):
    floor = max((floor for floor in MAY_IMPORT if is_within(name, (floor,))), key=len, default=None)
    if floor is None:
        assert name in ("backend", "gui"), f"{name} stands on no floor"
        return
    own = {imported for imported in imports_of(path) if imported.split(".")[0] in ("app", "backend", "gui", "tests")}
    assert {imported for imported in own if not is_within(imported, MAY_IMPORT[floor])} == set()


@pytest.mark.parametrize(("name", "path"), modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_only_commands_and_what_prepares_a_run_see_a_whole_configuration(name, path):
    if is_within(name, SEE_A_WHOLE_CONFIGURATION):
        return
    assert "backend.config.configuration.Configuration" not in imports_of(path)


@pytest.mark.parametrize("name", [name for name, _ in modules() if is_within(name, LIGHT)])
def test_the_light_half_names_no_heavy_library(name):
    path = dict(modules())[name]
    assert {imported.split(".")[0] for imported in imports_of(path)} & (HEAVY_LIBRARIES | {"gradio"}) == set()


def heavy_after_importing(names: list[str], unwanted: set[str]) -> str:
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(sorted({unwanted!r} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_importing_the_light_half_loads_no_heavy_library_and_no_page():
    names = [name for name, _ in modules() if is_within(name, LIGHT)]
    assert heavy_after_importing(names, HEAVY_LIBRARIES | {"gradio"}) == "[]"


def test_importing_the_page_loads_no_heavy_library():
    names = [name for name, _ in modules() if is_within(name, ("app", "gui"))]
    assert heavy_after_importing(names, HEAVY_LIBRARIES) == "[]"


def test_a_training_without_samples_waits_for_no_library_of_encoders():
    names = ["backend.commands.train", "backend.commands.assembly"]
    assert heavy_after_importing(names, {"diffusers", "transformers", "peft"}) == "[]"


def test_the_caching_of_captions_waits_for_no_library_of_the_vae():
    names = ["backend.commands.text_encoders", "backend.caching.text_outputs"]
    assert heavy_after_importing(names, {"diffusers", "peft"}) == "[]"


def test_packages_have_empty_init_files():
    for path in [*(PROJECT / "backend").rglob("__init__.py"), *(PROJECT / "gui").rglob("__init__.py")]:
        assert path.read_text(encoding="utf-8") == "", path


def test_every_module_says_in_a_docstring_what_it_holds():
    for name, path in modules():
        if path.name != "__init__.py":
            assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), name
