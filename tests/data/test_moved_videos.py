from pathlib import Path

import cv2
import numpy as np
import pytest
import sleap_io as sio
from factories import make_labels, make_video

from sleap_nn.data.labels import load_labels, write_labels
from sleap_nn.data.moved_videos import move_videos, stored_paths
from sleap_nn.data.video_paths import VideoPaths
from sleap_nn.errors import ConfigError, DataError, MissingFileError


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """Labels in one folder, whose two videos went to another one."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    make_labels(4, path=tmp_path / "old" / "labels.slp", embed=False, num_clips=2)
    for clip in (tmp_path / "old").glob("*.mp4"):
        clip.rename(tmp_path / "new" / clip.name)
    return tmp_path


def prefix(folder: Path) -> VideoPaths:
    return VideoPaths(prefix_map=((str(folder / "old"), str(folder / "new")),))


def test_frames_are_read_from_the_new_place_and_the_file_stays(moved: Path) -> None:
    before = (moved / "old" / "labels.slp").read_bytes()
    labels = load_labels(moved / "old" / "labels.slp")
    assert stored_paths(labels) == [str(moved / "old" / f"clip{i}.mp4") for i in range(2)]
    move_videos([labels], prefix(moved))
    assert [Path(str(video.filename)).parent.name for video in labels.videos] == ["new", "new"]
    assert all(frame.image.shape == (64, 64, 1) for frame in labels)
    assert (moved / "old" / "labels.slp").read_bytes() == before
    write_labels(labels, moved / "copy.slp")
    copy = load_labels(moved / "copy.slp")
    assert copy[0].image.shape == (64, 64, 1)


def test_paths_in_order_are_for_every_file(moved: Path) -> None:
    files = [load_labels(moved / "old" / "labels.slp") for _ in range(2)]
    paths = tuple(str(moved / "new" / f"clip{i}.mp4") for i in range(2))
    move_videos(files, VideoPaths(video_paths=paths))
    assert all([str(video.filename) for video in labels.videos] == list(paths) for labels in files)
    with pytest.raises(ConfigError, match=r"labels.slp: 1 new video path is given, but the labels have 2 videos"):
        move_videos(files, VideoPaths(video_paths=paths[:1]))


def test_a_path_has_to_fit_one_of_the_files(moved: Path) -> None:
    other = make_labels(2, path=moved / "new" / "other.slp", embed=False)
    files = [load_labels(moved / "old" / "labels.slp"), other]
    move_videos(files, prefix(moved))
    assert Path(str(other.videos[0].filename)) == moved / "new" / "clip0.mp4"
    with pytest.raises(ConfigError, match=r"starts with '/nowhere'; the labels hold .*old/clip0.mp4"):
        move_videos([load_labels(moved / "old" / "labels.slp")], VideoPaths(prefix_map=(("/nowhere", "/new"),)))


def test_a_new_video_that_is_not_there_is_named_if_it_has_labels(moved: Path) -> None:
    (moved / "new" / "clip1.mp4").unlink()
    labels = load_labels(moved / "old" / "labels.slp")
    with pytest.raises(MissingFileError, match=r"new/clip1.mp4 does not exist"):
        move_videos([labels], prefix(moved))
    labels = load_labels(moved / "old" / "labels.slp")
    labels.labeled_frames = [frame for frame in labels if frame.video is labels.videos[0]]
    move_videos([labels], prefix(moved))
    write_labels(labels, moved / "copy.slp")
    assert stored_paths(load_labels(moved / "copy.slp"))[1] == str(moved / "new" / "clip1.mp4")


def test_a_video_of_another_size_is_refused(moved: Path) -> None:
    make_video(moved / "new" / "large.mp4", height=80, width=96)
    labels = load_labels(moved / "old" / "labels.slp")
    paths = VideoPaths(video_path_map=((str(moved / "old" / "clip0.mp4"), str(moved / "new" / "large.mp4")),))
    with pytest.raises(DataError, match=r"80 x 96 px, but the labels were made on frames of 64 x 64 px"):
        move_videos([labels], paths)


def test_something_that_is_no_video_is_refused(moved: Path) -> None:
    (moved / "new" / "clip0.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"clip0.mp4 .*cannot be read"):
        move_videos([load_labels(moved / "old" / "labels.slp")], prefix(moved))


def test_sequences_of_images_move_with_their_folder(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    images = [str(tmp_path / "old" / f"{i}.png") for i in range(3)]
    for i, image in enumerate(images):
        cv2.imwrite(image, np.full((8, 8), 50 * i, np.uint8))
    template = make_labels(1)
    video = sio.Video.from_filename(images)
    frame = sio.LabeledFrame(video=video, frame_idx=2, instances=template[0].instances)
    sio.Labels([frame], videos=[video], skeletons=template.skeletons).save(
        str(tmp_path / "labels.slp"), embed=False, verbose=False
    )
    for image in images:
        Path(image).rename(tmp_path / "new" / Path(image).name)
    for paths in (
        prefix(tmp_path),
        VideoPaths(video_path_map=((str(tmp_path / "old"), str(tmp_path / "new")),)),
        VideoPaths(video_paths=(str(tmp_path / "new"),)),
    ):
        labels = load_labels(tmp_path / "labels.slp")
        move_videos([labels], paths)
        assert labels[0].image.max() == 100
        write_labels(labels, tmp_path / "copy.slp")
        assert stored_paths(load_labels(tmp_path / "copy.slp")) == [
            [str(tmp_path / "new" / f"{i}.png") for i in range(3)]
        ]
    (tmp_path / "new" / "2.png").unlink()
    with pytest.raises(MissingFileError, match="does not exist"):
        move_videos([load_labels(tmp_path / "labels.slp")], prefix(tmp_path))


def test_embedded_images_have_no_path_but_can_be_replaced_by_a_video(tmp_path: Path) -> None:
    make_labels(3, path=tmp_path / "labels.slp", embed=False)
    load_labels(tmp_path / "labels.slp").save(str(tmp_path / "labels.pkg.slp"), embed="all", verbose=False)
    labels = load_labels(tmp_path / "labels.pkg.slp")
    with pytest.raises(ConfigError, match="images embedded in the labels"):
        move_videos([labels], VideoPaths(prefix_map=((str(tmp_path), "/new"),)))
    in_order = VideoPaths(video_paths=(str(tmp_path / "clip0.mp4"),))
    test_labels = load_labels(tmp_path / "labels.pkg.slp")
    move_videos([labels], in_order, optional=[test_labels])
    assert Path(str(labels.videos[0].filename)).name == "clip0.mp4"
    assert Path(str(test_labels.videos[0].filename)).name == "labels.pkg.slp"
    assert labels[1].image.shape == test_labels[1].image.shape
    write_labels(labels, tmp_path / "copy.slp")
    assert load_labels(tmp_path / "copy.slp")[1].image.shape == (64, 64, 1)


def test_paths_in_order_are_for_test_labels_too_unless_they_hold_their_images(moved: Path) -> None:
    train, test = (load_labels(moved / "old" / "labels.slp") for _ in range(2))
    paths = VideoPaths(video_paths=tuple(str(moved / "new" / f"clip{i}.mp4") for i in range(2)))
    move_videos([train], paths, optional=[test])
    assert Path(str(test.videos[1].filename)) == moved / "new" / "clip1.mp4"
