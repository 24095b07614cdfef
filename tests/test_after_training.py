import json
import logging
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
from constant_model import write_constant_model
from factories import make_labels, make_video
from listening import Notebook

from sleap_nn.after_training import evaluate_run, evaluator_of_run, refuse_collapsed, tell_metrics
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import MissingFileError, TrainingCollapsedError
from sleap_nn.training.callbacks.listeners import Listeners
from sleap_nn.training.collapse import HeadStrength


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    caplog.set_level(logging.INFO, logger="sleap_nn")
    return caplog


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with labels of 8 frames, labels of 3 frames of which 1 has no user instance, and a video."""
    folder = tmp_path_factory.mktemp("after")
    make_labels(8, path=folder / "labels.pkg.slp")
    test = make_labels(3, path=folder / "unused.pkg.slp", seed=9)
    frame = test[1]
    frame.instances = [
        sio.PredictedInstance.from_numpy(instance.numpy(), skeleton=test.skeleton, score=1.0)
        for instance in frame.instances
    ]
    test.save(str(folder / "test.slp"), embed=False, verbose=False)
    make_video(folder / "clip.mp4", num_frames=4)
    return folder


def run(project: Path, tmp_path: Path, height: float = 0.5, **data: object) -> tuple[Path, TrainingJobConfig]:
    folder = tmp_path / "run"
    return folder, write_constant_model(folder, project / "labels.pkg.slp", height, data)


def names(folder: Path, start: str) -> set[str]:
    return {path.name for path in folder.glob(f"{start}*")}


def test_a_network_that_finds_nothing_is_refused_and_one_that_finds_something_is_not() -> None:
    strengths = (HeadStrength("confmaps", "confidence maps", 0.05),)
    with pytest.raises(
        TrainingCollapsedError, match=r"finds no instance on the very frames .* is 0\.050, and 0\.2 makes"
    ):
        refuse_collapsed(strengths, 0)
    with pytest.raises(TrainingCollapsedError, match="highest value of its confidence maps"):
        refuse_collapsed(strengths, None)
    refuse_collapsed(strengths, 3)
    refuse_collapsed((), None)


def test_a_run_that_the_user_stopped_is_not_refused(logged: pytest.LogCaptureFixture) -> None:
    refuse_collapsed((), 0, was_stopped=True)
    assert "stopped before the network is of any use: it finds no instance" in logged.text


def test_listeners_are_told_the_metrics_of_all_splits(project: Path, tmp_path: Path) -> None:
    folder, config = run(project, tmp_path)
    evaluate_run(folder, config)
    (folder / "metrics.val.0.npz").unlink()
    book = Notebook()
    listeners = Listeners([book])
    with listeners:
        listeners.open()
        tell_metrics(folder, listeners)
    (event,) = book.events()
    assert event.kind == "evaluated"
    assert event.values is not None
    stored = json.loads((folder / "metrics.train.0.json").read_text())
    assert event.values["eval/train.0/mOKS"] == pytest.approx(stored["mOKS"]["mOKS"])
    assert {name.split("/")[1] for name in event.values} == {"train.0"}


def test_every_split_is_predicted_and_scored(project: Path, tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    folder, config = run(project, tmp_path)
    assert evaluate_run(folder, config) == 6
    assert names(folder, "labels_pr") == {"labels_pr.train.0.slp", "labels_pr.val.0.slp"}
    assert names(folder, "metrics") == {
        f"metrics.{split}.0.{kind}" for split in ("train", "val") for kind in ("npz", "json")
    }
    truth = sio.load_slp(str(folder / "labels_gt.train.0.slp"))
    predicted = sio.load_slp(str(folder / "labels_pr.train.0.slp"))
    assert [frame.frame_idx for frame in predicted] == [frame.frame_idx for frame in truth]
    assert all(len(frame.instances) == 1 for frame in predicted)
    assert predicted.provenance["model_paths"] == [folder.resolve().as_posix()]
    metrics = json.loads((folder / "metrics.train.0.json").read_text())
    assert metrics["distance_metrics"]["p50"] > 0
    assert "train.0: 6 instances on 6 frames, mOKS" in logged.text
    assert "val.0: 2 instances on 2 frames, mOKS" in logged.text


def test_a_test_video_is_predicted_and_test_labels_are_scored(project: Path, tmp_path: Path) -> None:
    paths = [str(project / "clip.mp4"), str(project / "test.slp")]
    folder, config = run(project, tmp_path, test_file_path=paths)
    assert evaluate_run(folder, config) == 6
    video = sio.load_slp(str(folder / "labels_pr.test.0.slp"))
    assert [frame.frame_idx for frame in video] == [0, 1, 2, 3]
    assert not (folder / "labels_gt.test.0.slp").exists()
    assert not (folder / "metrics.test.0.npz").exists()
    truth = sio.load_slp(str(folder / "labels_gt.test.1.slp"))
    predicted = sio.load_slp(str(folder / "labels_pr.test.1.slp"))
    assert [frame.frame_idx for frame in truth] == [frame.frame_idx for frame in predicted] == [0, 20]
    with np.load(folder / "metrics.test.1.npz", allow_pickle=False) as metrics:
        assert metrics["distance_metrics/p50"] > 0


@pytest.mark.parametrize("name", ["test.slp", "clip.mp4"])
def test_one_test_file_may_be_given_without_a_list(project: Path, tmp_path: Path, name: str) -> None:
    folder, config = run(project, tmp_path, test_file_path=str(project / name))
    evaluate_run(folder, config)
    assert (folder / "labels_pr.test.0.slp").exists()
    assert (folder / "metrics.test.0.npz").exists() == (name == "test.slp")


def test_a_test_file_that_is_not_there_is_named(project: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"nothing\.slp"):
        run(project, tmp_path, test_file_path=str(project / "nothing.slp"))


def test_every_file_of_a_split_is_predicted(project: Path, tmp_path: Path) -> None:
    other = project / "other.pkg.slp"
    make_labels(4, path=other, seed=3)
    paths = [str(project / "labels.pkg.slp"), str(other)]
    frames = {"split_by": "frame", "seed": 2}
    folder, config = run(project, tmp_path, train_labels_path=paths, validation_fraction=0.5, split=frames)
    assert evaluate_run(folder, config) == 6
    assert names(folder, "labels_pr") == {f"labels_pr.{split}.{i}.slp" for split in ("train", "val") for i in (0, 1)}


def test_a_file_without_frames_on_a_side_is_left_out_there(project: Path, tmp_path: Path) -> None:
    other = project / "one.pkg.slp"
    make_labels(1, path=other, seed=3)
    paths = [str(project / "labels.pkg.slp"), str(other)]
    folder, config = run(project, tmp_path, train_labels_path=paths, split={"split_by": "video"})
    assert evaluate_run(folder, config) == 8
    assert names(folder, "labels_pr") == {"labels_pr.train.0.slp", "labels_pr.val.1.slp"}


def test_a_network_that_finds_nothing_has_predictions_and_no_metrics(
    project: Path, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    folder, config = run(project, tmp_path, height=0.1)
    assert evaluate_run(folder, config) == 0
    assert len(sio.load_slp(str(folder / "labels_pr.train.0.slp"))) == 6
    assert names(folder, "metrics") == set()
    assert "No instance was found on train.0, so it has no metrics." in logged.text


def test_a_network_that_has_learned_nothing_of_its_training_frames_is_named(
    project: Path, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    folder, config = run(project, tmp_path)  # all points in one cell of the map, wherever the animal is
    evaluate_run(folder, config)
    poor = [message for message in logged.messages if "training frames predicted points lie far" in message]
    assert len(poor) == 1
    assert "foreground_weight" in poor[0]


def test_without_weights_there_is_nothing_to_judge(
    project: Path, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    folder, config = run(project, tmp_path)
    (folder / "best.ckpt").unlink()
    num_found = evaluate_run(folder, config)
    assert "holds no best.ckpt" in logged.text
    refuse_collapsed((HeadStrength("confmaps", "confidence maps", 0.9),), num_found)
    assert names(folder, "labels_pr") == set()


def test_a_run_on_predicted_instances_is_scored_on_them(project: Path, tmp_path: Path) -> None:
    labels = sio.load_slp(str(project / "labels.pkg.slp"))
    for frame in labels:
        frame.instances = [
            sio.PredictedInstance.from_numpy(instance.numpy(), skeleton=labels.skeleton, score=1.0)
            for instance in frame.instances
        ]
    labels.save(str(tmp_path / "predicted.slp"), embed=False, verbose=False)
    folder = tmp_path / "run"
    config = write_constant_model(folder, tmp_path / "predicted.slp", data={"user_instances_only": False})
    assert evaluate_run(folder, config) == 6
    assert names(folder, "metrics") >= {"metrics.train.0.npz", "metrics.val.0.npz"}


def test_frames_that_cannot_be_read_are_reported_and_the_others_are_scored(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: pytest.LogCaptureFixture
) -> None:
    folder, config = run(project, tmp_path)
    broken = sio.load_slp(str(folder / "labels_gt.train.0.slp"))[2].frame_idx
    original = sio.Video.__getitem__

    def read(self: sio.Video, index: int) -> np.ndarray:
        if index == broken:
            raise OSError("bad packet")
        return original(self, index)

    monkeypatch.setattr(sio.Video, "__getitem__", read)
    assert evaluate_run(folder, config) == 5
    assert f"Frame {broken} of" in logged.text
    assert (folder / "metrics.train.0.npz").exists()


def test_animals_of_one_node_are_compared_by_distance(project: Path, tmp_path: Path) -> None:
    _, config = run(project, tmp_path)
    skeleton = sio.Skeleton(["snout"])
    video = sio.Video("clip.mp4", open_backend=False, backend_metadata={"shape": (9, 64, 64, 1)})

    def labels(kind: type, x: float) -> sio.Labels:
        animal = kind.from_numpy(np.array([[x, 20.0]]), skeleton=skeleton)
        return sio.Labels([sio.LabeledFrame(video=video, frame_idx=0, instances=[animal])])

    metrics = evaluator_of_run(labels(sio.Instance, 10.0), labels(sio.PredictedInstance, 13.0), config).evaluate()
    assert metrics["detection_metrics"]["p50"] == pytest.approx(3.0)
    assert (metrics["detection_metrics"]["precision"], metrics["detection_metrics"]["recall"]) == (1, 1)


@pytest.mark.parametrize(("source", "distance"), [(None, 5.0), ("computed", 8.0)])
@pytest.mark.parametrize("anchor", [None, "tail"])
def test_centroids_that_a_user_stored_are_the_truth_where_they_are_learned(
    source: str | None, distance: float, anchor: str | None
) -> None:
    skeleton, node = sio.Skeleton(["snout", "tail"]), sio.Skeleton(["centroid"])
    video = sio.Video("clip.mp4", open_backend=False, backend_metadata={"shape": (9, 64, 64, 1)})
    drawn = sio.Instance.from_numpy(np.full((2, 2), 20.0), skeleton=skeleton)
    confmaps = {"anchor_part": anchor, "centroid_source": source}
    config = TrainingJobConfig.from_cfg(
        {
            "data_config": {"train_labels_path": ["labels.slp"]},
            "model_config": {"backbone_config": {"unet": {}}, "head_configs": {"centroid": {"confmaps": confmaps}}},
        }
    )
    truth = sio.Labels([sio.LabeledFrame(video=video, frame_idx=0, instances=[drawn])])
    truth[0].centroids = [sio.UserCentroid(x=23.0, y=20.0)]
    point = sio.PredictedInstance.from_numpy(np.array([[28.0, 20.0]]), skeleton=node)
    found = sio.Labels([sio.LabeledFrame(video=video, frame_idx=0, instances=[point])])
    metrics = evaluator_of_run(truth, found, config).evaluate()
    assert metrics["detection_metrics"]["p50"] == pytest.approx(distance)
    assert (metrics["counts"]["truth_instances"], list(truth[0].instances)) == (1, [drawn])
