"""The page's scripts hold together: every import finds its name, every export a use, and none goes in a circle."""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ASSETS = Path(__file__).parents[2] / "gui" / "assets"
IMPORT = re.compile(r'^import \{ ([^}]+) \} from "\./([\w.]+)";', re.M)
EXPORT = re.compile(r"^export (?:async )?(?:function|const|let|class) (\w+)", re.M)

SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in ASSETS.glob("*.js")}


def imports_of(name: str) -> dict[str, set[str]]:
    """The names that a script takes, by the script that it takes them from."""
    found: dict[str, set[str]] = {}
    for names, source in IMPORT.findall(SCRIPTS[name]):
        found.setdefault(source, set()).update(name.split(" as ")[0].strip() for name in names.split(","))
    return found


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_every_name_that_a_script_imports_is_exported_and_used(name):
    for source, names in imports_of(name).items():
        assert names <= set(EXPORT.findall(SCRIPTS[source])), source
    body = IMPORT.sub("", SCRIPTS[name])
    for line, _ in IMPORT.findall(SCRIPTS[name]):
        for imported in line.split(","):
            assert re.search(rf"\b{imported.split(' as ')[-1].strip()}\b", body), imported


def test_every_name_that_a_script_exports_is_imported_by_another():
    exported = {(name, one) for name, text in SCRIPTS.items() for one in EXPORT.findall(text)}
    imported = {(source, one) for name in SCRIPTS for source, names in imports_of(name).items() for one in names}
    assert exported - imported == set()


def test_scripts_import_no_circle():
    try:
        TopologicalSorter({name: imports_of(name) for name in SCRIPTS}).prepare()
    except CycleError as error:
        pytest.fail(f"{error.args[1]}")
