import os
import time
from pathlib import Path

import pytest

from backend.runs.folder import RunFolder
from tests.gui.written_runs import end_run, make_run

PAGE = "https://wandb.ai/me/network_train/runs/a1b2c3d4"


@pytest.fixture
def no_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def make_offline_run(workspace: Path) -> tuple[RunFolder, Path]:
    run = make_run(workspace, log_with="all", wandb_offline=True)
    folder = workspace / "logs" / "20261122114009" / "wandb" / "offline-run-20261122_114009-a1b2c3d4"
    folder.mkdir(parents=True)
    (folder / "run-a1b2c3d4.wandb").write_bytes(b"not whole")
    end_run(run, steps=1, log_folder=str(folder.parents[1]))
    return run, folder


def test_the_login_is_told_and_its_key_is_not(tmp_path, serve_page, no_login, monkeypatch):
    client = serve_page().client
    assert client.get("/wandb").json() == {"login": "", "offline": False, "problem": ""}
    secrets = tmp_path / "secrets.toml"
    secrets.write_text('wandb_api_key = "hunter2hunter2"\n')
    secrets.chmod(0o600)
    answer = client.get("/wandb")
    assert answer.json() == {"login": "environment", "offline": False, "problem": ""}
    assert "hunter2" not in answer.text
    assert "WANDB_API_KEY" not in os.environ
    if os.name == "posix":
        secrets.chmod(0o644)
        assert "can be read by other users" in client.get("/wandb").json()["problem"]
    secrets.unlink()
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password " + "0" * 40 + "\n")
    (tmp_path / "netrc").chmod(0o600)
    assert client.get("/wandb").json()["login"] == "home"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert client.get("/wandb").json()["offline"] is True


def test_the_page_of_a_run_is_read_from_its_log(tmp_path, serve_page):
    run, plain = make_run(tmp_path, log_with="wandb"), make_run(tmp_path)
    for one in (run, plain):
        one.log_file.write_text(f"wandb: \x1b[34mView run\x1b[0m fox at: \x1b[34m{PAGE}\x1b[0m\n")
    client = serve_page().client
    told = client.get(f"/runs/{run.name}/wandb").json()
    assert told == {"used": True, "address": PAGE, "unsynced": 0, "syncing": False, "failed": ""}
    assert client.get(f"/runs/{plain.name}/wandb").json()["used"] is False
    assert client.get("/runs/no_such_run/wandb").status_code == 404


def test_what_cannot_be_sent_is_told_in_wandbs_words(tmp_path, serve_page, no_login):
    run, _ = make_offline_run(tmp_path)
    client = serve_page().client
    assert client.get(f"/runs/{run.name}/wandb").json()["unsynced"] == 1
    assert client.post(f"/runs/{run.name}/wandb/sync").status_code == 200
    assert client.post(f"/runs/{run.name}/wandb/sync").status_code == 200  # it goes on already
    while (told := client.get(f"/runs/{run.name}/wandb").json())["syncing"]:
        time.sleep(0.1)
    assert told["failed"]
    assert told["unsynced"] == 1


def test_what_was_sent_already_is_not_sent_again(tmp_path, serve_page):
    run, folder = make_offline_run(tmp_path)
    (folder / "run-a1b2c3d4.wandb.synced").touch()
    client = serve_page().client
    assert client.get(f"/runs/{run.name}/wandb").json()["unsynced"] == 0
    assert client.post(f"/runs/{run.name}/wandb/sync").status_code == 409
