import logging
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
from media_files import AWKWARD, damage, decode_all, predictions, write_media

from sleap_nn.data.labels import load_labels, write_labels
from sleap_nn.data.sources import VideoFrames, open_video, stored_indices
from sleap_nn.errors import DataError, MissingFileError
from sleap_nn.structures.sample import FrameKey


def package(labels: sio.Labels, path: Path) -> sio.Labels:
    write_labels(labels, path, embed=True)
    return load_labels(path)


@pytest.mark.parametrize("name", AWKWARD)
def test_a_package_holds_the_frames_that_it_names(tmp_path: Path, name: str) -> None:
    path = write_media(tmp_path / name, **AWKWARD[name])
    expected = decode_all(path)
    numbers = [number for number in (0, 1, 17, 39) if number < len(expected)]
    labels = predictions(open_video(path), numbers)
    found = package(labels, tmp_path / "a.pkg.slp")
    assert stored_indices(found.video) == numbers
    for number in numbers:
        np.testing.assert_array_equal(found.video[number], expected[number])
    assert labels.video.filename == path.as_posix()  # the labels stay as they were
    np.testing.assert_array_equal(labels.video[0], expected[0])
    source = found.video.source_video
    assert source is not None
    assert source.backend_metadata["shape"] == [len(expected), 64, 96, 1]


def test_a_damaged_frame_has_no_image_and_all_others_have_their_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_media(tmp_path / "clip.avi", codec="mjpeg", options={})
    expected = decode_all(path)
    damage(path, [7])
    labels = predictions(open_video(path), [0, 7, 20])
    with caplog.at_level(logging.WARNING, logger="sleap_nn"):
        found = package(labels, tmp_path / "a.pkg.slp")
    assert caplog.messages == [
        "1 of 3 frames cannot be read, so the package holds their labels without an image: "
        f"Frame 7 of {path} cannot be read (Invalid data found when processing input)."
    ]
    assert [frame.frame_idx for frame in found] == [0, 7, 20]
    assert stored_indices(found.video) == [0, 20]
    np.testing.assert_array_equal(found.video[20], expected[20])


def test_a_damaged_image_is_not_stored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    images = decode_all(write_media(tmp_path / "clip.mp4", num_frames=3))
    for number, image in enumerate(images):
        sio.io.video_reading.iio.imwrite(folder / f"{number}.png", image[..., 0])
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:40])
    labels = predictions(open_video(folder), [0, 1, 2])
    with caplog.at_level(logging.WARNING, logger="sleap_nn"):
        found = package(labels, tmp_path / "a.pkg.slp")
    assert f"the image {folder.as_posix()}/1.png, cannot be read" in caplog.text
    assert stored_indices(found.video) == [0, 2]


def test_without_a_readable_frame_there_is_no_package(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.avi", codec="mjpeg", options={})
    damage(path, [7])
    with pytest.raises(DataError, match=r"None of the images to store can be read: Frame 7 of .*clip\.avi"):
        write_labels(predictions(open_video(path), [7]), tmp_path / "a.pkg.slp", embed=True)


def test_a_package_of_a_missing_video_is_refused(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mp4")
    labels = predictions(open_video(path), [7])
    labels.save(str(tmp_path / "a.slp"), verbose=False)
    path.unlink()
    with pytest.raises(MissingFileError, match=r"clip\.mp4 of the labels does not exist"):
        write_labels(load_labels(tmp_path / "a.slp"), tmp_path / "a.pkg.slp", embed=True)


def test_a_package_can_be_stored_anew(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mp4")
    first = package(predictions(open_video(path), [3, 4]), tmp_path / "a.pkg.slp")
    second = package(first, tmp_path / "b.pkg.slp")
    image = VideoFrames([second.video]).read(FrameKey(0, 4)).image
    np.testing.assert_array_equal(image, decode_all(path)[4])
