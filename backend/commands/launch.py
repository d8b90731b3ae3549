"""accelerate's launcher, which ends as the trainer did: `python -m backend.commands.launch ...` as `accelerate launch`.

accelerate itself makes 1 of whatever became of the trainer, so that nobody could tell why it ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from accelerate.commands.launch import main as launch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError


def main() -> int:
    """Launch; returns the exit code of the trainer, the negative number of the signal that ended it."""
    try:
        launch()
    except subprocess.CalledProcessError as error:
        return error.returncode
    except ChildFailedError as error:  # several processes: that of the first that failed
        _, failure = error.get_first_failure()
        return failure.exitcode
    return 0


def end_like(code: int) -> None:
    """End with this exit code, or by this signal where it is negative, so that the parent reads it as it was."""
    if code >= 0 or sys.platform == "win32":
        sys.exit(code)
    import resource  # not there on Windows

    print(f"the trainer was ended by signal {-code} ({_name(-code)})", file=sys.stderr, flush=True)
    if -code != signal.SIGKILL:  # which alone nothing can catch
        signal.signal(-code, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the trainer has left its core, if one is wanted
    os.kill(os.getpid(), -code)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


if __name__ == "__main__":
    end_like(main())
