"""Following an animal, from the command line to the labels, with a network that was trained for it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sleap_io as sio
from click.testing import CliRunner, Result
from factories import make_labels, make_scene
from torch import Tensor

from sleap_nn.cli import cli
from sleap_nn.errors import ConfigError
from sleap_nn.inference import Predictor, predict
from sleap_nn.inference.layer import Layer
from sleap_nn.inference.runtime import TorchRuntime
from sleap_nn.stages.follow import RoiSettings
from sleap_nn.training.model_trainer import ModelTrainer

NUM_FRAMES, SIDE, HEIGHT, WIDTH = 30, 64, 192, 256
SIZE = ("--max_height", HEIGHT, "--max_width", WIDTH)


def corner(t: int) -> tuple[int, int]:
    """Return where the small picture of the animal lies in frame `t` of the large video."""
    return 20 + 4 * t, 60 + round(30 * np.sin(t / 5))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model and a video in which its animal walks through a larger frame."""
    folder = tmp_path_factory.mktemp("roi")
    make_labels(12, height=SIDE, width=SIDE, path=folder / "labels.pkg.slp")
    config: dict[str, Any] = {
        "data_config": {
            "train_labels_path": [str(folder / "labels.pkg.slp")],
            "use_augmentations_train": False,
            "data_pipeline_fw": "torch_dataset_cache_img_memory",
        },
        "model_config": {
            "backbone_config": {"unet": {"filters": 8, "max_stride": 8}},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 1.5, "output_stride": 2}}},
        },
        "trainer_config": {
            "max_epochs": 6,
            "min_train_steps_per_epoch": 20,
            "save_ckpt": True,
            "ckpt_dir": str(folder),
            "run_name": "run",
            "trainer_accelerator": "cpu",
            "precision": "32",
            "optimizer": {"lr": 3e-3},
        },
    }
    ModelTrainer(config).train()
    scene = make_scene(SIDE, SIDE)
    with sio.VideoWriter(str(folder / "video.mp4"), fps=30, codec="h264") as writer:
        for t in range(NUM_FRAMES):
            small, (x, y) = scene.image(t), corner(t)
            frame = np.full((HEIGHT, WIDTH, 1), np.median(small), np.uint8)
            frame[y : y + SIDE, x : x + SIDE] = small
            writer(frame)
    return folder


def run(*arguments: str | float | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)


def points(labels: sio.Labels) -> np.ndarray:
    return np.stack([frame.instances[0].numpy() for frame in labels])


def test_an_animal_is_followed_with_the_points_of_whole_frames(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels: list[int] = []
    forward = TorchRuntime.__call__

    def counted(runtime: TorchRuntime, images: Tensor) -> Any:
        pixels.append(images.numel())
        return forward(runtime, images)

    monkeypatch.setattr(TorchRuntime, "__call__", counted)
    found, read = {}, {}
    for name, options in (("whole", ()), ("followed", ("--roi", "--roi_check_interval", "1000"))):
        pixels.clear()
        out = tmp_path / f"{name}.slp"
        result = run(
            "predict", "-i", folder / "video.mp4", "-m", folder / "run", "-o", out, "-d", "cpu", *SIZE, *options
        )
        assert result.exit_code == 0, result.output
        found[name], read[name] = sio.load_slp(str(out)), sum(pixels)
    assert [frame.frame_idx for frame in found["followed"]] == list(range(NUM_FRAMES))
    scene = make_scene(SIDE, SIDE)
    truth = np.stack([scene.points(t)[0] + corner(t) for t in range(NUM_FRAMES)])
    assert np.nanmedian(np.linalg.norm(points(found["followed"]) - truth, axis=-1)) < 5
    apart = np.linalg.norm(points(found["followed"]) - points(found["whole"]), axis=-1)
    assert np.nanmedian(apart) < 0.05
    assert np.nanmean(apart > 2) < 0.02
    assert read["followed"] < 0.75 * read["whole"]
    assert found["followed"].provenance["inference_config"]["roi_check_interval"] == 1000
    assert "roi_check_interval" not in found["whole"].provenance["inference_config"]


def test_every_way_to_follow_gives_the_same(folder: Path) -> None:
    options: dict[str, Any] = {"model_paths": folder / "run", "device": "cpu", "batch_size": 3, "roi": RoiSettings()}
    options["preprocess_config"] = {"max_height": HEIGHT, "max_width": WIDTH}
    expected = points(predict(folder / "video.mp4", **options))
    np.testing.assert_array_equal(points(predict(folder / "video.mp4", **options, queue_maxsize=1)), expected)
    size = options["preprocess_config"]
    predictor = Predictor.from_model_paths(folder / "run", batch_size=3, roi=RoiSettings(), preprocess_config=size)
    batches = predictor.predict_streaming(folder / "video.mp4")
    streamed = np.concatenate([frame.points for batch in batches for frame in batch.to_predictions()])
    np.testing.assert_allclose(streamed, expected, atol=1e-4)


def test_what_cannot_be_followed_is_one_line(folder: Path) -> None:
    result = run("predict", "-i", folder / "video.mp4", "-m", folder / "run", "--roi", "--roi_check_interval", "0")
    assert result.exit_code == 2
    with pytest.raises(ConfigError, match="single_instance"):
        Predictor(Layer([]), roi=RoiSettings())
    with pytest.raises(ConfigError, match="no maps of whole frames"):
        Predictor.from_model_paths(folder / "run", roi=RoiSettings(), return_confmaps=True)
    predictor = Predictor.from_model_paths(folder / "run", roi=RoiSettings())
    with pytest.raises(ConfigError, match="no maps of whole frames"):
        predictor.predict_streaming(folder / "video.mp4", return_confmaps=True)
