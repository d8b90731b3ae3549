"""The folders that the page may look into, and the browser that looks into them."""

import json
from pathlib import Path

import pytest

from gui.folder_browser import list_folder
from gui.roots import allowed_roots


@pytest.fixture
def roots(tmp_path: Path) -> list[Path]:
    """A root with folders, files, something hidden, and links in and out of it."""
    root, outside = tmp_path / "models", tmp_path / "secrets"
    for folder in (root / "vae", root / "Clips 10", root / "clips 2", root / ".cache", outside):
        folder.mkdir(parents=True)
    (root / "b.safetensors").write_bytes(b"12345")
    (root / "a.pt").write_bytes(b"1")
    (root / ".hidden").write_bytes(b"1")
    (root / "way out").symlink_to(outside)
    (root / "way in").symlink_to(root / "vae")
    (root / "nowhere").symlink_to(root / "gone")
    return [root.resolve()]


def names(listed: dict) -> list[str]:
    return [entry["name"] for entry in listed["entries"]]


def test_folders_come_first_in_natural_order_and_hidden_files_and_ways_out_are_left_out(roots):
    listed = list_folder(str(roots[0]), roots)
    assert names(listed) == ["clips 2", "Clips 10", "vae", "way in", "a.pt", "b.safetensors"]
    assert [entry["size"] for entry in listed["entries"]][-2:] == [1, 5]
    assert (listed["path"], listed["above"]) == (str(roots[0]), None)


def test_a_folder_below_names_the_one_above(roots):
    listed = list_folder(str(roots[0] / "vae"), roots)
    assert (listed["path"], listed["above"], listed["entries"]) == (str(roots[0] / "vae"), str(roots[0]), [])


@pytest.mark.parametrize("path", ["", "/", "/etc", "..", "\0", "~nobody-of-that-name"])
def test_a_path_outside_shows_the_roots_and_nothing_else(roots, path):
    listed = list_folder(path, roots)
    assert (listed["path"], names(listed)) == (None, [str(roots[0])])


@pytest.mark.parametrize("path", ["../secrets", "way out", "vae/../../secrets"])
def test_no_dots_and_no_links_lead_out(roots, path):
    assert list_folder(str(roots[0] / path), roots)["path"] is None


def test_of_a_file_or_a_half_typed_path_the_nearest_folder_is_shown(roots):
    assert list_folder(str(roots[0] / "vae" / "nothing" / "yet"), roots)["path"] == str(roots[0] / "vae")
    assert list_folder(str(roots[0] / "a.pt"), roots)["path"] == str(roots[0])


def test_without_settings_workspace_and_home_may_be_looked_into(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    assert {tmp_path.resolve(), home.resolve()} <= set(allowed_roots(tmp_path))


def test_beside_the_workspace_the_settings_say_which_folders_alone(tmp_path):
    workspace, data = tmp_path / "workspace", tmp_path / "data"
    workspace.mkdir()
    data.mkdir()
    listed = [str(data), str(tmp_path / "gone"), str(data)]
    (workspace / "settings.toml").write_text(f"allowed_roots = {json.dumps(listed)}\n", encoding="utf-8")
    assert allowed_roots(workspace) == [workspace.resolve(), data.resolve()]


def test_with_settings_that_cannot_be_read_only_the_workspace_may_be_looked_into(tmp_path):
    (tmp_path / "settings.toml").write_text("allowed_roots = 5\n", encoding="utf-8")
    assert allowed_roots(tmp_path) == [tmp_path.resolve()]


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"path": 3}'])
def test_a_request_that_is_none_is_refused(serve_page, body):
    assert serve_page().client.post("/paths/list", content=body).status_code == 400


def test_the_route_lists_the_workspace(serve_page):
    page = serve_page()
    workspace = page.application.state.workspace
    (workspace / "models").mkdir()
    answer = page.client.post("/paths/list", json={"path": str(workspace)}).json()
    assert "models" in names(answer)
