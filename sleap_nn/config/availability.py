"""Refusal of options whose behaviour does not exist yet, as their declarations say."""

from typing import Any

from sleap_nn.config.fields import Field, fields_of, plain_text, values_of
from sleap_nn.errors import ConfigError


def check_available(section: Any, path: str = "") -> None:
    """Check that every option without behaviour is at its default.

    Args:
        section: A configuration object, whole or in part.
        path: Dotted path of `section`, "" at the top.

    Raises:
        ConfigError: "<key path> is not available yet", for the first option that is set.
    """
    _check(section, path, section_available=True)


def _check(section: Any, path: str, section_available: bool) -> None:
    values = values_of(section)
    for entry in fields_of(type(section)):
        value, place = values[entry.name], f"{path}.{entry.name}" if path else entry.name
        available = section_available and entry.option.available
        is_section = entry.section is not None
        if is_section and entry.default is not None:
            if value is not None:
                _check(value, place, available)
        elif value != entry.default:
            _refuse_missing(entry, value, place, available)
            if is_section:
                _check(value, place, available)


def _refuse_missing(entry: Field, value: Any, place: str, available: bool) -> None:
    default = plain_text(entry.default)
    if not available:
        raise ConfigError(f"{place} is not available yet; leave it at its default ({default}).")
    missing = entry.option.missing_behaviour(value)
    if missing is None:
        return
    known = entry.option.available_values
    allowed = f"use {' or '.join(plain_text(value) for value in known)}" if known else f"the default is {default}"
    raise ConfigError(f"{place}: {missing} is not available yet; {allowed}.")
