"""Items: the pictures or clips of a dataset, each with its caption."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backend.config.dataset_models import ImageDataset, VideoDataset
from backend.dataset.media_files import IMAGE_EXTENSIONS, VIDEO_EXTENSIONS, files_of, is_folder, missing_plugin
from backend.errors import DatasetError, Problem


@dataclass(frozen=True)
class MediaItem:
    """A picture or a clip. path is a folder where pictures in it are the frames of a clip.

    stem: the file name without its last ending; the name of the caches. caption: None if there is none, or none that
    can be read; caption_fault then says why. caption_path: where the caption is or would be written; if it stands in a
    JSONL file, that file, and list_line the number of its line, from 1. has_control: its line names control pictures.
    """

    path: Path
    kind: Literal["image", "video"]
    stem: str
    caption: str | None
    caption_path: Path
    caption_fault: str = ""
    list_line: int | None = None
    has_control: bool = False


def caption_in_list(text: str, line: int) -> str | None:
    """The caption on a line, from 1, of a JSONL file with this text; None if there is none."""
    try:
        return json.loads(text.split("\n")[line - 1])["caption"].strip()
    except (IndexError, ValueError, KeyError, TypeError, AttributeError):
        return None


def list_with_caption(text: str, line: int, caption: str) -> str:
    """The text of a JSONL file with another caption on a line; the other lines stay as they are."""
    lines = text.split("\n")
    lines[line - 1] = json.dumps({**json.loads(lines[line - 1]), "caption": caption}, ensure_ascii=False)
    return "\n".join(lines)


def read_caption(path: Path) -> tuple[str | None, str]:
    """The caption in a file, and what is wrong with the file; None where there is none, or none that can be read."""
    try:
        return path.read_text(encoding="utf-8-sig").strip(), ""  # a byte order mark is no part of a caption
    except FileNotFoundError:
        return None, ""
    except UnicodeDecodeError:
        return None, "the caption is not UTF-8"
    except OSError as error:
        return None, f"the caption cannot be read: {error.strerror}"


CaptionOf = Callable[[Path], tuple[str | None, str]]
"""Where captions come from: `read_caption`, or an index that remembers them."""


def find_items(dataset: ImageDataset | VideoDataset, *, caption_of: CaptionOf = read_caption) -> list[MediaItem]:
    """Every picture or clip of the dataset, captioned or not: a folder's by name, a JSONL file's in its order.

    What a list names need not be there. Raises DatasetError if the folder or list is missing, and for all lines of a
    list that cannot be read.
    """
    if not dataset.jsonl_file:
        return _folder_items(dataset, caption_of)
    problems: list[Problem] = []
    items = _listed_items(dataset, problems)
    if problems:
        raise DatasetError.of(problems)
    return items


def has_media(dataset: ImageDataset | VideoDataset) -> bool:
    """Whether any of its pictures or clips is there; a dataset without them may have been cached elsewhere."""
    if dataset.jsonl_file is not None:
        return any(os.path.exists(item.path) for item in _listed_items(dataset, []))  # noqa: PTH110 - any name is asked for
    folder = dataset.media_directory
    return is_folder(folder) and bool(files_of(folder, _extensions(dataset)))


def usable_items(items: Iterable[MediaItem]) -> tuple[list[MediaItem], list[Problem]]:
    """The items that can be trained on, by stem, and a warning for each that is left out.

    Left out are those without a readable caption, and those with the stem of another, as they would share its caches.
    Of these the first by name stays that Pillow can read.
    """
    first: dict[str, MediaItem] = {}
    problems = []
    for item in sorted(items, key=lambda item: (item.stem, missing_plugin(item.path), str(item.path))):
        name = os.path.normcase(item.stem)
        if item.caption_fault:
            problems.append(_left_out(item, item.caption_fault, f"mend {item.caption_path}"))
        elif item.caption is None:
            problems.append(_left_out(item, "no caption", f"write one to {item.caption_path}"))
        elif name in first:
            problems.append(_left_out(item, f"the same name as {first[name].path.name}", "rename one of them"))
        else:
            first[name] = item
    return list(first.values()), problems


def unused_controls(items: Iterable[MediaItem]) -> list[Problem]:
    """A warning for each JSONL file whose lines name control pictures, as HunyuanVideo does not train on them."""
    counts = Counter(item.caption_path for item in items if item.has_control)
    return [
        Problem(
            f"{path}: control_path on {count} lines is kept, but HunyuanVideo does not train on it",
            option="dataset_config",
            severity="warning",
        )
        for path, count in counts.items()
    ]


def _left_out(item: MediaItem, reason: str, hint: str) -> Problem:
    return Problem(f"{item.path}: {reason}, so it is not trained on", hint, "dataset_config", "warning")


def _folder_items(dataset: ImageDataset | VideoDataset, caption_of: CaptionOf) -> list[MediaItem]:
    items = []
    for path in files_of(dataset.media_directory, _extensions(dataset)):
        caption_path = path.with_name(path.stem + dataset.caption_extension)
        caption, fault = caption_of(caption_path)
        items.append(MediaItem(path, dataset.kind, path.stem, caption, caption_path, fault))
    return items


def _extensions(dataset: ImageDataset | VideoDataset) -> tuple[str, ...]:
    return IMAGE_EXTENSIONS if dataset.kind == "image" else VIDEO_EXTENSIONS


def _listed_items(dataset: ImageDataset | VideoDataset, problems: list[Problem]) -> list[MediaItem]:
    try:
        lines = dataset.jsonl_file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(_problem(f"{dataset.jsonl_file}: cannot be read: {error}", "a JSONL file in UTF-8 is wanted"))
        return []
    items = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                items.append(_listed_item(line, dataset.kind, place=(dataset.jsonl_file, number)))
        except ValueError as error:
            problems.append(_problem(f"{dataset.jsonl_file}: line {number}: {error}", ""))
    return items


def _listed_item(line: str, kind: Literal["image", "video"], *, place: tuple[Path, int]) -> MediaItem:
    """The item of one line; its path counts from the current directory. place: of the line. Raises ValueError."""
    entry = json.loads(line)
    key = f"{kind}_path"
    if not isinstance(entry, dict) or not isinstance(entry.get(key), str) or not isinstance(entry.get("caption"), str):
        raise ValueError(f'{{"{key}": "…", "caption": "…"}} is wanted')
    path = Path(entry[key])
    has_control = any(key.startswith("control_path") for key in entry)  # several are control_path_0, control_path_1
    return MediaItem(path, kind, path.stem, entry["caption"].strip(), place[0], "", place[1], has_control)


def _problem(message: str, hint: str) -> Problem:
    return Problem(message, hint, "dataset_config")
