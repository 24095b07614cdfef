import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
from factories import make_labels
from sleap_io.model.instance import PredictedInstance
from sleap_io.model.labels import Labels

from sleap_nn.data.frame_groups import FrameRow
from sleap_nn.data.label_table import LabelTable, common_names, fingerprints, same_videos, subset
from sleap_nn.data.labels import LabelSet, load_labels


def times(labels: Labels) -> list[int]:
    return [frame.frame_idx for frame in labels]


def without_user_instances(labels: Labels, indices: list[int]) -> None:
    """Turn the instances of some frames into predictions."""
    for index in indices:
        frame = labels.labeled_frames[index]
        frame.instances[:] = [
            PredictedInstance.from_numpy(instance.numpy(), skeleton=labels.skeletons[0], track=instance.track)
            for instance in frame
        ]


def test_frames_without_user_labels_are_in_no_table() -> None:
    labels = make_labels(6)
    without_user_instances(labels, [1, 4])
    labels.labeled_frames[2].instances = []
    labels.labeled_frames[3].instances[0].points["visible"] = False
    assert LabelTable.from_labels(labels).positions == (0, 5)
    assert LabelTable.from_labels(labels, user_instances_only=False).positions == (0, 1, 4, 5)


def test_flags_without_coordinates_do_not_count() -> None:
    labels = make_labels(3)
    (instance,) = labels.labeled_frames[1].instances
    instance.points["xy"] = np.nan
    instance.points["visible"] = True
    assert LabelTable.from_labels(labels).positions == (0, 2)


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("only_user", [False, True])
def test_a_table_has_the_very_frames_that_are_trained_on(negative: bool, stored: bool, only_user: bool) -> None:
    labels = make_labels(8)
    without_user_instances(labels, [1])
    for index in (2, 3, 4):
        labels.labeled_frames[index].instances = []
    labels.labeled_frames[3].is_negative = True
    labels.labeled_frames[4].centroids = [sio.UserCentroid(x=3.0, y=4.0)]
    labels.labeled_frames[5].centroids = [sio.UserCentroid(x=3.0, y=4.0)]
    table = LabelTable.from_labels(labels, only_user, negative, stored)
    trained = LabelSet.from_labels([labels], only_user, negative, stored)
    assert [row.frame for row in table.rows] == [frame.key.frame for frame in trained.frames]
    assert [row.labelled for row in table.rows] == [len(frame.points) > 0 for frame in trained.frames]


def test_rows_name_the_tracks_of_their_instances() -> None:
    labels = make_labels(2, num_animals=2, height=96, width=96)
    labels[1].instances[0].track = None
    table = LabelTable.from_labels(labels)
    video = "missing.mp4|96x96|"
    assert table.rows == (
        FrameRow(video, 0, frozenset({"animal_0", "animal_1"})),
        FrameRow(video, 10, frozenset({"animal_1"})),
    )
    assert table.ids == [(video, 0), (video, 10)]


def test_parts_keep_the_order_of_the_file_or_take_that_of_a_mapping() -> None:
    labels = make_labels(5)
    labels.provenance["filename"] = "a.slp"
    table = LabelTable.from_labels(labels)
    ids = table.ids
    assert times(table.part({ids[3], ids[1], ("other.mp4", 10)})) == [10, 30]
    assert times(table.part({ids[3]: 0, ids[0]: 1, ids[1]: 2})) == [30, 0, 10]
    assert len(table.part([])) == 0
    assert times(labels) == [0, 10, 20, 30, 40]


def test_parts_are_usable_and_the_source_is_not_changed() -> None:
    labels = make_labels(6, num_animals=2)
    labels.provenance["filename"] = "a.slp"
    before = times(labels), list(labels.videos)
    part = subset(labels, [2, 0])
    assert (times(part), part.provenance) == ([20, 0], {"filename": "a.slp"})
    part.provenance["filename"] = "b.slp"
    assert (times(labels), list(labels.videos), labels.provenance["filename"]) == (*before, "a.slp")
    whole = {frame.key: frame.points for frame in LabelSet.from_labels([labels]).frames}
    for frame in LabelSet.from_labels([part]).frames:
        assert np.array_equal(frame.points, whole[frame.key], equal_nan=True)


def test_a_video_has_the_same_fingerprint_wherever_it_lies(tmp_path: Path) -> None:
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
    make_labels(4, path=tmp_path / "one" / "labels.slp", embed=False, num_clips=2)
    for file in (tmp_path / "one").iterdir():
        shutil.copy(file, tmp_path / "another")
    first, second = (load_labels(tmp_path / name / "labels.slp") for name in ("one", "another"))
    for video in second.videos:
        video.replace_filename(tmp_path / "another" / Path(str(video.filename)).name)
    size = (tmp_path / "one" / "clip0.mp4").stat().st_size
    assert fingerprints(first.videos) == fingerprints(second.videos)
    assert fingerprints(first.videos)[0] == f"clip0.mp4|64x64|{size} bytes"


def test_other_videos_of_the_same_name_differ_by_their_size(tmp_path: Path) -> None:
    names = []
    for name, num_frames in (("one", 3), ("another", 5)):
        (tmp_path / name).mkdir()
        labels = make_labels(num_frames, path=tmp_path / name / "labels.slp", embed=False)
        names += fingerprints(labels.videos)
    assert names[0] != names[1]
    assert [name.partition("|")[0] for name in names] == ["clip0.mp4"] * 2


def test_videos_that_look_the_same_are_numbered() -> None:
    video = make_labels(2).videos[0]
    assert fingerprints([video, video, video]) == ["missing.mp4|64x64|", "missing.mp4|64x64||2", "missing.mp4|64x64||3"]


def test_embedded_images_go_by_the_video_they_were_taken_from(tmp_path: Path) -> None:
    make_labels(3, path=tmp_path / "labels.slp", embed=False)
    labels = load_labels(tmp_path / "labels.slp")
    (plain,) = fingerprints(labels.videos)
    labels.save(str(tmp_path / "labels.pkg.slp"), embed="all", verbose=False)
    (embedded,) = fingerprints(load_labels(tmp_path / "labels.pkg.slp").videos)
    assert embedded == "clip0.mp4|64x64|21 frames"
    (tmp_path / "clip0.mp4").unlink()
    assert fingerprints(load_labels(tmp_path / "labels.pkg.slp").videos) == [embedded]
    assert same_videos([plain], [embedded, "clip1.mp4|64x64|21 frames"]) == {plain: [embedded]}
    assert same_videos([embedded], [plain]) == {embedded: [plain]}


def test_images_of_unknown_origin_go_by_their_package(tmp_path: Path) -> None:
    labels = make_labels(3, path=tmp_path / "labels.pkg.slp", num_clips=2)
    names = ["labels.pkg.slp:video0/video|64x64|", "labels.pkg.slp:video1/video|64x64|"]
    assert fingerprints(labels.videos) == names
    labels.save(str(tmp_path / "copy.slp"), embed=False, restore_original_videos=False, verbose=False)
    assert fingerprints(load_labels(tmp_path / "copy.slp").videos) == names


def test_sequences_of_images_go_by_their_first(tmp_path: Path) -> None:
    import cv2

    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((8, 6), np.uint8))
    video = sio.Video.from_filename([str(tmp_path / "a.png"), str(tmp_path / "b.png")])
    assert fingerprints([video]) == [f"a.png|8x6|{(tmp_path / 'a.png').stat().st_size} bytes"]


def test_videos_with_other_evidence_of_the_same_kind_are_different() -> None:
    names = ["v.mp4|8x8|10 bytes", "v.mp4|8x8|20 bytes", "v.mp4|8x8|3 frames", "v.mp4|8x9|", "w.mp4|8x8|"]
    assert same_videos(["v.mp4|8x8|30 bytes"], names) == {"v.mp4|8x8|30 bytes": ["v.mp4|8x8|3 frames"]}
    assert same_videos(["v.mp4|8x8|"], names[:2]) == {"v.mp4|8x8|": names[:2]}
    assert same_videos(names[:1], names) == {names[0]: [names[0]]}


def test_rows_are_plain_values() -> None:
    row = FrameRow("a.mp4", 3)
    assert row.id == ("a.mp4", 3)
    assert replace(row, frame=4).id == ("a.mp4", 4)


def test_names_of_one_video_become_one() -> None:
    names = [
        "a|64x64|900 bytes",
        "a|64x64|8 frames",
        "a|64x64|",
        "b|64x64|5 bytes",
        "b|64x64|6 bytes",
        "a|32x32|1 bytes",
    ]
    common = common_names(names)
    assert [common[name] for name in names] == [*["a|64x64|"] * 3, *names[3:]]
