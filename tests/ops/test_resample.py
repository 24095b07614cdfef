import numpy as np
import pytest

from sleap_nn.ops import resample
from sleap_nn.structures.transform import Transform


def test_luma_and_repetition() -> None:
    red = np.zeros((2, 3, 3), np.uint8)
    red[..., 0] = 200
    grey = resample.to_channels(red, 1)
    assert grey.shape == (2, 3, 1)
    assert grey[0, 0, 0] == round(0.299 * 200)
    assert np.array_equal(resample.to_channels(grey, 3), np.repeat(grey, 3, axis=2))
    with pytest.raises(ValueError, match="2 channels"):
        resample.to_channels(np.zeros((2, 2, 2), np.uint8), 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_plain_copy_and_a_plain_resize_do_not_blur(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, channels), dtype=np.uint8)
    copied = resample.warp(image, Transform.identity(), 32, 32)
    assert np.array_equal(copied[:20, :30], image)
    assert not copied[20:].any()
    assert not copied[:, 30:].any()
    half = resample.warp(image, resample.resize_map((20, 30), (10, 15)), 10, 15)
    assert np.array_equal(half, resample.resize(image, 10, 15))


def test_shrinking_averages_every_source_pixel() -> None:
    checkers = ((np.indices((64, 64)).sum(axis=0) % 2) * 255).astype(np.uint8)[..., None]
    small = resample.warp(checkers, resample.resize_map((64, 64), (16, 16)), 16, 16)
    assert small[2:-2, 2:-2].min() > 100
    assert small[2:-2, 2:-2].max() < 155


@pytest.mark.parametrize(
    "pixels",
    [
        Transform.rotation(30).about((31.5, 23.5)),
        Transform.scaling(-1, 1).about((31.5, 23.5)),
        Transform.translation(3.5, -2.25),
        resample.resize_map((48, 64), (24, 32)).then(Transform.rotation(-70).about((15.5, 11.5))),
        resample.resize_map((48, 64), (72, 96)),
    ],
)
def test_a_spot_lands_where_the_map_sends_it(pixels: Transform) -> None:
    y, x = np.mgrid[:48, :64]
    spot = np.array([30.0, 21.0])
    image = (255 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / 18)).astype(np.uint8)[..., None]
    warped = resample.warp(image, pixels, 96, 96).astype(float)[..., 0]
    rows, columns = np.mgrid[:96, :96]
    centre = np.array([(warped * columns).sum(), (warped * rows).sum()]) / warped.sum()
    assert np.abs(centre - pixels(spot)).max() < 0.06


def test_a_uint8_image_outside_is_black() -> None:
    image = np.full((10, 10, 1), 255, np.uint8)
    warped = resample.warp(image, Transform.translation(5, 0), 10, 10)
    assert not warped[:, :5].any()
    assert (warped[:, 5:] == 255).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize(
    "pixels",
    [
        Transform.identity(),
        Transform.scaling(0.5),
        resample.resize_map((37, 53), (15, 22)),
        resample.resize_map((37, 53), (60, 70)),
        Transform.rotation(20).about((10, 12)).then(Transform.scaling(0.7)),
    ],
)
def test_images_that_are_warped_together_are_warped_as_each_alone(pixels: Transform, count: int, channels: int) -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (count, 37, 53, channels), dtype=np.uint8))
    together = resample.warp_together(images, pixels, 32, 40)
    assert len(together) == count
    for image, warped in zip(images, together, strict=True):
        np.testing.assert_array_equal(warped, resample.warp(image, pixels, 32, 40))
        assert warped.flags["C_CONTIGUOUS"]
