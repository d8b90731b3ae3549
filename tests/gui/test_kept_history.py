"""Undo and redo that survive the page: kept beside the draft, and taken up again."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr
import pytest

from backend.config.configuration import all_options
from backend.config.reference_options import ENVIRONMENT_VARIABLES
from gui.form import Draft, form_of
from gui.form_history import FormHistory
from gui.kept_history import KeptHistory
from gui.tabs.train_history import HistoryHandlers


def form(**values) -> tuple:
    return tuple(form_of(values))


@pytest.fixture
def kept(tmp_path: Path) -> KeptHistory:
    return KeptHistory(tmp_path)


def in_the_middle() -> FormHistory:
    history = FormHistory(form())
    for number in (8, 16, 64):
        history = history.edited(form(network_dim=number, exclude_patterns=["é", str(number)]), now=number * 10.0)
    return history.undone()


def test_a_history_comes_back_as_it_was(kept: KeptHistory):
    history = in_the_middle()
    kept.save(history)
    found = kept.load()
    assert (found.present, found.past, found.future) == (history.present, history.past, history.future)


def test_only_what_changed_is_written(kept: KeptHistory):
    kept.save(in_the_middle())
    record = json.loads(kept.path.read_text(encoding="utf-8"))
    assert [set(changes) for changes in record["past"]] == [{"network_dim", "exclude_patterns"}] * 2
    assert record["future"] == [{"network_dim": "64", "exclude_patterns": "é\n64"}]


def test_no_field_of_the_form_is_a_secret():
    assert not ENVIRONMENT_VARIABLES.keys() & all_options().keys()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"present": {}, "past": [], "future": []}', '{"present": 3, "past": 1, "future": 2}']
)
def test_a_damaged_history_or_one_of_other_options_is_none(kept: KeptHistory, text: str):
    kept.path.write_text(text, encoding="utf-8")
    assert kept.load() is None


@pytest.mark.parametrize("step", [{"no_such_option": "x"}, {"network_dim": None}, [1]])
def test_a_step_that_no_form_can_take_is_none(kept: KeptHistory, step: object):
    kept.save(in_the_middle())
    record = json.loads(kept.path.read_text(encoding="utf-8"))
    kept.path.write_text(json.dumps({**record, "past": [step]}), encoding="utf-8")
    assert kept.load() is None


def test_a_page_takes_the_history_up_where_the_last_one_left_it(tmp_path: Path):
    handlers = HistoryHandlers(tmp_path)
    history, revision, *_ = handlers.restored(form())
    history, *_ = handlers.keep_change(history, revision, *form(network_dim=8))
    handlers.keep_change(history, revision, *form(network_dim=8, seed=3))
    assert tuple(Draft(tmp_path).load()) == form(network_dim=8, seed=3)
    again, revision, undo, redo = HistoryHandlers(tmp_path).restored(form(network_dim=8, seed=3))
    assert (undo.interactive, redo.interactive) == (True, False)
    assert again.undone().present == form(network_dim=8)
    handlers.undo(again, revision, *again.present)
    _, _, undo, redo = HistoryHandlers(tmp_path).restored(Draft(tmp_path).load())
    assert (undo.interactive, redo.interactive) == (True, True)


def test_a_form_that_came_from_elsewhere_meanwhile_is_a_change_of_it(tmp_path: Path):
    handlers = HistoryHandlers(tmp_path)
    handlers.keep_change(FormHistory(form()), 0, *form(network_dim=8))
    history, *_ = handlers.restored(form(seed=5))
    assert history.present == form(seed=5) and history.undone().present == form(network_dim=8)


def test_what_the_page_tells_late_after_an_undo_is_no_change(tmp_path: Path):
    handlers = HistoryHandlers(tmp_path)
    history = FormHistory(form()).edited(form(seed=3), now=0.0)
    undone, revision, *_ = handlers.undo(history, 0, *form(seed=3))
    late, *_ = handlers.keep_change(undone, 0, *form(seed=3))
    assert late is undone
    assert tuple(Draft(tmp_path).load()) == form()
    again, *_ = handlers.keep_change(undone, revision, *form(seed=3))
    assert (again.past, again.future) == ((form(),), ())


def test_an_undo_before_the_last_change_was_told_undoes_that_one(tmp_path: Path):
    history = FormHistory(form()).edited(form(seed=3), now=0.0)
    undone, *_ = HistoryHandlers(tmp_path).undo(history, 0, *form(seed=3, network_dim=8))
    assert undone.present == form(seed=3) and undone.redone().present == form(seed=3, network_dim=8)


def test_an_undo_pressed_twice_at_once_goes_back_twice(tmp_path: Path):
    handlers = HistoryHandlers(tmp_path)
    history = FormHistory(form(seed=1)).edited(form(seed=3), now=0.0).edited(form(seed=1, network_dim=8), now=50.0)
    pressed, shown = history.present, list(history.present)
    for _ in range(2):
        history, _, _, _, *fields = handlers.undo(history, 0, *pressed)
        shown = [old if new == gr.skip() else new for old, new in zip(shown, fields, strict=True)]
    assert tuple(shown) == history.present == form(seed=1)


def test_nothing_is_told_before_the_form_was_filled(tmp_path: Path):
    handlers = HistoryHandlers(tmp_path)
    answers = [handlers.keep_change(None, None, *form()), handlers.undo(None, None, *form())]
    assert [len(answer) for answer in answers] == [4, 4 + len(form())]
    assert not handlers.kept.path.exists() and not handlers.draft.path.exists()
