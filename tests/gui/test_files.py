import os
import shutil
from pathlib import Path

import pytest

DEMO_MEDIA = Path(__file__).parents[2] / "presets" / "demo"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    samples = tmp_path / "workspace" / "runs" / "my run" / "samples"
    samples.mkdir(parents=True)
    (samples / "猫 1.png").write_bytes(b"0123456789")
    shutil.copy(next(DEMO_MEDIA.rglob("*.mp4")), samples / "clip.mp4")
    (tmp_path / "outside.png").write_bytes(b"private")
    return tmp_path / "workspace"


def test_pictures_and_clips_of_the_workspace_are_served_with_their_type(workspace, serve_page):
    client = serve_page(workspace).client
    picture = client.get("/files/runs/my%20run/samples/%E7%8C%AB%201.png")
    clip = client.get("/files/runs/my%20run/samples/clip.mp4")
    assert (picture.content, picture.headers["content-type"]) == (b"0123456789", "image/png")
    assert clip.headers["content-type"] == "video/mp4"
    assert clip.headers["x-content-type-options"] == "nosniff"
    assert clip.content == (workspace / "runs" / "my run" / "samples" / "clip.mp4").read_bytes()


def test_a_clip_can_be_played_from_the_middle(workspace, serve_page):
    part = serve_page(workspace).client.get("/files/runs/my run/samples/clip.mp4", headers={"range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")


def test_nothing_else_is_served(workspace, serve_page, tmp_path):
    (workspace / "config.toml").write_text("key = 1")
    (workspace / "page.html").write_text("<script>")
    (workspace / "picture.svg").write_text("<svg/>")
    (workspace / "folder.png").mkdir()
    client = serve_page(workspace).client
    paths = [
        "config.toml",
        "page.html",
        "picture.svg",
        "folder.png",
        "missing.png",
        "../outside.png",
        "%2e%2e/outside.png",
        "..%2foutside.png",
        f"/{tmp_path}/outside.png",
        f"%2f{tmp_path}/outside.png",
        "a%00.png",
        "",
    ]
    for path in paths:
        answer = client.get("/files/" + path)
        assert (path, answer.status_code, b"private" in answer.content) == (path, 404, False)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_a_link_is_followed_inside_the_workspace_only(workspace, serve_page, tmp_path):
    (workspace / "in.png").symlink_to(workspace / "runs" / "my run" / "samples" / "猫 1.png")
    (workspace / "out.png").symlink_to(tmp_path / "outside.png")
    (workspace / "loop.png").symlink_to(workspace / "loop.png")
    (workspace / "disguised.png").symlink_to(workspace / "secret.toml")
    (workspace / "secret.toml").write_text("private")
    client = serve_page(workspace).client
    answers = [client.get(f"/files/{name}.png").status_code for name in ("in", "out", "loop", "disguised")]
    assert answers == [200, 404, 404, 404]
