"""Settings from elsewhere: what is taken, and what is told of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.config.command_line import format_arguments
from backend.config.configuration import Configuration
from backend.config.importing import import_text
from backend.config.shells import SHELLS, command_lines
from backend.config.toml_file import format_toml
from backend.errors import ModelFileError, OptionError
from backend.plan.import_file import import_file
from tests.networks.lora_file_with_metadata import write_lora

GOLDEN = Path(__file__).parents[1] / "golden"
FULL = {
    "dit": "C:\\my models\\hunyuan é.safetensors",
    "network_args": ["loraplus_lr_ratio=4", r"exclude_patterns=[r'.*(?=\d)\.\"x', '.*a=b .*']"],
    "optimizer_args": ["betas=0.9,0.99", "weight_decay=0.1"],
    "training_comment": '50% & "more" 日本 l\u2019été ^ \\" $HOME > ; | # %PATH%',
    "xformers": True,
    "sdpa": False,
    "lr_warmup_steps": "10%",
    "learning_rate": 1e-5,
    "fp8_base": True,
}


def reasons(imported) -> dict[str, str]:
    return {passed.name: f"{passed.reason} ({passed.hint})" for passed in imported.passed_over}


def assert_is(imported, configuration: Configuration) -> None:
    assert imported.passed_over == ()
    assert Configuration.from_values(imported.values) == configuration


@pytest.mark.parametrize("shell", SHELLS)
def test_our_own_command_comes_back_whole_from_every_shell(shell):
    configuration = Configuration.from_values(FULL)
    arguments = ["C:\\Program Files\\python.exe", "-m", "backend", "train", "--workspace", "my work"]
    text = command_lines(shell, [*arguments, *format_arguments(configuration.values())], folder=Path("/my place"))
    assert_is(import_text(text), configuration)


def test_our_own_toml_comes_back_whole():
    configuration = Configuration.from_values(FULL)
    imported = import_text(format_toml(configuration.values(), title="from here"))
    assert imported.source == "toml"
    assert_is(imported, configuration)


def test_musubi_tuners_toml_has_sections_or_none():
    flat = 'network_dim = 64\nnetwork_args = ["loraplus_lr_ratio=4"]\nfp8_base = true\n'
    sections = '[network]\nnetwork_dim = 64\nnetwork_args = ["loraplus_lr_ratio=4"]\n[any]\nfp8_base = true\n'
    wanted = {"network_dim": 64, "loraplus_lr_ratio": 4.0, "fp8_base": True}
    assert import_text(flat).values == import_text(sections).values == wanted


COMMAND = r"""# training
accelerate launch --num_cpu_threads_per_process 1 --mixed_precision bf16 --main_training_function main {0}
    src/musubi_tuner/hv_train_network.py {0}
    --dit {1} --sdpa --fp8_base --learning-rate=2e-4 {0}
    --persistent_data_loader_workers --sage_attn --learning_rte 3 {0}
    --network_args "loraplus_lr_ratio=4" "exclude_patterns=['.*single blocks.*']" {0}
    --blocks_to_swap 20 --max_train_epochs sixteen --no_cuda_allow_tf32
"""


@pytest.mark.parametrize(
    ("mark", "dit"),
    [("\\", "models/mp_rank_00.pt"), ("`", "'C:\\my models\\a.pt'"), ("^", '"C:\\my models\\a.pt"')],
    ids=["bash", "PowerShell", "cmd"],
)
def test_a_pasted_command_goes_on_over_lines_as_its_shell_has_it(mark, dit):
    text = COMMAND.format(mark, dit).replace("# training", "REM training" if mark == "^" else "# training")
    imported = import_text(text)
    assert imported.source == "command"
    assert imported.values == {
        "dit": dit.strip("\"'"),
        "sdpa": True,
        "fp8_base": True,
        "learning_rate": 2e-4,
        "loraplus_lr_ratio": 4.0,
        "exclude_patterns": [".*single blocks.*"],
        "blocks_to_swap": 20,
        "cuda_allow_tf32": False,
        "num_cpu_threads_per_process": 1,
        "mixed_precision": "bf16",
    }
    told = reasons(imported)
    assert "did you mean learning_rate?" in told["learning_rte"]
    assert "no backward pass" in told["sage_attn"]
    assert "change nothing" in told["persistent_data_loader_workers"]
    assert "'sixteen'" in told["max_train_epochs"]
    assert "accelerate" in told["--main_training_function"]


@pytest.mark.parametrize(
    "text",
    [
        "LR=1e-4\nexport DIT='/my models/a.pt'\n"
        'python hv_train_network.py --learning_rate $LR --dit "${DIT}" --vae $HOME/vae.pt --network_dim 8 2>&1 | tee l',
        "$lr = 1e-4\n$dit = '/my models/a.pt'\n"
        'python hv_train_network.py --learning_rate $LR --dit "$dit" --vae $HOME/vae.pt --network_dim 8 *> log.txt',
        'set LR=1e-4\nset "DIT=/my models/a.pt"\n'
        'python hv_train_network.py --learning_rate %LR% --dit "%dit%" --vae %HOME%/vae.pt --network_dim 8 > log.txt',
    ],
    ids=["bash", "PowerShell", "cmd"],
)
def test_variables_get_the_values_that_the_text_gives_them_and_the_output_goes_into_no_option(text):
    imported = import_text(text)
    assert imported.values == {"learning_rate": 1e-4, "dit": "/my models/a.pt", "network_dim": 8}
    (reason,) = reasons(imported).values()
    assert reason.startswith("the text does not tell what") and "HOME" in reason


def test_what_a_shell_leaves_as_it_is_stays_as_it_is():
    quoted = import_text(
        "python train.py --network_args \"exclude_patterns=[r'.*linear$', r'a|b;c>d # e&f']\" "
        "--training_comment '$HOME' --output_name a\\$b --wandb_run_name x#y --seed 7 > log"
    )
    assert quoted.values == {
        "exclude_patterns": [".*linear$", "a|b;c>d # e&f"],
        "training_comment": "$HOME",
        "output_name": "a$b",
        "wandb_run_name": "x#y",
        "seed": 7,
    }


def test_the_environment_of_a_command_is_told_but_not_its_keys():
    imported = import_text("CUDA_VISIBLE_DEVICES=1 WANDB_API_KEY=0123 python hv_train_network.py --network_dim 8")
    assert imported.values == {"network_dim": 8}
    assert "gpu_ids" in reasons(imported)["CUDA_VISIBLE_DEVICES"]
    assert "0123" not in repr(imported)


def test_lines_that_lost_their_sign_of_continuation_and_comments_between_lose_no_option():
    text = "accelerate launch train.py \\\n  --network_dim 8 \\\n  # --seed 4 \\\n  --sdpa # fast\n  --fp8_base\n"
    assert import_text(text).values == {"network_dim": 8, "sdpa": True, "fp8_base": True}
    assert import_text("--network_dim 8\n--sdpa\n").values == {"network_dim": 8, "sdpa": True}


def test_the_trainer_of_another_model_is_pointed_out():
    imported = import_text("accelerate launch src/musubi_tuner/wan_train_network.py --network_dim 8")
    assert "another model" in reasons(imported)["wan_train_network.py"]


def test_a_command_that_goes_somewhere_first_is_found():
    text = (
        "cd /srv/musubi && source venv/bin/activate; python hv_train_network.py --network_dim 8 --output_name 'my lora'"
    )
    assert import_text(text).values == {"network_dim": 8, "output_name": "my lora"}


def test_the_file_that_a_command_names_is_read_and_its_flags_win(tmp_path):
    (tmp_path / "mine.toml").write_text("[network]\nnetwork_dim = 4\nnetwork_alpha = 2\n", encoding="utf-8")
    found = import_text(f"python train.py --config_file '{tmp_path}/mine' --network_dim 8")
    assert found.values == {"network_dim": 8, "network_alpha": 2.0}
    missing = import_text("python train.py --config_file /nowhere/x.toml --network_dim 8")
    assert missing.values == {"network_dim": 8}
    assert "no such file" in reasons(missing)["--config_file"]


def test_a_loras_metadata_gives_its_settings(tmp_path):
    metadata = json.loads((GOLDEN / "train_plus_metadata.json").read_text(encoding="utf-8"))
    found = import_file(write_lora(tmp_path / "x.safetensors", metadata))
    assert found.source == "metadata"
    assert found.values["network_dim"] == int(metadata["ss_network_dim"])
    assert found.values["optimizer_type"] == "adamw"
    assert found.values["loraplus_lr_ratio"] == float(json.loads(metadata["ss_network_args"])["loraplus_lr_ratio"])
    assert "ss_session_id" not in found.values
    assert Configuration.from_values(found.values)


def test_a_loras_optimizer_keeps_its_arguments(tmp_path):
    metadata = json.loads((GOLDEN / "train_cosine_metadata.json").read_text(encoding="utf-8"))
    found = import_file(write_lora(tmp_path / "x.safetensors", metadata))
    assert found.values["optimizer_args"] == ["weight_decay=0.1", "betas=(0.9, 0.99)"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing to import"),
        ("accelerate launch hv_train_network.py", "no option in this command"),
        ("[[datasets]]\nimage_directory = 'x'\n", "dataset file"),
        ("{broken", "JSON cannot be read"),
        ("just words", "Expected '='"),
        ("python train.py --output_name 'never ends", "a quote does not end"),
    ],
)
def test_what_is_no_setting_is_refused(text, message):
    with pytest.raises(OptionError, match=message):
        import_text(text)


def test_a_file_without_metadata_and_one_that_is_none_are_refused(tmp_path):
    with pytest.raises(OptionError, match="tells nothing about its training"):
        import_file(write_lora(tmp_path / "x.safetensors", {}))
    with pytest.raises(ModelFileError, match="no such file"):
        import_file(tmp_path / "none.safetensors")
    with pytest.raises(OptionError, match="no such file"):
        import_file(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "text",
    [
        "exclude_patterns=[r'.*']\ninclude_patterns=[r'.*single.*', '.*a=b .*']\nloraplus_lr_ratio=4",
        """ "exclude_patterns=[r'.*']" "include_patterns=[r'.*single.*', '.*a=b .*']" 'loraplus_lr_ratio=4' """,
    ],
)
def test_network_args_alone_are_understood(text):
    patterns = {"exclude_patterns": [".*"], "include_patterns": [".*single.*", ".*a=b .*"]}
    assert_is(import_text(text), Configuration.from_values({**patterns, "loraplus_lr_ratio": 4}))


def test_a_toml_with_a_mistake_stays_one():
    with pytest.raises(OptionError, match="TOML"):
        import_text("exclude_patterns = ['.*'\nnetwork_dim = 4")
