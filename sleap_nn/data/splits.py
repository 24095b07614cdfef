"""Which labelled frames train and which validate: pure functions on a light table of frames.

Frames that show nearly the same picture must land on one side, or validation measures memory. So frames are put into
groups (stretches of time, videos, identities) and whole groups are divided. Nothing is drawn: groups are ordered by
SHA-256 of seed and name, so the same table and seed give the same split on every machine and with every library. How
labels become a table is in `label_table`, what leaks all the same in `leakage`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from sleap_nn.config.data_config import SplitConfig
from sleap_nn.data.frame_groups import FrameId, FrameRow, Group, by_identity, by_video, time_blocks, weight
from sleap_nn.errors import DataError

SMALLEST_BLOCK = 10
"""Frames in a time block where there are enough; poses need about as many frames to become different ones."""
BLOCKS_PER_SIDE = 5
"""Time blocks that validate where there are enough frames, so that they show more than one moment."""
_OTHERWISE = "set data_config.split.split_by=auto"


@dataclass(frozen=True)
class SplitRule:
    """How frames are divided.

    Attributes:
        method: What stays together: ``frame``, ``video``, ``time_block`` or ``identity``.
        fraction: Share of the labelled frames that validate, unless there are folds.
        seed: Orders the groups.
        num_folds: Number of folds; None for one division by `fraction`.
        fold: Which of them validates, from 0.
        block_gap: Frames without labels that end a time block.
        block_length: About the largest number of frames in a time block; None chooses by the number of frames.
    """

    method: str
    fraction: float
    seed: int
    num_folds: int | None = None
    fold: int = 0
    block_gap: int = 30
    block_length: int | None = None

    @classmethod
    def from_config(cls, config: SplitConfig | None, fraction: float, seed: int) -> SplitRule:
        """Read the section ``data_config.split``; None stands for its defaults."""
        section = SplitConfig() if config is None else config
        return cls(
            method="time_block" if section.split_by == "auto" else section.split_by,
            fraction=fraction,
            seed=seed if section.seed is None else section.seed,
            num_folds=section.n_folds,
            fold=section.fold,
            block_gap=section.block_gap,
            block_length=section.block_length,
        )

    def num_wanted(self, total: int) -> int:
        """Return how many of the labelled frames should validate; at least one stays on either side.

        Raises:
            DataError: The fraction leaves one side empty by its value.
        """
        if self.num_folds is None and not 0 < self.fraction < 1:
            raise DataError(
                f"data_config.validation_fraction is {self.fraction}; give a number between 0 and 1, or set "
                "val_labels_path."
            )
        wanted = round(total * self.fraction) if self.num_folds is None else total // self.num_folds
        return min(total - 1, max(1, wanted))


@dataclass(frozen=True)
class Division:
    """The two sides; a table with a single labelled frame has it on both.

    Attributes:
        train: Frames to train on.
        val: Frames to validate on.
        num_groups: Number of groups that train and that validate.
        num_labelled: Number of labelled frames that train and that validate.
        num_wanted: Number of labelled frames that should validate.
        num_kept: Number of labelled frames that are where an earlier split had them or their group.
    """

    train: frozenset[FrameId]
    val: frozenset[FrameId]
    num_groups: tuple[int, int]
    num_labelled: tuple[int, int]
    num_wanted: int
    num_kept: int = 0

    @property
    def far_off(self) -> bool:
        """Whether the groups force quite another number of validation frames than was asked for."""
        return abs(self.num_labelled[1] - self.num_wanted) > max(1, self.num_wanted / 2)


def divide(rows: Iterable[FrameRow], rule: SplitRule, known: Mapping[FrameId, bool] | None = None) -> Division:
    """Divide a table of frames.

    Args:
        rows: The frames, in any order; a frame that is there twice counts once.
        rule: How to divide.
        known: Sides of an earlier split, True for validation, which these frames keep. Other frames of their groups
            join them (where the group is on both sides, the nearest in time); all else is divided as usual.

    Raises:
        DataError: Nothing is labelled, or there are too few groups to divide.
    """
    frames = _merged(rows)
    num_labelled = weight(frames)
    if num_labelled == 0:
        raise DataError("The labels hold no frame with a visible labelled point; label at least one frame.")
    sides = {} if known is None else dict(known)
    if num_labelled == 1 and not any(sides.values()):
        ids = frozenset(row.id for row in frames)
        return Division(ids, ids, (1, 1), (1, 1), 1)
    wanted = rule.num_wanted(num_labelled)
    groups = in_hashed_order(make_groups(frames, rule, wanted), rule.seed)
    free = [group for group in groups if not any(row.id in sides for row in group)]
    kept = [group for group in groups if any(row.id in sides for row in group)]
    validates = {row.id: side for group in kept for row, side in _kept_sides(group, sides)}
    num_val = sum(row.labelled and validates[row.id] for group in kept for row in group)
    taken = (sum(map(weight, kept)) - num_val, num_val)
    _check_enough([group for group in free if weight(group)], rule, taken)
    validates |= _divide_free(free, rule, wanted - num_val, taken)
    return replace(_division(groups, validates, wanted), num_kept=sum(taken))


def make_groups(frames: Sequence[FrameRow], rule: SplitRule, num_wanted: int) -> list[Group]:
    """Return the groups that stay together.

    Args:
        frames: Every frame once.
        rule: How to divide.
        num_wanted: Number of frames that should validate, by which the length of time blocks is chosen.

    Raises:
        DataError: Identities are to stay together, and there are none.
    """
    if rule.method == "frame":
        return [(row,) for row in frames]
    if rule.method == "video":
        return list(by_video(frames).values())
    length = rule.block_length
    if length is None:
        longest = max(SMALLEST_BLOCK, num_wanted // BLOCKS_PER_SIDE)
        length = max(1, min(num_wanted, weight(frames) // 2, longest))
    if rule.method == "identity":
        nameless = [row for row in frames if not row.identities]
        if len(nameless) == len(frames):
            raise DataError(
                "split_by=identity cannot divide the labels: they have no tracks; assign tracks to the instances, or "
                "set data_config.split.split_by=auto."
            )
        return by_identity(frames) + time_blocks(nameless, rule.block_gap, length)
    return time_blocks(frames, rule.block_gap, length)


def in_hashed_order(groups: Iterable[Group], seed: int) -> list[Group]:
    """Return groups ordered by SHA-256 of the seed and their first frame."""

    def digest(group: Group) -> bytes:
        video, frame = min(row.id for row in group)
        return sha256(f"{seed}\n{frame}\n{video}".encode()).digest()

    return sorted(groups, key=digest)


def closest_subset(weights: Sequence[int], wanted: int, lowest: int, highest: int) -> set[int]:
    """Return which items to take so that their sum is as close to `wanted` as it can be; early ones are preferred.

    Args:
        weights: Positive whole numbers.
        wanted: The sum to come close to.
        lowest: Smallest sum allowed.
        highest: Largest sum allowed.

    Returns:
        Positions of the items; none where no sum is allowed.
    """
    wanted = min(max(wanted, lowest), highest)
    largest = min(highest, wanted + max(weights, default=0))  # dropping an item of a larger sum comes closer
    reachable, mask = 1, (1 << (largest + 1)) - 1
    last_item = {0: -1}
    for item, amount in enumerate(weights):
        if wanted in last_item:
            break
        new = (reachable << amount) & mask & ~reachable
        reachable |= new
        while new:
            bit = new & -new
            last_item[bit.bit_length() - 1] = item
            new ^= bit
    allowed = [total for total in last_item if lowest <= total <= highest]
    if not allowed:
        return set()
    total = min(allowed, key=lambda value: (abs(value - wanted), value))
    chosen = set()
    while total:  # what an item added to was reached before it, so every item is met once
        chosen.add(last_item[total])
        total -= weights[last_item[total]]
    return chosen


def fold_numbers(weights: Sequence[int], num_folds: int) -> list[int]:
    """Return the fold of every item: the heaviest first, each to the fold that is lightest so far."""
    loads, folds = [0] * num_folds, [0] * len(weights)
    for item in sorted(range(len(weights)), key=lambda i: (-weights[i], i)):
        folds[item] = min(range(num_folds), key=lambda fold: (loads[fold], fold))
        loads[folds[item]] += weights[item]
    return folds


def _merged(rows: Iterable[FrameRow]) -> list[FrameRow]:
    """Return every frame once, in order, with the identities of all its rows."""
    merged: dict[FrameId, FrameRow] = {}
    for row in rows:
        other = merged.get(row.id, row)
        merged[row.id] = FrameRow(*row.id, row.identities | other.identities, row.labelled or other.labelled)
    return [merged[frame] for frame in sorted(merged)]


def _kept_sides(group: Group, known: Mapping[FrameId, bool]) -> list[tuple[FrameRow, bool]]:
    """Return the side of every frame of a group that holds known ones."""
    anchors = {video: [row.frame for row in rows if row.id in known] for video, rows in by_video(group).items()}
    present = {known[row.id] for row in group if row.id in known}
    sides = []
    for row in group:
        if row.id in known or len(present) == 1 or not anchors[row.video]:
            sides.append((row, known.get(row.id, present == {True})))
        else:
            sides.append((row, known[row.video, _nearest(anchors[row.video], row.frame)]))
    return sides


def _nearest(frames: Sequence[int], frame: int) -> int:
    """Return the nearest of some frames in ascending order."""
    place = bisect_left(frames, frame)
    return min(frames[max(0, place - 1) : place + 1], key=lambda other: abs(other - frame))


def _divide_free(free: Sequence[Group], rule: SplitRule, wanted: int, taken: tuple[int, int]) -> dict[FrameId, bool]:
    """Divide groups of which nothing is known, those with labelled frames first.

    Args:
        free: Groups in hashed order.
        rule: How to divide.
        wanted: Labelled frames that should still validate.
        taken: Labelled frames that train and that validate already.
    """
    validates: dict[FrameId, bool] = {}
    labelled = [group for group in free if weight(group)]
    negative = [group for group in free if not weight(group)]
    num_labelled, num_negative = sum(map(weight, labelled)), sum(map(len, negative))
    limits = (int(not taken[1]), num_labelled - int(not taken[0]))
    for groups, weights, share, (lowest, highest) in (
        (labelled, list(map(weight, labelled)), wanted, limits),
        (negative, list(map(len, negative)), round(num_negative * rule.fraction), (0, num_negative)),
    ):
        if rule.num_folds is not None:
            folds = fold_numbers(weights, rule.num_folds)
            chosen = {item for item, fold in enumerate(folds) if fold == rule.fold}
        else:
            chosen = closest_subset(weights, share, lowest, highest) if groups else set()
        for item, group in enumerate(groups):
            validates |= dict.fromkeys((row.id for row in group), item in chosen)
    return validates


def _division(groups: Sequence[Group], validates: Mapping[FrameId, bool], wanted: int) -> Division:
    """Return the two sides; a group counts on every side where it has frames."""
    sides = [[row for group in groups for row in group if validates[row.id] is side] for side in (False, True)]
    counts = [sum(any(validates[row.id] is side for row in group) for group in groups) for side in (False, True)]
    return Division(
        train=frozenset(row.id for row in sides[0]),
        val=frozenset(row.id for row in sides[1]),
        num_groups=(counts[0], counts[1]),
        num_labelled=(weight(sides[0]), weight(sides[1])),
        num_wanted=wanted,
    )


def _check_enough(free: Sequence[Group], rule: SplitRule, taken: Sequence[int]) -> None:
    """Refuse a table with fewer groups than sides that are still empty, or than folds.

    Raises:
        DataError: The message says what keeps the frames together, and what to do.
    """
    needed = sum(not count for count in taken) if rule.num_folds is None else rule.num_folds
    if len(free) >= needed:
        return
    if taken[0] + taken[1] and rule.num_folds is None:
        side = "trained" if taken[0] else "validated"
        raise DataError(
            f"Every labelled frame belongs to those that already {side} the weights this training starts from; add "
            "labelled frames, or set val_labels_path."
        )
    names = sorted({name for group in free for row in group for name in row.identities})
    num, plural = len(free), "" if len(free) == 1 else "s"
    reason, remedy = {
        "frame": (f"there are only {num} labelled frame{plural}", "label more frames"),
        "video": (f"only {num} video{plural} with labelled frames can be told apart", _OTHERWISE),
        "time_block": (f"the labelled frames make only {num} time block{plural}", "lower block_length"),
        "identity": (f"frames that show several identities ({', '.join(names)}) leave {num} group{plural}", _OTHERWISE),
    }[rule.method]
    folds = "" if rule.num_folds is None else f" into {rule.num_folds} folds"
    fewer = "" if rule.num_folds is None else ", lower n_folds"
    beside = " beside those whose side is known from the weights it starts from" if any(taken) else ""
    raise DataError(
        f"split_by={rule.method} cannot divide the labels{folds}: {reason}{beside}; {remedy}{fewer}, or set "
        "val_labels_path."
    )
