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
from sleap_nn.data.loaders import EpochSampler, Share, make_loader
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


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("shuffle", [True, False])
def test_processes_together_draw_the_batches_of_one(parts: int, shuffle: bool) -> None:
    size, steps, num_rows = 2, 5, 7
    alone = EpochSampler(num_rows, steps * size * parts, shuffle, seed=1)
    shared = [
        EpochSampler(num_rows, steps * size * parts, shuffle, 1, Share(part, parts, size)) for part in range(parts)
    ]
    for epoch in (0, 1):
        for sampler in (alone, *shared):
            sampler.set_epoch(epoch)
        whole = list(alone)
        own = [list(sampler) for sampler in shared]
        assert [len(draws) for draws in own] == [len(sampler) for sampler in shared] == [steps * size] * parts
        for step in range(steps):
            together = [draw for draws in own for draw in draws[step * size : (step + 1) * size]]
            assert together == whole[step * size * parts : (step + 1) * size * parts]


def test_processes_that_begin_in_the_middle_draw_the_rest() -> None:
    whole = [EpochSampler(7, 24, True, 1, Share(part, 2, 3)) for part in range(2)]
    rest = [EpochSampler(7, 24, True, 1, Share(part, 2, 3)) for part in range(2)]
    for sampler in rest:
        sampler.start_at(1, 12)
    for before, after in zip(whole, rest, strict=True):
        before.set_epoch(1)
        assert list(after) == list(before)[6:]
        assert len(after) == 12
    for sampler in rest:
        sampler.start_at(1, 9)  # where processes with other batches were interrupted
    drawn = [draw.number for sampler in rest for draw in sampler]
    assert sorted(set(drawn)) == list(range(24 + 9, 48))


@pytest.mark.parametrize(
    ("num_rows", "parts", "size"), [(1, 2, 4), (5, 2, 2), (5, 4, 1), (8, 2, 2), (9, 4, 2), (3, 3, 1)]
)
def test_validation_is_divided_in_batches_and_all_make_equally_many(num_rows: int, parts: int, size: int) -> None:
    whole = [draw.row for draw in EpochSampler(num_rows, num_rows, False, 0)]
    counted, lengths = [], []
    for part in range(parts):
        sampler = EpochSampler(num_rows, num_rows, False, 0, Share(part, parts, size))
        draws = list(sampler)
        assert len(draws) == len(sampler)
        batches = [draws[i : i + size] for i in range(0, len(draws), size)]
        lengths.append(len(batches))
        counted += [draw.row for batch in batches[: sampler.num_own_batches] for draw in batch]
    assert sorted(counted) == whole
    assert len(set(lengths)) == 1
    assert lengths[0] > 0
