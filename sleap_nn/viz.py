"""Pictures of poses and maps: pure drawing on NumPy images with OpenCV, and files of the results.

Every function takes uint8 images, gray (height, width[, 1]) or RGB (height, width, 3), and returns a new RGB
uint8 image. Points are (x, y) in pixels of the image given; an integer is a pixel centre.
Nothing here knows labels, models or settings.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from sleap_nn.errors import DataError, OutputError

Color = tuple[int, int, int]

# Okabe and Ito, "Color Universal Design" (2008), brightest first and without black; then lighter neighbours.
PALETTE: tuple[Color, ...] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
    (170, 221, 255),
    (255, 214, 140),
    (150, 230, 205),
)

_FIXED_POINT_BITS = 4
_FARTHEST = 20_000.0
_DARK = (20, 20, 20)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class DrawStyle:
    """How instances are drawn.

    Attributes:
        color_by: "instance" gives every instance (or track) one colour, "node" every node.
        hollow: Draw rings and thin lines, for the truth, instead of filled points, for predictions.
        upscale: Whole factor by which the image is enlarged first, so that small frames show detail.
        size: Radius of points in pixels of the result; None follows the image size.
    """

    color_by: Literal["instance", "node"] = "instance"
    hollow: bool = False
    upscale: int = 1
    size: float | None = None


FILLED = DrawStyle()
HOLLOW = DrawStyle(hollow=True)


def draw_instances(
    image: np.ndarray,
    points: np.ndarray,
    edges: Sequence[tuple[int, int]] = (),
    colors: Sequence[Color] | None = None,
    scores: np.ndarray | None = None,
    names: Sequence[str] | None = None,
    style: DrawStyle = FILLED,
) -> np.ndarray:
    """Draw poses on an image.

    Args:
        image: (height, width[, channels]) uint8, gray or RGB.
        points: (I, N, 2) in pixels of the image; NaN where there is no point. Points may be off the image.
        edges: Pairs of node indices to join.
        colors: RGB colours, one an instance or one a node by `style.color_by`; repeated when too few. Give
            the colours of tracks here to keep them over time. None takes the palette.
        scores: (I,) numbers written beside the instances.
        names: Text written beside the instances, before the score.
        style: How to draw.

    Returns:
        RGB uint8, `style.upscale` times as large as the image.
    """
    canvas = upscale(image, style.upscale)
    placed = np.asarray(points, np.float64) * style.upscale + (style.upscale - 1) / 2
    palette = PALETTE if colors is None or len(colors) == 0 else colors
    radius = _point_radius(canvas) if style.size is None else style.size
    for index, pose in enumerate(placed):
        numbers = range(len(pose)) if style.color_by == "node" else [index] * len(pose)
        shades = [palette[number % len(palette)] for number in numbers]
        _draw_edges(canvas, pose, edges, shades, radius * (0.35 if style.hollow else 0.6))
        _draw_points(canvas, pose, shades, radius, style.hollow)
        _draw_text_beside(canvas, pose, _caption(index, names, scores), palette[index % len(palette)])
    return canvas


def draw_comparison(
    image: np.ndarray,
    truth: np.ndarray,
    predictions: np.ndarray,
    edges: Sequence[tuple[int, int]] = (),
    upscaling: int = 1,
) -> np.ndarray:
    """Draw the truth (I, N, 2) hollow and predictions (J, N, 2) filled on one image, nodes by colour."""
    base = upscale(image, upscaling)
    shift = (upscaling - 1) / 2
    found = np.asarray(predictions, np.float64) * upscaling + shift
    known = np.asarray(truth, np.float64) * upscaling + shift
    filled = draw_instances(base, found, edges, style=DrawStyle(color_by="node"))
    ring = 1.7 * _point_radius(base)
    return draw_instances(filled, known, style=DrawStyle(color_by="node", hollow=True, size=ring))


def draw_confidence_maps(
    image: np.ndarray,
    maps: np.ndarray,
    output_stride: float,
    colors: Sequence[Color] = PALETTE,
    opacity: float = 0.7,
) -> np.ndarray:
    """Lay confidence maps over an image, each in its own colour.

    Args:
        image: (height, width[, channels]) uint8; the network's input, or a frame of the same pixels.
        maps: (C, h, w); values are clipped to 0-1 and NaN counts as 0.
        output_stride: Map cell j lies at pixel j * output_stride of the image.
        colors: RGB colour of each map, repeated when too few.
        opacity: Opacity of a map at its maximum value 1.

    Returns:
        RGB uint8 of the image's size.
    """
    base = to_rgb(image).astype(np.float32)
    size = (base.shape[1], base.shape[0])
    grid = np.array([[1 / output_stride, 0, 0], [0, 1 / output_stride, 0]])
    total, tint = np.zeros(base.shape[:2], np.float32), np.zeros_like(base)
    peak = np.zeros_like(total)
    for index, cells in enumerate(np.clip(np.nan_to_num(maps), 0, 1).astype(np.float32)):
        value = cv2.warpAffine(cells, grid, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        tint += value[..., None] * np.array(colors[index % len(colors)], np.float32)
        total, peak = total + value, np.maximum(peak, value)
    tint /= np.maximum(total, 1e-6)[..., None]
    cover = opacity * peak[..., None]
    return np.rint(base * (1 - cover) + tint * cover).astype(np.uint8)


def contact_sheet(
    images: Sequence[np.ndarray], columns: int = 4, captions: Sequence[str] | None = None, gap: int = 6
) -> np.ndarray:
    """Arrange images in rows on a dark ground, each cell as large as the largest image.

    Args:
        images: Gray or RGB uint8 images of any sizes.
        columns: Images in a row.
        captions: One line of text under each image, shortened to fit.
        gap: Pixels between cells.

    Raises:
        DataError: If there are no images, no columns, or fewer or more captions than images.
    """
    if not images or columns < 1:
        raise DataError(f"A contact sheet needs images and columns; got {len(images)} and {columns}.")
    if captions is not None and len(captions) != len(images):
        raise DataError(f"A contact sheet needs one caption an image; got {len(captions)} for {len(images)}.")
    cells = [to_rgb(image) for image in images]
    height, width = max(cell.shape[0] for cell in cells), max(cell.shape[1] for cell in cells)
    strip = 0 if captions is None else 20
    columns = min(columns, len(cells))
    rows = -(-len(cells) // columns)
    step = (height + strip + gap, width + gap)
    sheet = np.full((rows * step[0] + gap, columns * step[1] + gap, 3), 30, np.uint8)
    for index, cell in enumerate(cells):
        top, left = gap + (index // columns) * step[0], gap + (index % columns) * step[1]
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
        if captions is not None:
            text = _shorten(captions[index], width)
            place = (left + 2, top + height + 14)
            cv2.putText(sheet, text, place, _FONT, 0.42, (235, 235, 235), 1, cv2.LINE_AA)
    return sheet


def to_rgb(image: np.ndarray) -> np.ndarray:
    """Return a new RGB uint8 image (height, width, 3) from a gray or RGB one.

    Raises:
        DataError: If the image is not uint8 with 1 or 3 channels.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise DataError(f"An image to draw on is uint8 (height, width[, 1 or 3]); got {image.dtype} {image.shape}.")
    if image.ndim == 3 and image.shape[2] == 3:
        return np.array(image, order="C")
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_GRAY2RGB)


def upscale(image: np.ndarray, factor: int) -> np.ndarray:
    """Return the image as RGB, enlarged by a whole factor; x moves to factor * x + (factor - 1) / 2."""
    rgb = to_rgb(image)
    if factor == 1:
        return rgb
    return cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def save_png(path: str | Path, image: np.ndarray) -> None:
    """Write an image as PNG; readers never see half a file.

    Raises:
        OutputError: If the file cannot be written.
    """
    path = Path(path)
    _, encoded = cv2.imencode(".png", to_rgb(image)[..., ::-1])
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(encoded.tobytes())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"The image {path} cannot be written ({error.strerror}); check the folder.") from error


def write_overlay_video(path: str | Path, frames: Iterable[np.ndarray], fps: float, upscaling: int = 1) -> int:
    """Write drawn frames as H.264 video (yuv420p, MP4) while they are made; the file appears when complete.

    Odd sizes grow by one repeated row or column, because the format needs even ones.

    Args:
        path: File to write.
        frames: Gray or RGB uint8 images of one size.
        fps: Frames per second.
        upscaling: Whole factor by which frames are enlarged.

    Returns:
        The number of frames written.

    Raises:
        DataError: If there are no frames or their sizes differ.
        OutputError: If the file cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        count = _encode(partial, (_even(upscale(frame, upscaling)) for frame in frames), fps)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _encode(path: Path, frames: Iterator[np.ndarray], fps: float) -> int:
    """Write RGB frames of one even size to a new MP4 file and return their number."""
    first = next(frames, None)
    if first is None:
        raise DataError("A video needs at least one frame, but there are none to draw.")
    with _open_container(path) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width, stream.pix_fmt = *first.shape[:2], "yuv420p"
        stream.options = {"crf": "18", "preset": "veryfast"}
        count = 0
        for frame in chain([first], frames):
            if frame.shape != first.shape:
                raise DataError(f"Frames of a video have one size; frame {count} is {frame.shape}, not {first.shape}.")
            _write(container, stream, av.VideoFrame.from_ndarray(frame, format="rgb24"))
            count += 1
        _write(container, stream, None)
    return count


def _open_container(path: Path) -> OutputContainer:
    try:
        return av.open(str(path), "w", format="mp4")
    except OSError as error:
        raise OutputError(f"The video {path.name} cannot be written in {path.parent}: {error.strerror}.") from error


def _write(container: OutputContainer, stream: VideoStream, frame: av.VideoFrame | None) -> None:
    """Encode one frame, or flush the encoder when there is none."""
    try:
        container.mux(stream.encode(frame))
    except (OSError, FFmpegError) as error:
        raise OutputError(f"A video frame cannot be written ({error}); check the free space.") from error


def _even(image: np.ndarray) -> np.ndarray:
    """Repeat the last row or column where the height or width is odd."""
    return np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge")


def _point_radius(image: np.ndarray) -> float:
    """Return the radius of points in pixels for an image of this size."""
    return float(np.clip(0.0065 * np.sqrt(image.shape[0] * image.shape[1]), 1.5, 9.0))


def _is_drawable(point: np.ndarray) -> bool:
    """Return whether a point is finite and near enough for OpenCV's fixed-point coordinates."""
    return bool(np.isfinite(point).all() and (np.abs(point) < _FARTHEST).all())


def _fixed(point: np.ndarray) -> tuple[int, int]:
    x, y = np.rint(point * (1 << _FIXED_POINT_BITS)).astype(int).tolist()
    return x, y


def _draw_edges(
    canvas: np.ndarray, pose: np.ndarray, edges: Sequence[tuple[int, int]], shades: list[Color], width: float
) -> None:
    """Join nodes in the colour of the edge's destination, on the canvas given."""
    thickness = max(1, round(width))
    for source, destination in edges:
        if _is_drawable(pose[source]) and _is_drawable(pose[destination]):
            ends = _fixed(pose[source]), _fixed(pose[destination])
            cv2.line(canvas, *ends, shades[destination], thickness, cv2.LINE_AA, _FIXED_POINT_BITS)


def _draw_points(canvas: np.ndarray, pose: np.ndarray, shades: list[Color], radius: float, hollow: bool) -> None:
    """Draw rings or dark-rimmed discs, on the canvas given."""
    unit = 1 << _FIXED_POINT_BITS
    rim = max(1, round(0.3 * radius))
    for point, color in zip(pose, shades, strict=True):
        if not _is_drawable(point):
            continue
        center = _fixed(point)
        discs = [(radius, color, rim)] if hollow else [(radius + 0.7 * rim, _DARK, -1), (radius, color, -1)]
        for extent, ink, thickness in discs:
            cv2.circle(canvas, center, round(extent * unit), ink, thickness, cv2.LINE_AA, _FIXED_POINT_BITS)


def _caption(index: int, names: Sequence[str] | None, scores: np.ndarray | None) -> str:
    name = "" if names is None else names[index]
    score = "" if scores is None else f"{scores[index]:.2f}"
    return f"{name} {score}".strip()


def _draw_text_beside(canvas: np.ndarray, pose: np.ndarray, text: str, color: Color) -> None:
    """Write text above an instance, within the image, on the canvas given."""
    known = np.array([point for point in pose if _is_drawable(point)])
    if not text or len(known) == 0:
        return
    scale = float(np.clip(0.12 * _point_radius(canvas), 0.32, 1.0))
    (width, height), _ = cv2.getTextSize(text, _FONT, scale, 1)
    corner = known.mean(axis=0)[0] - width / 2, known.min(axis=0)[1] - 2 * height * 0.6
    x = int(np.clip(corner[0], 0, max(0, canvas.shape[1] - width)))
    y = int(np.clip(corner[1], height + 1, max(height + 1, canvas.shape[0] - 3)))
    for right, down, ink in ((-1, 0, _DARK), (1, 0, _DARK), (0, -1, _DARK), (0, 1, _DARK), (0, 0, color)):
        cv2.putText(canvas, text, (x + right, y + down), _FONT, scale, ink, 1, cv2.LINE_AA)


def _shorten(text: str, width: int) -> str:
    """Cut a caption to what fits a width in pixels, at 8 pixels a letter."""
    limit = max(1, width // 8)
    return text if len(text) <= limit else text[: limit - 2] + ".."
