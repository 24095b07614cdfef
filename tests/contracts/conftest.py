"""Every registered model type, built from the defaults of its section of the configuration."""

from collections.abc import Callable
from typing import Any

import pytest

from sleap_nn.config.model_config import HeadConfig
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import Task

SIGMA = 1.5
SKELETON = Skeleton(("nose", "left", "right"), edges=((0, 1), (0, 2)), symmetries=((1, 2),))


def _build(name: str, output_stride: int = 2) -> Task:
    defaults: dict[str, Any] = {name: {}}
    section = HeadConfig(**defaults).which_oneof()
    for part in vars(section).values():
        if "output_stride" in vars(part):
            part.output_stride = output_stride
        if "sigma" in vars(part):
            part.sigma = SIGMA
        if "classes" in vars(part):
            part.classes = ["first", "second"]
    return TASKS[name].from_config(section, SKELETON)


@pytest.fixture(scope="session")
def build_task() -> Callable[..., Task]:
    return _build
