import contextlib
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
import torch
from factories import make_video

import sleap_nn
import sleap_nn.predict
from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.data.media import MediaReader
from sleap_nn.errors import ConfigError, DataError, MissingFileError, ModelError, UsageError
from sleap_nn.inference import Predictor, predict
from sleap_nn.inference.predictor import MissingFramesError
from sleap_nn.inference.select import select_frames
from sleap_nn.networks import model_dir
from sleap_nn.networks.devices import resolve_precision


@pytest.fixture
def run(trained: Path) -> Path:
    return trained / "models" / "run"


def points(labels: sio.Labels) -> np.ndarray:
    return np.stack([frame.instances[0].numpy() for frame in labels])


def test_a_trained_model_finds_its_animals(trained: Path, run: Path) -> None:
    truth = sio.load_slp(str(trained / "labels.pkg.slp"))
    found = predict(trained / "labels.pkg.slp", model_paths=run, device="cpu")
    assert [frame.frame_idx for frame in found] == [frame.frame_idx for frame in truth]
    errors = np.linalg.norm(points(found) - points(truth), axis=-1)
    assert np.nanmedian(errors) < 3
    instance = found[0].instances[0]
    assert isinstance(instance, sio.PredictedInstance)
    scores = instance.numpy(scores=True)[:, 2]
    assert instance.score == pytest.approx(np.nansum(scores), rel=1e-5)


def test_every_way_to_predict_gives_the_same(trained: Path, run: Path, tmp_path: Path) -> None:
    labels = trained / "labels.pkg.slp"
    expected = predict(labels, model_paths=[run], device="cpu", output_path=tmp_path / "out.slp")
    predictor = Predictor.from_model_paths(run / "best.ckpt", batch_size=3)
    others = {
        "saved": sio.load_slp(str(tmp_path / "out.slp")),
        "batch of 3": predictor.predict(str(labels)),
        "second call": predictor.predict(sio.load_slp(str(labels))),
        "module": sleap_nn.predict(labels, model_paths=run / "training_config.yaml", device="cpu"),
        "from the module": sleap_nn.predict.predict(labels, model_paths=run, device="cpu", queue_maxsize=1),
    }
    for name, other in others.items():
        np.testing.assert_allclose(points(other), points(expected), atol=2e-3, err_msg=name)
    streamed = list(predictor.predict_streaming(labels))
    np.testing.assert_allclose(np.concatenate([o.pred_keypoints[:, 0] for o in streamed]), points(expected), atol=2e-3)


def test_a_video_gives_every_requested_frame_and_its_provenance(run: Path, tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", num_frames=7)
    seen = []
    found = predict(
        str(video),
        model_paths=run,
        device="cpu",
        frames=[1, 3, 4, 99],
        batch_size=2,
        progress_callback=lambda done, total: seen.append((done, total)),
    )
    assert [frame.frame_idx for frame in found] == [1, 3, 4]
    assert seen[-1] == (3, 3)
    record = found.provenance
    assert record["frame_selection"] == {"method": "specified", "frames_processed": 3, "frames_total": 7}
    assert record["model_type"] == "single_instance"
    assert record["inference_config"]["peak_threshold"] == 0.2
    assert record["model_paths"] == [run.resolve().as_posix()]
    assert record["sleap_nn_version"] == sleap_nn.__version__
    everything = predict(str(video), model_paths=run, device="cpu")
    assert [frame.frame_idx for frame in everything] == list(range(7))


def test_images_in_memory(run: Path) -> None:
    found = predict(np.zeros((3, 64, 64, 1), np.uint8), model_paths=run, device="cpu", clean_empty_frames=False)
    assert len(found) == 3
    few = predict(np.zeros((3, 64, 64), np.uint8), model_paths=run, device="cpu", peak_threshold=1.1)
    assert [len(frame.instances) for frame in few] == [0, 0, 0]
    none = predict(
        [np.zeros((64, 64, 3), np.uint8)], model_paths=run, device="cpu", peak_threshold=1.1, clean_empty_frames=True
    )
    assert len(none) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"peak_threshold": 0.9},
        {"integral_refinement": None},
        {"integral_patch_size": 3},
        {"preprocess_config": {"scale": 0.5}},
        {"preprocess_config": {"max_height": 96, "max_width": 96}},
        {"precision": "bf16" if resolve_precision("auto", "cpu") == "32" else "32"},
        {"frames": [2, 0]},
    ],
)
def test_every_option_acts(trained: Path, run: Path, options: dict) -> None:
    source = trained / "labels.pkg.slp"
    plain = predict(source, model_paths=run, device="cpu")
    other = predict(source, model_paths=run, device="cpu", **options)
    same = len(plain) == len(other) and np.array_equal(points_or_nan(plain), points_or_nan(other), equal_nan=True)
    assert not same


def points_or_nan(labels: sio.Labels) -> np.ndarray:
    missing = np.full((9, 2), np.nan)
    return np.stack([frame.instances[0].numpy() if frame.instances else missing for frame in labels])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"integral_refinement": "cubic"}, "integral_refinement"),
        ({"integral_patch_size": 4}, "odd"),
        ({"precision": "8"}, "precision"),
        ({"device": "abacus"}, "abacus"),
        ({"preprocess_config": {"crop_size": 32}}, "crop_size"),
        ({"preprocess_config": {"zoom": 2}}, "zoom"),
        ({"preprocess_config": {"ensure_rgb": True}}, "ensure_rgb"),
        ({"video_index": 5}, "video_index"),
    ],
)
def test_impossible_options_are_refused(trained: Path, run: Path, options: dict, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        predict(trained / "labels.pkg.slp", model_paths=run, **options)


def test_frames_that_cannot_be_read_are_listed_and_the_others_are_saved(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = make_video(tmp_path / "clip.mp4", num_frames=6)
    original = MediaReader.read

    def broken(self: MediaReader, number: int) -> np.ndarray:
        if number in (2, 5):
            raise DataError(f"Frame {number} of clip.mp4 cannot be read (bad packet).")
        return original(self, number)

    monkeypatch.setattr(MediaReader, "read", broken)
    with pytest.raises(MissingFramesError, match=r"2 of 6 .*Frame 2 of .*Frame 5 of") as caught:
        predict(str(video), model_paths=run, device="cpu", output_path=tmp_path / "out.slp")
    assert caught.value.labels is not None
    assert [failure.key.frame for failure in caught.value.failures] == [2, 5]
    assert [frame.frame_idx for frame in caught.value.labels] == [0, 1, 3, 4]
    assert [frame.frame_idx for frame in sio.load_slp(str(tmp_path / "out.slp"))] == [0, 1, 3, 4]
    with pytest.raises(DataError, match="Frame 2"):
        list(Predictor.from_model_paths(run).predict_streaming(str(video)))


def test_plain_tensors_predict_what_the_checkpoint_predicts(trained: Path, run: Path, tmp_path: Path) -> None:
    folder, images = shutil.copytree(run, tmp_path / "run"), trained / "labels.pkg.slp"
    model_dir.save_weights(model_dir.load_weights(run / "best.ckpt"), folder / "best.safetensors")
    (folder / "best.ckpt").unlink()
    first, second = (predict(images, model_paths=model, device="cpu") for model in (run, folder))
    assert np.array_equal(points(first), points(second), equal_nan=True)


class Malicious:
    """Unpickling this object would create a file."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.target,))


def test_a_checkpoint_with_code_in_it_is_refused_and_nothing_runs(run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "run")
    target = tmp_path / "owned"
    torch.save({"state_dict": {}, "config": Malicious(target)}, folder / "best.ckpt")
    with pytest.raises(ModelError, match="tensors and plain values"):
        Predictor.from_model_paths(folder)
    assert not target.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a zip"])
def test_a_broken_checkpoint_is_refused_in_one_sentence(run: Path, tmp_path: Path, content: bytes) -> None:
    folder = shutil.copytree(run, tmp_path / "run")
    (folder / "best.ckpt").write_bytes(content)
    with pytest.raises(ModelError, match=r"best\.ckpt cannot be read") as caught:
        Predictor.from_model_paths(folder)
    assert "\n" not in str(caught.value)


def test_incomplete_and_mixed_up_folders_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        Predictor.from_model_paths(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFileError, match=r"training_config\.yaml"):
        Predictor.from_model_paths(tmp_path / "empty")
    folder = shutil.copytree(run, tmp_path / "run")
    text = (folder / "training_config.yaml").read_text().replace("filters: 8", "filters: 6")
    (folder / "training_config.yaml").write_text(text)
    with pytest.raises(ModelError, match="do not fit"):
        Predictor.from_model_paths(folder)
    with pytest.raises(ModelError, match="Models of the types single_instance, single_instance were given"):
        Predictor.from_model_paths([run, run])


def test_labels_take_the_skeleton_and_videos_they_are_given(trained: Path, run: Path, tmp_path: Path) -> None:
    predictor = Predictor.from_model_paths(run)
    names = [f"node_{i}" for i in range(len(predictor.skeleton.node_names))]
    skeleton, video = sio.Skeleton(list(names)), sio.Video("mine.mp4", open_backend=False)
    labels = predictor.predict(trained / "labels.pkg.slp", frames=[0], skeleton=skeleton, videos=[video])
    assert labels.skeleton is skeleton
    assert labels.videos == [video]
    path = predictor.predict_to_file(
        trained / "labels.pkg.slp", tmp_path / "out.slp", frames=[0], skeleton=skeleton, videos=[video]
    )
    saved = sio.load_slp(path)
    assert saved.skeleton.node_names == names
    assert saved.video.filename == "mine.mp4"
    assert predictor.predict(trained / "labels.pkg.slp", frames=[0]).skeleton.node_names != names
    with pytest.raises(ConfigError, match="skeleton has 1 node"):
        predictor.predict(trained / "labels.pkg.slp", skeleton=sio.Skeleton(["one"]))
    with pytest.raises(ConfigError, match="videos names 0 video"):
        predictor.predict(trained / "labels.pkg.slp", videos=[])


def test_filters_and_warm_up_of_a_predictor(run: Path) -> None:
    predictor = Predictor.from_model_paths(run, filter_config=FilterConfig(min_instance_score=1e6))
    image = np.zeros((64, 64, 1), np.uint8)
    predictor.layer.warmup()
    predictor.layer.warmup((64, 64))
    found = predictor.filter_pipeline(predictor.layer(image))
    assert np.isnan(found.numpy()["pred_keypoints"]).all()


def test_without_a_model_there_is_no_prediction() -> None:
    with pytest.raises(UsageError, match="There is no model"):
        predict("clip.mp4")


def is_open(path: Path) -> bool:
    """Tell whether this process has a file open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one with which the folder is read
            found.append(entry.resolve())
    return path.resolve() in found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="nothing tells which files are open")
def test_a_call_closes_the_files_that_it_has_opened(trained: Path, tmp_path: Path) -> None:
    video, run = make_video(tmp_path / "clip.mp4", num_frames=20), trained / "models" / "run"
    predictor = Predictor.from_model_paths(run, batch_size=2)
    labels = predictor.predict(video)
    assert not is_open(video)
    np.testing.assert_array_equal(labels.video[3], sio.load_video(str(video))[3])  # opened again
    labels.video.backend.close()
    predict(video, model_paths=run, device="cpu")
    predict([video], model_paths=run, device="cpu", output_path=tmp_path / "out.slp")
    predictor.predict_to_file(video, tmp_path / "other.slp")
    assert not is_open(video)
    results = predictor.predict_streaming(video)
    next(results)
    assert is_open(video)
    results.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert not is_open(video)
    assert len(list(predictor.predict_streaming(video))) == 10
    assert not is_open(video)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="nothing tells which files are open")
def test_what_a_user_has_opened_can_be_read_on(trained: Path, tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4", num_frames=6)
    predictor = Predictor.from_model_paths(trained / "models" / "run")
    video = sio.load_video(str(path))
    before = video[3]
    predictor.predict(video)
    np.testing.assert_array_equal(video[3], before)
    video.close()
    assert not is_open(path)
    selection = select_frames(path)
    predictor.predict(selection)
    assert is_open(path)
    selection.close()
    assert not is_open(path)
    predictor.predict(selection)  # can be used again
    selection.close()
    assert not is_open(path)


def test_an_error_that_is_kept_keeps_no_threads(run: Path) -> None:
    predictor, images = Predictor.from_model_paths(run, device="cpu"), np.zeros((40, 64, 64), np.uint8)

    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt) as kept:
        predictor.predict(images, progress_callback=stop)
    assert (kept.type, threading.active_count()) == (KeyboardInterrupt, before)
