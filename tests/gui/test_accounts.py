"""Where the keys of wandb and Hugging Face are found; the keys themselves are never told."""

from __future__ import annotations

from gui.accounts import logins


def test_nobody_is_logged_in_at_first(tmp_path):
    assert logins(tmp_path, {}, tmp_path) == {"wandb": "", "huggingface": ""}


def test_a_variable_counts_first(tmp_path):
    (tmp_path / "secrets.toml").write_text('wandb_api_key = "one"\n', encoding="utf-8")
    assert logins(tmp_path, {"WANDB_API_KEY": "x", "HF_TOKEN": "y"}, tmp_path) == {
        "wandb": "environment",
        "huggingface": "environment",
    }


def test_the_workspaces_secrets_count_next(tmp_path):
    (tmp_path / "secrets.toml").write_text('wandb_api_key = "one"\nhuggingface_token = "two"\n', encoding="utf-8")
    assert set(logins(tmp_path, {}, tmp_path).values()) == {"workspace"}


def test_what_the_services_own_logins_have_left_counts_last(tmp_path):
    (tmp_path / ".netrc").write_text("machine api.wandb.ai\n  login user\n  password key\n", encoding="utf-8")
    (tmp_path / ".netrc").chmod(0o600)
    token = tmp_path / ".cache" / "huggingface" / "token"
    token.parent.mkdir(parents=True)
    token.write_text("hf_x", encoding="utf-8")
    assert set(logins(tmp_path, {}, tmp_path).values()) == {"login"}


def test_a_login_at_another_server_of_wandb_is_looked_for_there(tmp_path):
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password key\n", encoding="utf-8")
    (tmp_path / ".netrc").chmod(0o600)
    assert logins(tmp_path, {"WANDB_BASE_URL": "https://wandb.example.com"}, tmp_path)["wandb"] == ""


def test_no_key_is_told(serve_page, tmp_path):
    (tmp_path / "secrets.toml").write_text('wandb_api_key = "very-secret"\n', encoding="utf-8")
    page = serve_page()
    assert "very-secret" not in page.client.get("/settings").text
