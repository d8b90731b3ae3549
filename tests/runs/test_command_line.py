"""`python -m backend queue ...` and `python -m backend runs ...`: all that the page does with runs, and --json."""

import json
import threading

import pytest

from backend.__main__ import main
from backend.config.toml_file import read_configuration
from backend.plan.resume import StateRecord
from backend.runs.folder import Job, RunState, create_run_folder, find_run, list_runs, submit
from backend.runs.queue import run_job, work
from backend.runs.status import write_json
from backend.runs.watch import Patience
from tests.caching.small_dataset import write_dataset
from tests.commands.tiny_project import TRANSFORMER, make_project
from tests.runs import jobs
from tests.runs.jobs import make_run, processes_of, wait_until
from tests.runs.written_state import write_state

VAE = TRANSFORMER.with_name("vae_model.safetensors")

SHORT = Patience(linger_s=0.2)


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path):
    yield
    wait_until(lambda: processes_of(tmp_path) == [])


@pytest.fixture
def command(tmp_path, capsys):
    """Run a command on the workspace; returns its exit code, or what it printed as JSON."""

    def run(*words, as_json=False):
        capsys.readouterr()
        code = main([*words, "--workspace", str(tmp_path), *(["--json"] if as_json else [])])
        printed = capsys.readouterr()
        run.out, run.err = printed.out, printed.err
        assert printed.out or not as_json, printed.err
        return json.loads(printed.out) if as_json else code

    return run


def names(rows):
    return [row["run"].rpartition("_")[2] for row in rows]


def queued(workspace, *names):
    """Runs that wait, held so that a worker leaves them alone."""
    runs = []
    for name in names:
        run = create_run_folder(workspace, name)
        submit(run, Job(kind="train", name=name, arguments=("-c", "pass")), held=True)
        runs.append(run)
    return runs


def test_the_queue_is_listed_moved_held_released_and_cancelled(tmp_path, command):
    a, b, c = queued(tmp_path, "a", "b", "c")
    assert names(command("queue", "list", as_json=True)) == ["a", "b", "c"]
    assert names(command("queue", "move", c.name, "0", as_json=True)) == ["c", "a", "b"]
    assert names(command("queue", "cancel", "_a", as_json=True)) == ["c", "b"]
    wait_until(lambda: a.exit_record() is not None)
    assert a.exit_record()["how"] == "cancelled"
    assert command("queue", "release", b.name, as_json=True)
    wait_until(lambda: b.state() is RunState.FINISHED)
    assert command("queue", "hold", c.name, as_json=True)[0]["held"]
    assert command("queue", "hold", b.name) == 2 and "is finished and does not wait" in command.err


def test_a_run_is_named_by_a_part_that_no_other_has(tmp_path, command):
    queued(tmp_path, "ab", "ac")
    assert command("runs", "show", "_a") == 2 and "fits 2 runs" in command.err
    assert command("runs", "show", "absent") == 2 and "there is no run 'absent'" in command.err
    assert command("runs", "show", "_ab") == 0 and "state: queued" in command.out


def test_watch_tells_each_change_and_whether_all_finished(tmp_path, command, capsys):
    run = make_run(tmp_path, jobs.ENDS)
    thread = threading.Thread(target=work, args=[tmp_path], kwargs={"patience": SHORT})
    thread.start()
    assert command("queue", "watch") == 0
    thread.join()
    assert command.out.splitlines()[-1].endswith(f"{run.name}  finished")
    failing = make_run(tmp_path, jobs.FAILS)
    thread = threading.Thread(target=run_job, args=[failing])
    thread.start()
    assert main(["queue", "watch", "--json", "--workspace", str(tmp_path)]) == 1
    thread.join()
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["run"] for row in rows} == {failing.name} and rows[-1]["state"] == "failed"


def test_a_run_that_failed_shows_why(tmp_path, command):
    run = make_run(tmp_path, "raise MemoryError")
    run_job(run)
    shown = command("runs", "show", run.name, as_json=True)
    assert shown["failure"]["id"] == "host_out_of_memory" and shown["exit"]["code"] == 1
    assert shown["disk_bytes"] > 0 and shown["states"] == []
    assert command("runs", "show", run.name) == 0 and "failure: host_out_of_memory: The machine ran out" in command.out
    rows = command("runs", "list", "--state", "failed", as_json=True)
    assert [(row["run"], row["failure"]) for row in rows] == [(run.name, "host_out_of_memory")]
    assert command("runs", "list", "--state", "queued", as_json=True) == []


def test_notes_are_written_and_a_run_is_deleted_restored_and_erased(tmp_path, command):
    (run,) = queued(tmp_path, "a")
    write_json(run.exit_file, {"code": 0, "how": "", "at": 0.0})
    assert command("runs", "notes", run.name, "the best so far", as_json=True)["notes"] == "the best so far"
    assert command("runs", "list", as_json=True)[0]["notes"] == "the best so far"
    assert command("runs", "delete", run.name, as_json=True) == {"run": run.name, "deleted": True}
    assert list_runs(tmp_path) == []
    assert names(command("runs", "list", "--deleted", as_json=True)) == ["a"]
    assert names(command("runs", "restore", run.name, as_json=True)) == ["a"] and find_run(tmp_path, run.name) == run
    assert command("runs", "delete", run.name) == 0 and "is in the bin" in command.out
    assert command("runs", "erase", run.name, as_json=True) == {"run": run.name, "erased": True}
    assert command("runs", "list", "--deleted", as_json=True) == []


def test_only_a_training_that_goes_on_can_be_asked_to_save(tmp_path, command):
    (waiting,) = queued(tmp_path, "a")
    assert command("runs", "save", waiting.name) == 2 and "only a run that goes on" in command.err
    run = make_run(tmp_path, jobs.WAITS_FOR_STOP)
    thread = threading.Thread(target=run_job, args=[run])
    thread.start()
    wait_until(lambda: run.state() is RunState.RUNNING)
    assert command("runs", "sample", run.name) == 2 and "only a training" in command.err
    assert command("runs", "stop", run.name) == 0
    thread.join()
    assert run.state() is RunState.STOPPED


def test_a_training_is_asked_to_save_to_sample_and_to_stop(tmp_path, command):
    run = make_run(tmp_path, jobs.WAITS_FOR_STOP, kind="train")
    thread = threading.Thread(target=run_job, args=[run])
    thread.start()
    wait_until(lambda: run.state() is RunState.RUNNING)
    for words, what in ((["save"], "save"), (["sample"], "sample"), (["stop", "--after_epoch"], "stop_after_epoch")):
        (row,) = command("runs", *words, run.name, as_json=True)
        assert (row["run"], row["state"]) == (run.name, "running") and run.has_request(what)
    (row,) = command("runs", "stop", run.name, as_json=True)
    thread.join()
    assert row["run"] == run.name and run.state() is RunState.STOPPED


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("project"))


def test_a_training_is_added_started_again_with_a_change_and_one_without_states_is_not_resumed(
    project, tmp_path, command
):
    flags = ("--dit", str(TRANSFORMER), "--dataset_config", str(project.dataset_file), "--held")
    (row,) = command("queue", "add", *flags, "--gpu_ids", "0,1", "--output_name", "mine", as_json=True)
    assert (row["title"], row["held"], row["devices"]) == ("mine", True, ["0", "1"])
    changes = ("--set", "learning_rate=0.5", "--set", "gpu_ids=", "--held")
    again = command("runs", "again", row["run"], *changes, as_json=True)
    assert again[0]["devices"] == []
    given = find_run(tmp_path, again[0]["run"]).given_file.read_text()
    assert "learning_rate = 0.5" in given and "seed" not in given and "output_dir" not in given
    assert command("runs", "resume", row["run"]) == 2 and "has saved no state" in command.err
    assert command("runs", "again", row["run"], "--set", "learning_rate") == 2 and "has no =" in command.err
    assert command("runs", "again", row["run"], "--set", "learning_rat=1") == 2 and "learning_rate" in command.err
    run = find_run(tmp_path, row["run"])
    for step in (4, 8):
        write_state(run.checkpoints / f"mine-step{step:08d}-state", StateRecord(step, (), {"seed": 9}))
    assert command("runs", "resume", run.name, "--step", "5") == 2 and "there are: 8, 4" in command.err
    (resumed,) = command(
        "runs", "resume", run.name, "--step", "4", "--set", "max_train_steps=9", "--held", as_json=True
    )
    complete = read_configuration(find_run(tmp_path, resumed["run"]).config_file)
    assert complete.saving.resume.endswith("-step00000004-state") and complete.schedule.max_train_steps == 9


def test_caching_is_put_before_a_training_and_when_it_ends_otherwise_the_training_does_not_start(tmp_path, command):
    dataset = write_dataset(tmp_path / "data")
    models = ("--dit", str(TRANSFORMER), "--vae", str(VAE), "--text_encoder1", ".", "--text_encoder2", ".")
    rows = command("queue", "add", *models, "--dataset_config", str(dataset), "--held", as_json=True)
    assert [row["kind"] for row in rows] == ["cache_latents", "cache_text_encoder_outputs", "train"]
    latents, texts, training = (row["run"] for row in rows)
    assert [row["needs"] for row in rows] == [[], [latents], [latents, texts]]
    assert [row["held"] for row in rows] == [True, False, False]
    again = command("runs", "again", training, "--held", as_json=True)
    assert [(row["kind"], row["held"]) for row in again] == [(row["kind"], row["held"]) for row in rows]
    assert work(tmp_path, patience=SHORT) is True  # they wait with the first
    assert {row["state"] for row in command("runs", "list", as_json=True)} == {"queued"}
    command("queue", "cancel", latents)
    wait_until(lambda: find_run(tmp_path, training).exit_record() is not None)
    shown = command("runs", "show", training, as_json=True)
    assert shown["state"] == "failed" and shown["failure"]["id"] == "needed_run"
    assert find_run(tmp_path, texts).exit_record()["how"] == f"not started: {latents} is stopped"


def test_a_model_that_caching_needs_is_named_and_nothing_is_queued(tmp_path, command):
    dataset = write_dataset(tmp_path / "data")
    assert command("queue", "add", "--dit", str(TRANSFORMER), "--dataset_config", str(dataset)) == 2
    assert "Video autoencoder (VAE) (vae) is not given" in command.err and list_runs(tmp_path) == []
