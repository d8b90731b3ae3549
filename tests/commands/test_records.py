"""What a training tells of itself follows from the options."""

from backend.commands.records import hyperparameters, model_spec
from backend.config.configuration import Configuration
from backend.networks.metadata import ModelSpec


def test_the_users_words_about_the_lora_reach_its_file():
    configuration = Configuration.from_values(
        {
            "metadata_title": "A",
            "metadata_author": "B",
            "metadata_description": "C",
            "metadata_license": "D",
            "metadata_tags": "E",
            "metadata_reso": "640",
            "metadata_arch": "mine",
            "min_timestep": 100,
        }
    )
    assert model_spec(configuration) == ModelSpec(
        title="A",
        author="B",
        description="C",
        license="D",
        tags="E",
        resolution="640",
        architecture="mine",
        min_timestep=100,
    )


def test_hyperparameters_hold_what_is_set_but_no_places_of_models_and_folders():
    places = {"dit": "/m/dit", "vae": "/m/vae", "output_dir": "/m/out", "logging_dir": "/m/logs"}
    lists = {"network_weights": "/m/start", "base_weights": ["/m/base"]}
    found = hyperparameters(Configuration.from_values({**places, **lists, "network_dim": 7, "exclude_patterns": ["a"]}))
    assert (found["network_dim"], found["exclude_patterns"]) == (7, "['a']")
    assert "max_train_epochs" not in found and not any("/m/" in str(value) for value in found.values())
