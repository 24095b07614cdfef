"""Round trips: labels, a data set of another program, and labels again."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
import yaml
from factories import make_labels
from sleap_io.io.jabs import JABS_DEFAULT_SKELETON

from sleap_nn.data import label_formats
from sleap_nn.data.label_export import NAMES, export_labels, format_of
from sleap_nn.data.labels import Labels, load_labels
from sleap_nn.errors import DataError, MissingFileError, OutputError, UsageError

OUTPUTS = {
    "coco": "labels.json",
    "dlc": "project",
    "lightning_pose": "project",
    "yolo": "data_set",
    "slp": "copy.pkg.slp",
}
WITH_EDGES = ("coco", "dlc", "yolo", "slp")
WITH_TRACKS = ("coco", "dlc", "slp")
TOLERANCE = {"yolo": 64e-6}
"""YOLO writes six digits of a part of the image's size."""


def source(folder: Path, num_animals: int, embed: bool = True) -> Labels:
    """Return labels of two videos with hidden points, a predicted frame, and a corrected prediction."""
    path = folder / ("source.pkg.slp" if embed else "source.slp")
    labels = make_labels(5, path=path, num_animals=num_animals, num_clips=2, embed=embed)
    for i, frame in enumerate(labels):
        frame.instances[0].points["visible"][i] = False
        frame.instances[0].points["xy"][i] = np.nan
    predicted = sio.PredictedInstance.from_numpy(np.ones((9, 2)), skeleton=labels.skeletons[0], score=0.5)
    labels[0].instances.append(predicted)
    labels[4].instances = [predicted]
    return labels


def user_points(labels: Labels) -> list[np.ndarray]:
    return [np.array([i.numpy() for i in frame.user_instances]) for frame in labels if frame.user_instances]


def images(labels: Labels) -> list[np.ndarray]:
    return [frame.image for frame in labels if frame.user_instances]


@pytest.mark.parametrize(("name", "embed"), [*((name, True) for name in sorted(OUTPUTS)), ("coco", False)])
def test_round_trips(tmp_path: Path, name: str, embed: bool) -> None:
    num_animals = 1 if name == "lightning_pose" else 2
    labels = source(tmp_path, num_animals, embed)
    output = tmp_path / "new" / OUTPUTS[name]
    written = export_labels(labels, output, name)
    assert written[0] == output
    assert sorted(written) == sorted(output.parent.iterdir())
    back = load_labels(output)
    assert back.skeletons[0].node_names == labels.skeletons[0].node_names
    assert back.skeletons[0].edge_names == (labels.skeletons[0].edge_names if name in WITH_EDGES else [])
    before, after = user_points(labels), user_points(back)
    assert len(before) == len(after) == 4
    for i, (one, other) in enumerate(zip(before, after, strict=True)):
        assert np.isnan(one[0, i]).all()
        np.testing.assert_allclose(other, one, rtol=0, atol=TOLERANCE.get(name, 1e-9), equal_nan=True)
    for one, other in zip(images(labels), images(back), strict=True):
        np.testing.assert_array_equal(one, other)
    if name in WITH_TRACKS:
        names = [instance.track.name for instance in back[0].user_instances if instance.track]
        assert names == ["animal_0", "animal_1"]
    assert len({id(frame.video) for frame in back}) == 2


@pytest.mark.parametrize(("name", "read"), [("coco", sio.load_coco), ("dlc", sio.load_dlc_project)])
def test_other_readers_see_the_same(tmp_path: Path, name: str, read: Callable[[str], Labels]) -> None:
    output = tmp_path / OUTPUTS[name]
    export_labels(source(tmp_path, 2), output, name)
    own, other = load_labels(output), read(str(output))
    order = [other.skeletons[0].node_names.index(node) for node in own.skeletons[0].node_names]
    assert len(own) == len(other) == 4
    for one, another in zip(own, other, strict=True):
        np.testing.assert_array_equal(one.numpy(), another.numpy()[:, order])
        np.testing.assert_array_equal(one.image, another.image)


def test_frames_that_show_no_animal_stay_so_in_yolo(tmp_path: Path) -> None:
    labels = source(tmp_path, 1)
    labels[1].instances, labels[1].is_negative = [], True
    export_labels(labels, tmp_path / "out", "yolo")
    assert [frame.is_negative for frame in load_labels(tmp_path / "out")] == [False, True, False, False]


def test_one_video_of_yolo_is_labels_too(tmp_path: Path) -> None:
    labels = source(tmp_path, 1)
    export_labels(labels, tmp_path / "out", "yolo")
    place = tmp_path / "out" / "labels" / "train"
    assert len(load_labels(place)) == 4
    assert sorted(len(load_labels(folder)) for folder in place.iterdir()) == [1, 3]


def test_mirrored_nodes_are_exchanged_in_yolo(tmp_path: Path) -> None:
    labels = source(tmp_path, 1)
    export_labels(labels, tmp_path / "out", "yolo")
    about = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())
    names = about["node_names"]
    exchanged = {frozenset((names[i], names[j])) for i, j in enumerate(about["flip_idx"]) if i != j}
    assert exchanged == {frozenset(node.name for node in pair.nodes) for pair in labels.skeletons[0].symmetries}
    assert len(exchanged) == 2


def test_tables_of_all_videos_or_of_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = source(tmp_path, 1)
    write = label_formats.FORMATS["csv"].write
    calls: list[Path] = []

    def fails_at_the_second(given: Labels, path: Path, video: sio.Video) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise OSError("No space left on device")
        write(given, path, video)

    own = replace(label_formats.FORMATS["csv"], write=fails_at_the_second)
    monkeypatch.setitem(label_formats.FORMATS, "csv", own)
    with pytest.raises(OutputError, match="No space left"):
        export_labels(labels, tmp_path / "new" / "table.csv", "csv")
    assert len(calls) == 2
    assert list((tmp_path / "new").iterdir()) == []
    assert len(export_labels(labels, tmp_path / "new" / "table.csv", "csv")) == 2
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        export_labels(labels, tmp_path / "file" / "table.csv", "csv")


def test_predictions_are_written_where_no_user_labelled(tmp_path: Path) -> None:
    labels = source(tmp_path, 1)
    predicted = labels[4].instances[0]
    for frame in labels:
        frame.instances = [predicted]
    export_labels(labels, tmp_path / "out.json", "coco")
    content = json.loads((tmp_path / "out.json").read_text())
    assert len(content["images"]) == len(content["annotations"]) == 5


def test_several_skeletons_with_the_same_nodes_are_one(tmp_path: Path) -> None:
    labels = source(tmp_path, 1)
    points = labels[1].instances[0].numpy()
    for name, nodes in (("same", labels.skeletons[0].node_names), ("other", [f"node{i}" for i in range(9)])):
        own = sio.Skeleton(nodes)
        labels.skeletons = [labels.skeletons[0], own]
        labels[1].instances = [sio.Instance.from_numpy(points, skeleton=own)]
        if name == "same":
            export_labels(labels, tmp_path / "out.json", "coco")
            np.testing.assert_array_equal(load_labels(tmp_path / "out.json")[1].instances[0].numpy(), points)
        else:
            with pytest.raises(DataError, match="different skeletons"):
                export_labels(labels, tmp_path / "other.json", "coco")


def test_tables_of_a_video_replace_nothing(tmp_path: Path) -> None:
    labels = make_labels(2, path=tmp_path / "source.slp", embed=False)
    (path,) = export_labels(labels, tmp_path / "new" / "table.csv", "csv")
    assert "animal_0" in path.read_text()
    with pytest.raises(OutputError, match=r"table\.csv already exists"):
        export_labels(labels, path, "csv")


def test_a_new_labels_file_refers_to_the_images_or_holds_them(tmp_path: Path) -> None:
    labels = source(tmp_path, 1)
    export_labels(labels, tmp_path / "set.json", "coco")
    foreign = load_labels(tmp_path / "set.json")
    (path,) = export_labels(foreign, tmp_path / "new.slp", "slp")
    again = load_labels(path)
    assert [frame.video.filename[0] for frame in again] == [frame.video.filename[0] for frame in foreign]
    np.testing.assert_array_equal(again[3].image, labels[3].image)


def mice(*points: float, track: bool = True) -> Labels:
    skeleton, tracks = JABS_DEFAULT_SKELETON, [sio.Track("1")]
    video = sio.Video("/far/clip.avi", backend_metadata={"shape": (9, 50, 60, 1)}, open_backend=False)
    instances = [
        sio.Instance.from_numpy(np.full((12, 2), p), skeleton=skeleton, track=tracks[0] if track else None)
        for p in points
    ]
    frames = [sio.LabeledFrame(video=video, frame_idx=i, instances=[one]) for i, one in enumerate(instances)]
    return Labels(frames, videos=[video], skeletons=[skeleton], tracks=tracks)


def test_jabs(tmp_path: Path) -> None:
    export_labels(mice(2.6, 7.0), tmp_path / "out", "jabs")
    back = sio.load_jabs(str(tmp_path / "out" / "clip_pose_est_v5.h5"))
    assert [frame.instances[0].numpy()[0].tolist() for frame in back if frame.instances] == [[3, 3], [7, 7]]
    with pytest.raises(DataError, match="has no track"):
        export_labels(mice(2.6, track=False), tmp_path / "other", "jabs")
    with pytest.raises(DataError, match="outside the image"):
        export_labels(mice(-3), tmp_path / "other", "jabs")
    with pytest.raises(DataError, match="JABS holds the keypoints NOSE, "):
        export_labels(source(tmp_path, 1), tmp_path / "other", "jabs")
    assert not (tmp_path / "other").exists()


def test_nwb(tmp_path: Path) -> None:
    labels = source(tmp_path, 2, embed=False)
    export_labels(labels, tmp_path / "out.nwb", "nwb")
    back = sio.load_nwb(str(tmp_path / "out.nwb"))
    assert back.skeletons[0].node_names == labels.skeletons[0].node_names
    for one, other in zip(user_points(labels), user_points(back), strict=True):
        np.testing.assert_allclose(other, one, equal_nan=True)
    with pytest.raises(DataError, match="use labels without embedded images"):
        export_labels(source(tmp_path, 2), tmp_path / "other.nwb", "nwb")


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    labels = source(tmp_path, 2)
    with pytest.raises(DataError, match="2 animals, but Lightning Pose holds one"):
        export_labels(labels, tmp_path / "out", "lightning_pose")
    for frame in labels:
        for instance in frame.instances:
            instance.track = labels.tracks[0]
    with pytest.raises(DataError, match="two animals called animal_0"):
        export_labels(labels, tmp_path / "out", "dlc")
    for frame in labels:
        frame.instances = []
    with pytest.raises(DataError, match="nothing to write"):
        export_labels(labels, tmp_path / "out", "coco")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.pkg.slp"]


def test_nothing_is_replaced_and_nothing_is_left_by_a_failure(tmp_path: Path) -> None:
    labels = source(tmp_path, 1)
    (tmp_path / "out_images").mkdir()
    with pytest.raises(OutputError, match="out_images already exists"):
        export_labels(labels, tmp_path / "out.json", "coco")
    with pytest.raises(OutputError, match="already exists"):
        export_labels(labels, tmp_path / "source.pkg.slp", "slp")
    with pytest.raises(MissingFileError, match=r"missing\.mp4"):
        export_labels(make_labels(2), tmp_path / "out", "yolo")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        export_labels(labels, tmp_path / "file" / "out", "yolo")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "out_images", "source.pkg.slp"]


def test_names_of_videos_that_are_no_names_of_folders(tmp_path: Path) -> None:
    labels = source(tmp_path, 1)
    for video, name in zip(labels.videos, ("C:\\clips\\..", "a b/c?.mp4"), strict=True):
        video.source_video = sio.Video(name, open_backend=False)
    export_labels(labels, tmp_path / "out", "yolo")
    folders = sorted(path.name for path in (tmp_path / "out" / "images" / "train").iterdir())
    assert folders == ["c_", "video"]


@pytest.mark.parametrize(
    ("output", "name", "expected"),
    [
        ("a.slp", None, "slp"),
        ("a.pkg.slp", "slp", "slp"),
        ("a.json", None, "coco"),
        ("a.nwb", "nwb", "nwb"),
        ("a.analysis.h5", None, "analysis_h5"),
        ("folder", "yolo", "yolo"),
        ("folder.v2", "dlc", "dlc"),
    ],
)
def test_the_format_is_told_from_the_ending(output: str, name: str | None, expected: str) -> None:
    assert format_of(Path(output), name) == expected


@pytest.mark.parametrize(
    ("output", "name", "words"),
    [
        ("folder", None, r"tells no format; end it with \.slp, .*--format \(dlc"),
        ("a.json", "yolo", "ends with .json, but yolo is a folder"),
        ("a.slp", "coco", r"ends with .slp, but coco is \.json"),
        ("folder", "nwb", r"does not end with \.nwb"),
        ("a.slp", "mp3", f"choose among {', '.join(NAMES)}"),
    ],
)
def test_a_format_that_does_not_fit_is_refused(output: str, name: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        format_of(Path(output), name)
