"""Every option is declared whole, and docs/options.md tells of all of them."""

from backend.config.configuration import Configuration, all_options
from backend.config.reference import PAGE, format_reference
from backend.config.reference_options import (
    CANNOT_BE_USED,
    COMMAND_FLAGS,
    ENVIRONMENT_VARIABLES,
    MUSUBI_TUNER_OPTIONS,
    WITHOUT_EFFECT_ON_RESULTS,
)
from backend.config.schema import GROUPS


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == format_reference(), "run python -m backend.config.reference"


def test_every_option_has_a_label_and_a_help_of_whole_sentences():
    for declared in all_options().values():
        assert declared.label and declared.help.endswith("."), declared.name


def test_names_and_labels_are_unique():
    names = [name for group in GROUPS.values() for name in group.model_fields]
    labels = [declared.label for declared in all_options().values()]
    assert len(names) == len(set(names)) == len(all_options())
    assert len(labels) == len(set(labels))


def test_every_name_is_one_of_musubi_tuner_or_stands_in_its_network_args():
    names = {declared.name for declared in all_options().values() if not declared.network_arg}
    of_accelerate = {"num_processes", "num_machines", "machine_rank", "gpu_ids", "num_cpu_threads_per_process"}
    of_accelerate |= {"main_process_ip", "main_process_port", "accelerate_config_file"}
    own = {"overwrite", "stop_after_nan_steps", "wandb_offline", "wandb_tags"}
    assert names - of_accelerate - own <= MUSUBI_TUNER_OPTIONS


def test_every_option_of_musubi_tuner_acts_or_is_told_why_not():
    acts = set(all_options()) | {"network_args"} | WITHOUT_EFFECT_ON_RESULTS
    assert (MUSUBI_TUNER_OPTIONS & acts) | COMMAND_FLAGS.keys() | ENVIRONMENT_VARIABLES.keys() | (
        CANNOT_BE_USED.keys()
    ) == MUSUBI_TUNER_OPTIONS


def test_the_groups_are_those_of_a_configuration():
    assert list(Configuration.model_fields) == list(GROUPS)
    assert all(Configuration.model_fields[key].annotation is group for key, group in GROUPS.items())
