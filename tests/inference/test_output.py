from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
from factories import make_labels, make_video

from sleap_nn.data.sources import VideoFrames
from sleap_nn.errors import ConfigError, InputOverwrittenError, OutputError, UsageError
from sleap_nn.inference.output import Output, save_analysis_h5_files, save_labels, save_predictions
from sleap_nn.inference.select import Selection, select_frames
from sleap_nn.inference.to_labels import to_labels
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.whole_files import check_output

SKELETON = Skeleton(("nose", "left", "right"), edges=((0, 1), (0, 2)), symmetries=((1, 2),), name="mouse")
VIDEOS = [sio.Video(name, open_backend=False) for name in ("a.mp4", "b.mp4")]


def predictions(video: int, frame: int, num_instances: int) -> Predictions:
    """Return instances whose middle node was not found."""
    rng = np.random.default_rng([video, frame])
    points = rng.uniform(0, 99, (num_instances, 3, 2)).astype(np.float32)
    point_scores = rng.random((num_instances, 3), np.float32)
    points[:, 1], point_scores[:, 1] = np.nan, 0
    return Predictions(FrameKey(video, frame), points, point_scores, point_scores.sum(axis=1))


FOUND = [predictions(0, 3, 2), Predictions.empty(FrameKey(0, 4), 3), predictions(1, 0, 1)]


def assert_same(labels: sio.Labels, found: list[Predictions]) -> None:
    assert len(labels) == len(found)
    for frame, expected in zip(labels, found, strict=True):
        assert labels.videos.index(frame.video) == expected.key.video
        assert frame.frame_idx == expected.key.frame
        assert all(type(instance) is sio.PredictedInstance for instance in frame.instances)
        assert len(frame.instances) == len(expected)
        for instance, points, scores, score in zip(
            frame.instances, expected.points, expected.point_scores, expected.scores, strict=True
        ):
            np.testing.assert_allclose(instance.numpy(), points, rtol=0, atol=1e-6)
            found_scores = instance.numpy(scores=True)[:, 2]
            visible = ~np.isnan(points[:, 0])
            np.testing.assert_allclose(found_scores[visible], scores[visible], rtol=1e-6)
            assert instance.score == pytest.approx(score, rel=1e-6)
            assert instance.track is None


def test_a_saved_file_gives_the_same_back(tmp_path: Path) -> None:
    path = tmp_path / "out.slp"
    labels = to_labels(FOUND, SKELETON, VIDEOS)
    labels.provenance["model_type"] = "single_instance"
    save_labels(labels, path)
    read = sio.load_slp(str(path), open_videos=False)
    assert_same(read, FOUND)
    assert read.skeleton.symmetry_inds == labels.skeleton.symmetry_inds
    assert [Path(video.filename).name for video in read.videos] == ["a.mp4", "b.mp4"]
    assert read.provenance["model_type"] == "single_instance"
    assert labels.provenance["filename"] == path.as_posix()
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_without_a_single_instance_can_be_saved_and_read(tmp_path: Path) -> None:
    save_labels(to_labels([Predictions.empty(FrameKey(0, 7), 3)], SKELETON, VIDEOS), tmp_path / "out.slp")
    read = sio.load_slp(str(tmp_path / "out.slp"), open_videos=False)
    assert [(frame.frame_idx, len(frame.instances)) for frame in read] == [(7, 0)]


def test_an_output_in_a_new_folder_is_fine_and_leaves_nothing_behind(tmp_path: Path) -> None:
    check_output(tmp_path / "new" / "deep" / "out.slp", [tmp_path / "clip.mp4"])
    assert list((tmp_path / "new" / "deep").iterdir()) == []
    (tmp_path / "old.slp").write_text("old")
    check_output(tmp_path / "old.slp", [])
    assert (tmp_path / "old.slp").read_text() == "old"


def test_an_output_that_is_an_input_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("clip.slp").touch()
    Path("link.slp").symlink_to("clip.slp")
    for name in ("clip.slp", "./sub/../clip.slp", "link.slp", str(tmp_path / "clip.slp")):
        with pytest.raises(OutputError, match="is a file that is read"):
            check_output(Path(name), [tmp_path / "other.mp4", Path("clip.slp")])


def test_an_output_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"is a folder; name a \.slp file"):
        check_output(tmp_path, [])


def test_an_output_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        check_output(tmp_path / "file" / "out.slp", [])


def test_an_output_in_a_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("sleap_nn.whole_files.tempfile.NamedTemporaryFile", refuse)
    with pytest.raises(OutputError, match=r"Permission denied.*choose another folder"):
        check_output(tmp_path / "out.slp", [])


@pytest.mark.parametrize("step", ["save", "replace"])
def test_an_earlier_file_survives_a_failing_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "out.slp"
    save_labels(to_labels(FOUND, SKELETON, VIDEOS), path)
    before = path.read_bytes()

    def half_a_file(_labels: sio.Labels, filename: str, **_: object) -> None:
        Path(filename).write_bytes(before[:100])
        raise OSError(28, "No space left on device")

    def no_replace(*_: object) -> None:
        raise OSError(13, "Permission denied")

    if step == "save":
        monkeypatch.setattr(sio.Labels, "save", half_a_file)
    else:
        monkeypatch.setattr(Path, "replace", no_replace)
    labels = to_labels(FOUND[:1], SKELETON, VIDEOS)
    with pytest.raises(OutputError, match=r"cannot be written to .*out\.slp .*(No space|Permission)"):
        save_labels(labels, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_when_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.slp"
    path.write_text("no labels at all")
    save_labels(to_labels(FOUND, SKELETON, VIDEOS), path)
    assert_same(sio.load_slp(str(path), open_videos=False), FOUND)


def test_unknown_values_are_refused() -> None:
    for keywords, word in (({"output_format": "png"}, "output_format"), ({"embed": "maybe"}, "embed")):
        with pytest.raises(ConfigError, match=word):
            Output.from_keywords("out.slp", **keywords)
    with pytest.raises(ConfigError, match="output_format"):
        Output.from_keywords("out.slp", [])
    assert Output.from_keywords("out.slp", "ANALYSIS_H5", True).formats == ("analysis_h5",)
    assert Output.from_keywords("out.slp", embed=True).embed == "true"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a package made of a video that is still there."""
    make_labels(3, path=tmp_path / "videos.slp", embed=False)
    sio.load_slp(str(tmp_path / "videos.slp")).save(str(tmp_path / "labels.pkg.slp"), embed=True, verbose=False)
    return tmp_path / "labels.pkg.slp"


def written(package: Path, **keywords: object) -> sio.Video:
    """Predict something on a package, write it, and return the video of the output."""
    selection = select_frames(package)
    found = [Predictions.empty(key, 3) for key in selection.frames.keys]
    output = Output.from_keywords(package.with_name("out.slp"), **keywords)  # pyright: ignore[reportArgumentType]
    output.check(selection)
    assert output.write(to_labels(found, SKELETON, selection.frames.videos()), selection) == [output.path]
    labels = sio.load_slp(str(output.path))
    assert [frame.frame_idx for frame in labels] == [key.frame for key in selection.frames.keys]
    return labels.video


def test_the_output_refers_to_the_input_or_to_its_source_or_holds_the_images(package: Path) -> None:
    assert written(package).filename == str(package)
    assert written(package, restore_source_videos=True).filename == str(next(package.parent.glob("*.mp4")))
    for embed in ("true", "auto"):
        video = written(package, embed=embed)
        assert video.filename == str(package.with_name("out.slp"))
        np.testing.assert_array_equal(video[10], sio.load_slp(str(package)).video[10])
    video = package.with_name("clip.mp4")
    make_video(video, num_frames=3)
    assert written(video, embed="auto").filename == str(video)


def test_images_in_memory_cannot_be_stored(tmp_path: Path) -> None:
    output = Output.from_keywords(tmp_path / "out.slp", embed=True)
    with pytest.raises(UsageError, match="in memory"):
        output.check(select_frames(np.zeros((2, 8, 8), np.uint8)))


def test_labels_that_are_the_input_are_not_overwritten(tmp_path: Path) -> None:
    make_labels(2, path=tmp_path / "labels.slp", embed=False)
    with pytest.raises(InputOverwrittenError):
        Output.from_keywords(tmp_path / "labels.slp").check(select_frames(tmp_path / "labels.slp"))


def test_labels_are_saved_in_the_formats_that_are_asked_for(tmp_path: Path) -> None:
    labels = predicted_labels()
    files = save_predictions(labels, tmp_path / "new" / "out.predictions.slp", ["slp", "analysis_h5"])
    assert [path.name for path in files] == ["out.a.analysis.h5", "out.b.analysis.h5"]
    assert len(sio.load_slp(str(tmp_path / "new" / "out.predictions.slp")).labeled_frames) == 2
    with pytest.raises(ConfigError, match="output_format"):
        save_predictions(labels, tmp_path / "out.slp", "xyz")


def test_the_analysis_of_one_video_only(tmp_path: Path) -> None:
    labels = predicted_labels()
    both = save_analysis_h5_files(labels, tmp_path / "out.slp")
    assert [path.name for path in both] == ["out.a.analysis.h5", "out.b.analysis.h5"]
    (one,) = save_analysis_h5_files(labels, tmp_path / "one.slp", video_index=1)
    assert one.name == "one.analysis.h5"
    assert len(labels.labeled_frames) == 2
    assert not (tmp_path / "one.slp").exists()
    with pytest.raises(ConfigError, match="video_index is 5"):
        save_analysis_h5_files(labels, tmp_path / "one.slp", video_index=5)


def predicted_labels() -> sio.Labels:
    skeleton = sio.Skeleton(["nose", "tail"], edges=[("nose", "tail")])
    shape = {"shape": (3, 8, 8, 1)}
    videos = [sio.Video(f"{name}.mp4", open_backend=False, backend_metadata=shape) for name in "ab"]
    frames = [
        sio.LabeledFrame(
            video=video,
            frame_idx=1,
            instances=[sio.PredictedInstance.from_numpy(np.ones((2, 2)), skeleton, np.ones(2), 1.0)],
        )
        for video in videos
    ]
    return sio.Labels(frames, videos=videos, skeletons=[skeleton])


def test_labels_are_named_as_labels(tmp_path: Path) -> None:
    selection = select_frames(np.zeros((2, 8, 8), np.uint8))
    for name in ("out", "out.csv", "new/out.h5", "out.mp4"):
        with pytest.raises(UsageError, match=r"does not end in \.slp; name it out\.slp"):
            Output.from_keywords(tmp_path / name).check(selection)
    Output.from_keywords(tmp_path / "OUT.SLP").check(selection)
    Output.from_keywords(tmp_path / "out", "csv").check(selection)


def test_no_format_overwrites_what_is_read(tmp_path: Path) -> None:
    make_labels(2, path=tmp_path / "labels.slp", embed=False)
    selection = select_frames(tmp_path / "labels.slp")
    for name in ("table.csv", "table.analysis.h5"):
        (tmp_path / name).touch()
    for other, kind in (("table.csv", "csv"), ("table.analysis.h5", "analysis_h5")):
        output = Output.from_keywords(tmp_path / "table.slp", ["slp", kind])
        output.check(selection)
        with pytest.raises(InputOverwrittenError, match=other):
            output.check(selection, [tmp_path / other])


def test_no_format_of_one_of_several_videos_overwrites_what_is_read(tmp_path: Path) -> None:
    labels = predicted_labels()
    selection = Selection(VideoFrames(labels.videos, []), None, labels)
    for other in ("out.csv", "out.a.csv", "out.b_1.csv"):
        (tmp_path / other).touch()
        with pytest.raises(InputOverwrittenError, match=other):
            Output.from_keywords(tmp_path / "out.slp", "csv").check(selection, [tmp_path / other])


@pytest.mark.parametrize("letters", [60, 255])
def test_a_name_too_long_for_what_lies_beside_the_output_is_refused(tmp_path: Path, letters: int) -> None:
    """Its journal and manifest are written, too: at the end of a prediction it would be too late to say so."""
    video = make_video(tmp_path / "clip.mp4", num_frames=1)
    with pytest.raises(OutputError, match=r"File name too long.*choose a shorter name"):
        Output(tmp_path / f"{'🐁' * letters}.slp").check(select_frames(video))


def test_two_formats_do_not_write_one_file(tmp_path: Path) -> None:
    selection = select_frames(np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(UsageError, match=r"x\.dlc\.csv would be written as csv and as dlc"):
        Output.from_keywords(tmp_path / "x.dlc.csv", ["csv", "dlc"]).check(selection)
