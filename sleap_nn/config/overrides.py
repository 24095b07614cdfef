"""Overrides such as ``trainer_config.optimizer.lr=5e-4``: parsing, and applying to a configuration tree.

Values follow Hydra's grammar; a text that Hydra cannot read (blanks, ``=``, ``~``, other alphabets, Windows
paths) is taken as it is. Only plain dicts are handled here; types and ranges are checked when the tree
becomes a configuration.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sleap_nn.compat.config_keys import canonical, canonical_path
from sleap_nn.errors import ConfigError

_TOKEN = re.compile(r"(?P<sign>\+\+|\+|~)?(?P<key>[^=\s~+]+)(?P<assigned>=(?P<text>.*))?", re.DOTALL)
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")


@dataclass(frozen=True)
class Override:
    """One override as it was written, split into its parts."""

    token: str
    key: str
    text: str | None
    """What stands behind the first ``=``, None without one."""
    deletes: bool


def split_override(token: str) -> Override:
    """Split an override into key and text.

    Args:
        token: ``key=value``, ``+key=value``, ``++key=value``, ``~key`` or ``~key=value``.

    Raises:
        ConfigError: It is none of these.
    """
    matched = _TOKEN.fullmatch(token.strip())
    deletes = matched is not None and matched["sign"] == "~"
    if matched is None or (matched["assigned"] is None and not deletes):
        raise ConfigError(f"The override {token!r} is not of the form key=value, +key=value or ~key.")
    return Override(token, matched["key"], matched["text"], deletes)


def apply_overrides(
    tree: Mapping[str, Any], overrides: Iterable[Override], is_text: Callable[[str], bool]
) -> dict[str, Any]:
    """Return a configuration tree with overrides applied, the last one winning.

    Args:
        tree: Nested dict with the keys that files are saved with; it is not changed.
        overrides: In the order they were written; their keys may be aliases.
        is_text: Says of a dotted path whether its value is a text, so that ``007`` and ``true`` stay what
            they are.

    Raises:
        ConfigError: A value cannot be read, or an alias and its key are set to different values.
    """
    result = dict(tree)
    given: dict[str, Any] = {}
    for override in overrides:
        parts = override.key.split(".")
        if override.deletes:
            _check_deleted_value(override, result, given)
            given = _without(given, parts)
            for path in canonical_path(override.key):
                result = _without(result, path.split("."))
                given = _without(given, path.split("."))
            continue
        text = override.text if override.text is not None else ""
        value = parse_value(text, is_text(canonical_path(override.key)[0]))
        for part in reversed(parts):
            value = {part: value}
        given = merged(given, value)
    try:
        return merged(result, canonical(given))
    except ValueError as error:
        raise ConfigError(f"{error}.") from None


def parse_value(text: str, is_text: bool = False) -> Any:
    """Return the value that a text stands for: null, truth value, number, text, list or mapping.

    Args:
        text: The text behind the ``=`` of an override.
        is_text: Whether the option holds a text, so that only null and quotes have a meaning.

    Raises:
        ConfigError: A list or mapping is not closed or not separated properly, or several values are given.
    """
    from hydra.errors import HydraException

    text = text.strip()
    if _WINDOWS_PATH.match(text):
        return text
    try:
        parsed = _parser().parse_override(f"key={text}")
    except (HydraException, ValueError):  # the latter for a number of thousands of digits
        return _plain(text)
    if parsed.is_sweep_override():
        if is_text:
            return text
        raise ConfigError(f"{text!r} stands for several values; write a list as [a,b] or put the text in quotes.")
    value = parsed.value()
    is_other_scalar = isinstance(value, bool | int | float)
    return text if is_text and is_other_scalar else value


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tree with the values of another laid over it; mappings are merged, all else is replaced."""
    result = dict(base)
    for key, value in over.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            value = merged(before, value)
        result[key] = value
    return result


@cache
def _parser() -> Any:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create()


def _plain(text: str) -> Any:
    """Return a text that Hydra cannot read: as it is, or as a list whose items are read one by one."""
    if not text.startswith(("[", "{")):
        return text
    inner = text[1:-1]
    if text.startswith("[") and text.endswith("]") and not any(mark in inner for mark in "[]{}'\""):
        items = [item.strip() for item in inner.split(",")]
        if all(items):
            return [parse_value(item) for item in items]
    raise ConfigError(f"Cannot read {text!r}; a list is written [a,b] and a mapping {{key: value}}.")


def _check_deleted_value(override: Override, tree: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    if override.text is None:
        return
    value: Any = merged(tree, given)
    for part in canonical_path(override.key)[0].split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value != parse_value(override.text):
        raise ConfigError(f"{override.token!r} removes nothing, because {override.key} has another value.")


def _without(tree: Mapping[str, Any], parts: list[str]) -> dict[str, Any]:
    name, *rest = parts
    if not rest:
        return {key: value for key, value in tree.items() if key != name}
    nested = tree.get(name)
    return {**tree, name: _without(nested, rest)} if isinstance(nested, Mapping) else dict(tree)
