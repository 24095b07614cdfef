import logging

import pytest

from sleap_nn.evaluation.videos import VideoDescription, VideoFile, match_videos


def video(*names, size=None, num_frames=None, dataset=None, source=None, crop=None):
    files = (VideoFile(names, dataset), *((VideoFile((source,)),) if source else ()))
    return VideoDescription(files, size, num_frames, crop)


@pytest.fixture
def warnings(caplog, monkeypatch):
    logger = logging.getLogger("sleap_nn")
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.WARNING, logger="sleap_nn")
    return caplog


def test_same_path_in_another_order(tmp_path):
    a, b = video(str(tmp_path / "a.mp4")), video(str(tmp_path / "b.mp4"))
    assert match_videos([a, b], [b, a]) == [[1], [0]]


def test_relative_path_and_link_are_the_same_file(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    monkeypatch.chdir(tmp_path)
    found = match_videos([video("a.mp4"), video("b.mp4")], [video("b.mp4"), video(str(tmp_path / "link.mp4"))])
    assert found == [[1], [0]]


def test_moved_files_are_told_apart_by_their_folders():
    truth = [video("/old/day1/cam.mp4"), video("/old/day2/cam.mp4")]
    predicted = [video("C:\\new\\day2\\cam.mp4"), video("C:\\new\\day1\\cam.mp4")]
    assert match_videos(truth, predicted) == [[1], [0]]


def test_moved_files_that_cannot_be_told_apart_are_not_matched():
    truth = [video("/old/x/cam.mp4"), video("/old/y/cam.mp4")]
    assert match_videos(truth, [video("/new/cam.mp4"), video("/new/other.mp4")]) == [[], []]


def test_file_name_does_not_match_over_a_different_size(warnings):
    truth, predicted = video("/a/cam.mp4", size=(480, 640)), video("/b/cam.mp4", size=(1024, 1024))
    assert match_videos([truth], [predicted]) == [[]]
    assert not warnings.records


def test_datasets_of_one_package_are_different_videos():
    package = [video("/d/train.pkg.slp", dataset=f"video{i}/video") for i in range(2)]
    assert match_videos(package, package[::-1]) == [[1], [0]]
    moved = [video("/elsewhere/train.pkg.slp", dataset=f"video{i}/video") for i in (1, 0)]
    assert match_videos(package, moved) == [[1], [0]]


def test_package_matches_the_video_it_was_made_from():
    package = [
        video("/d/t.pkg.slp", dataset="video0/video", source="/raw/a.mp4"),
        video("/d/t.pkg.slp", dataset="video1/video", source="/raw/b.mp4"),
    ]
    raw = [video("/raw/b.mp4"), video("/raw/a.mp4")]
    assert match_videos(package, raw) == [[1], [0]]
    other_package = [video("/d/p.pkg.slp", dataset="video0/video", source="/raw/b.mp4"), raw[1]]
    assert match_videos(package, other_package) == [[1], [0]]


def test_image_sequences_match_by_all_their_names():
    truth = [video("/a/1.png", "/a/2.png"), video("/a/1.png", "/a/3.png")]
    predicted = [video("/b/1.png", "/b/3.png"), video("/b/1.png", "/b/2.png")]
    assert match_videos(truth, predicted) == [[1], [0]]


def test_a_video_listed_twice_matches_with_both_entries():
    assert match_videos([video("/a.mp4")], [video("/a.mp4"), video("/a.mp4")]) == [[0, 1]]
    assert match_videos([video("/a.mp4"), video("/a.mp4")], [video("/a.mp4")]) == [[0], [0]]


def test_crops_of_one_video_are_different_videos():
    left, right = video("/a.mp4", crop=(0, 0, 9, 9)), video("/a.mp4", crop=(9, 0, 18, 9))
    assert match_videos([left, right], [right, left]) == [[1], [0]]


def test_one_video_each_matches_if_sizes_agree(warnings):
    truth = video("/a.mp4", size=(480, 640), num_frames=100)
    assert match_videos([truth], [video("/b.avi", size=(480, 640), num_frames=7)]) == [[0]]
    assert "a.mp4" in warnings.text
    assert "b.avi" in warnings.text
    assert match_videos([truth], [video("/b.avi")]) == [[0]]
    assert match_videos([truth], [video("/b.avi", size=(480, 641))]) == [[]]


def test_several_renamed_videos_match_by_unique_shape():
    truth = [video("/a.mp4", size=(4, 4), num_frames=10), video("/b.mp4", size=(4, 4), num_frames=20)]
    predicted = [video("/x.mp4", size=(4, 4), num_frames=20), video("/y.mp4", size=(4, 4), num_frames=10)]
    assert match_videos(truth, predicted) == [[1], [0]]
    ambiguous = [*predicted, video("/z.mp4", size=(4, 4), num_frames=10)]
    assert match_videos(truth, ambiguous) == [[], [0]]


def test_no_videos():
    assert match_videos([], []) == []
    assert match_videos([video("/a.mp4")], []) == [[]]
