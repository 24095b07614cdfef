import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import make_image

from sleap_nn.config.data_config import AugmentationConfig, GeometricConfig, IntensityConfig
from sleap_nn.data.augment import Augmentation, Augmenter, blend, disk_kernel, motion_kernel
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Frame, FrameKey

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "augment_crop.json").read_text())
HEIGHT, WIDTH = GOLDEN["image_hw"]
POINTS = np.array(GOLDEN["points"], float)

STILL = GeometricConfig(rotation_p=None, scale_p=None, translate_p=None)
SHIFTING = {"translate_width": 0.1, "translate_height": 0.1}
ALL_INTENSITY = {
    "uniform_noise_p": 1, "gaussian_noise_p": 1, "contrast_p": 1, "brightness_p": 1, "motion_blur_p": 1, "defocus_p": 1,
}  # fmt: skip
MOVES = ("rotation", "scale", "translate")


def draw(config: AugmentationConfig | None, seed: int = 0) -> Augmentation:
    return Augmenter.from_config(config).draw(np.random.default_rng(seed))


def draws(num_draws: int = 300, **options: Any) -> list[Augmentation]:
    geometric = dataclasses.replace(STILL, **SHIFTING, **options)
    return [draw(AugmentationConfig(geometric=geometric), seed) for seed in range(num_draws)]


def moved(augmentation: Augmentation) -> tuple[bool, bool, bool]:
    return augmentation.degrees != 0, augmentation.zoom != 1, augmentation.shift != (0, 0)


def test_golden_flip() -> None:
    swapped = POINTS[[1, 0, 2]]
    mirrored = Augmentation(mirrored=True).transform(HEIGHT, WIDTH)(swapped)
    np.testing.assert_allclose(mirrored, np.array(GOLDEN["flip_sym_0_1"], float), atol=1e-9)


@pytest.mark.parametrize(
    ("name", "augmentation"),
    [
        ("rotate_30", Augmentation(degrees=30)),
        ("rotate_180", Augmentation(degrees=180)),
        ("scale_1.1", Augmentation(zoom=1.1)),
        ("rotate_30_scale_1.1", Augmentation(degrees=30, zoom=1.1)),
    ],
)
def test_golden_moves_about_the_middle_pixel(name: str, augmentation: Augmentation) -> None:
    """The golden points turn about (W/2, H/2); ours turn with the pixels, about ((W - 1)/2, (H - 1)/2)."""
    transform = augmentation.transform(HEIGHT, WIDTH)
    half = np.array([0.5, 0.5])
    golden_rule = transform(POINTS - half) + half
    np.testing.assert_allclose(golden_rule, np.array(GOLDEN[name], float), atol=2e-5)
    middle = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    np.testing.assert_allclose(transform(middle), middle)


def test_a_half_turn_swaps_the_corners() -> None:
    corner = Augmentation(degrees=180).transform(HEIGHT, WIDTH)(np.array([[0.0, 0.0], [10.0, 8.0]]))
    np.testing.assert_allclose(corner, [[31, 23], [21, 15]], atol=1e-9)


def test_the_shift_is_a_fraction_of_the_input_and_comes_before_the_turn() -> None:
    shifted = Augmentation(shift=(0.25, -0.5)).transform(HEIGHT, WIDTH)
    np.testing.assert_allclose(shifted(np.zeros(2)), [8, -12])
    turned = Augmentation(shift=(0.25, 0.0), degrees=90).transform(HEIGHT, WIDTH)
    middle = np.array([15.5, 11.5])
    np.testing.assert_allclose(turned(middle), [15.5, 19.5], atol=1e-9)


@pytest.mark.parametrize("name", ["contrast", "brightness"])
@pytest.mark.parametrize("channels", [1, 3])
def test_golden_intensity(name: str, channels: int) -> None:
    golden = GOLDEN[f"{name}_1.2"]
    levels = np.repeat(np.array(golden["in"], np.uint8)[None, :, None], channels, axis=2)
    factor: dict[str, Any] = {name: 1.2}
    changed = Augmentation(**factor).intensity(levels)
    assert changed.dtype == np.uint8
    assert np.array_equal(changed[0, :, channels - 1], golden["out"])
    assert levels[0, 1, 0] == 17


def test_contrast_comes_before_brightness() -> None:
    (((value,),),) = Augmentation(contrast=2.0, brightness=0.5).intensity(np.full((1, 1, 1), 100, np.uint8))
    assert value == int((100 - 127.5) * 2 + 127.5) // 2


def test_uniform_noise_is_added_within_its_range() -> None:
    grey = np.full((64, 64, 3), 100, np.uint8)
    changed = Augmentation(uniform_noise=(-5, 10)).intensity(grey).astype(int) - 100
    assert (changed.min(), changed.max()) == (-5, 10)
    assert not np.array_equal(changed[..., 0], changed[..., 1])
    white = Augmentation(uniform_noise=(0, 10)).intensity(np.full((8, 8, 1), 250, np.uint8))
    assert white.max() == 255
    assert white.min() >= 250


def test_gaussian_noise_has_its_mean_and_spread() -> None:
    grey = np.full((200, 200, 1), 100, np.uint8)
    changed = Augmentation(gaussian_noise=(8.0, 10.0)).intensity(grey).astype(float) - 100
    assert changed.mean() == pytest.approx(8, abs=0.5)
    assert changed.std() == pytest.approx(10, abs=0.5)


def test_the_noise_follows_from_its_seed() -> None:
    image = make_image()
    noisy = Augmentation(uniform_noise=(0, 20), gaussian_noise=(0.0, 5.0), noise_seed=4)
    assert np.array_equal(noisy.intensity(image), noisy.intensity(image))
    other = dataclasses.replace(noisy, noise_seed=5)
    assert not np.array_equal(noisy.intensity(image), other.intensity(image))


@pytest.mark.parametrize(("area", "ratio", "size"), [(0.1, 1.0, (10, 10)), (0.2, 2.0, (20, 10)), (1.0, 1.0, (25, 31))])
def test_one_box_is_erased(area: float, ratio: float, size: tuple[int, int]) -> None:
    image = np.full((25, 40, 3), 9, np.uint8)
    for x, y in [(0.0, 0.0), (0.4, 0.7), (0.999, 0.999)]:
        erased = Augmentation(erased=(area, ratio, x, y), erased_color=(200, 200, 200)).erase(image)
        rows, columns = np.nonzero((erased == 200).all(axis=2))
        height, width = (int(np.ptp(index)) + 1 for index in (rows, columns))
        assert (abs(height - size[0]) <= 1, abs(width - size[1]) <= 1) == (True, True)
        assert len(rows) == height * width
        assert (erased == 9).sum() == 3 * (25 * 40 - height * width)
    assert (image == 9).all()


def test_nothing_to_erase_and_nothing_to_change() -> None:
    image, nothing = make_image(), Augmentation()
    assert nothing.erase(image) is image
    assert np.array_equal(nothing.intensity(image), image)
    assert not nothing.changes_intensity
    assert Augmentation(uniform_noise=(0, 1)).changes_intensity
    assert Augmentation(gaussian_noise=(0, 1)).changes_intensity
    assert Augmentation(contrast=1.1).changes_intensity
    assert Augmentation(brightness=0.9).changes_intensity
    assert Augmentation(motion_blur=(5.0, 0.0)).changes_intensity
    assert Augmentation(defocus=1.0).changes_intensity


@pytest.mark.parametrize("config", [None, AugmentationConfig(), AugmentationConfig(IntensityConfig(), STILL)])
def test_probability_zero_changes_nothing(config: AugmentationConfig | None) -> None:
    for seed in range(20):
        assert vars(draw(config, seed)) | {"noise_seed": 0} == vars(Augmentation())


def test_probability_one_changes_everything() -> None:
    geometric = GeometricConfig(
        rotation_min=10, scale_min=1.05, scale_max=1.2, translate_p=1.0, flip_p=1, erase_p=1, mixup_p=1, **SHIFTING
    )
    for seed in range(20):
        augmentation = draw(AugmentationConfig(IntensityConfig(**ALL_INTENSITY), geometric), seed)
        assert augmentation.mirrored
        assert 10 <= augmentation.degrees <= 15
        assert 1.05 <= augmentation.zoom <= 1.2
        assert max(abs(part) for part in augmentation.shift) <= 0.1
        assert augmentation.uniform_noise == (0, 10)
        assert augmentation.gaussian_noise == pytest.approx((0, 5.1))
        assert 0.9 <= augmentation.contrast <= 1.1
        assert 0.9 <= augmentation.brightness <= 1.1
        assert augmentation.erased is not None
        area, ratio, x, y = augmentation.erased
        grey = augmentation.erased_color[0]
        assert 0.0001 <= area <= 0.01
        assert ratio == 1
        assert 0 <= x < 1
        assert 0 <= y < 1
        assert 0 <= grey <= 255
        assert augmentation.motion_blur is not None
        length, direction = augmentation.motion_blur
        assert 2 <= length <= 7
        assert 0 <= direction < 180
        assert 0.5 <= augmentation.defocus <= 2
        assert 0.01 <= augmentation.mixed <= 0.05
        assert 0 <= augmentation.partner < 1


@pytest.mark.parametrize("name", ["flip", *MOVES, "erase"])
def test_a_probability_is_how_often(name: str) -> None:
    options: dict[str, Any] = {f"{name}_p": 0.3}
    drawn = draws(**options)
    changed = np.array([[a.mirrored, *moved(a), a.erased is not None] for a in drawn])
    share = changed.mean(axis=0)
    own = ["flip", *MOVES, "erase"].index(name)
    assert share[own] == pytest.approx(0.3, abs=0.08)
    assert np.delete(share, own).max() == 0


def test_affine_p_draws_all_moves_together() -> None:
    drawn = np.array([moved(a) for a in draws(affine_p=0.4)])
    assert drawn[:, 0].mean() == pytest.approx(0.4, abs=0.09)
    assert (drawn == drawn[:, :1]).all()


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_affine_p_is_unused_beside_a_probability_of_a_move(name: str, probability: float) -> None:
    options: dict[str, Any] = {"affine_p": 1.0, f"{name}_p": probability}
    share = np.array([moved(a) for a in draws(20, **options)]).mean(axis=0)
    expected = np.zeros(3)
    expected[MOVES.index(name)] = probability
    assert share.tolist() == expected.tolist()


def test_the_generator_decides_alone() -> None:
    config = AugmentationConfig(IntensityConfig(**ALL_INTENSITY), GeometricConfig(flip_p=0.5, erase_p=0.5))
    assert vars(draw(config, 7)) == vars(draw(config, 7))
    assert len({draw(config, seed).degrees for seed in range(20)}) == 20
    assert len({draw(config, seed).noise_seed for seed in range(20)}) == 20


SEED_7 = {
    "mirrored": True, "degrees": -1.64771082, "zoom": 1.00090965, "shift": (0.01069947, 0.09910006),
    "uniform_noise": (0, 10), "gaussian_noise": (0.0, 5.1), "contrast": 1.07471069, "brightness": 0.90105306,
    "erased": (0.00794735, 1.0, 0.98896015, 0.2153087), "erased_color": (160, 216, 41), "noise_seed": 4058335883,
}  # fmt: skip
"""What seed 7 drew before blur and mixing existed."""


def test_new_effects_leave_the_draws_of_the_old_ones() -> None:
    geometric = GeometricConfig(translate_p=1.0, flip_p=1, erase_p=1, mixup_p=1, **SHIFTING)
    drawn = vars(draw(AugmentationConfig(IntensityConfig(**ALL_INTENSITY), geometric), 7))
    for name, value in SEED_7.items():
        assert drawn[name] == pytest.approx(value, abs=1e-6), name


BLURS = [
    *({"motion_blur": (length, direction)} for length in (1.6, 3.0, 8.5) for direction in (0.0, 33.0, 90.0, 135.0)),
    *({"defocus": radius} for radius in (0.8, 1.5, 4.0)),
    {"motion_blur": (6.0, 20.0), "defocus": 2.0},
]


def dot_moments(**blur: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the centroid (x, y) of a blurred bright dot at (20, 15), and the covariance of its light."""
    image = np.zeros((31, 41, 1), np.uint8)
    image[14:17, 19:22] = 250
    light = Augmentation(**blur).intensity(image)[..., 0].astype(float)
    assert light.sum() == pytest.approx(9 * 250, rel=0.02)
    rows, columns = np.mgrid[:31, :41]
    places = np.stack([columns.ravel(), rows.ravel()])
    weights = light.ravel() / light.sum()
    return places @ weights, np.cov(places, aweights=weights, ddof=0)


@pytest.mark.parametrize("blur", BLURS)
def test_blur_moves_no_point_and_spreads_it(blur: dict[str, Any]) -> None:
    centroid, covariance = dot_moments(**blur)
    np.testing.assert_allclose(centroid, (20, 15), atol=0.05)
    assert np.trace(covariance) > np.trace(dot_moments()[1]) + 0.02


@pytest.mark.parametrize("direction", [0.0, 30.0, 90.0, 120.0])
def test_motion_blur_is_a_streak_in_its_direction(direction: float) -> None:
    """A point that moves over t px has variance t^2 / 12 along its way."""
    kernel = motion_kernel(15.0, direction)
    half = len(kernel) // 2
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1]
    along = columns * np.cos(np.deg2rad(direction)) + rows * np.sin(np.deg2rad(direction))
    across = rows * np.cos(np.deg2rad(direction)) - columns * np.sin(np.deg2rad(direction))
    assert (kernel * along**2).sum() == pytest.approx(14**2 / 12, abs=1.5)
    assert (kernel * across**2).sum() < 0.4
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-7)


@pytest.mark.parametrize("radius", [2.0, 3.3, 6.0])
def test_defocus_is_a_disk(radius: float) -> None:
    """The second moment of an even disk is r^2 / 4 along each axis, that of a pixel 1 / 12."""
    kernel = disk_kernel(radius)
    half = len(kernel) // 2
    grid = np.arange(-half, half + 1)
    assert kernel.sum() == pytest.approx(1)
    assert (kernel * grid**2).sum() == pytest.approx(radius**2 / 4 + 1 / 12, rel=0.1)
    np.testing.assert_array_equal(kernel, kernel.T)
    np.testing.assert_array_equal(kernel, kernel[::-1])


@pytest.mark.parametrize(
    "blur",
    [{"motion_blur": (0.0, 30.0)}, {"motion_blur": (1.0, 77.0)}, {"defocus": 0.0}, {"defocus": 0.5}],
)
def test_the_smallest_blur_changes_nothing(blur: dict[str, Any]) -> None:
    image = make_image(channels=3)
    assert np.array_equal(Augmentation(**blur).intensity(image), image)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("blur", [{"motion_blur": (5.0, 40.0)}, {"defocus": 2.5}])
def test_blur_keeps_the_mean_and_lowers_the_contrast(blur: dict[str, Any], channels: int) -> None:
    image = make_image(120, 160, channels)
    original = image.copy()
    blurred = Augmentation(**blur).intensity(image)
    assert (blurred.shape, blurred.dtype) == (image.shape, np.uint8)
    assert np.abs(blurred.mean(axis=(0, 1)) - image.mean(axis=(0, 1))).max() < 1
    assert blurred.std() < 0.6 * image.std()
    assert np.array_equal(image, original)
    even = np.full((20, 30, channels), 77, np.uint8)
    assert np.array_equal(Augmentation(**blur).intensity(even), even)


def test_blur_comes_before_noise() -> None:
    even = np.full((40, 40, 1), 100, np.uint8)
    noise = Augmentation(gaussian_noise=(0.0, 10.0)).intensity(even)
    both = Augmentation(gaussian_noise=(0.0, 10.0), defocus=3.0).intensity(even)
    assert np.array_equal(noise, both)


def test_noise_is_spread_evenly_over_its_levels() -> None:
    changed = Augmentation(uniform_noise=(3, 12)).intensity(np.full((200, 200, 1), 50, np.uint8))
    levels, counts = np.unique(changed, return_counts=True)
    assert levels.tolist() == list(range(53, 63))
    assert counts / 40_000 == pytest.approx(np.full(10, 0.1), abs=0.01)


def test_gaussian_noise_is_truncated_to_whole_levels() -> None:
    """A normal number of deviation 1 becomes 0 with probability P(|z| < 1), 1 with P(1 <= z < 2)."""
    changed = Augmentation(gaussian_noise=(0.0, 1.0)).intensity(np.full((300, 300, 1), 100, np.uint8))
    shares = [(changed == 100 + level).mean() for level in (-1, 0, 1, 2)]
    assert shares == pytest.approx([0.1359, 0.6827, 0.1359, 0.0214], abs=0.006)


def test_noise_beyond_all_levels_is_clipped() -> None:
    grey = np.full((8, 8, 1), 100, np.uint8)
    assert (Augmentation(gaussian_noise=(1e6, 1.0)).intensity(grey) == 255).all()
    assert (Augmentation(gaussian_noise=(-1e6, 1.0)).intensity(grey) == 0).all()


@pytest.mark.parametrize("weight", [0.0, 0.04, 0.5, 0.77, 1.0])
@pytest.mark.parametrize("shape", [(1, 40, 60), (3, 17, 23), (40, 60, 3)])
def test_blend_is_the_rounded_weighted_mean(weight: float, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(1)
    first, second = (rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(2))
    mixed = blend(first, second, weight)
    exact = first * (1 - weight) + second * weight
    assert (mixed.shape, mixed.dtype) == (shape, np.uint8)
    assert np.abs(mixed - exact).max() <= 0.5 + 1e-4


def test_blend_ends_at_the_images_themselves() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert np.array_equal(blend(levels, 255 - levels, 0.0), levels)
    assert np.array_equal(blend(levels, 255 - levels, 1.0), 255 - levels)
    assert np.array_equal(blend(levels, levels, 0.3), levels)


def test_a_probability_is_how_often_an_image_is_mixed() -> None:
    drawn = draws(mixup_p=0.3, mixup_lambda_min=0.2, mixup_lambda_max=0.4)
    weights = np.array([a.mixed for a in drawn])
    mixed = weights[weights > 0]
    assert len(mixed) / len(drawn) == pytest.approx(0.3, abs=0.08)
    assert mixed.min() >= 0.2
    assert mixed.max() <= 0.4
    partners = np.array([a.partner for a in drawn if a.mixed > 0])
    assert np.histogram(partners, 4, (0, 1))[0].min() > 0.1 * len(partners)


@pytest.mark.parametrize("name", ["motion_blur", "defocus"])
def test_a_probability_is_how_often_an_image_is_blurred(name: str) -> None:
    options: dict[str, Any] = {f"{name}_p": 0.4}
    drawn = [draw(AugmentationConfig(IntensityConfig(**options)), seed) for seed in range(300)]
    shares = np.array([[a.motion_blur is not None, a.defocus > 0] for a in drawn]).mean(axis=0)
    own = ["motion_blur", "defocus"].index(name)
    assert shares[own] == pytest.approx(0.4, abs=0.09)
    assert shares[1 - own] == 0


def test_erasing_and_flipping_reach_the_pixels() -> None:
    image = make_image(16, 16)
    frame = Frame(FrameKey(0, 0), image)
    flipped, _ = InputSpec(1).read(frame, Region(), Augmentation(mirrored=True))
    assert np.array_equal(flipped[0], image[:, ::-1, 0])
    erased, _ = InputSpec(1).read(frame, Region(), Augmentation(erased=(0.25, 1.0, 0.0, 0.0), erased_color=(7, 7, 7)))
    assert (erased[0, :8, :8] == 7).all()
    assert np.array_equal(erased[0, 8:], image[8:, :, 0])
