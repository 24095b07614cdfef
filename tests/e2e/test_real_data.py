"""Labels made by people, where they are at hand: ``SLEAP_NN_TEST_DATA``, or ``../shared/data`` beside the checkout."""

import os
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.data.labels import LabelSet, load_labels
from sleap_nn.data.sources import VideoFrames
from sleap_nn.evaluation import Evaluator
from sleap_nn.inference.run import predict
from sleap_nn.structures.region import Region
from sleap_nn.training.model_trainer import ModelTrainer

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("SLEAP_NN_TEST_DATA", ROOT.parent / "shared" / "data"))
MOUSE = DATA / "openfield_mouse"

pytestmark = pytest.mark.skipif(not MOUSE.is_dir(), reason=f"no labelled data in {DATA}")


def test_the_labels_lie_on_the_mouse() -> None:
    """The input of the network shows fur, which is darker than the floor, at every labelled point."""
    labels = LabelSet.from_labels([load_labels(MOUSE / "test.pkg.slp")])
    source = VideoFrames(labels.videos, [frame.key for frame in labels.frames])
    spec = InputSpec(channels=1, scale=0.5, stride=32)
    darker = []
    for frame in labels.frames:
        image, transform = spec.read(source.read(frame.key), Region())
        for x, y in np.round(transform(frame.points[0])).astype(int):
            darker.append(image[0, y - 2 : y + 3, x - 2 : x + 3].mean() < np.median(image))
    assert np.mean(darker) > 0.95


def test_the_example_configuration_runs_on_its_data(tmp_path: Path) -> None:
    config = TrainingJobConfig.load(
        ROOT / "examples" / "openfield" / "single_instance.yaml",
        [
            f"data_config.train_labels_path=['{MOUSE / 'train.pkg.slp'}']",
            "data_config.preprocessing.scale=0.125",
            "trainer_config.min_train_steps_per_epoch=2",
            "trainer_config.train_steps_per_epoch=2",
            "trainer_config.max_epochs=1",
            "trainer_config.trainer_accelerator=cpu",
            f"trainer_config.ckpt_dir='{tmp_path}'",
        ],
    )
    trainer = ModelTrainer(config)
    trainer.train()
    assert trainer.run_dir is not None
    truth = MOUSE / "test.pkg.slp"
    found = predict(
        truth, model_paths=trainer.run_dir, device="cpu", peak_threshold=-10.0, output_path=tmp_path / "p.slp"
    )
    assert len(found) == 20
    metrics = Evaluator(sio.load_slp(str(truth)), found).evaluate()
    assert metrics["counts"]["matched"] + metrics["counts"]["false_negatives"] == 20


def test_a_video_is_read_frame_by_frame() -> None:
    video = sio.load_video(str(MOUSE / "unlabeled_m3v1mp4.mp4"))
    frames = VideoFrames([video])
    assert len(frames) == 2330
    late, early = frames.read(frames.keys[-1]), frames.read(frames.keys[3])
    assert late.image.shape == early.image.shape == (480, 640, 1)
    assert not np.array_equal(late.image, early.image)
