"""The making of the demo as a job."""

from backend.runs.demo_folder import DemoFolder
from backend.runs.demo_job import submit_demo
from backend.runs.folder import RunState, list_runs
from backend.runs.status import Reporter


def test_the_job_makes_the_demo_in_its_workspace(tmp_path):
    run = submit_demo(tmp_path)
    assert run.state() is RunState.QUEUED
    assert run.job().arguments == ("-m", "backend", "demo", "--workspace", str(tmp_path))


def test_a_second_submission_while_the_first_waits_or_runs_is_the_same_run(tmp_path):
    run = submit_demo(tmp_path)
    assert submit_demo(tmp_path) == run
    reporter = Reporter(run.path)
    reporter.update(phase="loading")
    assert submit_demo(tmp_path) == run
    reporter.update(outcome="failed")
    run.exit_file.write_text('{"code": 1, "how": "", "at": 0}')
    assert submit_demo(tmp_path) != run
    assert len(list_runs(tmp_path)) == 2


def test_the_demo_is_ready_while_all_that_was_made_is_there(tmp_path):
    demo = DemoFolder.of(tmp_path)
    assert not demo.is_whole()
    for path in (
        demo.transformer,
        demo.vae,
        demo.pictures / "cat.jpg",
        demo.pictures / "cat.txt",
        demo.caches / "cat",
        demo.dataset_file,
        demo.prompts_file,
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("something")
    assert not demo.is_whole()
    demo.mark_as_whole()
    assert demo.is_whole()
    demo.dataset_file.write_text("a user's change")
    assert demo.is_whole()
    (demo.pictures / "cat.txt").write_text("a user's caption")
    (demo.caches / "cat").write_text("made again from that caption")
    assert demo.is_whole()
    demo.prompts_file.write_text("a user's prompt")
    assert demo.is_whole()
    demo.prompts_file.unlink()
    assert not demo.is_whole()
    demo.prompts_file.write_text("again")
    assert demo.is_whole()
    demo.vae.write_text("someth")
    assert not demo.is_whole()
