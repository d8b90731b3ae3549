"""Runs made from other runs, and the states that they can go on from."""

from pathlib import Path

import pytest

from backend.config.configuration import Configuration
from backend.config.dataset import read_dataset_file
from backend.config.toml_file import format_toml, read_configuration
from backend.errors import InputError, OptionError
from backend.plan.resume import OPTIMIZER_FILE, StateRecord
from backend.runs.again import given_configuration, resume_run, run_again
from backend.runs.caching_job import NEEDED
from backend.runs.folder import Job, create_run_folder, submit
from backend.runs.states import last_state, list_states
from backend.runs.training_job import submit_training
from tests.commands.tiny_project import TRANSFORMER, make_project
from tests.runs.cached_dataset import cached_dataset, change_caption
from tests.runs.written_state import write_state

FACTS = {"dataset": {"batches_per_epoch": 7}, "micro_batches_per_step": 2, "seed": 9}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def submitted(project, tmp_path):
    """Submit a training with these options; returns what was given and the run."""

    def submit_with(**options):
        values = {"dit": str(TRANSFORMER), "dataset_config": str(project.dataset_file), "output_name": "猫", **options}
        configuration = Configuration.from_values(values)
        return configuration, submit_training(configuration, workspace=tmp_path)

    return submit_with


def test_the_settings_of_a_run_go_back_into_the_form_as_they_were(submitted, monkeypatch, project):
    monkeypatch.chdir(project.folder)
    given, run = submitted(dataset_config="dataset.toml", learning_rate=1e-5, optimizer_args=["weight_decay=0.1"])
    assert format_toml(given_configuration(run).values()) == format_toml(given.values())
    complete = read_configuration(run.config_file)
    assert complete.schedule.seed is not None and complete.saving.output_dir == str(run.checkpoints)


def test_a_run_without_what_was_given_has_its_complete_settings(submitted):
    _, run = submitted()
    run.given_file.unlink()
    assert given_configuration(run) == read_configuration(run.config_file)


def test_a_training_is_started_again_with_changes_in_a_folder_of_its_own(submitted):
    given, run = submitted()
    (again,) = run_again(run, changes={"learning_rate": 3e-4})
    assert given_configuration(again) == given.changed(learning_rate=3e-4)
    assert read_configuration(again.config_file).saving.output_dir == str(again.checkpoints)
    assert again.job().order == run.job().order + 1 and not again.place().held
    assert run_again(run, held=True)[-1].place().held


def test_states_are_listed_the_latest_first_with_step_and_epoch_and_halves_are_left_out(submitted):
    _, run = submitted()
    assert list_states(run) == [] and last_state(run) is None
    for step in (4, 5, 12):
        write_state(run.checkpoints / f"猫-step{step:08d}-state", StateRecord(step, (), FACTS))
    write_state(run.checkpoints / "猫-000001-state", None)  # one of musubi-tuner
    write_state(run.checkpoints / "猫-step00000020-state", StateRecord(20, (), FACTS), without=(OPTIMIZER_FILE,))
    write_state(run.checkpoints / "another-state", StateRecord(99, (), FACTS))
    write_state(run.checkpoints / ".猫-state.writing", StateRecord(99, (), FACTS))
    found = [(state.step, state.epoch) for state in list_states(run)]
    assert found == [(12, 3), (5, 2), (4, 1), (None, None)]  # four steps an epoch
    assert last_state(run).path.name == "猫-step00000012-state"


def test_a_run_is_resumed_from_its_last_state_or_the_chosen_one_with_its_own_seed(submitted):
    _, run = submitted()
    states = [
        write_state(run.checkpoints / f"猫-step{step:08d}-state", StateRecord(step, (), FACTS)) for step in (4, 8)
    ]
    seed = read_configuration(run.config_file).schedule.seed
    for state, expected in ((None, states[1]), (states[0], states[0])):
        resumed = read_configuration(resume_run(run, state=state)[-1].config_file)
        assert resumed.saving.resume == str(expected) and resumed.schedule.seed == seed
        assert resumed.saving.output_dir != str(run.checkpoints)
    (changed,) = resume_run(run, changes={"max_train_steps": 50}, held=True)
    assert read_configuration(changed.config_file).schedule.max_train_steps == 50 and changed.place().held


def test_a_resumed_run_goes_on_in_an_output_folder_of_the_users_own(submitted, tmp_path):
    _, run = submitted(output_dir=str(tmp_path / "mine"))
    write_state(tmp_path / "mine" / "猫-step00000004-state", StateRecord(4, (), FACTS))
    (resumed,) = resume_run(run)
    assert read_configuration(resumed.config_file).saving.output_dir == str(tmp_path / "mine")


def test_a_run_that_began_with_a_state_from_hugging_face_goes_on_with_its_own(submitted):
    _, run = submitted(resume="owner/name/folder", resume_from_huggingface=True, seed=1)
    state = write_state(run.checkpoints / "猫-step00000004-state", StateRecord(4, (), FACTS))
    resumed = read_configuration(resume_run(run)[-1].config_file)
    assert resumed.saving.resume == str(state) and not resumed.huggingface.resume_from_huggingface


@pytest.mark.parametrize("make", [run_again, resume_run])
def test_caches_that_have_become_stale_are_made_before_and_all_wait_with_the_first(tmp_path, make):
    run = submit_training(cached_dataset(tmp_path), workspace=tmp_path)
    write_state(run.checkpoints / "fox-step00000004-state", StateRecord(4, (), FACTS))
    assert [each.job().kind for each in make(run)] == ["train"]
    change_caption(tmp_path)
    latents, texts, training = make(run, held=True)
    assert [each.job().kind for each in (latents, texts, training)] == [*NEEDED, "train"]
    assert training.job().needs == (latents.name, texts.name) and texts.job().needs == (latents.name,)
    assert latents.place().held
    cached = read_dataset_file(Path(read_configuration(latents.config_file).dataset.dataset_config))
    assert cached.absolute() == read_dataset_file(training.dataset_file)
    with pytest.raises(OptionError, match=r"\(vae\) is not given"):
        make(run, changes={"vae": None})


def test_what_is_no_training_or_has_no_state_is_not_resumed(submitted, tmp_path):
    _, run = submitted()
    with pytest.raises(InputError, match="has saved no state"):
        resume_run(run)
    other = create_run_folder(tmp_path, "x")
    submit(other, Job(kind="cache_latents", name="x", arguments=()))
    for make in (resume_run, run_again):
        with pytest.raises(InputError, match="is no training"):
            make(other)
    assert list_states(other) == []


def test_a_training_whose_caches_are_missing_is_refused_and_names_them(tmp_path):
    configuration = cached_dataset(tmp_path)
    change_caption(tmp_path)
    with pytest.raises(OptionError, match=r"1 of the dataset's items are not cached: a_0064x0064_hv\.safetensors"):
        submit_training(configuration, workspace=tmp_path)
