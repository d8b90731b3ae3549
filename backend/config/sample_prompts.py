"""Prompt files: what to sample and how, one prompt a line in .txt, or tables in .toml and .json."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.config.options import wanted_by
from backend.config.toml_file import read_toml
from backend.errors import OptionError, Problem

OPTION = "sample_prompts"


class SamplePrompt(BaseModel):
    """One sample to make. Names and defaults are musubi-tuner's.

    width, height: in pixels, multiples of 16. frame_count: 4k + 1; others are rounded down. seed: None for one that
    follows from the training's. guidance_scale: told to the transformer. cfg_scale: how far to go away from the
    negative prompt, at the cost of a second pass; 1 leaves it out. image_path: the first frame, for models that
    continue one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    prompt: str = Field(min_length=1)
    negative_prompt: str = ""
    width: int = Field(256, ge=16, multiple_of=16)
    height: int = Field(256, ge=16, multiple_of=16)
    frame_count: int = Field(1, ge=1)
    seed: int | None = Field(None, ge=0, lt=2**64)
    sample_steps: int = Field(20, ge=1, le=1000)
    guidance_scale: float = Field(6.0, ge=0)
    discrete_flow_shift: float = Field(14.5, gt=0)
    cfg_scale: float = Field(1.0, ge=0)
    image_path: str | None = None

    @property
    def frames(self) -> int:
        """The frames that are made: the largest 4k + 1 that frame_count allows."""
        return (self.frame_count - 1) // 4 * 4 + 1

    @property
    def uses_negative(self) -> bool:
        return bool(self.negative_prompt) and self.cfg_scale != 1


LINE_OPTIONS = {
    "w": "width",
    "h": "height",
    "f": "frame_count",
    "d": "seed",
    "s": "sample_steps",
    "g": "guidance_scale",
    "fs": "discrete_flow_shift",
    "l": "cfg_scale",
    "n": "negative_prompt",
    "i": "image_path",
}
"""The options of a line, `--w 640`, and what they set."""

_OTHER_MODELS = {"ei": "end_image_path", "cn": "control_video_path", "ci": "control_image_path", "of": "one_frame"}


@dataclass(frozen=True)
class _Line:
    """A prompt with options behind it, and where it stands."""

    text: str
    place: str


@dataclass(frozen=True)
class _Written:
    """The values of one prompt, and where they stand."""

    values: Mapping[str, Any]
    place: str


def read_prompts(path: Path) -> list[SamplePrompt]:
    """The prompts of a .txt, .toml or .json file. Raises OptionError with every mistake in it."""
    readers = {".txt": _read_txt, ".toml": _read_toml_prompts, ".json": _read_json}
    if path.suffix.lower() not in readers:
        raise _error(f"{path}: is no prompt file", f"wanted one that ends in {', '.join(readers)}")
    prompts, problems = [], []
    for entry in readers[path.suffix.lower()](path):
        try:
            prompts.append(_make(entry if isinstance(entry, _Written) else _read_line(entry)))
        except OptionError as error:
            problems += error.problems
    if problems:
        raise OptionError.of(problems)
    if not prompts:
        raise _error(f"{path}: holds no prompt", "write one a line")
    return prompts


def parse_line(line: str, *, place: str = "the prompt") -> SamplePrompt:
    """A prompt with options behind it: `a cat walks --w 640 --h 480 --f 25`. What stands before the first option is the
    prompt, whatever it is. Raises OptionError with every mistake."""
    return _make(_read_line(_Line(line, place)))


def with_values(prompt: SamplePrompt, values: Mapping[str, Any], *, place: str) -> SamplePrompt:
    """The prompt with those of the values that it does not state itself. Raises OptionError with every mistake."""
    stated = prompt.model_dump(exclude_unset=True)
    return _make(_Written({**values, **stated}, place))


def format_line(prompt: SamplePrompt) -> str:
    """The line that `parse_line` reads as this prompt; options at their default are left out."""
    defaults = SamplePrompt(prompt="x")
    parts = [
        f"--{flag} {getattr(prompt, name)}"
        for flag, name in LINE_OPTIONS.items()
        if getattr(prompt, name) != getattr(defaults, name)
    ]
    return " ".join([prompt.prompt, *parts])


def _read_line(line: _Line) -> _Written:
    """The values of a line. Raises OptionError with every option that is none."""
    text, *options = re.split(r"\s--(?=[A-Za-z])", line.text)
    values: dict[str, Any] = {"prompt": text.strip()}
    problems = []
    for option in options:
        flag, _, value = option.replace("\t", " ").partition(" ")
        if (name := LINE_OPTIONS.get(flag.lower())) is None:
            problems.append(_no_option(flag, place=line.place))
        else:
            values[name] = value.strip()
    if problems:
        raise OptionError.of(problems)
    return _Written(values, line.place)


def _no_option(flag: str, *, place: str) -> Problem:
    if flag.lower() in _OTHER_MODELS:
        return Problem(f"{place}: --{flag} is for other models than HunyuanVideo", "take it out", OPTION)
    known = f"known are --{', --'.join(LINE_OPTIONS)}, each with a blank before its value"
    return Problem(f"{place}: there is no option --{flag}", known, OPTION)


def _make(written: _Written) -> SamplePrompt:
    try:
        return SamplePrompt(**{name: value for name, value in written.values.items() if name != "enum"})
    except ValidationError as error:
        raise OptionError.of(_problem(details, written) for details in error.errors()) from error


def _problem(details: Mapping[str, Any], written: _Written) -> Problem:
    name = str(details["loc"][0])
    if details["type"] == "extra_forbidden":
        known = ", ".join(SamplePrompt.model_fields)
        return Problem(f"{written.place}: a prompt has no {name}", f"known are {known}", OPTION)
    found = "missing" if details["type"] == "missing" or details["input"] == "" else repr(details["input"])
    return Problem(
        f"{written.place}: {name} is {found}", f"wanted {wanted_by(SamplePrompt.model_fields[name])}", OPTION
    )


def _read_txt(path: Path) -> Iterator[_Line]:
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            yield _Line(line.strip(), f"{path.name}, line {number}")


def _read_toml_prompts(path: Path) -> Iterator[_Written]:
    """The table `prompt` with its array `subset`; what stands in the table holds for all unless a subset says else."""
    table = read_toml(path).get("prompt")
    subsets = table.get("subset") if isinstance(table, dict) else None
    if not isinstance(subsets, list) or not all(isinstance(subset, dict) for subset in subsets):
        raise _error(f"{path}: [[prompt.subset]] is missing", "wanted one such table for each prompt")
    shared = {name: value for name, value in table.items() if name != "subset"}
    for number, subset in enumerate(subsets, start=1):
        yield _Written({**shared, **subset}, f"{path.name}, subset {number}")


def _read_json(path: Path) -> Iterator[_Line | _Written]:
    try:
        entries = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise _error(f"{path}: {error}", "wanted JSON") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict | str) for entry in entries):
        raise _error(f"{path}: is no list of prompts", "wanted [ ... ] of texts or of objects with a prompt")
    for number, entry in enumerate(entries, start=1):
        place = f"{path.name}, entry {number}"
        yield _Line(entry, place) if isinstance(entry, str) else _Written(entry, place)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise _error(f"{path}: there is no such file", "check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise _error(f"{path}: cannot be read: {error}", "wanted text in UTF-8") from error


def _error(message: str, hint: str) -> OptionError:
    return OptionError(message, hint=hint, option=OPTION)


def check_images(prompts: Iterable[SamplePrompt], *, needed: bool) -> list[Problem]:
    """What is wrong with the first frames that the prompts name. needed: the model continues a picture."""
    problems = []
    for prompt in prompts:
        if needed and prompt.image_path is None:
            hint = "add --i PATH: this model continues a picture"
            problems.append(Problem(f"the prompt {prompt.prompt!r} has no first frame", hint, OPTION))
        elif prompt.image_path is not None and not Path(prompt.image_path).is_file():
            problems.append(Problem(f"{prompt.image_path}: there is no such picture", "check the path", OPTION))
    return problems
