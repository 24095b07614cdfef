"""Training profiles of SLEAP up to 1.4, translated, as configuration objects; what becomes of a key is in `compat`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from sleap_nn.compat.sleap_json import Translation, translate
from sleap_nn.config.loading import with_defaults
from sleap_nn.errors import ConfigError

Section = TypeVar("Section")


def translated(profile: Mapping[str, Any], path: Path | None = None) -> Translation:
    """Return today's configuration for a profile, and what became of every key.

    Args:
        profile: The parsed JSON.
        path: Where it was read, for messages; None if it was not.

    Raises:
        ConfigError: It is no profile, or needs something that does not exist here.
    """
    try:
        return translate(profile)
    except ValueError as error:
        where = "The SLEAP profile" if path is None else f"The SLEAP profile {str(path)!r}"
        raise ConfigError(f"{where} cannot be carried over: {error}.") from None


def section_of(profile: Mapping[str, Any], name: str, cls: type[Section]) -> Section:
    """Return one section of the configuration for a profile.

    Args:
        profile: The parsed JSON.
        name: Name of the section, such as ``data_config``.
        cls: Its class.

    Raises:
        ConfigError: As in `translated`, or a value is wrong.
    """
    return cls(**with_defaults(cls(), translated(profile).tree[name]))
