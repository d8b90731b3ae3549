"""`python -m backend COMMAND`: finds the command, and turns errors into lines and exit codes."""

from __future__ import annotations

import importlib
import sys

from backend.errors import InputError, UserError

COMMANDS = {
    "train": "train a LoRA",
    "cache_latents": "encode pictures and clips once, before training",
    "cache_text_encoder_outputs": "encode captions once, before training",
    "plan": "show what a training would do, without loading weights",
    "generate": "make pictures and clips, with and without LoRAs",
    "lora": "look into LoRA files, convert, resize, merge and extract them",
    "queue": "run the queued jobs of a workspace, look at them and change their order",
    "runs": "list runs, stop, save and resume them, see why they failed",
    "demo": "make a small model family and a dataset to try everything with",
}


def main(arguments: list[str]) -> int:
    """Run a command. Returns its exit code: 0 done, 1 failed, 2 wrong input, 130 stopped by the user."""
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    sys.stderr.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0
    command, *rest = arguments
    try:
        if command not in COMMANDS:
            raise InputError(f"there is no command {command}", hint=f"known are {', '.join(COMMANDS)}")
        return importlib.import_module(f"backend.commands.{command}").main(rest)
    except UserError as error:
        print(*error.lines(), sep="\n", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # a full disk, a folder that may not be written; without a file it is a fault of ours
        if error.filename is None:
            raise
        print(
            f"error: {error.filename}: {error.strerror} (check the path, its rights and the free space)",
            file=sys.stderr,
        )
        return UserError.exit_code
    except KeyboardInterrupt:
        return 130


def _usage() -> str:
    lines = ["usage: python -m backend COMMAND [options]", ""]
    lines += [f"  {name:28}{what}" for name, what in COMMANDS.items()]
    return "\n".join([*lines, "", "python -m backend COMMAND --help lists the options of a command."])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
