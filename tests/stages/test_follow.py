from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from sleap_nn.config.model_config import SingleInstanceConfig
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.data.sources import ArrayFrames
from sleap_nn.errors import ConfigError, DataError
from sleap_nn.stages.follow import RoiFollower, RoiSettings, check_can_follow, follow_batches
from sleap_nn.stages.stage import Stage
from sleap_nn.stages.stream import flattened, predict_frames
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import Frame, FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.base import DecodeSettings
from sleap_nn.tasks.single_instance import SingleInstance

TASK = SingleInstance.from_config(SingleInstanceConfig(), Skeleton(("head", "tail")))
HEIGHT, WIDTH, BODY = 160, 320, 20
SPEC = InputSpec(channels=1, stride=8)


class TwoValues:
    """A runtime that finds the head in pixels of odd value and the tail in those of even value, as sure as bright."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int, int]] = []

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        self.sizes.append((len(images), images.shape[2], images.shape[3]))
        maps = torch.cat([images * (images % 2 == 1), images * (images % 2 == 0)], dim=1)
        return {"confmaps": maps.float() / 255}


class Blurred:
    """A runtime that finds both nodes at the brightest pixel, and remembers the sizes of what it was given."""

    def __init__(self) -> None:
        self.sizes: list[torch.Size] = []

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        self.sizes.append(images.shape)
        return {"confmaps": images.float().repeat(1, 2, 1, 1) / 255}


def picture(head: tuple[float, float], brightness: float = 1.0, tail: bool = True) -> np.ndarray:
    """Return a black image with a head, and a tail `BODY` px to the right of it."""
    image = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    x, y = round(head[0]), round(head[1])
    image[y, x] = int(brightness * 127) * 2 + 1
    if tail:
        image[y, x + BODY] = int(brightness * 127) * 2
    return image


def walk(count: int, start: float = 40, speed: float = 2.0) -> list[np.ndarray]:
    return [picture((start + speed * t, 60 + 10 * np.sin(t / 5))) for t in range(count)]


def both(
    images: list[np.ndarray], batch_size: int = 4, check_interval: int = 1000, spec: InputSpec = SPEC
) -> tuple[list[Predictions], list[tuple[int, int, int]]]:
    """Follow the animal, compare with whole frames, and return what was found and the sizes of what was read."""
    runtimes = TwoValues(), TwoValues()
    followed, whole = (Stage(TASK, spec, runtime, DecodeSettings(0.2, "none")) for runtime in runtimes)
    settings = RoiSettings(check_interval=check_interval)
    found = list(flattened(follow_batches(followed, ArrayFrames(images), batch_size, settings=settings), len(images)))
    expected = list(predict_frames([whole], ArrayFrames(images), batch_size))
    assert [p.key for p in found] == [p.key for p in expected]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.points, theirs.points)
        np.testing.assert_array_equal(ours.point_scores, theirs.point_scores)
    return found, runtimes[0].sizes


def num_whole(sizes: list[tuple[int, int, int]]) -> int:
    return sum(count for count, *size in sizes if tuple(size) == (HEIGHT, WIDTH))


@pytest.mark.parametrize("batch_size", [1, 4, 7])
def test_a_walking_animal_is_followed_with_a_small_part(batch_size: int) -> None:
    found, sizes = both(walk(60), batch_size)
    assert all(len(p) == 1 for p in found)
    assert num_whole(sizes) == batch_size
    parts = [height * width for _, height, width in sizes[1:]]
    assert max(parts) < 0.5 * HEIGHT * WIDTH
    assert {size % 8 for _, *shape in sizes for size in shape} == {0}


def test_the_part_grows_with_the_speed_and_the_batch() -> None:
    def area(speed: float, batch_size: int) -> float:
        sizes = both(walk(36, speed=speed), batch_size)[1]
        return float(np.mean([height * width for _, height, width in sizes[3:]]))

    assert area(0.5, 2) < area(4, 2) < area(4, 6)


def test_an_animal_that_jumps_is_found_in_the_same_frame() -> None:
    images = [*walk(10), *walk(10, start=220)]
    _, sizes = both(images)
    assert num_whole(sizes) == 4 + 2


def test_an_animal_that_disappears_and_comes_back_elsewhere() -> None:
    empty = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    found, sizes = both([*walk(8), *[empty] * 8, *walk(8, start=200)])
    assert [len(p) for p in found] == [1] * 8 + [0] * 8 + [1] * 8
    assert num_whole(sizes) == 4 + 4 + 4 + 4
    both([empty] * 5)
    both([])


def test_a_hidden_node_is_looked_for_in_the_whole_frame_once_and_found_again() -> None:
    images = [picture((60 + t, 60), tail=not 8 <= t < 24) for t in range(40)]
    _, sizes = both(images)
    assert num_whole(sizes) == 4 + 4


def test_a_node_that_moves_out_of_the_part_is_found() -> None:
    images = walk(8)
    for image in images[4:]:
        image[image == 254] = 0
        image[150, 300] = 254
    _, sizes = both(images)
    assert num_whole(sizes) == 8


def test_a_faint_animal_is_looked_for_in_the_whole_frame() -> None:
    images = walk(4) + [picture((48 + 2 * t, 60), 0.3) + picture((200, 60)) for t in range(4)]
    found, sizes = both(images)
    assert num_whole(sizes) == 8
    assert found[-1].points[0, 0].tolist() == [200, 60]


def test_an_animal_near_an_edge_of_the_part_is_not_trusted_but_one_near_the_edge_of_the_frame_is() -> None:
    follower, stage = RoiFollower(8, RoiSettings()), Stage(TASK, SPEC, TwoValues(), DecodeSettings(0.2, "none"))
    frame = Frame(FrameKey(0, 0), picture((2, 2)))
    follower.learn(frame, stage.finish([stage.prepare(frame)])[0], whole=True)
    for head, lost in (((2, 2), False), ((11, 30), False), ((48 - BODY, 30), True), ((9, 49), True)):
        whole = stage.prepare(Frame(FrameKey(0, 1), picture(head)))
        assert follower.is_lost(whole, (0, 0, 56, 56), stage.finish([whole])[0]) == lost, head


def test_the_whole_frame_is_read_now_and_then() -> None:
    assert num_whole(both(walk(41), check_interval=1000)[1]) == 4
    assert num_whole(both(walk(41), check_interval=12)[1]) == 4 + 4 + 4
    assert num_whole(both(walk(9), check_interval=3)[1]) == 8


def test_what_was_followed_by_mistake_is_left_at_the_next_check() -> None:
    images = walk(4, speed=0) + [picture((40, 60), 0.8) for _ in range(12)]
    for image in images[4:]:
        image += picture((240, 60), 0.99)
    stage = Stage(TASK, SPEC, TwoValues(), DecodeSettings(0.2, "none"))
    batches = follow_batches(stage, ArrayFrames(images), 2, settings=RoiSettings(check_interval=8))
    found = list(flattened(batches, len(images)))
    assert [int(p.points[0, 0, 0]) for p in found] == [40] * 10 + [240] * 6


@pytest.mark.parametrize("change", ["video", "size", "gap"])
def test_another_video_or_size_begins_with_the_whole_frame(change: str) -> None:
    follower, stage = RoiFollower(8, RoiSettings()), Stage(TASK, SPEC, TwoValues(), DecodeSettings(0.2, "none"))
    first = Frame(FrameKey(0, 0), picture((60, 60)))
    assert follower.part([stage.prepare(first)]) is None
    follower.learn(first, stage.finish([stage.prepare(first)])[0], whole=True)
    assert follower.part([stage.prepare(Frame(FrameKey(0, 1), first.image))]) is not None
    key = {"video": FrameKey(1, 1), "size": FrameKey(0, 1), "gap": FrameKey(0, 500)}[change]
    image = first.image[:-1] if change == "size" else first.image
    assert follower.part([stage.prepare(Frame(key, image))]) is None


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec(channels=1, stride=8, scale=1.5),
        InputSpec(channels=1, stride=16, scale=2, max_height=200, max_width=444),
    ],
)
def test_scaled_and_padded_inputs_are_followed_as_well(spec: InputSpec) -> None:
    stages = [Stage(TASK, spec, runtime, DecodeSettings(0.2, "none")) for runtime in (Blurred(), Blurred())]
    frames = ArrayFrames([np.repeat(image, 3, axis=2) for image in walk(25, start=240)])
    found = list(flattened(follow_batches(stages[0], frames, 4), len(frames)))
    whole = list(predict_frames(stages[1:], frames, 4))
    for ours, theirs in zip(found, whole, strict=True):
        np.testing.assert_allclose(ours.points, theirs.points, atol=1e-4)
    assert sum(size.numel() for size in stages[0].runtime.sizes) < 0.5 * sum(
        size.numel() for size in stages[1].runtime.sizes
    )


def test_frames_that_cannot_be_read_and_progress() -> None:
    class Broken(ArrayFrames):
        def read(self, key: FrameKey) -> Frame:
            if key.frame == 3:
                raise DataError("Frame 3 is broken.")
            return super().read(key)

    stage, failures, seen = Stage(TASK, SPEC, TwoValues()), [], []
    batches = follow_batches(stage, Broken(walk(8)), 4)
    found = flattened(batches, 8, failures.append, lambda done, total: seen.append((done, total)))
    assert [p.key.frame for p in found] == [0, 1, 2, 4, 5, 6, 7]
    assert [failure.reason for failure in failures] == ["Frame 3 is broken."]
    assert seen == [(5, 8), (8, 8)]
    with pytest.raises(DataError, match="Frame 3 is broken"):
        list(flattened(follow_batches(stage, Broken(walk(8)), 4), 8))


def test_settings_and_models_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="roi_check_interval is 0"):
        RoiSettings(0)
    check_can_follow([TASK])
    with pytest.raises(ConfigError, match=r"not of single_instance \+ single_instance"):
        check_can_follow([TASK, TASK])
