"""How the work of a run ended, told in its status whatever it was."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from backend.errors import StoppedByUser, UserError
from backend.runs.error_record import describe_error
from backend.runs.output import outlive_full_disk
from backend.runs.status import Phase, Reporter


@contextmanager
def reported_outcome(reporter: Reporter, *, phase: Phase) -> Iterator[None]:
    """Tell the run's status how the work inside ended. phase: the one that it begins with.

    As a run, what it prints does not end it on a full disk.
    """
    if reporter.folder is not None:
        outlive_full_disk()
    reporter.update(phase=phase)
    try:
        yield
    except (StoppedByUser, KeyboardInterrupt) as stopped:
        reporter.update(outcome="stopped", message=str(stopped), exit_code=StoppedByUser.exit_code)
        raise
    except BaseException as error:
        is_ours = isinstance(error, UserError)
        message = str(error) if is_ours else traceback.format_exception_only(error)[-1].strip()
        exit_code = error.exit_code if is_ours else 1
        reporter.update(outcome="failed", message=message, error=describe_error(error), exit_code=exit_code)
        raise
    reporter.update(phase="done", outcome="finished", exit_code=0)
