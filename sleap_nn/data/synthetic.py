"""Synthetic animals: mice seen from above that walk, bend, cross and hide, drawn with exact key points.

`Scene` turns a frame number into an image and points; `synthetic_labels` and `write_dataset` turn scenes into
label files and videos as a person would have made them. Pixels are in `synthetic_drawing.py`. Everything
follows from the scene's seed. Points are (x, y) in frame pixels; an integer is a pixel centre.
"""

import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import h5py
import numpy as np
from sleap_io.io.main import load_slp, load_video
from sleap_io.io.video_writing import VideoWriter
from sleap_io.model.instance import Instance, Track
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.labels import Labels
from sleap_io.model.skeleton import Edge, Node, Skeleton, Symmetry
from sleap_io.model.video import Video

from sleap_nn.data.synthetic_animal import EDGES, NODE_NAMES, SYMMETRIES, Body, Motion, contains, shape_body
from sleap_nn.data.synthetic_drawing import (
    Coat,
    Obstacle,
    Stamp,
    animal_stamps,
    make_coat,
    make_floor,
    make_light,
    make_obstacle,
    obstacle_stamps,
    paint,
)
from sleap_nn.errors import DataError, OutputError

# A person guesses this fraction of the covered nodes, and labels frames this far apart, so that poses differ.
GUESSED_FRACTION = 0.2
FRAME_STEP = 10
_PIXEL_NOISE = 2.5


def synthetic_skeleton() -> Skeleton:
    """Return a new skeleton of the drawn animal, with edges and left/right symmetries."""
    nodes = {name: Node(name) for name in NODE_NAMES}
    edges = [Edge(nodes[source], nodes[destination]) for source, destination in EDGES]
    symmetries = [Symmetry({nodes[left], nodes[right]}) for left, right in SYMMETRIES]
    return Skeleton(list(nodes.values()), edges, symmetries, name="mouse")


@dataclass(frozen=True)
class Scene:
    """An endless video of animals in an arena; the same fields give the same pixels and points.

    Individual `i` wears the same coat in every scene, so that a model can learn identities across scenes.

    Attributes:
        num_animals: How many individuals are in every frame.
        height: Frame height in pixels.
        width: Frame width in pixels.
        seed: Chooses motion, floor, illumination, objects and noise.
        channels: 1 (gray) or 3 (RGB).
        num_obstacles: How many objects lie above the animals.
        body_length: Snout to tail base in pixels; None chooses by frame size and number of animals.

    Raises:
        DataError: If a size or count cannot be drawn.
    """

    num_animals: int = 1
    height: int = 256
    width: int = 256
    seed: int = 0
    channels: int = 3
    num_obstacles: int = 1
    body_length: float | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        if min(self.num_animals, self.num_obstacles, self.seed) < 0:
            raise DataError("num_animals, num_obstacles and seed of a scene must be 0 or more.")
        if self.channels not in (1, 3):
            raise DataError(f"A scene has 1 or 3 channels, not {self.channels}.")
        if not 8 <= self.length <= 1.2 * min(self.height, self.width):
            raise DataError(
                f"Animals {self.length:.0f} px long do not fit a frame of {self.height} x {self.width} px: "
                f"body_length must be at least 8 and at most 1.2 times the shorter side."
            )

    @property
    def length(self) -> float:
        """Snout to tail base in pixels."""
        if self.body_length is not None:
            return float(self.body_length)
        return (0.34 if self.num_animals <= 2 else 0.27) * min(self.height, self.width)

    def frame(self, t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw frame `t`.

        Returns:
            The image (height, width, channels) uint8, the points (I, N, 2) float32 with NaN for hidden nodes,
            and the individuals' numbers (I,).
        """
        points = np.where(self.visible(t)[..., None], self.points(t), np.nan).astype(np.float32)
        return self.image(t), points, np.arange(self.num_animals)

    def points(self, t: int) -> np.ndarray:
        """Return all points (I, N, 2) float32 of frame `t`, hidden and off-frame ones too."""
        nodes = [body.nodes for body in self._bodies(t)]
        return np.array(nodes, np.float32).reshape(self.num_animals, len(NODE_NAMES), 2)

    def inside(self, t: int) -> np.ndarray:
        """Return which nodes (I, N) of frame `t` lie inside the frame."""
        points = self.points(t)
        return np.all((points >= 0) & (points <= (self.width - 1, self.height - 1)), axis=2)

    def visible(self, t: int) -> np.ndarray:
        """Return which nodes (I, N) of frame `t` are inside the frame and under no object or other animal."""
        points, seen = self.points(t), self.inside(t)
        outlines = [body.outline for body in self._bodies(t)] + [item.outline for item in self._arena.obstacles]
        for i, n in zip(*np.nonzero(seen), strict=True):
            seen[i, n] = not any(contains(outline, points[i, n]) for outline in outlines[i + 1 :])
        return seen

    def labelled_points(self, t: int) -> np.ndarray:
        """Return the points (I, N, 2) float32 as a person labels them: a few covered nodes are guessed."""
        guessed = np.random.default_rng([self.seed, 3, t]).random((self.num_animals, len(NODE_NAMES)))
        kept = self.visible(t) | (self.inside(t) & (guessed < GUESSED_FRACTION))
        return np.where(kept[..., None], self.points(t), np.nan).astype(np.float32)

    def image(self, t: int) -> np.ndarray:
        """Draw frame `t` as (height, width, channels) uint8; higher individuals lie above lower ones."""
        arena, size = self._arena, (self.height, self.width)
        animals = zip(self._bodies(t), arena.coats, strict=True)
        stamps = [stamp for body, coat in animals for stamp in animal_stamps(body, coat, size)]
        pixels = paint(arena.floor, arena.light, [*stamps, *arena.cover])
        noise = np.random.default_rng([self.seed, 2, t]).standard_normal(size, np.float32) * _PIXEL_NOISE
        if self.channels == 1:
            return cv2.add(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), noise, dtype=cv2.CV_8U)[..., None]
        return cv2.add(pixels, cv2.merge([noise] * 3), dtype=cv2.CV_8U)

    @cached_property
    def _arena(self) -> "_Arena":
        rng, size = np.random.default_rng([self.seed, 0]), (self.height, self.width)
        light = make_light(size, rng)
        floor = make_floor(size, rng) * light
        obstacles = [make_obstacle(size, self.length, rng) for _ in range(self.num_obstacles)]
        cover = [stamp for item in obstacles for stamp in obstacle_stamps(item, self.length, size)]
        return _Arena(floor, light, obstacles, cover, [make_coat(index) for index in range(self.num_animals)])

    @cached_property
    def _motion(self) -> Motion:
        return Motion(self.num_animals, (self.height, self.width), self.length, self.seed)

    def _bodies(self, t: int) -> list[Body]:
        return [shape_body(pose) for pose in self._motion.poses(t)]


@dataclass(frozen=True, eq=False)
class _Arena:
    """What stays the same through a scene: the floor is illuminated, `cover` draws the obstacles."""

    floor: np.ndarray
    light: np.ndarray
    obstacles: list[Obstacle]
    cover: list[Stamp]
    coats: list[Coat]


@dataclass(frozen=True)
class SyntheticDataset:
    """The files that `write_dataset` made: labels to train on, a video to predict on, and its truth."""

    labels: Path
    video: Path
    truth: Path


def synthetic_labels(path: str | Path, scene: Scene, num_frames: int, num_clips: int = 1, embed: bool = True) -> Labels:
    """Write labels of frames far apart in time, with their images, and return them as sleap-io reads them.

    Args:
        path: File to write, `.pkg.slp` with embedded images or `.slp` with clips beside it.
        scene: What to draw; clip `k` uses the seed `scene.seed + 1000 k`.
        num_frames: How many labelled frames in all.
        num_clips: Over how many videos they are spread.
        embed: True stores the labelled images in the file, False writes the clips as videos beside it.

    Returns:
        The labels, with one track for each individual.

    Raises:
        DataError: If there are no frames or clips, or clips cannot be stored as videos.
    """
    if num_frames < 1 or num_clips < 1:
        raise DataError(f"At least one frame and one clip are needed; got {num_frames} and {num_clips}.")
    labels = _Labeller(scene.num_animals)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if embed else Path(path).resolve().parent
        for index in range(min(num_clips, num_frames)):
            clip = replace(scene, seed=scene.seed + 1000 * index)
            times = [FRAME_STEP * k for k in range(len(range(index, num_frames, num_clips)))]
            write = _write_images if embed else _write_clip
            labels.add(clip, write(folder / f"clip{index}", clip, times), times)
        labels.labels.save(str(path), embed="all" if embed else False, verbose=False)
    if embed:
        _forget_source_videos(path)
    return load_slp(str(path))


def write_dataset(
    folder: str | Path,
    scene: Scene,
    num_labels: int = 60,
    num_video_frames: int = 300,
    embed: bool = True,
    num_clips: int = 3,
    fps: float = 30.0,
) -> SyntheticDataset:
    """Write labels to train on, an unseen video, and the video's full truth.

    Args:
        folder: Made if missing; files of the same names are overwritten.
        scene: What to draw; the video uses `scene.seed`, the training clips other seeds.
        num_labels: Number of labelled frames.
        num_video_frames: Length of the video.
        embed: True writes `labels.pkg.slp` with images inside; False writes `labels.slp` beside its clips.
        num_clips: Number of training clips.
        fps: Frames per second of the videos.

    Returns:
        The paths. In `truth.slp` covered nodes keep their coordinates and are marked as not visible.

    Raises:
        DataError: If the frame size is odd, which the video format cannot store.
        OutputError: If the folder cannot be made.
    """
    folder = _make_folder(folder)
    labels_path = folder / ("labels.pkg.slp" if embed else "labels.slp")
    synthetic_labels(labels_path, replace(scene, seed=scene.seed + 500), num_labels, num_clips, embed)
    video_path, truth_path = folder / "video.mp4", folder / "truth.slp"
    write_video(video_path, scene, num_video_frames, fps)
    truth = _Labeller(scene.num_animals)
    truth.add(scene, load_video(str(video_path)), list(range(num_video_frames)), full=True)
    truth.labels.save(str(truth_path), verbose=False)
    return SyntheticDataset(labels_path, video_path, truth_path)


def write_video(path: str | Path, scene: Scene, num_frames: int, fps: float = 30.0) -> None:
    """Write the first frames of a scene as H.264 video (yuv420p, nearly lossless).

    Raises:
        DataError: If the frame size is odd, which the video format cannot store, or there are no frames.
    """
    if scene.height % 2 or scene.width % 2 or num_frames < 1:
        raise DataError(
            f"A video needs an even frame size and at least one frame; got {scene.height} x {scene.width} px "
            f"and {num_frames} frames."
        )
    # With the plain encoder name sleap-io leaves the frame size alone instead of padding it to 16s.
    options = ["-crf", "16", "-preset", "veryfast"]
    with VideoWriter(str(path), fps=fps, codec="h264", output_params=options) as writer:
        for t in range(num_frames):
            writer(scene.image(t))


class _Labeller:
    """Collects labelled frames of scenes with one skeleton and one track for each individual."""

    def __init__(self, num_animals: int):
        self._skeleton = synthetic_skeleton()
        self._tracks = [Track(f"animal_{index}") for index in range(num_animals)]
        self.labels = Labels(skeletons=[self._skeleton], tracks=list(self._tracks))

    def add(self, scene: Scene, video: Video, times: list[int], full: bool = False) -> None:
        """Label frames of a scene; `full` keeps covered nodes and marks them as not visible."""
        for t in times:
            points = scene.points(t) if full else scene.labelled_points(t)
            seen = scene.visible(t) if full else np.isfinite(points[..., 0])
            instances = [self._instance(*row) for row in zip(points, seen, self._tracks, strict=True) if row[1].any()]
            self.labels.append(LabeledFrame(video=video, frame_idx=t, instances=instances))

    def _instance(self, points: np.ndarray, seen: np.ndarray, track: Track) -> Instance:
        instance = Instance.from_numpy(points, skeleton=self._skeleton, track=track)
        instance.points["visible"] = seen
        return instance


def _write_images(stem: Path, scene: Scene, times: list[int]) -> Video:
    """Write the frames to label as images; the frames between them are named by the video but not drawn."""
    names = [f"{stem}_{t:06d}.png" for t in range(times[-1] + 1)]
    for t in times:
        image = scene.image(t)
        cv2.imwrite(names[t], image if scene.channels == 1 else image[..., ::-1])
    return Video(names)


def _write_clip(stem: Path, scene: Scene, times: list[int]) -> Video:
    """Write a whole clip as a video."""
    path = stem.with_suffix(".mp4")
    write_video(path, scene, times[-1] + 1)
    return load_video(str(path))


def _make_folder(folder: str | Path) -> Path:
    """Make a folder and return its absolute path, so that labels find their videos from anywhere."""
    path = Path(folder).resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {path} cannot be made ({error.strerror}); choose another.") from error
    return path


def _forget_source_videos(path: str | Path) -> None:
    """Drop the references to the image files that were embedded: they were temporary."""
    with h5py.File(path, "a") as file:
        for group in [group for name, group in file.items() if name.startswith("video")]:
            if isinstance(group, h5py.Group) and "source_video" in group:
                del group["source_video"]
