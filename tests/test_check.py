from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
from factories import make_labels

from sleap_nn.check import check_files, report_text
from sleap_nn.data.label_check import Purpose
from sleap_nn.errors import DataError, MissingFileError


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Return a file with 30 frames, of which the third has a point off the image."""
    labels = make_labels(30, path=tmp_path / "drawn.pkg.slp", seed=3)
    labels[2].instances[0]["snout"] = (-20.0, 5.0)
    labels.save(str(tmp_path / "labels.slp"), embed=False, verbose=False)
    return tmp_path / "labels.slp"


def test_files_are_checked_together(labels: Path, tmp_path: Path) -> None:
    report = check_files([labels, tmp_path / "drawn.pkg.slp"])
    kinds = [finding.kind for finding in report.findings]
    assert "off_frame" in kinds
    assert "repeated_frame" in kinds
    assert report.num_frames == 60


def test_every_place_is_listed(labels: Path) -> None:
    report = check_files([labels])
    text = report_text(report)
    index = sio.load_slp(str(labels))[2].frame_idx
    (line,) = [line for line in text.splitlines() if "snout of the instance" in line]
    assert f"frame {index:>6}  snout of the instance at (" in line
    assert text.startswith("30 frames with 30 instances:\n\n1 point outside the image")


def test_clean_labels_are_said_to_be_clean(tmp_path: Path) -> None:
    make_labels(30, path=tmp_path / "clean.pkg.slp", seed=3)
    report = check_files([tmp_path / "clean.pkg.slp"])
    assert report_text(report) == "30 frames with 30 instances: nothing looks wrong."


def test_the_purpose_decides(tmp_path: Path) -> None:
    make_labels(6, path=tmp_path / "two.pkg.slp", num_animals=2)
    assert check_files([tmp_path / "two.pkg.slp"]).findings == ()
    report = check_files([tmp_path / "two.pkg.slp"], purpose=Purpose(one_animal=True))
    assert [finding.kind for finding in report.findings] == ["several_animals"]


def test_videos_need_not_be_there(tmp_path: Path) -> None:
    labels = make_labels(5)
    labels[1].instances[0]["snout"] = (-20.0, 5.0)
    labels.save(str(tmp_path / "labels.slp"), embed=False, verbose=False)
    finding = check_files([tmp_path / "labels.slp"]).findings[0]
    assert finding.kind == "off_frame"
    assert [(place.video, place.frame) for place in finding.places] == [("missing.mp4", labels[1].frame_idx)]


def test_predicted_instances_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    labels = make_labels(5, path=tmp_path / "drawn.pkg.slp")
    for frame in labels:
        frame.instances = [
            sio.PredictedInstance.from_numpy(np.asarray(i.numpy()), skeleton=labels.skeleton, score=1.0)
            for i in frame.instances
        ]
    labels.save(str(tmp_path / "predicted.slp"), embed=False, verbose=False)
    with pytest.raises(DataError, match="user-labelled"):
        check_files([tmp_path / "predicted.slp"])
    assert check_files([tmp_path / "predicted.slp"], user_instances_only=False).num_instances == 5


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"nothing\.slp"):
        check_files([tmp_path / "nothing.slp"])
