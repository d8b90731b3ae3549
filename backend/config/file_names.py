"""Which texts can be a file name on every system that the program runs on."""

from __future__ import annotations

import re

_RESERVED_ON_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def is_file_name(text: str) -> bool:
    """Whether the text names a file in any folder: no separators or control characters, no name Windows keeps."""
    return (
        re.fullmatch(r"[^\x00-\x1f/\\:*?\"<>|]{1,120}", text) is not None
        and text == text.strip()
        and not text.startswith(".")  # hidden, or a folder
        and not text.endswith(".")
        and not _RESERVED_ON_WINDOWS.fullmatch(text)
    )
