"""The model types, one file each, named as their key in ``head_configs``.

To add a model type made of existing heads: write ``tasks/<name>.py`` with one frozen dataclass that derives from
`Task`, add it to `TASKS` below, give its section a class in ``config/model_config.py``, and add a sample YAML. The
contract tests in ``tests/contracts`` then run over it; training, prediction and evaluation need no change.
"""

from sleap_nn.tasks.base import DecodeSettings, Task
from sleap_nn.tasks.bottomup import BottomUp
from sleap_nn.tasks.centered_instance import CenteredInstance
from sleap_nn.tasks.centroid import Centroid
from sleap_nn.tasks.multi_class_bottomup import MultiClassBottomUp
from sleap_nn.tasks.multi_class_topdown import MultiClassTopDown
from sleap_nn.tasks.single_instance import SingleInstance

TASKS: dict[str, type[Task]] = {
    task.name: task
    for task in (SingleInstance, Centroid, CenteredInstance, BottomUp, MultiClassBottomUp, MultiClassTopDown)
}

__all__ = ["TASKS", "DecodeSettings", "Task"]
