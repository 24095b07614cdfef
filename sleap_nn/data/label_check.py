"""What looks wrong in labels before a network learns it: pure functions from label sets to findings.

Each check measures the labels against each other and is meant to be silent on good ones. To add one, write a function
from `_Table` to findings and name it in `check_labels`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sleap_nn.data.findings import Finding, LabelReport, Place, counted
from sleap_nn.data.labels import LabelSet
from sleap_nn.data.video_names import video_names, video_origin
from sleap_nn.ops.left_right import FEWEST, likely_swaps, one_sided_triple
from sleap_nn.ops.similarity import bounding_boxes, point_distances, visible_nodes
from sleap_nn.structures.skeleton import Skeleton

OUTSIDE = 1.0
"""Px beyond the border from which a point counts as off the frame."""
SAME_POSE = 0.03
"""Mean distance of two instances, in sizes of a usual one, below which they are the same animal."""
GIANT = 1.6
"""Times the usual size from which an instance may be a giant."""
RARE = 0.05
"""Share of the instances in which a node must be visible to be learned well."""

_GIANT_DEVIATIONS = 5.0
_MOST_GIANTS = 0.05  # a larger share are large animals, and no mistakes
_NORMAL = 1.4826  # standard deviations in a median absolute deviation


@dataclass(frozen=True)
class Purpose:
    """What the labels are for, as far as it decides what is wrong with them.

    Attributes:
        mirrored: Whether the network also sees mirror images.
        identities: Whether it learns from the tracks who is who.
        one_animal: Whether it learns a single animal a frame.
    """

    mirrored: bool = False
    identities: bool = False
    one_animal: bool = False


def check_labels(sets: Sequence[LabelSet], purpose: Purpose) -> LabelReport:
    """Look for what is likely to be wrong.

    Args:
        sets: Labels with one skeleton and common class ids, for example the training and the validation side.
        purpose: What they are for.
    """
    table = _Table.from_sets(sets)
    findings = [
        *_off_frame(table),
        *_swapped(table),
        *_giants(table),
        *_duplicates(table),
        *_single_points(table),
        *_rare_nodes(table),
        *_repeated_frames(sets),
    ]
    if purpose.mirrored:
        findings += _unmirrored(table)
    if purpose.identities:
        findings += _shared_tracks(table)
    if purpose.one_animal:
        findings += _crowded(table)
    return LabelReport(sum(map(len, sets)), len(table), tuple(findings))


@dataclass(frozen=True, eq=False)
class _Table:
    """All instances with a visible point, one a row; those of a frame follow each other.

    Attributes:
        skeleton: Their skeleton.
        points: (M, N, 2) frame px, NaN where not visible.
        tracks: (M,) name of the track, empty without one.
        frame: (M,) number of the frame, counted through all sets.
        video: (M,) number of the video, counted through all sets.
        size: (M, 2) width and height of the frame in px, inf where they are not known.
        places: Name of the video and frame index of every frame.
    """

    skeleton: Skeleton
    points: Float[np.ndarray, "rows nodes 2"]
    tracks: tuple[str, ...]
    frame: Int[np.ndarray, " rows"]
    video: Int[np.ndarray, " rows"]
    size: Float[np.ndarray, "rows 2"]
    places: tuple[tuple[str, int], ...]

    @classmethod
    def from_sets(cls, sets: Sequence[LabelSet]) -> _Table:
        """Collect the instances; those of which only a centroid is known are left out."""
        videos = [video for labels in sets for video in labels.videos]
        names, sizes = video_names(videos), [_width_and_height(video.shape) for video in videos]
        points, tracks, owners, places = [np.zeros((0, len(sets[0].skeleton.node_names), 2))], [], [], []
        first = 0
        for labels in sets:
            for frame in labels.frames:
                video, seen = first + frame.key.video, visible_nodes(frame.points).any(axis=1)
                points.append(frame.points[seen])
                tracks += [labels.track_names[i] if i >= 0 else "" for i in frame.class_ids[seen]]
                owners += [(len(places), video)] * int(seen.sum())
                places.append((names[video], frame.key.frame))
            first += len(labels.videos)
        frame_of, video_of = np.array(owners, np.int64).reshape(-1, 2).T
        return cls(
            skeleton=sets[0].skeleton,
            points=np.concatenate(points).astype(np.float64),
            tracks=tuple(tracks),
            frame=frame_of,
            video=video_of,
            size=np.array(sizes, np.float64).reshape(-1, 2)[video_of],
            places=tuple(places),
        )

    def __len__(self) -> int:
        """Return the number of instances."""
        return len(self.points)

    def place(self, row: int, detail: str) -> Place:
        """Return where most of an instance is, whatever one point does; `detail` says what is wrong with it."""
        x, y = np.nanmedian(self.points[row], axis=0)
        return self.frame_place(int(self.frame[row]), f"{detail} at ({x:.0f}, {y:.0f})")

    def frame_place(self, frame: int, detail: str) -> Place:
        """Return a frame."""
        return Place(*self.places[frame], detail)

    def nodes(self, flags: Bool[np.ndarray, " nodes"]) -> str:
        """Return the names of nodes."""
        return ", ".join(name for name, flag in zip(self.skeleton.node_names, flags, strict=True) if flag)

    def groups(self) -> Iterator[np.ndarray]:
        """Yield the rows of every frame with several instances."""
        for rows in np.split(np.arange(len(self)), np.flatnonzero(np.diff(self.frame)) + 1):
            if len(rows) > 1:
                yield rows


def _width_and_height(shape: Sequence[int] | None) -> tuple[float, float]:
    return (np.inf, np.inf) if shape is None else (shape[2], shape[1])


def _off_frame(table: _Table) -> Iterator[Finding]:
    low = (table.points < -OUTSIDE).any(axis=-1)
    high = (table.points > table.size[:, None] + OUTSIDE).any(axis=-1)
    outside = np.asarray(low | high)
    if outside.any():
        yield Finding(
            "off_frame",
            f"{counted(int(outside.sum()), 'point')} outside the image, which no network can learn",
            "move them, or mark them as not visible",
            tuple(table.place(row, f"{table.nodes(outside[row])} of the instance") for row in _rows(outside)),
        )


def _swapped(table: _Table) -> Iterator[Finding]:
    skeleton = table.skeleton
    swaps = likely_swaps(table.points, skeleton.symmetries, skeleton.edges)
    if not swaps.any():
        return
    judged = np.stack([visible_nodes(table.points[:, list(pair)]).all(axis=1) for pair in skeleton.symmetries], -1)
    places = []
    for row in _rows(swaps):
        pairs = [skeleton.symmetries[i] for i in np.flatnonzero(swaps[row])]
        named = ", ".join(f"{skeleton.node_names[a]}/{skeleton.node_names[b]}" for a, b in pairs)
        whole = len(pairs) > 1 and len(pairs) == judged[row].sum()
        places.append(table.place(row, f"{'all pairs' if whole else named} of the instance"))
    yield Finding(
        "left_right",
        f"Left and right may be exchanged in {counted(len(places), 'instance')}",
        "look at them and correct those that are wrong",
        tuple(places),
    )


def _giants(table: _Table) -> Iterator[Finding]:
    boxes = bounding_boxes(table.points)
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0.0)
    usual = np.full(len(table), np.nan)
    giant = np.zeros(len(table), bool)
    for rows in _comparable(table, sides):
        known = rows[sides[rows] > 0]
        logs = np.log(sides[known])
        middle = float(np.median(logs))
        deviation = _NORMAL * float(np.median(np.abs(logs - middle)))
        large = logs - middle > max(_GIANT_DEVIATIONS * deviation, np.log(GIANT))
        usual[known] = np.exp(middle)
        giant[known] = large & (large.sum() <= _MOST_GIANTS * len(known))
    if giant.any():
        yield Finding(
            "giant",
            f"{counted(int(giant.sum()), 'instance')} far larger than the others",
            "look for a point on another animal or by accident",
            tuple(
                table.place(row, f"{sides[row]:.0f} px where {usual[row]:.0f} px are usual, the instance")
                for row in np.flatnonzero(giant).tolist()
            ),
        )


def _comparable(table: _Table, sides: Float[np.ndarray, " rows"]) -> Iterator[np.ndarray]:
    """Yield rows of instances that should be of one size: those of a video, or of all videos with few of them."""
    rest = []
    for video in np.unique(table.video):
        rows = np.flatnonzero(table.video == video)
        if (sides[rows] > 0).sum() >= FEWEST:
            yield rows
        else:
            rest.append(rows)
    pooled = np.concatenate(rest) if rest else np.zeros(0, np.int64)
    if (sides[pooled] > 0).sum() >= FEWEST:
        yield pooled


def _duplicates(table: _Table) -> Iterator[Finding]:
    boxes = bounding_boxes(table.points)
    diagonals = np.hypot(*(boxes[:, 2:] - boxes[:, :2]).T)
    limit = max(0.5, SAME_POSE * float(np.median(diagonals))) if len(table) else 0.0
    doubled = [rows[_same_poses(table.points[rows], limit)] for rows in table.groups()]
    places = [table.place(row, "the same points twice,") for rows in doubled for row in rows.tolist()]
    if places:
        yield Finding(
            "duplicate",
            f"{counted(len(places), 'instance')} with nearly the same points as another one in the frame",
            "delete one of the two",
            tuple(places),
        )


def _same_poses(points: Float[np.ndarray, "rows nodes 2"], limit: float) -> Bool[np.ndarray, " rows"]:
    """Tell which instances repeat an earlier one: they share most of their nodes, and these lie together."""
    distances = point_distances(points[:, None], points[None])
    shared = np.isfinite(distances)
    count, seen = shared.sum(axis=-1), visible_nodes(points).sum(axis=-1)
    larger = np.maximum(seen[:, None], seen[None])
    enough = (2 * count >= larger) & ((count > 1) | (larger == 1))
    near = np.where(shared, distances, 0).sum(axis=-1) <= limit * count
    return np.asarray(np.tril(enough & near, -1).any(axis=1))


def _single_points(table: _Table) -> Iterator[Finding]:
    if len(table.skeleton.node_names) < 3:
        return
    seen = visible_nodes(table.points)
    alone = np.flatnonzero(seen.sum(axis=1) == 1)
    if len(alone):
        yield Finding(
            "single_point",
            f"{counted(len(alone), 'instance')} with a single visible point",
            "label the other points, or delete what was made by accident",
            tuple(table.place(row, f"only {table.nodes(seen[row])}") for row in alone.tolist()),
        )


def _rare_nodes(table: _Table) -> Iterator[Finding]:
    counts = visible_nodes(table.points).sum(axis=0)
    if not len(table):
        return
    rare = counts == 0 if len(table) < FEWEST else counts < RARE * len(table)
    if rare.any():
        names = [
            f"{table.skeleton.node_names[node]} ({'never' if counts[node] == 0 else f'{counts[node]} times'})"
            for node in np.flatnonzero(rare)
        ]
        yield Finding(
            "rare_node",
            f"{counted(len(names), 'node')} hardly ever visible in {counted(len(table), 'instance')}: "
            f"{', '.join(names)}",
            "label them where they can be seen, or remove them from the skeleton",
        )


def _repeated_frames(sets: Sequence[LabelSet]) -> Iterator[Finding]:
    places = []
    for labels in sets:
        names, origins = video_names(labels.videos), [video_origin(video) for video in labels.videos]
        seen: set[tuple[str, int]] = set()
        for frame in labels.frames:
            video, index = frame.key
            if (origins[video], index) in seen:
                places.append(Place(names[video], index, "labelled in two places"))
            seen.add((origins[video], index))
    if places:
        yield Finding(
            "repeated_frame",
            f"{counted(len(places), 'frame')} labelled twice",
            "keep one of the two, since they count double and may contradict each other",
            tuple(places),
        )


def _unmirrored(table: _Table) -> Iterator[Finding]:
    skeleton = table.skeleton
    declared = {frozenset(pair) for pair in skeleton.symmetries}
    missing = [pair for pair in skeleton.pairs_by_name() if frozenset(pair) not in declared]
    if missing:
        named = ", ".join(f"{skeleton.node_names[a]}/{skeleton.node_names[b]}" for a, b in missing)
        what = f"No symmetry joins {named}, so a mirrored image teaches left as right"
    else:
        triple = None if declared else one_sided_triple(table.points)
        if triple is None:
            return
        named = ", ".join(skeleton.node_names[node] for node in triple)
        what = (
            f"The skeleton has no symmetries, but {named} always follow each other in one sense of rotation, which "
            "mirrored images contradict"
        )
    yield Finding("no_symmetry", what, "add the symmetries to the skeleton, or set geometric.flip_p=0")


def _shared_tracks(table: _Table) -> Iterator[Finding]:
    places = []
    for rows in table.groups():
        names = [table.tracks[row] for row in rows if table.tracks[row]]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            places.append(table.frame_place(int(table.frame[rows[0]]), f"two instances of {', '.join(twice)}"))
    if places:
        yield Finding(
            "shared_track",
            f"One track for several instances in {counted(len(places), 'frame')}",
            "give each animal of a frame its own track",
            tuple(places),
        )


def _crowded(table: _Table) -> Iterator[Finding]:
    places = [table.frame_place(int(table.frame[rows[0]]), f"{len(rows)} instances") for rows in table.groups()]
    if places:
        yield Finding(
            "several_animals",
            f"Several animals in {counted(len(places), 'frame')}, of which a single_instance model learns only one",
            "keep one instance in every frame, or train a model type for several animals",
            tuple(places),
        )


def _rows(flags: Bool[np.ndarray, "rows columns"]) -> list[int]:
    """Return the rows with any flag."""
    return np.flatnonzero(flags.any(axis=1)).tolist()
