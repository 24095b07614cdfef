import pytest
import torch

from sleap_nn.config.model_config import BottomUpMultiClassConfig
from sleap_nn.errors import ConfigError
from sleap_nn.inference.settings import StageSettings, overridden
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.base import DecodeSettings
from sleap_nn.tasks.multi_class_bottomup import MultiClassBottomUp

KEY = FrameKey(0, 0)
STRIDE = 2


def make_task() -> MultiClassBottomUp:
    config = BottomUpMultiClassConfig()
    config.confmaps.output_stride = config.class_maps.output_stride = STRIDE
    config.class_maps.classes = ["female", "male"]
    return MultiClassBottomUp.from_config(config, Skeleton(("nose",)))


TASK = make_task()


def ghost() -> dict[str, torch.Tensor]:
    """Return maps in which the female has two noses: a high one, and a low one that is a little surer of its class."""
    confmaps, class_maps = torch.zeros(1, 1, 40, 40), torch.zeros(1, 2, 40, 40)
    for x, y, height, classes in ((10, 10, 0.9, (0.8, 0.1)), (10, 20, 0.3, (0.9, 0.1)), (30, 30, 0.8, (0.1, 0.9))):
        confmaps[0, 0, y, x] = height
        class_maps[0, :, y, x] = torch.tensor(classes)
    return {TASK.confmaps.name: confmaps, TASK.class_maps.name: class_maps}


def found(settings: DecodeSettings) -> dict[int, list[float]]:
    """Return class -> place of its nose."""
    (detection,) = TASK.detect(ghost(), settings)
    predictions = TASK.assemble(KEY, [detection], settings)
    assert predictions.class_ids is not None
    return {int(c): p[0].tolist() for c, p in zip(predictions.class_ids, predictions.points, strict=True)}


def test_of_two_noses_the_surer_or_the_higher_one_is_taken() -> None:
    plain = DecodeSettings(refinement="none")
    assert found(plain) == {0: [20, 40], 1: [60, 60]}
    weighted = overridden(plain, TASK, {"class_assignment": "weighted"})
    assert found(weighted) == {0: [20, 20], 1: [60, 60]}
    assert StageSettings.from_keywords({"class_assignment": "weighted"}).of(TASK).class_assignment == "weighted"


def test_an_unknown_assignment_is_refused() -> None:
    with pytest.raises(ConfigError, match="class_assignment must be one of probability, weighted, not 'best'"):
        StageSettings.from_keywords({"class_assignment": "best"})
