"""Sections of which exactly one entry is used: the model type and the backbone."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from sleap_nn.errors import ConfigError

T = TypeVar("T")


class OneOf:
    """Mixed into a configuration class whose entries exclude each other."""

    def __post_init__(self) -> None:
        """Check that at most one entry is set."""
        check_at_most_one(vars(self))

    def which_oneof_attrib_name(self) -> str | None:
        """Return the name of the entry that is not null, None if there is none."""
        return next(iter(set_entries(vars(self))), None)

    def which_oneof(self) -> Any:
        """Return the entry that is not null, None if there is none."""
        return next(iter(set_entries(vars(self)).values()), None)


def oneof(cls: type[T] | None = None, must_be_set: bool = False) -> Any:
    """Give a dataclass of a user the checks and methods of `OneOf`; a class decorator.

    Args:
        cls: The class; None when the decorator is written with arguments.
        must_be_set: Whether an instance without any entry is an error too.

    Returns:
        The class, whose constructor raises `ConfigError` when two entries are set (or none, if one must be).
    """
    if cls is None:
        return lambda decorated: oneof(decorated, must_be_set=must_be_set)
    checked: Any = cls
    checked.__init__ = _checked_init(checked.__init__, must_be_set)
    checked.which_oneof_attrib_name = OneOf.which_oneof_attrib_name
    checked.which_oneof = OneOf.which_oneof
    return checked


def set_entries(entries: dict[str, Any]) -> dict[str, Any]:
    """Return the entries that are not null."""
    return {name: value for name, value in entries.items() if value is not None}


def check_at_most_one(entries: dict[str, Any]) -> None:
    """Raise `ConfigError` if two entries are set."""
    names = list(set_entries(entries))
    if len(names) > 1:
        raise ConfigError(f"Only one attribute may be set, but {' and '.join(names)} are; keep one and remove the rest")


def check_one(entries: dict[str, Any], place: str) -> None:
    """Raise `ConfigError` unless exactly one entry is set; the message begins with `place`."""
    try:
        check_at_most_one(entries)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}.") from None
    if not set_entries(entries):
        raise ConfigError(
            f"{place}: At least one attribute must be set; choose one of {', '.join(entries)}, and write "
            f"{next(iter(entries))}: {{}} for one with its defaults."
        )


def _checked_init(init: Callable[..., None], must_be_set: bool) -> Callable[..., None]:
    @wraps(init)
    def checked(self: Any, *args: Any, **keywords: Any) -> None:
        init(self, *args, **keywords)
        if must_be_set:
            check_one(vars(self), type(self).__name__)
        check_at_most_one(vars(self))

    return checked
