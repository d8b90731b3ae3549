"""The text of the option metadata_reso."""

from __future__ import annotations

from backend.errors import OptionError


def parse_resolution(text: str) -> tuple[int, int]:
    """Width and height of "1280,720", or of "960" for a square. Raises OptionError for another text."""
    sides = [side.strip() for side in text.split(",")]
    if len(sides) > 2 or not all(side.isascii() and side.isdecimal() for side in sides):
        raise OptionError(
            f'metadata_reso is "{text}", but has to be a width and a height, or one number',
            hint='for example "1280,720"',
            option="metadata_reso",
        )
    return int(sides[0]), int(sides[-1])
