import csv
import json
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import sleap_io as sio
from pynwb import NWBHDF5IO

from sleap_nn.data.label_formats import FORMATS, format_paths, write_format
from sleap_nn.errors import OutputError

LENGTH = 9


def labels(num_videos: int = 1, tracked: bool = False, folder: str = "") -> sio.Labels:
    """Return predictions of two animals in frames 2 and 5, and none in frame 3, of each video."""
    skeleton = sio.Skeleton(["a", "b"], edges=[("a", "b")], name="worm")
    names = [f"{folder}{i % 2}/clip.mp4" for i in range(num_videos)]
    videos = [sio.Video(n, backend_metadata={"shape": (LENGTH, 8, 8, 1)}, open_backend=False) for n in names]
    tracks = [sio.Track("x"), sio.Track("y")] if tracked else []
    frames = []
    for video in videos:
        for index in (2, 3, 5):
            instances = [] if index == 3 else [animal(skeleton, index, i, tracks) for i in range(2)]
            frames.append(sio.LabeledFrame(video=video, frame_idx=index, instances=instances))
    return sio.Labels(frames, videos=videos, skeletons=[skeleton], tracks=tracks)


def animal(skeleton: sio.Skeleton, index: int, number: int, tracks: list[sio.Track]) -> sio.PredictedInstance:
    points = np.array([[index, number], [np.nan, np.nan]])
    return sio.PredictedInstance.from_numpy(
        points,
        skeleton=skeleton,
        point_scores=np.array([0.5, 0.0]),
        score=0.7,
        track=tracks[number] if tracks else None,
    )


@pytest.mark.parametrize(
    ("output", "name", "expected"),
    [
        ("clip.predictions.slp", "analysis_h5", "clip.analysis.h5"),
        ("clip.mp4.slp", "analysis_h5", "clip.mp4.analysis.h5"),
        ("clip.slp", "csv", "clip.csv"),
        ("clip.csv", "csv", "clip.csv"),
        ("clip.dlc.csv", "dlc", "clip.dlc.csv"),
        ("clip", "nwb", "clip.nwb"),
        ("clip.slp", "coco", "clip.coco.json"),
    ],
)
def test_names(output: str, name: str, expected: str) -> None:
    assert [path.as_posix() for path in format_paths(labels(), Path("out") / output, name)] == [f"out/{expected}"]


def test_one_file_a_video_where_a_format_holds_one() -> None:
    two = labels(3)
    assert [path.name for path in format_paths(two, Path("o.slp"), "analysis_h5")] == [
        "o.clip_0.analysis.h5", "o.clip_1.analysis.h5", "o.clip_2.analysis.h5",
    ]  # fmt: skip
    assert [path.name for path in format_paths(two, Path("o.slp"), "coco")] == ["o.coco.json"]


def test_videos_without_frames_are_left_out_and_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sleap_nn.log.logger.propagate", True)
    own = labels()
    own.videos.append(sio.Video("other.mp4", open_backend=False))
    assert len(format_paths(own, Path("o.slp"), "csv")) == 1
    assert "other has no predicted frames" in caplog.text


@pytest.mark.parametrize("tracked", [False, True])
def test_analysis_covers_all_frames_of_the_video(tmp_path: Path, tracked: bool) -> None:
    (path,) = write_format(labels(tracked=tracked), tmp_path / "out.slp", "analysis_h5")
    with h5py.File(path) as file:
        assert file["tracks"].shape == (2, 2, 2, LENGTH)
        assert file["track_occupancy"].shape == (LENGTH, 2)
        np.testing.assert_array_equal(file["tracks"][:, :, 0, 5], [[5, 0], [5, 1]])
        assert np.isnan(file["tracks"][..., 3]).all()
        np.testing.assert_allclose(file["instance_scores"][:, 2], 0.7)
        names = [name.decode() for name in file["track_names"]]
    assert names == (["x", "y"] if tracked else ["track_0", "track_1"])
    assert list(tmp_path.iterdir()) == [path]


def test_an_animal_without_a_track_is_not_lost_among_those_with_one(tmp_path: Path) -> None:
    own = labels(tracked=True)
    own.labeled_frames[0].instances[1].track = None
    (path,) = write_format(own, tmp_path / "out.slp", "analysis_h5")
    with h5py.File(path) as file:
        assert file["track_occupancy"][2].sum() == 2


def test_table_of_deeplabcut(tmp_path: Path) -> None:
    (path,) = write_format(labels(tracked=True), tmp_path / "out.slp", "dlc")
    rows = list(csv.reader(path.read_text().splitlines()))
    assert [row[0] for row in rows[:4]] == ["scorer", "individuals", "bodyparts", "coords"]
    assert rows[1][1:] == ["x"] * 6 + ["y"] * 6
    assert rows[3][1:4] == ["x", "y", "likelihood"]
    assert [row[0] for row in rows[4:]] == [str(i) for i in range(LENGTH)]
    assert rows[4 + 5][1:] == ["5", "0", "0.5", "", "", "", "5", "1", "0.5", "", "", ""]
    assert set(rows[4][1:]) == {""}


def test_table_of_one_animal_has_no_row_of_names(tmp_path: Path) -> None:
    own = labels()
    for frame in own.labeled_frames:
        frame.instances = frame.instances[:1]
    (path,) = write_format(own, tmp_path / "out.slp", "dlc")
    assert [row[0] for row in csv.reader(path.read_text().splitlines())][:3] == ["scorer", "bodyparts", "coords"]


def test_other_formats_hold_all_instances(tmp_path: Path) -> None:
    own = labels(2, folder=f"{tmp_path}/")
    (first, _) = write_format(own, tmp_path / "out.slp", "csv")
    assert len(first.read_text().splitlines()) == 1 + 4
    (coco,) = write_format(own, tmp_path / "out.slp", "coco")
    content = json.loads(coco.read_text())
    assert (len(content["images"]), len(content["annotations"])) == (6, 8)


@pytest.mark.parametrize("tracked", [False, True])
def test_nwb_holds_times_points_and_scores(tmp_path: Path, tracked: bool) -> None:
    (path,) = write_format(labels(tracked=tracked), tmp_path / "out.slp", "nwb")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with NWBHDF5IO(str(path), "r") as file:
            found = file.read().processing["behavior"].data_interfaces
            names = {name for name in found if name != "Skeletons"}
            assert names == ({"x", "y"} if tracked else {"individual_0", "individual_1"})
            series = found[min(names)]["a"]
            assert series.data[:].tolist() == [[2, 0], [5, 0]]
            assert series.timestamps[:].tolist() == [2, 5]
            assert series.confidence[:].tolist() == [0.5, 0.5]
            assert len(found[min(names)]["b"].data) == 0
            assert list(found["Skeletons"].skeletons["skeleton"].nodes[:]) == ["a", "b"]


@pytest.mark.parametrize("name", FORMATS)
def test_an_earlier_file_survives_a_failing_write(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = write_format(labels(), tmp_path / "out.slp", name)
    before = path.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OutputError, match=f"as {name} .*No space"):
        write_format(labels(), tmp_path / "out.slp", name)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", FORMATS)
def test_predictions_without_a_single_instance_are_written(tmp_path: Path, name: str) -> None:
    own = labels()
    for frame in own.labeled_frames:
        frame.instances = []
    assert len(write_format(own, tmp_path / "out.slp", name)) == 1


def test_tracks_of_a_user_are_kept(tmp_path: Path) -> None:
    own = labels(tracked=True)
    for frame in own:
        frame.instances = [
            sio.Instance.from_numpy(i.numpy(), skeleton=own.skeletons[0], track=i.track) for i in frame.instances
        ]
    (path,) = write_format(own, tmp_path / "out.slp", "analysis_h5")
    with h5py.File(path) as file:
        assert [name.decode() for name in file["track_names"]] == ["x", "y"]
