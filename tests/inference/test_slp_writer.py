import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import sleap_io as sio
from factories import make_labels, make_video
from predicting import start

from sleap_nn.data.sources import VideoFrames
from sleap_nn.errors import OutputError
from sleap_nn.inference.output import save_labels
from sleap_nn.inference.slp_writer import SlpHead, Written, write_slp
from sleap_nn.inference.to_labels import to_labels
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton

SKELETON = Skeleton(("nose", "tail", "paw"), ((0, 1), (1, 2)), ((0, 2),))
VIDEOS = (sio.Video("a.mp4", open_backend=False), sio.Video("b.mp4", open_backend=False))


def stream(num_frames: int, classes: int = 0, tracks: bool = False) -> list[Predictions]:
    frames = []
    rng = np.random.default_rng(0)
    for number in range(num_frames):
        count = number % 4
        points = rng.normal(size=(count, 3, 2)).astype(np.float32)
        points[rng.random((count, 3)) < 0.3] = np.nan
        frames.append(
            Predictions(
                key=FrameKey(number * 2 // num_frames, number),
                points=points,
                point_scores=rng.random((count, 3)).astype(np.float32),
                scores=rng.random(count).astype(np.float32),
                class_ids=rng.integers(-1, classes, count) if classes else None,
                class_scores=rng.random(count).astype(np.float32) if classes else None,
                tracks=rng.integers(-1, 5, count) if tracks else None,
            )
        )
    return frames


def tables(path: Path) -> dict[str, Any]:
    with h5py.File(path) as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        found = {name: file[name][()] for name in names if name != "provenance_json"}
        metadata = json.loads(bytes(file["metadata"].attrs["json"]))
        for link in metadata["skeletons"][0]["links"]:
            if "edge_insert_idx" not in link:  # a symmetry, whose nodes sleap-io writes in any order
                link["source"], link["target"] = sorted((link["source"], link["target"]))
        return found | {"metadata": metadata, "format": file["metadata"].attrs["format_id"]}


@pytest.mark.parametrize(
    ("options", "classes", "keep_empty"),
    [
        ({}, (), True),
        ({}, (), False),
        ({"classes": 2}, ("left", "right"), True),
        ({"tracks": True}, (), True),
    ],
)
def test_the_file_is_what_sleap_io_would_have_written(
    tmp_path: Path, options: dict, classes: tuple[str, ...], keep_empty: bool
) -> None:
    found = stream(700, **options)
    labels = to_labels(found, SKELETON, VIDEOS, keep_empty, classes)
    provenance = {"model_type": "bottomup", "frames": [1, 2]}
    labels.provenance |= provenance
    save_labels(labels, tmp_path / "out.slp")
    expected = tables(tmp_path / "out.slp")
    head = SlpHead(SKELETON, VIDEOS, classes, provenance)
    written = write_slp(tmp_path / "out.slp", iter(found), head, keep_empty)
    streamed = tables(tmp_path / "out.slp")
    assert expected.keys() == streamed.keys()
    for name, value in expected.items():
        other = streamed[name]
        if isinstance(value, np.ndarray) and isinstance(other, np.ndarray) and value.dtype.names:
            assert (value.dtype, value.tobytes()) == (other.dtype, other.tobytes()), name  # NaN included
        else:
            np.testing.assert_array_equal(value, other, err_msg=name)
    loaded = sio.load_slp(str(tmp_path / "out.slp"))
    assert loaded.provenance["model_type"] == "bottomup"
    assert written == Written(len(labels), sum(len(frame.instances) for frame in labels), len(labels.tracks))
    assert [track.name for track in loaded.tracks] == [track.name for track in labels.tracks]


def test_frames_of_a_package_refer_to_its_videos(tmp_path: Path) -> None:
    package = make_labels(4, path=tmp_path / "labels.pkg.slp", num_clips=2)
    source = VideoFrames(package.videos)
    found = [Predictions.empty(key, 3) for key in source.keys]
    write_slp(tmp_path / "out.slp", found, SlpHead(SKELETON, source.videos(), (), {}))
    save_labels(to_labels(found, SKELETON, source.videos()), tmp_path / "other.slp")
    for name in ("frames", "videos_json"):
        np.testing.assert_array_equal(tables(tmp_path / "out.slp")[name], tables(tmp_path / "other.slp")[name])
    assert [frame.video.filename for frame in sio.load_slp(str(tmp_path / "out.slp"))] == [
        package.videos[key.video].filename for key in source.keys
    ]


def test_the_same_predictions_give_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        write_slp(tmp_path / "out.slp", iter(stream(300)), SlpHead(SKELETON, VIDEOS, (), {"a": 1}))
        contents.append((tmp_path / "out.slp").read_bytes())
    assert contents[0] == contents[1]
    with h5py.File(tmp_path / "out.slp") as file:
        assert json.loads(file["provenance_json"][()])["a"] == 1


def test_no_frames_at_all(tmp_path: Path) -> None:
    assert write_slp(tmp_path / "out.slp", [], SlpHead(SKELETON, VIDEOS, (), {})) == Written(0, 0, 0)
    assert len(sio.load_slp(str(tmp_path / "out.slp"))) == 0


def test_a_failure_leaves_the_older_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.slp"
    path.write_bytes(b"older")

    def failing() -> object:
        yield from stream(300)
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"out\.slp \(No space left on device\)"):
        write_slp(path, failing(), SlpHead(SKELETON, VIDEOS, (), {}))
    assert path.read_bytes() == b"older"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.slp"]


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of file sizes")
@pytest.mark.parametrize("kind", ["stream", "labels", "embedded", "analysis_h5", "nwb", "video"])
def test_a_full_disk_is_an_error_and_no_crash(tmp_path: Path, kind: str) -> None:
    from small_disks import write_all_that_is_too_large

    video = make_video(tmp_path / "clip.mp4", num_frames=40)
    process = start(write_all_that_is_too_large, video, kind)
    process.join(120)
    assert process.exitcode == 0
    assert sorted(path.stem.partition(".")[0] for path in tmp_path.iterdir()) == ["clip", "part", "whole"]
