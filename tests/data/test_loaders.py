import pickle
from itertools import islice
from pathlib import Path

import pytest
import torch
from factories import make_labels

from sleap_nn.config.data_config import AugmentationConfig, GeometricConfig, IntensityConfig
from sleap_nn.config.model_config import SingleInstanceConfig
from sleap_nn.data.augment import Augmenter
from sleap_nn.data.cache import MemoryCache
from sleap_nn.data.dataset import Draw, PoseDataset
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.data.labels import LabelSet
from sleap_nn.data.loaders import EpochSampler, make_loader
from sleap_nn.data.sources import VideoFrames
from sleap_nn.errors import DataError
from sleap_nn.structures.sample import Batch
from sleap_nn.tasks.single_instance import SingleInstance

AUGMENTATION = AugmentationConfig(IntensityConfig(uniform_noise_p=1), GeometricConfig(flip_p=0.5))


def epochs(sampler: EpochSampler, first: int, last: int) -> list[Draw]:
    drawn = []
    for epoch in range(first, last):
        sampler.set_epoch(epoch)
        drawn += list(sampler)
    return drawn


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PoseDataset]:
    """Return one dataset for each place that frames can come from, all of whose files were read before."""
    folder = tmp_path_factory.mktemp("loaders")
    embedded = LabelSet.from_labels([make_labels(5, path=folder / "a.pkg.slp")])
    in_videos = LabelSet.from_labels([make_labels(5, path=folder / "a.slp", num_clips=2, embed=False)])
    task = SingleInstance.from_config(SingleInstanceConfig(), embedded.skeleton)
    sets = {"embedded": embedded, "video": in_videos, "cache": in_videos}
    made = {}
    for name, labels in sets.items():
        source = VideoFrames(labels.videos, [frame.key for frame in labels.frames])
        frames = MemoryCache(source) if name == "cache" else source
        made[name] = PoseDataset(
            labels, frames, task, InputSpec(1, 60, 70, stride=16), Augmenter.from_config(AUGMENTATION)
        )
        made[name][0]
    return made


def assert_same(a: Batch, b: Batch) -> None:
    assert a.keys == b.keys
    assert torch.equal(a.image, b.image)
    torch.testing.assert_close(a.points, b.points, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(a.transforms, b.transforms)
    assert torch.equal(a.class_ids, b.class_ids)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("num_rows", "draws_per_epoch"), [(7, 7), (7, 3), (7, 20), (1, 4)])
def test_every_pass_covers_all_rows(num_rows: int, draws_per_epoch: int, shuffle: bool) -> None:
    sampler = EpochSampler(num_rows, draws_per_epoch, shuffle, seed=5)
    assert len(sampler) == draws_per_epoch
    drawn = epochs(sampler, 0, 2 * num_rows)
    assert [draw.number for draw in drawn] == list(range(2 * num_rows * draws_per_epoch))
    for start in range(0, len(drawn), num_rows):
        assert sorted(draw.row for draw in drawn[start : start + num_rows]) == list(range(num_rows))


def test_passes_have_new_orders_unless_not_shuffled() -> None:
    rows = [draw.row for draw in epochs(EpochSampler(9, 9, True, seed=1), 0, 6)]
    passes = {tuple(rows[start : start + 9]) for start in range(0, len(rows), 9)}
    assert len(passes) == 6
    assert tuple(range(9)) not in passes
    plain = [draw.row for draw in epochs(EpochSampler(9, 9, False, seed=1), 0, 2)]
    assert plain == list(range(9)) * 2


def test_the_seed_decides() -> None:
    make = [EpochSampler(9, 4, True, seed) for seed in (1, 1, 2)]
    first, same, other = (epochs(sampler, 0, 5) for sampler in make)
    assert first == same
    assert first != other


def test_an_epoch_does_not_depend_on_those_before() -> None:
    whole = epochs(EpochSampler(7, 3, True, seed=5), 0, 9)
    assert epochs(EpochSampler(7, 3, True, seed=5), 4, 7) == whole[12:21]
    sampler = EpochSampler(7, 3, True, seed=5)
    sampler.set_epoch(6)
    assert next(iter(sampler)) == whole[18]
    assert list(sampler) == list(sampler) == whole[18:21]


@pytest.mark.parametrize("name", ["embedded", "video", "cache"])
def test_workers_change_nothing(datasets: dict[str, PoseDataset], name: str) -> None:
    """The files were open before the workers were forked, and the workers live on from epoch to epoch."""
    sampler = EpochSampler(5, 6, True, seed=2)
    alone, shared = (make_loader(datasets[name], 4, sampler, num_workers) for num_workers in (0, 2))
    for epoch in range(2):
        sampler.set_epoch(epoch)
        here, there = list(alone), list(shared)
        assert [len(batch) for batch in here] == [4, 2]
        for a, b in zip(here, there, strict=True):
            assert_same(a, b)


def test_batches_are_the_samples_that_were_drawn(datasets: dict[str, PoseDataset]) -> None:
    dataset, sampler = datasets["video"], EpochSampler(5, 5, True, seed=8)
    sampler.set_epoch(3)
    batches = list(make_loader(dataset, 2, sampler, 0))
    draws = iter(sampler)
    for batch in batches:
        assert_same(batch, Batch.stack([dataset[draw] for draw in islice(draws, len(batch))]))


def test_without_a_sampler_all_rows_come_once_in_order(datasets: dict[str, PoseDataset]) -> None:
    dataset = datasets["embedded"]
    keys = [key for batch in make_loader(dataset, 3, None, 0) for key in batch.keys]
    assert keys == [row.frame.key for row in dataset.rows]


@pytest.mark.parametrize("name", ["embedded", "video", "cache"])
def test_what_a_worker_is_given_can_be_pickled(datasets: dict[str, PoseDataset], name: str) -> None:
    dataset = datasets[name]
    loader = make_loader(dataset, 2, EpochSampler(5, 4, True, seed=0), 2)
    before = dataset[3]
    dataset.close_files()
    copy = pickle.loads(pickle.dumps((dataset, loader.collate_fn, loader.worker_init_fn)))[0]
    assert_same(Batch.stack([copy[3]]), Batch.stack([before]))


def test_a_broken_frame_is_named_by_the_worker_that_met_it(tmp_path: Path) -> None:
    labels = LabelSet.from_labels([make_labels(3, path=tmp_path / "a.slp", embed=False)])
    task = SingleInstance.from_config(SingleInstanceConfig(), labels.skeleton)
    dataset = PoseDataset(labels, VideoFrames(labels.videos), task, InputSpec(1))
    (tmp_path / "clip0.mp4").write_bytes(b"this is no video")
    dataset.close_files()
    with pytest.raises(DataError, match=r"Frame 0 of .*clip0\.mp4"):
        list(make_loader(dataset, 2, None, 1))
