"""What is said about a split: how many frames are on either side, and how much leaks between them."""

from __future__ import annotations

from collections.abc import Iterable

from sleap_nn.data.frame_groups import FrameRow
from sleap_nn.data.leakage import Leakage, usual_distance
from sleap_nn.data.splits import Division, SplitRule
from sleap_nn.log import logger

_GROUPS = {"frame": "frame", "video": "video", "time_block": "time block", "identity": "identity"}


def report_split(rows: Iterable[FrameRow], rule: SplitRule, division: Division, at_random: Division) -> None:
    """Tell what a split is like.

    Args:
        rows: The table that was divided.
        rule: How.
        division: The result.
        at_random: What single frames at random would have given.
    """
    logger.info(sizes_text(rule, division))
    if division.train & division.val:
        logger.warning("There is one labelled frame, so it trains and validates; label more, or set val_labels_path.")
        return
    near = usual_distance((row.id for row in rows), rule.block_gap)
    logger.info(leakage_text(division, at_random, near))
    if division.far_off:
        logger.warning(far_off_text(rule, division))


def sizes_text(rule: SplitRule, division: Division) -> str:
    """Return a sentence on the frames of either side."""
    train, val = division.num_labelled
    num_frames = len(division.train | division.val)
    share = 100 * val / max(1, train + val)
    asked = f"{100 * rule.fraction:g} %" if rule.num_folds is None else f"fold {rule.fold} of {rule.num_folds}"
    negative = num_frames - train - val
    beside = f", {_count(negative, 'negative frame')} beside" if negative > 0 else ""
    return (
        f"Split by {_GROUPS[rule.method]} with seed {rule.seed}: {_count(train, 'frame')} in "
        f"{_count(division.num_groups[0], 'group')} train, {_count(val, 'frame')} in "
        f"{_count(division.num_groups[1], 'group')} validate ({share:.1f} %; asked: {asked}){beside}."
    )


def leakage_text(division: Division, at_random: Division, near: int) -> str:
    """Return a sentence on how close the sides are in time, and how close a random split would have been.

    Args:
        division: The split.
        at_random: The random one.
        near: How many frames apart neighbours are.
    """
    found, usual = (Leakage.between(split.train, split.val) for split in (division, at_random))
    if found.closest is None:
        distances = "no video is on both sides"
    else:
        distances = f"closest {found.closest}, median {found.median:g} frames"
    random = "" if usual.closest is None else f", closest {usual.closest}, median {usual.median:g}"
    return (
        f"Leakage: {found.num_within(near)} of {found.num_val} validation frames have a training frame within "
        f"{_count(near, 'frame')} in the same video, {distances} (frames at random: {usual.num_within(near)} of "
        f"{usual.num_val}{random})."
    )


def far_off_text(rule: SplitRule, division: Division) -> str:
    """Return a sentence on why the number of validation frames is not what was asked for, and what to do."""
    train, val = division.num_labelled
    remedy = {
        "time_block": "lower data_config.split.block_length",
        "frame": "add labelled frames",
    }.get(rule.method, "set data_config.split.split_by=auto, which divides videos by time")
    return (
        f"{val} of {train + val} labelled frames validate where {division.num_wanted} were asked for, because frames "
        f"of one {_GROUPS[rule.method]}, or of an earlier split, stay together; {remedy}, or set val_labels_path."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
