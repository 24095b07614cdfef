import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from factories import make_image, make_labels

from sleap_nn.config.data_config import PreprocessingConfig
from sleap_nn.config.model_config import SingleInstanceConfig
from sleap_nn.data.augment import Augmentation
from sleap_nn.data.dataset import PoseDataset
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.data.labels import LabelSet
from sleap_nn.data.sources import ArrayFrames
from sleap_nn.errors import ConfigError
from sleap_nn.ops import resample
from sleap_nn.stages.stage import Stage
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Frame, FrameKey
from sleap_nn.structures.transform import Transform
from sleap_nn.tasks.single_instance import SingleInstance

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "geometry.json").read_text())
EVERYTHING = Augmentation(mirrored=True, degrees=20, zoom=0.9, shift=(0.1, -0.05), contrast=1.1, noise_seed=3)


def frame(image: np.ndarray) -> Frame:
    return Frame(FrameKey(0, 0), image)


def read(spec: InputSpec, image: np.ndarray, augmentation: Augmentation | None = None) -> tuple[np.ndarray, Transform]:
    """Return the input as (H, W, C), and its map of points."""
    planes, transform = spec.read(frame(image), Region(), augmentation)
    return planes.transpose(1, 2, 0), transform


@pytest.mark.parametrize("golden", GOLDEN["sizematch"])
def test_golden_size_match(golden: dict) -> None:
    max_height, max_width = golden["max_hw"]
    spec = InputSpec(1, max_height, max_width)
    image, transform = read(spec, np.full((*golden["hw"], 1), 200, np.uint8))
    assert image.shape == (*golden["out_hw"], 1)
    expected = Transform.scaling(golden["eff_scale"]).matrix
    np.testing.assert_allclose(transform.matrix, expected, rtol=0, atol=1e-6)
    height, width = (round(side * golden["eff_scale"]) for side in golden["hw"])
    assert (image[:height, :width] == 200).all()
    assert not image[height:].any()
    assert not image[:, width:].any()


@pytest.mark.parametrize("golden", GOLDEN["pad_to_stride"])
def test_golden_padding(golden: dict) -> None:
    height, width = golden["hw"]
    image = make_image(height, width)
    padded, transform = read(InputSpec(1, stride=golden["stride"]), image)
    assert padded.shape == (height + golden["pad_hw"][0], width + golden["pad_hw"][1], 1)
    assert np.array_equal(padded[:height, :width], image)
    assert not padded[height:].any()
    assert not padded[:, width:].any()
    assert np.array_equal(transform.matrix, np.eye(2, 3))


def test_golden_scale() -> None:
    golden = GOLDEN["resize"]
    image = make_image(*golden["hw"])
    scaled, transform = read(InputSpec(1, scale=golden["scale"]), image)
    assert np.array_equal(scaled, resample.resize(image, *golden["out_hw"]))
    assert transform(np.array([10.0, 20.0])).tolist() == [5, 10]


def test_a_small_frame_is_enlarged() -> None:
    image, transform = read(InputSpec(3, 60, 90), np.full((20, 30, 1), 90, np.uint8))
    assert image.shape == (60, 90, 3)
    assert (image[2:-2, 2:-2] == 90).all()
    assert image.all()
    assert transform(np.array([7.0, 5.0])).tolist() == [21, 15]


def test_size_match_scale_and_padding_multiply() -> None:
    spec = InputSpec(1, 200, 300, scale=0.5, stride=32)
    image, transform = read(spec, np.full((100, 50, 1), 255, np.uint8))
    assert image.shape == (128, 160, 1)
    np.testing.assert_allclose(transform.matrix, Transform.scaling(2 * 0.5).matrix, atol=1e-12)
    assert (image[:100, :50] == 255).all()
    assert image.sum() == 255 * 100 * 50


def test_frames_of_unequal_size_share_the_input_size() -> None:
    spec = InputSpec(1, 64, 80, scale=0.75, stride=16)
    sizes = [(64, 80), (31, 47), (200, 100), (1, 1), (3, 900), (900, 3)]
    images = [read(spec, make_image(*size))[0] for size in sizes]
    assert {image.shape for image in images} == {(48, 64, 1)}
    for size, image in zip(sizes, images, strict=True):
        assert image.any(), size


@pytest.mark.parametrize(("height", "width"), [(3, 900), (900, 3)])
def test_a_sliver_stays_one_pixel_wide(height: int, width: int) -> None:
    image, _ = read(InputSpec(1, 80, 80), np.full((height, width, 1), 255, np.uint8))
    assert sorted([image.any(axis=0).sum(), image.any(axis=1).sum()]) == [1, 80]


@pytest.mark.parametrize("scale", [0.001, 0.3, 1.7])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 5), (33, 1)])
def test_the_smallest_frames_have_an_input(scale: float, height: int, width: int) -> None:
    image, transform = read(InputSpec(1, scale=scale, stride=8), np.full((height, width, 1), 77, np.uint8))
    assert image.shape[0] % 8 == image.shape[1] % 8 == 0
    assert image.max() == 77
    assert np.isfinite(transform.inverse().matrix).all()


def test_colour_becomes_luma_and_grey_is_repeated() -> None:
    colour = make_image(16, 16, 3)
    luma, _ = read(InputSpec(1), colour)
    assert np.array_equal(luma[..., 0], cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY))
    assert np.abs(luma[..., 0] - colour @ np.array([0.299, 0.587, 0.114])).max() <= 1
    grey = make_image(16, 16, 1)
    repeated, _ = read(InputSpec(3), grey)
    assert np.array_equal(repeated, np.repeat(grey, 3, axis=2))
    assert np.array_equal(read(InputSpec(3), colour)[0], colour)


@pytest.mark.parametrize("augmentation", [None, EVERYTHING], ids=["plain", "augmented"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_frame_itself_is_not_changed(channels: int, augmentation: Augmentation | None) -> None:
    image = make_image(channels=channels)
    kept = image.copy()
    planes, _ = InputSpec(channels).read(frame(image), Region(), augmentation)
    assert np.array_equal(image, kept)
    assert planes.transpose(1, 2, 0).flags.c_contiguous  # channels last
    assert planes.dtype == np.uint8


@pytest.mark.parametrize("spec", [InputSpec(1), InputSpec(1, 96, 96, 0.5, 32), InputSpec(3, 40, 40, 1.3, 16)])
def test_an_augmentation_that_changes_nothing_changes_no_pixel(spec: InputSpec) -> None:
    image = make_image(50, 70)
    plain, transform = read(spec, image)
    augmented, same = read(spec, image, Augmentation())
    assert np.array_equal(plain, augmented)
    np.testing.assert_allclose(same.matrix, transform.matrix, atol=1e-9)


def test_the_turn_is_about_the_middle_of_the_input() -> None:
    spec = InputSpec(1, 64, 64, stride=16)
    image = make_image(64, 40)
    turned, transform = read(spec, image, Augmentation(degrees=180))
    plain, _ = read(spec, image)
    assert np.abs(turned[::-1, ::-1].astype(int) - plain).max() <= 1
    np.testing.assert_allclose(transform(np.array([10.0, 20.0])), [53, 43])


def test_intensity_leaves_the_black_outside_black() -> None:
    spec = InputSpec(1, 64, 96, stride=32)
    brighter = Augmentation(uniform_noise=(50, 50), contrast=0.5)
    image, _ = read(spec, np.full((64, 48, 1), 100, np.uint8), brighter)
    assert (image[:, :48] == 138).all()
    assert not image[:, 48:].any()
    turned, _ = read(spec, np.zeros((64, 96, 1), np.uint8), dataclasses.replace(brighter, degrees=45))
    assert turned[32, 48] == 88
    assert not any(turned[row, column] for row in (0, -1) for column in (0, -1))


def test_training_and_prediction_read_the_same_pixels() -> None:
    images = [make_image(64, 64, 3, seed=index) for index in range(3)]
    label_set = LabelSet.from_labels([make_labels(1)])
    labels = [dataclasses.replace(label_set.frames[0], key=FrameKey(0, index)) for index in range(3)]
    task = SingleInstance.from_config(SingleInstanceConfig(), label_set.skeleton)
    spec = InputSpec(1, 80, 90, 0.7, 16)
    source = ArrayFrames(images)
    dataset = PoseDataset(dataclasses.replace(label_set, frames=tuple(labels)), source, task, spec)
    stage = Stage(task, spec, lambda images: {})
    for row in range(3):
        sample, prepared = dataset[row], stage.prepare(source.read(FrameKey(0, row)))
        assert np.array_equal(sample.image, prepared.images[0])
        assert np.array_equal(sample.transform.matrix, prepared.transforms[0].matrix)


def test_the_saved_configuration_gives_the_input_again() -> None:
    preprocessing = PreprocessingConfig(max_height=100, max_width=120, scale=0.5)
    assert InputSpec.from_config(preprocessing, 3, 16) == InputSpec(3, 100, 120, 0.5, 16)


def test_regions_are_the_whole_frame_or_those_found_before() -> None:
    spec, whole = InputSpec(1), frame(make_image())
    assert spec.regions(whole) == [Region()]
    found = [Region((3.0, 4.0), 0.5), Region((5.0, 6.0), 0.7)]
    assert spec.regions(whole, found) == found
    assert spec.regions(whole, []) == []


@pytest.mark.parametrize(("options", "word"), [({"channels": 2}, "2 channels"), ({"channels": 1, "scale": 0}, "scale")])
def test_values_that_make_no_image_are_refused(options: dict, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        InputSpec(**options)


@pytest.mark.parametrize(
    "sizes",
    [
        {"max_height": 2**15, "max_width": 2**15},
        {"crop_size": 20_000},
        {"crop_size": 300, "scale": 64.0},
        {"max_height": 8, "max_width": 8, "stride": 2**15},
        {"crop_size": 64, "scale": 1e300},
        {"max_height": 2**40},
    ],
)
def test_inputs_that_no_memory_holds_are_refused_before_there_is_one(sizes: dict) -> None:
    with pytest.raises(ConfigError, match="lower max_height and max_width or crop_size") as caught:
        InputSpec(channels=1, **sizes)
    assert "\n" not in str(caught.value)


def test_a_frame_decides_where_the_input_has_no_size_of_its_own() -> None:
    spec = InputSpec(channels=1, scale=64.0, stride=2)
    assert read(spec, np.zeros((4, 4, 1), np.uint8))[0].shape == (256, 256, 1)
    with pytest.raises(ConfigError, match="32768 x 32768 px"):
        read(spec, np.broadcast_to(np.zeros((1, 1, 1), np.uint8), (512, 512, 1)))


REDUCING = [
    (InputSpec(1, scale=0.5, stride=16), (50, 70, 1), (25, 35, 1)),
    (InputSpec(1, scale=0.5), (51, 71, 3), (25, 35, 1)),
    (InputSpec(3, 40, 90, 0.7), (50, 70, 1), (28, 39, 1)),
    (InputSpec(1, 200, 200, 0.3), (50, 70, 3), (43, 60, 1)),
    (InputSpec(1, 200, 200, 0.9), (50, 70, 3), (50, 70, 1)),
    (InputSpec(3), (50, 70, 3), (50, 70, 3)),
    (InputSpec(1, scale=0.5, crop_size=20), (50, 70, 3), (50, 70, 1)),
]


@pytest.mark.parametrize("augmentation", [None, Augmentation(), EVERYTHING], ids=["plain", "nothing", "everything"])
@pytest.mark.parametrize(("spec", "shape", "expected"), REDUCING)
def test_a_smaller_copy_is_read_as_its_frame(
    spec: InputSpec, shape: tuple[int, int, int], expected: tuple[int, int, int], augmentation: Augmentation | None
) -> None:
    whole = frame(make_image(*shape))
    region = Region() if spec.crop_size is None else Region((33.3, 21.0))
    kept = spec.reduced(whole)
    assert kept.image.shape == expected == spec.reduced_shape(*shape)
    assert kept.size == whole.size == shape[:2]
    assert spec.content_size(kept) == spec.content_size(whole)
    again = spec.reduced(kept)
    assert np.array_equal(again.image, kept.image)
    assert again.size == shape[:2]
    image, transform = spec.read(whole, region, augmentation)
    from_copy, same = spec.read(kept, region, augmentation)
    assert np.array_equal(image, from_copy)
    assert np.array_equal(transform.matrix, same.matrix)
    if spec.crop_size is None and augmentation is None:
        for one, points in spec.read_whole([whole, kept, kept, whole]):
            assert np.array_equal(one, image)
            assert np.array_equal(points.matrix, transform.matrix)


@pytest.mark.parametrize("other", [InputSpec(1), InputSpec(1, scale=0.25), InputSpec(1, scale=0.5, crop_size=20)])
def test_a_smaller_copy_of_another_input_is_refused(other: InputSpec) -> None:
    kept = InputSpec(1, scale=0.5).reduced(frame(make_image(50, 70)))
    region = Region() if other.crop_size is None else Region((33.3, 21.0))
    for read_it in (other.reduced, lambda one: other.read(one, region)):
        with pytest.raises(ValueError, match=r"\(25, 35\) of a frame of \(50, 70\)"):
            read_it(kept)


@pytest.mark.parametrize("spec", [InputSpec(1, scale=0.5, stride=16), InputSpec(1, 60, 100, 0.8), InputSpec(3, 20, 30)])
def test_a_spot_of_a_smaller_copy_lands_where_its_point_does(spec: InputSpec) -> None:
    y, x = np.mgrid[:80, :120]
    spot = np.array([52.0, 37.0])
    image = (255 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / 50)).astype(np.uint8)[..., None]
    augmentation = Augmentation(mirrored=True, degrees=25, zoom=0.9, shift=(0.05, 0.02))
    for change in (None, augmentation):
        moved, transform = read(spec, image, change)
        grey = moved[..., 0].astype(float)
        rows, columns = np.mgrid[: grey.shape[0], : grey.shape[1]]
        centre = np.array([(grey * columns).sum(), (grey * rows).sum()]) / grey.sum()
        # labels are multiplied where pixels keep their areas, so that they differ by a part of a pixel
        assert np.abs(centre - transform(spot)).max() < 0.5


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("spec", [{}, {"scale": 0.5}, {"max_height": 70, "max_width": 45, "stride": 16}])
def test_frames_that_are_read_together_are_read_as_each_alone(spec: dict, channels: int) -> None:
    rng = np.random.default_rng(0)
    shapes = [(40, 60, 1)] * 6 + [(40, 60, 3)] * 2 + [(50, 30, 1), (40, 60, 1)]
    frames = [frame(rng.integers(0, 256, shape, dtype=np.uint8)) for shape in shapes]
    whole = InputSpec(channels, **spec)
    together = whole.read_whole(frames)
    assert len(together) == len(frames)
    for one, (image, transform) in zip(frames, together, strict=True):
        expected, points = whole.read(one, Region())
        np.testing.assert_array_equal(image, expected)
        assert transform == points
    assert whole.read_whole([]) == []
