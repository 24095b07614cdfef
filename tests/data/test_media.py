import logging
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_files import damage, decode_all, truncate, write_media
from sleap_io.io.main import load_video

from sleap_nn.data.media import FrameIndex, MediaReader, frame_index
from sleap_nn.data.sources import VideoFrames, frame_indices, open_video
from sleap_nn.errors import DataError
from sleap_nn.structures.sample import FrameKey

KINDS: dict[str, dict[str, Any]] = {
    "b_frames.mp4": {},
    "variable.mp4": {"variable_rate": True},
    "variable.mkv": {"variable_rate": True},
    "open_gop.mkv": {"options": {"bf": "3", "g": "8", "x264-params": "open-gop=1"}},
    "plain.avi": {"codec": "mpeg4", "options": {}},
    "intra.avi": {"codec": "mjpeg", "options": {}},
}


@pytest.fixture(params=KINDS)
def media(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_media(tmp_path / request.param, **KINDS[request.param])


def count_starts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    starts: list[int] = []
    original = MediaReader._start

    def counted(self: MediaReader, number: int, back: int) -> None:
        starts.append(number)
        original(self, number, back)

    monkeypatch.setattr(MediaReader, "_start", counted)
    return starts


@pytest.mark.parametrize("in_order", [False, True])
def test_frame_k_is_the_kth_of_decoding_from_the_start(
    media: Path, in_order: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, starts = decode_all(media), count_starts(monkeypatch)
    reader = MediaReader(media, True, in_order)
    assert reader.index.num_frames == len(expected) == 40
    assert reader.index.num_missing == 0
    for number, image in enumerate(expected):
        np.testing.assert_array_equal(reader.read(number), image)
    assert starts == [0]  # frames in order are not sought
    numbers = [*range(40), *range(40)]
    random.Random(1).shuffle(numbers)
    for number in numbers:
        np.testing.assert_array_equal(reader.read(number), expected[number], err_msg=str(number))


def test_a_video_offers_its_frames_and_not_what_its_duration_suggests(media: Path) -> None:
    assert frame_indices(open_video(media)) == range(40)
    source = VideoFrames([load_video(str(media))], in_order=True)
    assert len(source) == 40
    np.testing.assert_array_equal(source.read(FrameKey(0, 39)).image, decode_all(media)[39])


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("packets", [(14,), (7,), (30, 31)])
@pytest.mark.parametrize("name", ["b_frames.mp4", "plain.avi"])
def test_a_frame_that_cannot_be_decoded_costs_that_frame(
    tmp_path: Path, name: str, packets: tuple[int, ...], in_order: bool
) -> None:
    path = write_media(tmp_path / name, **KINDS[name])
    expected = decode_all(path)
    lost = damage(path, packets)
    reader = MediaReader(path, True, in_order)
    found: dict[int, np.ndarray] = {}
    for number in range(reader.index.num_frames):
        try:
            found[number] = reader.read(number)
        except DataError as error:
            assert f"Frame {number} of {path} cannot be read (Invalid data" in str(error)
    assert sorted(set(range(40)) - found.keys()) == lost
    # Frames that are predicted from a lost one are what the decoder makes of them; all others are as they were.
    untouched = [number for number in found if number < min(lost) or number >= min(lost) + 12]
    assert len(untouched) > 8
    for number in untouched:
        np.testing.assert_array_equal(found[number], expected[number])


def test_a_lost_first_frame_costs_what_depends_on_it(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mp4")
    expected = decode_all(path)
    damage(path, [0])
    reader = MediaReader(path, True)
    with pytest.raises(DataError, match="Frame 0 of"):
        reader.read(0)
    np.testing.assert_array_equal(reader.read(20), expected[20])


def test_frames_that_a_truncated_file_has_lost_are_offered_and_named(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mp4", faststart=True)
    expected = decode_all(path)
    truncate(path, 0.8)
    index = frame_index(path)
    assert index.num_frames + index.num_missing == 40
    assert 0 < index.num_frames < 40
    assert frame_indices(open_video(path)) == range(40)
    reader = MediaReader(path, True, in_order=True)
    last = index.num_frames - 2  # the last one is cut in two
    np.testing.assert_array_equal(reader.read(last), expected[last])
    with pytest.raises(DataError, match=r"Frame 39 of .* \(the file ends after frame \d+, though its header promises"):
        reader.read(39)


def test_a_file_without_a_list_of_its_frames_that_ends_early_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_media(tmp_path / "clip.mkv", num_frames=160)
    truncate(path, 0.4)
    with caplog.at_level(logging.WARNING, logger="sleap_nn"):
        index = FrameIndex.scan(path)
    assert 0 < index.num_frames < 120
    assert "may have been cut off" in caplog.text


def test_a_closed_reader_passes_to_another_process(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mp4")
    reader = MediaReader(path)
    expected = reader.read(5)
    assert expected.shape == (64, 96, 1)  # grey, as all three channels are equal
    other = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(other.read(5), expected)
    np.testing.assert_array_equal(reader.reopened().read(5), expected)
    reader.close()
    np.testing.assert_array_equal(reader.read(5), expected)


@pytest.mark.parametrize("content", [b"", b"no video"])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(DataError, match=r"clip\.mp4 cannot be read as a video"):
        frame_index(tmp_path / "clip.mp4")
    with pytest.raises(DataError, match="cannot be opened"):
        frame_index(tmp_path / "none.mp4")
