"""What an option needs of another one to act: declared beside the option, for the form, the doubts and the manual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Need:
    """What another option has to be.

    values: one of these, as files and form write them, "" for none; empty: anything that is given, switched on, or not
    0. A list has to hold one of them; case does not matter. is_not: the contrary has to hold. where: the need is one
    only where this other one is met.
    """

    option: str
    values: tuple[str, ...] = ()
    is_not: bool = False
    where: Need | None = None

    def is_met(self, value: Any) -> bool:
        """Whether this value of the other option is what is needed."""
        holds = self._has_value(value) if self.values else value not in (None, False, "", 0, [])
        return holds is not self.is_not

    def _has_value(self, value: Any) -> bool:
        found = value if isinstance(value, list) else ["" if value is None else value]
        return bool({str(one).casefold() for one in found} & {one.casefold() for one in self.values})

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
        where = f", where {self.where._condition()}" if self.where else ""
        return f"{'not' if self.is_not else 'only'} with `{self.option}`{self._listed()}{where}"

    def _condition(self) -> str:
        """ "`timestep_sampling` is sigma", "`save_state` is not given"."""
        return f"`{self.option}` is{' not' if self.is_not else ''}{self._listed() or ' given'}"

    def _listed(self) -> str:
        return f" {', '.join(value or 'none' for value in self.values)}" if self.values else ""


def given(option: str, *, where: Need | None = None) -> Need:
    """The other option has to be given, or switched on."""
    return Need(option, where=where)


def without(option: str, *values: str, where: Need | None = None) -> Need:
    """The other option has to be empty or off, or none of these values."""
    return Need(option, values, is_not=True, where=where)


def one_of(option: str, *values: str, where: Need | None = None) -> Need:
    """The other option has to be one of these values."""
    return Need(option, values, where=where)


def first_unmet(needs: Iterable[Need], values: Mapping[str, Any]) -> Need | None:
    """The first of the needs that these option values do not meet."""
    return next((need for need in needs if _counts(need, values) and not need.is_met(values[need.option])), None)


def _counts(need: Need, values: Mapping[str, Any]) -> bool:
    return need.where is None or need.where.is_met(values[need.where.option])
