"""The page: `python app.py [--host HOST] [--port PORT] [--workspace FOLDER] [--open] [--auth USER:PASSWORD]`."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from backend.errors import InputError, UserError
from backend.runs.queue import resume_queue
from backend.runs.workspace import DEFAULT_WORKSPACE
from gui.address import check_access, listen, network_address, page_address
from gui.gradio_import import prepare_gradio


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until Ctrl+C; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        serve_page(options)
    except UserError as error:
        print(*error.lines(), sep="\n", file=sys.stderr)
        return error.exit_code
    return 0


def serve_page(options: argparse.Namespace) -> None:
    """Serve the page with these options; raises UserError for those that do not work."""
    check_access(options.host, options.auth)
    workspace = _make_workspace(options.workspace)
    listener = listen(options.host, options.port)
    prepare_gradio(workspace / "uploads")
    from gui.page import build_page  # only now: Gradio takes its environment when it is imported
    from gui.server import build_application, serve
    from gui.theme import appearance

    def tell_address() -> None:
        address = page_address(listener, host=options.host)
        if options.port not in (0, listener.getsockname()[1]):
            print(f"Port {options.port} is taken; using the next free one.")
        if from_elsewhere := network_address(listener, host=options.host):
            print(f"From other machines: {from_elsewhere}")
        print(f"LoRA Loom: {address}", flush=True)
        if options.open:
            webbrowser.open(address)

    resume_queue(workspace)
    application = build_application(
        build_page, workspace=workspace, host=options.host, login=options.auth, appearance=appearance
    )
    serve(application, listener, on_ready=tell_address)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="LoRA Loom: train LoRAs of video models in a web page.",
        epilog="LORALOOM_AUTH in the environment does what --auth does, and is not seen in the list of processes.",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="what to serve on; 0.0.0.0 for the whole network (default: %(default)s)"
    )
    parser.add_argument("--port", type=_port, default=7860, help="the next free one if taken (default: %(default)s)")
    parser.add_argument(
        "--workspace",
        type=Path,
        default=DEFAULT_WORKSPACE,
        help="folder of runs, logs and presets (default: %(default)s)",
    )
    parser.add_argument(
        "--open",
        action=argparse.BooleanOptionalAction,
        default=_has_display(),
        help="open the page in a browser (default: where there is a display)",
    )
    parser.add_argument(
        "--auth",
        metavar="USER:PASSWORD",
        default=os.environ.get("LORALOOM_AUTH", ""),
        help="the page's login; any host but this machine's own needs one",
    )
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is no port; wanted 0 to 65535")
    return port


def _has_display() -> bool:
    if "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _make_workspace(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--workspace {folder}: {error.strerror}", hint="choose a folder that can be written"
        ) from error
    return folder.resolve()


if __name__ == "__main__":
    sys.exit(main())
