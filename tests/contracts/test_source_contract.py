"""What every source of frames promises, whichever file or memory it reads."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from factories import make_image, make_labels, make_video

from sleap_nn.data.cache import CachedFrames
from sleap_nn.data.frame_stores import DiskStore, MemoryStore
from sleap_nn.data.labels import load_labels
from sleap_nn.data.sources import ArrayFrames, FrameSource, VideoFrames, open_video
from sleap_nn.errors import DataError, MissingFileError
from sleap_nn.structures.sample import FrameKey

HEIGHT, WIDTH, NUM_FRAMES = 48, 64, 4
GREY = [make_image(HEIGHT, WIDTH, seed=index) for index in range(NUM_FRAMES)]
COLOUR = [make_image(HEIGHT, WIDTH, 3, seed=index) for index in range(NUM_FRAMES)]

MakeSource = Callable[[Path], FrameSource]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with labels in both forms, a video in grey and one in colour, and a folder of images."""
    folder = tmp_path_factory.mktemp("sources")
    make_labels(NUM_FRAMES, HEIGHT, WIDTH, path=folder / "labels.pkg.slp", num_clips=2)
    make_labels(NUM_FRAMES, HEIGHT, WIDTH, path=folder / "labels.slp", num_clips=2, embed=False)
    make_video(folder / "grey.mp4", NUM_FRAMES, HEIGHT, WIDTH)
    make_video(folder / "colour.mp4", NUM_FRAMES, HEIGHT, WIDTH, channels=3)
    (folder / "images").mkdir()
    for index, image in enumerate(COLOUR):
        cv2.imwrite(str(folder / "images" / f"{index}.png"), image[..., ::-1])
    return folder


def labelled_frames(path: Path) -> VideoFrames:
    labels = load_labels(path)
    keys = [FrameKey(labels.videos.index(frame.video), frame.frame_idx) for frame in labels]
    return VideoFrames(labels.videos, keys)


def in_memory(source: FrameSource) -> CachedFrames:
    return CachedFrames(source, MemoryStore(source.shapes(), between_processes=True))


def on_disk(folder: Path, source: FrameSource) -> CachedFrames:
    (folder / "cache").mkdir(exist_ok=True)
    return CachedFrames(source, DiskStore(folder / "cache", source.fingerprints(), bytes(16)))


SOURCES: dict[str, tuple[MakeSource, int]] = {
    "embedded images": (lambda folder: VideoFrames(load_labels(folder / "labels.pkg.slp").videos), 1),
    "labelled frames of embedded images": (lambda folder: labelled_frames(folder / "labels.pkg.slp"), 1),
    "labelled frames of videos": (lambda folder: labelled_frames(folder / "labels.slp"), 1),
    "grey video": (lambda folder: VideoFrames([open_video(folder / "grey.mp4")]), 1),
    "colour video": (lambda folder: VideoFrames([open_video(folder / "colour.mp4")]), 3),
    "image folder": (lambda folder: VideoFrames([open_video(folder / "images")]), 3),
    "grey arrays": (lambda _: ArrayFrames([image[..., 0] for image in GREY]), 1),
    "colour arrays": (lambda _: ArrayFrames(np.stack(COLOUR)), 3),
    "embedded images in memory": (lambda folder: in_memory(labelled_frames(folder / "labels.pkg.slp")), 1),
    "colour video in memory": (lambda folder: in_memory(VideoFrames([open_video(folder / "colour.mp4")])), 3),
    "image folder in memory": (lambda folder: in_memory(VideoFrames([open_video(folder / "images")])), 3),
    "embedded images on disk": (lambda folder: on_disk(folder, labelled_frames(folder / "labels.pkg.slp")), 1),
    "colour video on disk": (lambda folder: on_disk(folder, VideoFrames([open_video(folder / "colour.mp4")])), 3),
    "image folder on disk": (lambda folder: on_disk(folder, VideoFrames([open_video(folder / "images")])), 3),
}
FILES = {name: entry for name, entry in SOURCES.items() if "arrays" not in name}

every_source = pytest.mark.parametrize(("make", "channels"), SOURCES.values(), ids=SOURCES)
every_file = pytest.mark.parametrize("make", [make for make, _ in FILES.values()], ids=FILES)


def pixels(source: FrameSource) -> list[np.ndarray]:
    return [source.read(key).image for key in source.keys]


@every_source
def test_frames_are_bytes_under_their_keys(folder: Path, make: MakeSource, channels: int) -> None:
    source = make(folder)
    frames = list(source)
    assert len(source) == len(source.keys) == len(frames) == NUM_FRAMES
    assert len(set(source.keys)) == NUM_FRAMES
    assert [frame.key for frame in frames] == list(source.keys)
    assert {frame.image.shape for frame in frames} == {(HEIGHT, WIDTH, channels)}
    assert {frame.image.dtype for frame in frames} == {np.dtype(np.uint8)}
    assert len({frame.image.tobytes() for frame in frames}) == NUM_FRAMES
    assert len(source.videos()) > max(key.video for key in source.keys)


@every_source
def test_the_order_of_reading_does_not_matter(folder: Path, make: MakeSource, channels: int) -> None:
    forwards = dict(zip(make(folder).keys, pixels(make(folder)), strict=True))
    source = make(folder)
    for key in [*reversed(source.keys), source.keys[2], source.keys[0], source.keys[2]]:
        assert np.array_equal(source.read(key).image, forwards[key])


@every_source
def test_a_closed_source_reads_on(folder: Path, make: MakeSource, channels: int) -> None:
    source = make(folder)
    before = pixels(source)
    source.close()
    source.close()
    assert all(np.array_equal(a, b) for a, b in zip(before, pixels(source), strict=True))


@every_source
def test_a_closed_source_can_be_sent_to_a_worker(folder: Path, make: MakeSource, channels: int) -> None:
    source = make(folder)
    before = pixels(source)
    source.close()
    copy: FrameSource = pickle.loads(pickle.dumps(source))
    assert copy.keys == source.keys
    assert all(np.array_equal(a, b) for a, b in zip(before, pixels(copy), strict=True))


@every_source
def test_what_is_expected_of_a_frame_is_true(folder: Path, make: MakeSource, channels: int) -> None:
    source = make(folder)
    assert source.shapes() == [frame.image.shape for frame in source]


@every_source
def test_frames_are_told_apart_and_known_again(folder: Path, make: MakeSource, channels: int) -> None:
    prints = make(folder).fingerprints()
    assert len(set(prints)) == len(prints) == NUM_FRAMES
    source = make(folder)
    pixels(source)
    source.close()
    assert source.fingerprints() == prints


@every_source
def test_a_reopened_source_shows_the_same_and_closes_nothing_else(
    folder: Path, make: MakeSource, channels: int
) -> None:
    source = make(folder)
    before = pixels(source)
    for video in {key.video for key in source.keys}:
        own = source.reopened(video)
        assert own.keys == source.keys
        for key, image in zip(source.keys, before, strict=True):
            if key.video == video:
                assert np.array_equal(own.read(key).image, image)
        own.close()
    assert all(np.array_equal(a, b) for a, b in zip(before, pixels(source), strict=True))


@every_file
def test_a_frame_that_does_not_exist_is_named(folder: Path, make: MakeSource) -> None:
    source = make(folder)
    with pytest.raises(DataError) as caught:
        source.read(FrameKey(0, 987654))
    filename = source.videos()[0].filename
    assert "987654" in str(caught.value)
    named = Path(filename[0]).parent if isinstance(filename, list) else filename
    assert str(named) in str(caught.value)
    assert len(str(caught.value)) < 1000  # not the paths of all images


@pytest.mark.parametrize(
    ("broken", "content"),
    [("grey.mp4", b"this is no video"), ("grey.mp4", b""), ("images", None), ("labels.pkg.slp", b"nothing")],
)
def test_a_file_that_breaks_after_opening_is_named(
    folder: Path, tmp_path: Path, broken: str, content: bytes | None
) -> None:
    path = tmp_path / broken
    copy = shutil.copytree if content is None else shutil.copy
    copy(folder / broken, path)
    source = labelled_frames(path) if path.suffix == ".slp" else VideoFrames([open_video(path)])
    source.close()
    if content is None:
        (path / "1.png").write_bytes(b"this is no image")
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match="Frame") as caught:
        source.read(source.keys[1])
    assert broken in str(caught.value)


def test_embedded_frames_keep_their_numbers(folder: Path) -> None:
    embedded = VideoFrames(load_labels(folder / "labels.pkg.slp").videos)
    labelled = labelled_frames(folder / "labels.slp")
    assert [key.video for key in embedded.keys] == [0, 0, 1, 1]
    assert set(embedded.keys) == set(labelled.keys)
    for key in embedded.keys:
        difference = np.abs(embedded.read(key).image.astype(int) - labelled.read(key).image)
        assert difference.mean() < 4


def test_a_missing_video_is_reported_when_it_is_needed(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"gone\.mp4"):
        open_video(tmp_path / "gone.mp4")
    videos = [*make_labels(2).videos, open_video(folder / "grey.mp4")]
    with pytest.raises(MissingFileError, match=r"missing\.mp4"):
        VideoFrames(videos)
    with pytest.raises(MissingFileError, match=r"missing\.mp4"):
        VideoFrames(videos, [FrameKey(1, 0), FrameKey(0, 0)])
    only_there = VideoFrames(videos, [FrameKey(1, 2)])
    assert only_there.read(FrameKey(1, 2)).image.shape == (HEIGHT, WIDTH, 1)


@pytest.mark.parametrize("content", [b"", b"this is no video"])
def test_a_file_that_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notes.mp4").write_bytes(content)
    with pytest.raises(DataError, match=r"notes\.mp4"):
        open_video(tmp_path / "notes.mp4")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.full((2, 3), True), 255),
        (np.full((2, 3), 0x1234, np.uint16), 0x12),
        (np.full((2, 3, 4), 9, np.uint8), 9),
    ],
)
def test_other_pixel_types_become_bytes(image: np.ndarray, expected: int) -> None:
    (frame,) = ArrayFrames([image])
    assert frame.image.dtype == np.uint8
    assert frame.image.shape == (2, 3, 3 if image.ndim == 3 else 1)
    assert (frame.image == expected).all()


@pytest.mark.parametrize(
    "image", [np.zeros((2, 3), np.float32), np.zeros((2, 3, 2), np.uint8), np.zeros((0, 3), np.uint8), np.zeros(3)]
)
def test_arrays_that_are_no_images_are_refused(image: np.ndarray) -> None:
    with pytest.raises(DataError, match="Image 1"):
        ArrayFrames([np.zeros((2, 3), np.uint8), image])


@pytest.mark.parametrize("index", ["a", 1.5, None])
def test_an_index_that_is_no_number_is_refused(index: object) -> None:
    image = np.zeros((2, 3), np.uint8)
    assert ArrayFrames([(image, np.int64(7))]).keys == (FrameKey(0, 7),)
    with pytest.raises(DataError, match="is no frame index; give pairs of an image and a whole number"):
        ArrayFrames([(image, index)])  # pyright: ignore[reportArgumentType]
