"""Sizes and times as the page writes them."""

from __future__ import annotations


def format_bytes(count: float) -> str:
    """Bytes in the largest unit that leaves at least 1: 78.8 MiB."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:,.0f} B" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"


def format_seconds(seconds: float) -> str:
    """With as many digits as mean something: 0.041, 2.14, 38.2."""
    return f"{seconds:.{3 if seconds < 0.1 else 2 if seconds < 10 else 1}f}"


def format_duration(seconds: float) -> str:
    """0:09, 22:50, 2:03:11, 3 d 04:00"""
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours:02}:{minutes:02}"
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
