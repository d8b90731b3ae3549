"""TensorBoard as a child that ends with its parent: `python -m gui.tensorboard_process --logdir LOGS ...`.

Its standard input is a pipe whose other end the parent holds and never writes to. However the parent dies, the system
closes that end, on Linux, Windows and macOS alike; TensorBoard's data server is tied to TensorBoard in the same way.
"""

from __future__ import annotations

import os
import threading


def main() -> None:
    """Run TensorBoard with the arguments of this process until the standard input ends."""
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    from tensorboard.main import run_main

    run_main()


def _end_with_standard_input() -> None:
    while os.read(0, 1024):  # not through sys.stdin, whose lock Python wants for itself when it ends in another way
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
