import cv2
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


@pytest.mark.parametrize("degrees", [0, 13, 45])
@pytest.mark.parametrize("zoom", [0.9, 0.8, 0.79, 0.6, 0.45])
def test_shrinking_shows_the_mean_of_what_a_pixel_covers(zoom: float, degrees: float) -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (320, 320), dtype=np.uint8)
    image = cv2.normalize(cv2.GaussianBlur(drawn, (0, 0), 1.5), None, 0, 255, cv2.NORM_MINMAX)[..., None]
    pixels = Transform.scaling(zoom).then(Transform.rotation(degrees)).about((160.2, 159.9))
    pixels = pixels.then(Transform.translation(-110, -110))
    parts = 16
    finer = pixels.then(resample.resize_map((100, 100), (100 * parts, 100 * parts)))
    size = (100 * parts, 100 * parts)
    fine = cv2.warpAffine(image.astype(np.float32), finer.matrix, size, flags=cv2.INTER_LINEAR)
    expected = fine.reshape(100, parts, 100, parts).mean(axis=(1, 3))
    error = resample.warp(image, pixels, 100, 100)[..., 0] - expected
    assert np.sqrt((error**2).mean()) < 0.16 * expected.std()


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


@pytest.mark.parametrize("degrees", [0, 20, 135])
@pytest.mark.parametrize("shift", [(0, 0), (-200.5, -130), (300, 70)])
def test_each_colour_is_moved_as_a_grey_image_is(degrees: float, shift: tuple[float, float]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    pixels = Transform.scaling(0.95).then(Transform.rotation(degrees)).about((200, 150)).then(
        Transform.translation(*shift)
    )  # fmt: skip
    moved = resample.warp(image, pixels, 90, 110)
    assert moved.shape == (90, 110, 3)
    for channel in range(3):
        grey = resample.warp(np.ascontiguousarray(image[..., channel : channel + 1]), pixels, 90, 110)
        # a part is moved of colour, and the whole of grey: rounding may differ by a level
        assert np.abs(moved[..., channel].astype(int) - grey[..., 0]).max() <= 1
        assert (moved[..., channel] != grey[..., 0]).mean() < 0.01


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


@pytest.mark.parametrize("zoom", [0.3, 0.7, 1.0, 1.6])
@pytest.mark.parametrize("degrees", [0, 33, 180, 251])
@pytest.mark.parametrize("shift", [(0, 0), (-60, 25), (40.4, 70.7), (400, 400)])
def test_coverage_is_where_a_white_source_shows(zoom: float, degrees: float, shift: tuple[float, float]) -> None:
    pixels = Transform.scaling(zoom).then(Transform.rotation(degrees)).about((40, 50)).then(
        Transform.translation(*shift)
    )  # fmt: skip
    shown = resample.warp(np.full((90, 110, 1), 255, np.uint8), pixels, 64, 64)
    covered = resample.coverage((90, 110), pixels, 64, 64)
    if covered is None:
        assert (shown == 255).all()
        return
    assert covered.shape == (64, 64, 1)
    assert covered[shown > 64].all()
    # what is called covered without being so lies along the border
    near = cv2.dilate((shown > 0).astype(np.uint8), np.ones((3, 3)))[..., None] > 0
    assert near[covered].all()


def test_a_warp_reads_the_part_that_shows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 256, (600, 800, 1), dtype=np.uint8)
    image = cv2.GaussianBlur(image, None, 3)[..., None]
    pixels = Transform.rotation(30).then(Transform.scaling(0.5)).about((400, 300)).then(
        Transform.translation(-380, -290)
    )  # fmt: skip
    sizes: list[tuple[int, ...]] = []
    resize = resample.resize
    monkeypatch.setattr(resample, "resize_together", lambda images, *size: [
        (sizes.append(images[0].shape), resize(images[0], *size))[1]
    ])  # fmt: skip
    shown = resample.warp(image, pixels, 40, 48)
    assert len(sizes) == 1
    assert max(sizes[0]) < 180
    # the same as from the whole image, but for the phase of the resizing
    whole = resample.resize(image, 375, 500)
    rest = resample.resize_map((600, 800), (375, 500)).inverse().then(pixels)
    expected = cv2.warpAffine(whole, rest.matrix, (48, 40), flags=cv2.INTER_LINEAR)[..., None]
    difference = np.abs(shown.astype(int) - expected)
    assert difference.max() <= 6
    assert difference.mean() < 1


@pytest.mark.parametrize("shift", [(-1e6, 0), (0, 1e6), (1e6, 1e6)])
def test_what_lies_far_outside_is_black(shift: tuple[float, float]) -> None:
    pixels = Transform.rotation(10).then(Transform.scaling(0.5)).then(Transform.translation(*shift))
    image = np.full((50, 60, 3), 255, np.uint8)
    assert not resample.warp(image, pixels, 32, 32).any()
    covered = resample.coverage((50, 60), pixels, 32, 32)
    assert covered is not None
    assert not covered.any()


@pytest.mark.parametrize("channels", [1, 3])
def test_one_of_two_images_is_chosen_for_every_pixel(channels: int) -> None:
    rng = np.random.default_rng(0)
    image, other = rng.integers(0, 256, (2, 9, 13, channels), dtype=np.uint8)
    kept = other.copy()
    where = rng.random((9, 13, 1)) < 0.5
    chosen = resample.choose(where, image, other)
    np.testing.assert_array_equal(chosen, np.where(where, image, other))
    assert chosen.shape == image.shape
    np.testing.assert_array_equal(other, kept)
    assert resample.choose(None, image, other) is image
