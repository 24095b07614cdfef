from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio

from sleap_nn.errors import ConfigError, OutputError
from sleap_nn.inference import Predictor
from sleap_nn.inference.writer import IncrementalLabelsWriter


def test_batches_become_the_labels_of_predict(untrained: Path, tmp_path: Path) -> None:
    predictor = Predictor.from_model_paths(untrained / "bottomup", batch_size=2, peak_threshold=0.5)
    expected = predictor.predict(untrained / "clip.mp4")
    path = tmp_path / "new" / "out.slp"
    with IncrementalLabelsWriter(path, predictor.skeleton, expected.videos, 2, {"note": "mine"}) as writer:
        for batch in predictor.predict_streaming(untrained / "clip.mp4"):
            writer.write(batch)
            assert writer.tmp_path.stat().st_size > 100
            assert not path.exists()
        assert writer.frame_count == 5
    found = sio.load_slp(str(path))
    assert not writer.tmp_path.exists()
    assert found.provenance["note"] == "mine"
    assert found.video.filename == expected.video.filename
    assert [frame.frame_idx for frame in found] == [0, 1, 2, 3, 4]
    for one, other in zip(found, expected, strict=True):
        assert len(one.instances) == len(other.instances)
        for mine, theirs in zip(one.instances, other.instances, strict=True):
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), atol=1e-3)


def test_a_closed_writer_takes_nothing_more(untrained: Path, tmp_path: Path) -> None:
    predictor = Predictor.from_model_paths(untrained / "centroid", peak_threshold=0.5)
    batch = next(iter(predictor.predict_streaming(untrained / "clip.mp4")))
    writer = IncrementalLabelsWriter(tmp_path / "out.slp", predictor.skeleton, anchor_ind=2, emit_centroid="both")
    writer.write(batch)
    writer.close()
    writer.close()
    with pytest.raises(RuntimeError, match="is closed"):
        writer.write(batch)
    found = sio.load_slp(str(tmp_path / "out.slp"))
    assert found.video.filename == "unknown"
    frame = next(frame for frame in found if frame.instances)
    assert np.isfinite(frame.instances[0].numpy()[:, 0]).tolist() == [node == 2 for node in range(9)]
    assert len(frame.centroids) == len(frame.instances)


def test_the_interval_is_at_least_one(tmp_path: Path) -> None:
    skeleton = sio.Skeleton(["nose"])
    with pytest.raises(ConfigError, match="write_interval is 0"):
        IncrementalLabelsWriter(tmp_path / "out.slp", skeleton, write_interval=0)


def test_what_could_not_be_written_in_the_end_is_refused_at_the_start(untrained: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not end in \.slp; name it out\.slp"):
        IncrementalLabelsWriter(tmp_path / "out.txt", sio.Skeleton(["nose"]))
    predictor = Predictor.from_model_paths(untrained / "single_instance", peak_threshold=0.5)
    batch = next(iter(predictor.predict_streaming(untrained / "clip.mp4")))
    with (
        pytest.raises(ConfigError, match=r"skeleton has 1 node\(s\), but 9 were predicted"),
        IncrementalLabelsWriter(tmp_path / "out.slp", sio.Skeleton(["nose"])) as writer,
    ):
        writer.write(batch)


def test_a_file_that_could_not_be_written_can_be_written_later(
    untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor.from_model_paths(untrained / "single_instance", peak_threshold=0.5)
    writer = IncrementalLabelsWriter(tmp_path / "out.slp", predictor.skeleton)
    for batch in predictor.predict_streaming(untrained / "clip.mp4"):
        writer.write(batch)

    def fail(*_: object) -> None:
        raise OutputError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr("sleap_nn.inference.writer.save_labels", fail)
        with pytest.raises(OutputError):
            writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["out.slp.tmp"]
    writer.close()
    assert len(sio.load_slp(str(tmp_path / "out.slp"))) == 5
    assert not writer.tmp_path.exists()
