"""Drawn frames as an H.264 video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from sleap_nn.errors import DataError, OutputError
from sleap_nn.viz.images import upscale
from sleap_nn.whole_files import whole_file

_LIMITED, _BT_601 = 1, 6
"""Range and matrix of the colours, as ISO/IEC 23091-2 numbers them; players guess another for large frames."""


def write_overlay_video(
    path: str | Path, frames: Iterable[np.ndarray], fps: float, upscaling: int = 1, quality: int = 18
) -> int:
    """Write drawn frames as H.264 video (yuv420p, MP4) while they are made; the file appears when complete.

    Odd sizes grow by one repeated row or column, because the format needs even ones.

    Args:
        path: File to write.
        frames: Gray or RGB uint8 images of one size.
        fps: Frames per second.
        upscaling: Whole factor by which frames are enlarged.
        quality: Constant rate factor of H.264, 0 (best) to 51.

    Returns:
        The number of frames written.

    Raises:
        DataError: If there are no frames or their sizes differ.
        OutputError: If the file cannot be written.
    """
    path = Path(path)
    with whole_file(path) as partial:
        return _encode(partial, (_even(_enlarged(frame, upscaling)) for frame in frames), fps, quality)


def _encode(path: Path, frames: Iterator[np.ndarray], fps: float, quality: int) -> int:
    """Write RGB frames of one even size to a new MP4 file and return their number.

    OpenCV turns colours several times as fast as the encoder's own converter; both do so by ITU-R BT.601.
    """
    first = next(frames, None)
    if first is None:
        raise DataError("A video needs at least one frame, but there are none to draw.")
    with _open_container(path) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width, stream.pix_fmt = *first.shape[:2], "yuv420p"
        stream.options = {"crf": str(quality), "preset": "veryfast"}
        stream.codec_context.color_range, stream.codec_context.colorspace = _LIMITED, _BT_601
        count = 0
        for frame in chain([first], frames):
            if frame.shape != first.shape:
                raise DataError(f"Frames of a video have one size; frame {count} is {frame.shape}, not {first.shape}.")
            planes = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420), np.uint8)
            _write(container, stream, av.VideoFrame.from_ndarray(planes, format="yuv420p"))
            count += 1
        _write(container, stream, None)
    return count


@contextmanager
def _open_container(path: Path) -> Iterator[OutputContainer]:
    """Give a new file, and complete it at the end; what is written until then may still lie in memory."""
    try:
        container = av.open(str(path), "w", format="mp4")
    except OSError as error:
        raise OutputError(f"The video {path.name} cannot be written in {path.parent}: {error.strerror}.") from error
    try:
        yield container
        with _writing():
            container.close()
    finally:
        with suppress(FFmpegError):
            container.close()


@contextmanager
def _writing() -> Iterator[None]:
    """Say in a sentence that nothing more can be written."""
    try:
        yield
    except (OSError, FFmpegError) as error:
        raise OutputError(f"The video cannot be written ({error.strerror}); check the free space.") from error


def _write(container: OutputContainer, stream: VideoStream, frame: av.VideoFrame | None) -> None:
    """Encode one frame, or flush the encoder when there is none."""
    with _writing():
        container.mux(stream.encode(frame))


def _enlarged(image: np.ndarray, upscaling: int) -> np.ndarray:
    """Return an image as RGB and enlarged; one that is so already is not copied."""
    return image if upscaling == 1 and image.ndim == 3 and image.shape[2] == 3 else upscale(image, upscaling)


def _even(image: np.ndarray) -> np.ndarray:
    """Repeat the last row or column where the height or width is odd."""
    if image.shape[0] % 2 == 0 and image.shape[1] % 2 == 0:
        return image
    return np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge")
