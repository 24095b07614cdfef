"""When a network is of no use, and what to do about it: judgements on how much its heads say.

A head collapses when a flat output is the easiest way to a small loss: maps of zeros, fields without direction, the
same share for every class. Each head can do so alone. The first one finds the animals; without it there is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

PEAK_THRESHOLD = 0.2
"""Value from which predictions after training take a point."""

RISEN = 0.1
"""Strength below which an output is flat."""

REMEDIES = (
    "Try a larger trainer_config.foreground_weight, a larger sigma or output_stride of the head, a smaller "
    "preprocessing.scale, a higher trainer_config.optimizer.lr, or more epochs."
)
NOTHING_FOUND = (
    "Look with sleap-nn preview whether labels and images belong together, train longer, and predict with a lower "
    "--peak_threshold."
)
IDENTITY_REMEDIES = (
    "Check that every track is one animal throughout, label more frames, or train longer; augmentation must leave what "
    "tells the animals apart."
)
_BETTER_THAN_CHANCE = 0.2


@dataclass(frozen=True)
class HeadStrength:
    """How much a head says.

    Attributes:
        name: Name of the head.
        title: What its output is called.
        value: See `sleap_nn.heads.base.Head.strength`; NaN where the network gives no numbers.
    """

    name: str
    title: str
    value: float

    @property
    def is_flat(self) -> bool:
        """Whether it says nothing."""
        return self.value < RISEN

    @property
    def remedy(self) -> str:
        """What to do if it is flat beside others that are not."""
        return f"Try a larger {self.name}.loss_weight, or more epochs."


class Collapse(NamedTuple):
    """A network of no use.

    Attributes:
        reason: Why it is.
        remedy: What to do.
    """

    reason: str
    remedy: str


def early_warnings(strengths: Sequence[HeadStrength], num_epochs: int) -> list[str]:
    """Return what to say about heads that are flat after so many epochs: of the first one, or else of the others."""
    if not strengths:
        return []
    first = strengths[0]
    if first.is_flat:
        reached = f"the highest value of the {first.title} is {first.value:.3f} of 1: they have not risen"
        return [f"After {num_epochs} epochs {reached}. {REMEDIES}"]
    return [
        f"After {num_epochs} epochs the {head.title} are still flat ({head.value:.3f} of 1), while the {first.title} "
        f"reach {first.value:.2f}. {head.remedy}"
        for head in _flat_others(strengths)
    ]


def final_warnings(
    strengths: Sequence[HeadStrength], num_classes: int = 0, class_accuracy: float | None = None
) -> list[str]:
    """Return what to say about heads beside the first one that are of no use when training ends.

    Args:
        strengths: Those of all heads.
        num_classes: Number of identities.
        class_accuracy: Share of right identities in validation, None if it is not known.
    """
    if not strengths or strengths[0].is_flat:
        return []
    first = strengths[0]
    found = [
        f"Training ended with flat {head.title} ({head.value:.3f} of 1) beside {first.title} that reach "
        f"{first.value:.2f}. {head.remedy}"
        for head in _flat_others(strengths)
    ]
    chance = 1 / num_classes if num_classes > 1 else 1.0
    if not found and class_accuracy is not None and class_accuracy < chance + _BETTER_THAN_CHANCE * (1 - chance):
        found.append(
            f"Training ended with identities that are right in {class_accuracy:.0%} of the validation, where guessing "
            f"gives {chance:.0%}. {IDENTITY_REMEDIES}"
        )
    return found


def find_collapse(strengths: Sequence[HeadStrength], num_found: int | None) -> Collapse | None:
    """Return why a trained network is of no use and what to do, None if it is of use or nothing is known.

    Args:
        strengths: How much each head said in the last validation; empty if there was none.
        num_found: Instances found on the training frames, None if nothing was predicted.
    """
    reasons = ["it finds no instance on the very frames it was trained on"] if num_found == 0 else []
    remedy = REMEDIES
    first = strengths[0] if strengths else None
    if first is not None and first.value < PEAK_THRESHOLD and num_found in (0, None):
        reached = f"the highest value of its {first.title} is {first.value:.3f}"
        reasons.append(f"{reached}, and {PEAK_THRESHOLD} makes a point")
    elif first is not None and first.value >= PEAK_THRESHOLD and reasons:
        flat = _flat_others(strengths)
        but = "".join(f", but its {head.title} are flat ({head.value:.3f} of 1)" for head in flat)
        reasons.append(f"its {first.title} reach {first.value:.2f} in validation{but}")
        remedy = flat[0].remedy if flat else NOTHING_FOUND
    return Collapse("; ".join(reasons), remedy) if reasons else None


def poor_on_train_text(num_found: int, num_labelled: int, similarity: float | None) -> str | None:
    """Return what to say about a network that is hardly of use on its own training frames, None for a better one.

    Args:
        num_found: Labelled instances that have a prediction.
        num_labelled: Labelled instances.
        similarity: Mean object keypoint similarity of those, None for centroids.
    """
    if num_found < 0.1 * num_labelled:
        return f"Of {num_labelled} labelled training instances only {num_found} were found. {REMEDIES}"
    if similarity is not None and similarity < 0.05:
        return (
            f"On the training frames predicted points lie far from the labelled ones (mOKS {similarity:.3f}): the "
            f"network has not learned them. {REMEDIES}"
        )
    return None


def _flat_others(strengths: Sequence[HeadStrength]) -> list[HeadStrength]:
    """Return the flat heads beside the first one."""
    return [head for head in strengths[1:] if head.is_flat]
