"""Tests of launch.py and launch.sh, run as a user runs them, in a project folder with a space and non-ASCII letters."""

from __future__ import annotations

import ast
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

import launch

REPOSITORY = Path(launch.__file__).parent
AWKWARD_ARGUMENTS = ["two words", "ä 日本", "a=b", 'say "hi"', "*", ""]
posix_only = pytest.mark.skipif(os.name == "nt", reason="launch.sh and signals are POSIX")

TELL_ALL = """
import json, os, sys
print(json.dumps({"program": NAME, "arguments": sys.argv[1:], "cwd": os.getcwd(), "prefix": sys.prefix}))
sys.exit(7 if "fail" in sys.argv else 0)
"""


@pytest.fixture(scope="module")
def started_project(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """A stand-in project, and what its first start said, which follows one that was killed half-way.

    Not to be changed: copy it. Making an environment takes 4 s or more, so that they all share this one.
    """
    project = tmp_path_factory.mktemp("launch") / "my Prüfung 試"
    write_project(project)
    kill_a_first_start(project)
    return project, start(project, "--port", "7861")


@pytest.fixture
def project(started_project, tmp_path) -> Path:
    """A stand-in project of the test's own that was started before."""
    return Path(shutil.copytree(started_project[0], tmp_path / "eigenes Projekt é", symlinks=True))


def test_the_first_start_makes_the_environment_and_opens_the_page_even_after_one_that_was_killed(started_project):
    project, first = started_project
    told = what_it_told(first)
    assert told["program"] == "app.py"
    assert told["arguments"] == ["--port", "7861"]
    assert told["prefix"] == str(project / ".venv")
    assert "Making a Python environment" in first.stderr
    assert "Installing the packages of requirements.txt" in first.stderr


def test_a_second_start_neither_calls_pip_nor_says_anything(project):
    break_pip(project)
    second = start(project)
    assert what_it_told(second)["arguments"] == []
    assert second.stderr == ""


@posix_only
def test_launch_sh_hands_arguments_over_as_they_are(project):
    assert what_it_told(start_sh(project, "--x", *AWKWARD_ARGUMENTS))["arguments"] == ["--x", *AWKWARD_ARGUMENTS]


@posix_only
def test_launch_sh_works_through_a_link_and_from_another_folder(project, tmp_path):
    link = tmp_path / "lora-loom"
    link.symlink_to(project / "launch.sh")
    done = subprocess.run([link], cwd="/", env=environment(), capture_output=True, encoding="utf-8")
    assert what_it_told(done)["program"] == "app.py"
    assert what_it_told(done)["cwd"] == "/"  # relative paths count from where the user is


@posix_only
def test_a_backend_in_the_users_folder_is_not_taken_for_ours(project, tmp_path):
    theirs = tmp_path / "their folder"
    (theirs / "backend").mkdir(parents=True)
    (theirs / "backend" / "__main__.py").write_text("raise SystemExit('theirs')", encoding="utf-8")
    done = subprocess.run(
        [project / "launch.sh", "plan", "x.toml"], cwd=theirs, env=environment(), capture_output=True, encoding="utf-8"
    )
    assert what_it_told(done)["program"] == "backend"
    assert what_it_told(done)["cwd"] == str(theirs)


def test_any_other_word_is_a_command_of_the_backend(project):
    told = what_it_told(start(project, "plan", "--json", *AWKWARD_ARGUMENTS))
    assert told["program"] == "backend"
    assert told["arguments"] == ["plan", "--json", *AWKWARD_ARGUMENTS]


def test_the_exit_code_of_the_program_is_the_launchers(project):
    assert start(project, "plan", "fail").returncode == 7
    assert start(project, "--", "fail").returncode == 7


@posix_only
def test_signals_reach_the_program(project):
    (project / "app.py").write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n",
        encoding="utf-8",
    )
    process = subprocess.Popen([project / "launch.sh"], env=environment(), stdout=subprocess.PIPE, encoding="utf-8")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 5


def test_changed_requirements_are_installed_once(project):
    add_wheel(project, "loomtest", "1.0")
    (project / "requirements.txt").write_text("--find-links wheels\nloomtest==1.0\n", encoding="utf-8")
    (project / "app.py").write_text("import loomtest; print(loomtest.VERSION)\n", encoding="utf-8")
    assert start(project).stdout == "1.0\n"
    break_pip(project)
    assert start(project).stdout == "1.0\n"


def test_what_cannot_be_installed_is_one_line_and_a_second_try_works(project):
    (project / "requirements.txt").write_text("--find-links wheels\nloomtest==1.0\n", encoding="utf-8")
    failed = start(project)
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "no connection to the package index" in failed.stderr.splitlines()[-1]
    assert "loomtest==1.0" in failed.stderr  # pip's own words, above
    add_wheel(project, "loomtest", "1.0")
    assert start(project).returncode == 0


def test_torch_comes_from_the_index_that_the_variable_names(project):
    add_wheel(project, "torch", "2.13.0")
    add_wheel(project, "torch", "2.13.0+cu130", index="cuda")
    (project / "requirements.txt").write_text("--find-links wheels\ntorch==2.13.0\n", encoding="utf-8")
    (project / "app.py").write_text("import torch; print(torch.VERSION)\n", encoding="utf-8")
    assert start(project).stdout == "2.13.0\n"
    index = {"LORALOOM_TORCH_INDEX": (project / "cuda").as_uri(), "PIP_NO_INDEX": "0"}
    assert start(project, **index).stdout == "2.13.0+cu130\n"
    break_pip(project)
    assert start(project, **index).stdout == "2.13.0+cu130\n"


def test_an_environment_that_is_half_made_or_does_not_run_counts_as_none(project):
    venv = project / ".venv"
    assert launch.python_version_of(venv) == f"{sys.version_info[0]}.{sys.version_info[1]}"
    (venv / "unfinished").touch()
    assert launch.python_version_of(venv) == ""
    (venv / "unfinished").unlink()
    launch.python_in(venv).unlink()
    assert launch.python_version_of(venv) == ""


@posix_only
def test_an_environment_whose_pip_is_broken_is_made_anew_when_packages_are_wanted(project):
    break_pip(project)
    add_wheel(project, "loomtest", "1.0")
    (project / "requirements.txt").write_text("--find-links wheels\nloomtest==1.0\n", encoding="utf-8")
    again = start_sh(project)  # by the Python of the environment that goes
    assert what_it_told(again)["prefix"] == str(project / ".venv")
    assert "Making a Python environment" in again.stderr


@posix_only
def test_a_start_waits_for_another_that_is_setting_up(project):
    import fcntl

    (project / "requirements.txt").write_text("# changed\n", encoding="utf-8")
    with (project / ".venv" / "setup.lock").open("a", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        command = [sys.executable, project / "launch.py"]
        waiting = subprocess.Popen(
            command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
        )
        assert "Another start is setting up" in waiting.stderr.readline()
        assert waiting.poll() is None
    _, said = waiting.communicate()
    assert waiting.returncode == 0
    assert "Installing the packages" in said


@posix_only
def test_the_word_test_installs_what_tests_need_and_runs_pytest(project, tmp_path):
    add_wheel(project, "pytest", "9.0", code=TELL_ALL.replace("NAME", "'pytest'"))
    (project / "requirements-dev.txt").write_text(
        "-r requirements.txt\n--find-links wheels\npytest>=9\n", encoding="utf-8"
    )
    write_executable(tmp_path / "bin" / "chromium", "#!/bin/sh\n")
    told = what_it_told(start(project, "test", "-k", "two words", PATH=f"{tmp_path / 'bin'}"))
    assert told["program"] == "pytest"
    assert told["arguments"] == ["-k", "two words"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a browser stands at a fixed place")
def test_tests_without_a_browser_and_a_way_to_install_one_are_refused(project, tmp_path):
    refused = start(project, "test", PATH=str(tmp_path))
    assert refused.returncode == 1
    assert "The tests need Chromium or Chrome" in refused.stderr.splitlines()[-1]


@posix_only
@pytest.mark.parametrize("python", [None, "#!/bin/sh\nexit 1\n"], ids=["none", "too old"])
def test_launch_sh_says_that_there_is_no_fitting_python(tmp_path, python):
    project, folder = tmp_path / "p é", tmp_path / "bin"
    write_project(project)
    folder.mkdir()
    for tool in ("dirname", "readlink"):
        (folder / tool).symlink_to(shutil.which(tool))
    if python:  # answers as a Python 3.8 does when asked whether it is new enough
        write_executable(folder / "python3", python)
    refused = start_sh(project, PATH=str(folder))
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert "needs Python 3.10 or newer" in refused.stderr
    assert "https://www.python.org/downloads/" in refused.stderr


def test_python_3_8_can_read_launch_py_and_is_refused_by_name():
    ast.parse((REPOSITORY / "launch.py").read_text(encoding="utf-8"), feature_version=(3, 8))
    with pytest.raises(launch.LaunchError, match=r"3\.10 or newer, and this is 3\.8\.20 \(/usr/bin/python3\)"):
        launch.refuse_old_python((3, 8, 20), "/usr/bin/python3")
    launch.refuse_old_python((3, 10, 0), "/usr/bin/python3")


def test_windows_programs_are_started_with_the_environments_python():
    root = Path("project")
    python = str(root / ".venv" / "Scripts" / "python.exe")
    assert launch.program(root, [], system="nt") == [python, str(root / "app.py")]
    assert launch.program(root, ["test", "-q"], system="nt") == [python, "-m", "pytest", "-q"]
    assert launch.program(root, ["demo", "--train"], system="nt") == [python, "-m", "backend", "demo", "--train"]


@pytest.mark.parametrize(
    ("system", "has_nvidia", "chosen", "index"),
    [
        ("nt", True, "", launch.CUDA_WHEELS),
        ("nt", False, "", ""),
        ("posix", True, "", ""),
        ("nt", True, "https://example.org/cpu", "https://example.org/cpu"),
        ("posix", False, " https://example.org/rocm ", "https://example.org/rocm"),
    ],
)
def test_torch_has_an_index_of_its_own_on_windows_with_an_nvidia_card_or_on_demand(system, has_nvidia, chosen, index):
    environment = {"LORALOOM_TORCH_INDEX": chosen} if chosen else {}
    assert launch.torch_index(environment, system=system, has_nvidia=lambda: has_nvidia) == index


def test_the_line_that_asks_for_torch_is_found():
    real = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8")
    assert launch.torch_requirement(real).startswith("torch==2.")
    assert launch.torch_requirement("torchvision==1\n# torch==1\ntorch>=2 # why\n") == "torch>=2"
    assert launch.torch_requirement("numpy\n") == ""


def test_windows_browsers_are_looked_for_where_their_installers_put_them():
    places = launch.chromium_places({"PROGRAMFILES": "C:/Program Files"}, platform="win32")
    assert Path("C:/Program Files/Google/Chrome/Application/chrome.exe") in places
    assert Path("C:/Program Files/Microsoft/Edge/Application/msedge.exe") in places
    assert launch.chromium_places({}, platform="linux") == []


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("after connection broken by 'NewConnectionError(...)'\nERROR: No matching distribution", "No connection to"),
        ("ERROR: Could not find a version that satisfies the requirement x (from versions: none)", "was not found"),
        ("ERROR: Package 'x' requires a different Python: 3.10.1 not in '>=3.11'", "does not run on Python"),
        ("error: command 'gcc' failed", "stopped in python"),
    ],
)
def test_what_a_tool_said_becomes_one_line(output, line):
    explained = launch.explain_output(output, tool="python")
    assert line in explained
    assert "start again" in explained
    assert "\n" not in explained


def test_a_full_disk_and_a_refused_file_are_told_apart():
    assert "disk is full" in launch.explain_os_error(OSError(errno.ENOSPC, "No space left on device"))
    refused = launch.explain_os_error(PermissionError(errno.EACCES, "Permission denied", "x/.venv"))
    assert "x/.venv" in refused
    assert "can be written to" in refused


def test_launch_bat_has_windows_line_ends():
    content = (REPOSITORY / "launch.bat").read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n") > 0


# -- the stand-in project ----------------------------------------------------------------------------------------------


def write_project(project: Path) -> None:
    (project / "backend").mkdir(parents=True)
    for name in ("launch.py", "launch.sh"):
        shutil.copy(REPOSITORY / name, project / name)
    (project / "requirements.txt").write_text("# nothing\n", encoding="utf-8")
    (project / "requirements-dev.txt").write_text("-r requirements.txt\n", encoding="utf-8")
    (project / "app.py").write_text(TELL_ALL.replace("NAME", "'app.py'"), encoding="utf-8")
    (project / "backend" / "__main__.py").write_text(TELL_ALL.replace("NAME", "'backend'"), encoding="utf-8")


def add_wheel(project: Path, name: str, version: str, *, index: str = "", code: str = "") -> None:
    """Lays a wheel with one package into the folder `wheels`, or into the package index `index`, of the project."""
    info = f"{name}-{version}.dist-info"
    folder = project / index / name if index else project / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    wheel = f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(folder / wheel, "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{name}/__main__.py", code)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    if index:
        (folder / "index.html").write_text(f'<a href="{wheel}">{wheel}</a>', encoding="utf-8")


def kill_a_first_start(project: Path) -> None:
    """Leaves a half-made environment behind."""
    command = [sys.executable, project / "launch.py"]
    killed = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for(launch.python_in(project / ".venv"))
    if os.name == "nt":
        killed.kill()
    else:
        os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert (project / ".venv" / "unfinished").exists()


def break_pip(project: Path) -> None:
    for main in (project / ".venv").rglob("site-packages/pip/__main__.py"):
        main.write_text("raise SystemExit('pip was called')\n", encoding="utf-8")


def write_executable(path: Path, content: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, encoding="utf-8")
    path.chmod(0o755)


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without pip's settings, and with no package index to ask."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "LORALOOM_"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", **changes}


def start(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    return run([sys.executable, str(project / "launch.py"), *arguments], **variables)


def start_sh(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    return run([str(project / "launch.sh"), *arguments], **variables)


def run(command: list[str], **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, env=environment(**variables), capture_output=True, encoding="utf-8")


def what_it_told(done: subprocess.CompletedProcess) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def wait_for(path: Path, *, patience_s: float = 60) -> None:
    deadline = time.monotonic() + patience_s
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)
