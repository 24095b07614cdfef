import gc
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import av
import pytest
import torch
from factories import make_labels

from sleap_nn.config.data_config import AugmentationConfig, GeometricConfig, IntensityConfig
from sleap_nn.config.model_config import SingleInstanceConfig
from sleap_nn.data.augment import Augmenter
from sleap_nn.data.cache import CachedFrames, CacheFiller
from sleap_nn.data.dataset import Draw, PoseDataset
from sleap_nn.data.frame_stores import DiskStore, MemoryStore
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.data.labels import LabelSet, load_labels
from sleap_nn.data.loaders import (
    EpochSampler,
    PoseLoader,
    Share,
    free_exchange,
    make_loader,
    usable_cpus,
    useful_workers,
)
from sleap_nn.data.sources import FrameSource, VideoFrames
from sleap_nn.errors import DataError
from sleap_nn.structures.sample import Batch, Sample
from sleap_nn.tasks.single_instance import SingleInstance

AUGMENTATION = AugmentationConfig(
    IntensityConfig(uniform_noise_p=1, motion_blur_p=0.5), GeometricConfig(flip_p=0.5, mixup_p=0.5)
)
MODES = ("on demand", "memory", "disk")


def epochs(sampler: EpochSampler, first: int, last: int) -> list[Draw]:
    drawn = []
    for epoch in range(first, last):
        sampler.set_epoch(epoch)
        drawn += list(sampler)
    return drawn


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with labels of embedded images and of two videos."""
    folder = tmp_path_factory.mktemp("loaders")
    make_labels(5, path=folder / "embedded.pkg.slp")
    make_labels(5, path=folder / "video.slp", num_clips=2, embed=False)
    return folder


def source_of(labels: LabelSet) -> VideoFrames:
    return VideoFrames(labels.videos, [frame.key for frame in labels.frames])


def dataset_of(labels: LabelSet, source: FrameSource) -> PoseDataset:
    task = SingleInstance.from_config(SingleInstanceConfig(), labels.skeleton)
    return PoseDataset(labels, source, task, InputSpec(1, 60, 70, stride=16), Augmenter.from_config(AUGMENTATION))


def cached(source: VideoFrames, mode: str, folder: Path) -> FrameSource:
    """Return an empty cache of a kind."""
    if mode == "on demand":
        return source
    if mode == "memory":
        return CachedFrames(source, MemoryStore(source.shapes(), between_processes=True))
    return CachedFrames(source, DiskStore(folder, source.fingerprints(), bytes(16)))


@pytest.fixture(scope="module")
def datasets(folder: Path) -> dict[str, PoseDataset]:
    """Return one dataset for each place that frames can come from, all of whose files were read before."""
    made = {}
    for name, file in (("embedded", "embedded.pkg.slp"), ("video", "video.slp"), ("cache", "video.slp")):
        labels = LabelSet.from_labels([load_labels(folder / file)])
        source = source_of(labels)
        made[name] = dataset_of(labels, cached(source, "memory", folder) if name == "cache" else source)
        made[name][0]
    return made


def assert_same(a: Batch, b: Batch) -> None:
    assert a.keys == b.keys
    assert torch.equal(a.image, b.image)
    torch.testing.assert_close(a.points, b.points, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(a.transforms, b.transforms)
    assert torch.equal(a.class_ids, b.class_ids)
    assert torch.equal(a.weights, b.weights)
    assert (a.mixed is None) == (b.mixed is None)
    if a.mixed is not None and b.mixed is not None:
        assert_same(a.mixed, b.mixed)
        assert torch.equal(a.mix_weights, b.mix_weights)


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


@pytest.fixture(scope="module", params=["embedded.pkg.slp", "video.slp"])
def reference(request: pytest.FixtureRequest, folder: Path) -> tuple[str, list[list[Batch]]]:
    """Return a labels file, and the batches of two epochs, read frame by frame in this process."""
    labels = LabelSet.from_labels([load_labels(folder / request.param)])
    return request.param, two_epochs(make_loader(dataset_of(labels, source_of(labels)), 4, sampler(), 0))


def sampler() -> EpochSampler:
    return EpochSampler(5, 14, True, seed=2)


def two_epochs(loader: PoseLoader) -> list[list[Batch]]:
    batches = []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        batches.append(list(loader))
    return batches


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_batches_are_the_same_wherever_frames_are_kept_and_whoever_reads_them(
    reference: tuple[str, list[list[Batch]]], folder: Path, tmp_path: Path, mode: str, ahead: bool, num_workers: int
) -> None:
    file, expected = reference
    assert any(batch.mixed is not None for epoch in expected for batch in epoch)
    labels = LabelSet.from_labels([load_labels(folder / file)])
    source = cached(source_of(labels), mode, tmp_path)
    filler = CacheFiller([source] if isinstance(source, CachedFrames) else [], 2 if ahead else 0)
    filler.start()
    with closing(make_loader(dataset_of(labels, source), 4, sampler(), num_workers, filler)) as loader:
        batches = two_epochs(loader)
    filler.stop()
    for epoch, other in zip(expected, batches, strict=True):
        assert [len(batch) for batch in other] == [4, 4, 4, 2]
        for a, b in zip(epoch, other, strict=True):
            assert_same(a, b)
    if isinstance(source, CachedFrames):
        assert all(map(source.holds, source.keys))


@pytest.mark.parametrize(
    ("file", "mode", "method"), [("video.slp", "memory", "spawn"), ("embedded.pkg.slp", "disk", "forkserver")]
)
def test_workers_that_are_not_forked_fill_the_same_cache(
    folder: Path, tmp_path: Path, file: str, mode: str, method: str
) -> None:
    labels = LabelSet.from_labels([load_labels(folder / file)])
    source = cached(source_of(labels), mode, tmp_path)
    assert isinstance(source, CachedFrames)
    expected = list(make_loader(dataset_of(labels, source_of(labels)), 4, sampler(), 0))
    with closing(make_loader(dataset_of(labels, source), 4, sampler(), 1)) as loader:
        loader.multiprocessing_context = method
        for _ in range(2):
            for a, b in zip(expected, loader, strict=True):
                assert_same(a, b)
    assert all(map(source.holds, source.keys))


def test_no_thread_reads_while_workers_are_started(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = LabelSet.from_labels([load_labels(folder / "video.slp")])
    source = cached(source_of(labels), "disk", tmp_path)
    assert isinstance(source, CachedFrames)
    go, seen = threading.Event(), []
    read, fork = VideoFrames.read, os.fork

    def wait(self: VideoFrames, key: object) -> object:
        if threading.current_thread().name.startswith("cache-"):
            go.wait(0.2)
        return read(self, key)

    def watched() -> int:
        seen.append([thread.name for thread in threading.enumerate() if thread.name.startswith("cache-")])
        return fork()

    monkeypatch.setattr(VideoFrames, "read", wait)
    monkeypatch.setattr(os, "fork", watched)
    filler = CacheFiller([source], 2)
    filler.start()
    with closing(make_loader(dataset_of(labels, source), 4, sampler(), 2, filler)) as loader:
        iterator: Iterator[Batch] = iter(loader)
        running = [thread for thread in threading.enumerate() if thread.name.startswith("cache-")]
        go.set()
        list(iterator)
    filler.stop()
    assert seen == [[], []]
    assert running


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_a_decoder_that_somebody_left_open_keeps_no_worker(
    folder: Path, datasets: dict[str, PoseDataset], without_collector: None
) -> None:
    """A worker that frees a decoder waits for its threads, which a fork does not copy."""
    container = av.open(str(next(folder.glob("*.mp4"))))
    container.streams.video[0].thread_type = "AUTO"
    next(container.decode(video=0))
    kind = type(container)
    del container
    assert any(isinstance(thing, kind) for thing in gc.get_objects()), "no cycle, so this test shows nothing"
    with closing(make_loader(datasets["video"], 2, sampler(), 1)) as loader:
        loader.collate_fn, loader.timeout = _collect_and_stack, 20
        assert len(list(loader)) == 7


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _collect_and_stack(samples: list[Sample]) -> Batch:
    gc.collect()
    return Batch.stack(samples)


def test_workers_end_when_the_loader_is_closed(datasets: dict[str, PoseDataset]) -> None:
    loader = make_loader(datasets["video"], 2, sampler(), 2)
    next(iter(loader))
    workers = multiprocessing.active_children()
    assert len(workers) == 2
    loader.close()
    assert multiprocessing.active_children() == []
    assert [worker.exitcode for worker in workers] == [0, 0]
    loader.close()
    make_loader(datasets["video"], 2, sampler(), 0).close()


def test_a_worker_goes_on_when_the_training_process_is_told_to_stop(datasets: dict[str, PoseDataset]) -> None:
    """Ctrl+C and a batch system signal all processes; the training process needs more batches before it is done."""
    with closing(make_loader(datasets["video"], 2, sampler(), 2)) as loader:
        iterator = iter(loader)
        next(iterator)
        for number in (signal.SIGINT, signal.SIGTERM):
            for worker in multiprocessing.active_children():
                os.kill(worker.pid, number)
        assert len(list(iterator)) == 6
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("num_cpus", "on_demand", "kept"), [(1, 0, 0), (2, 1, 1), (3, 2, 1), (4, 3, 2), (8, 4, 4), (64, 4, 4)]
)
def test_useful_workers_leave_a_cpu_to_training(num_cpus: int, on_demand: int, kept: int) -> None:
    assert useful_workers(200, False, num_cpus, 2**33) == on_demand
    assert useful_workers(200, True, num_cpus, None) == kept


def test_few_batches_and_small_containers_need_no_workers() -> None:
    assert [useful_workers(num, False, 16, None) for num in (1, 7, 8, 20, 40)] == [0, 0, 1, 2, 4]
    assert useful_workers(200, False, 16, 64 * 2**20) == 0


def test_this_machine_can_be_asked() -> None:
    assert 1 <= usable_cpus() <= (os.cpu_count() or 1)
    exchange = free_exchange()
    assert exchange is None or exchange >= 0


def test_epochs_without_end_begin_at_once() -> None:
    sampler = EpochSampler(7, 10**12, True, 1, Share(1, 2, 4))
    assert len(sampler) == 10**12 // 2
    assert [draw.number for draw in islice(sampler, 6)] == [4, 5, 6, 7, 12, 13]


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
