"""Pose models from labelled frames.

The names below are found in their modules when they are first used, so that ``import sleap_nn`` costs nothing
and loads no training or inference code.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sleap_nn.lazy_names import lazy_names

if TYPE_CHECKING:
    from sleap_nn import predict as predict
    from sleap_nn.evaluation import load_metrics as load_metrics
    from sleap_nn.inference import Predictor as Predictor
    from sleap_nn.log import redirect_logs_to_stderr as redirect_logs_to_stderr
    from sleap_nn.version import __version__ as __version__

    RANK: int

__all__ = ["Predictor", "__version__", "load_metrics", "load_models", "predict"]

LAZY_NAMES = {
    "Predictor": "sleap_nn.inference",
    "__version__": "sleap_nn.version",
    "load_metrics": "sleap_nn.evaluation",
    "redirect_logs_to_stderr": "sleap_nn.log",
}
"""Package-level name -> the module that defines it under the same name."""


def load_models(model_paths: Any, **kwargs: Any) -> "Predictor":
    """Load trained models for prediction: `Predictor.from_model_paths`.

    Args:
        model_paths: A run folder or a list of them.
        **kwargs: Settings of `Predictor.from_model_paths`.

    Returns:
        A predictor with its models loaded.
    """
    from sleap_nn.inference import Predictor

    return Predictor.from_model_paths(model_paths, **kwargs)


def __getattr__(name: str) -> Any:
    """Find a package-level name in its module (PEP 562)."""
    if name == "predict":
        return import_module("sleap_nn.predict")
    if name == "RANK":
        return import_module("sleap_nn.log").rank()
    return lazy_names("sleap_nn", LAZY_NAMES)(name)


def __dir__() -> list[str]:
    """List the lazy names too."""
    return sorted({*globals(), *LAZY_NAMES, "RANK", "predict"})
