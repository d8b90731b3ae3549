"""The zip to ask for help with: what is in it, and what must not be."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from backend.runs.folder import RunFolder
from gui.support_bundle import REMOVED, TAIL_BYTES, Redaction, make_bundle


def unpacked(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as bundle:
        return {name: bundle.read(name).decode("utf-8") for name in bundle.namelist()}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    folder = tmp_path / "runs" / "20261122-114009_cat"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'dit = "{Path.home()}/models/dit.pt"\n', encoding="utf-8")
    (folder / "train.log").write_text("begin\n" + "x" * TAIL_BYTES + "\nkey-1234567890 the end\n", encoding="utf-8")
    return RunFolder(folder)


def test_it_holds_the_run_and_the_versions(tmp_path, run):
    files = unpacked(make_bundle(tmp_path, run, {}))
    assert json.loads(files["versions.json"])["gradio"]
    assert files[f"{run.name}/config.toml"] == 'dit = "~/models/dit.pt"\n'
    log = files[f"{run.name}/train.log"]
    assert len(log) == TAIL_BYTES and log.endswith("the end\n") and "begin" not in log


def test_secrets_are_taken_out_wherever_they_stand(tmp_path, run):
    (tmp_path / "secrets.toml").write_text('huggingface_token = "my token"\n', encoding="utf-8")
    (tmp_path / "queue.log").write_text(f"my token, hf_{'a' * 34}, {'0f' * 20}, key-1234567890\n", encoding="utf-8")
    files = unpacked(make_bundle(tmp_path, run, {"WANDB_API_KEY": "key-1234567890"}))
    assert files["queue.log"] == ", ".join([REMOVED] * 4) + "\n"
    assert "key-1234567890" not in "".join(files.values())
    assert "secrets.toml" not in files


def test_without_a_run_it_holds_the_rest(tmp_path):
    assert list(unpacked(make_bundle(tmp_path, None, {}))) == ["versions.json"]


@pytest.mark.parametrize(
    ("home", "text", "expected"),
    [
        (Path("/home/ada"), "/home/ada/x and /home/adam/y", "~/x and /home/adam/y"),
        (Path("/home/ada"), "at /mnt/old/home/ada/x", "at /mnt/old/home/user/x"),
        (Path("/root"), "/root/x, /rootless/y", "~/x, /rootless/y"),
    ],
)
def test_the_home_folder_becomes_a_tilde(home, text, expected):
    assert Redaction([], home=home)(text) == expected


def test_the_page_gives_the_zip_of_the_newest_run(serve_page, tmp_path, run):
    (run.path / "job.json").write_text(
        json.dumps({"kind": "train", "name": "cat", "arguments": [], "submitted": 1.0}), encoding="utf-8"
    )
    answer = serve_page().client.get("/support.zip")
    assert answer.headers["content-type"] == "application/zip"
    assert f"{run.name}/config.toml" in unpacked(answer.content)
