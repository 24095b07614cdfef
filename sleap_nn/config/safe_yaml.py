"""YAML text from anywhere: nothing in it runs, and a few lines cannot stand for more than memory holds."""

from __future__ import annotations

from typing import Any

import yaml

MOST_VALUES = 1_000_000
"""Most values that a document may stand for when everything it repeats is written out."""
_MOST_DIGITS = 1000
"""Digits of a whole number; Python itself reads no more than a few thousand."""


def check_yaml(text: str) -> None:
    """Refuse a document whose references (``&name``, ``*name``) repeat themselves without end, or far too often.

    Raises:
        yaml.YAMLError: It does, is nested too deeply, or is no YAML.
    """
    try:
        sizes: dict[int, int] = {}
        document = yaml.compose(text, Loader=yaml.SafeLoader)
        if document is not None and _size(document, sizes) > MOST_VALUES:
            raise yaml.YAMLError(f"its references stand for more than {MOST_VALUES} values")
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None


def read_yaml(text: str) -> Any:
    """Return plain values: mappings, lists, texts and numbers.

    Raises:
        yaml.YAMLError: It is no YAML, as in `check_yaml`, or it asks for objects of a program.
    """
    check_yaml(text)
    return yaml.safe_load(text)


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Return the number of values that a node stands for; `sizes` keeps it by node, 0 while it is counted.

    Raises:
        yaml.YAMLError: The node contains itself, or is an endless number.
    """
    known = sizes.get(id(node))
    if known == 0:
        raise yaml.YAMLError("a part of it contains itself")
    if known is not None:
        return known
    sizes[id(node)] = 0
    if isinstance(node, yaml.MappingNode):
        inner = [part for pair in node.value for part in pair]
    else:
        inner = node.value if isinstance(node, yaml.SequenceNode) else []
        if not inner and node.tag.endswith(":int") and len(node.value) > _MOST_DIGITS:
            raise yaml.YAMLError(f"it holds a number of more than {_MOST_DIGITS} digits")
    sizes[id(node)] = 1 + sum(_size(part, sizes) for part in inner)
    return sizes[id(node)]
