"""A YAML file, a dict or an OmegaConf object -> a plain tree with defaults filled in and references resolved.

Hydra is only used for files with a ``defaults:`` list; it makes no folder, no log and changes no folder.
Whether keys and values are allowed is checked when the tree becomes a configuration object.
"""

import dataclasses
import io
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from sleap_nn.compat.config_keys import KEY_ALIASES, alias_of, aliases_in, canonical
from sleap_nn.config.fields import fields_of
from sleap_nn.config.overrides import Override
from sleap_nn.config.safe_yaml import check_yaml
from sleap_nn.errors import ConfigError, MissingFileError
from sleap_nn.log import logger


def read_file(path: Path, overrides: Sequence[Override] = ()) -> tuple[dict[str, Any], list[Override]]:
    """Return the tree of a YAML file, its ``defaults:`` list composed, and the overrides still to be applied.

    Args:
        path: The file; config groups are folders beside it.
        overrides: As given by the user; those that choose a config group are used up here.

    Raises:
        MissingFileError: There is no such file.
        ConfigError: It is not a YAML mapping, or cannot be composed.
    """
    tree = _parsed(path)
    if "defaults" not in tree:
        return tree, list(overrides)
    if path.suffix != ".yaml":
        raise ConfigError(f"{str(path)!r} has a defaults list, which only works in a file named *.yaml; rename it.")
    chosen = [override for override in overrides if _is_group(path, override)]
    others = [override for override in overrides if not _is_group(path, override)]
    return _composed(path, [override.token for override in chosen]), others


def plain_tree(config: Any) -> dict[str, Any]:
    """Return a configuration object, DictConfig or dict as nested dicts; references stay as they are written.

    Raises:
        ConfigError: It is something else, or holds values that a configuration cannot hold.
    """
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return dataclasses.asdict(config)
    if not isinstance(config, Mapping | DictConfig):
        raise ConfigError(f"A configuration is a mapping, a configuration object or a path, not {config!r}.")
    try:
        node: Any = config
        container: Any = OmegaConf.to_container(OmegaConf.create(node))
    except OmegaConfBaseException as error:
        raise ConfigError(f"The configuration cannot be read: {_first_line(error)}.") from None
    return container


def canonical_tree(tree: Mapping[str, Any], overrides: Sequence[Override] = ()) -> dict[str, Any]:
    """Return a tree in which every alias has become the key it stands for, and say in a line which were there.

    Args:
        tree: Nested mapping of a whole configuration; it is not changed.
        overrides: What will be applied to it; the aliases among their keys are said in the same line.

    Raises:
        ConfigError: An alias and its key are both there with different values.
    """
    try:
        renamed = canonical(tree)
    except ValueError as error:
        raise ConfigError(f"{error}.") from None
    of_overrides = [alias for override in overrides if (alias := alias_of(override.key)) is not None]
    found = dict.fromkeys([*aliases_in(tree), *of_overrides])
    moved = [f"{alias} as {' and '.join(KEY_ALIASES[alias])}" for alias in found]
    if moved:
        logger.info("Other names of keys in the configuration: %s.", "; ".join(f"read {text}" for text in moved))
    return renamed


def with_defaults(section: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a configuration object with given ones laid over them, section by section.

    A section that is null by default and given in part is filled from its class; keys that do not exist are
    kept.

    Args:
        section: The configuration object that holds the defaults.
        given: Nested dict of what was set; it is not changed.
    """
    tree = dataclasses.asdict(section)
    fields = {entry.name: entry for entry in fields_of(type(section))}
    for key, value in given.items():
        nested = fields[key].section if key in fields else None
        if nested is None or not isinstance(value, Mapping):
            tree[key] = value
            continue
        default = fields[key].default
        tree[key] = with_defaults(nested() if default is None else default, value)
    return tree


def resolved(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tree in which every ``${...}`` has been replaced by what it refers to.

    Raises:
        ConfigError: A reference leads nowhere, or a value was left as ``???``.
    """
    try:
        config = OmegaConf.create(dict(tree))
        container: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{_where(error)}{_first_line(error)}.") from None
    return container


def json_tree(text: str, name: str) -> dict[str, Any]:
    """Return the tree of a JSON text.

    Args:
        text: The text.
        name: What it is called in messages.

    Raises:
        ConfigError: It is not valid JSON, or no mapping.
    """
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name} is not valid JSON: {error}.") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{name} is not a JSON object but a {type(tree).__name__}.")
    return tree


def _yaml(text: str) -> Any:
    check_yaml(text)
    return OmegaConf.load(io.StringIO(text))


def _parsed(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise MissingFileError(f"There is no configuration file {path.name!r} in {str(path.parent)!r}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        config = OmegaConf.create(json_tree(text, repr(str(path)))) if path.suffix == ".json" else _yaml(text)
    except YAMLError as error:
        problem = " ".join(str(error).split())
        raise ConfigError(f"{str(path)!r} is not valid YAML: {problem}.") from None
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{str(path)!r} is not a YAML text file: {_first_line(error)}.") from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"{str(path)!r} cannot be read: {_first_line(error)}.") from None
    if not isinstance(config, DictConfig):
        raise ConfigError(f"{str(path)!r} is not a mapping of configuration keys.")
    return plain_tree(config)


def _is_group(path: Path, override: Override) -> bool:
    group = override.key.partition("@")[0]
    return (path.parent / group).is_dir()


def _composed(path: Path, groups: list[str]) -> dict[str, Any]:
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException

    folder = str(path.parent.resolve())
    try:
        with _own_hydra(), initialize_config_dir(config_dir=folder, version_base="1.3", job_name="sleap_nn"):
            return plain_tree(compose(config_name=path.name, overrides=groups))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"The defaults list of {str(path)!r} cannot be composed: {_first_line(error)}.") from None


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Leave the Hydra of a program that calls us as it was."""
    from hydra.core.global_hydra import GlobalHydra

    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="(?s).*Defaults list is missing `_self_`")
            yield
    finally:
        GlobalHydra.instance().hydra = before


def _where(error: OmegaConfBaseException) -> str:
    return f"{error.full_key}: " if error.full_key else ""


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].removesuffix(".")
