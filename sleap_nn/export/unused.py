"""Options of an export that the models or the format have no use for: a user is told."""

from __future__ import annotations

from collections.abc import Sequence

from sleap_nn.config.export_config import ExportConfig
from sleap_nn.export.graph import READERS
from sleap_nn.inference.loaded_model import LoadedModel
from sleap_nn.log import logger
from sleap_nn.tasks.bottomup import BottomUp

_ENGINES = ("precision", "max_batch_size", "workspace_size_gb")
_SIZES = ("input_height", "input_width")
_LINES = ("n_line_points", "max_edge_length_ratio", "dist_penalty_weight")


def warn_of_unused(models: Sequence[LoadedModel], config: ExportConfig) -> None:
    """Say which options do nothing.

    Args:
        models: In the order in which they run.
        config: The options; what has its default counts as not given.
    """
    task, default = models[0].stage.task, vars(ExportConfig())
    given = [name for name, value in vars(config).items() if value != default[name]]
    idle: list[str] = []
    if config.format == "onnx":
        _warn("an ONNX file", [name for name in given if name in _ENGINES])
    if task.view == "crop":
        idle += _SIZES
    if not task.one_point:
        idle.append("max_instances")
    if not READERS[task.name].lists_peaks:
        idle.append("max_peaks_per_node")
    if not isinstance(task, BottomUp):
        idle += _LINES
    _warn(f"a {task.name} model", [name for name in given if name in idle])


def _warn(what: str, names: Sequence[str]) -> None:
    """Say that options do nothing with something, if there are any."""
    if names:
        logger.warning("%s has no effect on %s.", " and ".join(names), what)
