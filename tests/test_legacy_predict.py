import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sleap_io as sio
from factories import make_labels, make_video
from model_folders import HEADS, write_model

from sleap_nn.errors import ConfigError, MissingFileError, UsageError
from sleap_nn.predict import frame_list, predict, run_inference

FAST = {"device": "cpu", "peak_threshold": 0.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("untrained")
    make_labels(5, num_animals=2, path=folder / "labels.pkg.slp")
    make_video(folder / "clip.mp4", num_frames=5, num_animals=2)
    for name in HEADS:
        write_model(folder / name, name, folder / "labels.pkg.slp")
    return folder


def raw(folder: Path, *models: str, source: str = "clip.mp4", **options: Any) -> list[dict[str, Any]]:
    paths = [str(folder / name) for name in models]
    results = run_inference(str(folder / source), model_paths=paths, make_labels=False, **FAST, **options)
    assert isinstance(results, list)
    return results


def points(labels: Any) -> np.ndarray:
    return np.concatenate([instance.numpy() for frame in labels for instance in frame.instances])


def test_labels_are_always_saved_and_are_those_of_predict(folder: Path, tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", num_frames=3)
    labels = run_inference(data_path=str(video), model_paths=[str(folder / "single_instance")], frames=[0, 2], **FAST)
    assert isinstance(labels, sio.Labels)
    saved = sio.load_slp(str(tmp_path / "clip.predictions.slp"))
    assert [frame.frame_idx for frame in saved] == [frame.frame_idx for frame in labels] == [0, 2]
    expected = predict(video, model_paths=folder / "single_instance", frames=[0, 2], **FAST)
    np.testing.assert_allclose(points(labels), points(expected), atol=1e-4)


def test_inputs_in_memory_go_to_a_file_here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    labels = sio.load_slp(str(folder / "labels.pkg.slp"))
    run_inference(input_labels=labels, model_paths=[str(folder / "bottomup")], **FAST)
    assert len(sio.load_slp("results.predictions.slp").labeled_frames) == 5
    run_inference(input_video=labels.video, model_paths=[str(folder / "bottomup")], output_path="other.slp", **FAST)
    assert Path("other.slp").is_file()


def test_labels_are_tracked_without_a_model(folder: Path, tmp_path: Path) -> None:
    labels = sio.load_slp(str(folder / "labels.pkg.slp"))
    output = tmp_path / "tracked.slp"
    tracked = run_inference(input_labels=labels, tracking=True, tracking_window_size=3, output_path=output)
    assert isinstance(tracked, sio.Labels)
    assert tracked.provenance["tracking_config"]["window_size"] == 3
    assert {track.name for track in sio.load_slp(str(output)).tracks} >= {"track_0", "track_1"}
    assert [track.name for track in labels.tracks] == ["animal_0", "animal_1"]
    again = run_inference(folder / "labels.pkg.slp", tracking=True, output_path=tmp_path / "again.slp")
    assert isinstance(again, sio.Labels)


@pytest.mark.parametrize(("name", "expected"), [("only_labeled_frames", [0]), ("exclude_user_labeled", [10, 20])])
def test_label_filters_choose_what_is_tracked(tmp_path: Path, name: str, expected: list[int]) -> None:
    labels = make_labels(3)
    for frame in list(labels)[1:]:
        frame.instances = [
            sio.PredictedInstance.from_numpy(own.numpy(), skeleton=labels.skeletons[0], score=1.0)
            for own in frame.instances
        ]
    chosen: dict[str, Any] = {name: True}
    tracked = run_inference(input_labels=labels, tracking=True, output_path=tmp_path / "tracked.slp", **chosen)
    assert [frame.frame_idx for frame in tracked] == expected


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({}, "There is no input"),
        ({"data_path": "clip.mp4"}, "There is no model"),
        ({"data_path": "clip.mp4", "tracking": True}, "no labels file with instances to track"),
        ({"data_path": "clip.mp4", "only_predicted_frames": True}, "needs labels with predictions"),
        ({"data_path": "clip.mp4", "make_labels": False, "tracking": True}, "not in raw results"),
        ({"data_path": "clip.mp4", "make_labels": False}, "come from a model"),
    ],
)
def test_what_does_not_go_together_is_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run_inference(**keywords)


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the lines on standard output, which are all JSON."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_progress_goes_to_another_program_as_lines(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, output = folder / "clip.mp4", tmp_path / "out.slp"
    models = [str(folder / "bottomup")]
    run_inference(str(clip), model_paths=models, output_path=output, tracking=True, gui=True, **FAST)
    start, *progress, done = said(capsys)
    assert (start["event"], start["source"], start["n_total"]) == ("start", str(clip), 5)
    assert (done["event"], done["outputs"]) == ("done", [output.as_posix()])
    predicted = [line["n_processed"] for line in progress if "phase" not in line]
    tracked = [line["n_processed"] for line in progress if line.get("phase") == "tracking"]
    assert (predicted[-1], tracked[-1]) == (5, 5)
    run_inference(output, tracking=True, output_path=tmp_path / "again.slp", gui=True)
    events = [line["event"] for line in said(capsys)]
    assert (events[0], set(events[1:-1]), events[-1]) == ("start", {"progress"}, "done")
    run_inference(str(clip), model_paths=models, make_labels=False, gui=True, **FAST)
    assert [(line["event"], line["n_processed"]) for line in said(capsys)][-1] == ("done", 5)


def test_a_failure_is_a_line_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MissingFileError):
        run_inference(str(tmp_path / "none.mp4"), model_paths=["none"], gui=True)
    (line,) = said(capsys)
    assert (line["error"], line["type"]) == (True, "MissingFileError")


def test_raw_results_are_no_part_of_labels(folder: Path) -> None:
    with pytest.raises(ConfigError, match="give make_labels=False with return_confmaps"):
        run_inference(str(folder / "clip.mp4"), model_paths=[str(folder / "bottomup")], return_confmaps=True)


def test_kalman_needs_the_number_of_animals() -> None:
    with pytest.raises(ConfigError, match="needs the number of animals"):
        run_inference(data_path="l.slp", tracking=True, use_kalman=True)


def test_an_unknown_keyword_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="nothing"):
        run_inference(nothing=1)


def test_two_thresholds_are_one_for_each_model(folder: Path) -> None:
    pair = [folder / "centroid", folder / "centered_instance"]
    expected = predict(
        folder / "clip.mp4", model_paths=pair, device="cpu", centroid_threshold=0.5, keypoint_threshold=0.2
    )
    found = predict(folder / "clip.mp4", model_paths=pair, device="cpu", peak_threshold=[0.5, 0.2])
    np.testing.assert_array_equal(points(found), points(expected))
    with pytest.raises(ConfigError, match="3 values"):
        predict(folder / "clip.mp4", model_paths=pair, device="cpu", peak_threshold=[0.5, 0.2, 0.1])


def test_raw_results_of_one_animal(folder: Path) -> None:
    first, second = raw(folder, "single_instance", return_confmaps=True)
    assert first["image"].shape == (4, 1, 1, 64, 64)
    assert first["pred_instance_peaks"].shape == (4, 9, 2)
    assert first["peaks"] is first["pred_instance_peaks"]
    assert first["confmaps"].shape == (4, 9, 32, 32)
    assert first["orig_size"].tolist() == [[[64, 64]]] * 4
    assert first["eff_scale"].tolist() == [1.0] * 4
    assert second["frame_idx"].tolist() == [4]
    assert second["frame_idx"].dtype == np.int32


def test_raw_results_of_a_bottom_up_model(folder: Path) -> None:
    first, _ = raw(folder, "bottomup", return_pafs=True, return_paf_graph=True)
    assert first["pred_part_affinity_fields"].shape == (4, 16, 16, 16)
    assert [own.shape[1:] for own in first["pred_instance_peaks"]] == [(9, 2)] * 4
    assert [len(own) for own in first["instance_scores"]] == [len(own) for own in first["pred_instance_peaks"]]
    pairs, peaks = first["edge_peak_inds"][0], first["peak_vals"][0]
    assert len(pairs) == len(first["line_scores"][0]) == len(first["edge_inds"][0])
    assert pairs.max(initial=0) < max(1, len(peaks))


def test_raw_results_of_classes(folder: Path) -> None:
    first, _ = raw(folder, "multi_class_bottomup", return_class_maps=True)
    assert first["pred_peak_values"].shape == first["instance_scores"].shape == (4, 2, 9)
    assert first["pred_class_maps"].shape[:2] == (4, 2)


def test_raw_results_of_crops_are_relative_to_the_crop(folder: Path) -> None:
    results = raw(folder, "centroid", "centered_instance", return_confmaps=True)
    assert results
    frames = {
        frame.frame_idx: frame
        for frame in predict(
            folder / "clip.mp4", model_paths=[folder / "centroid", folder / "centered_instance"], **FAST
        )
    }
    for own in results:
        lifted = own["pred_instance_peaks"] + own["instance_bbox"][:, 0, :1]
        expected = np.stack([instance.numpy() for instance in frames[int(own["frame_idx"][0])].instances])
        np.testing.assert_allclose(lifted, expected, atol=1e-3)
        count = len(expected)
        assert own["instance_image"].shape[:3] == (count, 1, 1)
        assert own["image"].shape[0] == own["pred_confmaps"].shape[0] == len(own["centroid_val"]) == count
        assert own["frame_idx"].dtype == np.float32
        # The values of centroids are those of the map in which they were found.
        maps = own["pred_centroid_confmaps"]
        assert maps.shape == (count, 1, 32, 32)
        assert np.isin(own["centroid_val"], maps[0]).all()
        assert (maps == maps[0]).all()


def test_raw_results_of_labelled_crops_with_identities(folder: Path) -> None:
    results = raw(
        folder, "multi_class_topdown", source="labels.pkg.slp", return_class_vectors=True, return_confmaps=True
    )
    assert results[0]["pred_class_inds"].dtype == np.int64
    assert results[0]["pred_class_vectors"].shape == (len(results[0]["instance_scores"]), 2)
    assert "pred_centroid_confmaps" not in results[0]


@pytest.mark.parametrize(("text", "frames"), [("1,2,3", [1, 2, 3]), ("1-3", [1, 2, 3]), ("", None)])
def test_frames_are_read_from_text(text: str, frames: list[int] | None) -> None:
    assert frame_list(text) == frames
