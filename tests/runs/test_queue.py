"""The queue's worker with real processes: jobs end, fail, are stopped and taken over, and nothing is left behind."""

import signal
import subprocess
import sys
import threading

import psutil
import pytest

from backend.runs.folder import RunState
from backend.runs.order import hold, move, release
from backend.runs.process import PROJECT
from backend.runs.queue import ensure_worker, resume_queue, run_job, work
from backend.runs.status import read_json
from backend.runs.watch import Patience, record_end
from tests.runs import jobs
from tests.runs.jobs import make_run, processes_of, wait_until

SHORT = Patience(stop_s=0.5, terminate_s=0.5, leftovers_s=0.2, linger_s=0.2)
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path):
    yield
    left = processes_of(tmp_path)
    for process in left:
        process.kill()
    assert left == []


def in_background(target, *arguments, **keywords):
    thread = threading.Thread(target=target, args=arguments, kwargs=keywords)
    thread.start()
    return thread


def start_worker(workspace):
    return subprocess.Popen([sys.executable, "-m", "backend", "queue", "--workspace", str(workspace)], cwd=PROJECT)


def test_a_job_that_ends_is_finished_and_its_output_is_in_the_log(tmp_path):
    run = make_run(tmp_path, jobs.ENDS)
    ticks = []
    assert run_job(run, tick=lambda: ticks.append(1), patience=SHORT) == 0
    assert run.state() is RunState.FINISHED
    assert run.log_file.read_text() == "done\n"
    assert run.exit_record()["code"] == 0 and ticks


def test_a_job_that_fails_is_failed_with_its_exit_code(tmp_path):
    run = make_run(tmp_path, jobs.FAILS)
    assert run_job(run, patience=SHORT) == 3
    assert run.state() is RunState.FAILED
    assert run.exit_record()["code"] == 3
    assert run.log_file.read_text() == "something broke\n"


@posix_only
def test_a_job_that_a_signal_ends_crashed(tmp_path):
    run = make_run(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert run_job(run, patience=SHORT) == -signal.SIGKILL
    assert run.state() is RunState.CRASHED


@posix_only
def test_a_trainer_that_a_signal_ends_crashed_whatever_its_launcher_says(tmp_path):
    run = make_run(tmp_path, jobs.LAUNCHES_A_TRAINER_THAT_IS_KILLED)
    assert run_job(run, patience=SHORT) == 1
    assert run.state() is RunState.CRASHED


def test_a_job_that_is_asked_to_stop_saves_and_leaves_by_itself(tmp_path):
    run = make_run(tmp_path, jobs.WAITS_FOR_STOP)
    thread = in_background(run_job, run)
    wait_until(lambda: run.state() is RunState.RUNNING)
    run.request("stop")
    thread.join()
    assert run.state() is RunState.STOPPED
    assert run.status().message == "saved before leaving"
    assert run.exit_record()["how"] == ""


def test_a_stubborn_job_is_terminated_then_killed_with_its_children(tmp_path):
    run = make_run(tmp_path, jobs.STUBBORN)
    thread = in_background(run_job, run, patience=SHORT)
    wait_until(lambda: (run.path / "job.ready1").exists() and (run.path / "job.ready2").exists())
    assert len(processes_of(run.path)) == 2
    run.request("stop")
    thread.join()
    assert processes_of(run.path) == []
    assert run.exit_record()["how"] == "killed"
    assert run.state() is RunState.STOPPED


@posix_only
def test_a_child_that_outlives_its_terminated_parent_is_killed_and_that_is_told(tmp_path):
    run = make_run(tmp_path, jobs.LEAVES_A_STUBBORN_CHILD)
    thread = in_background(run_job, run, patience=SHORT)
    wait_until((run.path / "job.ready2").exists)
    run.request("stop")
    thread.join()
    assert processes_of(run.path) == []
    assert run.exit_record()["how"] == "killed"


@posix_only
def test_a_process_whose_parent_went_first_is_ended_with_the_run(tmp_path):
    run = make_run(tmp_path, jobs.ENDS_AND_LEAVES_AN_ORPHAN)
    assert run_job(run, patience=SHORT) == 0
    assert processes_of(run.path) == []
    assert run.state() is RunState.FINISHED


def test_what_could_not_be_ended_is_recorded(tmp_path):
    run = make_run(tmp_path, jobs.ENDS)
    record_end(run, code=None, how="killed", left=[17, 4])
    assert run.exit_record()["left"] == [17, 4]
    record_end(run, code=0, how="")
    assert "left" not in run.exit_record()


def test_a_job_whose_process_cannot_be_recorded_is_ended(tmp_path):
    run = make_run(tmp_path, jobs.WAITS_FOR_A_FILE)
    run.process_file.mkdir()
    with pytest.raises(OSError, match=r"process\.json"):
        run_job(run, patience=SHORT)
    assert processes_of(tmp_path) == []


def test_a_job_that_cannot_be_started_fails_and_the_next_one_runs(tmp_path):
    first, second = make_run(tmp_path, jobs.ENDS), make_run(tmp_path, jobs.ENDS)
    first.log_file.mkdir()
    assert work(tmp_path, patience=SHORT) is True
    assert first.state() is RunState.FAILED and first.exit_record()["how"].startswith("not started: ")
    assert second.state() is RunState.FINISHED


def test_a_folder_with_a_foreign_job_does_not_stop_the_worker(tmp_path):
    make_run(tmp_path, jobs.ENDS).job_file.write_text('{"name": "no kind"}')
    run = make_run(tmp_path, jobs.ENDS)
    assert work(tmp_path, patience=SHORT) is True
    assert run.state() is RunState.FINISHED


def test_jobs_are_run_in_the_order_in_which_they_were_submitted(tmp_path):
    order = tmp_path / "order"
    for name in ("c", "a", "b"):
        make_run(tmp_path, f"open({str(order)!r}, 'a').write('{name}')", name=name)
    assert work(tmp_path, patience=SHORT) is True
    assert order.read_text() == "cab"


def test_a_job_waits_for_those_it_needs(tmp_path):
    first = make_run(tmp_path, jobs.ENDS, name="z")
    second = make_run(tmp_path, jobs.ENDS, name="a", needs=(first.name,))
    third = make_run(tmp_path, jobs.ENDS, name="0", needs=(first.name, second.name))
    work(tmp_path, patience=SHORT)
    assert [run.state() for run in (first, second, third)] == [RunState.FINISHED] * 3
    assert first.exit_record()["at"] <= second.exit_record()["at"] <= third.exit_record()["at"]


def test_a_job_that_needs_one_which_failed_is_not_started_and_says_so(tmp_path):
    first = make_run(tmp_path, jobs.FAILS)
    second = make_run(tmp_path, jobs.ENDS, needs=(first.name,))
    third = make_run(tmp_path, jobs.ENDS, needs=(second.name,))
    work(tmp_path, patience=SHORT)
    assert second.state() is RunState.FAILED and second.process() is None
    assert second.log_file.read_text() == f"not started: it needs {first.name}, which is failed\n"
    assert third.exit_record()["how"] == f"not started: {second.name} is failed"


def test_a_job_that_needs_a_run_which_was_deleted_is_not_started(tmp_path):
    run = make_run(tmp_path, jobs.ENDS, needs=("absent",))
    work(tmp_path, patience=SHORT)
    assert run.exit_record()["how"] == "not started: absent is gone"


def test_a_queued_run_that_is_stopped_never_starts_and_neither_does_what_needs_it(tmp_path):
    run = make_run(tmp_path, jobs.ENDS)
    dependant = make_run(tmp_path, jobs.ENDS, needs=(run.name,))
    run.request("stop")
    work(tmp_path, patience=SHORT)
    assert run.state() is RunState.STOPPED and run.exit_record()["how"] == "cancelled"
    assert run.process() is None and not run.log_file.exists()
    assert dependant.exit_record()["how"] == f"not started: {run.name} is stopped"


def test_a_job_in_the_foreground_is_left_to_the_command_that_made_it(tmp_path):
    run = make_run(tmp_path, jobs.ENDS, foreground=True)
    work(tmp_path, patience=SHORT)
    assert run.state() is RunState.QUEUED


def test_one_failed_job_does_not_keep_the_others_from_running(tmp_path):
    runs = [make_run(tmp_path, program) for program in (jobs.FAILS, jobs.ENDS)]
    work(tmp_path, patience=SHORT)
    assert [run.state() for run in runs] == [RunState.FAILED, RunState.FINISHED]


def test_a_job_that_comes_while_the_worker_is_busy_is_run_too(tmp_path):
    first = make_run(tmp_path, jobs.WAITS_FOR_A_FILE)
    thread = in_background(work, tmp_path, patience=SHORT)
    wait_until((first.path / "job.started").exists)
    second = make_run(tmp_path, jobs.ENDS)
    (first.path / "job.go").touch()
    thread.join()
    assert second.state() is RunState.FINISHED


def test_a_second_worker_leaves_at_once_and_the_lock_is_free_afterwards(tmp_path):
    run = make_run(tmp_path, jobs.WAITS_FOR_A_FILE)
    first = start_worker(tmp_path)
    wait_until((run.path / "job.started").exists)
    assert work(tmp_path, patience=SHORT) is False
    assert start_worker(tmp_path).wait() == 0
    (run.path / "job.go").touch()
    assert first.wait() == 0
    assert run.state() is RunState.FINISHED
    assert work(tmp_path, patience=SHORT) is True


@posix_only
def test_a_run_goes_on_when_its_worker_is_killed_and_the_next_one_stops_it(tmp_path):
    run = make_run(tmp_path, jobs.WAITS_FOR_STOP)
    queued = make_run(tmp_path, jobs.ENDS)
    worker = start_worker(tmp_path)
    wait_until(lambda: run.state() is RunState.RUNNING)
    worker.kill()
    worker.wait()
    assert run.state() is RunState.RUNNING
    thread = in_background(work, tmp_path, patience=Patience(linger_s=0.2))
    run.request("stop")
    thread.join()
    assert run.state() is RunState.STOPPED and run.status().message == "saved before leaving"
    assert queued.state() is RunState.FINISHED


@posix_only
def test_the_next_worker_kills_a_stubborn_run_that_it_took_over(tmp_path):
    run = make_run(tmp_path, jobs.STUBBORN)
    worker = start_worker(tmp_path)
    wait_until(lambda: (run.path / "job.ready1").exists() and (run.path / "job.ready2").exists())
    worker.kill()
    worker.wait()
    run.request("stop")
    work(tmp_path, patience=SHORT)
    assert run.exit_record()["how"] == "killed" and run.state() is RunState.STOPPED


@posix_only
def test_a_run_that_dies_together_with_its_worker_crashed(tmp_path):
    run = make_run(tmp_path, jobs.WAITS_FOR_STOP)
    worker = start_worker(tmp_path)
    wait_until(lambda: run.state() is RunState.RUNNING)
    worker.kill()
    worker.wait()
    psutil.Process(run.process().pid).kill()
    wait_until(lambda: run.state() is RunState.CRASHED)
    assert work(tmp_path, patience=SHORT) is True
    assert run.state() is RunState.CRASHED


def test_a_worker_of_its_own_runs_what_is_queued_and_leaves(tmp_path):
    run = make_run(tmp_path, jobs.ENDS)
    ensure_worker(tmp_path)
    ensure_worker(tmp_path)
    wait_until(lambda: run.state() is RunState.FINISHED and not processes_of(tmp_path))
    assert (tmp_path / "queue.log").read_text() == ""


def test_a_job_whose_worker_died_with_the_machine_is_resumed(tmp_path):
    run = make_run(tmp_path, jobs.ENDS)
    resume_queue(tmp_path)
    wait_until(lambda: run.state() is RunState.FINISHED and not processes_of(tmp_path))


def test_no_worker_is_started_where_nothing_is_to_be_done(tmp_path):
    run = make_run(tmp_path, jobs.ENDS)
    run.request("stop")
    work(tmp_path, patience=SHORT)
    resume_queue(tmp_path)
    assert not (tmp_path / "queue.log").exists()


def test_a_relative_workspace_is_that_of_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = make_run(tmp_path / "w", jobs.WAITS_FOR_STOP)
    thread = in_background(work, (tmp_path / "w").relative_to(tmp_path), patience=SHORT)
    wait_until(lambda: run.state() is RunState.RUNNING)
    run.request("stop")
    thread.join()
    assert run.state() is RunState.STOPPED


def started(run):
    return (run.path / "job.started").exists()


def let_go(*runs):
    for run in runs:
        (run.path / "job.go").touch()


def test_jobs_that_name_different_gpus_run_beside_each_other_and_others_wait(tmp_path):
    first = make_run(tmp_path, jobs.WAITS_FOR_A_FILE, devices=("0",))
    same = make_run(tmp_path, jobs.WAITS_FOR_A_FILE, devices=("0", "1"))
    other = make_run(tmp_path, jobs.WAITS_FOR_A_FILE, devices=("2",))
    alone = make_run(tmp_path, jobs.WAITS_FOR_A_FILE)
    last = make_run(tmp_path, jobs.WAITS_FOR_A_FILE, devices=("3",))
    thread = in_background(work, tmp_path, patience=SHORT)
    wait_until(lambda: started(first) and started(other))
    assert not started(same) and not started(alone) and not started(last)  # last does not overtake alone
    let_go(first)
    wait_until(lambda: started(same))
    let_go(same)
    wait_until(lambda: same.state() is RunState.FINISHED)
    assert not started(alone)
    let_go(other)
    wait_until(lambda: started(alone))
    assert not started(last)
    let_go(alone, last)
    thread.join()
    assert {run.state() for run in (first, same, other, alone, last)} == {RunState.FINISHED}


def test_a_worker_passes_over_what_is_held_and_leaves_and_the_next_one_runs_it(tmp_path):
    held = make_run(tmp_path, jobs.ENDS)
    dependant = make_run(tmp_path, jobs.ENDS, needs=(held.name,))
    free = make_run(tmp_path, jobs.ENDS)
    hold(held)
    assert work(tmp_path, patience=SHORT) is True
    assert [run.state() for run in (held, dependant, free)] == [RunState.QUEUED, RunState.QUEUED, RunState.FINISHED]
    resume_queue(tmp_path)
    assert not (tmp_path / "queue.log").exists()  # nothing for a worker to do
    release(held)
    work(tmp_path, patience=SHORT)
    assert [run.state() for run in (held, dependant)] == [RunState.FINISHED] * 2


def test_jobs_are_run_in_the_order_that_they_were_moved_into(tmp_path):
    order = tmp_path / "order"
    runs = [make_run(tmp_path, f"open({str(order)!r}, 'a').write('{name}')", name=name) for name in "abc"]
    move(runs[2], 0)
    work(tmp_path, patience=SHORT)
    assert order.read_text() == "cab"


def test_the_steps_of_a_stop_are_told_as_they_are_taken(tmp_path):
    run = make_run(tmp_path, jobs.STUBBORN)
    thread = in_background(run_job, run, patience=SHORT)
    wait_until(lambda: (run.path / "job.ready1").exists() and (run.path / "job.ready2").exists())
    assert run.stop_record() is None
    run.request("stop")
    seen = {}
    while thread.is_alive():
        record = run.stop_record() or {}
        seen[record.get("stage")] = (record.get("next"), record.get("next_in_s"))
    seen.pop(None, None)
    last = run.stop_record()
    assert list(seen.items())[:2] == [("asked", ("terminating", 0.5)), ("terminating", ("killing", 0.5))]
    assert last["stage"] == "gone" and "next" not in last
    assert last["asked"] <= last["terminating"] <= last["killing"] <= last["gone"]


def test_a_run_that_has_nothing_to_save_yet_is_given_less_time(tmp_path):
    run = make_run(tmp_path, jobs.WAITS_FOR_A_FILE)  # tells no status, as one that is still loading
    thread = in_background(run_job, run, patience=Patience(stop_s=600, early_s=0.3, terminate_s=5, leftovers_s=0.2))
    wait_until(lambda: started(run))
    run.request("stop")
    thread.join()
    assert run.state() is RunState.STOPPED and run.exit_record()["how"] == "terminated"


@posix_only
def test_a_run_whose_command_was_killed_is_watched_by_the_worker(tmp_path):
    run = make_run(tmp_path, jobs.STUBBORN, foreground=True)
    program = (
        "import sys; from pathlib import Path; from backend.runs.folder import RunFolder;"
        "from backend.runs.queue import run_job; run_job(RunFolder(Path(sys.argv[1])))"
    )
    command = subprocess.Popen([sys.executable, "-c", program, str(run.path)], cwd=PROJECT)
    wait_until(lambda: (run.path / "job.ready1").exists() and (run.path / "job.ready2").exists())
    assert work(tmp_path, patience=SHORT) is True  # it is watched: nothing to do
    command.kill()
    command.wait()
    run.request("stop")
    work(tmp_path, patience=SHORT)
    assert run.state() is RunState.STOPPED and run.exit_record()["how"] == "killed"


@posix_only
def test_a_worker_that_has_left_is_no_zombie_of_the_process_that_started_it(tmp_path):
    before = psutil.Process().children()
    ensure_worker(tmp_path)
    wait_until(lambda: [child for child in psutil.Process().children() if child not in before] == [])


def test_the_record_of_a_process_names_who_watches_it(tmp_path):
    run = make_run(tmp_path, jobs.ENDS)
    run_job(run, patience=SHORT)
    assert read_json(run.process_file)["watcher"]["pid"] == psutil.Process().pid


@posix_only
def test_a_run_that_lost_its_command_is_stopped_by_a_worker_that_is_busy_with_another(tmp_path):
    busy = make_run(tmp_path, jobs.WAITS_FOR_A_FILE)
    program = (
        "import sys; from pathlib import Path; from backend.runs.folder import RunFolder;"
        "from backend.runs.watch import *; start_watched(RunFolder(Path(sys.argv[1])), DEFAULT_PATIENCE)"
    )
    thread = in_background(work, tmp_path, patience=SHORT)
    wait_until(lambda: started(busy))
    lost = make_run(tmp_path, jobs.STUBBORN, foreground=True)
    subprocess.run([sys.executable, "-c", program, str(lost.path)], cwd=PROJECT, check=True)
    lost.request("stop")
    wait_until(lambda: lost.exit_record() is not None)
    assert lost.state() is RunState.STOPPED and not busy.state().is_over
    let_go(busy)
    thread.join()
