import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from factories import make_image, make_labels, make_video

from sleap_nn.data.cache import CachedFrames, CacheFiller
from sleap_nn.data.frame_stores import DiskStore, FrameStore, MemoryStore
from sleap_nn.data.labels import load_labels
from sleap_nn.data.sources import ArrayFrames, FrameSource, VideoFrames, open_video
from sleap_nn.errors import DataError
from sleap_nn.structures.sample import Frame, FrameKey

NUM_FRAMES = 12


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two videos of different size and colour."""
    folder = tmp_path_factory.mktemp("cache")
    make_video(folder / "grey.mp4", NUM_FRAMES, 48, 64)
    make_video(folder / "colour.mp4", NUM_FRAMES, 64, 80, channels=3)
    return folder


def source_of(videos: Path) -> VideoFrames:
    return VideoFrames([open_video(videos / name) for name in ("grey.mp4", "colour.mp4")])


def memory(source: FrameSource) -> MemoryStore:
    return MemoryStore(source.shapes(), between_processes=True)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[FrameKey, int]]:
    """Return which frames are decoded, and by which thread."""
    seen: list[tuple[FrameKey, int]] = []
    read = VideoFrames.read

    def noted(self: VideoFrames, key: FrameKey) -> Frame:
        seen.append((key, threading.get_ident()))
        return read(self, key)

    monkeypatch.setattr(VideoFrames, "read", noted)
    return seen


def assert_same(cache: CachedFrames, expected: list[Frame]) -> None:
    for frame in expected:
        image = cache.read(frame.key).image
        assert image.dtype == np.uint8
        assert np.array_equal(image, frame.image)


def test_a_frame_is_decoded_once(videos: Path, reads: list[tuple[FrameKey, int]]) -> None:
    source = source_of(videos)
    cache = CachedFrames(source, memory(source))
    key = cache.keys[5]
    assert not cache.holds(key)
    first = cache.read(key)
    assert cache.holds(key)
    second = cache.read(key)
    assert np.array_equal(first.image, second.image)
    assert [read for read, _ in reads] == [key]


def test_a_frame_that_is_not_on_offer_is_the_source_s_business(videos: Path) -> None:
    source = source_of(videos)
    cache = CachedFrames(source, memory(source))
    with pytest.raises(DataError, match="987"):
        cache.read(FrameKey(0, 987))


@pytest.mark.parametrize("num_threads", [1, 2, 5])
@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_threads_fill_everything_with_files_of_their_own(
    videos: Path, tmp_path: Path, reads: list[tuple[FrameKey, int]], kind: str, num_threads: int
) -> None:
    source = source_of(videos)
    expected = list(source)
    reads.clear()
    store = memory(source) if kind == "memory" else DiskStore(tmp_path, source.fingerprints(), bytes(16))
    cache = CachedFrames(source, store)
    filler = CacheFiller([cache], num_threads)
    filler.start()
    filler.wait()
    assert sorted(key for key, _ in reads) == sorted(source.keys)
    assert threading.get_ident() not in {thread for _, thread in reads}
    assert all(map(cache.holds, cache.keys))
    assert_same(cache, expected)
    assert len(reads) == 2 * NUM_FRAMES


def test_embedded_images_are_filled_too(tmp_path: Path) -> None:
    make_labels(6, path=tmp_path / "a.pkg.slp", num_clips=2)
    source = VideoFrames(load_labels(tmp_path / "a.pkg.slp").videos)
    expected = list(source)
    cache = CachedFrames(source, memory(source))
    filler = CacheFiller([cache], 3)
    filler.start()
    while filler._threads and not all(map(cache.holds, cache.keys)):
        assert_same(cache, expected)  # the same file is read here at the same time
    filler.wait()
    assert_same(cache, expected)


def test_training_does_not_wait_for_the_threads(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(videos)
    cache = CachedFrames(source, memory(source))
    go, main = threading.Event(), threading.get_ident()
    read = VideoFrames.read

    def slow_in_threads(self: VideoFrames, key: FrameKey) -> Frame:
        if threading.get_ident() != main:
            assert go.wait(10)
        return read(self, key)

    monkeypatch.setattr(VideoFrames, "read", slow_in_threads)
    filler = CacheFiller([cache], 2)
    filler.start()
    assert cache.read(cache.keys[-1]).key == cache.keys[-1]
    assert sum(map(cache.holds, cache.keys)) == 1
    go.set()
    filler.wait()
    assert all(map(cache.holds, cache.keys))


def test_what_is_there_is_not_read_again(videos: Path, reads: list[tuple[FrameKey, int]]) -> None:
    source = source_of(videos)
    cache = CachedFrames(source, memory(source))
    for key in cache.keys[::2]:
        cache.read(key)
    filler = CacheFiller([cache], 2)
    filler.start()
    filler.wait()
    filler.start()
    filler.wait()
    assert sorted(key for key, _ in reads) == sorted(cache.keys)


def test_the_first_cache_comes_first_and_processes_begin_elsewhere(
    videos: Path, reads: list[tuple[FrameKey, int]]
) -> None:
    source = source_of(videos)
    first, second = source.keys[:NUM_FRAMES], source.keys[NUM_FRAMES:]
    caches = []
    for keys in (second, first):
        part = VideoFrames(source.videos(), keys)
        caches.append(CachedFrames(part, memory(part)))
    filler = CacheFiller(caches, 1)
    filler.start()
    filler.wait()
    assert [key for key, _ in reads] == [*second, *first]
    reads.clear()
    cache = CachedFrames(source, memory(source))
    filler = CacheFiller([cache], 1, start=0.5)
    filler.start()
    filler.wait()
    assert [key for key, _ in reads] == [*second, *first]


def test_a_pause_leaves_no_thread_and_no_open_file(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(videos)
    cache = CachedFrames(source, memory(source))
    closed: list[object] = []
    close, read = VideoFrames.close, VideoFrames.read
    started = threading.Event()

    def slow(self: VideoFrames, key: FrameKey) -> Frame:
        started.set()
        time.sleep(0.01)
        return read(self, key)

    monkeypatch.setattr(VideoFrames, "read", slow)
    monkeypatch.setattr(VideoFrames, "close", lambda self: (close(self), closed.append(self)))
    filler = CacheFiller([cache], 2)
    filler.start()
    assert started.wait(10)
    with filler.paused():
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("cache-")]
        assert len(closed) == 2
        before = sum(map(cache.holds, cache.keys))
        assert before < len(cache)
        time.sleep(0.05)
        assert sum(map(cache.holds, cache.keys)) == before
    filler.wait()
    assert all(map(cache.holds, cache.keys))


def test_a_filler_that_does_not_run_is_not_started_by_a_pause(videos: Path) -> None:
    source = source_of(videos)
    cache = CachedFrames(source, memory(source))
    for filler in (CacheFiller([cache], 2), CacheFiller([cache], 0)):
        with filler.paused():
            pass
        filler.stop()
    CacheFiller([cache], 0).start()
    assert not any(map(cache.holds, cache.keys))


def test_a_frame_that_cannot_be_read_is_left_to_training(videos: Path) -> None:
    video = open_video(videos / "grey.mp4")
    source = VideoFrames([video], [FrameKey(0, 0), FrameKey(0, 987), FrameKey(0, 2)])
    cache = CachedFrames(source, memory(source))
    filler = CacheFiller([cache], 1)
    filler.start()
    filler.wait()
    assert [cache.holds(key) for key in cache.keys] == [True, False, True]
    with pytest.raises(DataError, match="987"):
        cache.read(FrameKey(0, 987))


def test_images_of_unequal_size_are_cached(tmp_path: Path) -> None:
    images = [make_image(20 + 10 * index, 30, 1 + 2 * (index % 2), seed=index) for index in range(4)]
    source = ArrayFrames(images)
    makers: list[Callable[[], FrameStore]] = [
        lambda: memory(source),
        lambda: DiskStore(tmp_path, source.fingerprints(), bytes(16)),
    ]
    for make in makers:
        cache = CachedFrames(source, make())
        for _ in range(2):
            assert_same(cache, list(source))
        assert all(map(cache.holds, cache.keys))
