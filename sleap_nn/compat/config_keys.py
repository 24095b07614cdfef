"""Older and other accepted spellings of configuration keys and values -> the ones that files are saved with.

`canonical` renames the keys of a configuration tree, `canonical_keywords` those of ``train()``; the small
functions at the end convert values and are named in the declarations of the options concerned. Which keys
exist is no business of this module.
"""

from collections.abc import Mapping
from typing import Any

KEY_ALIASES: dict[str, tuple[str, ...]] = {
    "trainer_config.wandb_config": ("trainer_config.wandb",),
    "trainer_config.trainer_steps_per_epoch": ("trainer_config.train_steps_per_epoch",),
    "trainer_config.batch_size": (
        "trainer_config.train_data_loader.batch_size",
        "trainer_config.val_data_loader.batch_size",
    ),
}
"""Dotted path as written -> the dotted paths it stands for."""

KEYWORD_ALIASES: dict[str, str] = {
    "geometric_aug": "geometry_aug",
    "trainer_devices": "trainer_num_devices",
    "init_weights": "init_weight",
}
"""Other keyword of ``train()`` -> its name."""

_OLD_MONITORS = {"val_loss": "val/loss", "train_loss": "train/loss"}


def canonical(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration tree in which every alias has become the key it stands for.

    Args:
        tree: Nested mapping of a whole configuration, or of a part of it from the top; it is not changed.

    Raises:
        ValueError: An alias and its key are both there with different values.
    """
    renamed = _copied(tree)
    for alias, targets in KEY_ALIASES.items():
        parent, name = _parent(renamed, alias)
        if parent is None or name not in parent:
            continue
        value = parent.pop(name)
        for target in targets:
            _put(renamed, target, value, alias)
    return renamed


def aliases_in(tree: Mapping[str, Any]) -> list[str]:
    """Return the aliases that a configuration tree holds, as dotted paths."""
    found = []
    for alias in KEY_ALIASES:
        parent, name = _parent(_copied(tree), alias)
        if parent is not None and name in parent:
            found.append(alias)
    return found


def alias_of(path: str) -> str | None:
    """Return the alias that a dotted path is, or leads into; None if it is the path of today's key."""
    return next((alias for alias in KEY_ALIASES if path == alias or path.startswith(f"{alias}.")), None)


def canonical_path(path: str) -> tuple[str, ...]:
    """Return the dotted paths that a dotted path stands for; just itself if it is no alias."""
    alias = alias_of(path)
    return (path,) if alias is None else tuple(target + path[len(alias) :] for target in KEY_ALIASES[alias])


def canonical_keywords(keywords: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of ``train()`` under their own names.

    An alias counts as absent when it is None, and a keyword when it has its default, so that a function may
    declare both.

    Args:
        keywords: Name -> value as called.
        defaults: Name -> default of ``train()``.

    Raises:
        ValueError: A keyword and its alias are both given with different values.
    """
    renamed = {name: value for name, value in keywords.items() if name not in KEYWORD_ALIASES}
    for alias, name in KEYWORD_ALIASES.items():
        value = keywords.get(alias)
        if value is None:
            continue
        given = name in renamed and renamed[name] != defaults.get(name)
        if given and renamed[name] != value:
            raise ValueError(f"{alias} and {name} are two names of one option, but have different values")
        renamed[name] = value
    return renamed


def one_item_list(value: Any) -> Any:
    """Return a list for a single text, anything else as it is."""
    return [value] if isinstance(value, str) else value


def digits_as_number(value: Any) -> Any:
    """Return the number for a text of digits, as a shell passes it; anything else as it is."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value


def monitor_name(value: Any) -> Any:
    """Return today's name of a watched metric."""
    return _OLD_MONITORS.get(value, value) if isinstance(value, str) else value


def centroid_source_name(value: Any) -> Any:
    """Return ``computed`` for its other name ``anchor``."""
    return "computed" if value == "anchor" else value


def _copied(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) if isinstance(value, Mapping) else value for key, value in tree.items()}


def _parent(tree: dict[str, Any], path: str) -> tuple[dict[str, Any] | None, str]:
    *sections, name = path.split(".")
    place: Any = tree
    for section in sections:
        place = place.get(section) if isinstance(place, dict) else None
    return (place if isinstance(place, dict) else None), name


def _put(tree: dict[str, Any], path: str, value: Any, alias: str) -> None:
    *sections, name = path.split(".")
    place = tree
    for section in sections:
        nested = place.get(section)
        if not isinstance(nested, dict):
            nested = place[section] = {}
        place = nested
    if name not in place:
        place[name] = _copied(value) if isinstance(value, Mapping) else value
    elif isinstance(value, Mapping) and isinstance(place[name], dict):
        for key, inner in value.items():
            _put(tree, f"{path}.{key}", inner, alias)
    elif place[name] != value:
        raise ValueError(f"{alias} and {path} are two names of one option, but have different values; give one")
