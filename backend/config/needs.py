"""What an option needs of another one to act: declared beside the option, for the form, the doubts and the manual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Need:
    """What another option has to be.

    values: one of these, as files and form write them; empty: anything that is given, switched on, or not 0.
    is_not: the contrary has to hold.
    """

    option: str
    values: tuple[str, ...] = ()
    is_not: bool = False

    def is_met(self, value: Any) -> bool:
        """Whether this value of the other option is what is needed."""
        holds = str(value) in self.values if self.values else value not in (None, False, "", 0, [])
        return holds is not self.is_not

    def reason(self, value: Any) -> str:
        """Why it is not met with this value: "network_module is networks.lora", "save_state is off"."""
        if self.values:
            return f"{self.option} is {value}"
        if isinstance(value, bool):
            return f"{self.option} is {'on' if value else 'off'}"
        return f"{self.option} is {'given' if self.is_not else 'not given'}"

    def hint(self) -> str:
        """What to choose, where that is one of a few values."""
        if not self.values or self.is_not:
            return ""
        *others, last = self.values
        return f"choose {', '.join(others)} or {last} to use it" if others else f"choose {last} to use it"

    def in_words(self) -> str:
        """For the manual: "only with `network_module` networks.lokr"."""
        values = f" {', '.join(self.values)}" if self.values else ""
        return f"{'not' if self.is_not else 'only'} with `{self.option}`{values}"


def given(option: str) -> Need:
    """The other option has to be given, or switched on."""
    return Need(option)


def without(option: str, *values: str) -> Need:
    """The other option has to be empty or off, or none of these values."""
    return Need(option, values, is_not=True)


def one_of(option: str, *values: str) -> Need:
    """The other option has to be one of these values."""
    return Need(option, values)


def first_unmet(needs: Iterable[Need], values: Mapping[str, Any]) -> Need | None:
    """The first of the needs that these option values do not meet."""
    return next((need for need in needs if not need.is_met(values[need.option])), None)
