import csv
import json
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import sleap_io as sio
from factories import make_video
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


def test_a_table_without_rows_has_the_columns_of_others(tmp_path: Path) -> None:
    own = labels(2)
    for frame in own.labeled_frames[3:]:
        frame.instances = []
    full, empty = (path.read_text().splitlines() for path in write_format(own, tmp_path / "out.slp", "csv"))
    assert empty == full[:1]


def test_images_of_equal_names_are_told_apart(tmp_path: Path) -> None:
    own = labels(2)
    own.videos[1].filename = ["front/1.png", "front/2.png", *(f"{i}.png" for i in range(7))]
    (path,) = write_format(own, tmp_path / "out.slp", "coco")
    names = [image["file_name"] for image in json.loads(path.read_text())["images"]]
    assert names == [*(f"clip_frame_{i:06d}.png" for i in (2, 3, 5)), "0.png", "1.png", "3.png"]
    own.videos[1].filename = "other/clip.mp4"
    (path,) = write_format(own, tmp_path / "out.slp", "coco")
    names = [image["file_name"] for image in json.loads(path.read_text())["images"]]
    assert names == [f"clip_{video}/clip_frame_{i:06d}.png" for video in (0, 1) for i in (2, 3, 5)]


def with_a_correction() -> sio.Labels:
    """Return tracked predictions; in frame 2, a user has moved the animal x and drawn a third one, without a track."""
    own = labels(tracked=True)
    frame, skeleton = own.labeled_frames[0], own.skeletons[0]
    moved = sio.Instance.from_numpy(np.array([[20.0, 21], [22, 23]]), skeleton=skeleton, track=own.tracks[0])
    moved.from_predicted = frame.instances[0]
    frame.instances[0].track = None
    drawn = sio.Instance.from_numpy(np.array([[30.0, 31], [np.nan, np.nan]]), skeleton=skeleton)
    frame.instances += [moved, drawn]
    return own


def test_animals_that_a_user_drew_are_in_every_table(tmp_path: Path) -> None:
    own = with_a_correction()
    (path,) = write_format(own, tmp_path / "out.slp", "dlc")
    rows = list(csv.reader(path.read_text().splitlines()))
    names = rows[1][1::6]
    values = dict(zip(names, np.array(rows[4 + 2][1:], dtype=object).reshape(-1, 6).tolist(), strict=True))
    assert values["x"] == ["20", "21", "1", "22", "23", "1"]
    assert values["y"] == ["2", "1", "0.5", "", "", ""]
    assert values["individual_1"] == ["30", "31", "1", "", "", ""]
    assert sorted(names) == ["individual_1", "x", "y"]
    (path,) = write_format(own, tmp_path / "out.slp", "analysis_h5")
    with h5py.File(path) as file:
        assert [name.decode() for name in file["track_names"]] == ["x", "y", "individual_1"]
        assert file["tracks"][0, :, 0, 2].tolist() == [20, 21]
    (path,) = write_format(own, tmp_path / "out.slp", "csv")
    assert len(path.read_text().splitlines()) == 1 + 3 + 2
    (path,) = write_format(own, tmp_path / "out.slp", "coco")
    assert len(json.loads(path.read_text())["annotations"]) == 3 + 2
    assert len(own.labeled_frames[0].instances) == 4


def test_times_of_a_video_that_nobody_has_opened(tmp_path: Path) -> None:
    own = labels()
    own.videos[0].filename = str(make_video(tmp_path / "clip.mp4", num_frames=LENGTH))
    own.videos[0].open_backend = False
    (path,) = write_format(own, tmp_path / "out.slp", "nwb")
    with h5py.File(path) as file:
        assert file["processing/behavior/individual_0/a/timestamps"][:].tolist() == [2 / 30, 5 / 30]


def test_nwb_has_names_that_are_no_paths(tmp_path: Path) -> None:
    """Names with slashes were found out about when all frames were predicted."""
    own = labels(tracked=True)
    own.tracks[0].name, own.tracks[1].name = "m/1", "m_1"
    own.skeletons[0].rename_nodes({"a": "left:ear"})
    (path,) = write_format(own, tmp_path / "out.slp", "nwb")
    with h5py.File(path) as file:
        poses = file["processing/behavior"]
        assert sorted(poses) == ["Skeletons", "m_1", "m_1_1"]
        assert poses["m_1/left_ear/data"][:].tolist() == [[2, 1], [5, 1]]
        assert poses["m_1_1/left_ear/data"][:].tolist() == [[2, 0], [5, 0]]
        assert poses["m_1_1/description"][()].decode().startswith("Poses of m/1;")
        assert [name.decode() for name in poses["Skeletons/skeleton/nodes"]] == ["left:ear", "b"]


def test_two_animals_of_one_name_are_both_in_a_file(tmp_path: Path) -> None:
    own = labels(tracked=True)
    own.tracks[1].name = "x"
    (path,) = write_format(own, tmp_path / "out.slp", "analysis_h5")
    with h5py.File(path) as file:
        assert [name.decode() for name in file["track_names"]] == ["x", "individual_1"]
        assert file["tracks"][:, :, 0, 5].tolist() == [[5, 0], [5, 1]]
    (path,) = write_format(own, tmp_path / "out.slp", "dlc")
    assert path.read_text().splitlines()[4 + 5] == "5,5,0,0.5,,,,5,1,0.5,,,"


def test_tracks_of_a_user_are_kept(tmp_path: Path) -> None:
    own = labels(tracked=True)
    for frame in own:
        frame.instances = [
            sio.Instance.from_numpy(i.numpy(), skeleton=own.skeletons[0], track=i.track) for i in frame.instances
        ]
    (path,) = write_format(own, tmp_path / "out.slp", "analysis_h5")
    with h5py.File(path) as file:
        assert [name.decode() for name in file["track_names"]] == ["x", "y"]
