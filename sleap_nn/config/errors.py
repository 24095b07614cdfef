"""Errors of the configuration: pydantic's and OmegaConf's reports turned into one sentence with the key path.

`UnknownKeyError` and `WrongTypeError` are at the same time the OmegaConf errors that scripts catch.
"""

import dataclasses
import difflib
from collections.abc import Sequence
from typing import Any, get_args, get_origin

from omegaconf.errors import ConfigKeyError, ValidationError
from pydantic import ValidationError as PydanticError

from sleap_nn.config.fields import fields_of, find_field, phrase, section_class, type_members, walk
from sleap_nn.errors import ConfigError

_MAX_LISTED_KEYS = 12
_MAX_SHOWN_VALUE = 80


class UnknownKeyError(ConfigError, ConfigKeyError):
    """A key that no section knows at this place."""

    def __init__(self, message: str):
        ConfigKeyError.__init__(self, message)
        self.args = (message,)


class WrongTypeError(ConfigError, ValidationError):
    """A value whose type the key cannot hold."""

    def __init__(self, message: str):
        ValidationError.__init__(self, message)
        self.args = (message,)


def from_pydantic(error: PydanticError, cls: type, prefix: str, at: tuple[str, ...] = ()) -> ConfigError:
    """Return the first problem that pydantic found as an error of ours.

    Args:
        error: What pydantic raised.
        cls: The class that was being filled.
        prefix: What stands before the key path in the message, "" or e.g. "OptimizerConfig.".
        at: Where below the class the value stands whose parts pydantic located.
    """
    first = error.errors()[0]
    kind, location, value = first["type"], (*at, *first["loc"]), first["input"]
    if kind in ("unexpected_keyword_argument", "no_such_attribute", "invalid_key"):
        return unknown_key(cls, ".".join(str(part) for part in location), prefix)
    path, annotation = _declared_at(cls, location)
    name = f"{prefix}{path}" if path else prefix.removesuffix(".")
    if kind == "value_error":
        return ConfigError(_sentence(name, str(first.get("ctx", {})["error"])))
    if kind == "finite_number":
        return ConfigError(_sentence(name, f"must be a finite number, not {value}"))
    empty = value is None and any(dataclasses.is_dataclass(member) for member in type_members(annotation))
    advice = "; leave an empty section out" if empty else ""
    return WrongTypeError(_sentence(name, f"must be {phrase(annotation)}, not {shown(value)}{advice}"))


def unknown_key(cls: type, path: str, prefix: str = "") -> UnknownKeyError:
    """Return the error for a key path that does not exist below a configuration class."""
    section, key = _deepest_section(cls, path.split("."))
    place = f"{prefix}{section}" if section else prefix.removesuffix(".")
    where = f"in {place}" if place else "at the top level"
    suggestion = nearest_path(cls, section, key)
    if suggestion is not None:
        hint = f"did you mean {prefix}{suggestion}?"
    else:
        names = _names(cls, section)
        listed = ", ".join(names[:_MAX_LISTED_KEYS]) + (", ..." if len(names) > _MAX_LISTED_KEYS else "")
        hint = f"its keys are {listed}." if names else "it has no keys."
    return UnknownKeyError(f"Unknown key {key!r} {where}; {hint}")


def nearest_path(cls: type, section: str, key: str) -> str | None:
    """Return the full path of the valid key that was most likely meant, or None.

    A near spelling in the same section comes first, then the same name elsewhere, then a near spelling
    elsewhere.

    Args:
        cls: The configuration class at the top.
        section: Dotted path of the section in which `key` was written, "" at the top.
        key: The name that the section does not have.
    """
    here = difflib.get_close_matches(key, _names(cls, section), n=1, cutoff=0.75)
    if here:
        return f"{section}.{here[0]}" if section else here[0]
    paths = [path for path, _ in walk(cls)]
    by_name: dict[str, list[str]] = {}
    for path in paths:
        by_name.setdefault(path.rpartition(".")[2], []).append(path)
    close = [key] if key in by_name else difflib.get_close_matches(key, by_name, n=1, cutoff=0.8)
    if not close:
        return None
    return max(by_name[close[0]], key=lambda path: _shared_parts(path, section))


def shown(value: Any) -> str:
    """Return a value for a message, shortened to a readable length."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= _MAX_SHOWN_VALUE else f"{text[: _MAX_SHOWN_VALUE - 3]}..."


def _sentence(name: str, problem: str) -> str:
    if problem.startswith(f"{name} "):
        return problem
    separator = " " if problem.startswith("must ") else ": "
    return f"{name}{separator}{problem.removesuffix('.')}."


def _declared_at(cls: type, location: Sequence[int | str]) -> tuple[str, Any]:
    """Return the dotted path and the declared type of a pydantic location, which also names union members."""
    names: list[str] = []
    section: type | None = cls
    annotation: Any = cls
    for part in location:
        entry = find_field(section, str(part)) if section is not None else None
        if entry is not None:
            names.append(entry.name)
            section, annotation = entry.section, entry.type
        elif isinstance(part, int):
            items = [get_args(member)[0] for member in type_members(annotation) if get_origin(member) is list]
            return ".".join(names) + f"[{part}]", items[0]
    return ".".join(names), annotation


def _deepest_section(cls: type, parts: list[str]) -> tuple[str, str]:
    """Split a path into the longest part that is a section and the first name that it does not have."""
    section: type | None = cls
    for depth, part in enumerate(parts):
        nested = section_class(section, part) if section is not None else None
        if nested is None:
            known = section is not None and find_field(section, part) is not None
            cut = depth + 1 if known and depth + 1 < len(parts) else depth
            return ".".join(parts[:cut]), parts[cut]
        section = nested
    return ".".join(parts[:-1]), parts[-1]


def _names(cls: type, section: str) -> list[str]:
    owner = cls if not section else (entry.section if (entry := find_field(cls, section)) is not None else None)
    return [entry.name for entry in fields_of(owner)] if owner is not None else []


def _shared_parts(path: str, section: str) -> int:
    shared = 0
    for mine, theirs in zip(path.split("."), section.split("."), strict=False):
        if mine != theirs:
            break
        shared += 1
    return shared
