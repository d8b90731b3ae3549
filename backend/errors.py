"""What can go wrong for a user, as a tree of exceptions.

    UserError               exit code 1   a run could not go on
    ├── InputError          exit code 2   what was given does not work; nothing was started
    │   ├── OptionError                   an option's name or value
    │   ├── DatasetError                  the dataset file, a picture, a clip, a caption, a cache
    │   └── ModelFileError                a weights file: missing, damaged, or of another kind
    └── StoppedByUser       exit code 130 asked to stop; what was learned is saved

Each carries one or more problems: where, what was found, what was wanted, and the way out. They are caught only
at the edge: `backend/__main__.py` turns them into lines and an exit code, the page into messages beside the fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong or doubtful, told to a person.

    message: where it is, what was found and what was wanted. hint: the way out.
    option: the name of the option concerned, "" if none. A warning does not keep a run from starting.
    """

    message: str
    hint: str = ""
    option: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UserError(Exception):
    """Something a user can understand and mend; one line for each problem."""

    exit_code = 1
    cause = ""
    """The id of what is wrong in backend/runs/failure_texts.py, where the class or the place that raises knows it."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        option: str = "",
        cause: str = "",
        parameters: Mapping[str, str | int] | None = None,
    ) -> None:
        self.problems: tuple[Problem, ...] = (Problem(message, hint, option),)
        self.cause = cause or type(self).cause
        self.parameters = parameters or {}  # of the cause's sentence
        super().__init__(str(self.problems[0]))

    def lines(self) -> list[str]:
        """What a command prints: one line for each problem, beginning with its severity."""
        return [f"{problem.severity}: {problem}" for problem in self.problems]

    @classmethod
    def of(cls, problems: Iterable[Problem], *, cause: str = "") -> UserError:
        """The same error for several problems at once, so that all mistakes are told in one go."""
        problems = tuple(problems)
        error = cls(problems[0].message, hint=problems[0].hint, option=problems[0].option, cause=cause)
        error.problems = problems
        error.args = ("\n".join(str(problem) for problem in problems),)
        return error


class InputError(UserError):
    """What was given does not work; nothing was started."""

    exit_code = 2


class OptionError(InputError):
    """An option's name or value."""

    cause = "wrong_setting"


class DatasetError(InputError):
    """The dataset file, a picture, a clip, a caption or a cache file."""

    cause = "dataset"


class ModelFileError(InputError):
    """A weights file that is missing, damaged or of another kind."""

    cause = "wrong_model_file"


class StoppedByUser(UserError):
    """The user asked to stop; what was learned is saved."""

    exit_code = 130

    def lines(self) -> list[str]:
        """What was asked for is no error."""
        return [str(problem) for problem in self.problems]
