"""How a configuration class becomes a checked one: pydantic with errors in the user's words.

`config_class` decorates every section of the training configuration; `check_fields` does the same for the
plain dataclasses whose import must stay quick. Declarations are in `fields`, the sentences of errors in
`errors`.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform, get_type_hints

import pydantic
import pydantic.dataclasses

from sleap_nn.config import errors
from sleap_nn.config.fields import fields_of

T = TypeVar("T")

RULES = pydantic.ConfigDict(extra="forbid", validate_assignment=True, coerce_numbers_to_str=True, allow_inf_nan=False)


@dataclass_transform()
def config_class(cls: type[T]) -> type[T]:
    """Make a class a pydantic dataclass that reports wrong values as `ConfigError`.

    Unknown keys are refused, numbers are accepted for text, and assignments are checked as well.
    """
    checked: Any = pydantic.dataclasses.dataclass(config=RULES)(cls)
    checked.__init__ = _in_our_words(checked, checked.__init__)
    checked.__setattr__ = _in_our_words(checked, checked.__setattr__)
    return checked


def check_fields(instance: Any) -> None:
    """Check and convert the fields of a plain dataclass in place; call it from ``__post_init__``.

    Raises:
        ConfigError: A value is not what its declaration allows.
    """
    cls = type(instance)
    for entry in fields_of(cls):
        value = vars(instance)[entry.name]
        if value is None and entry.option.none_is_default:
            value = entry.default
        try:
            checked = _adapters(cls)[entry.name].validate_python(value)
        except pydantic.ValidationError as error:
            raise errors.from_pydantic(error, cls, "", at=(entry.name,)) from None
        object.__setattr__(instance, entry.name, checked)


@functools.cache
def _adapters(cls: type) -> dict[str, pydantic.TypeAdapter[Any]]:
    hints = get_type_hints(cls, include_extras=True)
    return {entry.name: pydantic.TypeAdapter(hints[entry.name], config=RULES) for entry in fields_of(cls)}


def _in_our_words(cls: type, method: Callable[..., None]) -> Callable[..., None]:
    prefix = "" if cls.__name__ == "TrainingJobConfig" else f"{cls.__name__}."

    @functools.wraps(method)
    def reported(self: Any, *args: Any, **keywords: Any) -> None:
        try:
            method(self, *args, **keywords)
        except pydantic.ValidationError as error:
            raise errors.from_pydantic(error, cls, prefix) from None

    return reported
