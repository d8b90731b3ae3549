"""What status.json keeps of the error that ended a run, for `failures.find_failure`."""

from __future__ import annotations

import traceback
from typing import Any

from backend.errors import UserError


def describe_error(error: BaseException) -> dict[str, Any]:
    """The error as JSON holds it.

    types: names of its classes, its own first. message, because: first lines of it and of the error it comes from.
    cause: its id in failure_texts.py; is_general: it is that of the class, so that the words may tell more.
    """
    is_ours = isinstance(error, UserError)
    return {
        "types": [kind.__name__ for kind in type(error).__mro__ if kind not in (object, BaseException)],
        "message": error.problems[0].message if is_ours else _last_line(error),
        "because": _last_line(error.__cause__) if error.__cause__ else "",
        "cause": error.cause if is_ours else "",
        "is_general": is_ours and error.cause == type(error).cause,
        "parameters": dict(error.parameters) if is_ours else {},
        "package": (error.name or "") if isinstance(error, ModuleNotFoundError) else "",
    }


def _last_line(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1].strip()
