"""What sets one configuration apart from another, as dotted keys; most of all: from the defaults."""

from typing import Any, NamedTuple

from sleap_nn.config.fields import fields_of, values_of
from sleap_nn.config.training_job_config import TrainingJobConfig

IGNORED = ("sleap_nn_version", "filename", "api_key")
"""Names of fields that say nothing about a training, or are nobody's business."""


class Difference(NamedTuple):
    """A key on which two configurations differ.

    Attributes:
        key: Dotted path, such as ``trainer_config.optimizer.lr``.
        value: Its value; an empty dict for a section that is there with nothing but its own defaults.
        reference: What the other configuration has; None also where it lacks the section.
    """

    key: str
    value: Any
    reference: Any


def differences(config: TrainingJobConfig, reference: TrainingJobConfig | None = None) -> list[Difference]:
    """Return the keys on which a configuration differs from another, in the order of declaration.

    A section that only `config` has is compared with the defaults of that section.

    Args:
        config: The configuration.
        reference: The other one; None means the defaults.
    """
    return _differences(config, TrainingJobConfig() if reference is None else reference, "")


def _differences(section: Any, reference: Any, prefix: str) -> list[Difference]:
    """Return the differences of two sections of one class."""
    found = []
    others = values_of(reference)
    for entry in fields_of(type(section)):
        value, other = values_of(section)[entry.name], others[entry.name]
        key = f"{prefix}{entry.name}"
        if value == other or entry.name in IGNORED:
            continue
        if entry.section is None or value is None:
            found.append(Difference(key, value, other if entry.section is None else {}))
        elif other is None:
            inner = _differences(value, entry.section(), f"{key}.")
            found += inner if inner else [Difference(key, {}, None)]
        else:
            found += _differences(value, other, f"{key}.")
    return found
