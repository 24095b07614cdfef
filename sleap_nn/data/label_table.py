"""Labels as the light table that splits are made on, and the parts of labels that a split makes.

Which frame is which must not depend on where files lie, so a video goes by its fingerprint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sleap_io.io.video_reading import HDF5Video
from sleap_io.model.labels import Labels
from sleap_io.model.video import Video

from sleap_nn.data.frame_groups import FrameId, FrameRow
from sleap_nn.data.labels import has_visible_point, training_instances, user_centroids
from sleap_nn.data.video_paths import base_name


@dataclass(frozen=True)
class LabelTable:
    """The frames of one labels file that are of use.

    Attributes:
        labels: The labels.
        rows: What a split needs to know of each frame, in the order of the file.
        positions: Where these frames are among the labelled frames.
    """

    labels: Labels
    rows: tuple[FrameRow, ...]
    positions: tuple[int, ...]

    @classmethod
    def from_labels(
        cls,
        labels: Labels,
        user_instances_only: bool = True,
        negative_frames: bool = False,
        stored_centroids: bool = False,
    ) -> LabelTable:
        """Read labels; the arguments are those of `LabelSet.from_labels`, which takes the same frames."""
        names = {id(video): name for video, name in zip(labels.videos, fingerprints(labels.videos), strict=True)}
        rows, positions = [], []
        for position, frame in enumerate(labels.labeled_frames):
            instances = [i for i in training_instances(frame, user_instances_only) if has_visible_point(i)]
            labelled = bool(instances) or (stored_centroids and bool(user_centroids(frame)))
            if labelled or (negative_frames and frame.is_negative):
                tracks = frozenset(i.track.name for i in instances if i.track is not None)
                rows.append(FrameRow(names[id(frame.video)], int(frame.frame_idx), tracks, labelled))
                positions.append(position)
        return cls(labels, tuple(rows), tuple(positions))

    @property
    def ids(self) -> list[FrameId]:
        """Which frames there are, in the order of the file."""
        return [row.id for row in self.rows]

    def part(self, frames: Collection[FrameId] | Mapping[FrameId, int]) -> Labels:
        """Return labels with some of the frames, in the order of the file, or by the numbers of a mapping."""
        chosen = [i for i, row in enumerate(self.rows) if row.id in frames]
        if isinstance(frames, Mapping):
            chosen.sort(key=lambda i: frames[self.rows[i].id])
        return subset(self.labels, [self.positions[i] for i in chosen])


def subset(labels: Labels, indices: Sequence[int]) -> Labels:
    """Return labels with the frames at these positions, sharing videos, skeletons and instances."""
    part = Labels(
        labeled_frames=[labels.labeled_frames[i] for i in indices],
        videos=list(labels.videos),
        skeletons=list(labels.skeletons),
        tracks=list(labels.tracks),
    )
    part.provenance = dict(labels.provenance)
    return part


def fingerprints(videos: Iterable[Video]) -> list[str]:
    """Return names of videos that are the same wherever their files lie: ``name|height x width|evidence``.

    The name is that of the file (of the first image of a sequence); images that are embedded in labels go by the
    video they were taken from, and by their data set if that is not known. The evidence is the size of the file in
    bytes, or the number of frames where only that is known. Videos of one labels file that still look the same are
    numbered in its order; those of different files that look the same count as one, which only keeps more together.
    """
    names = [_fingerprint(video) for video in videos]
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(name if seen[name] == 1 else f"{name}|{seen[name]}")
    return numbered


def same_videos(names: Iterable[str], others: Iterable[str]) -> dict[str, list[str]]:
    """Return, for every fingerprint, those among others that may be the same video.

    Equal ones are. If there is none, so are those of the same name and frame size with evidence of another kind,
    because a video and images that were embedded from it have different evidence.
    """
    known = set(others)
    found = {}
    for name in set(names):
        alike = [other for other in sorted(known) if _head(other) == _head(name) and _kind(other) != _kind(name)]
        found[name] = [name] if name in known else alike
    return found


def common_names(names: Iterable[str]) -> dict[str, str]:
    """Return one fingerprint for all that may be the same video, by each of them, see `same_videos`.

    A project and a package made of it show the same frames under two fingerprints. Different videos that cannot be told
    apart count as one, which only keeps more together.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(set(names)):
        alike.setdefault(tuple(_head(name)), []).append(name)
    common = {}
    for members in alike.values():
        has_kinds = len({_kind(name) for name in members}) > 1
        common |= {name: members[0] if has_kinds else name for name in members}
    return common


def _fingerprint(video: Video) -> str:
    """Return the fingerprint of one video, which other videos may share."""
    source = video.original_video
    origin = video if source is None else source
    first = str(origin.filename[0] if isinstance(origin.filename, list) else origin.filename)
    dataset = origin.backend_metadata.get("dataset")
    name = (f"{base_name(first)}:{dataset}" if dataset else base_name(first)).replace("|", "_")
    shape = video.shape
    size = "?" if shape is None else f"{shape[1]}x{shape[2]}"
    if source is not None:
        evidence = _num_frames(source)
    elif isinstance(video.backend, HDF5Video) and video.backend.has_embedded_images:
        evidence = ""  # a package grows with its labels
    else:
        evidence = _num_bytes(first)
    return f"{name}|{size}|{evidence}"


def _num_frames(source: Video) -> str:
    """Return the number of frames as the labels say it; a sequence of images may grow, so it has none."""
    shape = source.backend_metadata.get("shape")
    return "" if isinstance(source.filename, list) or not shape else f"{shape[0]} frames"


def _num_bytes(path: str) -> str:
    """Return the size of a file; an address on the network or a missing file has none."""
    file = Path(path)
    return f"{file.stat().st_size} bytes" if file.is_file() else ""


def _head(name: str) -> list[str]:
    return name.split("|")[:2]


def _kind(name: str) -> str:
    return f"{name}||".split("|")[2].rpartition(" ")[2]
