import json
from pathlib import Path

import pytest

from backend.runs.folder import Job, RunFolder, submit
from backend.runs.status import Reporter, write_json
from gui.run_feed import CHUNK_BYTES, LOG_TAIL_BYTES, Position, RunFeed
from gui.texts import texts_of
from tests.runs.jobs import submit_named


def make_run(workspace: Path, name: str = "20261122-114009_猫", *, needs: tuple[str, ...] = ()) -> RunFolder:
    run = RunFolder(workspace / "runs" / name)
    run.path.mkdir(parents=True)
    submit(run, Job(kind="train", name="猫", arguments=(), needs=needs))
    return run


def parse(events: list[str]) -> list[tuple[str, object]]:
    return [(field(event, "event"), json.loads(field(event, "data"))) for event in events]


def field(event: str, name: str) -> str:
    return next(line.removeprefix(f"{name}: ") for line in event.splitlines() if line.startswith(f"{name}: "))


def kinds(events: list[str]) -> list[str]:
    return [field(event, "event") for event in events]


def append(path: Path, data: str | bytes) -> None:
    with path.open("ab") as file:
        file.write(data.encode() if isinstance(data, str) else data)


def log_text(events: list[str]) -> str:
    return "".join(data["text"] for kind, data in parse(events) if kind == "log")


def test_a_page_gets_the_whole_run_and_then_only_what_is_new(tmp_path):
    run = make_run(tmp_path)
    reporter = Reporter(run.path)
    reporter.update(phase="training", total_steps=2)
    reporter.add_metrics(step=1, loss=0.5)
    append(run.log_file, "steps: 0%\rsteps: 50%")
    feed = RunFeed(tmp_path)

    (_, start), (_, status), (_, rows), (_, log) = parse(feed.news())
    assert start == {"run": run.name, "kind": "train", "name": "猫", "can_sample": False}
    assert (status["state"], status["phase"], status["total_steps"]) == ("running", "training", 2)
    assert [(row["step"], row["loss"]) for row in rows] == [(1, 0.5)]
    assert log == {"offset": 0, "end": 20, "text": "steps: 0%\rsteps: 50%"}
    assert feed.news() == []

    reporter.add_metrics(step=2, loss=0.4)
    append(run.log_file, "\rdone\n")
    (kind, rows), (_, log) = parse(feed.news())
    assert (kind, rows[0]["step"], log["offset"], log["text"]) == ("metrics", 2, 20, "\rdone\n")


def test_what_the_run_says_is_told_in_the_language_of_the_page(tmp_path):
    reporter = Reporter(make_run(tmp_path).path)
    reporter.trouble("disk_full", "step 3: a.png: cannot be written: No space left on device")
    reporter.update(outcome="stopped", message="stopped after step 3 of 9; resume from /a/b-state")

    def told(language: str) -> tuple[str, str]:
        status = dict(parse(RunFeed(tmp_path, texts=texts_of(language)).news()))["status"]
        return status["message"], status["troubles"][0]["message"]

    assert told("en")[0] == "stopped after step 3 of 9; resume from /a/b-state"
    assert told("ja") == (
        "9 ステップ中 3 ステップで停止しました。/a/b-state から再開できます",
        "ステップ 3: a.png: 書き込めません: No space left on device",
    )


def test_a_run_tells_what_waits_for_it_in_turn(tmp_path):
    submit_named(tmp_path, "latents", kind="cache_latents", name="cache_latents")
    submit_named(tmp_path, "texts", kind="cache_text_encoder_outputs", name="texts", needs=("latents",))
    submit_named(tmp_path, "other", name="another")
    submit_named(tmp_path, "training", name="cat", needs=("texts",))
    status = dict(parse(RunFeed(tmp_path, run="latents").news()))["status"]
    assert status["afterwards"] == [
        {"kind": "cache_text_encoder_outputs", "name": "texts"},
        {"kind": "train", "name": "cat"},
    ]


def test_a_page_that_reconnects_goes_on_where_it_stopped(tmp_path):
    run = make_run(tmp_path)
    append(run.metrics_file, '{"step": 1}\n')
    append(run.log_file, "one\n")
    last_id = field(RunFeed(tmp_path).news()[-1], "id")
    append(run.metrics_file, '{"step": 2}\n')
    append(run.log_file, "two\n")

    events = parse(RunFeed(tmp_path, last_event_id=last_id).news())
    assert [kind for kind, _ in events] == ["status", "metrics", "log"]
    assert events[1][1] == [{"step": 2}]
    assert events[2][1]["text"] == "two\n"


def test_an_id_survives_any_name_and_a_foreign_one_means_the_beginning():
    position = Position("a:b 猫\n", metrics=3, log=4)
    assert Position.parse(str(position)) == position
    assert str(position).isascii() and str(position).isprintable()
    assert Position.parse("") == Position.parse("17") == Position.parse("a:-1:x") == Position()


def test_a_page_that_follows_the_current_run_is_told_when_another_begins(tmp_path):
    feed = RunFeed(tmp_path)
    assert parse(feed.news()) == [("run", {"run": None})]
    assert feed.news() == []
    first = make_run(tmp_path, "20260101-000000_first")
    append(first.log_file, "first")
    assert parse(feed.news())[0] == ("run", {"run": first.name, "kind": "train", "name": "猫", "can_sample": False})
    write_json(first.exit_file, {"code": 0})
    assert [data["state"] for _, data in parse(feed.news())] == ["finished"]

    second = make_run(tmp_path, "20260102-000000_second")
    append(second.log_file, "second")
    events = feed.news()
    assert kinds(events) == ["run", "status", "log"]
    assert log_text(events) == "second"


def test_a_page_that_asked_for_a_run_stays_with_it(tmp_path):
    first = make_run(tmp_path, "20260101-000000_first")
    make_run(tmp_path, "20260102-000000_second")
    assert parse(RunFeed(tmp_path, run=first.name).news())[0][1]["run"] == first.name


def test_the_running_one_of_many_runs_is_current_though_it_is_not_the_newest(tmp_path):
    feed = RunFeed(tmp_path)
    runs = [make_run(tmp_path, f"202601{day:02}-000000_run") for day in range(1, 20)]
    running = runs.pop(3)
    for run in runs:
        write_json(run.exit_file, {"code": 0})
    assert parse(feed.news())[0][1]["run"] == running.name
    assert feed.news() == []
    write_json(running.exit_file, {"code": 0})
    assert parse(feed.news())[0][1]["run"] == "20260119-000000_run"


@pytest.mark.parametrize("training", ["animals", "zebra"])
def test_a_page_follows_a_caching_and_the_training_after_it_whatever_their_names(tmp_path, training):
    """A Start that caches makes three folders in one second."""
    feed = RunFeed(tmp_path)
    shown = []
    names = [f"20260101-000000_{name}" for name in ("cache_latents", "cache_text_encoder_outputs", training)]
    runs = [make_run(tmp_path, name) for name in names]
    for run in runs:
        shown += [data["run"] for kind, data in parse(feed.news()) if kind == "run"]
        write_json(run.exit_file, {"code": 0})
    feed.news()
    assert shown == names


def test_a_page_is_shown_the_caching_that_failed_and_not_the_training_that_never_began(tmp_path):
    feed = RunFeed(tmp_path)
    caching = make_run(tmp_path, "20260101-000000_cache_latents")
    training = make_run(tmp_path, "20260101-000000_training", needs=(caching.name,))
    append(caching.log_file, "no such model")
    events = feed.news()
    write_json(caching.exit_file, {"code": 1, "how": ""})
    write_json(training.exit_file, {"code": None, "how": f"not started: {caching.name} is failed"})
    for _ in range(3):
        events += feed.news()
    assert [data["run"] for kind, data in parse(events) if kind == "run"] == [caching.name]
    assert log_text(events) == "no such model"


def test_a_page_is_told_of_processes_that_could_not_be_ended(tmp_path):
    run = make_run(tmp_path)
    write_json(run.exit_file, {"code": None, "how": "killed", "left": [17]})
    assert dict(parse(RunFeed(tmp_path).news()))["status"]["exit"]["left"] == [17]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_loss_that_is_no_number_reaches_the_browser_as_null(tmp_path, number):
    run = make_run(tmp_path)
    append(run.metrics_file, f'{{"step": 1, "loss": {number}}}\n')
    assert dict(parse(RunFeed(tmp_path).news()))["metrics"] == [{"step": 1, "loss": None}]


def test_half_written_lines_and_characters_wait_for_their_other_half(tmp_path):
    run = make_run(tmp_path)
    append(run.metrics_file, '{"step": 1}\n{"st')
    append(run.log_file, "猫".encode()[:2])
    feed = RunFeed(tmp_path)
    assert dict(parse(feed.news())).get("metrics") == [{"step": 1}]
    append(run.metrics_file, 'ep": 2}\n')
    append(run.log_file, "猫".encode()[2:])
    events = dict(parse(feed.news()))
    assert events["metrics"] == [{"step": 2}]
    assert events["log"]["text"] == "猫"


def test_a_line_that_a_killed_writer_left_behind_is_passed_over(tmp_path):
    run = make_run(tmp_path)
    append(run.metrics_file, '{"step": 1}\n{"step": 2, "lo\n{"step": 3}\n')
    assert dict(parse(RunFeed(tmp_path).news()))["metrics"] == [{"step": 1}, {"step": 3}]


def test_a_long_log_begins_near_its_end_at_a_line(tmp_path):
    run = make_run(tmp_path)
    append(run.log_file, "".join(f"line {number}\n" for number in range(100_000)))
    feed = RunFeed(tmp_path)
    log = dict(parse(feed.news()))["log"]
    assert log["text"].startswith("line ") and log["text"].endswith("line 99999\n")
    assert LOG_TAIL_BYTES - 20 < log["end"] - log["offset"] <= LOG_TAIL_BYTES
    assert log["end"] == run.log_file.stat().st_size


def test_many_metrics_come_in_several_parts_without_a_gap(tmp_path):
    run = make_run(tmp_path)
    append(run.metrics_file, "".join(f'{{"step": {step}, "loss": 0.123456}}\n' for step in range(20_000)))
    assert run.metrics_file.stat().st_size > 2 * CHUNK_BYTES
    feed = RunFeed(tmp_path)
    steps = []
    for _ in range(10):
        steps += [row["step"] for kind, data in parse(feed.news()) if kind == "metrics" for row in data]
        if not feed.has_more:
            break
    assert steps == list(range(20_000))


def test_a_log_that_is_shorter_than_before_is_told_from_its_beginning(tmp_path):
    run = make_run(tmp_path)
    append(run.log_file, "before\n")
    feed = RunFeed(tmp_path)
    feed.news()
    run.log_file.write_text("new\n")
    events = feed.news()
    assert kinds(events) == ["run", "status", "log"]
    assert log_text(events) == "new\n"
