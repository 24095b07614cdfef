import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from factories import make_image, make_labels, make_video

from sleap_nn.data import fingerprint
from sleap_nn.data.fingerprint import digest, frame_fingerprints
from sleap_nn.data.labels import load_labels
from sleap_nn.data.sources import ArrayFrames, VideoFrames, open_video
from sleap_nn.structures.sample import FrameKey


def prints(path: Path) -> list[str]:
    return VideoFrames([open_video(path)]).fingerprints()


def images(folder: Path, seeds: tuple[int, ...]) -> Path:
    folder.mkdir(exist_ok=True)
    for index, seed in enumerate(seeds):
        cv2.imwrite(str(folder / f"{index}.png"), make_image(channels=3, seed=seed))
    return folder


def test_every_frame_has_its_own_and_keeps_it(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4", 4)
    first = prints(path)
    assert len(set(first)) == 4
    assert {len(text) for text in first} == {40}
    assert prints(path) == first


def test_the_place_of_a_video_does_not_matter(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4", 3)
    first = prints(path)
    (tmp_path / "moved").mkdir()
    copy = shutil.copy(path, tmp_path / "moved" / "other.mp4")
    assert prints(Path(copy)) == first


def test_a_changed_video_shares_no_frame_with_its_former_self(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4", 3)
    first, stat = prints(path), path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert not set(first) & set(prints(path))


def test_a_large_file_is_known_by_its_size_its_time_and_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "_PIECE", 8)
    path = tmp_path / "large.bin"
    content = bytearray(os.urandom(4000))

    def facts(time: int = 10**18) -> object:
        path.write_bytes(content)
        os.utime(path, ns=(time, time))
        return fingerprint._file_facts(path)

    first = facts()
    assert facts() == first
    assert facts(10**18 + 1) != first
    for place in (0, 3999):
        content[place] ^= 1
        assert facts() != first
        content[place] ^= 1
    content.append(0)
    assert facts() != first


def test_an_image_counts_by_itself(tmp_path: Path) -> None:
    folder = images(tmp_path / "images", (0, 1, 2))
    first = prints(folder)
    images(folder, (0, 5, 2))
    second = prints(folder)
    assert [a == b for a, b in zip(first, second, strict=True)] == [True, False, True]


def test_how_a_file_is_decoded_matters(tmp_path: Path) -> None:
    video = open_video(make_video(tmp_path / "clip.mp4", 2, channels=3))
    first = frame_fingerprints([video], [FrameKey(0, 0)])
    video.grayscale = True
    grey = frame_fingerprints([video], [FrameKey(0, 0)])
    cropped = frame_fingerprints([video.crop((0, 0, 32, 32))], [FrameKey(0, 0)])
    video.open(plugin="pyav")
    assert frame_fingerprints([video], [FrameKey(0, 0)]) == grey  # sleap-io's readers do not decode media files
    assert len({*first, *grey, *cropped}) == 3


def test_embedded_images_are_told_apart(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.pkg.slp" for name in "ab"]
    for seed, path in enumerate(paths):
        make_labels(4, path=path, num_clips=2, seed=seed)
    first, second = (VideoFrames(load_labels(path).videos).fingerprints() for path in paths)
    assert len({*first, *second}) == 8
    assert VideoFrames(load_labels(paths[0]).videos).fingerprints() == first


def test_closed_videos_are_the_same_as_open_ones(tmp_path: Path) -> None:
    make_labels(4, path=tmp_path / "a.slp", num_clips=2, embed=False)
    source = VideoFrames(load_labels(tmp_path / "a.slp").videos)
    first = source.fingerprints()
    source.close()
    assert source.fingerprints() == first


def test_what_cannot_be_looked_at_is_never_the_same(tmp_path: Path) -> None:
    video = open_video(make_video(tmp_path / "clip.mp4", 2))
    video.close()
    (tmp_path / "clip.mp4").unlink()
    assert frame_fingerprints([video], [FrameKey(0, 0)]) != frame_fingerprints([video], [FrameKey(0, 0)])


def test_arrays_are_known_by_their_pixels() -> None:
    image = make_image()
    same, other = ArrayFrames([image, image.copy()]).fingerprints(), ArrayFrames([image[::-1]]).fingerprints()
    assert same[0] == same[1] != other[0]
    assert ArrayFrames([image.reshape(64, 48, 1)]).fingerprints() != ArrayFrames([image]).fingerprints()


def test_facts_do_not_run_into_each_other() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest(np.zeros(2).tobytes()) != digest(np.zeros(3).tobytes())
