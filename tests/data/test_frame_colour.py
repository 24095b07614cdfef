import av
import numpy as np
import pytest

from sleap_nn.data import frame_colour
from sleap_nn.data.frame_colour import to_grey, to_rgb

LUMA_FIRST = sorted(frame_colour._LUMA_FIRST)
SIZES = [(64, 96), (63, 95), (33, 50), (12, 20)]


def picture(name: str, size: tuple[int, int], chroma: int = 128, color_range: int = 0) -> av.VideoFrame:
    """A frame of random luma and one value of chroma."""
    height, width = size
    frame = av.VideoFrame(width, height, name)
    frame.color_range = color_range
    luma = np.random.default_rng(0).integers(0, 256, frame.planes[0].buffer_size, dtype=np.uint8)
    frame.planes[0].update(luma.tobytes())
    for plane in frame.planes[1:]:
        plane.update(bytes([chroma]) * plane.buffer_size)
    return frame


@pytest.mark.parametrize("color_range", [0, 1, 2])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", LUMA_FIRST)
def test_grey_levels_are_those_of_the_conversion_to_rgb(
    name: str, size: tuple[int, int], color_range: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = picture(name, size, color_range=color_range)
    expected = to_rgb(frame)
    assert expected.shape == (*size, 3)
    assert (expected == expected[..., :1]).all()
    grey = to_grey(frame)
    assert grey.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(grey, expected[..., :1])
    if frame_colour._levels(frame) is not None:  # the table alone gives them
        monkeypatch.setattr(frame_colour, "to_rgb", lambda frame: pytest.fail("converted"))
        np.testing.assert_array_equal(to_grey(frame), grey)


def test_usual_frames_have_a_table() -> None:
    assert all(frame_colour._levels(picture(name, (64, 96))) is not None for name in ("yuv420p", "yuv444p", "gray"))


def test_a_picture_smaller_than_the_table_is_converted() -> None:
    frame = picture("yuv420p", (12, 20))
    assert frame_colour._levels(frame) is None
    np.testing.assert_array_equal(to_grey(frame), to_rgb(frame)[..., :1])


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "rgb24", "nv12", "yuv420p10le"])
def test_colour_and_other_formats_are_converted(name: str) -> None:
    frame = picture(name, (64, 96), chroma=90)
    rgb = to_rgb(frame)
    assert (rgb[..., 0] != rgb[..., 2]).any()
    np.testing.assert_array_equal(to_grey(frame), rgb[..., :1])


def test_one_coloured_spot_is_enough_to_convert() -> None:
    frame = picture("yuv420p", (64, 96))
    values = np.full(frame.planes[2].buffer_size, 128, np.uint8)
    values[frame.planes[2].line_size * 3 + 5] = 200
    frame.planes[2].update(values.tobytes())
    rgb = to_rgb(frame)
    assert (rgb[..., 0] != rgb[..., 1]).any()
    np.testing.assert_array_equal(to_grey(frame), rgb[..., :1])
