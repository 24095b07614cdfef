"""How an option is declared, and how its declaration is read.

`Option` is the annotation that every configuration field carries: help text, allowed values, command-line
facts and whether its behaviour exists yet. Checking, help, docs and JSON schema all come from it. The classes
that use it live in the ``*_config`` modules; this module imports neither pydantic nor OmegaConf, so that help
texts stay quick.
"""

import dataclasses
import math
import os
import types
import typing
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from sleap_nn.config.limits import LARGEST_NUMBER

Members = tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Cli:
    """How an option looks on the command line."""

    group: str
    short: str = ""
    name: str = ""
    """Long name without dashes, where it differs from the field's name."""
    aliases: tuple[str, ...] = ()
    pair: bool = False
    """True: a flag that also exists as ``--no-<name>``."""
    repeat: bool = False
    """True: a list whose items are given by repeating the option; other lists are one text."""
    hidden: bool = False
    metavar: str = ""


@dataclasses.dataclass(frozen=True)
class Option:
    """The declaration of one option, written as ``Annotated[type, Option("help", ...)]``.

    Attributes:
        help: One or two sentences: meaning, unit, and what null means.
        ge: Smallest allowed number.
        gt: Number that the value must exceed.
        le: Largest allowed number.
        lt: Number that the value must stay below.
        choices: The allowed texts; null is allowed besides if the type says so.
        invalid: Words that open the message about a text that is not among the choices.
        check: Returns what is wrong with a value ("must be odd"), or None.
        convert: Turns another accepted spelling into the value that is stored.
        accepts: The real type of a field that OmegaConf can only hold as `Any`.
        none_is_default: True: null stands for the default.
        available: False: the behaviour does not exist yet, so only the default may be given.
        available_values: The values whose behaviour exists; None: all.
        unavailable_values: The values whose behaviour does not exist yet.
        extension: True: a key that readers of sleap-nn 0.3 files refuse; it is saved only away from its
            default.
        cli: Command-line facts; None: Python and YAML only.
    """

    help: str
    _: dataclasses.KW_ONLY
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    choices: tuple[str, ...] = ()
    invalid: str = ""
    check: Callable[[Any], str | None] | None = None
    convert: Callable[[Any], Any] | None = None
    accepts: Any = None
    none_is_default: bool = False
    available: bool = True
    available_values: tuple[Any, ...] | None = None
    unavailable_values: tuple[Any, ...] = ()
    extension: bool = False
    cli: Cli | None = None

    def prepare(self, value: Any, members: Members) -> Any:
        """Return the value as its type expects it: paths as text, other spellings converted.

        Raises:
            PydanticCustomError: A truth value was given for a number.
            ValueError: The conversion failed.
        """
        value = [_path_text(item) for item in value] if isinstance(value, list | tuple) else _path_text(value)
        if self.convert is not None:
            value = self.convert(value)
        if isinstance(value, bool) and bool not in members and (int in members or float in members):
            from pydantic_core import PydanticCustomError

            raise PydanticCustomError("truth_value_for_number", "must be a number")
        return value

    def problem(self, value: Any) -> str | None:
        """Return what is wrong with a value of the right type, as "must be ...", or None."""
        if value is None:
            return None
        for item in value if isinstance(value, list) else [value]:
            text = self._range_problem(item) or self._choice_problem(item)
            if text is not None:
                return text
        return self.check(value) if self.check is not None else None

    def missing_behaviour(self, value: Any) -> str | None:
        """Return the part of a value whose behaviour does not exist yet, or None.

        Args:
            value: A value other than the default.
        """
        if not self.available:
            return ""
        if self.available_values is not None and value not in self.available_values:
            return plain_text(value)
        if value in self.unavailable_values:
            return plain_text(value)
        return None

    def _range_problem(self, value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if isinstance(value, float) and not math.isfinite(value):
            return f"must be a finite number, not {value!r}"
        if self.ge is not None and value < self.ge:
            return f"must be at least {self.ge:g}, not {value!r}"
        if self.gt is not None and value <= self.gt:
            return f"must be above {self.gt:g}, not {value!r}"
        if self.le is not None and value > self.le:
            return f"must be at most {self.le if isinstance(self.le, int) else format(self.le, 'g')}, not {value!r}"
        if self.lt is not None and value >= self.lt:
            return f"must be below {self.lt:g}, not {value!r}"
        if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            return f"must be at most {LARGEST_NUMBER}, not {value!r}"
        return None

    def _choice_problem(self, value: Any) -> str | None:
        if not self.choices or value in self.choices:
            return None
        names = ", ".join(self.choices)
        return (
            f"{self.invalid} {value!r}; allowed: {names}" if self.invalid else f"must be one of {names}, not {value!r}"
        )

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Hang `prepare` before and `problem` after pydantic's own conversion to the field's type."""
        from pydantic_core import core_schema

        declared = source if self.accepts is None else self.accepts
        members = type_members(declared)

        def prepare(value: Any) -> Any:
            return self.prepare(value, members)

        def checked(value: Any) -> Any:
            text = self.problem(value)
            if text is not None:
                raise ValueError(text)
            return value

        typed = handler.generate_schema(declared)
        return core_schema.no_info_before_validator_function(
            prepare, core_schema.no_info_after_validator_function(checked, typed)
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """Add description, enumeration and bounds to the JSON schema of the field's type."""
        described = dict(handler(schema)) | {"description": self.described()}
        bounds = {
            "minimum": self.ge,
            "exclusiveMinimum": self.gt,
            "maximum": self.le,
            "exclusiveMaximum": self.lt,
        }
        described |= {name: bound for name, bound in bounds.items() if bound is not None}
        if self.choices:
            alternatives: Any = described.get("anyOf", [])
            optional = {"type": "null"} in alternatives
            numbers = [int(choice) for choice in self.choices if choice.isdecimal()]
            if numbers:
                described = {key: value for key, value in described.items() if key != "type"}
            described["enum"] = [*self.choices, *numbers, *([None] if optional else [])]
        return described

    def described(self) -> str:
        """Return the help text with a note on what is not available yet."""
        note = self.availability()
        return self.help if note == "yes" else f"{self.help} (Availability: {note}.)"

    def availability(self) -> str:
        """Return "yes", "not yet", or which values work today."""
        if not self.available:
            return "not yet"
        if self.available_values is not None:
            return "only " + ", ".join(plain_text(value) for value in self.available_values)
        if self.unavailable_values:
            return "not yet " + ", ".join(plain_text(value) for value in self.unavailable_values)
        return "yes"


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of a configuration class: its name, declaration, type and default."""

    name: str
    option: Option
    default: Any
    """The default; a fresh instance for a section."""
    section: type | None
    """The configuration class of a section, None for a value."""
    type: Any
    """The declared type without its annotation; what `Option.accepts` says where that is given."""

    @property
    def optional(self) -> bool:
        """Whether null is allowed."""
        return types.NoneType in type_members(self.type)


def fields_of(cls: type) -> list[Field]:
    """Return the fields of a configuration class in the order they are declared."""
    declared = zip(_declared(cls), dataclasses.fields(cls), strict=True)
    return [dataclasses.replace(entry, default=_default(field)) for entry, field in declared]


def values_of(section: Any) -> dict[str, Any]:
    """Return field name -> value of a configuration object; sections stay objects."""
    return {entry.name: vars(section)[entry.name] for entry in _declared(type(section))}


def section_class(cls: type, name: str) -> type | None:
    """Return the class of the section called `name` in `cls`, None for a value or an unknown name."""
    return next((entry.section for entry in _declared(cls) if entry.name == name), None)


def walk(cls: type, prefix: str = "") -> Iterator[tuple[str, Field]]:
    """Yield (dotted path, field) for every section and value below a configuration class."""
    for entry in fields_of(cls):
        path = f"{prefix}{entry.name}"
        yield path, entry
        if entry.section is not None:
            yield from walk(entry.section, f"{path}.")


def find_field(cls: type, path: str) -> Field | None:
    """Return the field at a dotted path below a configuration class, None where there is none."""
    head, _, rest = path.partition(".")
    entry = next((entry for entry in fields_of(cls) if entry.name == head), None)
    if not rest or entry is None:
        return entry
    return find_field(entry.section, rest) if entry.section is not None else None


@dataclasses.dataclass(frozen=True)
class OptionField:
    """One value of a configuration class as a command-line option needs it."""

    name: str
    type: type
    default: Any
    help: str
    choices: tuple[str, ...]
    short: str
    aliases: tuple[str, ...]
    available: bool
    is_flag: bool
    minimum: float | None
    maximum: float | None
    long: str
    """Long name without dashes; the spelling that help shows."""
    is_pair: bool
    is_list: bool
    """Whether the option may be repeated, once for every item."""
    optional: bool
    hidden: bool
    group: str
    metavar: str
    convert: Callable[[Any], Any] | None
    """Turns the text of the command line into the value; raises ConfigError (a ValueError)."""


def option_fields(cls: type) -> list[OptionField]:
    """Return the values of a configuration class that carry command-line facts, in their order."""
    return [_option_field(entry, entry.option.cli) for entry in fields_of(cls) if entry.option.cli is not None]


def type_members(annotation: Any) -> Members:
    """Return the alternatives of a type: ``(int, NoneType)`` for ``int | None``, ``(int,)`` for ``int``."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(member for part in typing.get_args(annotation) for member in type_members(part))
    if typing.get_origin(annotation) is typing.Annotated:
        return type_members(typing.get_args(annotation)[0])
    return (annotation,)


_PHRASES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    types.NoneType: "null",
    dict: "a mapping",
}
_PLURALS = {int: "whole numbers", float: "numbers", str: "text", dict: "mappings", list: "lists"}


def phrase(annotation: Any) -> str:
    """Return a type in the user's words, e.g. "a whole number or null"."""
    if annotation is Any:
        return "anything"
    members = annotation if isinstance(annotation, tuple) else type_members(annotation)
    return " or ".join(_member_phrase(member) for member in members)


def plain_text(value: Any) -> str:
    """Return a value as YAML writes it on one line: null, true, text without quotes."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _member_phrase(member: Any) -> str:
    if typing.get_origin(member) is list:
        return f"a list of {_PLURALS[_plain_type(typing.get_args(member)[0])]}"
    if dataclasses.is_dataclass(member):
        return "a section of keys"
    return _PHRASES[_plain_type(member)]


def _plain_type(annotation: Any) -> Any:
    """Return list for ``list[str]``, and any plain type as it is."""
    origin = typing.get_origin(annotation)
    return annotation if origin is None else origin


def _path_text(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


@cache
def _declared(cls: type) -> tuple[Field, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    found = []
    for entry in dataclasses.fields(cls):
        annotation, option = typing.get_args(hints[entry.name])
        declared = annotation if option.accepts is None else option.accepts
        sections = [
            part for part in type_members(declared) if isinstance(part, type) and dataclasses.is_dataclass(part)
        ]
        found.append(Field(entry.name, option, None, sections[0] if sections else None, declared))
    return tuple(found)


def _default(declared: "dataclasses.Field[Any]") -> Any:
    return declared.default if declared.default_factory is dataclasses.MISSING else declared.default_factory()


def _option_field(entry: Field, cli: Cli) -> OptionField:
    option = entry.option
    members = [member for member in type_members(entry.type) if member is not types.NoneType]
    scalar = str if typing.get_origin(members[0]) is list else members[0]
    return OptionField(
        name=entry.name,
        type=scalar,
        default=entry.default,
        help=option.help,
        choices=option.choices,
        short=cli.short,
        aliases=cli.aliases,
        available=option.available,
        is_flag=bool in members,
        minimum=option.ge if option.ge is not None else option.gt,
        maximum=option.le if option.le is not None else option.lt,
        long=cli.name if cli.name else entry.name,
        is_pair=cli.pair,
        is_list=cli.repeat,
        optional=entry.optional,
        hidden=cli.hidden,
        group=cli.group,
        metavar=cli.metavar,
        convert=option.convert,
    )
