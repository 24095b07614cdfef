import pickle
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import sleap_io as sio
from media_files import AWKWARD, FASTSTART, damage, decode_all, packet_ends, predictions, rotate, write_media

from sleap_nn.data.label_formats import write_format
from sleap_nn.data.labels import load_labels
from sleap_nn.data.media_video import Capture, adopt, measure, release
from sleap_nn.data.sources import VideoFrames, frame_indices, frame_size, open_video
from sleap_nn.errors import DataError
from sleap_nn.structures.sample import FrameKey


@pytest.mark.parametrize("name", AWKWARD)
def test_sleap_io_sees_the_same_frames(tmp_path: Path, name: str) -> None:
    path = write_media(tmp_path / name, **AWKWARD[name])
    expected = decode_all(path)
    video = open_video(path)
    assert video.shape == (len(expected), 64, 96, 1)
    assert frame_indices(video) == range(len(expected))
    for number in (0, len(expected) // 2, len(expected) - 1):
        np.testing.assert_array_equal(video[number], expected[number])
    np.testing.assert_array_equal(video[[0, len(expected) - 1]], np.stack([expected[0], expected[-1]]))
    video.grayscale = False  # sleap-io finds the shape anew
    assert video.shape == (len(expected), 64, 96, 3)


def test_saved_labels_name_a_video_like_any_other(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mp4")
    predictions(open_video(path), [3]).save(str(tmp_path / "a.slp"), verbose=False)
    predictions(sio.load_video(str(path)), [3]).save(str(tmp_path / "b.slp"), verbose=False)
    entries = []
    for name in "ab":
        with h5py.File(tmp_path / f"{name}.slp") as file:
            entries.append(file["videos_json"][0])
    assert entries[0] == entries[1]
    assert isinstance(sio.load_slp(str(tmp_path / "a.slp")).video.backend, sio.io.video_reading.MediaVideo)


@pytest.mark.parametrize("codec", ["libx264", "mjpeg"])
def test_a_video_whose_first_frame_is_damaged_costs_that_frame(tmp_path: Path, codec: str) -> None:
    kind = {} if codec == "libx264" else {"codec": codec, "options": {}}
    path = write_media(tmp_path / "clip.mov", **kind)
    expected = decode_all(path)
    damage(path, [0])
    video = open_video(path)
    assert video.shape == (40, 64, 96, 1)
    assert frame_size(video) == (64, 96)
    np.testing.assert_array_equal(VideoFrames([video]).read(FrameKey(0, 20)).image, expected[20])
    assert frame_size(sio.load_video(str(path))) == (64, 96)
    assert VideoFrames([sio.load_video(str(path))]).shapes() == [(64, 96, 1)] * 40


def test_a_video_without_a_readable_frame_is_refused(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.avi", codec="mjpeg", options={}, num_frames=3)
    damage(path, [0, 1, 2])
    with pytest.raises(DataError, match=r"clip\.avi cannot be read as a video; it has no frames"):
        open_video(path)


@pytest.mark.parametrize(("form", "ending"), [("analysis_h5", ".analysis.h5"), ("dlc", ".dlc.csv")])
@pytest.mark.parametrize("is_open", [True, False])
def test_tables_are_as_long_as_the_video(tmp_path: Path, form: str, ending: str, is_open: bool) -> None:
    path = write_media(tmp_path / "clip.mkv", variable_rate=True)
    assert sio.load_video(str(path)).shape[0] != 40  # what OpenCV makes of its duration
    source = predictions(open_video(path), [0, 2])
    source.save(str(tmp_path / "clip.slp"), verbose=False)
    labels = load_labels(tmp_path / "clip.slp", open_videos=is_open)
    labels.video.backend_metadata["shape"] = [1020, 64, 96, 1]
    (written,) = write_format(labels, tmp_path / "clip.slp", form)
    assert written.name == f"clip{ending}"
    if form == "dlc":
        assert len(written.read_text().splitlines()) == 3 + 40
    else:
        with h5py.File(written) as file:
            assert file["tracks"].shape[-1] == 40


def test_lost_frames_at_the_end_count(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mp4", mux=FASTSTART)
    path.write_bytes(path.read_bytes()[: packet_ends(path)[36]])
    assert open_video(path).shape == (40, 64, 96, 1)


def test_frames_and_sizes_are_upright(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mp4")
    stored = decode_all(path)[7]
    rotate(path)
    video = open_video(path)
    assert frame_size(video) == (96, 64)
    image = VideoFrames([video]).read(FrameKey(0, 7)).image
    np.testing.assert_array_equal(image, np.rot90(stored, -1))
    np.testing.assert_array_equal(video[7], image)
    capture = cv2.VideoCapture(str(path))  # as SLEAP shows it
    np.testing.assert_allclose(capture.read()[1][..., :1], video[0], atol=2)


def test_cut_out_parts_are_parts_of_the_same_frames(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mp4", mux={"movflags": "frag_keyframe+empty_moov"})
    expected = decode_all(path)
    part = sio.load_video(str(path)).crop((8, 4, 40, 36))
    image = VideoFrames([part]).read(FrameKey(0, 9)).image
    np.testing.assert_array_equal(image, expected[9][4:36, 8:40])


def test_released_videos_hold_no_file_and_open_it_again(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mp4")
    video = open_video(path)
    first = video[3]
    backend = adopt(video)
    assert backend is not None
    capture = backend._open_reader
    assert isinstance(capture, Capture)
    assert capture._reader._container is not None
    release(video)
    assert capture._reader._container is None
    np.testing.assert_array_equal(video[3], first)
    release(video)
    copied = pickle.loads(pickle.dumps(video))
    measure(copied)
    np.testing.assert_array_equal(copied[3], first)


def test_videos_of_labels_are_read_like_others(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mkv", variable_rate=True)
    predictions(open_video(path), [1]).save(str(tmp_path / "clip.slp"), verbose=False)
    backend = load_labels(tmp_path / "clip.slp").video.backend
    assert backend is not None
    assert backend.shape == (40, 64, 96, 1)
    np.testing.assert_array_equal(backend[39], decode_all(path)[39])
