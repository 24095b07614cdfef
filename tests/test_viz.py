from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from sleap_nn import viz
from sleap_nn.errors import DataError, OutputError

EDGES = [(0, 1)]
RED = (255, 0, 0)


def test_a_jpeg_has_the_colours_of_the_image():
    image = np.full((30, 40, 3), RED, np.uint8)
    decoded = cv2.imdecode(np.frombuffer(viz.jpeg_bytes(image), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (30, 40, 3)
    assert np.abs(decoded.astype(int)[..., ::-1] - image).max() < 4
    assert len(viz.jpeg_bytes(image, quality=5)) <= len(viz.jpeg_bytes(image, quality=95))


def gray(height: int = 60, width: int = 80, value: int = 100) -> np.ndarray:
    return np.full((height, width, 1), value, np.uint8)


def pose(*points: tuple[float, float]) -> np.ndarray:
    return np.array([points], np.float32)


@pytest.mark.parametrize("shape", [(60, 80), (60, 80, 1), (60, 80, 3)])
def test_instances_are_drawn_on_a_copy(shape: tuple[int, ...]):
    image = np.full(shape, 100, np.uint8)
    drawn = viz.draw_instances(image, pose((20, 30), (60, 30)), EDGES, colors=[RED])
    assert (drawn.shape, drawn.dtype) == ((60, 80, 3), np.uint8)
    assert (image == 100).all()
    assert drawn[30, 20].tolist() == list(RED)
    assert drawn[30, 40, 0] > 200
    assert drawn[50, 40].tolist() == [100, 100, 100]


@pytest.mark.parametrize("missing", [(np.nan, np.nan), (np.inf, 3.0), (1e9, 5.0)])
def test_missing_points_and_their_edges_are_left_out(missing: tuple[float, float]):
    drawn = viz.draw_instances(gray(), pose((20, 30), missing), EDGES, names=["a"])
    without_edge = viz.draw_instances(gray(), pose((20, 30), (np.nan, np.nan)), names=["a"])
    np.testing.assert_array_equal(drawn, without_edge)
    nothing = viz.draw_instances(gray(), np.full((2, 3, 2), np.nan), EDGES, names=["a", "b"])
    assert (nothing == 100).all()
    assert (viz.draw_instances(gray(), np.zeros((0, 3, 2)), EDGES) == 100).all()


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_points_stay_on_their_pixels_when_enlarged(factor: int):
    place = np.array([31.25, 20.5])
    style = viz.DrawStyle(upscale=factor, size=4.0)
    drawn = viz.draw_instances(gray(value=0), place.reshape(1, 1, 2), colors=[(255, 255, 255)], style=style)
    mask = drawn[..., 0].astype(float)
    rows, columns = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]]
    center = np.array([(columns * mask).sum(), (rows * mask).sum()]) / mask.sum()
    np.testing.assert_allclose(center, factor * place + (factor - 1) / 2, atol=0.1)


def test_an_enlarged_bright_pixel_lies_under_its_enlarged_point():
    image = gray(20, 20, 0)
    image[8, 5] = 255
    enlarged = viz.upscale(image, 4)[..., 0].astype(float)
    rows, columns = np.mgrid[0:80, 0:80]
    center = np.array([(columns * enlarged).sum(), (rows * enlarged).sum()]) / enlarged.sum()
    np.testing.assert_allclose(center, (4 * 5 + 1.5, 4 * 8 + 1.5), atol=0.05)


def test_hollow_points_show_what_they_surround():
    style = viz.DrawStyle(hollow=True, size=6)
    drawn = viz.draw_instances(gray(), pose((40, 30)), colors=[RED], style=style)
    assert drawn[30, 40].tolist() == [100, 100, 100]
    assert drawn[30, 46, 0] > 180


def test_colours_follow_instances_or_nodes():
    points = np.array([[[10, 10], [30, 10]], [[10, 40], [30, 40]]], np.float32)
    by_instance = viz.draw_instances(gray(), points)
    by_node = viz.draw_instances(gray(), points, style=viz.DrawStyle(color_by="node"))
    first, second = (list(color) for color in viz.PALETTE[:2])
    assert [by_instance[y, x].tolist() for x, y in ((10, 10), (30, 10), (10, 40))] == [first, first, second]
    assert [by_node[y, x].tolist() for x, y in ((10, 10), (30, 10), (10, 40))] == [first, second, first]


def test_names_and_scores_are_written_inside_the_image():
    points = pose((2, 2), (4, 3))
    plain = viz.draw_instances(gray(), points)
    named = viz.draw_instances(gray(), points, names=["mouse"])
    scored = viz.draw_instances(gray(), points, scores=np.array([0.5]))
    for written in (named, scored):
        assert (written != plain).any(axis=2).sum() > 20


def test_comparison_shows_both():
    truth, found = pose((20, 20)), pose((60, 40))
    drawn = viz.draw_comparison(gray(), truth, found, upscaling=2)
    assert drawn.shape == (120, 160, 3)
    assert drawn[80, 120].tolist() == list(viz.PALETTE[0])
    assert drawn[40, 40].tolist() == [100, 100, 100]
    assert (drawn[30:52, 30:52] != 100).any()


def test_confidence_maps_lie_at_their_stride():
    maps = np.zeros((2, 15, 20), np.float32)
    maps[0, 5, 10] = 1
    maps[1, 12, 3] = 2
    drawn = viz.draw_confidence_maps(gray(), maps, output_stride=4, colors=[RED, (0, 0, 255)], opacity=1.0)
    assert drawn[20, 40].tolist() == [255, 0, 0]
    assert drawn[48, 12].tolist() == [0, 0, 255]
    assert drawn[20, 42].tolist() == pytest.approx([178, 50, 50], abs=1)
    assert drawn[20, 44].tolist() == [100, 100, 100]


def test_nan_and_empty_maps_leave_the_image():
    for maps in (np.full((1, 15, 20), np.nan), np.zeros((0, 15, 20)), np.zeros((3, 15, 20))):
        assert (viz.draw_confidence_maps(gray(), maps, 4) == 100).all()


def test_contact_sheet_places_images_of_any_size():
    sheet = viz.contact_sheet([gray(10, 20, 50), gray(16, 12, 150), gray(4, 4, 250)], columns=2, gap=2)
    assert sheet.shape == (2 + 2 * 18, 2 + 2 * 22, 3)
    assert sheet[2, 2, 0] == 50
    assert sheet[2, 24, 0] == 150
    assert sheet[20, 2, 0] == 250


def test_contact_sheet_writes_captions():
    images = [gray(30, 60), gray(30, 60)]
    plain = viz.contact_sheet(images, columns=1)
    captioned = viz.contact_sheet(images, columns=1, captions=["a", "a caption longer than its image"])
    assert captioned.shape[0] == plain.shape[0] + 40
    assert captioned[-24:].max() > 150


@pytest.mark.parametrize(("images", "columns", "captions"), [(0, 2, None), (2, 0, None), (2, 2, ["one"])])
def test_contact_sheets_that_cannot_be_made(images: int, columns: int, captions: list[str] | None):
    with pytest.raises(DataError):
        viz.contact_sheet([gray()] * images, columns, captions)


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8)])
def test_other_images_are_refused(image: np.ndarray):
    with pytest.raises(DataError, match="uint8"):
        viz.to_rgb(image)


def test_png_round_trip(tmp_path: Path):
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    viz.save_png(tmp_path / "a.png", image)
    stored = cv2.imdecode(np.fromfile(tmp_path / "a.png", np.uint8), cv2.IMREAD_COLOR)
    assert stored is not None
    np.testing.assert_array_equal(stored[..., ::-1], image)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    with pytest.raises(OutputError, match="cannot be written"):
        viz.save_png(tmp_path / "missing" / "a.png", image)


def decode(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        assert container.streams.video[0].pix_fmt == "yuv420p"
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_video_has_all_frames_in_the_right_colours(tmp_path: Path):
    colors = [(200, 40, 40), (40, 200, 40), (40, 40, 200)]
    frames = (np.full((33, 47, 3), colors[t % 3], np.uint8) for t in range(7))
    assert viz.write_overlay_video(tmp_path / "a.mp4", frames, fps=29.97) == 7
    decoded = decode(tmp_path / "a.mp4")
    assert len(decoded) == 7
    assert decoded[0].shape == (34, 48, 3)
    for t, frame in enumerate(decoded):
        np.testing.assert_allclose(frame[10, 10], colors[t % 3], atol=8)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_gray_video_is_enlarged(tmp_path: Path):
    viz.write_overlay_video(tmp_path / "a.mp4", [gray(20, 30, 77)] * 3, fps=10, upscaling=3)
    decoded = decode(tmp_path / "a.mp4")
    assert decoded[2].shape == (60, 90, 3)
    np.testing.assert_allclose(decoded[2], 77, atol=3)


def failing() -> Iterator[np.ndarray]:
    yield gray()
    raise KeyError("from the caller")


@pytest.mark.parametrize(
    ("frames", "error"),
    [([], DataError), ([gray(), gray(20, 20)], DataError), (failing(), KeyError)],
)
def test_a_failed_video_leaves_the_old_one(tmp_path: Path, frames: list[np.ndarray], error: type[Exception]):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    with pytest.raises(error):
        viz.write_overlay_video(path, frames, fps=10)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_video_in_a_missing_folder(tmp_path: Path):
    with pytest.raises(OutputError, match="cannot be written"):
        viz.write_overlay_video(tmp_path / "missing" / "a.mp4", [gray()], fps=10)


def edge_field(direction: tuple[float, float], height: int = 15, width: int = 20) -> np.ndarray:
    """Return the field of one edge that fills the middle of the map."""
    field = np.zeros((2, height, width), np.float32)
    field[0, 5:10, 5:15], field[1, 5:10, 5:15] = direction
    return field


@pytest.mark.parametrize(
    ("direction", "color"),
    [((1, 0), (255, 0, 0)), ((0, 1), (128, 255, 0)), ((-1, 0), (0, 255, 255)), ((0, -1), (128, 0, 255))],
)
def test_the_hue_of_a_field_is_its_direction(direction: tuple[float, float], color: tuple[int, int, int]):
    drawn = viz.draw_fields(gray(), edge_field(direction), 4, opacity=1.0).astype(int)
    inside = drawn[22:35, 22:55].reshape(-1, 3)
    assert (np.abs(inside - color).max(axis=1) <= 2).mean() > 0.25
    others = [(255, 0, 0), (128, 255, 0), (0, 255, 255), (128, 0, 255)]
    assert not any((np.abs(inside - other).max(axis=1) <= 40).any() for other in others if other != color)
    assert (drawn[:10] == 100).all()


def test_arrows_point_along_the_field():
    """The tips are wider than the tails, so that the white lies ahead of the middle of each arrow."""
    for x, y in [(1, 0), (-1, 0), (0, 1), (0, -1)]:
        field = edge_field((x, y)) * 0
        field[0], field[1] = x, y
        drawn = viz.draw_fields(gray(13, 13), field[:, :4, :4], 4)
        white = (drawn.min(axis=2) > 200).astype(float)
        rows, columns = np.nonzero(white)
        assert (columns.mean() - 6) * x + (rows.mean() - 6) * y > 0.3


def test_the_longest_of_overlapping_fields_is_shown():
    fields = np.concatenate([edge_field((0.4, 0)), edge_field((-0.9, 0)), np.full((2, 15, 20), np.nan)])
    drawn = viz.draw_fields(gray(), fields, 4, opacity=1.0)
    only = viz.draw_fields(gray(), edge_field((-0.9, 0)), 4, opacity=1.0)
    np.testing.assert_array_equal(drawn, only)


def test_the_opacity_of_a_field_is_its_length():
    faint = viz.draw_fields(gray(value=0), edge_field((0.2, 0)), 4, opacity=1.0)
    assert faint[30, 40].tolist() == [51, 0, 0]
    long = viz.draw_fields(gray(value=0), edge_field((30, 0)), 4, opacity=0.5)
    assert (long.reshape(-1, 3).max(axis=0) >= (128, 0, 0)).all()


def test_no_fields_leave_the_image():
    for fields in (np.zeros((0, 15, 20)), np.zeros((4, 15, 20))):
        assert (viz.draw_fields(gray(), fields, 4) == 100).all()


def test_class_maps_have_the_colours_of_their_names():
    maps = np.zeros((2, 15, 20), np.float32)
    maps[0, 12, 5] = maps[1, 12, 15] = 1
    plain = viz.draw_class_maps(gray(), maps, 4, colors=[RED, (0, 0, 255)])
    assert plain[48, 20, 0] > plain[48, 20, 2]
    assert plain[48, 60, 2] > plain[48, 60, 0]
    assert (plain[:40] == 100).all()
    named = viz.draw_class_maps(gray(), maps, 4, ["HH", "HH"], [RED, (0, 0, 255)])
    excess = named[..., 0].astype(int) - named[..., 2]
    assert (excess[:18].max(), excess[:18].min()) > (200, -10)
    assert excess[22:38].min() < -200
    np.testing.assert_array_equal(named[42:], plain[42:])


@pytest.mark.parametrize("factor", [2, 3])
def test_maps_stay_on_their_pixels_when_enlarged(factor: int):
    maps = np.zeros((1, 15, 20), np.float32)
    maps[0, 7, 9] = 1
    drawn = viz.draw_confidence_maps(gray(value=0), maps, 4, [(255, 255, 255)], 1.0, upscaling=factor)
    assert drawn.shape == (60 * factor, 80 * factor, 3)
    light = drawn[..., 0].astype(float)
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]]
    center = np.array([(columns * light).sum(), (rows * light).sum()]) / light.sum()
    np.testing.assert_allclose(center, factor * np.array([36, 28]) + (factor - 1) / 2, atol=0.05)


def test_images_are_shrunk_by_averaging():
    image = gray(7, 9, 10)
    image[:2, :2] = [[[0], [20]], [[20], [40]]]
    small = viz.downscale(image, 2)
    assert small.shape == (4, 5, 3)
    assert viz.downscale(image, 1).shape == (7, 9, 3)
    assert abs(int(viz.downscale(image[:6, :8], 2)[0, 0, 0]) - 20) <= 1


def test_lines_are_written_below_each_other():
    drawn = viz.write_lines(gray(), ["one", "two"], [RED, (0, 255, 0)])
    reds, greens = ((drawn == color).all(axis=2).nonzero()[0] for color in (RED, (0, 255, 0)))
    assert 0 < reds.mean() < greens.mean() < 40
    assert (viz.write_lines(gray(), []) == 100).all()
