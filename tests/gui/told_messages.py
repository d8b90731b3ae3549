"""What problems, errors and reasons say, read from the sources: each with {1}, {2}, … for its values."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from pathlib import Path

from backend.config.configuration import all_options
from backend.config.options import in_words, wanted_by
from backend.config.sample_prompts import SamplePrompt
from backend.plan.weights_header import FILE_KINDS

PROJECT = Path(__file__).resolve().parents[2]
SPEAKING = ("backend", "gui")
"""The folders whose problems and errors the page can show, and of them what only a terminal shows."""

TERMINAL_ONLY = (
    "backend/commands/run_listing.py",
    "backend/commands/runs.py",
    "gui/address.py",
    "gui/path_prefix.py",
)
LOG_ONLY = ("backend/commands/resuming.py", "backend/training/upload.py")
"""What these tell stands in the log alone, which is English."""

ERRORS = ("Problem", "UserError", "InputError", "OptionError", "DatasetError", "ModelFileError", "StoppedByUser")
PASSED_OVER = "PassedOver"
"""Why an import leaves a setting out, with its hint."""

MAKERS = ("_error", "_warning", "_problem", "_left_out")
"""Functions of a module that make its problems, with the message and the hint as they are given."""

WORDED = {
    "backend/config/configuration.py": ("suggestion",),
    "backend/config/dataset.py": ("_wanted", "_placed", "_did_you_mean"),
    "backend/config/dataset_models.py": ("ValueError",),
    "backend/plan/block_swap.py": ("_way_out",),
    "backend/dataset/origin.py": ("fault", "encoder_fault"),
}
"""Where else the words of a message are: what these functions return, or these errors say."""

REPORTS = ("update", "_report", "trouble", "_tell_trouble", "tell", "told")
"""How a run tells its status what it does."""

BY_POSITION = {
    **dict.fromkeys(("Problem", *MAKERS), slice(0, 2)),
    **dict.fromkeys(("update", "_report"), slice(0)),
    PASSED_OVER: slice(2, 4),
    **dict.fromkeys(("trouble", "_tell_trouble"), slice(1, 2)),
}
"""The arguments by position that are said; of all others the first."""

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
UNKNOWN = "{}"


def messages() -> dict[str, str]:
    """Each template with the file that it stands in."""
    found: dict[str, str] = {}
    for path in sorted(path for folder in SPEAKING for path in (PROJECT / folder).rglob("*.py")):
        name = path.relative_to(PROJECT).as_posix()
        if name in TERMINAL_ONLY:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        callees = (*ERRORS, *MAKERS, PASSED_OVER, *(() if name in LOG_ONLY else REPORTS))
        for template in (*_told(tree, callees=callees), *_worded(tree, WORDED.get(name, ()))):
            if any(character.isalpha() for character in template.replace(UNKNOWN, "")):
                found.setdefault(_numbered(template), name)
    kinds = dict.fromkeys(FILE_KINDS, "backend/plan/weights_header.py")
    return {**found, **kinds, **dict.fromkeys(_wanted_values(), "backend/config/options.py")}


def _wanted_values() -> set[str]:
    """What options and prompts that are wrong are told that they take."""
    options = (option for option in all_options().values() if not option.choices)
    words = {in_words(option.kind, option.limits) for option in options} | {"a list of numbers"}
    return {f"wanted {text}" for text in (*words, *map(wanted_by, SamplePrompt.model_fields.values()))}


def _told(tree: ast.Module, *, callees: Collection[str]) -> Iterator[str]:
    constants = _assignments(tree.body)
    for name, values in constants.items():
        if name.endswith("_REASON"):  # why an import passes a setting over
            yield from (text for value in values for text in _templates(value, constants))
    functions = [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]
    for scope in [tree, *functions]:
        local = _assignments(ast.walk(scope)) if scope is not tree else {}
        for call in _calls(scope, callees):
            for argument in _spoken(call):
                yield from _templates(argument, {**constants, **local})


def _worded(tree: ast.Module, names: tuple[str, ...]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in names:
            for returned in (each for each in ast.walk(node) if isinstance(each, ast.Return) and each.value):
                yield from _templates(returned.value, {})
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in names and node.args:
            yield from _templates(node.args[0], {})


def _calls(scope: ast.AST, callees: Collection[str]) -> Iterator[ast.Call]:
    for node in ast.walk(scope):
        if isinstance(node, ast.Call) and _name(node) in callees:
            yield node


def _spoken(call: ast.Call) -> list[ast.expr]:
    """What a call says: the arguments that its function takes by position, and those that are named."""
    named = [keyword.value for keyword in call.keywords if keyword.arg in ("message", "hint")]
    return [*call.args[BY_POSITION.get(_name(call), slice(0, 1))], *named]


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).split(".")[-1]


def _assignments(nodes: object) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:  # type: ignore[attr-defined]
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    return found


def _templates(node: ast.expr, names: dict[str, list[ast.expr]], depth: int = 0) -> list[str]:
    """What an expression can say, {} standing for what is not known here."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else [UNKNOWN]
    if isinstance(node, ast.JoinedStr):
        return ["".join(part.value if isinstance(part, ast.Constant) else UNKNOWN for part in node.values)]
    if isinstance(node, ast.IfExp):
        return _templates(node.body, names, depth) + _templates(node.orelse, names, depth)
    if isinstance(node, ast.BoolOp):
        return [text for value in node.values for text in _templates(value, names, depth)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _templates(node.func.value, names, depth)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = (_templates(side, names, depth) for side in (node.left, node.right))
        return [one + other for one in left for other in right]
    if isinstance(node, ast.Name) and depth < 2:
        return [text for value in names.get(node.id, []) for text in _templates(value, names, depth + 1)]
    return [UNKNOWN]


def _numbered(template: str) -> str:
    first, *others = template.split(UNKNOWN)
    return first + "".join(f"{{{number}}}{text}" for number, text in enumerate(others, 1))
