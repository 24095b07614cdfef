"""Every option of prediction acts, or says why it cannot."""

import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sleap_io as sio
import torch
from model_folders import HEADS

import sleap_nn
from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError, MissingFileError, MixedModelsError, ModelError, UsageError
from sleap_nn.inference import Predictor
from sleap_nn.inference.load import load_models
from sleap_nn.inference.settings import StageSettings
from sleap_nn.stages.stage import Assembled, Prepared, Stage, begin_stages

FAST = {"device": "cpu", "precision": "32", "peak_threshold": 0.5}
PAIR = ("centroid", "centered_instance")
CROPS = ("centered_instance", "multi_class_topdown")


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr("sleap_nn.log.logger.propagate", True)
    return caplog


def run(folder: Path, *models: str, source: str = "clip.mp4", **options: Any) -> sio.Labels:
    paths = [folder / name for name in models]
    return sleap_nn.predict(folder / source, model_paths=paths, **{**FAST, **options})


def points(labels: sio.Labels) -> np.ndarray:
    found = [instance.numpy() for frame in labels for instance in frame.instances]
    return np.stack(found) if found else np.zeros((0, 0, 2))


def counts(labels: sio.Labels) -> list[int]:
    return [len(frame.instances) for frame in labels]


def test_centroid_only_leaves_the_model_of_crops_out(untrained: Path) -> None:
    alone = run(untrained, "centroid")
    found = run(untrained, *PAIR, centroid_only=True)
    np.testing.assert_allclose(points(found), points(alone), atol=1e-3)
    assert found.skeleton.node_names == ["centroid"]
    with pytest.raises(UsageError, match="centroid_only needs a centroid model"):
        run(untrained, "bottomup", centroid_only=True)


@pytest.mark.parametrize("emit", ["instance", "centroid", "both"])
def test_centroids_are_stored_as_asked(untrained: Path, tmp_path: Path, emit: str) -> None:
    run(untrained, "centroid", emit_centroid=emit, output_path=tmp_path / "out.slp")
    found = sio.load_slp(str(tmp_path / "out.slp"))
    expected = counts(run(untrained, "centroid"))
    assert sum(expected) > 0
    assert counts(found) == ([0] * 5 if emit == "centroid" else expected)
    centroids = [len(frame.centroids) for frame in found]
    assert centroids == ([0] * 5 if emit == "instance" else expected)
    if emit == "both":
        frame = next(frame for frame in found if frame.instances)
        assert frame.centroids[0].xy == pytest.approx(tuple(frame.instances[0].numpy()[0]))
        assert frame.centroids[0].score == pytest.approx(frame.instances[0].score)
        assert frame.centroids[0].source == "center_of_mass"


def test_an_anchor_places_centroids_in_the_skeleton(untrained: Path) -> None:
    plain, placed = run(untrained, "centroid"), run(untrained, "centroid", anchor_part="snout", emit_centroid="both")
    node = placed.skeleton.node_names.index("snout")
    assert len(placed.skeleton.nodes) == 9
    np.testing.assert_allclose(points(placed)[:, node], points(plain)[:, 0], atol=1e-3)
    assert np.isnan(np.delete(points(placed), node, axis=1)).all()
    assert {c.source for frame in placed for c in frame.centroids} == {"anchor:snout"}


def test_an_anchor_centres_crops_about_labelled_animals(untrained: Path, warned: pytest.LogCaptureFixture) -> None:
    plain = run(untrained, "centered_instance", source="labels.pkg.slp")
    nose = run(untrained, "centered_instance", source="labels.pkg.slp", anchor_part="snout")
    assert plain.provenance["model_type"] == "top_down"
    assert not np.array_equal(points(plain), points(nose), equal_nan=True)
    with pytest.raises(ConfigError, match="which is no node of the skeleton"):
        run(untrained, "centered_instance", source="labels.pkg.slp", anchor_part="antenna")
    assert not warned.records
    run(untrained, *PAIR, anchor_part="snout", frames=[0])
    assert "anchor_part has no effect" in warned.text


def test_max_instances_holds_for_every_model(untrained: Path) -> None:
    for models in (PAIR, ("bottomup",), ("centroid",), ("multi_class_bottomup",)):
        most = run(untrained, *models)
        few = run(untrained, *models, max_instances=1)
        assert counts(few) == [min(1, number) for number in counts(most)], models
        best = [max(i.score for i in frame.instances) for frame in most if frame.instances]
        assert [frame.instances[0].score for frame in few if frame.instances] == pytest.approx(best, abs=1e-4)
    crops = run(untrained, "centered_instance", source="labels.pkg.slp", max_instances=1)
    assert max(counts(crops)) == 1


def test_the_threshold_of_centroids_is_their_own(untrained: Path) -> None:
    few = run(untrained, *PAIR, centroid_threshold=0.9)
    many = run(untrained, *PAIR, centroid_threshold=0.5)
    assert sum(counts(few)) < sum(counts(many))
    assert few.provenance["inference_config"]["centroid_threshold"] == 0.9
    assert few.provenance["inference_config"]["peak_threshold"] == 0.5
    none = run(untrained, "centroid", centroid_threshold=0.0, peak_threshold=5.0, frames=[0])
    assert sum(counts(none)) > 0


def test_weights_of_other_checkpoints(untrained: Path, tmp_path: Path) -> None:
    own, other = run(untrained, "bottomup"), run(untrained, "other")
    checkpoint = untrained / "other" / "best.ckpt"
    whole = run(untrained, "bottomup", backbone_ckpt_path=checkpoint)
    np.testing.assert_allclose(points(whole), points(other), atol=1e-3, equal_nan=True)
    both = run(untrained, "bottomup", backbone_ckpt_path=checkpoint, head_ckpt_path=checkpoint)
    np.testing.assert_allclose(points(both), points(other), atol=1e-3, equal_nan=True)
    same = run(untrained, "other", backbone_ckpt_path=untrained / "bottomup", head_ckpt_path=untrained / "bottomup")
    np.testing.assert_allclose(points(same), points(own), atol=1e-3, equal_nan=True)
    heads = run(untrained, "bottomup", head_ckpt_path=checkpoint, frames=[0])
    backbone = run(untrained, "other", head_ckpt_path=untrained / "bottomup", frames=[0])
    for mixed in (heads, backbone):
        for plain in (own, other):
            assert not np.array_equal(points(mixed), points(plain[:1]), equal_nan=True)
    with pytest.raises(ModelError, match="do not fit"):
        run(untrained, "bottomup", backbone_ckpt_path=untrained / "centroid" / "best.ckpt")
    with pytest.raises(ModelError, match="do not fit the heads"):
        run(untrained, "bottomup", head_ckpt_path=untrained / "centroid" / "best.ckpt")
    with pytest.raises(MissingFileError):
        run(untrained, "bottomup", backbone_ckpt_path=tmp_path / "none.ckpt")


def test_a_checkpoint_acts_on_every_model_given(untrained: Path) -> None:
    with pytest.raises(ModelError, match="do not fit"):
        run(untrained, *PAIR, backbone_ckpt_path=untrained / "centroid" / "best.ckpt")


def test_another_checkpoint_of_a_folder_is_named(
    untrained: Path, tmp_path: Path, warned: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(untrained / "centroid", tmp_path / "run")
    shutil.copy(folder / "best.ckpt", folder / "last.ckpt")
    Predictor.from_model_paths(folder / "last.ckpt")
    assert "the best weights of its folder are used" in warned.text


@pytest.mark.parametrize("models", [("centroid", "bottomup"), ("centroid", "centroid"), ("bottomup", "other")])
def test_models_that_do_not_go_together_are_wrong_usage(untrained: Path, models: tuple[str, ...]) -> None:
    with pytest.raises(MixedModelsError, match="give one model, or a centroid model"):
        run(untrained, *models)


def test_colours_are_those_of_training_or_refused(untrained: Path) -> None:
    plain = points(run(untrained, "single_instance", frames=[0]))
    agreed = {"ensure_grayscale": True, "ensure_rgb": False}
    found = run(untrained, "single_instance", frames=[0], preprocess_config=agreed)
    np.testing.assert_allclose(points(found), plain, atol=1e-3, equal_nan=True)
    with pytest.raises(ConfigError, match="ensure_rgb"):
        run(untrained, "single_instance", preprocess_config={"ensure_rgb": True})


def test_images_are_changed_for_both_models_of_a_pair(untrained: Path) -> None:
    config = {"scale": 0.5, "max_height": 96, "max_width": 96, "crop_size": 48}
    predictor = Predictor.from_model_paths([untrained / name for name in PAIR], preprocess_config=config)
    first, second = (model.stage.spec for model in predictor._models)
    assert (first.scale, second.scale) == (0.5, 0.5)
    assert (first.max_height, second.max_width) == (96, 96)
    assert (first.crop_size, second.crop_size) == (None, 48)


def test_filters_act_and_are_in_the_provenance(untrained: Path) -> None:
    most = run(untrained, "bottomup")
    scores = sorted(i.score for frame in most for i in frame.instances)
    limit = (scores[len(scores) // 2 - 1] + scores[len(scores) // 2]) / 2
    few = run(untrained, "bottomup", filter_config=FilterConfig(min_instance_score=limit))
    assert sum(counts(few)) == len(scores) - len(scores) // 2
    assert len(few) == len(most)
    assert few.provenance["inference_config"]["filter_min_instance_score"] == limit
    assert "filter_overlapping" not in few.provenance["inference_config"]


def test_grouping_in_processes_changes_nothing(untrained: Path, warned: pytest.LogCaptureFixture) -> None:
    here = run(untrained, "bottomup")
    there = run(untrained, "bottomup", paf_workers=2, batch_size=2)
    assert counts(there) == counts(here)
    np.testing.assert_allclose(points(there), points(here), atol=1e-3, equal_nan=True)
    assert there.provenance["inference_config"]["paf_workers"] == 2
    assert not warned.records
    run(untrained, "centroid", paf_workers=2, frames=[0])
    assert "paf_workers has no effect on a centroid model" in warned.text


@pytest.mark.parametrize("models", [*((name,) for name in HEADS if name not in CROPS), PAIR])
def test_two_batches_at_a_time_change_nothing(
    untrained: Path, monkeypatch: pytest.MonkeyPatch, models: tuple[str, ...]
) -> None:
    names: set[str] = set()

    def seen(stages: Sequence[Stage], batch: Sequence[Prepared]) -> list[Assembled]:
        names.add(threading.current_thread().name)
        return begin_stages(stages, batch)

    own = torch.get_num_threads()
    monkeypatch.setattr("sleap_nn.stages.stream.begin_stages", seen)
    try:
        torch.set_num_threads(1)
        alone = run(untrained, *models, batch_size=1)
        assert names == {"MainThread"}
        torch.set_num_threads(2)
        together = run(untrained, *models, batch_size=1)
        assert names == {"MainThread", "network_0", "network_1"}
    finally:
        torch.set_num_threads(own)
    assert counts(together) == counts(alone)
    np.testing.assert_array_equal(points(together), points(alone))


@pytest.mark.parametrize(
    ("trained_in", "is_native", "used"),
    [("bf16-mixed", True, "bf16"), ("16-mixed", True, "bf16"), ("32", True, "32"), ("bf16-mixed", False, "32")],
)
def test_a_network_is_read_in_the_precision_it_was_trained_in(
    untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained_in: str, is_native: bool, used: str
) -> None:
    monkeypatch.setattr("sleap_nn.inference.runtime.native_bfloat16", lambda device: is_native)
    model = shutil.copytree(untrained / "centroid", tmp_path / "model")
    config = TrainingJobConfig.load(model / "training_config.yaml")
    config.trainer_config.precision = trained_in
    config.save(model / "training_config.yaml")
    assert load_models(model, StageSettings())[0].precision == used
    assert load_models(model, StageSettings(), precision="32")[0].precision == "32"
    assert load_models(model, StageSettings(), precision="bf16")[0].precision == "bf16"


def test_a_call_changes_settings_for_itself_only(untrained: Path) -> None:
    predictor = Predictor.from_model_paths([untrained / name for name in PAIR], **FAST)
    source = untrained / "clip.mp4"
    before = counts(predictor.predict(source))
    assert max(before) > 1
    assert max(counts(predictor.predict(source, max_instances=1))) == 1
    assert sum(counts(predictor.predict(source, centroid_threshold=9.0))) == 0
    assert sum(counts(predictor.predict(source, peak_threshold=9.0, centroid_threshold=0.5))) == 0
    rough = points(predictor.predict(source, integral_refinement="none"))
    assert not np.array_equal(rough, points(predictor.predict(source)), equal_nan=True)
    assert counts(predictor.predict(source, keypoint_threshold=None)) == before
    with pytest.raises(TypeError, match="threshold"):
        predictor.predict(source, threshold=0.5)


@pytest.mark.parametrize(
    ("model", "keyword", "field", "shape"),
    [
        ("single_instance", "return_confmaps", "pred_confmaps", (1, 9, 32, 32)),
        ("centroid", "return_confmaps", "pred_confmaps", (1, 1, 32, 32)),
        ("bottomup", "return_pafs", "pred_pafs", (1, 16, 16, 16)),
        ("multi_class_bottomup", "return_class_maps", "pred_class_maps", (1, 2, 16, 16)),
        ("multi_class_topdown", "return_class_vectors", "pred_class_vectors", (1, 2, 2)),
        ("centered_instance", "return_crops", "crops", (1, 2, 1)),
        ("centered_instance", "return_confmaps", "pred_confmaps", (1, 2, 9)),
    ],
)
def test_raw_results_on_request(untrained: Path, model: str, keyword: str, field: str, shape: tuple) -> None:
    options: dict[str, Any] = {"source": "labels.pkg.slp", "frames": [0], "peak_threshold": 0.2}
    (plain,) = run(untrained, model, make_labels=False, **options)
    assert field not in plain.numpy()
    (raw,) = run(untrained, model, make_labels=False, **options, **{keyword: True})
    assert raw.numpy()[field].shape[: len(shape)] == shape
    with pytest.raises(ConfigError, match=f"make_labels=False with {keyword}"):
        run(untrained, model, **options, **{keyword: True})


def test_confidence_maps_have_their_maxima_at_the_points(untrained: Path) -> None:
    (raw,) = run(
        untrained, "single_instance", make_labels=False, return_confmaps=True, frames=[0], integral_refinement="none"
    )
    maps, found = raw.pred_confmaps[0], raw.pred_keypoints[0, 0]
    for node in torch.nonzero(~torch.isnan(found[:, 0]))[:, 0]:
        x, y = (found[node] / 2).round().int().tolist()
        assert maps[node, y, x] == pytest.approx(float(maps[node].max()), abs=1e-5)


def test_the_graph_of_a_bottom_up_model(untrained: Path) -> None:
    (raw,) = run(untrained, "bottomup", make_labels=False, return_paf_graph=True, batch_size=5)
    peaks, edges, pairs, scores = raw.pred_paf_graph
    assert pairs.max() < len(peaks)
    assert len(edges) == len(pairs) == len(scores)
    assert edges.max() < 8
    visible = raw.pred_keypoints[~torch.isnan(raw.pred_keypoints).any(dim=-1)]
    distances = torch.cdist(visible, peaks, compute_mode="donot_use_mm_for_euclid_dist")
    assert distances.min(dim=1).values.max() < 1e-3
