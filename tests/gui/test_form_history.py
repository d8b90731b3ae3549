"""Undo and redo of what is changed in the form."""

from __future__ import annotations

from gui.form_history import MOST_CHANGES, FormHistory

START = FormHistory(("a", "x", False))


def edited(history: FormHistory, *forms: tuple, seconds_apart: float = 10.0) -> FormHistory:
    for number, form in enumerate(forms, start=1):
        history = history.edited(form, now=history.changed_at + number * seconds_apart)
    return history


def test_changes_are_undone_and_made_again_one_by_one():
    history = edited(START, ("a", "x", True), ("b", "x", True))
    assert history.undone().present == ("a", "x", True)
    assert history.undone().undone().present == START.present
    assert history.undone().undone().redone().present == ("a", "x", True)
    assert history.undone().undone().redone().redone().past == history.past
    assert history.undone().redone().present == ("b", "x", True)


def test_a_word_is_one_change_and_two_fields_are_two():
    history = edited(START, ("al", "x", False), ("alp", "x", False), ("alp", "xy", False), seconds_apart=0.3)
    assert [history.undone().present, history.undone().undone().present] == [("alp", "x", False), START.present]


def test_a_pause_in_the_same_field_begins_another_change():
    assert edited(START, ("al", "x", False), ("alp", "x", False)).undone().present == ("al", "x", False)


def test_a_preset_that_changes_many_fields_is_one_change():
    assert edited(START, ("b", "y", True), seconds_apart=0.1).undone().present == START.present


def test_what_was_undone_is_gone_after_another_change():
    history = edited(edited(START, ("b", "x", False)).undone(), ("c", "x", False))
    assert history.redone() is history


def test_there_is_an_end_in_both_directions_and_a_limit():
    assert START.undone() is START and START.redone() is START
    assert START.edited(START.present, now=1.0) is START
    long = edited(START, *[(str(number), "x", False) for number in range(MOST_CHANGES + 20)])
    assert len(long.past) == MOST_CHANGES


def test_an_undo_is_no_change_when_the_form_reports_it():
    undone = edited(START, ("b", "x", False)).undone()
    assert undone.edited(undone.present, now=50.0) is undone


def test_every_step_back_or_forward_has_a_revision_of_its_own_and_no_edit_has():
    changed = edited(START, ("b", "x", False))
    assert [history.revision for history in (START, changed, changed.undone(), changed.undone().redone())] == [
        0,
        0,
        1,
        2,
    ]
    assert edited(changed.undone(), ("c", "x", False)).revision == 1
