"""The text grammar of frame selections: ``1,2,3``, ``1-3``, and mixtures of both."""

import operator
import re
from collections.abc import Iterable, Mapping

from sleap_nn.errors import ConfigError

MAX_FRAMES = 10_000_000
_GRAMMAR = "write numbers and ranges such as 0,5,10-20"
_FORMS = "give whole numbers, as a list, a range or an array, or a text such as '0,5,10-20'"


def parse_frames(text: str) -> list[int] | None:
    """Return the frames that a text names, ascending and without duplicates.

    Args:
        text: Items separated by commas; an item is a number or a range ``first-last`` with both ends
            included. The older form ``first,-last`` is one range. Blanks are allowed anywhere between
            numbers.

    Returns:
        The frame numbers; None for an empty text, which stands for all frames.

    Raises:
        ConfigError: The text is not of this form, a range runs backwards, or it names more than `MAX_FRAMES`.
    """
    if not text.strip():
        return None
    older = re.fullmatch(r"\s*([0-9]+)\s*,\s*-\s*([0-9]+)\s*", text)
    items = [f"{older[1]}-{older[2]}"] if older else text.split(",")
    ranges = [_range(item, text) for item in items]
    if sum(len(frames) for frames in ranges) > MAX_FRAMES:
        raise ConfigError(f"frames names more than {MAX_FRAMES} frames in {text!r}; leave it empty for all frames.")
    return sorted(set().union(*ranges))


def frame_numbers(value: object) -> object:
    """Return the frames of a text, and anything else as it is."""
    return parse_frames(value) if isinstance(value, str) else value


def chosen_frames(value: object) -> list[int] | None:
    """Return the frames that a user names in Python: a text, or whole numbers of any type, such as those of NumPy.

    Args:
        value: A text, see `parse_frames`; or a list, range, array or tensor; None for all frames.

    Raises:
        ConfigError: It is something else, or holds something else.
    """
    if value is None or isinstance(value, str):
        return None if value is None else parse_frames(value)
    entries = value.tolist() if hasattr(value, "tolist") else value  # pyright: ignore[reportAttributeAccessIssue]
    if not isinstance(entries, Iterable) or isinstance(entries, bytes | Mapping):
        raise ConfigError(f"frames is {value!r}; {_FORMS}.")
    numbers = []
    for entry in entries:
        try:
            if isinstance(entry, bool):
                raise TypeError
            numbers.append(operator.index(entry))
        except TypeError:
            raise ConfigError(f"frames holds {entry!r}, which is no whole number; {_FORMS}.") from None
    return numbers


def _range(item: str, text: str) -> range:
    matched = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", item)
    if matched is None:
        raise ConfigError(f"frames cannot read {item.strip()!r} in {text!r}; {_GRAMMAR}.")
    first = int(matched[1])
    last = first if matched[2] is None else int(matched[2])
    if last < first:
        raise ConfigError(f"frames has the range {item.strip()!r} that runs backwards in {text!r}; {_GRAMMAR}.")
    return range(first, last + 1)
