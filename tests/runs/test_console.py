"""CTRL_BREAK on Windows, as far as it can be tried elsewhere: the calls in their order, and an honest answer."""

import pytest

from backend.runs.console import CTRL_BREAK_EVENT, ask_to_break, send_break


class Kernel32:
    """Notes what Windows is asked for."""

    def __init__(self, *, attaches=1, sends=1):
        self.calls = []
        self._attaches, self._sends = attaches, sends

    def FreeConsole(self):
        self.calls.append("free")

    def AttachConsole(self, pid):
        self.calls.append(("attach", pid))
        return self._attaches

    def GenerateConsoleCtrlEvent(self, event, group):
        self.calls.append(("send", event, group))
        return self._sends


def test_the_request_is_sent_from_within_the_runs_console_to_its_group():
    kernel32 = Kernel32()
    assert send_break(42, kernel32)
    assert kernel32.calls == ["free", ("attach", 42), ("send", CTRL_BREAK_EVENT, 42), "free"]


@pytest.mark.parametrize("kernel32", [Kernel32(attaches=0), Kernel32(sends=0)])
def test_a_console_that_cannot_be_reached_is_told(kernel32):
    assert not send_break(42, kernel32)


def test_a_process_that_is_not_there_cannot_be_asked():
    assert not ask_to_break(2**31 - 1)  # elsewhere than on Windows no process can
