"""What is said about a split: how many frames are on either side, and how much leaks between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sleap_nn.data.findings import counted
from sleap_nn.data.frame_groups import FrameRow
from sleap_nn.data.leakage import Leakage, usual_distance
from sleap_nn.data.splits import Division, SplitRule, divide
from sleap_nn.log import logger

_GROUPS = {"frame": "frame", "video": "video", "time_block": "time block", "identity": "identity"}


def report_split(rows: Sequence[FrameRow], rule: SplitRule, division: Division) -> None:
    """Tell what a split is like, and how close its sides are.

    Args:
        rows: The table that was divided.
        rule: How.
        division: The result.
    """
    logger.info(sizes_text(rule, division))
    if division.train & division.val:
        logger.warning("There is one labelled frame, so it trains and validates; label more, or set val_labels_path.")
        return
    near = usual_distance((row.id for row in rows), rule.block_gap)
    logger.info(leakage_text(division, divide(rows, replace(rule, method="frame")), near))
    if division.far_off:
        logger.warning(far_off_text(rule, division))


def sizes_text(rule: SplitRule, division: Division) -> str:
    """Return a sentence on the frames of either side."""
    train, val = division.num_labelled
    num_frames = len(division.train | division.val)
    share = 100 * val / max(1, train + val)
    asked = f"{100 * rule.fraction:g} %" if rule.num_folds is None else f"fold {rule.fold} of {rule.num_folds}"
    negative = num_frames - train - val
    beside = f", {counted(negative, 'negative frame')} beside" if negative > 0 else ""
    return (
        f"Split by {_GROUPS[rule.method]} with seed {rule.seed}: {counted(train, 'frame')} in "
        f"{counted(division.num_groups[0], 'group')} train, {counted(val, 'frame')} in "
        f"{counted(division.num_groups[1], 'group')} validate ({share:.1f} %; asked: {asked}){beside}."
    )


def leakage_text(division: Division, at_random: Division, near: int) -> str:
    """Return a sentence on how close the sides are in time, and how close a random split would have been.

    Args:
        division: The split.
        at_random: The random one.
        near: How many frames apart neighbours are.
    """
    found, usual = (Leakage.between(split.train, split.val) for split in (division, at_random))
    return (
        f"Leakage: {found.num_within(near)} of {found.num_val} validation frames have a training frame within "
        f"{counted(near, 'frame')} in the same video; {_distances(found)} (single frames at random: "
        f"{usual.num_within(near)} of {usual.num_val}; {_distances(usual)})."
    )


def far_off_text(rule: SplitRule, division: Division) -> str:
    """Return a sentence on why the number of validation frames is not what was asked for, and what to do."""
    train, val = division.num_labelled
    if division.num_kept:
        reason = f"{counted(division.num_kept, 'frame')} stay on the side of an earlier split"
        remedy = "add labelled frames"
    else:
        reason = f"frames of one {_GROUPS[rule.method]} stay together"
        blocks = rule.method == "time_block"
        remedy = "lower data_config.split.block_length" if blocks else "set data_config.split.split_by=auto"
    return (
        f"{val} of {train + val} labelled frames validate where {division.num_wanted} were asked for, because "
        f"{reason}; {remedy}, or set val_labels_path."
    )


def _distances(found: Leakage) -> str:
    if found.closest is None:
        return "no video on both sides"
    return f"closest {found.closest}, median {found.median:g}"
