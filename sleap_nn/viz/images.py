"""What all pictures need: colours, enlarging, writing on them, arranging them in a sheet, and PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from sleap_nn.errors import DataError, OutputError
from sleap_nn.whole_files import whole_file

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

_GOLDEN_SECTION = 0.6180339887
DARK: Color = (20, 20, 20)
FONT = cv2.FONT_HERSHEY_SIMPLEX


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
            cv2.putText(sheet, text, place, FONT, 0.42, (235, 235, 235), 1, cv2.LINE_AA)
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


def color_at(index: int) -> Color:
    """Return a colour for a number, always the same: the palette first, then hues that stay apart."""
    if index < len(PALETTE):
        return PALETTE[index]
    turn = (index - len(PALETTE)) * _GOLDEN_SECTION % 1
    hsv = np.array([[[round(turn * 179), 150, 245]]], np.uint8)
    red, green, blue = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue


def upscale(image: np.ndarray, factor: int) -> np.ndarray:
    """Return the image as RGB, enlarged by a whole factor; x moves to factor * x + (factor - 1) / 2."""
    rgb = to_rgb(image)
    if factor == 1:
        return rgb
    return cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def resize(image: np.ndarray, scale: float) -> np.ndarray:
    """Return the image as RGB, resized by any factor; x moves to s * x + (s - 1) / 2 with s the ratio of the widths."""
    rgb = to_rgb(image)
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    if size == (rgb.shape[1], rgb.shape[0]):
        return rgb
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the image as RGB, resized to fit into (height, width), with black on the right or below where it is short.

    One that has this size already is returned as it is.
    """
    if image.shape == (*size, 3):
        return image
    part = resize(image, min(size[0] / image.shape[0], size[1] / image.shape[1]))
    whole = np.zeros((*size, 3), np.uint8)
    whole[: part.shape[0], : part.shape[1]] = part
    return whole


def downscale(image: np.ndarray, divisor: int) -> np.ndarray:
    """Return the image as RGB, its sides divided by a whole number and rounded up; pixels are averaged."""
    rgb = to_rgb(image)
    if divisor == 1:
        return rgb
    size = (-(-rgb.shape[1] // divisor), -(-rgb.shape[0] // divisor))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


def write_lines(image: np.ndarray, lines: Sequence[str], colors: Sequence[Color] = PALETTE) -> np.ndarray:
    """Return the image as RGB with lines of text at its upper left, each in its own colour with a dark rim."""
    canvas = to_rgb(image)
    for number, line in enumerate(lines):
        rimmed_text(canvas, line, (4, 15 + 17 * number), colors[number % len(colors)], 0.48)
    return canvas


def rimmed_text(canvas: np.ndarray, text: str, place: tuple[int, int], color: Color, scale: float) -> None:
    """Write text with a dark rim, on the canvas given; `place` is its lower left corner."""
    x, y = place
    for right, down, ink in ((-1, 0, DARK), (1, 0, DARK), (0, -1, DARK), (0, 1, DARK), (0, 0, color)):
        cv2.putText(canvas, text, (x + right, y + down), FONT, scale, ink, 1, cv2.LINE_AA)


def save_png(path: str | Path, image: np.ndarray) -> None:
    """Write an image as PNG, whatever the name of the file; readers never see half a file.

    Raises:
        OutputError: If the file cannot be written.
    """
    _save(Path(path), image, ".png")


def save_image(path: str | Path, image: np.ndarray) -> None:
    """Write an image as JPEG if the name ends in ``.jpg``, else as PNG; readers never see half a file.

    Raises:
        OutputError: If the file cannot be written.
    """
    path = Path(path)
    _save(path, image, ".jpg" if path.suffix.lower() in (".jpg", ".jpeg") else ".png")


def _save(path: Path, image: np.ndarray, extension: str) -> None:
    """Encode an image and put it in place whole."""
    _, encoded = cv2.imencode(extension, to_rgb(image)[..., ::-1])
    try:
        with whole_file(path) as partial:
            partial.write_bytes(encoded.tobytes())
    except OSError as error:
        raise OutputError(f"The image {path} cannot be written ({error.strerror}); check the folder.") from error


def jpeg_bytes(image: np.ndarray, quality: int = 82) -> bytes:
    """Return an image as the content of a JPEG file; `quality` is 0 to 100."""
    _, encoded = cv2.imencode(".jpg", to_rgb(image)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()


def _shorten(text: str, width: int) -> str:
    """Cut a caption to what fits a width in pixels, at 8 pixels a letter."""
    limit = max(1, width // 8)
    return text if len(text) <= limit else text[: limit - 2] + ".."
