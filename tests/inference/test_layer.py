from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sleap_io as sio
import torch

from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.errors import ConfigError, DataError, ModelError
from sleap_nn.inference import Predictor
from sleap_nn.inference.runtime import TorchRuntime, precision_in_use
from sleap_nn.networks import compilation

FAST: dict[str, Any] = {"device": "cpu", "precision": "32", "peak_threshold": 0.5}


def loaded(folder: Path, *models: str, **options: Any) -> Predictor:
    return Predictor.from_model_paths([folder / name for name in models], **FAST, **options)


def points(labels: sio.Labels) -> np.ndarray:
    return np.concatenate([instance.numpy() for frame in labels for instance in frame.instances])


@pytest.fixture
def image(untrained: Path) -> np.ndarray:
    return np.asarray(sio.load_video(str(untrained / "clip.mp4"))[0])


def test_a_layer_makes_another_predictor(untrained: Path) -> None:
    first, clip = loaded(untrained, "bottomup"), untrained / "clip.mp4"
    same = Predictor(first.layer, first.skeleton, 2, model_paths=["models/named"], device="cpu")
    found, expected = same.predict(clip), first.predict(clip)
    np.testing.assert_allclose(points(found), points(expected), atol=1e-4)
    assert (same.batch_size, same.device, same.model_paths) == (2, "cpu", [Path("models/named")])
    assert found.provenance["model_paths"] == [(Path.cwd() / "models/named").as_posix()]
    tracking = Predictor(first.layer, filter_config=FilterConfig(min_visible_nodes=4), tracker_config=TrackerConfig())
    tracked = tracking.predict(clip)
    assert all(np.isfinite(own.numpy()[:, 0]).sum() >= 4 for frame in tracked for own in frame.instances)
    assert {track.name for track in tracked.tracks} >= {"track_0"}
    assert tracking.model_paths == [untrained / "bottomup"]


def test_a_predictor_names_the_nodes_as_it_was_told(untrained: Path) -> None:
    layer = loaded(untrained, "single_instance").layer
    names = [f"renamed {i}" for i in range(9)]
    named = Predictor(layer, sio.Skeleton(list(names)))
    (frame, *_) = named.predict(untrained / "clip.mp4", frames=[0])
    assert frame.instances[0].skeleton.node_names == names
    assert named.skeleton.node_names == names
    other = named.predict(untrained / "clip.mp4", frames=[0], skeleton=sio.Skeleton(list("abcdefghi")))
    assert other.skeleton.node_names == list("abcdefghi")
    with pytest.raises(ConfigError, match=r"skeleton has 2 node\(s\), the model 9"):
        Predictor(layer, sio.Skeleton(["a", "b"]))


def test_the_skeleton_of_training_leaves_centroids_as_they_are(untrained: Path) -> None:
    layer = loaded(untrained, "centroid").layer
    trained = Predictor(layer).skeleton
    assert len(trained.node_names) == 9
    again = Predictor(layer, trained).predict(untrained / "clip.mp4", frames=[0])
    assert again.skeleton.node_names == ["centroid"]


def test_a_layer_stays_where_it_is(untrained: Path) -> None:
    with pytest.raises(ConfigError, match="the models are on cpu; load them with device='meta'"):
        Predictor(loaded(untrained, "centroid").layer, device="meta")


@pytest.mark.parametrize(
    "options",
    [{"batch_size": 10**9}, {"queue_maxsize": 10**9}, {"paf_workers": 10**6}, {"max_instances": 10**9},
     {"integral_patch_size": 10**9 + 1}, {"n_points": 10**9}, {"preprocess_config": {"scale": 1e9}},
     {"preprocess_config": {"max_height": 10**9}}],
    ids=lambda options: next(iter(options)),
)  # fmt: skip
def test_sizes_beyond_any_use_are_refused(untrained: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(untrained, "bottomup", **options)
    assert "\n" not in str(caught.value)


def test_the_models_of_a_pair_are_layers(untrained: Path, image: np.ndarray) -> None:
    pair = loaded(untrained, "centroid", "centered_instance", return_confmaps=True).layer
    found = pair.centroid_layer(image)
    assert found.pred_confmaps is not None
    assert found.pred_confmaps.shape == (1, 1, 32, 32)
    expected = loaded(untrained, "centroid").layer(image)
    assert torch.equal(found.pred_centroids, expected.pred_centroids)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="reads crops about labelled animals"):
        pair.centered_instance_layer(image)
    with pytest.raises(ModelError, match="no centroid_layer for a bottomup model"):
        _ = loaded(untrained, "bottomup").layer.centroid_layer


def test_how_a_frame_became_an_input_is_told(untrained: Path, image: np.ndarray) -> None:
    sizes = {"max_height": 96, "max_width": 96, "scale": 0.55}
    info = loaded(untrained, "single_instance", preprocess_config=sizes).layer(image).preprocess_info
    assert info is not None
    assert (info.original_size, info.processed_size, info.pad_amount) == ((64, 64), (56, 56), (4, 4))
    assert (info.eff_scale.tolist(), info.input_scale, info.output_stride) == ([1.5], 0.55, 2)


def test_floats_and_tensors_are_images_too(untrained: Path, image: np.ndarray) -> None:
    layer = loaded(untrained, "single_instance").layer
    expected = layer(image).pred_keypoints
    for given in (image.astype(np.float64), torch.from_numpy(image).float(), torch.from_numpy(image)):
        assert torch.equal(layer(given).pred_keypoints, expected)  # pyright: ignore[reportArgumentType]


def test_fractions_of_one_are_not_taken_for_black(untrained: Path, image: np.ndarray) -> None:
    layer = loaded(untrained, "single_instance").layer
    for given in (image / 255, torch.from_numpy(image).float() / 255):
        with pytest.raises(DataError, match=r"values of 0 to 1.*255 \* image"):
            layer(given)
    for given in (np.zeros((32, 32)), np.eye(32), np.full((32, 32), np.nan)):  # dark images on the scale of 0 to 255
        assert layer(given).batch_size == 1


def test_attributes_act_from_the_next_call_on(untrained: Path) -> None:
    predictor, clip = loaded(untrained, "centroid", "centered_instance"), untrained / "clip.mp4"
    expected = points(predictor.predict(clip, frames=[0]))
    predictor.filter_config = FilterConfig(min_instance_score=1e6)
    assert not predictor.predict(clip, frames=[0])[0].instances
    (batch,) = predictor.predict_streaming(clip, frames=[0])
    assert batch.to_predictions()[0].points.size == 0
    predictor.filter_config = FilterConfig()
    predictor.batch_size = 1
    assert len(predictor.predict(clip, frames=[0, 1], make_labels=False)) == 2
    np.testing.assert_allclose(points(predictor.predict(clip, frames=[0])), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 0), ("batch_size", "8"), ("queue_size", 0), ("paf_workers", -1), ("emit_centroid", "yes"),
     ("filter_config", {"overlapping": True}), ("roi", True)],
)  # fmt: skip
def test_attributes_are_checked_like_arguments(untrained: Path, tmp_path: Path, name: str, value: object) -> None:
    predictor, clip = loaded(untrained, "single_instance"), untrained / "clip.mp4"
    setattr(predictor, name, value)
    for predict in (predictor.predict, predictor.predict_streaming):
        with pytest.raises(ConfigError, match=name.split("_")[0]):
            predict(clip, frames=[0])
    with pytest.raises(ConfigError, match=name.split("_")[0]):
        predictor.predict_to_file(clip, tmp_path / "out.slp")
    assert not list(tmp_path.iterdir())


def test_models_device_and_precision_by_other_types(untrained: Path) -> None:
    by_number = Predictor.from_model_paths(untrained / "centroid", device=torch.device("cpu"), precision=16)  # pyright: ignore[reportArgumentType]
    assert (by_number.device, by_number.layer.models[0].precision) == ("cpu", "16")
    for given in (None, 3, [None], {"a": 1}.values()):
        with pytest.raises(ConfigError, match="name the folder of a trained or exported model"):
            Predictor.from_model_paths(given)  # pyright: ignore[reportArgumentType]


def test_half_precision_needs_a_cuda_device(untrained: Path, image: np.ndarray) -> None:
    layer = loaded(untrained, "centroid", "centered_instance").layer
    before = layer(image).pred_keypoints
    layer.backend.use_fp16 = True
    assert not layer.backend.use_fp16
    torch.testing.assert_close(layer(image).pred_keypoints, before, rtol=0, atol=0, equal_nan=True)
    with pytest.raises(AttributeError):
        layer.backend.use_fp61 = True  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="float16 is for CUDA devices")
def test_half_precision_acts_and_can_be_taken_back(untrained: Path, image: np.ndarray) -> None:
    predictor = Predictor.from_model_paths(untrained / "single_instance", device="cuda", precision="32")
    layer = predictor.layer
    before = layer(image).pred_peak_values
    layer.backend.use_fp16 = True
    halved = layer(image).pred_peak_values
    assert predictor.predict(untrained / "clip.mp4", frames=[0]).provenance["inference_config"]["precision"] == "16"
    layer.backend.use_fp16 = False
    again = layer(image).pred_peak_values
    assert before is not None and halved is not None and again is not None
    assert torch.equal(again, before)
    assert not torch.equal(halved, before)
    torch.testing.assert_close(halved, before, atol=0.02, rtol=0.02)


def test_weights_in_half_precision_stay_so(untrained: Path) -> None:
    layer = Predictor.from_model_paths(untrained / "centroid", device="cpu", precision="16").layer
    assert layer.backend.use_fp16
    with pytest.raises(ConfigError, match="load the models with precision='32'"):
        layer.backend.use_fp16 = False


def test_a_network_is_compiled_on_request(untrained: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    torch._dynamo.reset()
    monkeypatch.setattr(compilation, "BACKEND", "eager")
    calls: list[str] = []
    lookup = torch._dynamo.lookup_backend
    monkeypatch.setattr(torch._dynamo, "lookup_backend", lambda name: calls.append(name) or lookup(name))
    layer = loaded(untrained, "single_instance").layer
    before = layer(image).pred_keypoints
    layer.backend.use_compile = True
    assert layer.backend.use_compile
    torch.testing.assert_close(layer(image).pred_keypoints, before)
    count = len(calls)
    assert count
    layer.backend.use_compile = False
    assert torch.equal(layer(image).pred_keypoints, before)  # pyright: ignore[reportArgumentType]
    assert len(calls) == count


def test_an_exported_model_has_nothing_to_switch(untrained: Path) -> None:
    (model,) = loaded(untrained, "single_instance").layer.models
    from sleap_nn.inference.runtime import Backend

    assert isinstance(model.stage.runtime, TorchRuntime)
    assert precision_in_use(model.stage.runtime, "32") == "32"
    with pytest.raises(ConfigError, match="as it was exported"):
        Backend([model.stage.runtime, lambda images: {}])


def test_raw_results_become_labels_without_their_source(untrained: Path) -> None:
    predictor, clip = loaded(untrained, "bottomup"), untrained / "clip.mp4"
    outputs = predictor.predict([clip, clip], make_labels=False)
    found = predictor.to_labels(outputs)
    np.testing.assert_allclose(points(found), points(predictor.predict([clip, clip])), atol=1e-4)
    assert [video.filename for video in found.videos] == ["unknown", "unknown"]
    assert len(found) == 10
    assert len(predictor.to_labels([])) == 0
    assert predictor.to_labels(outputs, [clip, clip]).videos[0].filename == str(clip)


def test_bfloat16_is_read_and_no_image_at_all_is_refused(untrained: Path, image: np.ndarray) -> None:
    layer = loaded(untrained, "single_instance").layer
    same = torch.from_numpy(image).to(torch.bfloat16)
    whole = layer(same.float().numpy())
    np.testing.assert_array_equal(np.asarray(layer(same).pred_keypoints), np.asarray(whole.pred_keypoints))
    with pytest.raises(DataError, match=r"shape \(0, 64, 64, 1\) and holds no image; give at least one"):
        layer(np.zeros((0, 64, 64, 1), np.uint8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 2.5}, "batch_size is 2.5; it must be a whole number"),
        ({"queue_maxsize": "4"}, "queue_maxsize is '4'; it must be a whole number"),
        ({"paf_workers": True}, "paf_workers is True; it must be a whole number"),
        ({"filter_config": {}}, "filter_config is a dict; give a FilterConfig"),
        ({"tracker_config": {}}, "tracker_config is a dict; give a TrackerConfig"),
        ({"keypoint_threshold": [0.1, 0.2]}, r"keypoint_threshold must be a number or null, not \[0.1, 0.2\]"),
        ({"centroid_threshold": "a"}, "centroid_threshold must be a number or null, not 'a'"),
        ({"peak_threshold": "ab"}, "peak_threshold must be a number, not 'ab'"),
    ],
)
def test_values_of_another_type_are_refused(untrained: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Predictor.from_model_paths(untrained / "single_instance", **options)


def test_numbers_of_numpy_are_numbers(untrained: Path, tmp_path: Path) -> None:
    predictor = loaded(untrained, "single_instance", batch_size=np.int64(2))
    assert type(predictor.batch_size) is int  # as files can hold it
    predictor.predict_to_file(untrained / "clip.mp4", tmp_path / "out.slp", frames=np.arange(3))


def test_loading_leaves_random_numbers_as_they_were(untrained: Path) -> None:
    before = torch.get_rng_state()
    loaded(untrained, "single_instance")
    assert torch.equal(torch.get_rng_state(), before)
