import shutil
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
import torch
from factories import make_image

from sleap_nn.errors import ConfigError
from sleap_nn.inference import Predictor
from sleap_nn.inference.providers import Batch, LabelsProvider, MultiVideoProvider, NumpyProvider, VideoProvider
from sleap_nn.inference.select import select_frames


def test_a_video_comes_in_batches(untrained: Path) -> None:
    provider = VideoProvider(str(untrained / "clip.mp4"), batch_size=2, frames=[0, 2, 4])
    first, second = provider
    assert (len(provider), provider.num_frames(), len(provider.videos)) == (2, 3, 1)
    assert first.images.shape == (2, 1, 64, 64)
    assert first.images.dtype == torch.uint8
    assert first.frame_indices.tolist() == [0, 2]  # pyright: ignore[reportOptionalMemberAccess]
    assert second.video_indices.tolist() == [0]  # pyright: ignore[reportOptionalMemberAccess]


def test_labels_come_with_their_instances(untrained: Path) -> None:
    labels = sio.load_slp(str(untrained / "labels.pkg.slp"))
    provider = LabelsProvider(labels, only_labeled_frames=True, frames=[0, 1])
    (batch,) = provider
    assert batch.instances.shape == (2, 2, 9, 2)  # pyright: ignore[reportOptionalMemberAccess]
    np.testing.assert_allclose(batch.instances[0, 0], labels[0].instances[0].numpy(), atol=1e-4)  # pyright: ignore[reportOptionalSubscript]


def test_a_provider_is_a_source(untrained: Path) -> None:
    predictor = Predictor.from_model_paths(untrained / "single_instance")
    clip = str(untrained / "clip.mp4")
    expected = predictor.predict(clip, frames=[1, 3])
    found = predictor.predict(VideoProvider(clip, frames=[1, 3]))
    assert [frame.frame_idx for frame in found] == [1, 3]
    np.testing.assert_array_equal(found[0].instances[0].numpy(), expected[0].instances[0].numpy())
    assert [frame.frame_idx for frame in predictor.predict(VideoProvider(clip), frames=[2])] == [2]


def test_sources_one_after_another_count_their_videos_through(untrained: Path) -> None:
    clip = str(untrained / "clip.mp4")
    joined = MultiVideoProvider([VideoProvider(clip, frames=[0]), VideoProvider(clip, frames=[1, 2])])
    assert [tuple(key) for key in select_frames(joined).frames.keys] == [(0, 0), (1, 1), (1, 2)]
    shifted = MultiVideoProvider([VideoProvider(clip, frames=[0])], video_offsets=[3])
    assert [tuple(key) for key in shifted.selection.frames.keys] == [(3, 0)]
    assert next(iter(shifted)).images.shape[0] == 1
    with pytest.raises(ConfigError, match="cannot be joined"):
        MultiVideoProvider([VideoProvider(clip), NumpyProvider([make_image()], 1)])


def test_images_have_the_numbers_they_are_given() -> None:
    images = [make_image(seed=i) for i in range(3)]
    provider = NumpyProvider(images, 2, frame_indices=[5, 6, 5], video_indices=[0, 0, 1])
    assert len(provider.videos) == 2
    frames = select_frames(provider).frames
    assert [tuple(key) for key in frames.keys] == [(0, 5), (0, 6), (1, 5)]
    np.testing.assert_array_equal(frames.read(frames.keys[2]).image, images[2])
    with pytest.raises(ConfigError, match="one entry each"):
        NumpyProvider(images, 2, frame_indices=[1])
    with pytest.raises(ConfigError, match="batch_size is 0"):
        NumpyProvider(images, 0)


def test_any_iterable_of_batches_is_a_source() -> None:
    image = torch.from_numpy(make_image().transpose(2, 0, 1))
    source = (Batch(images=torch.stack([image, image])) for _ in range(2))
    assert [key.frame for key in select_frames(source).frames.keys] == [0, 1, 2, 3]
    numbered = [Batch(images=image[None], frame_indices=torch.tensor([7]), video_indices=torch.tensor([1]))]
    assert [tuple(key) for key in select_frames(numbered).frames.keys] == [(1, 7)]


@pytest.mark.parametrize("shape", [(32, 40), (32, 40, 1), (32, 40, 3)])
def test_one_image_is_one_frame(shape: tuple[int, ...]) -> None:
    (batch,) = NumpyProvider(np.zeros(shape, np.uint8), 2)
    assert batch.images.shape == (1, shape[2] if shape[2:] else 1, 32, 40)


@pytest.mark.parametrize("size", [0, -1, 2.5, "2", None, True])
def test_sizes_of_batches_are_whole_numbers(untrained: Path, size: object) -> None:
    with pytest.raises(ConfigError, match="it must be a whole number of at least 1"):
        NumpyProvider([make_image()], size)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="it must be a whole number of at least 1"):
        VideoProvider(str(untrained / "clip.mp4"), size)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("number", [-1, 0.5, "a", None])
def test_numbers_of_frames_and_videos_are_whole(untrained: Path, number: object) -> None:
    for name in ("frame_indices", "video_indices"):
        with pytest.raises(ConfigError, match="is no index of a frame or a video"):
            NumpyProvider([make_image()], 1, **{name: [number]})  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="is no index of a frame or a video"):
        MultiVideoProvider([VideoProvider(str(untrained / "clip.mp4"))], [number])  # pyright: ignore[reportArgumentType]


def test_two_videos_never_have_one_number(untrained: Path, tmp_path: Path) -> None:
    clip, other = untrained / "clip.mp4", tmp_path / "other.mp4"
    shutil.copy(clip, other)
    first, second = VideoProvider(str(clip), frames=[0]), VideoProvider(str(other), frames=[1])
    with pytest.raises(ConfigError, match=r"clip\.mp4 and .*other\.mp4 are both video 0; give other video_offsets"):
        MultiVideoProvider([first, second], [0, 0])
    parts = MultiVideoProvider([first, VideoProvider(str(clip), frames=[1])], [0, 0])
    assert [key.frame for key in parts.selection.frames.keys] == [0, 1]
    assert len(parts.videos) == 1
