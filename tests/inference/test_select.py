import logging
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import sleap_io as sio
import torch
from factories import make_labels, make_video

from sleap_nn.errors import ConfigError, DataError, MissingFileError, UsageError
from sleap_nn.inference.batches import Batch
from sleap_nn.inference.select import Selection, select_frames
from sleap_nn.structures.sample import FrameKey


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with labels of frames 0, 10, 20 and 0, 10 of two videos, embedded and not, and a video."""
    folder = tmp_path_factory.mktemp("select")
    make_labels(5, path=folder / "embedded.pkg.slp", num_clips=2)
    make_labels(5, path=folder / "videos.slp", num_clips=2, embed=False)
    make_video(folder / "clip.mp4", num_frames=5)
    return folder


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    caplog.set_level(logging.WARNING, logger="sleap_nn")
    return caplog


def test_a_model_given_as_the_input_is_named(files: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images"):
        select_frames(tmp_path)
    (tmp_path / "training_config.yaml").touch()
    with pytest.raises(UsageError, match="is the folder of a trained model; name it as the model"):
        select_frames(tmp_path)


def keys(selection: Selection) -> list[tuple[int, int]]:
    return [tuple(key) for key in selection.frames.keys]


ALL = [(0, 0), (0, 10), (0, 20), (1, 0), (1, 10)]


@pytest.mark.parametrize("name", ["embedded.pkg.slp", "videos.slp"])
@pytest.mark.parametrize("kind", [str, Path, sio.load_slp])
def test_labels_give_their_frame_entries(files: Path, name: str, kind: type) -> None:
    selection = select_frames(kind(str(files / name)))
    assert keys(selection) == ALL
    assert selection.labels is not None
    assert selection.path == (None if kind is sio.load_slp else files / name)
    assert selection.record == {"method": "all", "frames_processed": 5, "frames_total": 5}
    assert selection.frames.read(FrameKey(1, 10)).image.shape == (64, 64, 1)


def test_frames_of_labels_are_positions_in_the_list_of_entries(files: Path, warned: pytest.LogCaptureFixture) -> None:
    selection = select_frames(files / "videos.slp", frames=[3, 1, 1])
    assert keys(selection) == [(0, 10), (1, 0)]
    assert selection.record == {"method": "specified", "frames_processed": 2, "frames_total": 5}
    assert not warned.records


@pytest.mark.parametrize("chosen", ["0-1,3", np.array([0, 1, 3]), torch.tensor([3, 1, 0])])
def test_frames_are_named_in_any_form(files: Path, chosen: str | np.ndarray | torch.Tensor) -> None:
    assert keys(select_frames(files / "clip.mp4", chosen)) == [(0, 0), (0, 1), (0, 3)]
    assert keys(select_frames(files / "videos.slp", chosen)) == [(0, 0), (0, 10), (1, 0)]


def test_images_of_one_frame_are_refused() -> None:
    image = np.zeros((8, 8, 1), np.uint8)
    with pytest.raises(DataError, match=r"2 images are frame 7; give each an index of its own"):
        select_frames([(image, 7), (image, 8), (image, 7)])
    assert keys(select_frames([(image, 7), (image, 6)])) == [(0, 7), (0, 6)]
    batch = Batch(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.tensor([4, 4]), torch.tensor([1, 1]))
    with pytest.raises(DataError, match="2 images are frame 4 of video 1"):
        select_frames([batch])


@pytest.mark.parametrize("kind", [str, Path, sio.load_video])
def test_frames_of_a_video_are_its_indices(files: Path, kind: type) -> None:
    video = kind(str(files / "clip.mp4"))
    assert keys(select_frames(video)) == [(0, i) for i in range(5)]
    selection = select_frames(video, frames=[4, 0, 2])
    assert keys(selection) == [(0, 0), (0, 2), (0, 4)]
    assert selection.record == {"method": "specified", "frames_processed": 3, "frames_total": 5}
    assert selection.labels is None


def test_indices_that_a_video_does_not_have_are_left_out_with_a_warning(
    files: Path, warned: pytest.LogCaptureFixture
) -> None:
    selection = select_frames(files / "clip.mp4", frames=[3, 5, -1, 700])
    assert keys(selection) == [(0, 3)]
    (record,) = warned.records
    assert (
        record.getMessage()
        == "3 requested frame(s) do not exist and are left out: -1, 5, 700; there are frames 0 to 4."
    )


def test_positions_that_labels_do_not_have_are_left_out_with_a_warning(
    files: Path, warned: pytest.LogCaptureFixture
) -> None:
    selection = select_frames(files / "videos.slp", frames=[4, 10])
    assert keys(selection) == [(1, 10)]
    assert "1 requested frame(s) do not exist and are left out: 10; there are 5 (positions" in warned.text


def test_a_long_list_of_missing_frames_is_cut(files: Path, warned: pytest.LogCaptureFixture) -> None:
    assert keys(select_frames(files / "clip.mp4", frames=range(4, 40))) == [(0, 4)]
    assert "35 requested frame(s) do not exist and are left out: 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, ...;" in warned.text


def test_a_choice_without_any_frame_is_empty_not_everything(files: Path) -> None:
    assert keys(select_frames(files / "clip.mp4", frames=[])) == []
    assert keys(select_frames(files / "videos.slp", frames=[])) == []


def test_video_index_takes_a_whole_video(files: Path, warned: pytest.LogCaptureFixture) -> None:
    selection = select_frames(files / "videos.slp", video_index=1)
    assert keys(selection) == [(1, i) for i in range(11)]
    assert selection.record["method"] == "specified"
    selection = select_frames(files / "videos.slp", frames=[5, 10, 11], video_index=1)
    assert keys(selection) == [(1, 5), (1, 10)]
    assert "left out: 11; there are frames 0 to 10." in warned.text


def test_video_index_of_embedded_images_takes_those_that_are_there(
    files: Path, warned: pytest.LogCaptureFixture
) -> None:
    assert keys(select_frames(files / "embedded.pkg.slp", video_index=0)) == [(0, 0), (0, 10), (0, 20)]
    selection = select_frames(files / "embedded.pkg.slp", frames=[10, 11], video_index=0)
    assert keys(selection) == [(0, 10)]
    assert selection.frames.read(FrameKey(0, 10)).image.any()
    assert "left out: 11; there are frames 0 to 20." in warned.text


@pytest.mark.parametrize("index", [-1, 2])
def test_a_video_index_that_labels_do_not_have_is_refused(files: Path, index: int) -> None:
    with pytest.raises(ConfigError, match=rf"video_index is {index}, but the labels hold 2 video\(s\); choose 0 to 1"):
        select_frames(files / "videos.slp", video_index=index)


@pytest.fixture
def mixed(files: Path) -> sio.Labels:
    """Return labels whose frame 10 of the first video has a predicted instance only."""
    labels = sio.load_slp(str(files / "videos.slp"))
    frame = labels[1]
    points = frame.instances[0].numpy()
    frame.instances = [sio.PredictedInstance.from_numpy(points, skeleton=labels.skeleton, score=0.5)]
    return labels


def test_only_labeled_frames_leaves_predicted_ones_out(mixed: sio.Labels) -> None:
    assert keys(select_frames(mixed)) == ALL
    selection = select_frames(mixed, only_labeled_frames=True)
    assert keys(selection) == [key for key in ALL if key != (0, 10)]
    assert selection.record == {"method": "labeled", "frames_processed": 4, "frames_total": 4}
    assert keys(select_frames(mixed, frames=[1], only_labeled_frames=True)) == [(0, 20)]


def test_only_labeled_frames_of_one_video(mixed: sio.Labels) -> None:
    assert keys(select_frames(mixed, video_index=0, only_labeled_frames=True)) == [(0, 0), (0, 20)]
    assert keys(select_frames(mixed, [20, 0], video_index=0, only_labeled_frames=True)) == [(0, 0), (0, 20)]


def test_only_labeled_frames_of_a_video_has_no_effect_and_says_so(
    files: Path, warned: pytest.LogCaptureFixture
) -> None:
    assert len(select_frames(files / "clip.mp4", only_labeled_frames=True).frames) == 5
    assert "only_labeled_frames has no effect" in warned.text


def test_entries_come_by_video_and_frame_whatever_their_order(files: Path) -> None:
    labels = sio.load_slp(str(files / "videos.slp"))
    labels.labeled_frames.reverse()
    assert keys(select_frames(labels)) == ALL


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((3, 8, 6, 1), np.uint8),
        np.zeros((3, 8, 6), np.uint8),
        [np.zeros((8, 6, 3), np.uint8)] * 3,
        (np.zeros((8, 6), np.uint8), np.zeros((8, 6), np.uint8), np.zeros((8, 6), np.uint8)),
    ],
)
def test_images_are_numbered(images: np.ndarray) -> None:
    selection = select_frames(images)
    assert keys(selection) == [(0, 0), (0, 1), (0, 2)]
    assert selection.record == {"method": "all", "frames_processed": 3, "frames_total": 3}
    assert selection.frames.read(FrameKey(0, 2)).image.shape[:2] == (8, 6)


@pytest.mark.parametrize("source", [None, 5, {"video": "a.mp4"}, object()])
def test_a_source_of_another_type_is_refused(source: object) -> None:
    with pytest.raises(TypeError, match=f"The source is a {type(source).__name__}; give a path"):
        select_frames(source)


@pytest.mark.parametrize("name", ["nothing.slp", "nothing.mp4"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingFileError, match=name):
        select_frames(tmp_path / name)


def test_labels_without_a_video_are_refused() -> None:
    with pytest.raises(DataError, match="in memory name no video"):
        select_frames(sio.Labels())


def test_labels_whose_video_is_gone_are_refused_before_anything_is_read() -> None:
    with pytest.raises(MissingFileError, match=r"missing\.mp4"):
        select_frames(make_labels(2))


def test_image_files_are_all_files_that_are_read(files: Path, tmp_path: Path) -> None:
    assert select_frames(files / "clip.mp4").image_files == [files / "clip.mp4"]
    assert select_frames(files / "videos.slp").image_files == [files / "clip0.mp4", files / "clip1.mp4"]
    assert set(select_frames(files / "embedded.pkg.slp").image_files) == {files / "embedded.pkg.slp"}
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / name), np.zeros((8, 8), np.uint8))
    assert select_frames(folder).image_files == [folder / "a.png", folder / "b.png"]


@pytest.fixture
def suggesting(mixed: sio.Labels) -> sio.Labels:
    """Return `mixed` with suggestions: frame 0, which a user has labelled, and frames 5 and 7."""
    for index in (0, 5, 7):
        mixed.suggestions.append(sio.SuggestionFrame(mixed.videos[0], index))
    return mixed


@pytest.mark.parametrize(
    ("choice", "expected", "method"),
    [
        ({"only_suggested_frames": True}, [(0, 5), (0, 7)], "suggested"),
        ({"exclude_user_labeled": True}, [(0, 10)], "unlabeled"),
        ({"only_predicted_frames": True}, [(0, 10)], "predicted"),
        ({"only_suggested_frames": True, "video_index": 0}, [(0, 5), (0, 7)], "suggested"),
        ({"only_suggested_frames": True, "video_index": 1}, [], "suggested"),
        ({"exclude_user_labeled": True, "video_index": 1}, [(1, i) for i in range(1, 10)], "unlabeled"),
        ({"only_predicted_frames": True, "video_index": 0}, [(0, 10)], "predicted"),
        ({"exclude_user_labeled": True, "video_index": 1, "frames": [0, 3, 9]}, [(1, 3), (1, 9)], "unlabeled"),
        ({"only_suggested_frames": True, "frames": [1]}, [(0, 7)], "suggested"),
    ],
)
def test_label_filters(suggesting: sio.Labels, choice: dict, expected: list, method: str) -> None:
    selection = select_frames(suggesting, **choice)
    assert keys(selection) == expected
    assert selection.record["method"] == method


def test_of_several_filters_the_first_counts(suggesting: sio.Labels, warned: pytest.LogCaptureFixture) -> None:
    selection = select_frames(suggesting, only_predicted_frames=True, only_suggested_frames=True)
    assert keys(selection) == [(0, 5), (0, 7)]
    assert "only only_suggested_frames counts" in warned.text
    with pytest.raises(UsageError, match="exclude each other"):
        select_frames(suggesting, only_labeled_frames=True, exclude_user_labeled=True)


def test_frames_without_a_stored_image_are_left_out(files: Path, warned: pytest.LogCaptureFixture) -> None:
    labels = sio.load_slp(str(files / "embedded.pkg.slp"))
    labels.suggestions.append(sio.SuggestionFrame(labels.videos[0], 4))
    assert keys(select_frames(labels, only_suggested_frames=True)) == []
    assert "1 frame(s) are left out because the labels file does not store" in warned.text


@pytest.mark.parametrize("axes", ["channels_last", "channels_first"])
def test_hdf5_videos_have_a_data_set_and_an_order_of_axes(tmp_path: Path, axes: str) -> None:
    images = np.random.default_rng(0).integers(0, 255, (4, 12, 16, 1), np.uint8)
    with h5py.File(tmp_path / "clip.h5", "w") as file:
        file["other"] = np.zeros((2, 8, 8, 1), np.uint8)
        file["box"] = images if axes == "channels_last" else np.transpose(images, (0, 3, 2, 1))
    selection = select_frames(tmp_path / "clip.h5", video_dataset="box", video_input_format=axes)
    assert len(selection.frames) == 4
    np.testing.assert_array_equal(selection.frames.read(FrameKey(0, 2)).image, images[2])


def test_options_of_hdf5_videos_are_refused_for_others(files: Path) -> None:
    for source in (files / "clip.mp4", files / "videos.slp", np.zeros((2, 8, 8), np.uint8)):
        with pytest.raises(UsageError, match="video_dataset"):
            select_frames(source, video_dataset="box")
    with pytest.raises(TypeError, match="video_datset"):
        select_frames(files / "clip.mp4", video_datset="box")  # pyright: ignore[reportCallIssue]


def test_several_sources_are_joined(files: Path) -> None:
    selection = select_frames([files / "clip.mp4", files / "videos.slp", sio.load_video(str(files / "clip.mp4"))])
    assert keys(selection) == [
        *((0, i) for i in range(5)),
        *[(1, 0), (1, 10), (1, 20), (2, 0), (2, 10)],
        *((3, i) for i in range(5)),
    ]
    assert selection.record == {"method": "all", "frames_processed": 15, "frames_total": 15}
    with pytest.raises(UsageError, match="one input at a time"):
        select_frames([files / "clip.mp4"], frames=[0])
    with pytest.raises(DataError, match="empty"):
        select_frames([])


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (np.zeros((8, 6), np.uint8), [(0, 0)]),
        (np.zeros((8, 6, 3), np.uint8), [(0, 0)]),
        (torch.zeros((2, 1, 8, 6), dtype=torch.uint8), [(0, 0), (0, 1)]),
        ([(np.zeros((8, 6), np.uint8), 4), (np.zeros((8, 6), np.uint8), 7)], [(0, 4), (0, 7)]),
        ((np.zeros((8, 6), np.uint8) for _ in range(2)), [(0, 0), (0, 1)]),
    ],
)
def test_images_come_in_every_shape(images: object, expected: list) -> None:
    selection = select_frames(images)  # pyright: ignore[reportArgumentType]
    assert keys(selection) == expected
    assert all(frame.image.shape[:2] == (8, 6) for frame in selection.frames)


def test_a_video_is_named_for_readers_in_other_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(tmp_path / "clip.mp4", num_frames=2)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inner").mkdir()
    (tmp_path / "link.mp4").symlink_to("clip.mp4")
    for given, name in (("clip.mp4", "clip.mp4"), ("inner/../clip.mp4", "clip.mp4"), ("inner/../link.mp4", "link.mp4")):
        (video,) = select_frames(given).videos
        assert video.filename == (tmp_path / name).as_posix()
    with pytest.raises(MissingFileError, match=r"The video nothing\.mp4 does not exist"):
        select_frames("nothing.mp4")
