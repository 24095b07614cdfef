"""The verb `render`: predictions drawn on their video, and a gallery of its frames.

What is drawn on a frame is decided in `sleap_nn.rendering`; drawing and encoding are in `sleap_nn.viz`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sleap_nn.config.render_config import RenderConfig
from sleap_nn.data.labels import Labels, load_labels
from sleap_nn.data.moved_videos import move_videos
from sleap_nn.data.sources import FrameSource, VideoFrames
from sleap_nn.data.video_names import image_files
from sleap_nn.data.video_paths import VideoPaths
from sleap_nn.errors import ConfigError, DataError
from sleap_nn.heartbeat import phase
from sleap_nn.inference.select import select_frames
from sleap_nn.log import logger
from sleap_nn.rendering.gallery import gallery_keys, gallery_sheet
from sleap_nn.rendering.scene import Scene
from sleap_nn.rendering.unreadable import BlackFrames, read_or_error
from sleap_nn.stages.workers import ReadAhead
from sleap_nn.structures.sample import FrameKey
from sleap_nn.viz import Trails, fitted, save_image, write_overlay_video
from sleap_nn.whole_files import check_output

FPS_OF_IMAGES = 25.0
_FRAMES_AHEAD = 4

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Rendered:
    """What was written.

    Attributes:
        video: The video, None if only a gallery was asked for.
        num_frames: Frames of the video.
        gallery: The gallery, None if none was asked for.
    """

    video: Path | None = None
    num_frames: int = 0
    gallery: Path | None = None


def render(
    predictions: str | Path | Labels,
    *,
    video_paths: VideoPaths | None = None,
    progress_callback: Progress | None = None,
    **options: Any,
) -> Rendered:
    """Draw the instances of labels on their video, or on a gallery of its frames, or both.

    Frames without instances are shown as they are. Of a predicted instance that a user has corrected, only the
    correction is drawn.

    Args:
        predictions: Labels file, or labels in memory.
        video_paths: Where the videos of the file are now.
        progress_callback: Called with (frames drawn, frames in all) while the video is drawn.
        **options: Fields of `sleap_nn.config.render_config.RenderConfig`.

    Raises:
        MissingFileError: The labels or a video are not there.
        DataError: The labels or the video cannot be used, or no chosen frame has an instance.
        ConfigError: An option is wrong, or asks for what the labels do not have.
        OutputError: An output cannot be written.
        TypeError: An option does not exist.
    """
    config = RenderConfig(**options)
    with phase("reading the labels"):
        labels = predictions if isinstance(predictions, Labels) else load_labels(predictions)
        if video_paths is not None:
            move_videos([labels], video_paths)
        scene = Scene.of(labels, config)
    video, gallery = _outputs(predictions, config)
    _warn_of_idle(config, video, gallery)
    images = image_files(labels.videos)
    rendered = Rendered(gallery=gallery)
    keys = [] if gallery is None else gallery_keys(scene, config)
    if gallery is not None:
        check_output(gallery, images, "picture (.png)")
    if video is not None:
        frames = _video_frames(scene, config)
        check_output(video, images, "video (.mp4)")
        rendered = replace(rendered, video=video, num_frames=_write_video(scene, frames, video, progress_callback))
    if gallery is not None:
        with phase("drawing the gallery"):
            save_image(gallery, gallery_sheet(scene, keys))
    return rendered


def _warn_of_idle(config: RenderConfig, video: Path | None, gallery: Path | None) -> None:
    """Name options that are about an output which is not written."""
    default = vars(RenderConfig())
    for output, wanted, names in (
        (video, "a video (output_path)", ("fps", "quality", "trail")),
        (gallery, "gallery", ("gallery_frames", "gallery_by", "gallery_crop")),
    ):
        idle = [name for name in names if vars(config)[name] != default[name]]
        if output is None and idle:
            logger.warning("Without %s this has no effect: %s.", wanted, ", ".join(idle))


def _outputs(predictions: str | Path | Labels, config: RenderConfig) -> tuple[Path | None, Path | None]:
    """Return where the video and the gallery go, None for what is not asked for.

    Raises:
        ConfigError: Labels in memory have no name that an output could be named after.
    """
    gallery = None if config.gallery is None else Path(config.gallery)
    if config.output_path is not None:
        return Path(config.output_path), gallery
    if gallery is not None:
        return None, gallery
    if isinstance(predictions, Labels):
        raise ConfigError("Labels in memory have no file name; say with output_path or gallery what to write.")
    return Path(predictions).with_suffix(".overlay.mp4"), None


def _video_frames(scene: Scene, config: RenderConfig) -> VideoFrames:
    """Return the frames of the video to write.

    Raises:
        ConfigError: Several videos have instances, and none is chosen.
        DataError: There is no such frame, or none has an instance.
    """
    drawable = scene.drawable()
    index = _only_video(drawable) if config.video_index is None else config.video_index
    offered = select_frames(scene.labels, config.frames, video_index=index).frames.keys
    listed = [key.frame for key in scene.listed if key.video == index]
    absent = 0 if config.frames is not None else len(set(listed).difference(key.frame for key in offered))
    if absent:
        logger.warning("%d frames of the labels are left out, because video %d does not have them.", absent, index)
    if config.only_listed_frames:
        offered = [key for key in offered if key in scene.listed]
    elif config.frames is None and listed:
        first, last = min(listed), max(listed)
        offered = [key for key in offered if first <= key.frame <= last]
    if not set(drawable).intersection(offered):
        others = [key.frame for key in drawable if key.video == index]
        where = (
            f"instances are on frames {others[0]} to {others[-1]}" if others else "it has none on other frames either"
        )
        raise DataError(f"None of the chosen frames of video {index} has an instance; {where}.")
    return VideoFrames(scene.labels.videos, offered)


def _only_video(drawable: Sequence[FrameKey]) -> int:
    """Return the index of the only video with instances.

    Raises:
        ConfigError: There are several.
    """
    videos = sorted({key.video for key in drawable})
    if len(videos) > 1:
        named = ", ".join(map(str, videos))
        raise ConfigError(f"The labels hold instances on {len(videos)} videos ({named}); choose one with video_index.")
    return videos[0]


def _write_video(scene: Scene, frames: FrameSource, path: Path, progress: Progress | None) -> int:
    """Draw frames while others are decoded and encoded, and return their number."""
    video = scene.labels.videos[frames.keys[0].video]
    own_fps = video.fps if video.fps else FPS_OF_IMAGES
    fps = own_fps if scene.config.fps is None else scene.config.fps
    black = BlackFrames(scene.labels.videos)
    with phase(f"drawing {path.name}", len(frames)) as step:

        def counted() -> Iterator[np.ndarray]:
            # Three threads: one decodes, one draws, this one encodes.
            for image in ReadAhead(_unchanged, _drawn(scene, frames, black), _FRAMES_AHEAD):
                yield image
                step.done += 1
                if progress is not None:
                    progress(step.done, len(frames))
            black.report(len(frames), "video")

        return write_overlay_video(path, counted(), fps, quality=scene.config.quality)


def _drawn(scene: Scene, frames: FrameSource, black: BlackFrames) -> Iterator[np.ndarray]:
    """Yield the frames with what is drawn on them, all of the size of the first, which images need not have."""
    trails, size = Trails(scene.config.trail), None
    for key, read in zip(
        frames.keys, ReadAhead(partial(read_or_error, frames), frames.keys, _FRAMES_AHEAD), strict=True
    ):
        scene.lengthen(trails, key)
        drawn = scene.draw(black.image(key, read), scene.found(key), trails)
        size = drawn.shape[:2] if size is None else size
        yield fitted(drawn, size)


def _unchanged(image: np.ndarray) -> np.ndarray:
    return image
