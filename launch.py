"""Makes the program's own Python environment, keeps it up to date, and starts what is asked for.

    launch.py [OPTIONS]          the page: app.py with these options
    launch.py test [OPTIONS]     the tests: pytest with these options
    launch.py COMMAND [OPTIONS]  a command of the trainer: python -m backend COMMAND with these options

Called by launch.sh and launch.bat. Standard library only; Python 3.8 can still read it and say what is missing.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).absolute().parent
OLDEST_PYTHON = (3, 10)
CUDA_WHEELS = "https://download.pytorch.org/whl/cu130"  # what torch 2.13 is built for; Turing cards and newer
DISK_NEEDED_GIB = 10


class LaunchError(Exception):
    """Why the program cannot be started, and the way out, in one line."""


def main(arguments: Sequence[str]) -> int:
    """Sets up and starts what the arguments ask for; the exit code (on POSIX the program takes this one's place)."""
    try:
        refuse_old_python(sys.version_info[:3], sys.executable)
        wants_tests = arguments[:1] == ["test"]
        prepare_environment(ROOT / ".venv", for_tests=wants_tests)
        if wants_tests:
            install_chromium()
            os.chdir(ROOT)
        else:  # the program stays where the user is, so that relative paths mean what they say
            take_modules_from(ROOT)
        return hand_over(program(ROOT, arguments))
    except LaunchError as error:
        say(str(error))
        return 1
    except OSError as error:
        say(explain_os_error(error))
        return 1
    except KeyboardInterrupt:
        say("Stopped. The next start goes on from here.")
        return 130


def program(root: Path, arguments: Sequence[str], *, system: str = os.name) -> list[str]:
    """The command line that the launcher's arguments stand for."""
    python = str(python_in(root / ".venv", system=system))
    if not arguments or arguments[0].startswith("-"):
        return [python, str(root / "app.py"), *arguments]
    if arguments[0] == "test":
        return [python, "-m", "pytest", *arguments[1:]]
    return [python, "-m", "backend", *arguments]


def take_modules_from(root: Path) -> None:
    """Lets the program find its modules in this folder, and none in the user's, who may have a `backend` too."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
    os.environ["PYTHONSAFEPATH"] = "1"


def hand_over(command: Sequence[str]) -> int:
    """Runs the program; its exit code."""
    if os.name == "posix":
        os.execv(command[0], command)  # signals then reach the program itself
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # Ctrl+C has reached the program too, and the program decides when it ends
            continue


# -- the environment ---------------------------------------------------------------------------------------------------


def prepare_environment(venv: Path, *, for_tests: bool) -> None:
    """Makes the environment and installs what is not installed yet; asks nothing but the stamps when all is there."""
    if is_ready(venv, for_tests=for_tests):
        return
    venv.mkdir(exist_ok=True)
    with lock(venv / "setup.lock"):
        if not (python_version_of(venv) and pip_works(venv)):
            make_environment(venv)
        install_torch(venv)
        for name in requirement_files(for_tests=for_tests):
            install_requirements(venv, ROOT / name)


def is_ready(venv: Path, *, for_tests: bool) -> bool:
    version = python_version_of(venv)
    files = requirement_files(for_tests=for_tests)
    return bool(version) and all(is_stamped(venv, name, requirements_digest(ROOT / name, version)) for name in files)


def requirement_files(*, for_tests: bool) -> tuple[str, ...]:
    return ("requirements.txt", "requirements-dev.txt") if for_tests else ("requirements.txt",)


def python_in(venv: Path, *, system: str = os.name) -> Path:
    return venv / "Scripts" / "python.exe" if system == "nt" else venv / "bin" / "python"


def python_version_of(venv: Path) -> str:
    """The version of the environment's Python, such as "3.11"; "" if the environment is half-made or does not run."""
    if (venv / "unfinished").exists():
        return ""
    script = "import pip, sys; print('%d.%d' % sys.version_info[:2]) if sys.version_info >= (3, 10) else sys.exit(1)"
    try:
        answer = subprocess.run([str(python_in(venv)), "-I", "-c", script], capture_output=True, encoding="utf-8")
    except OSError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def pip_works(venv: Path) -> bool:
    return subprocess.run([str(python_in(venv)), "-m", "pip", "--version"], capture_output=True).returncode == 0


def make_environment(venv: Path) -> None:
    """Makes the environment anew; a file "unfinished" stands in it meanwhile, so that an interruption is noticed."""
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        version = this_python()
        raise LaunchError(
            f"Python {version} ({sys.executable}) lacks its venv package: install it "
            f"(Debian, Ubuntu: sudo apt install python{version}-venv), then start again."
        )
    (venv / "unfinished").touch()
    for entry in venv.iterdir():
        if entry.name not in ("unfinished", "setup.lock"):
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    run_tool([base_python(), "-m", "venv", "--without-pip", str(venv)], "Making a Python environment in .venv ...")
    # In a step of its own, because venv keeps to itself why pip could not be brought.
    run_tool([str(python_in(venv)), "-I", "-m", "ensurepip", "--default-pip"], "Bringing pip ...")
    (venv / "unfinished").unlink()


def base_python() -> str:
    """The Python outside of any environment: launch.sh prefers .venv's own, which cannot make .venv anew."""
    name = "python.exe" if os.name == "nt" else f"bin/python{this_python()}"
    base = Path(sys.base_prefix, name)
    return str(base) if sys.prefix != sys.base_prefix and base.exists() else sys.executable


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Holds the file's lock, after waiting for another start that has it."""
    with path.open("a", encoding="utf-8") as file:
        # Inherited by venv and pip: if this process is killed, they hold the lock until they have ended.
        os.set_inheritable(file.fileno(), True)
        if not take_lock(file):
            say("Another start is setting up; waiting for it ...")
            while not take_lock(file):
                time.sleep(0.2)
        yield


def take_lock(file: IO[str]) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # some network file systems have no locks: one start at a time is then up to the user
        return True
    return True


# -- packages ----------------------------------------------------------------------------------------------------------


def install_requirements(venv: Path, file: Path) -> None:
    """Brings the packages that the file asks for, unless that was done for this content and this Python before."""
    digest = requirements_digest(file, python_version_of(venv))
    if is_stamped(venv, file.name, digest):
        return
    run_pip(venv, ["-r", str(file)], f"Installing the packages of {file.name} (some minutes the first time) ...")
    write_stamp(venv, file.name, digest)


def install_torch(venv: Path) -> None:
    """Brings torch from an index of its own, where there is one; its dependencies follow with requirements.txt."""
    requirement = torch_requirement((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    index = torch_index(os.environ, system=os.name, has_nvidia=nvidia_smi_answers)
    digest = digest_of([index, requirement, python_version_of(venv)])
    if not (index and requirement) or is_stamped(venv, "torch", digest):
        return
    # Forced, because pip takes a CPU build of the same version for good enough.
    options = ["--force-reinstall", "--no-deps", "--index-url", index, requirement]
    run_pip(venv, options, f"Installing {requirement} from {index} (some minutes) ...")
    write_stamp(venv, "torch", digest)


def torch_index(environment: Mapping[str, str], *, system: str, has_nvidia: Callable[[], bool]) -> str:
    """The wheel index to take torch from; "" for the one that pip uses anyway.

    Windows builds in the package registry have no CUDA. LORALOOM_TORCH_INDEX names another index on any system.
    """
    chosen = environment.get("LORALOOM_TORCH_INDEX", "").strip()
    return chosen or (CUDA_WHEELS if system == "nt" and has_nvidia() else "")


def torch_requirement(requirements: str) -> str:
    """The line that asks for torch, such as "torch==2.13.0"; "" if there is none."""
    lines = [line.split("#")[0].strip() for line in requirements.splitlines()]
    return next((line for line in lines if line == "torch" or line.startswith(("torch=", "torch>", "torch~"))), "")


def nvidia_smi_answers() -> bool:
    try:
        return subprocess.run(["nvidia-smi"], capture_output=True).returncode == 0
    except OSError:
        return False


def requirements_digest(file: Path, python_version: str) -> str:
    """Differs when the packages have to be looked at again: other requirements, another Python or source of torch."""
    texts = [path.read_text(encoding="utf-8") for path in {file, ROOT / "requirements.txt"}]
    # Only whether nvidia-smi is there: asking it takes up to a second, and this is computed at every start.
    index = torch_index(os.environ, system=os.name, has_nvidia=lambda: bool(shutil.which("nvidia-smi")))
    return digest_of([*sorted(texts), python_version, index])


def digest_of(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8")).hexdigest()


def is_stamped(venv: Path, name: str, digest: str) -> bool:
    stamp = stamp_path(venv, name)
    return stamp.exists() and stamp.read_text(encoding="utf-8") == digest


def write_stamp(venv: Path, name: str, digest: str) -> None:
    """Written under another name first, so that a stamp is whole or not there."""
    unfinished = venv / f"{name}.new"
    unfinished.write_text(digest, encoding="utf-8")
    unfinished.replace(stamp_path(venv, name))


def stamp_path(venv: Path, name: str) -> Path:
    return venv / f"{name}.installed"


# -- the browser of the tests ------------------------------------------------------------------------------------------


def install_chromium() -> None:
    """Brings a browser for the tests where none is found and the system's own installer can be used."""
    if find_chromium():
        return
    if not (sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get")):
        way = "brew install --cask chromium" if sys.platform == "darwin" else "sudo apt install chromium"
        raise LaunchError(f"The tests need Chromium or Chrome and found none: install it ({way}), then start again.")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run_tool(["apt-get", "update"], "Looking for Chromium, which the tests need ...")
    run_tool(["apt-get", "install", "-y", "chromium", "fonts-noto-cjk"], "Installing Chromium ...")


def find_chromium() -> str:
    """Path of a Chromium, Chrome or Edge that Playwright can drive; "" if there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge"):
        found = shutil.which(name)
        if found:
            return found
    places = chromium_places(os.environ, platform=sys.platform)
    return next((str(place) for place in places if place.exists()), "")


def chromium_places(environment: Mapping[str, str], *, platform: str) -> list[Path]:
    """Where installers put a browser that is not on the search path."""
    if platform == "darwin":
        return [Path(f"/Applications/{name}.app/Contents/MacOS/{name}") for name in ("Chromium", "Google Chrome")]
    if platform != "win32":
        return []
    bases = [environment.get(name) for name in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")]
    programs = ("Chromium/Application/chrome", "Google/Chrome/Application/chrome", "Microsoft/Edge/Application/msedge")
    return [Path(base, f"{program}.exe") for program in programs for base in bases if base]


# -- tools and what they say -------------------------------------------------------------------------------------------


def run_pip(venv: Path, arguments: Sequence[str], task: str) -> None:
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    run_tool([str(python_in(venv)), "-m", "pip", "install", *options, *arguments], task)


def run_tool(command: Sequence[str], task: str) -> None:
    """Runs a tool of the set-up in the project's folder. Its output is shown only if it fails; raises LaunchError."""
    say(task)
    output = []
    with subprocess.Popen(
        command,
        cwd=str(ROOT),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        close_fds=False,
    ) as process:
        for line in process.stdout:
            output.append(line)
            show_progress(line.strip())
    show_progress("")
    if process.returncode:
        sys.stderr.write("".join(output))
        raise LaunchError(explain_output("".join(output), tool=Path(command[0]).name))


def explain_output(output: str, *, tool: str) -> str:
    """One line for what stopped a tool, read from its output."""
    said = output.lower()
    if any(words in said for words in DISK_FULL):
        return disk_full_line()
    if any(words in said for words in NO_NETWORK):
        return "No connection to the package index: check the network (or the proxy), then start again."
    if any(words in said for words in WRONG_PYTHON):
        return (
            f"A package (see above) does not run on Python {this_python()}: "
            "install another Python, delete .venv, then start again."
        )
    if "could not find a version" in said or "no matching distribution" in said:
        return (
            "A package (see above) was not found: there is no connection to the package index, "
            "or it has nothing for this system and Python. Check the network, then start again."
        )
    return f"The set-up stopped in {tool}; the reason stands above. Once it is mended, start again."


DISK_FULL = ("no space left on device", "[errno 28]", "not enough space on the disk", "disk quota exceeded")
NO_NETWORK = (
    "newconnectionerror",
    "connection broken",
    "connection refused",
    "connection timed out",
    "connecttimeouterror",
    "readtimeouterror",
    "max retries exceeded",
    "name resolution",
    "name or service not known",
    "getaddrinfo failed",
    "network is unreachable",
    "proxyerror",
    "temporary failure resolving",
)
WRONG_PYTHON = ("requires a different python", "requires-python")


def explain_os_error(error: OSError) -> str:
    """One line for what the system refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full_line()
    way = "close other programs that use this folder, see that it can be written to"
    return f"The set-up cannot go on: {error}. Please {way}, then start again."


def disk_full_line() -> str:
    return f"The disk is full: make room (about {DISK_NEEDED_GIB} GiB for {ROOT / '.venv'}), then start again."


def refuse_old_python(version: Sequence[int], executable: str) -> None:
    """Raises LaunchError if this Python is too old."""
    if tuple(version) < OLDEST_PYTHON:
        found = ".".join(str(part) for part in version)
        raise LaunchError(
            f"LoRA Loom needs Python 3.10 or newer, and this is {found} ({executable}): "
            "get it from https://www.python.org/downloads/, then start again."
        )


def this_python() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def say(line: str) -> None:
    """Tells the user; on stderr, because stdout belongs to the command (`plan --json` is read by programs)."""
    print(line, file=sys.stderr, flush=True)


def show_progress(line: str) -> None:
    """Shows a tool's current line over the one before it, where someone watches; "" takes it away."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{line[:width]:<{width}}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUTF8", "1")  # so that the program and its children read and write UTF-8 on Windows too
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")
    sys.exit(main(sys.argv[1:]))
