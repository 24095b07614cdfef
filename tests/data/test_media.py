import contextlib
import logging
import pickle
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.packet import Packet
from media_files import B_FRAMES, FASTSTART, damage, decode_all, packet_ends, remux, rotate, truncate, write_media
from sleap_io.io.main import load_video

from sleap_nn.data import media as media_module
from sleap_nn.data.media import MediaReader, frame_index
from sleap_nn.data.media_index import FrameIndex, _is_a_reordering
from sleap_nn.data.sources import VideoFrames, frame_indices, open_video
from sleap_nn.errors import DataError
from sleap_nn.structures.sample import FrameKey

KINDS: dict[str, dict[str, Any]] = {
    "b_frames.mp4": {},
    "variable.mp4": {"variable_rate": True},
    "variable.mkv": {"variable_rate": True},
    "open_gop.mkv": {"options": {**B_FRAMES, "g": "8", "x264-params": "open-gop=1"}},
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
    lost = sorted(damage(path, packets))
    reader = MediaReader(path, True, in_order)
    found: dict[int, np.ndarray] = {}
    for number in range(reader.index.num_frames):
        try:
            found[number] = reader.read(number)
        except DataError as error:
            assert f"Frame {number} of {path} cannot be read (Invalid data" in str(error)
    assert sorted(set(range(40)) - found.keys()) == lost
    # Frames that are predicted from a lost one, three of them before it, are what the decoder makes of them.
    untouched = [number for number in found if number < min(lost) - 3 or number >= min(lost) + 12]
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
    path = write_media(tmp_path / "clip.mp4", mux=FASTSTART)
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


def read_all(path: Path, numbers: Sequence[int] | None = None, in_order: bool = False) -> dict[int, np.ndarray]:
    """Return the frames that can be read, in an order of one's choice."""
    reader = MediaReader(path, True, in_order)
    found = {}
    for number in range(reader.index.num_frames) if numbers is None else numbers:
        with contextlib.suppress(DataError):
            found[number] = reader.read(number)
    return found


def shuffled(count: int) -> list[int]:
    return random.Random(2).sample(range(count), count)


def late(place: int, packet: Packet) -> None:
    """One time stamp is a second too late."""
    if place == 5:
        packet.pts = (packet.pts or 0) + 1000


def late_by_one(place: int, packet: Packet) -> None:
    """One time stamp is too late, by less than pictures may be stored out of order."""
    if packet.pts == 15 * 33:
        packet.pts += 33 + 7


def early_by_five(place: int, packet: Packet) -> None:
    """One time stamp is too early, by less than pictures may be shown late."""
    packet.dts = place  # of which .mkv files keep nothing
    if packet.pts == 20 * 33:
        packet.pts -= 5 * 33 + 7
    packet.pts = (packet.pts or 0) + 1000


def as_stored(_place: int, packet: Packet) -> None:
    """Time stamps are those of decoding."""
    packet.pts = packet.dts = (packet.dts or 0) + 5000


WRONG_TIMES: dict[str, tuple[str, dict[str, Any], Callable[[int, Packet], None]]] = {
    "late, intra-coded": ("mkv", {"codec": "mjpeg", "options": {}}, late),
    "late, far": ("mkv", {}, late),
    "late, near": ("mkv", {}, late_by_one),
    "early, near": ("mkv", {"options": {**B_FRAMES, "g": "18"}}, early_by_five),
    "as stored .mp4": ("mp4", {}, as_stored),
    "as stored .mkv": ("mkv", {}, as_stored),
}


@pytest.mark.parametrize("order", ["forward", "random", "a key frame first"])
@pytest.mark.parametrize("name", WRONG_TIMES)
def test_time_stamps_that_cannot_be_true_number_no_frames(tmp_path: Path, name: str, order: str) -> None:
    suffix, kind, edit = WRONG_TIMES[name]
    source = write_media(tmp_path / ("source.mp4" if edit is as_stored else "source.mkv"), **kind)
    path = remux(source, tmp_path / f"wrong.{suffix}", edit)
    expected = decode_all(source)
    found = read_all(path, {"forward": range(40), "random": shuffled(40)}.get(order, [19, *range(40)]))
    assert len(found) == 40
    for number, image in found.items():
        np.testing.assert_array_equal(image, expected[number], err_msg=str(number))


@pytest.mark.parametrize("name", WRONG_TIMES)
def test_time_stamps_that_cannot_be_true_are_found_without_reading_frames(tmp_path: Path, name: str) -> None:
    suffix, kind, edit = WRONG_TIMES[name]
    source = write_media(tmp_path / ("source.mp4" if edit is as_stored else "source.mkv"), **kind)
    path = remux(source, tmp_path / f"wrong.{suffix}", edit)
    assert FrameIndex.scan(path).is_counted == (edit is not late_by_one)


@pytest.mark.parametrize(
    ("order", "keys", "depth", "is_one"),
    [
        ([0, 4, 2, 1, 3, 8, 6, 5, 7], [0], 2, True),
        ([0, 4, 2, 1, 3, 8, 6, 5, 7], [0], 1, False),  # 1 and 2 are stored after 4, and shown before it
        ([0, 1, 2, 6, 3, 4, 5, 7, 8], [0], 1, True),
        ([0, 1, 2, 6, 3, 4, 5, 7, 8], [0, 5], 1, False),  # 6 is stored before the key 4, and shown after it
        ([0, 1, 20, *range(2, 20)], [0], 1, False),
    ],
)
def test_what_may_be_an_order_of_pictures(order: list[int], keys: list[int], depth: int, is_one: bool) -> None:
    is_key = np.isin(np.arange(len(order)), keys)
    assert _is_a_reordering(np.array(order) * 10, is_key, depth) == is_one


def test_true_time_stamps_are_believed(media: Path) -> None:
    assert not FrameIndex.scan(media).is_counted


def test_files_whose_pictures_can_only_be_counted_are_decoded_in_order_without_being_decoded_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_media(tmp_path / "clip.avi")  # H.264 in AVI has no times of presentation
    expected = decode_all(path)
    reader = MediaReader(path, True)
    assert reader.index.is_counted
    with monkeypatch.context() as patch:
        patch.setattr("sleap_nn.data.media_survey._surveyed", None)
        for number in range(30):
            np.testing.assert_array_equal(reader.read(number), expected[number])
    np.testing.assert_array_equal(reader.read(8), expected[8])
    assert reader.index.by_packet
    for number, image in read_all(path, shuffled(40)).items():
        np.testing.assert_array_equal(image, expected[number])


@pytest.mark.parametrize(("codec", "most_lost"), [("libx264", 14), ("mpeg4", 4)])
@pytest.mark.parametrize("packet", [14, 15])
def test_a_lost_packet_of_a_file_without_times_shifts_no_frame(
    tmp_path: Path, codec: str, most_lost: int, packet: int
) -> None:
    path = write_media(tmp_path / "clip.avi", codec=codec, options={**B_FRAMES, "bf": "2"})
    expected = decode_all(path)
    damage(path, [packet])
    found = read_all(path)
    assert 0 < 40 - len(found) <= most_lost
    # On packet 14 other pictures of its group depend, on packet 15 none.
    for number in (n for n in found if packet == 15 or not 12 <= n < 24):
        np.testing.assert_array_equal(found[number], expected[number], err_msg=str(number))


@pytest.mark.parametrize("in_order", [False, True])
def test_a_damaged_key_frame_costs_no_frame_before_it(tmp_path: Path, in_order: bool) -> None:
    path = write_media(tmp_path / "clip.mp4")
    expected = decode_all(path)
    (lost,) = damage(path, [12])
    found = read_all(path, in_order=in_order)
    assert lost not in found
    for number in range(lost):
        np.testing.assert_array_equal(found[number], expected[number], err_msg=str(number))


def test_frames_keep_their_times_where_pictures_are_lost_without_a_word(tmp_path: Path) -> None:
    source = write_media(tmp_path / "source.mp4")
    path = remux(source, tmp_path / "clip.mp4", lambda place, packet: None, without=[12])
    expected = decode_all(source)
    assert len(decode_all(path)) < 39  # of a file of 39 packets
    found = read_all(path)
    for number in [*range(12), *range(23, 39)]:  # those between depend on the lost one
        np.testing.assert_array_equal(found[number], expected[number if number < 12 else number + 1])


def test_a_frame_that_is_skipped_to_after_a_lost_one_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_media(tmp_path / "clip.mov", codec="mjpeg", options={})
    expected = decode_all(path)
    damage(path, [5])
    starts = count_starts(monkeypatch)
    found = read_all(path, [4, 5, 9])
    assert list(found) == [4, 9]
    assert starts == [4]
    np.testing.assert_array_equal(found[9], expected[9])


def test_key_frames_that_do_not_stand_for_themselves_cost_nothing(tmp_path: Path) -> None:
    options = {"x264-params": "intra-refresh=1:keyint=15:bframes=0:scenecut=0"}
    path = write_media(tmp_path / "clip.mp4", num_frames=60, options=options)
    expected = decode_all(path)
    found = read_all(path, range(59, -1, -1))
    assert len(found) == 60
    for number, image in found.items():
        np.testing.assert_array_equal(image, expected[number], err_msg=str(number))


@pytest.mark.parametrize("suffix", ["mp4", "avi"])
def test_frames_after_a_cut_between_two_packets_are_missing(tmp_path: Path, suffix: str) -> None:
    kind = {"mux": FASTSTART} if suffix == "mp4" else {"codec": "mjpeg", "options": {}, "time_base": Fraction(1, 30)}
    path = write_media(tmp_path / f"clip.{suffix}", **kind)
    assert (frame_index(path).num_frames, frame_index(path).num_missing) == (40, 0)
    path.write_bytes(path.read_bytes()[: packet_ends(path)[36]])
    assert frame_index(path).num_frames + frame_index(path).num_missing == 40
    assert 33 < frame_index(path).num_frames <= 37


@pytest.mark.parametrize("num_packets", range(14, 22))
def test_a_cut_file_gives_no_frame_under_the_number_of_one_that_it_has_lost(tmp_path: Path, num_packets: int) -> None:
    path = write_media(tmp_path / "clip.mp4", mux=FASTSTART)
    expected = decode_all(path)
    path.write_bytes(path.read_bytes()[: packet_ends(path)[num_packets - 1]])
    assert frame_index(path).num_frames + frame_index(path).num_missing == 40
    found = read_all(path)
    assert num_packets - 4 <= len(found) <= num_packets
    for number, image in found.items():
        np.testing.assert_array_equal(image, expected[number], err_msg=str(number))


def test_a_cut_avi_file_whose_header_counts_empty_frames_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_media(tmp_path / "clip.avi", codec="mjpeg", options={})  # of frames that last a millisecond each
    path.write_bytes(path.read_bytes()[: packet_ends(path)[36]])
    with caplog.at_level(logging.WARNING, logger="sleap_nn"):
        index = FrameIndex.scan(path)
    assert (index.num_frames, index.num_missing) == (37, 0)
    assert caplog.messages == [f"{path} ends before its header says; it was cut off after frame 36."]


def test_frames_that_an_edit_list_leaves_out_are_not_missing(tmp_path: Path) -> None:
    source = write_media(tmp_path / "source.mp4", options={"bf": "0", "g": "12"})

    def earlier(_place: int, packet: Packet) -> None:
        packet.pts, packet.dts = (packet.pts or 0) - 6000, (packet.dts or 0) - 6000

    path = remux(source, tmp_path / "clip.mp4", earlier)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 40
    expected = decode_all(path)
    assert (frame_index(path).num_frames, frame_index(path).num_missing) == (len(expected), 0)
    assert 20 < len(expected) < 40
    found = read_all(path)
    np.testing.assert_array_equal(found[0], expected[0])


def test_empty_frames_of_an_avi_file_are_no_missing_ones(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.avi", codec="mpeg4", options={})
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames > 1000
    assert (frame_index(path).num_frames, frame_index(path).num_missing) == (40, 0)


def test_frames_are_upright(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mp4")
    expected = decode_all(path)
    rotate(path)
    for is_gray in (True, False):
        image = MediaReader(path, is_gray).read(7)
        np.testing.assert_array_equal(image[..., :1], np.rot90(expected[7], -1))


def test_frames_after_the_place_to_which_a_file_leads_are_found_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_media(tmp_path / "clip.mp4")
    expected = decode_all(path)
    given = media_module.packets
    empty = iter([iter(())])
    monkeypatch.setattr(media_module, "packets", lambda container: next(empty, None) or given(container))
    np.testing.assert_array_equal(MediaReader(path, True).read(30), expected[30])
