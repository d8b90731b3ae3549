"""How an option is declared, and what everything else reads from the declaration: `option`, `OptionGroup`, `Option`.

An option is one attribute of an `OptionGroup`: its name is the TOML key, the flag and the id of the form field, its
default and limits are pydantic's, the string below it is its help. Nothing repeats any of these.
"""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from backend.config.needs import Need

Kind = Literal["flag", "integer", "number", "steps_or_ratio", "choice", "text", "list"]
PathKind = Literal["", "file", "folder", "file or folder"]


class OptionGroup(BaseModel):
    """Options that stand together: one section of the form, one table of the TOML, one group of --help.

    The first line of a group's docstring is its title.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """pydantic would take true for 1 where a number is wanted."""
        if isinstance(value, bool) and describe(cls, str(info.field_name)).kind != "flag":
            raise ValueError("true and false are no numbers")
        return value

    @classmethod
    def title(cls) -> str:
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0]


def option(
    default: Any,
    *,
    label: str,
    unit: str = "",
    basic: bool = False,
    path: PathKind = "",
    network_arg: bool = False,
    suggestions: tuple[str, ...] = (),
    needs: Need | tuple[Need, ...] = (),
    **limits: float,
) -> Any:
    """Declare an option.

    basic: most people change it. path: the text is a path of this kind. network_arg: in files and on musubi-tuner's
    command line the value stands inside `network_args`. suggestions: common values of a text. limits: ge, gt, le, lt as
    in pydantic. needs: what other options have to be for this one to act.
    """
    facts = {
        "unit": unit,
        "basic": basic,
        "path": path,
        "network_arg": network_arg,
        "suggestions": suggestions,
        "needs": needs if isinstance(needs, tuple) else (needs,),
    }
    return Field(default, title=label, json_schema_extra=facts, validate_default=True, **limits)


@dataclass(frozen=True)
class Option:
    """An option as its declaration says; the form, the flags, the TOML comments and the manual are made from this."""

    name: str
    group: str
    label: str
    help: str
    kind: Kind
    default: Any
    optional: bool
    choices: tuple[str, ...]
    limits: str
    unit: str
    basic: bool
    path: PathKind
    network_arg: bool
    suggestions: tuple[str, ...]
    needs: tuple[Need, ...]


def describe(group: type[OptionGroup], name: str) -> Option:
    """The declaration of one option of a group, read back."""
    field = group.model_fields[name]
    facts = typing.cast(dict[str, Any], field.json_schema_extra)
    annotation, optional = _plain(field.annotation)
    return Option(
        name=name,
        group=group.title(),
        label=field.title or name,
        help=" ".join((field.description or "").split()),
        kind=_kind(annotation),
        default=field.default,
        optional=optional,
        choices=tuple(get_args(annotation)) if get_origin(annotation) is Literal else (),
        limits=_limits(field),
        **facts,
    )


_WANTED: dict[Kind, str] = {
    "flag": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "steps_or_ratio": "a number of steps, a ratio below 1, or a percentage such as 10%",
    "text": "a text",
    "list": "a list of texts",
}


def in_words(kind: Kind, limits: str = "") -> str:
    """What a value has to be: "a whole number, at least 1". Of a choice its `choices` tell it."""
    return ", ".join(filter(None, (_WANTED[kind], limits)))


def wanted_by(field: FieldInfo) -> str:
    """What a field of any model takes, as `in_words`."""
    return in_words(_kind(_plain(field.annotation)[0]), _limits(field))


def parse_steps_or_ratio(value: Any) -> Any:
    """Steps (int) or a ratio of all steps (float) from what a user writes: 100, "100", 0.1, "10%".

    As in musubi-tuner, the text "1" or "1.0" is one step, while the number 1.0 in a file is a ratio: all steps.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("wanted a number of steps, a ratio below 1, or a percentage such as 10%")
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.strip().endswith("%"):
        return _checked_ratio(float(value.strip()[:-1]) / 100)
    number = float(value)
    is_ratio = 0 < number < 1 or (number == 1 and isinstance(value, float))
    return int(number) if not is_ratio and number.is_integer() else _checked_ratio(number)


def format_steps_or_ratio(value: int | float) -> str:
    """The text that `parse_steps_or_ratio` reads as this value: a ratio of 1.0 is "100%", for "1.0" is one step."""
    return "100%" if isinstance(value, float) and value == 1 else str(value)


StepsOrRatio = Annotated[int | float, BeforeValidator(parse_steps_or_ratio)]


def _checked_ratio(ratio: float) -> float:
    if not 0 <= ratio <= 1:
        raise ValueError("a ratio of all steps lies between 0 and 1; whole numbers are steps")
    return ratio


def _plain(annotation: Any) -> tuple[Any, bool]:
    """The type without `None` and without `Annotated`, and whether `None` was allowed."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation):
        (part,) = (part for part in get_args(annotation) if part is not type(None))
        return _plain(part)[0], True
    return annotation, False


def _kind(annotation: Any) -> Kind:
    if get_origin(annotation) is Literal:
        return "choice"
    if get_origin(annotation) is list:
        return "list"
    if get_origin(annotation) in (Union, types.UnionType):
        return "steps_or_ratio"
    return typing.cast(Kind, {bool: "flag", int: "integer", float: "number", str: "text"}[annotation])


def _limits(field: FieldInfo) -> str:
    """The limits in words, "" if there are none: "at least 1, at most 8"."""
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than", "multiple_of": "a multiple of"}
    found = []
    for limit in field.metadata:
        for name, word in words.items():
            value = getattr(limit, name, None)
            if value is not None:
                found.append(f"{word} {_number(value)}")
    return ", ".join(found)


def _number(limit: float) -> str:
    """A limit without an exponent: 4294967296, 0.5."""
    return str(limit) if isinstance(limit, int) else f"{limit:g}"
