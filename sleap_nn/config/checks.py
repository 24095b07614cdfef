"""Checks that several options share: most return what is wrong with a value, in words, or None."""

import re
from typing import Any

from sleap_nn.config.limits import LARGEST_STRIDE, MOST_SAMPLES, MOST_WORKERS
from sleap_nn.errors import ConfigError


def power_of_two(value: int) -> str | None:
    """Strides are powers of two, because every pooling halves the map."""
    if value >= 1 and value & (value - 1) == 0:
        return None if value <= LARGEST_STRIDE else f"must be at most {LARGEST_STRIDE}, not {value}"
    return f"must be a power of two (1, 2, 4, ...), not {value}"


def odd(value: int) -> str | None:
    """A patch has a centre cell only if its side is odd."""
    return None if value % 2 == 1 else f"must be odd, not {value}"


def device_count(value: int | str) -> str | None:
    """A number of devices is 0 or more, or "auto"."""
    if value == "auto" or (isinstance(value, int) and 0 <= value <= MOST_WORKERS):
        return None
    return f"must be a whole number of devices up to {MOST_WORKERS}, auto or null, not {value!r}"


def worker_count(value: int | str) -> str | None:
    """A number of worker processes is 0 or more, or "auto"."""
    if value == "auto" or (isinstance(value, int) and 0 <= value <= MOST_WORKERS):
        return None
    return f"must be a whole number of worker processes up to {MOST_WORKERS}, or auto, not {value!r}"


def sample_count(value: int | str) -> str | None:
    """A number of samples is 1 or more, or "auto"."""
    if value == "auto" or (isinstance(value, int) and 1 <= value <= MOST_SAMPLES):
        return None
    return f"must be a whole number of samples from 1 to {MOST_SAMPLES}, or auto, not {value!r}"


def device_name(value: str) -> str | None:
    """A device is auto, cpu, mps, cuda or cuda:<index>."""
    if re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]+)?", value):
        return None
    return f"must be auto, cpu, mps, cuda or cuda:<number>, not {value!r}"


def written_as_float(value: Any) -> Any:
    """Return the value, but refuse whole numbers where other readers of the file refuse them too.

    Raises:
        ValueError: A whole number stands alone or in the list.
    """
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, int) and not isinstance(item, bool):
            raise ValueError(f"must be written with a decimal point or exponent (1e-8, 0.0), not {item!r}")
    return value


def no_number(value: Any) -> Any:
    """Return a path as it is, but refuse a number, which elsewhere is accepted as text.

    Raises:
        ValueError: The value is a number.
    """
    if isinstance(value, int | float):
        raise ValueError(f"must be text or a list of text, not {value!r}")
    return value


def ordered(values: dict[str, Any], *names: str) -> None:
    """Check that ``<name>_min`` does not exceed ``<name>_max`` for every name.

    Args:
        values: Field name -> number.
        *names: The common beginnings of the two field names.

    Raises:
        ConfigError: A smaller end is above its larger end.
    """
    for name in names:
        low, high = values[f"{name}_min"], values[f"{name}_max"]
        if low > high:
            raise ConfigError(f"{name}_min ({low:g}) must not be above {name}_max ({high:g})")
