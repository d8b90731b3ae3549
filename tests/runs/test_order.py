"""The order of the queue."""

import pytest

from backend.errors import InputError
from backend.runs.folder import Job, create_run_folder, submit
from backend.runs.order import hold, move, release, runs_ahead, waiting_runs
from backend.runs.process import own_mark
from backend.runs.status import write_json

JOB = Job(kind="train", name="x", arguments=("-c", "pass"))


@pytest.fixture
def runs(tmp_path):
    """Four queued runs."""
    made = [create_run_folder(tmp_path, name) for name in "abcd"]
    for run in made:
        submit(run, JOB)
    return made


def names(workspace):
    return "".join(run.name[-1] for run in waiting_runs(workspace))


@pytest.mark.parametrize(
    ("moved", "to", "order"),
    [(3, 0, "dabc"), (0, 3, "bcda"), (0, 1, "bacd"), (2, 2, "abcd"), (1, 99, "acdb"), (1, -5, "bacd")],
)
def test_a_run_is_moved_to_any_place(runs, tmp_path, moved, to, order):
    move(runs[moved], to)
    assert names(tmp_path) == order


def test_a_hundred_moves_into_the_same_gap_all_count(runs, tmp_path):
    for _ in range(50):
        move(runs[2], 1)
        assert names(tmp_path)[1] == "c"
        move(runs[3], 1)
        assert names(tmp_path)[1] == "d"


def test_moving_one_run_writes_nothing_of_the_others(runs):
    move(runs[3], 1)
    assert [run.place_file.exists() for run in runs] == [False, False, False, True]


def test_what_is_held_stays_in_its_place_until_it_is_released(runs, tmp_path):
    hold(runs[0])
    assert names(tmp_path) == "abcd" and runs[0].place().held
    move(runs[0], 2)
    assert runs[0].place().held
    release(runs[0])
    assert names(tmp_path) == "bcad" and not runs[0].place().held


def test_a_run_can_be_submitted_held(tmp_path):
    run = create_run_folder(tmp_path, "x")
    submit(run, JOB, held=True)
    assert run.place().held


@pytest.mark.parametrize("change", [hold, release, lambda run: move(run, 0)])
def test_a_run_that_is_over_and_one_in_the_foreground_have_no_place(runs, tmp_path, change):
    write_json(runs[0].exit_file, {"code": 0, "how": "", "at": 0.0})
    with pytest.raises(InputError, match="is finished and does not wait in the queue"):
        change(runs[0])
    command = create_run_folder(tmp_path, "e")
    submit(command, Job(kind="train", name="x", arguments=(), foreground=True))
    with pytest.raises(InputError, match="does not wait in the queue"):
        change(command)
    assert names(tmp_path) == "bcd"


def test_the_order_of_submission_is_counted_and_no_clock_changes_it(tmp_path):
    orders = []
    for name in "ab":
        run = create_run_folder(tmp_path, name)
        submit(run, JOB)
        orders.append(run.job().order)
        job = run.job()
        write_json(run.job_file, {"kind": "train", "name": "x", "arguments": [], "order": job.order, "submitted": 9e9})
    run = create_run_folder(tmp_path, "c")
    submit(run, JOB)  # the clock is behind that of the others
    assert [*orders, run.job().order] == [1, 2, 3]
    assert names(tmp_path) == "abc"


def test_ahead_of_a_run_is_what_it_needs_and_what_gets_its_place_before_it(tmp_path):
    def add(name, **job):
        run = create_run_folder(tmp_path, name)
        submit(run, Job(**{"kind": "train", "name": name, "arguments": (), **job}))
        return run

    elsewhere, first, tool, held = add("a", devices=("1",)), add("b"), add("c", kind="lora"), add("d")
    needed = add("e", kind="lora")
    run = add("f", devices=("0",), needs=(needed.name,))
    add("g")
    hold(held)
    assert runs_ahead(run) == [needed, first]
    assert runs_ahead(elsewhere) == [] and runs_ahead(tool) == [] and runs_ahead(needed) == [tool]
    write_json(first.exit_file, {"code": 0, "how": "", "at": 0.0})
    write_json(elsewhere.process_file, own_mark().record())
    assert runs_ahead(run) == [needed] and runs_ahead(held) == [elsewhere]
